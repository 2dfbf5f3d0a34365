"""SigLIP's text tower, the long way: against open_clip's own forward at small random widths."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.contracts.small_world import PREPROCESSING
from torch.nn import functional as F

from promptgrid.catalog import track
from promptgrid.contract.clip import Task
from promptgrid.contract.clip.conformance import check_backbone, check_method
from promptgrid.spec import Refused
from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.tracks.image.backbones.open_clip_models import OpenClipModels

LENGTH, WORDS = 16, 200
CONFIG: dict[str, Any] = {
    "embed_dim": 32,
    "init_logit_bias": -10.0,
    "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 48, "layers": 2, "head_width": 16},
    "text_cfg": {
        "context_length": LENGTH, "vocab_size": WORDS, "width": 32, "heads": 2, "layers": 3, "no_causal_mask": True,
        "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"},
    },
}  # fmt: skip
TEXTS = ["a photo of a cat", "stone", "one two three four five six seven"]


class Words:
    """A tokenizer as SigLIP's are: words, an end, padding up to the length; full stops are cleaned away."""

    def __init__(self, end: int, padding: int) -> None:
        self.end, self.padding, self.context_length = end, padding, LENGTH

    def tokenizer(self, text: str) -> dict[str, list[int]]:
        words = text.lower().replace(".", " ").split()
        return {"input_ids": [*(2 + sum(word.encode()) % (WORDS - 2) for word in words), self.end]}

    def __call__(self, texts: list[str]) -> torch.Tensor:
        rows = [self.tokenizer(text)["input_ids"] for text in texts]
        cut = [[*row[: LENGTH - 1], self.end] if len(row) > LENGTH else row for row in rows]
        return torch.tensor([row + [self.padding] * (LENGTH - len(row)) for row in cut])


TOKENIZERS = {"siglip": Words(end=1, padding=1), "siglip2": Words(end=1, padding=0)}
both = pytest.mark.parametrize("kind", TOKENIZERS)


@cache
def model() -> Any:
    torchvision_cure.apply()
    from open_clip.model import CustomTextCLIP

    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = CustomTextCLIP(**CONFIG)
        for name, weight in made.named_parameters():
            if weight.dim() > 1:
                weight.data.mul_(20.0 if name == "text.token_embedding.weight" else 2.0)
        made.text.text_projection.bias.data.normal_()
    return made.eval().requires_grad_(False)


@cache
def backbone(kind: str) -> DualEncoder:
    return DualEncoder(kind, "5" * 64, model(), TOKENIZERS[kind], PREPROCESSING)


@both
def test_prompts_as_embeddings_are_open_clips_own_texts(kind: str) -> None:
    encoder = backbone(kind)
    wanted = model().encode_text(TOKENIZERS[kind](TEXTS))
    tokens = encoder.tokenize(TEXTS)
    assert tokens.shape == (3, 1 + 7 + 1)
    assert tokens.argmax(-1).tolist() == [6, 2, 8]
    found = encoder.encode_text(encoder.embed_tokens(tokens), tokens.argmax(-1))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(encoder.encode_prompts(TEXTS), wanted, rtol=1e-5, atol=1e-5)
    assert "text_tokens" in encoder.offers
    assert "text_blocks" not in encoder.offers


@both
def test_a_learned_context_stands_where_open_clips_forward_has_it(kind: str) -> None:
    encoder, text, names = backbone(kind), model().text, ("cat", "blue tea pot")
    context = torch.randn(3, 32, generator=torch.Generator().manual_seed(1))
    found = encoder.encode_context(Task.of("t", names, "a photo of a {}.", encoder).prompts(3), context)
    ids = TOKENIZERS[kind]([f"x x x {name}" for name in names])
    embedded = text.token_embedding(ids)
    embedded[:, :3] = context
    x = text.transformer(embedded + text.positional_embedding, attn_mask=None)
    torch.testing.assert_close(found, text.text_projection(text.ln_final(x)[:, -1]), rtol=1e-5, atol=1e-5)


