"""Which examples and classes train, which are scored, and what the scores are called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from torch import Tensor

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.method import Method
from promptgrid.spec import DatasetCard, Refused
from promptgrid.spec.cell import Reading

Selection = Literal["last", "val"]


@dataclass(frozen=True)
class Evaluation:
    """One scored set: ``name`` prefixes its metrics; ``classes`` are dataset labels, ``indices`` dataset examples.

    ``left_out`` is the label that ``micro_f1`` does not count, such as "no relation"; None where every class counts.
    ``strangers``: its examples are of none of ``classes``, and what is scored is how well answers tell them from the
    sets before it. ``together``: so many are answered at a time, in the order of ``indices``, and a ``joint`` method
    sees no others. ``scored_by`` is the score that ``task_score`` stands for, such as ``matthews``. None: neither.
    """

    name: str
    classes: tuple[int, ...]
    indices: tuple[int, ...]
    left_out: int | None = None
    strangers: Literal[True] | None = None
    together: int | None = None
    scored_by: str | None = None


@dataclass(frozen=True)
class Dial:
    """The number that may stand behind a protocol's name (``long_tail-50``), and what it is where none stands."""

    what: str
    default: float
    low: float
    high: float


@dataclass(frozen=True)
class Split:
    """What one cell trains on, selects on and is scored on. Labels are positions in the respective ``classes``.

    ``unlabelled`` are training examples whose labels are hidden, for methods that need ``unlabelled``: they learn to
    choose between ``classes`` and, behind them, ``unseen``, classes known by name alone. Other methods see neither.
    """

    classes: tuple[int, ...]
    train: tuple[int, ...]
    val: tuple[int, ...]
    evaluations: tuple[Evaluation, ...]
    unlabelled: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()

    def known_to(self, method: Method) -> tuple[int, ...]:
        """The classes that ``method`` learns to choose between."""
        return self.classes + self.unseen if "unlabelled" in method.assets else self.classes

    def validation(self, method: Method) -> Evaluation:
        """The validation examples as a scored set, scored as the other sets are, without the class they leave out."""
        classes = self.known_to(method)
        left_out = {one.left_out for one in self.evaluations} & set(classes)
        scored_by = next((one.scored_by for one in self.evaluations), None)
        return Evaluation("val", classes, self.val, next(iter(left_out), None), scored_by=scored_by)

    def identity(self) -> dict[str, object]:
        """The split as plain values, for digests; what it does not have is left out."""
        told = [{name: value for name, value in vars(item).items() if value is not None} for item in self.evaluations]
        plain = vars(self) | {"evaluations": told}
        return {name: value for name, value in plain.items() if value or name not in ("unlabelled", "unseen")}


