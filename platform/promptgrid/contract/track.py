"""A wing of the house: resolves squares of a grid to cells, and runs packs of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from promptgrid.contract.findings import Findings
from promptgrid.spec import EXAMPLES, Cell, Machine, Noun, Pack, Record, Refused, Request, Shared
from promptgrid.spec.imported import Imported
from promptgrid.spec.metrics import VALIDATION
from promptgrid.spec.record import LEFT_OUT

Arrays = dict[str, npt.NDArray[Any]]
Learned = Callable[[str], Arrays]


def unknown(key: str) -> Arrays:
    """What was learned by a cell nobody has: always an error."""
    raise LookupError(f"nothing is known of cell {key[:12]}, which this one needs")


class Cache(Protocol):
    """Arrays computed once by whoever comes first, memory-mapped by all others."""

    def get(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays stored under ``name``, computing and storing them if they are missing or damaged."""


@dataclass(frozen=True)
class Timing:
    """What a benchmark is asked for.

    Attributes:
        backbone: its id; empty for the track's own.
        families: names of method families; empty for all.
        classes: numbers of classes; empty for the track's own.
        packs: numbers of cells trained as one program.
        device: ``cpu`` or ``cuda``.
        precision: ``fp32``, ``fp64``, or ``amp``: half precision beside fp32.
        steps: steps over which losses are compared with the reference; 0 compares nothing.
        seconds: about what one of the turns of a variant takes.
    """

    backbone: str = ""
    families: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()
    packs: tuple[int, ...] = (4, 16, 64)
    device: str = "cpu"
    precision: Literal["fp32", "fp64", "amp"] = "fp32"
    steps: int = 50
    seconds: float = 1.0


@dataclass(frozen=True)
class Predictions:
    """What one evaluation of N examples between C classes answered.

    Every score that a metric needs can be computed from them: ``logsumexp`` turns scores into log-probabilities.

    Attributes:
        evaluation: name of the evaluation.
        example: (N,) index of each example in its dataset.
        label: (N,) true class, a position in ``classes``.
        top: (N, k) the k most likely classes, best first.
        scores: (N, k) their logits.
        of_label: (N,) logit of the true class; None in records of version 1.
        logsumexp: (N,) log of the sum of exp of all C logits; None in records of version 1.
        names: what people know each example by; empty in records of version 1.
        classes: names of the C classes; empty in records of version 1.
    """

    evaluation: str
    example: npt.NDArray[np.int64]
    label: npt.NDArray[np.int32]
    top: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    of_label: npt.NDArray[np.float32] | None = None
    logsumexp: npt.NDArray[np.float32] | None = None
    names: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Thumbnail:
    """An example as a report shows it: a small picture (the bytes of a WebP or PNG file), or its words; or both."""

    picture: bytes = b""
    words: str = ""


@dataclass(frozen=True)
class Outcome:
    """A record with what is too large to be read with it.

    ``about`` is what ``state`` needs beside its arrays to be used again, as plain values: class names above all. Of a
    state that was left out it says only its size, under :data:`promptgrid.spec.record.LEFT_OUT`.
    """

    record: Record
    predictions: tuple[Predictions, ...] = ()
    state: Arrays = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def within(self, most_mb: float | None) -> Outcome:
        """The outcome, without a state of more than ``most_mb`` MB (10^6 bytes); None keeps all."""
        size = sum(value.nbytes for value in self.state.values()) / 1e6
        if most_mb is None or size <= most_mb:
            return self
        return replace(self, state={}, about={LEFT_OUT: round(size, 3)})


@dataclass(frozen=True)
class Kept:
    """A finished cell with all that was kept of it: what exports are made of."""

    record: Record
    predictions: tuple[Predictions, ...] = ()
    state: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


Importer = Callable[[Path], list[Imported]]
"""Reads the result files of another tool below a path, all of them or none. Raises Refused, naming file and line."""
Exporter = Callable[[Sequence[Kept]], dict[str, bytes]]
"""{name: content} of cells in the form of another tool. Raises Refused where a cell cannot honestly become it."""


