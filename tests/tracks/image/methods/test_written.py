"""What SPG writes for an image, and what GRAM learns from captions."""

from dataclasses import replace

import pytest
import torch
from tests.contracts import small_world
from tests.tracks.image.looked_at import logits_of

from promptgrid.contract.clip import Batch
from promptgrid.spec import Refused
from promptgrid.tracks.image.methods.coop import CoOp
from promptgrid.tracks.image.methods.gram import GRAM, HOSTS
from promptgrid.tracks.image.methods.parts import gradient_map
from promptgrid.tracks.image.methods.parts.adversaries import CLIPS, clips
from promptgrid.tracks.image.methods.parts.families import families, joint
from promptgrid.tracks.image.methods.spg import SPG


def started(method, task, seed=0):
    return method.init(task, torch.Generator().manual_seed(seed))


def test_spg_answers_an_image_by_itself(make_task):
    task = make_task()
    params, features = started(SPG(), task), task.support.features
    whole = logits_of(SPG(), params, task, features)
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(1))
    for images_at_once in (1, 3):
        found = logits_of(SPG(images_at_once=images_at_once), params, task, features[order])
        torch.testing.assert_close(found, whole[order], rtol=0, atol=1e-4)
    other = logits_of(SPG(), params | {"noise": params["noise"] + 1.0}, task, features)
    assert not torch.allclose(other, whole, atol=1e-2), "the noise does nothing"


def test_spg_can_answer_by_the_contexts_of_its_first_stage(make_task):
    task = make_task()
    params, features = started(SPG(), task), task.support.features
    params["labels"] += 0.1 * torch.randn(params["labels"].shape, generator=torch.Generator().manual_seed(2))
    host = CoOp(context_length=4, words="a photo of a")
    each = [logits_of(host, {"context": own}, task, features).softmax(-1) for own in params["labels"]]
    assert not torch.allclose(*each, atol=1e-3)
    found = logits_of(SPG(answers="labels"), params, task, features).exp()
    torch.testing.assert_close(found, (each[0] + each[1]) / 2, rtol=0, atol=1e-5)


def test_spg_teaches_each_domain_its_own_context(make_task):
    task, method = make_task(), SPG()
    params = started(method, task)
    assert params["labels"].shape[0] == 2
    leaf = params["labels"].clone().requires_grad_()
    now = replace(task.without_examples(), seed=torch.tensor(3))
    for domain in (0, 1):
        batch = Batch(features=task.support.features, domain=torch.full((len(task.support.labels),), domain))
        out = method.forward(params | {"labels": leaf}, batch, now)
        (grad,) = torch.autograd.grad(method.losses(params, out, task.support.labels, now)["cross_entropy"], leaf)
        assert grad[domain].abs().max() > 1e-6
        assert grad[1 - domain].abs().max() == 0


def test_spg_knows_how_every_gradient_is_clipped(make_task):
    params = started(SPG(), make_task())
    for clipping in CLIPS:
        assert dict(clips(clipping)).keys() == params.keys() - SPG.frozen - {"labels"}
    others = dict(clips("others"))
    assert others["judge_weight0"] == others["judge_bias3"] == 5.0
    assert (others["judge_weight1"], others["judge_bias2"]) == (0.05, 0.5)
    assert (others["writer_weight4"], others["writer_norm_weight1"], others["writer_norm_bias2"]) == (5e-3, 5e-3, 5e-8)
    assert others["writer_norm_bias3"] == others["writer_bias4"] == 1.0


@pytest.mark.parametrize(("count", "least"), [(10, 5), (23, 3), (64, 8), (4, 2), (97, 2)])
def test_families_share_out_the_captions(count, least):
    points = torch.randn(count, 6, generator=torch.Generator().manual_seed(count))
    found = families(points, least)
    members = sorted(int(row) for fork in found for branch in fork for row in branch)
    assert members == list(range(count))
    assert all(len(branch) >= least for fork in found for branch in fork)
    assert all(len(left) + len(right) < 4 * least for left, right in found)


def test_families_keep_neighbours_together():
    """Two clouds far apart, each of two: the tree parts the clouds first, then each of them."""
    centres = torch.tensor([[0.0, 0.0], [0.0, 2.0], [50.0, 0.0], [50.0, 2.0]]).repeat_interleave(4, 0)
    points = centres + 0.1 * torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    found = [(left.tolist(), right.tolist()) for left, right in families(points, 4)]
    assert found == [([0, 1, 2, 3], [4, 5, 6, 7]), ([8, 9, 10, 11], [12, 13, 14, 15])]


@pytest.mark.parametrize("host", HOSTS)
def test_gram_without_a_meta_stage_is_its_host(make_task, batch_of, host):
    """Its text, losses, step policy and recipe, from the same words; a map of nothing passes gradients through."""
    task, (batch, labels) = make_task(), batch_of()
    method = GRAM(host=host, meta_steps=0, learning_rate=0.01)
    kind = HOSTS[host]
    worded = {"words": "a photo of a"} if "words" in kind.defaults() else {}
    plain = kind(context_length=4, learning_rate=0.01, **worded)
    params = started(method, task)
    own = {"context": params["context"]}
    assert torch.equal(own["context"], task.words("a photo of a"))
    outs = method.forward(params, batch, task), plain.forward(own, batch, task)
    assert torch.equal(outs[0].logits, outs[1].logits)
    found, wanted = method.losses(params, outs[0], labels, task), plain.losses(own, outs[1], labels, task)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert method.step(task) == plain.step(task)
    assert method.recipe(task) == plain.recipe(task)
    grads = {"context": torch.randn(4, 12, generator=torch.Generator().manual_seed(1))}
    assert torch.equal(method.regulate(params, grads, task)["context"], grads["context"])


