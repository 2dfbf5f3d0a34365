"""GOPro: a context that moves with what an image shows at every depth, and stays where it is when it is restyled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Batch, Number, Outputs, Params, Task, Trained, knob
from promptgrid.contract.clip.method import View
from promptgrid.tracks.image.methods.parts.contrast import contrast, projector
from promptgrid.tracks.image.methods.parts.depths import depths, shift
from promptgrid.tracks.image.methods.parts.per_image import in_parts, scores, unit_texts
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words, context


@dataclass(frozen=True)
class GOPro(Trained):
    """GOPro: contexts that each image shifts by its tokens of all layers, taught to agree on restyled views.

    Source: Singha et al., section 3; mainaksingha01/GOPro e284586 (``gopro.py``).
    Of the tokens behind block l, mean m_l and deviation s_l: style S_l (m_l + s_l) / 2, content C_l m_l, both linear;
    V(x) = V + sum_l a_l (style_l + content_l) / 2, one shift of all tokens; each image has texts t(x) of its own.
    Loss: CE + mean (t(x) - t(moco))² + mean (t(x) - t(augmix))² + .1 SimCLR(x, moco), the means over B x C x D numbers
    of unit features, SimCLR at .1 on image features behind a linear map and a batch norm. V from "a photo of a", maps
    as torch's Linear; SGD .002, batch 4, 50 epochs. Learns 9,714,700 numbers on ViT-B/16. ``Outputs.text`` holds frozen
    texts; ``images_at_once`` bounds memory and changes no number.
    Deviations: views are made of the images (the original makes them of normalised tensors, which wrap around), each
    image's own (the original's AugMix views all show a batch's first image) and normalised by the tower's own mean and
    deviation; crops are bicubic, the blur goes with the image's size, AugMix gives whole grey levels; no bias ahead of
    the batch norm and none beside a, which norms cancel; the last epoch (the original: best on test); fp32.
    """

    name: ClassVar[str] = "gopro"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Singha et al., BMVC 2023, arXiv:2308.11605"
    axes: ClassVar = Axes("prompt_network", "text", prompt="soft_tuning", design="objective")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "vision_blocks"})
    beside: ClassVar[tuple[View, ...]] = ("moco", "augmix")
    texts_per_image: ClassVar[bool] = True

    context_length: int = 4
    words: str = "a photo of a"
    contrast: Number = knob(0.1, low=0.0, high=100.0)
    temperature: Number = knob(0.1, low=0.001, high=100.0, log=True)
    images_at_once: int = 8
    batch_size: int = 4
    epochs: int = 50

    def __post_init__(self) -> None:
        check(self, context_length=1, images_at_once=1, batch_size=2)
        check_words(self.words, self.context_length)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        start = {"context": context(task, rng, self.context_length, self.words)}
        maps = depths(rng, task.backbone.vision, task.backbone.text.width)
        return start | maps | projector(rng, task.backbone.width)

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        """(B, D + C D): unit features, and behind them the unit texts that each image is scored against."""
        return self._looked_at(params, batch.patches, task)

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        rows = image.reshape(len(image), 1 + len(task.classes), -1)
        return scores(task, rows[:, 0], rows[:, 1:])

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        assert out.batch is not None, "the engine passes what it looked at"
        seen, width = out.image, task.backbone.width
        moco, augmix = (self._looked_at(params, view, task) for view in out.batch.beside.unbind(1))
        return {
            "cross_entropy": F.cross_entropy(out.logits, labels),
            "moco": F.mse_loss(seen[:, width:], moco[:, width:]),
            "augmix": F.mse_loss(seen[:, width:], augmix[:, width:]),
            "contrast": self.contrast * contrast(params, seen[:, :width], moco[:, :width], self.temperature),
        }

    def _looked_at(self, params: Params, patches: Tensor, task: Task) -> Tensor:
        backbone = task.backbone

        def look(some: Tensor) -> Tensor:
            tokens = backbone.image_tokens(some, None, range(backbone.vision.layers))  # (b, L, T, d_v)
            unit = F.normalize(backbone.project_image(tokens[:, -1, 0]), dim=-1)
            texts = unit_texts(task, params["context"] + shift(params, tokens).unsqueeze(1))
            return torch.cat([unit, texts.flatten(1)], dim=-1)

        return in_parts(patches, self.images_at_once, look)
