"""What backbones, datasets and protocols promise, as plain checks: each raises AssertionError with a sentence."""

from __future__ import annotations

from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from promptgrid.contract.assets import Pairs, Second
from promptgrid.contract.clip.backbone import Backbone
from promptgrid.contract.dataset import Dataset
from promptgrid.contract.protocol import Protocol
from promptgrid.contract.randomness import stream

NEW_CLASSES = ("dog", "steam train", "paper_kite")
CLASSES = ("cat", "traffic_light", "oak leaf", "blue tea pot")
SHOTS = 2
TOLERANCE = 1e-5


def check_backbone(backbone: Backbone) -> None:
    """Finite features of the promised width, the same bits twice, no gradient into frozen weights."""
    pixels, _ = pictures(backbone, 1)
    images, texts = backbone.encode_pixels(pixels), backbone.encode_prompts(["a cat.", "a dog."])
    for what, found, rows in (("image", images, len(pixels)), ("text", texts, 2)):
        assert tuple(found.shape) == (rows, backbone.width), f"{what} features are {tuple(found.shape)}"
        assert bool(torch.isfinite(found).all()), f"an {what} feature is not finite"
        assert not found.requires_grad, f"{what} features carry a gradient: the tower is not frozen"
    assert "features" in backbone.offers, "every backbone offers features"
    assert backbone.logit_scale > 0, f"the logit scale is {backbone.logit_scale}"
    assert fingerprint(backbone) == fingerprint(backbone), "the same input gave other features"
    if "text_tokens" in backbone.offers:
        tokens = backbone.tokenize(["a cat.", "a dog."])
        again = backbone.encode_text(backbone.embed_tokens(tokens), tokens.argmax(-1))
        assert_close(again, texts, "encode_text of embedded tokens differs from encode_prompts")
    if "pixels" in backbone.offers:
        floats = backbone.normalised(pixels).requires_grad_()
        changed = backbone.encode_image(floats)
        assert_close(changed.detach(), images, "encode_image of normalised pixels differs from encode_pixels")
        (slope,) = torch.autograd.grad(changed.sum(), floats)
        assert bool(slope.abs().sum() > 0), "no gradient reaches the pixels"
        ends = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, *pixels.shape[1:])
        assert_close(
            backbone.pixel_range.expand_as(ends), backbone.normalised(ends), "pixel_range is not black to white"
        )
    if "vision_blocks" in backbone.offers:
        inside = backbone.encode_patches(backbone.patches(pixels))
        assert_close(inside, images, "encode_patches of patches differs from encode_pixels")


def check_dataset(dataset: Dataset) -> None:
    """Splits are disjoint, as the card counts them, with labels of its classes; first and last image can be read."""
    card, seen = dataset.card, set[int]()
    assert {name: len(rows) for name, rows in dataset.splits.items() if rows} == {
        name: count for name, count in card.splits.items() if count
    }, f"{card.name}: the splits differ from the card's counts"
    for name, rows in dataset.splits.items():
        assert len(set(rows)) == len(rows), f"{card.name}: {name} lists an image twice"
        assert seen.isdisjoint(rows), f"{card.name}: an image of {name} stands in another split too"
        seen.update(rows)
        wrong = [index for index in rows if not 0 <= dataset.labels[index] < len(card.classes)]
        assert not wrong, f"{card.name}: image {wrong[0]} has a label that the card does not name"
        for index in {rows[0], rows[-1]} if rows else ():
            assert dataset.read(index).mode == "RGB", f"{card.name}: image {index} is not read as RGB"


