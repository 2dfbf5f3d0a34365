"""The checks that third parties run catch what they are there to catch, each in a sentence, on rows of numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from tests.contracts import small_world
from tests.engine.numbers.numbers_wing import CLASSES, WIDTH, Nearest, Rows, Shift, Waves
from torch import Tensor

from promptgrid.contract import (
    SGD,
    Batch,
    Batches,
    Chosen,
    Labelled,
    Method,
    Number,
    Params,
    Recipe,
    Rule,
    Split,
    Task,
    knob,
)
from promptgrid.contract.conformance import Practice, Trial, check_dataset, check_method, check_protocol
from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.spec import Refused

SHOTS = 3


class RowPractice(Practice):
    """Methods on rows of numbers, three of each class; a pool of as many rows."""

    kinds: ClassVar = frozenset({"features", "head"})
    new_classes: ClassVar = ("odd", "even")

    def __init__(self) -> None:
        self.model, self.offers = Waves(), frozenset({"features"})

    def trial(self, method: Method, seed: int = 1) -> Trial:
        dataset, labels = Rows("calm"), torch.arange(len(CLASSES)).repeat_interleave(SHOTS)
        of_class = [[i for i in dataset.splits["train"] if dataset.labels[i] == c] for c in range(len(CLASSES))]
        features, pool = (
            self.model(torch.from_numpy(dataset.rows[[i for own in of_class for i in own[first : first + SHOTS]]]))
            for first in (seed, seed + SHOTS)
        )
        task = Task("calm", CLASSES, self.model, SHOTS, given={"support": Labelled(features, labels)})
        count = len(pool) if "unlabelled" in method.assets else 0
        return self.begun(method, task, Batch(features=features, labels=labels), pool=count, seed=seed)

    def fingerprint(self) -> bytes:
        return self.model.weight.numpy().tobytes()


def check(method: type[Method], **settings: Any) -> None:
    check_method(method, RowPractice(), **settings)


@dataclass(frozen=True)
class Sound(Method):
    """A shift of all features, in front of rows that the letters of a class's name say."""

    name: ClassVar[str] = "sound"
    kind: ClassVar[str] = "features"
    paper: ClassVar[str] = "unpublished"

    learning_rate: Number = knob(0.1, low=1e-3, high=1.0, log=True)
    strength: Number = knob(1.0, low=0.0, high=10.0)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"shift": torch.zeros(WIDTH)}

    def recipe(self, task: Task) -> Recipe | None:
        return Recipe(SGD(self.learning_rate), 2, Batches(4))

    def once(self, params: Params, task: Task) -> Any:
        return torch.stack([torch.cos(torch.arange(WIDTH) * float(sum(name.encode()))) for name in task.classes], 1)

    def predict(self, params: Params, batch: Batch, task: Task, once: Any = None) -> Tensor:
        rows = self.once(params, task) if once is None else once
        return (batch.features + self.strength * params["shift"]) @ rows


def changed(**parts: Any) -> type[Method]:
    """``Sound`` with methods or class attributes replaced."""
    made = type("Changed", (Sound,), {"__doc__": Sound.__doc__, **parts})
    return dataclass(frozen=True)(made)


Answers = Callable[[Tensor, Any], Tensor]


def answering(change: Answers) -> dict[str, Any]:
    """``Sound`` whose answers go through ``change``, with the batch and the parameters at hand."""

    def predict(self: Any, params: Params, batch: Batch, task: Task, once: Any = None) -> Tensor:
        return change(Sound.predict(self, params, batch, task, once), (batch, params, once))

    return {"predict": predict}


def beginning(**parameters: Tensor) -> dict[str, Any]:
    """``Sound`` that begins from other parameters."""
    return {"init": lambda self, task, rng: {"shift": torch.zeros(WIDTH), **parameters}}


def ruled(name: str, rule: Rule) -> dict[str, Any]:
    return {"recipe": lambda self, task: Recipe(SGD(0.1), 2, Batches(4), rules={name: rule})}


def own_rows(self: Any, params: Params, batch: Batch, task: Task, once: Any = None) -> Tensor:
    return batch.features @ params["rows"]


def spoil(self: Any, params: Params, task: Task) -> Any:
    task.backbone.weight.mul_(1.01)
    return Sound.once(self, params, task)


ASKED: list[Tensor] = []


def remembering(answers: Tensor, seen: Any) -> Tensor:
    ASKED.append(answers.detach().mean(0))
    return answers + torch.stack(ASKED).sum(0)