def test_gram_learns_from_captions_and_from_its_own_stream(make_task):
    task, method = make_task(), GRAM(meta_steps=6, ways=2, reduction=2)
    before, one, again, other = (started(own, task, seed) for own, seed in (
        (replace(method, meta_steps=0), 0), (method, 0), (method, 1), (replace(method, meta_seed=2), 0)))  # fmt: skip
    assert all(torch.equal(one[name], again[name]) for name in one), "the cell's own stream is not looked at"
    assert not torch.equal(one["context"], other["context"])
    for name in ("context", "down", "up"):
        assert (one[name] - before[name]).abs().max() > 1e-6, f"{name} learned nothing"
    grads = {"context": torch.randn(4, 12, generator=torch.Generator().manual_seed(1))}
    ratio = method.regulate(one, grads, task)["context"] / grads["context"]
    assert ratio.min() > 0
    assert ratio.max() < 2
    assert (ratio - 1).abs().max() > 1e-4


def test_gram_needs_captions(make_task):
    with pytest.raises(ValueError, match="no image-text pairs"):
        started(GRAM(), make_task(pairs=None))


def test_the_meta_stage_is_shared_by_hosts_rates_shots_and_seeds(make_task, monkeypatch):
    asked = []
    monkeypatch.setattr(gradient_map, "joint", lambda *given: asked.append(1) or joint(*given))
    gradient_map._learned.cache_clear()
    settings = {"meta_steps": 2, "ways": 2}
    first = started(GRAM(**settings), make_task(), 0)
    for host in HOSTS:
        other = make_task().but(shots=1, dataset="pond", template="a {}.")  # equal pairs, read anew
        found = started(GRAM(host=host, learning_rate=0.1, **settings), other, 1)
        assert all(torch.equal(found[name], first[name]) for name in first)
    assert len(asked) == 1
    one, pairs = make_task(), make_task().pairs
    changed = [
        (GRAM(**settings | {"meta_steps": 3}), one),
        (GRAM(**settings | {"inner_rate": 0.2}), one),
        (GRAM(**settings, words="", context_length=3), one),
        (GRAM(**settings), one.but(pairs=replace(pairs, features=pairs.features + 1e-3))),
        (GRAM(**settings), one.but(pairs=replace(pairs, captions=tuple(reversed(pairs.captions))))),
    ]
    for method, task in changed:
        started(method, task)
    assert len(asked) == 1 + len(changed)


def test_what_the_meta_stage_hands_out_is_the_callers_own(make_task):
    task, method = make_task(), GRAM(meta_steps=2, ways=2)
    first = started(method, task)
    kept = {name: value.clone() for name, value in first.items()}
    for value in first.values():
        assert not value.requires_grad
        value.add_(1.0)
    again = started(method, task)
    assert all(torch.equal(again[name], kept[name]) for name in kept)


@pytest.mark.parametrize("host", ["cocoop", "pre", "maple", "upl", "tpt", "gram", "zero_shot", ""])
def test_what_cannot_be_a_host_is_refused_when_the_grid_is_planned(host):
    with pytest.raises(Refused, match="expected one of coop, kgcoop, prograd, mvlpt_coop: methods that learn one text"):
        small_world.track().resolver.settle(GRAM, {"host": host})


def test_a_host_is_told_its_own_settings(make_task):
    task = make_task(shots=16)
    assert GRAM(host="kgcoop", host_settings="batch_size=8").recipe(task).batches.size == 8
    assert GRAM(host="kgcoop").recipe(task).batches.size == 128
    assert GRAM(host="kgcoop").recipe(task).epochs == 100
    assert GRAM(host="kgcoop", epochs=7).recipe(task).epochs == 7
    assert GRAM(host="prograd", host_settings=" strength = 0.5; as_published=false").step(task).strength == 0.5
    assert GRAM(host="prograd").step(make_task(dataset="DTD", shots=16)).strength == 0.8
    middle = GRAM(host_settings="position=middle", meta_steps=0)
    params = started(middle, task)
    assert not torch.equal(middle.text(params, task), replace(middle, host_settings="").text(params, task))


@pytest.mark.parametrize(
    ("host", "told", "said"),
    [
        ("coop", "strength=4", "coop's batch_size, position"),
        ("coop", "class_specific=true", "host_settings"),
        ("coop", "words=a b c d", "host_settings"),
        ("coop", "position=beside", "position"),
        ("kgcoop", "strength=1000", "expected 0.0 to 100.0"),
        ("kgcoop", "strength=much", "strength"),
        ("kgcoop", "batch_size=0", "batch_size"),
        ("prograd", "from_template=false", "host_settings"),
        ("prograd", "as_published=perhaps", "as_published"),
    ],
)
def test_what_a_host_cannot_be_told_is_refused(host, told, said):
    with pytest.raises(ValueError, match=said):
        GRAM(host=host, host_settings=told)
