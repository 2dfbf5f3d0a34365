"""Labelled examples with a card and fixed splits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from promptgrid.contract.assets import NO_DESCRIPTIONS, Descriptions, Variations
from promptgrid.contract.findings import Findings
from promptgrid.spec import DatasetCard, Refused


class Dataset(ABC):
    """Examples by index. ``labels[i]`` is the class of example ``i``; ``splits`` names the indices of each split.

    The order inside a split is the source's own order: few-shot sampling depends on it.

    Where several datasets are joined, ``parts[i]`` says which of them example ``i`` comes from. Where they stand side
    by side, each with classes of its own, ``tasks[label]`` says whose class ``label`` is and ``templates[label]`` how
    that dataset speaks of it. All three are empty for a dataset that is one. ``notes`` are sentences about what looks
    odd in it or was left out, for people: they stand in the plan, in records and in reports. ``ordered``: its classes
    stand in order, so that an answer two classes off is further off than one beside.
    """

    card: DatasetCard
    labels: Sequence[int]
    splits: dict[str, list[int]]
    parts: Sequence[int] = ()
    tasks: Sequence[int] = ()
    templates: Sequence[str] = ()
    notes: Sequence[str] = ()
    ordered: bool = False

    @property
    def descriptions(self) -> Descriptions:
        """Sentences about every class, by class name; empty where there are none.

        Raises:
            Refused: there are some, and they do not fit the classes.
        """
        return NO_DESCRIPTIONS

    @property
    def domain_labels(self) -> Sequence[str]:
        """The domain of every example, by index; empty where nobody knows."""
        return ()

    @property
    def variations(self) -> Variations | None:
        """Generated variations of its examples; None where there are none."""
        return None

    def example_name(self, index: int) -> str:
        """What people know example ``index`` by, such as its path below the dataset's folder; kept in records."""
        return str(index)

    @abstractmethod
    def read(self, index: int) -> Any:
        """Example ``index``, as its wing knows it: an image as RGB, a text, a graph.

        Raises:
            OSError: the file is missing, truncated or holds none; the message names it.
        """


class DatasetFamily(ABC):
    """A way to find datasets: bundled ones, folders, split files."""

    name: ClassVar[str]

    @abstractmethod
    def listing(self) -> list[DatasetCard]:
        """Cards of the datasets that need no path."""

    @abstractmethod
    def knows(self, dataset: str) -> bool:
        """Whether this family opens ``dataset`` (a bare name, or ``prefix:path``)."""

    @abstractmethod
    def open(self, dataset: str) -> Dataset:
        """The dataset.

        Raises:
            Refused: missing, malformed or unsafe; the message names the file and what was expected.
        """

    def unseen(self, dataset: str) -> Dataset:
        """``dataset`` by what is published of it: its classes by number, splits of its sizes, no example.

        No folder is looked at. What ships with promptgrid is opened as it is.

        Raises:
            Refused: nothing is published of its sizes.
        """
        raise Refused("nothing is published of how large this dataset is", where="--no-data", got=dataset,
                      hint="plan without --no-data, on a machine that has it")  # fmt: skip

    def layouts(self) -> Sequence[str]:
        """Names of the published datasets that :meth:`check` looks for; empty where it looks for none."""
        return ()

    def check(self, layout: str, root: Path) -> Findings:
        """What of the dataset ``layout``, one of :meth:`layouts`, is missing, wrong or extra in or below ``root``.

        Nothing is hashed and no example is read.

        Raises:
            Refused: this family checks nothing.
        """
        raise Refused(f"datasets of the family {self.name!r} are not checked", got=layout)


class DamagedExample(OSError):
    """A file that should hold an example and does not; the message names it. Its cells fail, and no retry helps."""


class ChangedExample(OSError):
    """A file that is not the one which its dataset was opened with: its content would stand under a wrong key."""
