"""The corpus as one file that travels: pictures as WebP mosaics, phrases, and what the teachers say of words.

A zip archive with nothing in it that depends on when or where it was written: `facts.json`, one or more mosaics a
source (rows of 64-pixel tiles), one `.npy` an array, and Lite0's trunk. Training from it needs neither the pool nor
the packages of the teachers. MiniLM's vectors are rounded to steps of 0.3 of their spread, about 3.8 bits a number;
leaving out directions would cost more of their cosines.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from promptgrid.spec import Refused
from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.tracks.image.pretrain.pictures.corpus import Corpus, load_corpus
from promptgrid.tracks.image.pretrain.release.weights import narrow, quantize
from promptgrid.tracks.image.pretrain.training.teachers import MiniLM, lite0_weights, principal_axes
from promptgrid.tracks.image.pretrain.training.towers import TOKEN_RANK, token_strings

TILE = 64
COLUMNS = 64
TILES = COLUMNS * 240  # of one mosaic: WebP ends at 16,383 pixels a side, Pillow warns at 89 million pixels
QUALITY = 20
STEP = 0.3  # of a vector's spread, to which MiniLM's numbers are rounded
LAYOUT = 1
_ARRAYS = ("upright", "turns", "own", "odds")


@dataclass(frozen=True)
class Packed:
    """A corpus with its teachers' answers.

    `sentences` (P, 384) and `words` (W, 384) are MiniLM's unit vectors of the phrases and of plain words whose token
    numbers are `word_ids` (W,); `codes` (vocabulary, 32) int8 with `code_scales` (32,) is the token table before
    training; `trunk` Lite0's weights; `digest` the sha256 of the file.
    """

    corpus: Corpus
    sentences: Tensor
    words: Tensor
    word_ids: Tensor
    codes: Tensor
    code_scales: Tensor
    trunk: dict[str, Tensor]
    digest: str = ""


def pack(pool_dir: Path, path: Path, quality: int = QUALITY) -> dict[str, int]:
    """Write the corpus of a pool folder to `path`, asking the teachers; returns the bytes of each kind of content.

    Raises:
        NoExclusion: the pool has no `EXCLUDE.parquet`.
    """
    return write(ask(load_corpus(pool_dir), pool_dir / "minilm.pt"), path, quality)


def ask(corpus: Corpus, known: Path) -> Packed:
    """The corpus with what Lite0's and MiniLM's packages hold; MiniLM's answers are kept in the file `known`."""
    torchvision_cure.apply()
    from open_clip.tokenizer import SimpleTokenizer

    decoder = SimpleTokenizer().decoder
    strings = token_strings(decoder)
    plain = [i for i, text in enumerate(strings) if len(text) > 2 and text.isalpha() and text.isascii()]
    plain = [i for i in plain if decoder[i].endswith("</w>")]
    sentences, meanings = said(corpus.phrases, known), said(strings, known)
    codes, scales = quantize(token_codes(meanings), 0)
    return Packed(corpus, sentences, meanings[plain], torch.tensor(plain), codes, scales, lite0_weights())


def said(texts: list[str], known: Path) -> Tensor:
    """MiniLM's vectors (n, 384) of texts, asked only for those that the file `known` lacks."""
    before: dict[str, Any] = torch.load(known, weights_only=True) if known.exists() else {"texts": [], "vectors": []}
    place = {text: i for i, text in enumerate(before["texts"])}
    vectors: list[Tensor] = [before["vectors"]] if place else []
    if new := [text for text in dict.fromkeys(texts) if text not in place]:
        vectors.append(MiniLM().embed(new))
        place |= {text: len(place) + i for i, text in enumerate(new)}
        torch.save({"texts": list(place), "vectors": torch.cat(vectors)}, known)
    return torch.cat(vectors)[torch.tensor([place[text] for text in texts])]


def token_codes(meanings: Tensor, rank: int = TOKEN_RANK) -> Tensor:
    """Codes (vocabulary, rank) of MiniLM's view (vocabulary, 384) of the token strings: its principal components."""
    mean, axes = principal_axes(meanings, rank)
    codes = (meanings - mean) @ axes
    return codes / codes.std()


def write(packed: Packed, path: Path, quality: int = QUALITY) -> dict[str, int]:
    """Write a packed corpus so that the file appears whole; returns the bytes of each kind of content."""
    corpus = packed.corpus
    arrays = {name: getattr(corpus, name) for name in _ARRAYS}
    arrays |= {"word_ids": packed.word_ids, "codes": packed.codes, "code_scales": packed.code_scales}
    for name, vectors in (("sentences", packed.sentences), ("words", packed.words)):
        arrays[name], arrays[f"{name}_scales"] = rounded(vectors)
    facts = {"layout": LAYOUT, "sources": corpus.sources, "quality": quality, "phrases": corpus.phrases}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w") as archive:
        _put(archive, "facts.json", json.dumps(facts).encode())
        for name, pictures in _by_mosaic(corpus):
            _put(archive, f"mosaics/{name}.webp", mosaic(pictures, quality), zipfile.ZIP_STORED)
        for name, tensor in arrays.items():
            _put(archive, f"arrays/{name}.npy", _npy(tensor))
        _put(archive, "lite0.safetensors", save_tensors({k: narrow(v) for k, v in packed.trunk.items()}))
        sizes: dict[str, int] = {}
        for entry in archive.infolist():
            kind = "pictures" if entry.filename.startswith("mosaics/") else Path(entry.filename).stem
            sizes[kind] = sizes.get(kind, 0) + entry.compress_size
    partial.replace(path)
    return sizes


