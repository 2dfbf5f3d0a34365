"""A backbone of plain matrix products that keeps the contract, and tasks on it."""

import re
from collections.abc import Sequence
from functools import cached_property

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.assets import Pairs, Second
from promptgrid.contract.clip import Backbone, Batch, Classifier, Edits, Labelled, Preprocessing, Task
from promptgrid.contract.clip.backbone import TowerShape
from promptgrid.contract.clip.practice import PracticeBackbone
from promptgrid.towers.shapes import TowerShapes

SOS, EOT = 900, 901
torch.set_num_threads(1)


class PlainBackbone(Backbone):
    """Towers whose blocks mix tokens by averages: nothing clever, but prompts, deltas and positions all matter."""

    def __init__(self, width: int, text: TowerShape, vision: TowerShape, patch_size: int, patches: int) -> None:
        self.id = self.digest = "plain"
        self.width, self.text, self.vision, self.patch_size = width, text, vision, patch_size
        self.image_size, self.logit_scale = patch_size * 2, 20.0
        self.offers = frozenset({"features", "text_tokens", "text_blocks", "vision_blocks"})
        self.patch_count = patches
        self.vocabulary: dict[str, int] = {}

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        rng = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=rng) * shape[-1] ** -0.5

        made = {"table": draw(902, self.text.width), "text_places": draw(77, self.text.width)}
        made["image_places"] = draw(self.patch_count, self.vision.width)
        for name, tower in (("text", self.text), ("vision", self.vision)):
            made[name] = draw(tower.layers, 3, tower.width, tower.width)
            made[f"{name}_out"] = draw(self.width, tower.width)
        made["first"] = draw(1, self.vision.width)
        return made

    @property
    def image_tokens_tower(self) -> TowerShapes:
        """Sizes alone."""
        return TowerShapes(self.vision.width, self.vision.layers, 1 + self.patch_count, self.width)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        rows = []
        for text in texts:
            words = re.findall(r"\w+|[^\w\s]", text)
            ids = [self.vocabulary.setdefault(word, len(self.vocabulary) + 1) for word in words]
            rows.append([SOS, *ids, EOT])
        longest = max(map(len, rows))
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        return self.weights["table"][tokens]

    def words_of(self, embeddings: Tensor) -> list[str]:
        """The words behind (L, width) embeddings; '?' where a row is no frozen embedding."""
        names = {index: word for word, index in self.vocabulary.items()} | {SOS: "<", EOT: ">", 0: "_"}
        same = (embeddings[:, None] == self.weights["table"][None]).all(-1)
        return [names[int(row.nonzero()[0])] if row.any() else "?" for row in same]

    def encode_text(self, embeddings: Tensor, ends: Tensor, edits: Edits | None = None) -> Tensor:
        length = int(ends.max()) + 1
        x = embeddings[:, :length] + self.weights["text_places"][:length]
        mix = torch.ones(length, length).tril()
        mix = mix / mix.sum(-1, keepdim=True)
        x = self._blocks(x, "text", mix, edits)
        return x[torch.arange(len(ends)), ends] @ self.weights["text_out"].T

    def encode_patches(self, patches: Tensor, edits: Edits | None = None) -> Tensor:
        rows = len(patches)
        first = self.weights["first"].expand(rows, 1, -1)
        x = torch.cat([first, patches + self.weights["image_places"]], 1)
        plan = edits.tokens if edits else None
        if plan is not None and plan.before_norm:
            x = self._enter(x, plan)
        x = F.layer_norm(x, x.shape[-1:])
        if plan is not None and not plan.before_norm:
            x = self._enter(x, plan)
        length = x.shape[1]
        mix = torch.eye(length) / 2 + torch.ones(length, length) / length
        return self._blocks(x, "vision", mix, edits)[:, 0] @ self.weights["vision_out"].T

    def _enter(self, x: Tensor, plan) -> Tensor:
        tokens = plan.layers[0].expand(len(x), -1, -1)
        parts = [x[:, :1], tokens, x[:, 1:]] if plan.place == "after_class" else [x, tokens]
        return torch.cat(parts, 1)

    def _blocks(self, x: Tensor, tower: str, mix: Tensor, edits: Edits | None) -> Tensor:
        plan = edits.tokens if edits else None
        for layer in range(self.weights[tower].shape[0]):
            if plan is not None and 0 < layer < len(plan.layers):
                start = x.shape[1] - plan.count if plan.place == "end" else 1
                tokens = plan.layers[layer].expand(len(x), -1, -1)
                x = torch.cat([x[:, :start], tokens, x[:, start + plan.count :]], 1)
            parts, seen = [], _shifted(x, (layer, "first"), edits)
            for i, part in enumerate(("q", "k", "v")):
                projected = seen @ self.weights[tower][layer, i].T
                delta = edits.deltas.get((layer, part)) if edits else None
                parts.append(projected if delta is None else projected + delta(seen, edits.seed))
            gathered = _shifted(torch.tanh(parts[0] * (mix @ parts[1])), (layer, "second"), edits)
            x = x + gathered + 0.3 * mix @ parts[2]
        return x

    def encode_prompts(self, texts: Sequence[str]) -> Tensor:
        tokens = self.tokenize(texts)
        return self.encode_text(self.embed_tokens(tokens), tokens.argmax(-1))

    def patches(self, pixels: Tensor) -> Tensor:
        raise NotImplementedError

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        raise NotImplementedError

    @property
    def pixel_range(self) -> Tensor:
        return torch.tensor([-2.0, 2.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Stripes of an image stand in for its patches."""
        stripes = F.adaptive_avg_pool2d(pixels, (1, self.patch_count)).squeeze(2).mT
        return self.encode_patches(stripes.repeat(1, 1, self.vision.width // 3 + 1)[..., : self.vision.width])


def _shifted(x: Tensor, place, edits: Edits | None) -> Tensor:
    """What stands in for a LayerNorm whose frozen weight is 1 and bias 0."""
    if edits is None or place not in edits.norms:
        return x
    weight, bias = edits.norms[place].of(torch.ones(x.shape[-1]), torch.zeros(x.shape[-1]))
    return x * weight + bias


@pytest.fixture(scope="session")
def open_clip_backbone() -> Backbone:
    """An untrained open_clip model of the smallest size, through the towers that the engine uses."""
    from promptgrid.towers.clip.models import torchvision_cure

    torchvision_cure.apply()
    import open_clip
    from open_clip.tokenizer import SimpleTokenizer

    from promptgrid.towers.clip.models.dual_encoder import DualEncoder

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.model.CLIP(
            embed_dim=64,
            vision_cfg={"layers": 3, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 16},
            text_cfg={"layers": 4, "width": 16, "heads": 2, "context_length": 32, "vocab_size": 49408},
        )
    how = Preprocessing.square(16, (0.5,) * 3, (0.5,) * 3)
    encoder = DualEncoder("small", "small", model, SimpleTokenizer(context_length=32), how)
    encoder.patch_count = 4
    return encoder


CLASSES = ("red_fox", "owl", "grey seal", "newt", "elk")


@pytest.fixture(scope="session")
def plain() -> PlainBackbone:
    return PlainBackbone(16, TowerShape(12, 3), TowerShape(20, 4), patch_size=8, patches=6)


@pytest.fixture(scope="session")
def practice() -> PracticeBackbone:
    """The contract's own, which knows all edits: 16 x 16 pictures in patches of 8."""
    backbone = PracticeBackbone()
    backbone.patch_count = 4
    return backbone


@pytest.fixture(scope="session")
def vit_b16() -> PlainBackbone:
    """The widths and depths of CLIP's ViT-B/16; its large matrices are never made."""
    return PlainBackbone(512, TowerShape(512, 12), TowerShape(768, 12), patch_size=16, patches=196)


def few(backbone: Backbone, seed: int, shots: int, classes: int) -> tuple[Tensor, Labelled]:
    """Patches and frozen features of ``shots`` images a class."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(shots)
    centres = torch.randn(classes, 1, backbone.vision.width, generator=torch.Generator().manual_seed(7))
    noise = torch.randn(len(labels), backbone.patch_count, backbone.vision.width, generator=rng)
    patches = centres[labels] + noise
    with torch.no_grad():
        return patches, Labelled(backbone.encode_patches(patches), labels)


@pytest.fixture
def make_task(plain):
    def make(
        seed: int = 0, dataset: str = "meadow", template: str = "a photo of a {}.", shots: int = 4, **kwargs
    ) -> Task:
        backbone = kwargs.pop("backbone", plain)
        support, held, pool = (few(backbone, 10 * seed + i, shots, len(CLASSES))[1] for i in (1, 2, 3))
        given = {"backbone": backbone, "shots": shots, "support": support, "validation": held}
        given |= {"unlabelled": pool.features, "seen": len(CLASSES), "mixture": (5, 5)}
        given |= {"second": Second(None, pool.features[:, :7])}
        captions = tuple(f"a {name} by a lake" for name in CLASSES)
        given |= {"pairs": Pairs(pool.features, captions, pool.labels)}
        given |= {"domains": tuple("ab"[place % 2] for place in range(len(support.labels)))}
        given |= {"descriptions": {name: (f"the look of {name}", f"one more {name}") for name in CLASSES}} | kwargs
        return Task.of(dataset, CLASSES, template, **given)

    return make


@pytest.fixture
def batch_of(plain):
    """(batch, labels) of 10 images."""

    def make(seed: int = 0, backbone: Backbone = plain) -> tuple[Batch, Tensor]:
        patches, labelled = few(backbone, 1000 + seed, 2, len(CLASSES))
        pseudo = torch.arange(len(patches)) % 2 == 1
        domain = torch.arange(len(patches)) % 2
        size = backbone.image_size
        pixels = torch.randn(len(patches), 3, size, size, generator=torch.Generator().manual_seed(seed))
        seen = Batch(
            features=labelled.features,
            patches=patches,
            second=labelled.features[:, :7],
            pseudo=pseudo,
            domain=domain,
            pixels=pixels,
            unprojected=patches.mean(1),
        )
        return seen, labelled.labels

    return make


def every_method():
    """Every method the folder holds, at its defaults, and the variants that take another path through the code."""
    import importlib
    import pkgutil

    from promptgrid.contract.clip import Method
    from promptgrid.tracks.image import methods

    variants = {
        "coop": [
            {"class_specific": True, "context_length": 3},
            {"position": "middle", "context_length": 4, "words": "a photo of a"},
            {"position": "front", "context_length": 2, "class_specific": True},
        ],
        "cocoop": [{"images_at_once": 3}],
        "vpt": [{"deep": False}, {"place": "end", "before_norm": True, "tokens": 3}],
        "maple": [{"depth": 2, "words": ""}],
        "zero_shot": [{"templates": "seven"}, {"templates": "eighty"}],
    }
    found = []
    for info in pkgutil.iter_modules(methods.__path__):
        module = importlib.import_module(f"{methods.__name__}.{info.name}")
        for kind in vars(module).values():
            own = isinstance(kind, type) and issubclass(kind, Method) and kind.__module__ == module.__name__
            if own and hasattr(kind, "name"):  # a base of several methods has none
                for settings in ({}, *variants.get(kind.name, [])):
                    found.append(pytest.param(kind(**settings), id="-".join([kind.name, *map(str, settings.values())])))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "any_method" in metafunc.fixturenames:
        metafunc.parametrize("any_method", every_method())
    if "any_classifier" in metafunc.fixturenames:  # towers alone are packed in tests/contracts/test_methods.py
        on_both = [one for one in every_method() if isinstance(one.values[0], Classifier)]
        metafunc.parametrize("any_classifier", on_both)
