"""The thirteen places where a method differed from its authors' code and no card said so, each by its own small test.

Every one is set up so that the form we had before gives other numbers, and where that form is still a setting, it is
shown to. References are written from formulas, as in test_fidelity; sizes of differences are on the cosine scale.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.reference import lafter, tip_adapter
from tests.reference.bench import Bench
from tests.reference.pseudo import zero_shot
from tests.reference.task import Params, Pictures, Plain, Pooled
from tests.tracks.image.looked_at import logits_of
from torch import Tensor
from torch.nn import functional as F

from promptgrid import catalog
from promptgrid.contract.clip import Batch, Labelled, Method, Outputs, Task
from promptgrid.engine.cards.prose import said
from promptgrid.engine.training.sampling import epoch_order
from promptgrid.engine.training.schedule import Schedule

CLASSES = ("military hat (bearskin or shako)", "red_fox", "owl", "traffic_light")
TEMPLATE = "a type of pet, a photo of a {}."
SEEN = 1e-3
"""A difference that is none of rounding, in cosines."""


def test_1_a_token_of_upt_passes_the_mixer_by_itself(bench: Bench) -> None:
    one, other = _texts_and_images(bench, "upt"), _texts_and_images(bench, "upt", attends="across")
    assert _apart(one, other) > SEEN
    method, task = bench.track.resolver.method("upt")(), _task(bench)
    params = method.init(task, torch.Generator().manual_seed(3))
    context, tokens = method._mixed(params)  # type: ignore[attr-defined]
    moved = params | {"context": params["context"].clone()}
    moved["context"][0] += 1.0
    again, unmoved = method._mixed(moved)  # type: ignore[attr-defined]
    assert torch.equal(unmoved, tokens)
    assert torch.equal(again[1:], context[1:])
    assert not torch.allclose(again[0], context[0])


@pytest.mark.parametrize("mode", ["coop", "vpt", "upt"])
def test_2_a_label_competes_with_the_classes_of_all_tasks(bench: Bench, mode: str) -> None:
    kind = bench.track.resolver.method(f"mvlpt_{mode}")
    task = _task(bench).but(task_of_class=(0, 0, 1, 1), shots=2)
    logits, labels = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 3])
    out = Outputs(torch.zeros(5, 1), torch.zeros(4, 1), logits)
    (found,) = kind().losses({}, out, labels, task).values()
    over_all = (logits.exp().sum(1).log() - logits[range(5), labels]).mean()
    torch.testing.assert_close(found, over_all)
    own = torch.stack([logits[i, :2] if label < 2 else logits[i, 2:] for i, label in enumerate(labels.tolist())])
    (pertask,) = kind(softmax="own_task").losses({}, out, labels, task).values()
    torch.testing.assert_close(pertask, (own.exp().sum(1).log() - own[range(5), labels % 2]).mean())
    recipes = kind().recipe(task), kind(batches="by_task").recipe(task)
    assert [recipe.batches.by_task for recipe in recipes if recipe is not None] == [False, True]


def test_3_labels_of_lafter_follow_the_tower_that_learns(bench: Bench) -> None:
    """At the same parameters: the loss against labels by the moved LayerNorms, written out."""
    method, plain, task = bench.track.resolver.method("lafter")(tokens=3), _pooled(bench), _task(bench)
    rng = torch.Generator().manual_seed(5)
    params = method.student(task, rng, torch.randn(4, task.backbone.width, generator=rng))  # type: ignore[attr-defined]
    pixels = plain.pool
    patches, features = bench.encoder.patches(pixels), bench.encoder.encode_pixels(pixels)
    units = F.normalize(features, dim=-1)
    params["teacher"] = (units - units.mean(0))[::8]  # a class is what is like one of four images
    for name in ("norm_weights", "norm_biases"):
        params[name] = 0.3 * torch.randn(params[name].shape, generator=rng)
    turned = bench.encoder.patches(pixels.flip(-1))
    out = method.forward(
        params, Batch(features=features, patches=turned, plain=features, beside=patches.unsqueeze(1)), task
    )
    with torch.no_grad():
        seen = F.normalize(lafter.student.moved(plain, params, pixels), dim=-1)
        labels = (seen @ params["teacher"].T).argmax(1)
        frozen = (F.normalize(plain.clip.image(pixels), dim=-1) @ params["teacher"].T).argmax(1)
        spoken = lafter.logits(plain, params, pixels.flip(-1))
    assert (labels != frozen).any(), "the labels drift"
    for guesses_by, wanted in (("learning", labels), ("frozen", frozen)):
        own = replace(method, guesses_by=guesses_by)  # type: ignore[call-arg]
        (found,) = own.losses(params, out, labels, task).values()
        torch.testing.assert_close(found, F.cross_entropy(spoken, wanted, label_smoothing=0.1), rtol=0, atol=1e-4)


def test_4_an_underscore_stays_one_in_taskres(bench: Bench) -> None:
    one, other = _texts_and_images(bench, "taskres"), _texts_and_images(bench, "taskres", underscores="spaces")
    gap = (one - other).abs().amax(0) / bench.encoder.logit_scale
    assert [bool(number > SEEN) for number in gap] == ["_" in name for name in CLASSES]


@pytest.mark.parametrize("name", ["clip_lora", "vpt", "mvlpt_vpt"])
def test_5_texts_are_a_photo_of_a_on_every_dataset(bench: Bench, name: str) -> None:
    one, other = _texts_and_images(bench, name), _texts_and_images(bench, name, texts="dataset")
    assert _apart(one, other) > SEEN
    plainly = _task(bench, "a photo of a {}.")
    torch.testing.assert_close(_scores(bench, bench.track.resolver.method(name)(texts="dataset"), plainly), one)


def test_6_members_of_upl_vote_by_their_logits(bench: Bench) -> None:
    kind, task = bench.track.resolver.method("upl"), _task(bench)
    rng = torch.Generator().manual_seed(1)
    images, texts = torch.randn(6, 8, generator=rng), torch.randn(3, 4, 8, generator=rng)
    each = [task.scale * F.normalize(images, dim=-1) @ F.normalize(own, dim=-1).T for own in texts]
    torch.testing.assert_close(kind().head({}, images, texts, task), (each[0] + each[1] + each[2]) / 3)
    mean = sum(logits.softmax(-1) for logits in each) / 3
    torch.testing.assert_close(kind(vote="probabilities").head({}, images, texts, task).exp(), mean)


def test_7a_tip_adapter_searches_on_the_whole_validation_split(bench: Bench) -> None:
    """Of the few images all are right at once, of the whole split some only with other numbers."""
    rng = torch.Generator().manual_seed(2)
    task = _task(bench)
    support = Labelled(torch.randn(8, task.backbone.width, generator=rng), torch.arange(4).repeat(2))
    held = Labelled(task.text + 0.4 * torch.randn(4, task.backbone.width, generator=rng), torch.arange(4))
    many = torch.arange(4).repeat(40)
    whole = Labelled(support.features[many] + 0.9 * torch.randn(160, task.backbone.width, generator=rng), many)
    found = {}
    for search_on, asked in (("whole", whole), ("few", held)):
        method = bench.track.resolver.method("tip_adapter")(search_on=search_on)
        given = task.but(support=support, validation=replace(held, whole=lambda: whole))
        start = method.init(given, rng)
        found[search_on] = method.finish(start, given)
        alone = method.finish(start, given.but(validation=asked))
        for name in ("alpha", "beta"):
            assert torch.equal(found[search_on][name], alone[name]), "as if there were no other validation images"
    assert any(found["whole"][name] != found["few"][name] for name in ("alpha", "beta"))


def test_7b_keys_are_means_of_raw_features(bench: Bench) -> None:
    rng = torch.Generator().manual_seed(4)
    views = torch.randn(10, 8, bench.encoder.width, generator=rng) * torch.rand(10, 8, 1, generator=rng) * 9
    support = Labelled(views[0], torch.arange(4).repeat(2), augmented=lambda: views)
    task = _task(bench).but(support=support)
    keys = bench.track.resolver.method("tip_adapter_f")().init(task, rng)["keys"]
    torch.testing.assert_close(keys, tip_adapter.keys_of(views))
    of_units = F.normalize(F.normalize(views, dim=-1).mean(0), dim=-1)
    assert float((keys - of_units).abs().max()) > SEEN


@pytest.mark.parametrize("name", ["tip_adapter_f", "clip_lora"])
def test_7c_an_epoch_ends_in_the_images_that_are_left_over(bench: Bench, name: str) -> None:
    kind, task = bench.track.resolver.method(name), replace(_task(bench), shots=16)
    schedule = Schedule.of(kind(batch_size=256), task, 592)
    assert schedule is not None
    assert (schedule.each, [schedule.size(step) for step in range(6)]) == (3, [256, 256, 80] * 2)
    order = epoch_order(torch.Generator().manual_seed(0), 592, 256, keep_last=True)
    assert sorted([*order[:2].flatten().tolist(), *order[2, :80].tolist()]) == list(range(592))
    dropped = Schedule.of(kind(batch_size=256, keep_last=False), task, 592)
    assert dropped is not None
    assert (dropped.each, dropped.short) == (2, 0)


def test_8_behind_a_comma_a_word_of_prograd_stays_frozen(bench: Bench) -> None:
    one, other = _texts_and_images(bench, "prograd"), _texts_and_images(bench, "prograd", every_token=True)
    assert _apart(one, other) > SEEN
    task = _task(bench)
    context = bench.track.resolver.method("prograd")().init(task, torch.Generator())["context"]
    assert not context[:8].any()
    torch.testing.assert_close(context[8:], task.words("a type of pet, a photo of"))


@pytest.mark.parametrize("name", ["coop", "mvlpt_coop", "upt", "mvlpt_upt"])
@pytest.mark.parametrize("position", ["middle", "front"])
def test_9_a_full_stop_that_is_no_token_stays_with_the_name(bench: Bench, name: str, position: str) -> None:
    _texts_and_images(bench, name, position=position, context_length=4)
    tokens = bench.encoder.tokenize([f"X X X X {CLASSES[0]}.", CLASSES[0], "owl.", "owl"]).argmax(-1).tolist()
    assert [tokens[0] - 4 - tokens[1], tokens[2] - tokens[3]] == [0, 1], "bracket and full stop are one token"
    prompts = _task(bench).prompts(4, position)  # type: ignore[arg-type]
    last = int(prompts.slots[0].argmax())
    assert [last + 1 == int(prompts.ends[0]), last + 2 == int(prompts.ends[0])] == [True, False], "EOT comes next"


@pytest.mark.parametrize("name", ["grip", "fpl", "ifpl"])
def test_10_first_prompts_may_keep_their_braces(bench: Bench, name: str) -> None:
    plain = _pooled(bench)
    task = _task(bench).but(unlabelled=bench.encoder.encode_pixels(plain.pool))
    for braces in (False, True):
        method = bench.track.resolver.method(name)(braces=braces, confident=1)
        wanted = method.relabel(task, zero_shot(plain, plain.pool, braces).detach())
        found = method.relabel(task, None)
        assert found.positions.tolist() == wanted.positions.tolist()
        assert found.labels.tolist() == wanted.labels.tolist()
    assert _apart(zero_shot(plain, plain.pool, False), zero_shot(plain, plain.pool, True)) > SEEN
    assert not bench.track.resolver.method(name)().braces  # type: ignore[attr-defined]


def test_11_vpt_may_start_from_a_normal_distribution(bench: Bench) -> None:
    task, rng = _task(bench), torch.Generator()
    kind = bench.track.resolver.method("vpt")
    drawn = kind(start="normal").init(task, rng.manual_seed(0))["tokens"]
    vision = task.backbone.vision
    wanted = 0.02 * torch.randn(vision.layers, 16, vision.width, generator=rng.manual_seed(0))
    assert torch.equal(drawn, wanted)
    bound = (6 / (3 * task.backbone.patch_size**2 + vision.width)) ** 0.5
    assert float(kind().init(task, rng)["tokens"].abs().max()) <= bound < float(drawn.abs().max()) * 10


def test_12_the_templates_of_promptsrc_are_no_deviation(bench: Bench) -> None:
    assert said(bench.track.resolver.method("promptsrc"))["deviations"] == ["fp32"]


def test_13_every_card_says_that_suites_do_not_augment() -> None:
    track = catalog.track("image")
    for name in ("coop", "tip_adapter_f", "clip_lora"):
        views = track.card(name)["views"]
        assert views["default"] == 0
        assert "centre crop" in views["means"]
        assert "online" in views["papers"]


def _texts_and_images(bench: Bench, name: str, **settings: Any) -> Tensor:
    """Logits of the method at its start, which the reference's equal; it knows no ``every_token``."""
    method, task, plain = bench.track.resolver.method(name)(**settings), _task(bench), _plain(bench)
    found = _scores(bench, method, task)
    if "every_token" in settings:
        return found
    reference, start = importlib.import_module(f"tests.reference.{name}"), _start(method, task)
    for key, value in reference.start(plain, start, **_all(method)).items():
        torch.testing.assert_close(start[key], value, rtol=0, atol=1e-5)
    with torch.no_grad():
        wanted = reference.logits(plain, start, plain.train.pixels, **_all(method))
    assert _apart(found, wanted, bench.encoder.logit_scale) <= 1e-5
    return found


