"""MoCoOp: several soft prompts, each image routed to the two that suit it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Batch, Edits, Number, Outputs, Params, Task, Trained, knob
from promptgrid.contract.edits import NormPlace, NormShift
from promptgrid.contract.recipe import SGD, Batches, Recipe, Rule, Warmup
from promptgrid.tracks.image.methods.parts.published import paper_name, published
from promptgrid.tracks.image.methods.parts.sentences import around
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import linear
from promptgrid.tracks.image.methods.tables.mocoop import GROUPS, PLAIN, RATES, Groups

SPREAD = 10.0
"""How far the two nearest groups are lifted above the others in what the router learns from."""

CONTEXT = "context_"
"""Begins the name of the contexts, which ends on that of their groups."""


@dataclass(frozen=True)
class MoCoOp(Trained):
    """MoCoOp: a soft prompt for each group of hand-written templates, and a router that gives each image two of them.

    Source: Du et al., method section; dyabel/mocoop 04b5d2a, whose published form does not run (renamed settings).
    Prompt g is [before_g, name, after_g] without a full stop, both learned, from the words of the first template of its
    group; t_c^g = normalised (text + shift), one learned shift for all. router: Linear(D, G) on f̂; the gates are the
    softmax of its two largest answers; logits_c = s sum_g gate_g f̂ t_c^g. The norms of the image tower's blocks are
    tuned too, at .1 of the rate. Loss: CE + text_strength L_text + gate_strength L_gate. L_text: CE of t_c^g against
    the prototypes of its group (the ensemble of its templates), cosines times ``text_scale`` = 1: the code leaves the
    logit scale out. L_gate: CE of the router with softmax(f̂ proto_y^g, 10 more for the two nearest groups), through
    which the image tower learns as well. ``groups`` names the dataset whose groups are taken: left at Caltech101 (which
    DTD shares), those of the dataset at hand where the original has its own (``GROUPS``); every class list that the
    learned prompts are carried to keeps the groups they were learned with. Strengths 5 and 1; SGD .032, batch 32, 25
    epochs, 3 of warm-up (ImageNet: .002, batch 1, 10 epochs, 1), gradients clipped at 1. Learns 50,181 numbers on
    ViT-B/16 with Caltech101's groups.
    ``Outputs.text`` holds the experts' texts (G, C, D). Deviations: fp32; L_text sees the training classes alone, the
    original in base-to-new the new names too; weight decay draws the norms to the tower's own, not to zero, and in the
    warm-up they move at .1 of its rate; EOT stays frozen, the original learns it where words follow the name; no
    noise on the prototypes (the original adds it to a buffer that no loss reads); G x C prompts at every step.
    """

    name: ClassVar[str] = "mocoop"
    kind: ClassVar = "multimodal"
    paper: ClassVar[str] = "Du et al., 2024, arXiv:2409.12011"
    axes: ClassVar = Axes("context", "both", prompt="soft_tuning")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "vision_blocks"})

    groups: Literal[
        "Caltech101", "DTD", "EuroSAT", "FGVCAircraft", "Food101", "ImageNet", "OxfordFlowers", "OxfordPets",
        "StanfordCars", "SUN397", "UCF101",
    ] = "Caltech101"  # fmt: skip
    text_strength: Number = knob(5.0, low=0.0, high=100.0)
    text_scale: Number = knob(1.0, low=0.0, high=100.0)
    gate_strength: Number = knob(1.0, low=0.0, high=100.0)
    learning_rate: Number = knob(0.032, low=1e-5, high=1.0, log=True)
    epochs: int = 25
    warmup_epochs: int = 3
    as_published: bool = True

    def __post_init__(self) -> None:
        check(self, groups=tuple(GROUPS), epochs=1)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        own = paper_name(task.dataset) if self.as_published and self.groups == "Caltech101" else ""
        name = own if own in GROUPS else self.groups
        backbone, count = task.backbone, len(GROUPS[name])
        words = [around(task, group[0]) for group in GROUPS[name]]
        params = {f"{CONTEXT}{name}": torch.cat([each.embeddings[0][each.slots[0] >= 0] for each in words])}
        params["shift"] = torch.zeros(backbone.width)
        params["router_weight"], params["router_bias"] = linear(rng, backbone.width, count)
        params["norms"] = torch.zeros(backbone.vision.layers, 2, 2, backbone.vision.width)
        return params

    def recipe(self, task: Task) -> Recipe:
        own = PLAIN.get(paper_name(task.dataset), {}) if self.as_published else {}
        left = {name: value for name, value in own.items() if getattr(self, name) == self.defaults()[name]}
        chosen = replace(self, **left)
        optimizer = SGD(published(self, "learning_rate", RATES, task.dataset), chosen.weight_decay)
        schedule, rules = Warmup(min(chosen.warmup_epochs, chosen.epochs - 1)), {"norms": Rule(rate=0.1)}
        return Recipe(optimizer, chosen.epochs, Batches(chosen.batch_size), schedule, rules, clip=1.0)

    def text(self, params: Params, task: Task) -> Tensor:
        groups, learned = _learned(params)
        experts = [around(task, group[0]) for group in groups]
        contexts = torch.split(learned, [int(each.slots.max()) + 1 for each in experts])
        pairs = zip(experts, contexts, strict=True)
        texts = torch.stack([task.backbone.encode_context(each, context) for each, context in pairs])
        return F.normalize(texts + params["shift"], dim=-1)

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        shifts: dict[NormPlace, NormShift] = {}
        for layer, (first, second) in enumerate(params["norms"].unbind(0)):
            shifts[layer, "first"] = NormShift(*first.unbind(0))
            shifts[layer, "second"] = NormShift(*second.unbind(0))
        return task.backbone.encode_patches(batch.patches, Edits(norms=shifts))

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        unit = F.normalize(image, dim=-1)
        routed = _routed(params, unit)
        gates = routed.masked_fill(~_two_largest(routed), -torch.inf).softmax(-1)
        return task.scale * torch.einsum("bg,bd,gcd->bc", gates, unit, text)

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        unit, (groups, _) = F.normalize(out.image, dim=-1), _learned(params)
        prototypes = torch.stack([task.text_of(group) for group in groups])  # (G, C, D)
        named = self.text_scale * out.text @ prototypes.mT  # (G, C, C)
        near = torch.einsum("bd,gbd->bg", unit, prototypes[:, labels])
        wanted = (near + SPREAD * _two_largest(near)).softmax(-1)
        classes = torch.arange(len(task.classes), device=labels.device).repeat(len(groups))
        return {
            "cross_entropy": F.cross_entropy(out.logits, labels),
            "text": self.text_strength * F.cross_entropy(named.flatten(0, 1), classes),
            "gate": -self.gate_strength * (wanted * _routed(params, unit).log_softmax(-1)).sum(-1).mean(),
        }


def _learned(params: Params) -> tuple[Groups, Tensor]:
    """The groups that the contexts were started from, which their name tells, and the contexts."""
    (name,) = (name for name in params if name.startswith(CONTEXT))
    return GROUPS[name.removeprefix(CONTEXT)], params[name]


def _routed(params: Params, unit: Tensor) -> Tensor:
    return F.linear(unit, params["router_weight"], params["router_bias"])


def _two_largest(values: Tensor) -> Tensor:
    """(B, G) numbers to True where one is among the two largest of its row."""
    return values >= values.topk(2, dim=-1).values[..., -1:]
