"""SciPrompt from the formulas: weighted and soft verbalizers; with equal weights the first is KPT's."""

from __future__ import annotations

import torch
from tests.reference.text.plain import bert, decoded, rows_of, transform
from torch import Tensor

from promptgrid.tracks.text.task import TextTask

Spelled = list[list[tuple[int, ...]]]


def spelled(task: TextTask) -> Spelled:
    return [list(task.backbone.words(words)) for words in task.words.values()]


def states(w: dict[str, Tensor], batch: object) -> list[Tensor]:
    """The hidden state at the mask of each text."""
    rows = rows_of(batch, "templated", "templated_attention")
    at = batch["mask_at"]  # type: ignore[index]
    return [bert(w, w["embeddings.word"][ids])[place] for ids, place in zip(rows, at, strict=True)]


def kept_words(task: TextTask, found: list[Tensor], share: float) -> list[list[int]]:
    """Which words of each class stay: every token in the likelier part of the vocabulary, and the first."""
    w = task.backbone.weights()
    order = torch.stack([decoded(w, state) for state in found]).mean(0).argsort().tolist()
    unlikely = set(order[: int(share * len(order))])
    return [[i for i, word in enumerate(words) if i == 0 or not unlikely & set(word)] for words in spelled(task)]


def chances(w: dict[str, Tensor], state: Tensor, words: Spelled, kept: list[list[int]]) -> list[Tensor]:
    """The chance of each kept word of each class."""
    said = decoded(w, state)
    logits = [torch.stack([said[list(own[i])].mean() for i in keep]) for own, keep in zip(words, kept, strict=True)]
    whole = torch.softmax(torch.cat(logits), dim=0)
    return list(whole.split([len(keep) for keep in kept]))


def prior(task: TextTask, found: list[Tensor], kept: list[list[int]]) -> list[Tensor]:
    w = task.backbone.weights()
    each = [chances(w, state, spelled(task), kept) for state in found]
    return [torch.stack(own).mean(0) for own in zip(*each, strict=True)]


def start(task: TextTask, verbalizer: str, share: float) -> tuple[list[list[int]], list[Tensor], Tensor | None]:
    """Kept words, their priors, and the soft rows, from the frozen model."""
    w = task.backbone.weights()
    found = states(w, task.examples)
    kept = kept_words(task, found, share)
    rows = None
    if verbalizer == "soft":
        scores, each = list(task.word_scores.values()), []
        for c, (words, keep) in enumerate(zip(spelled(task), kept, strict=True)):
            own = [scores[c][i] * w["embeddings.word"][list(words[i])].mean(0) for i in keep]
            each.append(torch.stack(own).sum(0) / len(keep))
        rows = torch.stack(each)
    return kept, prior(task, found, kept), rows


def logits(
    task: TextTask,
    p: dict[str, Tensor],
    batch: object,
    verbalizer: str = "weighted",
    unlikely: float = 0.5,
    uniform: bool = False,
    tunes: str = "all",
) -> Tensor:
    w = {name.removeprefix("tower."): value for name, value in p.items() if name.startswith("tower.")}
    w = w if tunes == "all" else task.backbone.weights()
    kept, before, _ = start(task, "weighted", unlikely)
    found = []
    for state in states(w, batch):
        if verbalizer == "soft":
            found.append(p["rows"] @ transform(w, state))
            continue
        own = [c / b for c, b in zip(chances(w, state, spelled(task), kept), before, strict=True)]
        total = torch.cat(own).sum()
        answers = []
        for c, ratio in enumerate(own):
            s = torch.zeros(len(kept[c])) if uniform else p["word_weights"][c][kept[c]]
            answers.append((torch.softmax(s.to(ratio), dim=0) * (ratio / total).log()).sum())
        found.append(torch.stack(answers))
    return torch.stack(found)
