"""Methods that learn from an unlabelled pool: which images they take, as what, and that nobody tells them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image
from tests.contracts.small_world import MemoryCache, Pictures, SmallBackbones, backbone, brief, request, track
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.assets import Second
from promptgrid.contract.clip import Batch, Dataset, DatasetFamily, Method, Outputs, Task
from promptgrid.engine.training.sampling import Prefetched
from promptgrid.spec import Cell, DatasetCard, Pack
from promptgrid.tracks.image.methods import nola
from promptgrid.tracks.image.methods.fpl import FPL
from promptgrid.tracks.image.methods.grip import GRIP
from promptgrid.tracks.image.methods.ifpl import IFPL
from promptgrid.tracks.image.methods.lafter import LaFTer
from promptgrid.tracks.image.methods.parts.own_guesses import agreement, one_sidedness
from promptgrid.tracks.image.methods.parts.pseudo import confident, leaderboards, surest
from promptgrid.tracks.image.methods.parts.typical import typical
from promptgrid.tracks.image.methods.pouf import POUF
from promptgrid.tracks.image.methods.tfup import TFUP
from promptgrid.tracks.image.methods.tfup_t import TFUPT
from promptgrid.tracks.image.methods.upl import UPL
from promptgrid.tracks.image.track import ImageTrack

POOLED = sorted(name for name, method in track().resolver.methods.items() if "unlabelled" in method.needs)
CLASSES = 5


def likely(images: int, classes: int = CLASSES, seed: int = 0) -> Tensor:
    return torch.randn(images, classes, generator=torch.Generator().manual_seed(seed)).mul(2.0).softmax(-1)


def pooled(make_task: Any, images: int = 23, seen: int = CLASSES) -> Task:
    task = make_task()
    rng = torch.Generator().manual_seed(3)
    said = {name: (f"the look of {name}", f"one more {name}") for name in task.classes}
    features = torch.randn(images, task.backbone.width, generator=rng)
    return task.but(unlabelled=features, seen=seen, descriptions=said)


@pytest.mark.parametrize("images", [20, 23, 50])
@pytest.mark.parametrize("seen", [CLASSES, 3])
def test_grip_takes_more_in_each_round_and_all_of_the_pool_in_the_tenth(make_task, images: int, seen: int) -> None:
    """Invariant 10: each image at most once, at most K a class, the whole pool in round 10."""
    method, task = GRIP(), pooled(make_task, images, seen)
    classes, first = (CLASSES, 0) if seen == CLASSES else (CLASSES - seen, seen)
    counts = []
    for turn in range(10):
        logits = None if not turn else torch.randn(images, CLASSES, generator=torch.Generator().manual_seed(turn))
        chosen = method.relabel(replace(task, turn=turn), logits)
        positions = chosen.positions.tolist()
        assert len(set(positions)) == len(positions), "an image has two labels"
        most = -(-images // classes) if turn == 9 else max(1, (turn + 1) * images // (10 * classes))
        assert int(torch.bincount(chosen.labels).max()) <= most
        assert int(chosen.labels.min()) >= first, "the pool holds unseen classes alone"
        counts.append(len(positions))
    assert counts == sorted(counts)
    assert tuple(counts) == method.draws(task, images)
    assert sorted(positions) == list(range(images))


def test_fpl_trains_once_and_ifpl_ten_times_on_sixteen_a_class(make_task) -> None:
    task = pooled(make_task)
    assert FPL().draws(task, 1000) == (16 * CLASSES,)
    assert IFPL().draws(task, 1000) == (16 * CLASSES,) * 10
    assert IFPL().draws(task, 30) == (30,) * 10, "there are no more"


def test_no_image_and_class_would_rather_have_each_other() -> None:
    sure = likely(60)
    chosen = leaderboards(sure.log(), 7)
    place = dict(zip(chosen.positions.tolist(), chosen.labels.tolist(), strict=True))
    assert len(place) == 35
    worst = {label: min(float(sure[i, own]) for i, own in place.items() if own == label) for label in range(CLASSES)}
    for image in range(60):
        for label in range(CLASSES):
            envied = image not in place or sure[image, label] > sure[image, place[image]]
            assert not (envied and float(sure[image, label]) > worst[label])


def test_leaderboards_do_not_depend_on_the_order_of_the_pool() -> None:
    sure, order = likely(60), torch.randperm(60, generator=torch.Generator().manual_seed(1))
    one, other = leaderboards(sure.log(), 7), leaderboards(sure.log()[order], 7)
    again = sorted((int(order[i]), int(label)) for i, label in zip(other.positions, other.labels, strict=True))
    assert again == list(zip(one.positions.tolist(), one.labels.tolist(), strict=True))


def test_leaderboards_end_even_where_a_model_has_diverged() -> None:
    assert len(leaderboards(torch.full((9, 3), torch.nan), 2).positions) == 6


def test_upl_takes_the_surest_of_those_it_takes_for_a_class() -> None:
    sure = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7]])
    chosen = confident(sure.log(), 2)
    assert (chosen.positions.tolist(), chosen.labels.tolist()) == ([0, 2, 3], [0, 0, 1])
    nobody = confident(torch.tensor([[0.9, 0.1], [0.6, 0.4]]).log(), 2)
    assert nobody.labels.tolist() == [0, 0], "no image is taken for the second class"


def test_nola_asks_for_second_choices_where_nobody_puts_a_class_first() -> None:
    sure = torch.tensor([[0.7, 0.2, 0.1], [0.6, 0.1, 0.3], [0.5, 0.1, 0.4], [0.2, 0.7, 0.1]])
    rows, labels = surest(sure.log(), 2)
    assert (rows.tolist(), labels.tolist()) == ([0, 1, 2, 3], [0, 0, 2, 1]), "the third class has the third image"
    rows, labels = surest(sure.log(), 1, first=1)
    assert (rows.tolist(), labels.tolist()) == ([2, 3], [2, 1]), "0.4 : 0.1 and 0.7 : 0.1 are the surest"


@pytest.mark.parametrize(("seen", "most"), [(CLASSES, 16), (3, 40)])
def test_nola_takes_a_fifth_of_the_pool_over_the_classes_it_may_be_of(make_task, monkeypatch, seen, most) -> None:
    asked = []
    monkeypatch.setattr(nola, "surest", lambda *given: asked.append(given[1:]) or surest(*given))
    task = pooled(make_task, 400, seen)
    unlabelled = torch.randn(400, 7, generator=torch.Generator().manual_seed(4))
    nola.NoLA().init(task.but(second=Second(None, unlabelled)), torch.Generator().manual_seed(0))
    assert asked == [(most, 0 if seen == CLASSES else seen)]


@pytest.mark.parametrize("seen", [CLASSES, 3])
def test_images_of_unseen_classes_are_guessed_to_be_of_those(make_task, batch_of, seen: int) -> None:
    """A teacher that is sure of the first class, and after it of the fourth."""
    (batch, labels), task = batch_of(), replace(pooled(make_task, seen=seen), turn=1)
    wanted = 0 if seen == CLASSES else 3
    sure = 30.0 * torch.eye(CLASSES)[0] + 20.0 * torch.eye(CLASSES)[3]
    said = torch.randn(10, CLASSES, generator=torch.Generator().manual_seed(5))
    out = Outputs(batch.features, task.text, said, batch.but(plain=torch.ones(10, 16), second=torch.zeros(10, 7)))
    loss = F.cross_entropy(said, torch.full((10,), wanted), label_smoothing=0.1)
    taught = LaFTer(guesses_by="frozen").losses({"teacher": sure[:, None].expand(-1, 16)}, out, labels, task)
    assert float(taught["consistency"]) == pytest.approx(float(loss), rel=1e-5)
    head = {"align_in": torch.zeros(4, 7), "align_in_bias": torch.zeros(4), "align_out": torch.zeros(CLASSES, 4)}
    taught = nola.NoLA().losses(head | {"align_out_bias": sure}, out, labels, task)
    assert float(taught["consistency"]) == pytest.approx(float(loss), rel=1e-5)
    plain = F.cross_entropy(said, torch.full((10,), wanted))
    first = 0 if seen == CLASSES else seen
    assert float(agreement(said, sure.expand(10, -1), 0.9, first)) == pytest.approx(float(plain), rel=1e-5)
    assert float(one_sidedness(said, first)) == pytest.approx(float(one_sidedness(said[:, first:])))
    chosen = TFUPT().relabel(replace(task, turn=0), None)
    assert int(chosen.labels.min()) >= first


@pytest.fixture
def two_looks(make_task, batch_of) -> tuple[Task, Outputs, Tensor]:
    """A task in its last phase, outputs of a batch whose view without augmentation is the opposite, and labels."""
    task, (batch, labels) = replace(pooled(make_task, 200), turn=1), batch_of()
    said = torch.randn(10, CLASSES, generator=torch.Generator().manual_seed(5))
    batch = batch.but(plain=-batch.features, second=-batch.features[:, :7])
    return task, Outputs(batch.features, task.text, said, batch), labels


def taught_by(said: Tensor, guesses: Tensor, smoothing: float = 0.0) -> float:
    return float(F.cross_entropy(said, guesses, label_smoothing=smoothing))


def test_lafter_takes_its_label_from_the_view_without_augmentation(two_looks) -> None:
    task, out, labels = two_looks
    teacher = torch.randn(CLASSES, 16, generator=torch.Generator().manual_seed(6))
    weak, strong = ((F.normalize(seen, dim=-1) @ teacher.mT).argmax(-1) for seen in (out.batch.plain, out.image))
    assert taught_by(out.logits, weak, 0.1) != pytest.approx(taught_by(out.logits, strong, 0.1), rel=1e-3)
    found = LaFTer(guesses_by="frozen").losses({"teacher": teacher}, out, labels, task)
    assert float(found["consistency"]) == pytest.approx(taught_by(out.logits, weak, 0.1), rel=1e-5)


def test_nola_takes_its_label_from_what_the_second_backbone_sees(two_looks) -> None:
    """Of the view without augmentation: see the next test but one."""
    task, out, labels = two_looks
    rng = torch.Generator().manual_seed(6)
    first, last = torch.randn(9, 7, generator=rng), torch.randn(CLASSES, 9, generator=rng)
    head = {"align_in": first, "align_in_bias": torch.zeros(9), "align_out": last, "align_out_bias": torch.zeros(5)}
    weak, strong = ((F.relu(seen @ first.mT) @ last.mT).argmax(-1) for seen in (out.batch.second, out.image[:, :7]))
    assert taught_by(out.logits, weak, 0.1) != pytest.approx(taught_by(out.logits, strong, 0.1), rel=1e-3)
    found = nola.NoLA().losses(head, out, labels, task)
    assert float(found["consistency"]) == pytest.approx(taught_by(out.logits, weak, 0.1), rel=1e-5)


def test_tfup_t_takes_its_label_from_the_view_without_augmentation(two_looks) -> None:
    task, out, labels = two_looks
    method = TFUPT(threshold=0.0)  # every guess counts
    params = method.init(task, torch.Generator().manual_seed(0))
    params |= {"up": torch.zeros_like(params["up"])}
    weak, strong = (
        TFUP().forward(params, Batch(features=seen), task).logits.argmax(-1) for seen in (out.batch.plain, out.image)
    )
    assert taught_by(out.logits, weak) != pytest.approx(taught_by(out.logits, strong), rel=1e-3)
    found = method.losses(params, out._replace(text=method.text(params, task)), labels, task)
    assert float(found["consistency"]) == pytest.approx(taught_by(out.logits, weak), rel=1e-5)


@pytest.mark.parametrize("name", ["lafter", "nola", "tfup_t"])
def test_where_views_are_declared_the_view_without_augmentation_is_kept_beside_them(name: str, monkeypatch) -> None:
    """On a whole run; the second backbone of the small world is the first one again."""
    looked: list[Batch] = []
    batch_of = Prefetched.batch
    monkeypatch.setattr(Prefetched, "batch", lambda *given: looked.append(batch_of(*given)) or looked[-1])
    asked = replace(request(name, protocol="unsupervised", **brief(name)), shots=0, views="online")
    (cell,) = track().resolve([asked])
    (outcome,) = track().run(Pack((cell,), wanted=frozenset({cell.key})), MemoryCache(), "cpu")
    assert outcome.record.status == "done", outcome.record.log_tail
    assert looked
    for batch in looked:
        assert not torch.allclose(batch.plain, batch.features, atol=1e-3)
        if name == "nola":
            torch.testing.assert_close(batch.second, batch.plain)
        if name == "lafter":
            torch.testing.assert_close(backbone().encode_patches(batch.beside[0, :, 0]), batch.plain[0])


@pytest.mark.parametrize("vote", ["logits", "probabilities"])
def test_upl_scores_by_the_mean_of_its_members(vote: str, make_task, batch_of) -> None:
    task, (batch, labels) = pooled(make_task), batch_of()
    method = UPL(members=3, context_length=2, vote=vote)
    params = method.init(task, torch.Generator().manual_seed(0))
    found = method.forward(params, batch, task)
    one_of = UPL(members=1, context_length=2, vote=vote)
    alone = torch.stack([one_of.forward({"context": one[None]}, batch, task).logits for one in params["context"]])
    mean = alone.mean(0) if vote == "logits" else alone.exp().mean(0).log()
    torch.testing.assert_close(found.logits, mean, atol=1e-4, rtol=1e-5)
    own = [float(UPL(members=1, context_length=2).losses({}, replace_text(found, i), labels, task)["cross_entropy"])
           for i in range(3)]  # fmt: skip
    assert float(method.losses(params, found, labels, task)["cross_entropy"]) == pytest.approx(sum(own), rel=1e-5)


def replace_text(out: Outputs, member: int) -> Outputs:
    return out._replace(text=out.text[member : member + 1])


@pytest.mark.parametrize("method", [POUF(), TFUPT()])
def test_losses_of_unlabelled_images_do_not_look_at_labels(make_task, batch_of, method: Method) -> None:
    task, (batch, labels) = replace(pooled(make_task), turn=1), batch_of()
    params = method.init(task, torch.Generator().manual_seed(0))
    out = method.forward(params, batch.but(plain=batch.features + 0.1), task)
    one, other = (method.losses(params, out, seen, task) for seen in (labels, torch.full_like(labels, -1)))
    assert {name: float(value) for name, value in one.items()} == {name: float(value) for name, value in other.items()}


def test_pouf_is_at_rest_where_every_image_is_at_its_text(make_task) -> None:
    """Transport costs nothing, guesses are sure and spread over the classes: minus the entropy of the classes."""
    text = torch.eye(4, 8)
    out = Outputs(text, text, 1000.0 * torch.eye(4), None)
    losses = POUF().losses({}, out, torch.full((4,), -1), make_task())
    assert float(losses["transport"]) == pytest.approx(0.0, abs=1e-6)
    assert float(losses["information"]) == pytest.approx(-0.3 * 1.386294, abs=1e-4)


def test_tfup_scores_an_image_alone_as_in_company(make_task, batch_of) -> None:
    task, (batch, _) = pooled(make_task, 200), batch_of()
    method = TFUP()
    params = method.init(task, torch.Generator())
    assert params["keys"].shape[0] == CLASSES * 12, "0.3 x 200 / 5"
    together = method.forward(params, batch, task).logits
    alone = torch.cat([method.forward(params, Batch(features=row[None]), task).logits for row in batch.features])
    torch.testing.assert_close(alone, together)
    unmoved = TFUP(alpha=0.0).forward(params, batch, task).logits
    assert float((together - unmoved).abs().max()) > 0.01, "the cache says nothing"


def test_typical_images_are_those_near_the_other_likely_ones() -> None:
    odd = torch.tensor([[0.9, 0.05, 0.05], [0.89, 0.1, 0.01], [0.88, 0.01, 0.11], [0.1, 0.8, 0.1]])
    rows, labels = typical(odd, 1)
    assert labels.tolist() == [0, 1, 2]
    assert rows[0] in (0, 1)
    assert len(typical(odd, 9)[0]) == 12, "no more than there are; one image may stand for several classes"


def test_tfup_t_starts_where_its_texts_say(make_task, batch_of) -> None:
    task, (batch, _) = pooled(make_task), batch_of()
    params = TFUPT().init(task, torch.Generator().manual_seed(0)) | {"up": torch.zeros(16, 4)}
    found = TFUPT().forward(params, batch, task).logits
    torch.testing.assert_close(found, TFUP(alpha=0.0).forward(params, batch, task).logits)


class Relabelled(Pictures):
    """The same pictures, and other labels in the train split."""

    def __init__(self) -> None:
        super().__init__()
        train = self.splits["train"]
        turned = [self.labels[i] for i in train[::-1]]
        for index, label in zip(train, turned, strict=True):
            self.labels[index] = label
        self.whole = Pictures()

    def read(self, index: int) -> Image.Image:
        return self.whole.read(index)


class Family(DatasetFamily):
    """One name: ``pictures``."""

    name = "one"

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def listing(self) -> list[DatasetCard]:
        return [self.dataset.card]

    def knows(self, dataset: str) -> bool:
        return dataset == "pictures"

    def open(self, dataset: str) -> Dataset:
        return self.dataset


@pytest.mark.parametrize("name", POOLED)
def test_nobody_tells_the_labels_of_the_pool(name: str) -> None:
    """Without labels, other labels of the training images give the same bits."""
    states = []
    for dataset in (Pictures(), Relabelled()):
        found = track().resolver
        wing = ImageTrack(found.methods, [Family(dataset)], [SmallBackbones()], found.protocols, found.columns)
        cell = _cell(wing, name)
        pack = Pack((cell,), wanted=frozenset({cell.key}))
        (outcome,) = wing.run(pack, MemoryCache(), "cpu")
        assert outcome.record.status == "done", outcome.record.log_tail
        states.append({key: value.tobytes() for key, value in outcome.state.items()})
    assert states[0] == states[1]


@pytest.mark.parametrize("name", POOLED)
def test_it_takes_part_where_classes_are_unseen(name: str) -> None:
    (cell,) = track().resolve([request(name, protocol="transductive_zero_shot", **brief(name))])
    (outcome,) = track().run(Pack((cell,), wanted=frozenset({cell.key})), MemoryCache(), "cpu")
    assert outcome.record.status == "done", outcome.record.log_tail
    assert {"seen_accuracy", "unseen_accuracy"} <= outcome.record.metrics.keys()


def _cell(wing: ImageTrack, name: str) -> Cell:
    (cell,) = wing.resolve([replace(request(name, protocol="unsupervised", **brief(name)), shots=0)])
    return cell