def drawing(positions: list[int], labels: list[int], said: int = 2) -> dict[str, Any]:
    """``Sound`` that chooses these of the pool in its one round."""
    chosen = Chosen(torch.tensor(positions), torch.tensor(labels))
    return {
        "needs": frozenset({"unlabelled"}),
        "draws": lambda self, task, pool: (said,),
        "relabel": lambda self, task, logits: chosen,
    }


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "answers of the batch": (answering(lambda z, seen: z - z.mean(0)), "scores an example otherwise by itself"),
    "answers shared out": (answering(lambda z, seen: z - z.logsumexp(0)), "scores are a function of one example"),
    "answers of a place": (
        answering(lambda z, seen: z + (torch.arange(len(z)) == 1).float().unsqueeze(1)),
        "scores an example otherwise among 3",
    ),
    "answers of a label": (answering(lambda z, seen: z + seen[0].labels.unsqueeze(1)), "no column 'labels'"),
    "name": ({"name": "My-Method"}, "lower_snake_case"),
    "kind": ({"kind": "magic"}, "kind 'magic' is none of features, head"),
    "paper": ({"paper": " "}, "`paper` is empty"),
    "docstring": ({"__doc__": None}, "docstring"),
    "knob out of its range": (
        {"strength": knob(20.0, low=0.0, high=10.0), "__annotations__": {"strength": float}},
        "knob 'strength' has default 20.0 outside 0.0 to 10.0",
    ),
    "asset it cannot have": ({"needs": frozenset({"crystal_ball"})}, "needs crystal_ball"),
    "global random stream": ({"init": lambda self, task, rng: {"shift": torch.randn(WIDTH)}}, "global stream"),
    "float64": (beginning(shift=torch.zeros(WIDTH).double()), "torch.float64, expected float32"),
    "gradient attached": (beginning(shift=torch.zeros(WIDTH, requires_grad=True)), "a gradient attached"),
    "infinite start": (beginning(shift=torch.full((WIDTH,), torch.inf)), "not finite at the start"),
    "frozen by a wrong name": ({"frozen": frozenset({"shfit"})}, "`frozen` names shfit"),
    "dead parameter": (beginning(unused=torch.zeros(3)), "no gradient reaches 'unused'"),
    "wrong shape": (answering(lambda z, seen: z[:, :2]), r"answers are \(9, 2\), expected \(9, 3\)"),
    "NaN": (answering(lambda z, seen: z * torch.nan), "an answer is not finite"),
    "random answers": (answering(lambda z, seen: z * torch.rand(())), "the same input gave other answers"),
    "once says another thing": (
        answering(lambda z, seen: z if seen[2] is None else z.roll(1, 1)),
        "answers otherwise with what `once` gave than without",
    ),
    "finish renames": ({"finish": lambda self, params, task: {"moved": params["shift"]}}, "finish returns other"),
    "false open vocabulary": (
        {"init": lambda self, task, rng: {"rows": torch.ones(WIDTH, len(task.classes))}, "predict": own_rows},
        "says it has an open vocabulary but cannot score new classes",
    ),
    "a rule for nothing": (ruled("shfit", Rule(decay=0.0)), "rules for shfit"),
    "a rate that nothing holds": (ruled("shift", Rule(rate="own")), "no frozen scalar"),
    "a recipe from examples": (
        {"recipe": lambda self, task: Recipe(SGD(0.1), len(task["support"].labels), Batches(4))},
        "stage 1: the recipe reads what is not there before a backbone is",
    ),
    "a recipe that changes": (
        {"recipe": lambda self, task: Recipe(SGD(0.1), 1 if task.support is None else 2, Batches(4))},
        "stage 1: the recipe is another one before",
    ),
    "a loss for each example": (
        {"objective": lambda self, params, batch, task: {"own": Sound.predict(self, params, batch, task).sum(1)}},
        r"loss 'own' is \(9,\), expected one number",
    ),
    "a second stage without end": (
        {
            "stages": 2,
            "objective": lambda self, params, batch, task: {
                "own": Sound.predict(self, params, batch, task).sum() / (1 - task.turn)
            },
        },
        "stage 2: loss 'own' is not finite",
    ),
    "what follows is learned": (
        {"track": lambda self, params, batch, task: {"shift": params["shift"]}},
        "`track` returns 'shift', which is no frozen parameter",
    ),
    "changes the backbone": ({"once": spoil}, "changed the frozen backbone"),
    "a pool that it did not ask for": (
        {**drawing([0, 1], [0, 1]), "needs": frozenset()},
        "draws from a pool that it does not name",
    ),
    "fewer than said": (drawing([0], [0]), "said 2 examples, and chose 1"),
    "outside of the pool": (drawing([0, 9], [0, 1]), "round 1 chose what is not in the pool"),
    "a label too many": (drawing([0, 1], [0, 3]), "a label that the task has not"),
    "a round from other parameters": (
        {
            **drawing([0, 1], [0, 1]),
            "draws": lambda self, task, pool: (2, 2),
            "resume": lambda self, learned, fresh, task: {"moved": learned["shift"]},
        },
        "stage 2: `resume` returns other parameters",
    ),
}