@both
def test_padding_counts(kind: str) -> None:
    """A causal shortcut would miss it: the same words with nothing behind them say something else."""
    encoder = backbone(kind)
    tokens = encoder.tokenize(["stone"])
    whole = encoder.encode_text(encoder.embed_tokens(tokens), tokens.argmax(-1))
    text = model().text
    short = text.token_embedding(TOKENIZERS[kind](["stone"])[:, :2]) + text.positional_embedding[:2]
    alone = text.text_projection(text.ln_final(text.transformer(short, attn_mask=None))[:, -1])
    assert float((whole - alone).abs().max()) > 1e-3


def test_logits_are_scaled_and_moved_as_open_clips_are() -> None:
    encoder = backbone("siglip")
    pixels = torch.randint(0, 256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    found = encoder.ask(encoder.normalised(pixels), tuple(TEXTS))
    wanted, _ = model().get_logits(encoder.normalised(pixels), TOKENIZERS["siglip"](TEXTS))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)
    assert encoder.logit_bias == -10.0
    cosines = F.normalize(encoder.encode_pixels(pixels), dim=-1) @ F.normalize(encoder.encode_prompts(TEXTS), dim=-1).mT
    torch.testing.assert_close(torch.sigmoid(found), torch.sigmoid(encoder.logit_scale * cosines - 10.0))


@both
def test_it_is_a_backbone_and_methods_of_learned_prompts_keep_the_contract_on_it(kind: str) -> None:
    check_backbone(backbone(kind))
    methods = track("image").resolver.methods  # type: ignore[attr-defined]
    check_method(methods["coop"], backbone(kind), context_length=4)
    check_method(methods["kgcoop"], backbone(kind))


@both
def test_a_folder_with_a_tokenizer_of_its_own_is_read_as_open_clip_reads_it(kind: str, tmp_path: Path) -> None:
    """The whole way, with `transformers` and small tokenizer files; in their place nothing is pretended."""
    tokenizers = pytest.importorskip("tokenizers")
    pytest.importorskip("transformers")
    torchvision_cure.apply()
    from open_clip.tokenizer import HFTokenizer

    padding = "</s>" if kind == "siglip" else "<pad>"
    words = ["<pad>", "</s>", "<unk>", "a", "photo", "of", "x", "cat", "stone", "tea", "pot"]
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    made.save(str(tmp_path / "tokenizer.json"))
    said = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "</s>",
        "pad_token": padding,
        "unk_token": "<unk>",
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    text = CONFIG["text_cfg"] | {"hf_tokenizer_name": "small", "tokenizer_kwargs": {"clean": "canonicalize"}}
    config = CONFIG | {"custom_text": True, "text_cfg": text}
    about = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(about), encoding="utf-8")
    weights = {name: value.clone().contiguous() for name, value in model().state_dict().items()}
    save_file(weights, tmp_path / "open_clip_model.safetensors")
    family, spelling = OpenClipModels(), f"local-dir:{tmp_path}"
    encoder = family.load(spelling, "cpu")
    assert sorted(encoder.offers) == family.facts(spelling)["offers"]
    own = HFTokenizer(str(tmp_path), context_length=LENGTH, clean="canonicalize")
    wanted = model().encode_text(own(["A photo of a cat.", "tea pot"]))
    tokens = encoder.tokenize(["A photo of a cat.", "tea pot"])
    assert tokens.argmax(-1).tolist() == [6, 3]
    found = encoder.encode_text(encoder.embed_tokens(tokens), tokens.argmax(-1))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_prompt_that_would_be_cut_is_refused() -> None:
    with pytest.raises(Refused, match=r"a prompt has 18 tokens, siglip reads 16"):
        backbone("siglip").tokenize(["word " * 17])


def test_a_tokenizer_with_a_token_ahead_of_the_words_is_not_taken_for_siglips() -> None:
    class Bert(Words):
        def tokenizer(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": [7, *super().tokenizer(text)["input_ids"]]}

    encoder = DualEncoder("bert", "6" * 64, model(), Bert(end=1, padding=0), PREPROCESSING)
    assert "text_tokens" not in encoder.offers