class Protocol(ABC):
    """A protocol turns (dataset, shots, seed) into a split, and per-set accuracies into named metrics.

    ``readings`` are the ways in which its cells start from what was learned on another dataset; empty: all of them
    start afresh. ``narrows``: a pair may be scored on less than the target's own classes, so that a method which learns
    nothing has to be scored there too, to be compared. ``offers`` are the assets it gives to methods that need them.
    ``scores`` are what is computed of every scored set, by the names of :data:`promptgrid.engine.scoring.SCORES`.
    ``choose_by`` is the one of them that chooses on validation examples, checkpoints and trials of a search: the
    headline itself where that is one of ``scores``.
    ``selects_from`` is the split of a dataset that validation examples are drawn from.
    ``learned_by`` is the protocol under which sources of its readings learn.
    ``traced``: cells are scored on their validation examples while they learn, even where these choose nothing.
    ``joint``: each scored set is answered as a whole, so that methods may let its examples know of each other; in all
    other protocols the scores of an example are a function of that example.
    ``same_classes``: source and target of a reading have the same classes, so that a method whose parameters are per
    class may be scored as it is.
    ``per_cent``: ``shots`` are per cent of each class's training examples, and not how many.
    ``dial`` says what a number behind the name does; ``at`` is that number.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    about: ClassVar[str]
    headline: ClassVar[str]
    open_vocabulary: ClassVar[bool] = False
    readings: ClassVar[tuple[Reading, ...]] = ()
    narrows: ClassVar[bool] = False
    offers: ClassVar[frozenset[str]] = frozenset()
    scores: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    choose_by: ClassVar[str] = "accuracy"
    selects_from: ClassVar[str] = "val"
    learned_by: ClassVar[str] = "few_shot"
    traced: ClassVar[bool] = False
    joint: ClassVar[bool] = False
    same_classes: ClassVar[bool] = False
    per_cent: ClassVar[bool] = False
    dial: ClassVar[Dial | None] = None

    def __init__(self, at: float | None = None) -> None:
        own = self.dial.default if self.dial is not None else 0.0
        self.at = own if at is None else at

    @abstractmethod
    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        """The split. Deterministic in its arguments; test examples never enter train or val."""

    @abstractmethod
    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Metrics of a record from {evaluation name: {accuracy, macro_f1, ...}}; ``headline`` is one of them."""

    def check(self, card: DatasetCard, shots: int, selection: Selection) -> None:  # noqa: B027 - most refuse nothing
        """Raise Refused where this protocol cannot run on ``card``, or has nothing to select on."""

    def admit(self, method: Method) -> None:
        """Raise Refused where ``method`` cannot take part, with the reason."""
        if self.open_vocabulary and not method.open_vocabulary:
            raise Refused(f"method {method.name!r} cannot be scored on classes it was not trained on, "
                          f"as protocol {self.name!r} asks", where="methods")  # fmt: skip
        if method.joint and not self.joint:
            raise Refused(f"method {method.name!r} scores examples by each other, protocol {self.name!r} each by "
                          "itself", where="methods")  # fmt: skip

    def certainty(self, logits: Tensor) -> Tensor:
        """(N,) how sure answers (N, C) are, by which strangers are told: the probability of the most likely class."""
        return logits.double().softmax(1).amax(1)

    def from_source(self, split: Split, dataset: Dataset, source: Dataset) -> Split:
        """The split of a cell on ``dataset`` that starts from what was learned on ``source``.

        Raises:
            Refused: the two cannot be a pair in this protocol.
        """
        return split

    # Beyond this line: used by the engine and the planner; not for overriding.

    @classmethod
    def dialled(cls, said: str) -> Self:
        """The protocol at the number ``said`` behind its name.

        Raises:
            Refused: it takes none, or not this one, or it is written in another way than numbers are named by.
        """
        if cls.dial is None:
            raise Refused(f"protocol {cls.name!r} takes no number", where="protocol", got=f"{cls.name}-{said}",
                          expected=cls.name)  # fmt: skip
        try:
            found = float(said)
        except ValueError:
            found = float("nan")
        if not cls.dial.low <= found <= cls.dial.high or f"{found:g}" != said:
            expected = f"{cls.dial.what}, {cls.dial.low:g} to {cls.dial.high:g}, as {cls.name}-{cls.dial.default:g}"
            raise Refused(f"the number behind {cls.name!r}", where="protocol", got=said, expected=expected)
        return cls(found)

    def check_reading(self, source: str, reading: Reading) -> None:
        """Raise Refused where this protocol has no cells that start from ``source`` in this way."""
        if source and reading not in self.readings:
            if not self.readings:
                raise Refused(f"protocol {self.name!r} starts from nothing learned elsewhere", where="sources",
                              hint="leave out `sources`, or choose a protocol of transfer")  # fmt: skip
            raise Refused(f"protocol {self.name!r} has no such reading", where="readings", got=reading,
                          expected=f"readings: [{', '.join(self.readings)}]")  # fmt: skip
        if self.readings and not source:
            raise Refused(f"protocol {self.name!r} starts from what was learned elsewhere", where="protocol",
                          hint="give the suite `sources`")  # fmt: skip