def read(path: Path) -> Packed:
    """A packed corpus.

    Raises:
        Refused: the file is none, or of another layout.
    """
    if not zipfile.is_zipfile(path):
        raise Refused(
            "this is no packed corpus", where="--corpus", got=str(path), hint="promptgrid pretrain --pack-corpus"
        )
    with zipfile.ZipFile(path) as archive:
        facts = json.loads(archive.read("facts.json"))
        if facts["layout"] != LAYOUT:
            raise Refused(
                "a corpus of another layout", where="--corpus", got=str(facts["layout"]), hint="pack it again"
            )
        names = {Path(name).stem: name for name in archive.namelist()}
        pictures = [
            tiles(archive.read(names[f"{source}-{part}"]), count)
            for source, size in facts["sources"].items()
            for part, count in enumerate(_counts(size))
        ]
        arrays = {Path(n).stem: _tensor(archive.read(n)) for n in archive.namelist() if n.startswith("arrays/")}
        trunk = {name: t.float() for name, t in load_tensors(archive.read("lite0.safetensors")).items()}
    whole = {name: arrays[name] for name in _ARRAYS}
    corpus = Corpus(torch.cat(pictures), **whole, phrases=facts["phrases"], sources=facts["sources"])
    sentences, words = (restored(arrays[name], arrays[f"{name}_scales"]) for name in ("sentences", "words"))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Packed(corpus, sentences, words, arrays["word_ids"], arrays["codes"], arrays["code_scales"], trunk, digest)


def mosaic(pictures: Tensor, quality: int) -> bytes:
    """One lossy WebP of pictures (n, 3, 64, 64), row by row."""
    rows = -(-len(pictures) // COLUMNS)
    sheet = torch.full((rows * COLUMNS, 3, TILE, TILE), 255, dtype=torch.uint8)
    sheet[: len(pictures)] = pictures
    sheet = sheet.view(rows, COLUMNS, 3, TILE, TILE).permute(0, 3, 1, 4, 2).reshape(rows * TILE, COLUMNS * TILE, 3)
    file = io.BytesIO()
    Image.fromarray(sheet.numpy()).save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()


def tiles(webp: bytes, count: int) -> Tensor:
    """The first `count` pictures (count, 3, 64, 64) of a mosaic."""
    sheet = torch.from_numpy(np.array(Image.open(io.BytesIO(webp)).convert("RGB")))
    grid = sheet.view(-1, TILE, COLUMNS, TILE, 3).permute(0, 2, 4, 1, 3)
    return grid.reshape(-1, 3, TILE, TILE)[:count].contiguous()


def _counts(size: int) -> list[int]:
    """How many pictures each mosaic of a source holds."""
    return [min(TILES, size - start) for start in range(0, size, TILES)]


def _by_mosaic(corpus: Corpus) -> Iterator[tuple[str, Tensor]]:
    at = 0
    for source, size in corpus.sources.items():
        for part, count in enumerate(_counts(size)):
            yield f"{source}-{part}", corpus.pictures[at : at + count]
            at += count


def rounded(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors (n, width) as small whole numbers, int8, and the float16 step (n,) of each row."""
    steps = (vectors.std(1) * STEP).clamp_min(1e-4).half()
    return (vectors / steps.float()[:, None]).round().clamp_(-127, 127).to(torch.int8), steps


def restored(values: Tensor, steps: Tensor) -> Tensor:
    """Unit vectors (n, width) of what `rounded` gave."""
    return F.normalize(values.float() * steps.float()[:, None], dim=-1)


def _put(archive: zipfile.ZipFile, name: str, content: bytes, how: int = zipfile.ZIP_DEFLATED) -> None:
    entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
    entry.compress_type = how
    archive.writestr(entry, content, compresslevel=9)


def _npy(tensor: Tensor) -> bytes:
    file = io.BytesIO()
    values: Any = tensor.numpy()
    small = values.astype(np.int32) if values.dtype == np.int64 else values
    np.save(file, small, allow_pickle=False)
    return file.getvalue()


def _tensor(npy: bytes) -> Tensor:
    values = np.load(io.BytesIO(npy), allow_pickle=False)
    return torch.from_numpy(values.astype(np.int64) if values.dtype == np.int32 else values)
