"""What a method is given: a task and, at every step, a batch of its examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

from torch import Tensor
from torch.nn import functional as F


class Batch:
    """The examples of one step or one evaluation chunk, as named columns: tensors with the example axis first.

    A method names in ``needs`` the columns that it looks at beside those that its wing always gives; the files in a
    wing's ``columns`` folder say what each holds and when it is there. ``batch.depth`` and ``batch["depth"]`` are one
    thing. In training there is always ``labels`` (B,); ``pseudo`` (B,) marks the examples of an unlabelled pool, whose
    labels are the method's own or -1.
    """

    __slots__ = ("columns",)
    columns: dict[str, Tensor]

    def __init__(self, columns: Mapping[str, Tensor | None] | None = None, /, **named: Tensor | None) -> None:
        given = {**(columns or {}), **named}
        self.columns = {name: value for name, value in given.items() if value is not None}

    def __getitem__(self, name: str) -> Tensor:
        try:
            return self.columns[name]
        except KeyError:
            there = ", ".join(sorted(self.columns)) or "none"
            raise KeyError(f"this batch has no column {name!r} (there are: {there}); name it in `needs`") from None

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("__") or name == "columns":  # what copies and pickles ask for
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        """Examples."""
        return len(next(iter(self.columns.values()), ()))

    def __repr__(self) -> str:
        return f"Batch({', '.join(f'{name} {tuple(value.shape)}' for name, value in self.columns.items())})"

    def but(self, **columns: Tensor | None) -> Batch:
        """The same with other ``columns``; None leaves one out."""
        return Batch(self.columns | columns)

    def rows(self, chosen: Tensor | slice) -> Batch:
        """The ``chosen`` examples."""
        return Batch({name: value[chosen] for name, value in self.columns.items()})

    @property
    def weak(self) -> Tensor:
        """(B, width) frozen features of the examples without augmentation."""
        return self.columns.get("plain", self.columns["features"])

    @property
    def normalised(self) -> Tensor:
        """Features on the unit sphere."""
        return F.normalize(self["features"], dim=-1)


@dataclass(frozen=True)
class Labelled:
    """Frozen features (N, width), not normalised, with their labels (N,).

    ``augmented`` is there where the suite declares ``views``: called, it gives (V, N, width) features of V augmented
    views of each example. ``pixels`` is there for methods inside an image tower when they finish: called, it gives the
    images themselves (N, 3, size, size) uint8. ``whole`` is there on the few validation examples: called, it gives all
    that the dataset has of the task's classes.
    """

    features: Tensor
    labels: Tensor
    augmented: Callable[[], Tensor] | None = None
    pixels: Callable[[], Tensor] | None = None
    whole: Callable[[], Labelled] | None = None


@dataclass(frozen=True)
class Chosen:
    """Examples of the unlabelled pool to train on: ``positions`` (N,) in the pool, ``labels`` (N,), -1 for none."""

    positions: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class Task:
    """One task on one frozen backbone.

    Attributes:
        dataset: its name.
        classes: that are told apart.
        backbone: the wing's own kind.
        shots: what the suite spends on each class; the protocol says in which unit.
        seed: this training step's random number (int64 scalar), None when evaluating.
        turn: counts the rounds from 0 while a method trains on an unlabelled pool, or the stages of its training.
        mixture: how many labelled examples and how many of the pool this round trains on.
        given: what else the wing gives, by name: words, the few labelled examples, assets that the method names in
            ``needs``. ``task["depth_range"]`` reads it; a wing's own task class has properties for what it gives.

    What lies in ``KEPT`` is said of the classes and stays when a task is bound to other classes; the rest is examples,
    and goes.
    """

    KEPT: ClassVar[frozenset[str]] = frozenset()

    dataset: str
    classes: tuple[str, ...]
    backbone: Any
    shots: int = 0
    seed: Tensor | None = None
    turn: int = 0
    mixture: tuple[int, int] = (0, 0)
    given: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        try:
            return self.given[name]
        except KeyError:
            there = ", ".join(sorted(self.given)) or "nothing"
            raise KeyError(f"this task was not given {name!r} (it has: {there}); name it in `needs`") from None

    def but(self, **changes: Any) -> Self:
        """The same task with ``changes``: of its fields, and of what it was given."""
        own = {item.name for item in fields(self)}
        told = {name: value for name, value in changes.items() if name not in own}
        rest = {name: value for name, value in changes.items() if name in own}
        return replace(self, given={**self.given, **told}, **rest)

    def without_examples(self) -> Self:
        """The same task with nothing to learn from."""
        return replace(self, given={name: value for name, value in self.given.items() if name in self.KEPT})

    @property
    def support(self) -> Labelled | None:
        """The few labelled training examples; None on a task that was bound to other classes."""
        return self.given.get("support")

    @property
    def validation(self) -> Labelled | None:
        """The few validation examples, at most four a class."""
        return self.given.get("validation")

    @property
    def unlabelled(self) -> Tensor | None:
        """(M, width) features of training examples whose labels nobody tells, in an order that says nothing."""
        return self.given.get("unlabelled")


def required(examples: Labelled | None, what: str) -> Labelled:
    """``examples``, or a clear error when a task that was bound to new classes is asked for them."""
    if examples is None:
        raise ValueError(f"this task has no {what}: it was rebound to new classes")
    return examples
