"""What a training step of a cell on a dual encoder costs: arithmetic and memory, from sizes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from promptgrid.contract.clip import Backbone, Classifier, Method, Sphere, Spsa, Task
from promptgrid.contract.clip.black_box import INSIDE_IMAGES
from promptgrid.contract.clip.method import adaptation_of, beside_of
from promptgrid.engine.planning.packing import CALL_SECONDS, Expectation, Room, work
from promptgrid.engine.wing import Wing
from promptgrid.spec import Cell


@dataclass(frozen=True)
class Shape:
    """Sizes that decide what one training step of a cell costs; those of ViT-B/16 where a backbone does not say."""

    classes: int
    images: int
    text_width: int = 512
    text_layers: int = 12
    vision_width: int = 768
    vision_layers: int = 12
    patches: int = 196
    image_size: int = 224

    @classmethod
    def of(cls, backbone: Backbone, classes: int, images: int) -> Shape:
        """The sizes of ``backbone``, loaded."""
        return cls(
            classes=classes,
            images=images,
            text_width=backbone.text.width,
            text_layers=backbone.text.layers,
            vision_width=backbone.vision.width,
            vision_layers=backbone.vision.layers,
            patches=(backbone.image_size // backbone.patch_size) ** 2,
            image_size=backbone.image_size,
        )


def step_flops(method: Method, shape: Shape, batch: int) -> float:
    """Multiply-adds, doubled, of one training step: towers that need gradients count three times."""
    text = 24.0 * shape.text_width**2 * shape.text_layers * _text_tokens(method, shape, batch) * 3
    image = 24.0 * shape.vision_width**2 * shape.vision_layers * (shape.patches + 17) * batch * 3
    heads = 6.0 * shape.text_width * (shape.classes + shape.images) * batch
    return text + image * _looks(method) / 3 + heads


def adapting_flops(method: Method, shape: Shape, images: int) -> float:
    """Of adapting to ``images`` test images one by one: their views through the image tower, and the steps."""
    plan = adaptation_of(method)
    if plan is None:
        return 0.0
    look = 24.0 * shape.vision_width**2 * shape.vision_layers * (shape.patches + 17) * (plan.views + plan.generated)
    return images * (look + plan.steps * step_flops(method, shape, max(1, plan.views // 10)))


def cell_memory_mb(method: Method, shape: Shape, batch: int) -> float:
    """Activations kept for the backward pass of one cell, its training images, and a tower whose weights it learns.

    About 12 numbers a token, width and layer (measured with five methods on the bundled backbone: within 40 %); of a
    weight that is learned five: itself, its gradient, what AdamW holds, and what the step makes.
    """
    text = _text_tokens(method, shape, batch) * shape.text_width * shape.text_layers
    tokens = (shape.patches + 17) * batch
    layers = 2 if "logits" in method.needs else shape.vision_layers  # without gradients nothing is kept
    image = tokens * shape.vision_width * layers if _looks(method) else 0
    kept = shape.images * shape.image_size**2 * 3 if _looks(method) else 0
    own = 5 * 4 * 12 * shape.vision_width**2 * shape.vision_layers if "weights" in method.needs else 0
    return (12 * 4 * (text + image) + kept + own) / 2**20 + 0.5


def halves_mb(method: Method, shape: Shape) -> float:
    """The frozen blocks that take part in a step once more, in half precision: 12 width² numbers a layer."""
    text = shape.text_width**2 * shape.text_layers if _text_tokens(method, shape, 1) else 0
    image = shape.vision_width**2 * shape.vision_layers if INSIDE_IMAGES & method.needs else 0
    return 2 * 12 * (text + image) / 2**20


def _text_tokens(method: Method, shape: Shape, batch: int) -> int:
    """Tokens that pass the text tower in a step: one context, and about five of each class behind it."""
    if not {"text_tokens", "text_blocks"} & method.needs:
        return 0
    each = isinstance(method, Classifier) and method.texts_per_image
    return (shape.classes * 5 + 17) * (batch * _views(method) if each else 1)


def _looks(method: Method) -> float:
    """Forward passes of the image tower in a step: three for each view to learn from, one for each loss asked for."""
    if "logits" in method.needs:
        policy = method.step(Task.of("", (), "{}", cast(Backbone, None)))
        return float(policy.asks) if isinstance(policy, Spsa | Sphere) else 1.0
    return 3.0 * _views(method) if INSIDE_IMAGES & method.needs else 0.0


def _views(method: Method) -> int:
    """Views of a training image that a step looks at."""
    return 1 + len(beside_of(method))


def expectation(wing: Wing, sizes: Mapping[str, int], cell: Cell, room: Room) -> Expectation:
    """What ``cell`` takes on a machine with this ``room``, as is expected; ``sizes`` are those of its backbone."""
    method = wing.resolver.method(cell.method)(**cell.settings)
    card = wing.resolver.dataset(cell.dataset).card
    task, labelled, pool = wing.amounts(method, cell.dataset, cell.shots)
    shape = Shape(classes=len(card.classes), images=(labelled + pool) * max(1, _kept(cell)), **sizes)
    tests = card.splits["test"]
    adapting = adapting_flops(method, shape, tests) / room.flops_a_second
    if cell.reading == "evaluate" or cell.members:  # looks forward at the test images, and nothing kept of them
        look = 0.05 + step_flops(method, shape, tests) / 3 / room.flops_a_second + adapting
        return Expectation(0, max(1, len(cell.members)) * look, 1.0)
    steps, batch = work(method, task, labelled, pool)
    inside = bool(INSIDE_IMAGES & method.needs) and not adapting  # test images pass a tower that was changed
    adapting += inside * step_flops(method, shape, tests) / 3 / room.flops_a_second
    call = CALL_SECONDS / (8 if method.packs else 1)
    seconds = 0.1 + adapting + steps * (call + step_flops(method, shape, batch) / room.flops_a_second)
    halves = halves_mb(method, shape) if cell.precision == "amp" else 0.0
    return Expectation(steps, seconds, cell_memory_mb(method, shape, batch), halves)


def state_mb(wing: Wing, sizes: Mapping[str, int], cell: Cell) -> float:
    """MB (10^6 bytes) of what ``cell`` keeps of a tower that it tunes, its blocks in fp32; 0 where it tunes none."""
    tunes = "weights" in wing.resolver.method(cell.method).needs
    if cell.reading == "evaluate" or cell.members or not tunes:
        return 0.0
    return 4e-6 * 12 * sizes["vision_layers"] * sizes["vision_width"] ** 2


def _kept(cell: Cell) -> int:
    """Views of an image that are held at once; of ``online`` those of the next few epochs."""
    return 4 if cell.views == "online" else int(cell.views)