class Track(ABC):
    """One modality. Everything above it (store, cluster, leaderboard, cli) speaks to it through these verbs only."""

    name: ClassVar[str]
    examples: ClassVar[Noun] = EXAMPLES
    """What people call the examples of its datasets."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions that it needs beside those of promptgrid itself."""
    imports: ClassVar[Mapping[str, Importer]] = {}
    """Result files of other tools that it reads, by format."""
    exports: ClassVar[Mapping[str, Exporter]] = {}
    """What its cells can become, by format."""
    conformance: ClassVar[str] = ""
    """The module whose ``check_method`` holds its methods to what they promise; empty where it has none."""

    @abstractmethod
    def resolve(self, requests: Sequence[Request]) -> list[Cell]:
        """Cells for ``requests``, in order, with digests looked up.

        Raises:
            Refused: an unknown name, a setting that does not exist, a method the protocol cannot admit, ...
        """

    @abstractmethod
    def pack(self, cells: Sequence[Cell], machine: Machine = "cpu") -> list[Pack]:
        """Every cell in exactly one pack of a size for ``machine``; never a function of what is finished."""

    def without_data(self) -> Track:
        """The same wing for plans on a machine that has nothing: datasets by what is published of them, backbones by
        their configurations.

        Raises:
            Refused: this wing plans nothing so.
        """
        raise Refused(f"track {self.name!r} plans nothing without its data", where="--no-data")

    def basis(self, machine: Machine = "cpu") -> tuple[str, ...]:
        """Sentences on how the seconds of :meth:`pack` are reckoned, for people."""
        return ()

    def counts(self, datasets: Sequence[str]) -> dict[str, dict[str, int]]:
        """``classes``, and examples by split, of each of ``datasets``."""
        return {}

    def viewing(self, cells: Sequence[Cell], machine: Machine = "cpu") -> float:
        """Seconds of looking once at the augmented views that ``cells`` are trained on; 0 where there are none."""
        return 0.0

    def shared(self, cell: Cell, kept: Collection[str], machine: Machine = "cpu") -> Shared | None:
        """What is computed once before cells like ``cell`` start, where ``kept``, the names in the cache, lack it."""
        return None

    def state_mb(self, cell: Cell) -> float:
        """About how many MB (10^6 bytes) ``cell`` learns, where that is much: a tower of its own. Else 0."""
        return 0.0

    @abstractmethod
    def run(
        self,
        pack: Pack,
        cache: Cache,
        device: str,
        progress: Callable[[float], None] = lambda done: None,
        learned: Learned = unknown,
    ) -> Iterator[Outcome]:
        """Outcomes of the ``wanted`` cells of ``pack``, finished or failed; never raises for a cell's own fault.

        ``progress`` is told the share done of what is being trained or scored, 0 before that. Each call is a
        sign of life: a worker that says nothing for half an hour is taken for hung.

        ``learned`` gives the state of a finished cell by its key: of those that the cells of ``pack`` need. It raises
        :class:`promptgrid.spec.SourceLost`, for which a cell fails with ``NEEDS_FAILED`` and waits for the other one.
        """

    @abstractmethod
    def restore(
        self, record: Record, state: Mapping[str, npt.NDArray[Any]], about: Mapping[str, Any], device: str
    ) -> Any:
        """The learned method of ``record``, ready to classify: see the track's own documentation.

        ``state`` and ``about`` are what an :class:`Outcome` kept. Raises Refused where what it needs beside them, such
        as a backbone, is not what it was.
        """

    def words(self, kept: Kept, count: int) -> list[dict[str, Any]]:
        """The ``count`` nearest words to each learned token: rows ``of``, ``token``, ``rank``, ``word``, ``distance``.

        Raises:
            Refused: nothing that was learned lies among the embeddings of words.
        """
        raise Refused(f"track {self.name!r} has no words", where=kept.record.cell.method)

    def differs(self, record: Record, about: Mapping[str, Any]) -> list[str]:
        """In what the dataset of ``record`` as it is now differs from what was learned; empty where it is gone."""
        return []

    def notes(self, cells: Sequence[Cell]) -> dict[str, tuple[str, ...]]:
        """What people should know of the data of ``cells`` before they read a number: sentences by dataset."""
        return {}

    @abstractmethod
    def bundled_datasets(self) -> list[str]:
        """The names that ``datasets: bundled`` stands for."""

    @abstractmethod
    def describe(self, what: str) -> list[dict[str, Any]]:
        """Rows about ``methods``, ``datasets``, ``backbones`` or ``protocols``, for people and scripts."""

    def preview(self, dataset: str) -> dict[str, Any]:
        """What a name or a path would become as a dataset: ``address``, ``title``, ``splits``, ``classes`` (rows with
        counts by split), ``left_out`` and ``unreadable`` (rows of ``path`` and ``why``), ``notes``, ``lines`` to read.

        Raises:
            Refused: it would become none, and why; or a track that cannot tell.
        """
        raise Refused(f"track {self.name!r} does not preview datasets")

    def check_data(self, name: str, root: str) -> list[Findings]:
        """What is missing, wrong or extra of published datasets below the folder ``root``, before any grid.

        ``name`` is ``family:dataset``, a dataset that one family alone knows, or a family: all of its datasets.

        Raises:
            Refused: nobody knows ``name``, ``root`` is no folder, or a track that cannot tell.
        """
        raise Refused(f"track {self.name!r} does not check datasets")

    def checks(self) -> dict[str, tuple[bool, str]]:
        """What this machine needs for the track, beside its packages: by name, whether it is there, and a line."""
        return {}

    def title(self, dataset: str) -> str:
        """What people call ``dataset`` (a name of a suite), for headings; the name itself where nobody says more."""
        return dataset

    def bench(self, timing: Timing, say: Callable[[str], None] = lambda what: None) -> Iterator[dict[str, Any]]:
        """Rows of the track's speed benchmark; ``say`` is told what is being timed.

        Raises:
            Refused: an unknown family or size, or a track without a benchmark.
        """
        raise Refused(f"track {self.name!r} has no benchmark")

    def method_stub(self) -> str:
        """A method's file to begin with, ``{name}`` and ``{title}`` in it to be put in, other braces doubled.

        Raises:
            Refused: a track that has none.
        """
        raise Refused(f"track {self.name!r} has no stub of a method")

    def card(self, method: str) -> dict[str, Any]:
        """Everything known about one method, for people and scripts; empty for a track that keeps no cards."""
        return {}

    def parities(self) -> dict[str, dict[str, Any]]:
        """By method, how it stands to its authors' code: ``result`` in a word or two, ``said`` in a line, ``note``.

        Methods of which nobody said so are left out.
        """
        return {}

    def published(self) -> list[dict[str, Any]]:
        """Figures that papers report, a row each: shown beside results, never ranked with them."""
        return []

    def cut(self, cell: Cell) -> str:
        """``8 of 200 epochs``: what the settings of ``cell`` take away from the training its method's paper used.

        Empty where they take away nothing, or where a track does not know. What is cut is never ranked.
        """
        return ""

    def known_as(self, what: Literal["dataset", "backbone"], name: str) -> str:
        """The name under which papers know one of our datasets or backbones; '' for one they do not."""
        return ""

    def similarities(self, backbone: str, datasets: Sequence[str], cache: Cache) -> dict[str, npt.NDArray[np.float64]]:
        """How alike ``datasets`` are to ``backbone``: by measure, a (K, K) matrix from source (row) to target (column).

        Empty for a track that has no measure. A study of transfer sets its gains against them.
        """
        return {}

    def thumbnails(self, dataset: str, examples: Sequence[int]) -> dict[int, Thumbnail]:
        """Examples of ``dataset`` by index, as a report shows them; those that cannot be shown are left out.

        Empty for a track whose examples have no small form.
        """
        return {}

    def rescored(self, cell: Cell, predictions: Sequence[Predictions]) -> dict[str, float]:
        """The metrics of ``cell``, computed again from its kept answers alone.

        Raises:
            Refused: a track that cannot, or what it needs beside the answers is not here.
        """
        raise Refused(f"track {self.name!r} does not compute metrics again")

    @abstractmethod
    def headline(self, protocol: str) -> str:
        """Name of the metric that a leaderboard of ``protocol`` ranks by."""

    def chosen_by(self, protocol: str) -> str:
        """Name of the metric that a search of ``protocol`` chooses by: one of cells scored on validation examples."""
        return VALIDATION + self.headline(protocol)
