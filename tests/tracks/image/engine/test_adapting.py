"""Methods that adapt to test images: every image by itself, whatever is tested with it and in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from tests.contracts import small_world
from tests.contracts.small_world import MemoryCache, Pictures, backbone
from tests.tracks.image.looked_at import logits_of
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.assets import Variations
from promptgrid.contract.clip import Adaptation, Batch, Dataset, DatasetFamily, Method, Outcome, Params, Task, stream
from promptgrid.spec import DatasetCard, Pack, Reason, Refused, Request
from promptgrid.tracks.image.data import adapting
from promptgrid.tracks.image.data.adapting import adapted_logits
from promptgrid.tracks.image.data.pixels import prepared
from promptgrid.tracks.image.data.test_views import STAND_IN, Crops, Looks, content, looks_at, views_of
from promptgrid.tracks.image.methods.diff_tpt import DiffTPT
from promptgrid.tracks.image.methods.prompt_align import PromptAlign
from promptgrid.tracks.image.methods.tpt import TPT
from promptgrid.tracks.image.track import ImageTrack

UNIT = backbone().logit_scale
CLASSES = ("red square", "blue disc", "green leaf")
TASK = Task.of("pictures", CLASSES, "a picture of a {}.", backbone())
FAST: dict[str, Any] = {"views": 7, "kept": 0.5}
METHODS: list[Method] = [
    TPT(**FAST, tuning_steps=2),
    DiffTPT(**FAST, generated=4, variations="stand_in"),
    PromptAlign(**FAST),
]
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


def images(count: int = 6) -> list[Image.Image]:
    pictures = Pictures()
    return [pictures.read(index) for index in pictures.splits["test"][::5][:count]]


def start(method: Method) -> Params:
    return method.init(TASK, stream("start", method.name))


def answers(method: Method, params: Params, seen: list[Image.Image]) -> Tensor:
    plan = method.adaptation
    assert plan is not None
    return adapted_logits(method, params, TASK, looks_at(seen, plan, backbone(), "vision_blocks" in method.needs))


@every_method
def test_an_answer_does_not_depend_on_the_order_of_the_stream(method: Method) -> None:
    seen, params = images(), start(method)
    forwards, order = answers(method, params, seen), [3, 0, 5, 1, 4, 2]
    shuffled = answers(method, params, [seen[place] for place in order])
    torch.testing.assert_close(shuffled / UNIT, forwards[order] / UNIT, rtol=0, atol=1e-5)
    alone = torch.cat([answers(method, params, [image]) for image in seen])
    torch.testing.assert_close(alone / UNIT, forwards / UNIT, rtol=0, atol=1e-5)
    assert float((forwards - forwards.mean(0)).abs().max()) > 0.1, "the images are all alike"


@every_method
def test_an_answer_does_not_depend_on_how_many_are_adapted_to_at_once(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, params = images(), start(method)
    whole = answers(method, params, seen)
    for most in (1, 4):
        monkeypatch.setattr(adapting, "AT_ONCE", most)
        torch.testing.assert_close(answers(method, params, seen) / UNIT, whole / UNIT, rtol=0, atol=1e-5)


@every_method
def test_parameters_and_towers_are_left_as_they_are(method: Method) -> None:
    params = start(method)
    before = {name: value.clone() for name, value in params.items()}
    first = answers(method, params, images(3))
    assert all(torch.equal(params[name], before[name]) for name in params)
    assert torch.equal(first, answers(method, params, images(3))), "the same bits twice"


@every_method
def test_without_a_rate_the_centre_crop_is_answered_as_it_is(method: Method) -> None:
    still = replace(method, tuning_rate=0.0)  # type: ignore[call-arg]
    seen, params = images(), start(method)
    pixels = torch.stack([prepared(image, backbone().preprocessing) for image in seen])
    plain = logits_of(still, params, TASK, backbone().encode_pixels(pixels), pixels)
    torch.testing.assert_close(answers(still, params, seen) / UNIT, plain / UNIT, rtol=0, atol=1e-5)
    assert float((answers(method, params, seen) - plain).abs().max()) > 1e-3 * UNIT


def test_tpt_starts_from_zero_shot_of_its_words() -> None:
    seen = images()
    pixels = torch.stack([prepared(image, backbone().preprocessing) for image in seen])
    text = TASK.but(template="a photo of a {}.").text
    zero_shot = UNIT * F.normalize(backbone().encode_pixels(pixels), dim=-1) @ text.mT
    found = answers(TPT(**FAST, tuning_rate=0.0), start(METHODS[0]), seen)
    torch.testing.assert_close(found / UNIT, zero_shot / UNIT, rtol=0, atol=1e-5)


def test_a_step_lowers_the_entropy_of_the_confident_views() -> None:
    method = TPT(**FAST, tuning_rate=1e-4)
    looks = looks_at(images(), method.adaptation, backbone(), inside=False)
    params = start(method)
    for features in looks.features:
        logits = method.forward(params, Batch(features=features), TASK).logits
        views = Batch(features=features[method.select_views(logits, Batch(features=features), TASK)])
        leaf = {"context": params["context"].clone().requires_grad_()}
        before = method.adapt_loss(leaf, views, TASK)
        before.backward()
        moved = {"context": (leaf["context"] - 1e-4 * leaf["context"].grad.sign()).detach()}  # type: ignore[union-attr]
        assert float(method.adapt_loss(moved, views, TASK)) < before.item()


def test_tpt_keeps_the_confident_tenth() -> None:
    logits = torch.randn(64, 5, generator=stream("views")) * 3
    kept = TPT().select_views(logits, Batch(features=torch.zeros(64, 4)), TASK)
    entropy = torch.distributions.Categorical(logits=logits).entropy()
    assert len(kept) == 6
    assert set(kept.tolist()) == set(entropy.topk(6, largest=False).indices.tolist())
    assert len(TPT(views=4).select_views(logits[:4], Batch(features=torch.zeros(4, 4)), TASK)) == 1


def test_diff_tpt_keeps_thirty_of_128_views_and_none_unlike_the_image() -> None:
    method = DiffTPT()
    plan = method.adaptation
    assert plan.views + plan.generated == 128
    features = torch.randn(128, 16, generator=stream("features"))
    logits = torch.randn(128, 5, generator=stream("views"))
    kept = method.select_views(logits, Batch(features=features), TASK)
    likeness = F.cosine_similarity(features[:1], features[1:])
    far = {1 + int(place) for place in likeness.argsort()[: 127 - 101]}
    assert len(set(kept.tolist())) == 30
    assert not far & set(kept.tolist())
    sure = logits.clone()
    sure[0] = torch.tensor([100.0, 0, 0, 0, 0])
    assert 0 in method.select_views(sure, Batch(features=features), TASK)


def test_views_belong_to_the_picture_and_not_to_its_place() -> None:
    image, other = images(2)
    crops = Crops("", 5, 0)
    first, second = (crops.look(image, crops.key(image, index), 2, backbone().preprocessing) for index in (0, 77))
    assert torch.equal(first, second)
    assert content(image) != content(other)
    assert not torch.equal(first, crops.look(image, crops.key(image, 0), 3, backbone().preprocessing))
    looks = looks_at([image], Adaptation(0.1, views=5, generated=2, stand_in=True), backbone(), inside=True)
    assert looks.pixels is not None
    assert looks.pixels(0, 1).shape == (1, 7, 3, 32, 32)
    assert torch.equal(looks.pixels(0, 1)[0, 0], prepared(image, backbone().preprocessing))
    assert torch.equal(looks.pixels(0, 1)[0, 3], first)
    assert len({content(Image.fromarray(view.permute(1, 2, 0).numpy())) for view in looks.pixels(0, 1)[0]}) == 7


class Varied(Pictures):
    """Pictures with variations of their own: as many as the index has remainder, and one more."""

    colour = 0

    @property
    def variations(self) -> Variations:
        names = {index: tuple(f"{index}-{n}" for n in range(2 + index % 3)) for index in self.splits["test"]}

        def read(name: str) -> Image.Image:
            index, number = map(int, name.split("-"))
            return Image.new("RGB", (40, 40), (index % 256, 40 * number, self.colour))

        return Variations(names, "d" * 64, read)


class Bare(Varied):
    @property
    def variations(self) -> None:  # type: ignore[override]
        return None


@dataclass
class Given(DatasetFamily):
    name: ClassVar[str] = "given"
    dataset: Dataset

    def listing(self) -> list[DatasetCard]:
        return [self.dataset.card]

    def knows(self, dataset: str) -> bool:
        return dataset == "pictures"

    def open(self, dataset: str) -> Dataset:
        return self.dataset


def wing(dataset: Dataset) -> ImageTrack:
    found = small_world.track().resolver
    return ImageTrack(found.methods, [Given(dataset)], [small_world.SmallBackbones()], found.protocols, found.columns)


def ask(method: str, protocol: str = "test_time", shots: int = 0, **settings: Any) -> Request:
    return Request("image", protocol, method, settings, "small", "pictures", shots, 1, "last", "fp32")


def run(track: ImageTrack, request: Request, cache: MemoryCache | None = None) -> Outcome:
    [cell] = track.resolve([request])
    [outcome] = track.run(Pack((cell,), wanted=frozenset({cell.key})), cache or MemoryCache(), "cpu")
    return outcome


def test_the_engine_gives_what_a_restored_method_gives() -> None:
    track = wing(Varied())
    for method in METHODS:
        settings = {**FAST, **({"generated": 4, "variations": "stand_in"} if method.name == "diff_tpt" else {})}
        labelled = method.needs_labels
        settings |= {"epochs": 1} if labelled else {}
        outcome = run(track, ask(method.name, "few_shot" if labelled else "test_time", 2 * labelled, **settings))
        assert outcome.record.status == "done", outcome.record.log_tail
        assert outcome.record.cost.eval_seconds > 0
        learned = track.restore(outcome.record, outcome.state, outcome.about, "cpu")
        [given] = outcome.predictions
        pictures = [Varied().read(index) for index in given.example[:8]]
        found = learned.logits(pictures).numpy()
        wanted = np.zeros((8, 5))
        np.put_along_axis(wanted, given.top[:8].astype(int), given.scores[:8], axis=1)
        np.testing.assert_allclose(found / UNIT, wanted / UNIT, atol=1e-5)


def test_generated_variations_are_looked_at_and_named() -> None:
    track, settings = wing(Varied()), {**FAST, "generated": 63}
    plan = DiffTPT(**settings).adaptation
    kinds = views_of(plan, Varied().variations)
    assert [count for _, count in kinds] == [6, 2], "as many as the image with the fewest has"
    outcome = run(track, ask("diff_tpt", **settings))
    assert outcome.record.status == "done", outcome.record.log_tail
    assert outcome.record.cell.identity["assets"] == {"variations": "d" * 64}
    other = Varied()
    other.colour = 200
    again = run(wing(other), ask("diff_tpt", **settings))
    assert not np.array_equal(outcome.predictions[0].scores, again.predictions[0].scores)
    with pytest.raises(ValueError, match="stand_in"):
        track.restore(outcome.record, outcome.state, outcome.about, "cpu").logits([images(1)[0]])


def test_without_variations_diff_tpt_is_refused_and_a_stand_in_is_labelled() -> None:
    track = wing(Bare())
    with pytest.raises(Refused, match=r"needs variations .*does not offer"):
        track.resolve([ask("diff_tpt")])
    outcome = run(track, ask("diff_tpt", **FAST, generated=3, variations="stand_in"))
    assert outcome.record.status == "done", outcome.record.log_tail
    assert STAND_IN in outcome.record.cell.identity["test_time"]  # type: ignore[operator]
    assert outcome.record.cell.settings["variations"] == "stand_in"
    [plain] = track.resolve([ask("tpt")])
    assert STAND_IN not in plain.identity["test_time"]  # type: ignore[operator]


def test_a_rate_out_of_this_world_fails_its_cell() -> None:
    found = small_world.track()
    [cell] = found.resolve([ask("tpt", **FAST)])
    wild = cell.model_copy(update={"settings": cell.settings | {"tuning_rate": 3e38}})
    [outcome] = found.run(Pack((wild,), wanted=frozenset({wild.key})), MemoryCache(), "cpu")
    assert outcome.record.reason is Reason.NAN_LOSS, outcome.record.log_tail


def test_views_are_encoded_once_for_all_methods() -> None:
    class Counting(MemoryCache):
        computed = 0

        def get(self, name: str, compute: Any) -> Any:
            self.computed += name not in self.kept
            return super().get(name, compute)

    track, cache = wing(Varied()), Counting()
    run(track, ask("tpt", **FAST), cache)
    first = cache.computed
    run(track, ask("tpt", **FAST, tuning_steps=3), cache)
    assert (first, cache.computed) == (2, 2), "the centre crops, and a block of crops"
    run(track, ask("prompt_align", "few_shot", 2, **FAST, epochs=1), cache)
    assert cache.computed == 4, "training and validation images"


def test_tpt_with_coop_starts_from_what_coop_learns() -> None:
    learned = [
        run(small_world.track(), ask(method, "few_shot", 2, words="a photo of a", context_length=4, epochs=2, **more))
        for method, more in (("coop", {}), ("tpt", {"start": "coop", **FAST}))
    ]
    assert [outcome.record.status for outcome in learned] == ["done", "done"]
    assert np.array_equal(learned[0].state["context"], learned[1].state["context"])
    assert not np.array_equal(learned[0].predictions[0].scores, learned[1].predictions[0].scores)


def test_methods_that_do_not_adapt_are_named() -> None:
    method = small_world.track().resolver.method("coop")()
    with pytest.raises(ValueError, match="'coop' does not adapt"):
        adapted_logits(method, {}, TASK, Looks(torch.zeros(1, 2, 3)))


def test_cells_that_do_not_adapt_are_named_as_before() -> None:
    [plain, adapting_one] = small_world.track().resolve([ask("zero_shot"), ask("tpt")])
    assert "test_time" not in plain.identity
    assert "test_time" in adapting_one.identity
