"""A way to adapt a frozen backbone to a task, written for ONE cell; the engine runs the many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.assets import ASSETS
from promptgrid.contract.first_stage import FirstStage
from promptgrid.contract.policies import Policy
from promptgrid.contract.recipe import Recipe
from promptgrid.contract.task import Batch, Chosen
from promptgrid.contract.taxonomy import Axes

Params = dict[str, Tensor]


@dataclass(frozen=True)
class Knob:
    """Range and scale of a setting that changes numbers only."""

    low: float
    high: float
    log: bool = False


def knob(default: float, *, low: float, high: float, log: bool = False) -> Any:
    """A field that changes numbers, never shapes: cells that differ in it share a pack, and a search may vary it."""
    return field(default=default, metadata={"knob": Knob(low, high, log)})


def rarely(default: str) -> Any:
    """A choice that stands in a cell's settings, and so in its key, only where it is not ``default``.

    For what is added to methods that have results already.
    """
    return field(default=default, kw_only=True, metadata={"rarely": True})


@dataclass(frozen=True)
class Method(ABC):
    """The contract of a method: what it learns, what it descends, what it answers.

    Fields are settings: a plain field changes shapes or control flow, a :func:`knob` only numbers. All hooks are
    pure functions of their arguments, written for one cell; inside them a knob may be a scalar tensor. ``needs`` names
    what the backbone must offer, columns of the batch, and assets (:mod:`promptgrid.contract.assets`). ``kind`` is its
    wing's word for where it learns; of kind ``cache`` a method keeps a row for each training example, of kind
    ``zero-shot`` it learns nothing.

    A method that trains on the unlabelled pool says by ``draws`` in how many rounds and on how many examples, and by
    ``relabel`` on which; ``with_labelled``: labelled examples, where there are any, stand beside them; ``afresh``:
    parameters are drawn anew for every round instead of trained on. One that learns from labelled examples in several
    ``stages`` has a recipe, a step policy and losses for each, by ``task.turn``; what a stage learned the next starts
    from. ``joint``: an example's answer depends on those that are scored with it, so that only a protocol takes the
    method that is ``joint`` too. Those ``frozen`` parameters that ``track`` itself trains are named in ``moved``: they
    count as learned.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    paper: ClassVar[str] = ""
    axes: ClassVar[Axes | None] = None
    needs: ClassVar[frozenset[str]] = frozenset()
    packs: ClassVar[bool] = True
    frozen: ClassVar[frozenset[str]] = frozenset()
    moved: ClassVar[frozenset[str]] = frozenset()
    with_labelled: ClassVar[bool] = False
    afresh: ClassVar[bool] = False
    stages: ClassVar[int] = 1
    joint: ClassVar[bool] = False

    @property
    def open_vocabulary(self) -> bool:
        """Whether what was learned applies to classes it was not trained on."""
        return True

    @property
    def needs_labels(self) -> bool:
        """Whether it cannot do without labelled examples; override where it can learn with and without."""
        if self.axes is None:
            return self.kind != "zero-shot"
        return self.axes.supervision not in ("none", "unlabelled")

    @property
    def assets(self) -> frozenset[str]:
        """The assets among ``needs``. Override where a setting puts something in the place of one."""
        return self.needs & ASSETS.keys()

    @property
    def first_stage(self) -> FirstStage | None:
        """What is learned elsewhere before this method begins; None where it begins afresh. Read from the settings."""
        return None

    @abstractmethod
    def init(self, task: Any, rng: torch.Generator) -> Params:
        """Parameters of one cell, float32, drawn from ``rng`` only. Those named in ``frozen`` are kept, not trained."""

    def recipe(self, task: Any) -> Recipe | None:
        """How to fit the parameters; None when there is nothing to fit by descent.

        Read from the settings and from the task's names, classes and shots only: the planner asks too, before any
        backbone is loaded.
        """
        return None

    def objective(self, params: Params, batch: Batch, task: Any) -> dict[str, Tensor]:
        """Named scalar losses of one batch; the step policy says what is done with them."""
        return {"cross_entropy": F.cross_entropy(self.predict(params, batch, task), batch.labels)}

    def once(self, params: Params, task: Any) -> Any:
        """What :meth:`predict` makes of parameters and task alone, such as class texts: asked once per evaluation."""
        return None

    @abstractmethod
    def predict(self, params: Params, batch: Batch, task: Any, once: Any = None) -> Tensor:
        """Answers, one row for each example: of classifiers (B, C) logits.

        Args:
            params: of one cell.
            batch: with the columns that the method needs; no labels.
            task: with the classes to choose between.
            once: what :meth:`once` gave for these parameters; None in training.
        """

    def step(self, task: Any) -> Policy | None:
        """The step policy: None descends the sum of the losses.

        Of methods that need ``logits`` the planner asks too, before any backbone or task is known.
        """
        return None

    def regulate(self, params: Params, grads: Params, task: Any) -> Params:
        """What is descended in the place of ``grads``, the gradients of what is trained, after the step policy."""
        return grads

    def track(self, params: Params, batch: Batch, task: Any) -> Params:
        """New values of those ``frozen`` parameters that follow the batches (running statistics), before each step.

        Where the step policy asks for losses around the parameters, behind each of them instead, with its parameters.
        """
        return {}

    def draws(self, task: Any, pool: int) -> tuple[int, ...]:
        """On how many of ``pool`` unlabelled examples each round trains; no rounds: on labelled examples alone.

        Read from what :meth:`recipe` is read from. Only a method that does not pack may then choose fewer examples.
        """
        return ()

    def relabel(self, task: Any, logits: Tensor | None) -> Chosen:
        """The examples of the pool that round ``task.turn`` trains on, with labels.

        Args:
            task: with ``unlabelled``; its ``seed`` is the cell's own.
            logits: (M, C) what the round before has learned to say of the pool; None in the first round, and in rounds
                that draw nothing from it.
        """
        raise NotImplementedError(f"{self.name} draws from the pool and does not say which examples")

    def resume(self, learned: Params, fresh: Params, task: Any) -> Params:
        """What round ``task.turn`` starts from, not the first: what the round before learned, or drawn anew.

        Args:
            learned: what the round before learned.
            fresh: what :meth:`init` draws for this round.
            task: with ``turn``.
        """
        return fresh if self.afresh else learned

    def finish(self, params: Params, task: Any) -> Params:
        """What is kept when training ends (closed forms, a search on validation examples). Never packed."""
        return params

    # Beyond this line: used by the engine, the catalogue and the store; not for overriding.

    @classmethod
    def knobs(cls) -> dict[str, Knob]:
        """The settings that change numbers only, by name."""
        return {item.name: item.metadata["knob"] for item in fields(cls) if "knob" in item.metadata}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Every setting with its default, without those that are written only where they differ from it."""
        known = {item.name: item.default for item in fields(cls) if item.default is not MISSING}
        return {name: default for name, default in known.items() if name not in cls.rare()}

    @classmethod
    def rare(cls) -> dict[str, Any]:
        """The settings made by :func:`rarely`, with their defaults."""
        return {item.name: item.default for item in fields(cls) if "rarely" in item.metadata}
