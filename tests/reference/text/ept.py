"""EPT from the formulas: decomposition, fusion, several spaces; DePT is what is left without the last two."""

from __future__ import annotations

import torch
from tests.reference.text.plain import bert, rows_of
from torch import Tensor

from promptgrid.tracks.text.task import TextTask


def prompt_of(p: dict[str, Tensor], fusion: bool, spaces: int) -> Tensor:
    prompt, change = p["prompt"], p["low_a"] @ p["low_b"]
    d = prompt.shape[1]
    if fusion:
        query, key, value = prompt @ p["fusion_q"], change @ p["fusion_k"], change @ p["fusion_v"]
        prompt = prompt + torch.softmax(query @ key.T / d**0.5, dim=1) @ value
    if spaces:
        gate = torch.softmax(prompt.mean(0) @ p["gate"], dim=0)
        fused = prompt
        for i in range(spaces):
            prompt = prompt + gate[i] * (torch.nn.functional.gelu(fused @ p["space_down"][i]) @ p["space_up"][i])
    return prompt


def logits(task: TextTask, p: dict[str, Tensor], batch: object, fusion: bool = True, spaces: int = 4) -> Tensor:
    w, prompt, answers = task.backbone.weights(), prompt_of(p, fusion, spaces), []
    change = p["low_a"] @ p["low_b"]
    for ids in rows_of(batch, "tokens", "attention"):
        x = w["embeddings.word"][ids]
        x = torch.stack([x[i] + change[i] if i < len(change) else x[i] for i in range(len(x))])
        hidden = bert(w, torch.cat([x[:1], prompt, x[1:]]))
        text = torch.cat([hidden[:1], hidden[1 + len(prompt) :]])
        answers.append(p["head_weight"] @ text.mean(0) + p["head_bias"])
    return torch.stack(answers)