@pytest.mark.parametrize("method", [Sound, changed(), Nearest, Shift])
def test_a_sound_method_passes(method: type[Method]) -> None:
    check(method)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_method_is_caught(case: str) -> None:
    parts, message = BROKEN[case]
    with pytest.raises((AssertionError, AttributeError), match=message):
        check(changed(**parts))


def test_answers_that_remember_are_caught() -> None:
    with pytest.raises(AssertionError, match="the same input gave other answers"):
        check(changed(**answering(remembering)))


def test_a_method_that_cannot_be_packed_is_caught_unless_it_says_so() -> None:
    reading = answering(lambda z, seen: z * (1.0 + float(seen[1]["shift"].detach().sum())))
    with pytest.raises(AssertionError, match="does not run under vmap"):
        check(changed(**reading))
    check(changed(**reading, packs=False))


def test_a_cell_that_is_another_in_a_pack_is_caught() -> None:
    """The loss is the same for one cell, and another one where a batched tensor says so."""

    def objective(self: Any, params: Params, batch: Batch, task: Task) -> dict[str, Tensor]:
        found = Sound.objective(self, params, batch, task)["cross_entropy"]
        return {"own": found * (2.0 if torch._C._functorch.is_batchedtensor(found) else 1.0)}

    with pytest.raises(AssertionError, match="the loss of a cell depends on its pack"):
        check(changed(objective=objective))


def test_rounds_on_a_pool_pass() -> None:
    check(changed(**drawing([3, 1], [0, -1])))


def test_scores_of_a_batch_are_for_protocols_that_say_so() -> None:
    class Whole(FewShot):
        joint = True

    together = changed(**answering(lambda z, seen: z - z.mean(0)), joint=True)
    check(together)
    with pytest.raises(Refused, match="scores examples by each other, protocol 'few_shot' each by itself"):
        FewShot().admit(together())
    Whole().admit(together())
    Whole().admit(Sound())


def test_a_broken_dataset_is_caught() -> None:
    shared, twice, strange, counted = (Rows("calm") for _ in range(4))
    check_dataset(Rows("calm"))
    shared.splits["val"][0] = shared.splits["test"][0]
    twice.splits["train"][1] = twice.splits["train"][0]
    strange.labels[3] = 9
    counted.splits["train"].pop()
    for dataset, message in (
        (shared, "another split too"),
        (twice, "lists an example twice"),
        (strange, "label"),
        (counted, "differ from the card"),
    ):
        with pytest.raises(AssertionError, match=message):
            check_dataset(dataset)


class Leaky(FewShot):
    """Trains on what it is scored on."""

    def split(self, dataset: Any, shots: int, seed: int) -> Split:
        split = super().split(dataset, shots, seed)
        return replace(split, train=split.evaluations[0].indices)


class Moody(FewShot):
    """Draws a sample of its own each time."""

    def split(self, dataset: Any, shots: int, seed: int) -> Split:
        return super().split(dataset, shots, int(torch.randint(2**30, ())))


class Headless(FewShot):
    """Ranks by a metric that it does not give."""

    headline = "glory"


class Leaking(FewShot):
    """A pool of the split that ``extra`` names."""

    name = "leaking"
    offers = frozenset({"unlabelled"})
    extra: ClassVar[str] = "test"

    def split(self, dataset: Any, shots: int, seed: int) -> Split:
        return replace(super().split(dataset, shots, seed), unlabelled=tuple(dataset.splits[self.extra]))


class LeakingTrain(Leaking):
    """A pool with the labelled examples in it."""

    extra: ClassVar[str] = "train"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Leaky, "are not the dataset's train examples"),
        (Moody, "gave another split"),
        (Headless, "headline"),
        (Leaking, "the pool holds examples that are not training examples"),
        (LeakingTrain, "a labelled example stands in the pool too"),
    ],
)
@pytest.mark.parametrize("dataset", [small_world.Pictures(), Rows("calm")], ids=["pictures", "rows"])
def test_a_broken_protocol_is_caught(broken: type[FewShot], message: str, dataset: Any) -> None:
    check_protocol(FewShot(), dataset)
    with pytest.raises(AssertionError, match=message):
        check_protocol(broken(), dataset)
