"""RELIEF and GraphCLIP are what plain code gives: outputs, and five steps of training, to 1e-5."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.reference.graph.dense import plain
from tests.reference.graph.relief import POLICIES, PlainRelief
from tests.tracks.graph.world import CLASSES, WIDE, dataset, tower
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.method import Params
from promptgrid.contract.randomness import normals, stream
from promptgrid.contract.task import Batch
from promptgrid.tracks.graph.backbone import GraphBackbone
from promptgrid.tracks.graph.data.pack_data import shown_batch
from promptgrid.tracks.graph.data.padding import padded
from promptgrid.tracks.graph.methods.graph_clip import GraphCLIP
from promptgrid.tracks.graph.methods.graph_clip_prompt import GraphCLIPPrompt
from promptgrid.tracks.graph.methods.relief import ACTS, FIXED, NODES, Relief, gumbel
from promptgrid.tracks.graph.seen import Seen
from promptgrid.tracks.graph.task import GraphTask

STEPS, SIZE = 5, 7
CHOSEN = (0, 31, 62, 5, 40, 70, 12)


def double(kind: str) -> GraphBackbone:
    own = tower(kind)
    return replace(own, tensors={name: value.double() for name, value in own.tensors.items()})


@pytest.fixture(params=["gin"])
def world(request: pytest.FixtureRequest) -> tuple[GraphTask, Batch]:
    return task_of(request.param)


def task_of(kind: str) -> tuple[GraphTask, Batch]:
    """Seven examples of at most seven nodes, in double precision."""
    data = dataset()
    examples = []
    for node in CHOSEN:
        one = data.read(node)
        kept = (one.links < SIZE).all(1)
        examples.append(replace(one, nodes=one.nodes[:SIZE], links=one.links[kept]))
    batch = shown_batch(padded(examples, SIZE), data.graph.features.double())
    labels = torch.tensor([data.labels[node] for node in CHOSEN])
    spoken = {name: value.double() for name, value in data.spoken.items()}
    shown = batch.but(labels=labels)
    given = {"spoken": spoken, "wide": WIDE, "examples": shown}
    return GraphTask("world", CLASSES, double(kind), 2, given=given), shown


def rows(batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
    """(x, adjacency) of each example, without padding."""
    seen = Seen.of(batch)
    for row in range(len(seen.x)):
        count = int(seen.there[row].sum())
        a = torch.zeros(count, count, dtype=torch.float64)
        for source, target in seen.links[row].tolist():
            if source >= 0:
                a[target, source] = 1.0
        yield seen.x[row, :count], a


def started(method: Any, task: GraphTask) -> Params:
    return {name: value.double() for name, value in method.init(task, stream("reference")).items()}


@pytest.mark.parametrize("nodes", ["policy", "random"])
def test_relief_is_what_plain_code_gives(nodes: str, world: tuple[GraphTask, Batch]) -> None:
    task, batch = world
    method: Any = Relief(nodes=nodes, iterations=STEPS, z_max=0.3, alpha_d=2.0)  # type: ignore[arg-type]
    params = started(method, task)
    theirs = PlainRelief(params, task.tower.tensors, SIZE, 0.3, STEPS, 2.0, 0.1, nodes == "random")
    head = [params["head_weight"].clone().requires_grad_(), params["head_bias"].clone().requires_grad_()]
    ours = [params["head_weight"].clone().requires_grad_(), params["head_bias"].clone().requires_grad_()]
    plain_adam, own_adam = torch.optim.Adam(head, lr=0.01), torch.optim.Adam(ours, lr=0.01)
    graphs = list(rows(batch))
    for step in range(STEPS):
        seed = 100 + step
        now = replace(task, seed=torch.tensor(seed))
        params = params | {"head_weight": ours[0].detach().clone(), "head_bias": ours[1].detach().clone()}
        with torch.no_grad():
            params = params | method.track(params, batch, now)
        drawn = gumbel(normals((len(graphs), SIZE * SIZE), seed, NODES + 1).double()).view(-1, SIZE, SIZE)
        acts = normals((len(graphs), SIZE * WIDE), seed, ACTS + 2).double().view(-1, SIZE, WIDE)
        fixed = (head[0].detach(), head[1].detach())
        theirs.update([
            theirs.episode(at % POLICIES, x, a, int(batch.labels[at]), fixed, drawn[at], acts[at])
            for at, (x, a) in enumerate(graphs)
        ])  # fmt: skip
        for k in range(POLICIES):
            torch.testing.assert_close(
                params["actor_d_w0"][k], theirs.discrete[k][0].weight.detach(), rtol=0, atol=1e-5
            )
            torch.testing.assert_close(
                params["actor_c_w2"][k], theirs.continuous[k][4].weight.detach(), rtol=0, atol=1e-5
            )
        torch.testing.assert_close(params["critic_w0"][0], theirs.critic[0].weight.detach(), rtol=0, atol=1e-5)
        own_adam.zero_grad()
        own_loss = method.objective(params | {"head_weight": ours[0], "head_bias": ours[1]}, batch, now)[
            "cross_entropy"
        ]
        own_loss.backward()
        own_adam.step()
        noise = gumbel(normals((len(graphs), SIZE * SIZE), seed, NODES).double()).view(-1, SIZE, SIZE)
        features = [theirs.pooled(x + theirs.prompt(x, a, noise[at]), a)[1] for at, (x, a) in enumerate(graphs)]
        plain_adam.zero_grad()
        plain_loss = F.cross_entropy(torch.stack(features).detach() @ head[0].T + head[1], batch.labels)
        plain_loss.backward()  # type: ignore[no-untyped-call]
        plain_adam.step()
        torch.testing.assert_close(own_loss, plain_loss, rtol=0, atol=1e-5)
    params = params | {"head_weight": ours[0].detach(), "head_bias": ours[1].detach()}
    answers = method.predict(params, batch, task)
    still = torch.zeros(SIZE, SIZE, dtype=torch.float64)
    if nodes == "random":
        still = gumbel(normals((1, SIZE * SIZE), FIXED, FIXED).view(SIZE, SIZE)).double()
    wanted = torch.stack([
        head[0] @ theirs.pooled(x + theirs.prompt(x, a, still), a)[1] + head[1] for x, a in graphs
    ]).detach()  # fmt: skip
    torch.testing.assert_close(answers, wanted, rtol=0, atol=1e-5)
    assert 0.0 < float(params["coverage"]) <= 1.0
    assert theirs.done == 10 * STEPS == int(params["updates"][2])


def test_the_control_of_relief_moves_no_choice_of_nodes(world: tuple[GraphTask, Batch]) -> None:
    task, batch = world
    method = Relief(nodes="random", iterations=2)
    params = started(method, task)
    with torch.no_grad():
        after = method.track(params, batch, replace(task, seed=torch.tensor(3)))
    assert torch.equal(after["actor_d_w0"], params["actor_d_w0"])
    assert not torch.equal(after["actor_c_w0"], params["actor_c_w0"])


def test_relief_packs_over_seeds(world: tuple[GraphTask, Batch]) -> None:
    """Two cells under vmap move as each does alone."""
    task, batch = world
    method = Relief(iterations=2)
    cells = [{name: value.double() for name, value in method.init(task, stream("pack", k)).items()} for k in range(2)]
    stacked = {name: torch.stack([cell[name] for cell in cells]) for name in cells[0]}
    columns = {name: torch.stack([batch[name], batch[name].flip(0)]) for name in batch}
    seeds = torch.tensor([5, 6])

    def one(params: Params, own: Params, seed: Tensor) -> Params:
        return method.track(params, Batch(own), replace(task.without_examples(), seed=seed))

    with torch.no_grad():
        together = torch.func.vmap(one)(stacked, columns, seeds)
        for k in range(2):
            alone = one(cells[k], {name: value[k] for name, value in columns.items()}, seeds[k])
            for name, value in alone.items():
                torch.testing.assert_close(
                    together[name][k], value, rtol=0, atol=1e-9, msg=lambda said, at=name: at + said
                )


def cosines(task: GraphTask, x: Tensor, a: Tensor) -> Tensor:
    own = dict(task.tower.tensors)
    states = plain("gps", x, a, own)
    z = own["out.weight"] @ torch.cat([states.mean(0), states[0]]) + own["out.bias"]
    texts = torch.stack([task["spoken"][name] for name in CLASSES])
    return own["scale"].exp() * texts @ (z / z.norm())


def test_graph_clip_is_what_plain_code_gives() -> None:
    task, batch = task_of("gps")
    answers = GraphCLIP().predict({}, batch, task)
    torch.testing.assert_close(answers, torch.stack([cosines(task, x, a) for x, a in rows(batch)]), rtol=0, atol=1e-5)
    turned = replace(task, classes=CLASSES[::-1])
    torch.testing.assert_close(GraphCLIP().predict({}, batch, turned), answers.flip(1), rtol=0, atol=1e-9)


def test_graph_clip_with_its_prompt_is_what_plain_code_gives() -> None:
    task, batch = task_of("gps")
    method = GraphCLIPPrompt(prompts=3)
    start = started(method, task)
    torch.testing.assert_close(method.predict(start, batch, task), GraphCLIP().predict({}, batch, task))
    ours = {name: value.clone().requires_grad_() for name, value in start.items()}
    theirs = {name: value.clone().requires_grad_() for name, value in start.items()}
    own_adam, plain_adam = (torch.optim.Adam(list(some.values()), lr=5e-3) for some in (ours, theirs))

    def plainly() -> Tensor:
        found = []
        for x, a in rows(batch):
            moved = torch.stack([
                node + (theirs["scores"] @ node + theirs["scores_bias"]).softmax(0) @ theirs["prompts"] for node in x
            ])  # fmt: skip
            found.append(cosines(task, moved, a))
        return torch.stack(found)

    for _ in range(STEPS):
        for adam, loss in (
            (own_adam, method.objective(ours, batch, task)["cross_entropy"]),
            (plain_adam, F.cross_entropy(plainly(), batch.labels)),
        ):
            adam.zero_grad()
            loss.backward()
            adam.step()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=0, atol=1e-5)
    torch.testing.assert_close(method.predict(ours, batch, task), plainly(), rtol=0, atol=1e-5)
