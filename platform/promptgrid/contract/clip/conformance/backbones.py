"""What a dual encoder promises."""

from __future__ import annotations

import torch
from safetensors.torch import save

from promptgrid.contract.clip.backbone import Backbone
from promptgrid.contract.clip.conformance.pictures import pictures
from promptgrid.contract.conformance.closeness import assert_close


def check_backbone(backbone: Backbone) -> None:
    """Finite features of the promised width, the same bits twice, no gradient into frozen weights."""
    pixels, _ = pictures(backbone, 1)
    images = backbone.encode_pixels(pixels)
    texts = backbone.encode_prompts(["a cat.", "a dog."]) if backbone.reads_texts else images[:0]
    for what, found, rows in (("image", images, len(pixels)), ("text", texts, 2 * backbone.reads_texts)):
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


def fingerprint(backbone: Backbone) -> bytes:
    """The bits of what the frozen towers say about fixed inputs, on one thread: on several the last bits may vary."""
    pixels, _ = pictures(backbone, 0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            image = backbone.encode_pixels(pixels)
            text = backbone.encode_prompts(["a cat.", "an oak leaf."]) if backbone.reads_texts else image[:0]
    finally:
        torch.set_num_threads(threads)
    said = {"image": image, "text": text}
    return save({key: value.detach().cpu().contiguous() for key, value in said.items()})