def check_protocol(protocol: Protocol, dataset: Dataset) -> None:
    """Splits are the same twice, train on training images and test on test images; the headline is a metric."""
    split, name = protocol.split(dataset, 1, 1), type(protocol).name
    assert split == protocol.split(dataset, 1, 1), f"{name}: the same arguments gave another split"
    for part in ("train", "val"):
        strays = set(getattr(split, part)) - set(dataset.splits.get(part, ()))
        assert not strays, f"{name}: {part} holds images that are not the dataset's {part} images"
    pool = set(split.unlabelled)
    assert pool <= set(dataset.splits["train"]), f"{name}: the pool holds images that are not training images"
    assert not pool & {*split.train, *split.val}, f"{name}: a labelled image stands in the pool too"
    assert bool(pool) <= ("unlabelled" in protocol.offers), f"{name}: there is a pool, and `offers` does not say so"
    assert not set(split.unseen) & set(split.classes), f"{name}: a class is both known by images and unseen"
    for evaluation in split.evaluations:
        strays = set(evaluation.indices) - set(dataset.splits["test"])
        assert not strays, f"{name}: {evaluation.name!r} is scored on images that are no test images"
        labels = {dataset.labels[index] for index in evaluation.indices}
        assert labels <= set(evaluation.classes), f"{name}: {evaluation.name!r} has images of classes it leaves out"
    assert {dataset.labels[index] for index in split.train} <= set(split.classes), f"{name}: a stray training label"
    scores = {evaluation.name: dict.fromkeys(protocol.scores, 0.5) for evaluation in split.evaluations}
    assert protocol.headline in protocol.metrics(scores), f"{name}: the headline is none of its metrics"
    assert protocol.choose_by in protocol.scores, f"{name}: it chooses by {protocol.choose_by!r}, which is no score"
    told = protocol.choose_by == protocol.headline or protocol.headline not in protocol.scores
    assert told, f"{name}: it chooses by {protocol.choose_by!r}, and its headline is {protocol.headline!r}"


def assets_for(needs: frozenset[str], backbone: Backbone) -> dict[str, Any]:
    """The fields of a task that hold small stand-ins for the assets a method needs."""
    pixels, labels = pictures(backbone, 2000)
    features = backbone.encode_pixels(pixels)
    said = {name: (f"a small {name}", f"the look of {name}") for name in (*CLASSES, *NEW_CLASSES)}
    captions = tuple(f"a photo of a {name}" for name in CLASSES)
    own: dict[str, dict[str, Any]] = {
        "descriptions": {"descriptions": said},
        "unlabelled": {"unlabelled": features, "unlabelled_pixels": pixels, "seen": len(CLASSES)},
        "domain_labels": {"domains": tuple("ab"[place % 2] for place in range(len(labels)))},
        "second_backbone": {"second": Second(second_look(pixels), second_look(pixels))},
        "image_text_pairs": {"pairs": Pairs(features, captions, labels)},
    }
    return {field: value for name in needs & own.keys() for field, value in own[name].items()}


def second_look(pixels: Tensor) -> Tensor:
    """(N, 3) mean colours: what stands in for the features of a second backbone."""
    return pixels.float().mean((2, 3)) / 255


def pictures(backbone: Backbone, seed: int) -> tuple[Tensor, Tensor]:
    """``SHOTS`` uint8 pictures a class (N, 3, size, size), a colour a class under noise, and labels (N,)."""
    rng = stream("conformance", "pictures", seed)
    labels = torch.arange(len(CLASSES)).repeat_interleave(SHOTS)
    colours = torch.randint(40, 216, (len(CLASSES), 3, 1, 1), generator=stream("conformance", "colours"))
    noise = torch.randint(-40, 41, (len(labels), 3, backbone.image_size, backbone.image_size), generator=rng)
    return (colours[labels] + noise).clamp(0, 255).to(torch.uint8), labels


def fingerprint(backbone: Backbone) -> bytes:
    """The bits of what the frozen towers say about fixed inputs, on one thread: on several the last bits may vary."""
    pixels, _ = pictures(backbone, 0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            image, text = backbone.encode_pixels(pixels), backbone.encode_prompts(["a cat.", "an oak leaf."])
    finally:
        torch.set_num_threads(threads)
    said = {"image": image, "text": text}
    return save({key: value.detach().cpu().contiguous() for key, value in said.items()})


def assert_close(found: Tensor, wanted: Tensor, message: str) -> None:
    """Within ``TOLERANCE`` of the largest number of ``wanted``, at least 1."""
    gap = float((found - wanted).abs().max() / wanted.abs().max().clamp_min(1.0))
    assert gap <= TOLERANCE, f"{message} (by {gap:.2g})"