def _scores(bench: Bench, method: Method, task: Task) -> Tensor:
    pixels = _plain(bench).train.pixels
    features = bench.encoder.encode_pixels(pixels)
    return logits_of(method, _start(method, task), task, features, pixels)


def _start(method: Method, task: Task) -> Params:
    return method.init(task, torch.Generator().manual_seed(7))


def _all(method: Method) -> dict[str, Any]:
    return {name: getattr(method, name) for name in type(method).defaults()}


def _apart(one: Tensor, other: Tensor, unit: float = 100.0) -> float:
    return float((one - other).abs().max()) / unit


def _plain(bench: Bench) -> Plain:
    seen = bench.pictures(bench.task.splits["test"][::2])
    return Plain(bench.clip, CLASSES, TEMPLATE, seen, Pictures(seen.pixels[:0], seen.labels[:0]), [])


def _pooled(bench: Bench) -> Pooled:
    seen = _plain(bench)
    rest: dict[str, Any] = {"draw": lambda images, turn: [], "start_of": lambda turn: {}, "rng": torch.Generator}
    pool = bench.pictures(bench.task.splits["train"][:32]).pixels
    return Pooled(seen.clip, CLASSES, TEMPLATE, seen.train, seen.val, [], pool=pool, **rest)


def _task(bench: Bench, template: str = TEMPLATE) -> Task:
    return Task.of("pictures", CLASSES, template, bench.encoder, shots=2)
