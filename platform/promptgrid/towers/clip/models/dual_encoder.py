"""An open_clip model as a Backbone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from promptgrid.contract.clip import Backbone, Edits, Preprocessing, PromptTokens
from promptgrid.contract.clip.backbone import TowerShape
from promptgrid.engine.training import halves
from promptgrid.spec import Refused
from promptgrid.towers.clip.image_tokens import ImageTokens
from promptgrid.towers.clip.models.prompt_room import refuse_cut
from promptgrid.towers.clip.prompted_images import PromptedImages
from promptgrid.towers.clip.shared_prefix import SharedPrefix
from promptgrid.towers.clip.towers import ImageTower, TextTower
from promptgrid.towers.clip.whole_text import WholeTextTower
from promptgrid.towers.folding import over_cells

T = TypeVar("T")
AT_ONCE = 64
BY_SIGMOIDS = frozenset({"logit_bias"})
"""What a model trained by sigmoids offers beside its towers."""


class DualEncoder(Backbone):
    """Frozen open_clip towers. What cannot be reached into is not offered; its features still are."""

    def __init__(self, id: str, digest: str, model: Any, tokenizer: Any, preprocessing: Preprocessing) -> None:
        self.id = id
        self.digest = digest
        self.preprocessing = preprocessing
        self.image_size = preprocessing.side
        self._model = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self.device = next(model.parameters()).device
        readable = hasattr(tokenizer, "encoder")
        whole = None if readable else _tower(lambda: WholeTextTower.with_tokenizer(model, tokenizer))
        self._text: TextTower | None = _tower(lambda: TextTower.of(model)) if readable else whole
        self._image: ImageTower | None = _tower(lambda: ImageTower.of(model.visual))
        self.logit_scale = float(model.logit_scale.exp().mean())
        bias = getattr(model, "logit_bias", None)
        self.logit_bias = 0.0 if bias is None else float(bias)
        self._mean = torch.tensor(preprocessing.mean, device=self.device).view(1, 3, 1, 1)
        self._std = torch.tensor(preprocessing.std, device=self.device).view(1, 3, 1, 1)
        self.text = TowerShape(self._text.width, len(self._text.blocks)) if self._text else TowerShape(0, 0)
        self.vision = TowerShape(self._image.width, len(self._image.blocks)) if self._image else TowerShape(0, 0)
        self.patch_size = int(model.visual.conv1.kernel_size[0]) if self._image else 0
        self._known: WeakKeyDictionary[PromptTokens, dict[bool, SharedPrefix]] = WeakKeyDictionary()
        blocks = self._text is not None and whole is None
        inside = offers(blocks, self._image is not None, preprocessing.is_square, whole is not None)
        self.offers = inside if bias is None else inside | BY_SIGMOIDS
        self.width = int(self.encode_prompts(["a"]).shape[-1])

    @property
    def model(self) -> Any:
        """The open_clip model itself, frozen."""
        return self._model

    @property
    def image_tower(self) -> ImageTower:
        """Its image tower, frozen. Raises Refused where that is of a kind we do not reach into."""
        return self._need(self._image, "image tower")

    def double(self) -> DualEncoder:
        """The same towers in float64, for exactness checks; this one is spent."""
        return DualEncoder(self.id, self.digest, self._model.double(), self._tokenizer, self.preprocessing)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        self._need(self._text, "prompt tokens")
        if isinstance(self._text, WholeTextTower):
            refuse_cut(self._tokenizer, texts, self.id)
            return self._text.tokenize(texts).to(self.device)
        room = self._tokenizer.context_length
        for text in texts:
            length = len(self._tokenizer.encode(text)) + 2
            if length > room:
                raise Refused(f"a prompt has {length} tokens, {self.id} reads {room}", got=text)
        tokens: Tensor = self._tokenizer(list(texts))
        return tokens[:, : int(tokens.argmax(-1).max()) + 1].to(self.device)

    def vocabulary(self) -> tuple[list[str], Tensor]:
        """Every token of the vocabulary as it is spelled, and their embeddings (V, text width), by id.

        Raises:
            Refused: a tokenizer that does not spell its tokens.
        """
        text = self._need(self._text, "prompt tokens")
        spelled = getattr(self._tokenizer, "decoder", None)
        embedded: Tensor = text.source.token_embedding.weight.detach()
        if not isinstance(spelled, dict):
            raise Refused("the tokenizer does not spell its tokens", where=self.id)
        return [str(spelled.get(place, f"[{place}]")) for place in range(len(embedded))], embedded

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        return self._need(self._text, "prompt tokens").embed(tokens)

    @halves.in_tower
    def encode_text(self, embeddings: Tensor, ends: Tensor, edits: Edits | None = None) -> Tensor:
        return self._need(self._text, "text blocks")(embeddings, ends, edits)

    @halves.in_tower
    def encode_context(self, prompts: PromptTokens, context: Tensor, edits: Edits | None = None) -> Tensor:
        text = self._need(self._text, "text blocks")
        if isinstance(text, WholeTextTower):
            return super().encode_context(prompts, context, edits)
        shared = context.dim() == 2
        known = self._known.setdefault(prompts, {})
        if shared not in known:
            known[shared] = SharedPrefix(text, prompts, shared)
        encode, plan = known[shared], edits.tokens if edits is not None else None
        if (edits is not None and edits.inside) or not encode.fits(plan):
            return super().encode_context(prompts, context, edits)
        return over_cells(encode, context, *(plan.layers if plan is not None else ()))

    def encode_prompts(self, texts: Sequence[str]) -> Tensor:
        """(N, width) frozen features of plain texts, not normalised; works for every tower."""
        with self._exactly():
            if self._text is None or isinstance(self._text, WholeTextTower):
                refuse_cut(self._tokenizer, texts, self.id)
                features: Tensor = self._model.encode_text(self._tokenizer(list(texts)).to(self.device))
                return features
            tokens = self.tokenize(texts)
            prompts = PromptTokens(self.embed_tokens(tokens), torch.full_like(tokens, -1), tokens.argmax(-1))
            nothing = prompts.embeddings.new_zeros(1, 0, self.text.width)
            return SharedPrefix(self._text, prompts, shared=True)(nothing)[0]

    def unprojected(self, pixels: Tensor) -> Tensor:
        image = self._need(self._image, "vision blocks")
        with self._exactly():  # in parts: whole tests are asked about at once
            parts = torch.split(pixels, AT_ONCE)
            return torch.cat([image.unprojected(image.patches(self._normalise(part)), None) for part in parts])

    def patches(self, pixels: Tensor) -> Tensor:
        return self._need(self._image, "vision blocks").patches(self._normalise(pixels))

    @halves.in_tower
    def encode_patches(self, patches: Tensor, edits: Edits | None = None) -> Tensor:
        image, plan = self._need(self._image, "vision blocks"), edits.tokens if edits is not None else None
        if plan is None or (edits is not None and edits.inside):
            return image(patches, edits)
        return over_cells(PromptedImages(image, plan.before_norm), patches, *plan.layers)

    @halves.in_tower
    def image_tokens(self, patches: Tensor, edits: Edits | None, layers: Sequence[int]) -> Tensor:
        return self._need(self._image, "vision blocks").tokens_behind(patches, edits, layers)

    @cached_property
    def image_tokens_tower(self) -> ImageTokens:
        return ImageTokens(self._need(self._image, "tokens"))

    @halves.in_tower
    def text_ends(self, embeddings: Tensor, ends: Tensor, edits: Edits | None, layers: Sequence[int]) -> Tensor:
        return self._need(self._text, "text blocks").ends_behind(embeddings, ends, edits, layers)

    @halves.in_tower
    def project_image(self, tokens: Tensor) -> Tensor:
        return self._need(self._image, "vision blocks").pooled(tokens)

    @halves.in_tower
    def project_text(self, tokens: Tensor) -> Tensor:
        return self._need(self._text, "text blocks").pooled(tokens)

    @property
    def pixel_range(self) -> Tensor:
        precision = self._model.logit_scale.dtype
        mean, std = self._mean.to(precision), self._std.to(precision)
        return torch.cat([(0.0 - mean) / std, (1.0 - mean) / std])

    def normalised(self, pixels: Tensor) -> Tensor:
        return self._normalise(pixels)

    @halves.in_tower
    def encode_image(self, pixels: Tensor) -> Tensor:
        return over_cells(self._encode_cells, pixels)

    def _encode_cells(self, pixels: Tensor) -> Tensor:
        """(K, B, 3, size, size) normalised floats to (K, B, width)."""
        images = pixels.flatten(0, 1)
        if self._image is not None and halves.asked(pixels.device) is not None:  # the blocks that hold their halves
            features = self._image(self._image.patches(images), None)
        else:
            features = self._model.encode_image(images)
        return features.view(*pixels.shape[:2], -1)

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        with self._exactly():
            features: Tensor = self._model.encode_image(self._normalise(pixels))
            return features

    @contextmanager
    def _exactly(self) -> Iterator[None]:
        """Frozen features are kept for all that follows: none is rounded because the first step to ask has autocast."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            yield

    def _normalise(self, pixels: Tensor) -> Tensor:
        precision = self._model.logit_scale.dtype
        return (pixels.to(self.device, precision) / 255.0 - self._mean) / self._std

    def _need(self, tower: T | None, what: str) -> T:
        if tower is None:
            raise Refused(f"backbone {self.id} offers no {what}")
        return tower


def offers(text: bool, image: bool, square: bool = True, whole: bool = False) -> frozenset[str]:
    """What a model with reachable towers offers; of a ``whole`` text tower prompts alone. Images must be square."""
    inside_text = {"text_tokens", "text_blocks"} if text else {"text_tokens"} if whole else set()
    inside_image = {"vision_blocks", "unprojected", "tokens", "blocks", "weights"} if image else set()
    return frozenset({"features"} | inside_text | ({"pixels", "logits"} | inside_image if square else set()))


def _tower(build: Callable[[], T]) -> T | None:
    """The tower, or None where it is of a kind we do not reach into."""
    try:
        return build()
    except TypeError:
        return None
