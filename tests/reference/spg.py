"""SPG: CoOp for each domain, then a least-squares GAN that writes such contexts (Bai et al., ECCV 2024).

The networks are ``torch.nn`` modules with ``BatchNorm1d`` and torch's own clipping; masks and noise come from the seed
of the step, as the contract says.
"""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import coop
from tests.reference.descent import sgd
from tests.reference.pseudo import warm_cosine
from tests.reference.task import Params, Plain
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

BOUNDS = {
    "others": {"inner": 5e-2, "inner_bias": 5e-1, "ends": 5.0, "weight": 5e-3, "bias": 5e-8, "last": 1.0},
    "PACS": {"inner": 5e-1, "inner_bias": 5e-1, "ends": 5.0, "weight": 5e-2, "bias": 5e-7, "last": 5.0},
}


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    domains = len(set(plain.domains))
    known = {"labels": plain.clip.words("a photo of a").repeat(domains, 1, 1)}
    for layer, width in enumerate((256, 512, 1024), start=1):
        known[f"writer_norm_weight{layer}"] = torch.ones(width)
        known[f"writer_norm_bias{layer}"] = torch.zeros(width)
        known[f"seen{layer}"] = torch.stack([torch.zeros(width), torch.ones(width)])
    for name in ("writer_weight0", "writer_weight4", "judge_weight2"):
        bound = (6.0 / drawn[name].shape[1]) ** 0.5
        assert 0.99 * bound < float(drawn[name].abs().max()) <= bound
    return drawn | {name: value.to(drawn["noise"]) for name, value in known.items()}


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    writer = _writer(params).eval()
    rows = []
    for image in F.normalize(plain.clip.image(pixels), dim=-1):
        context = writer(torch.cat([params["noise"], image]).unsqueeze(0)).view(4, -1)
        texts = plain.clip.encode(*coop.prompts(plain, context))
        rows.append(plain.clip.scale * F.normalize(texts, dim=-1) @ image)
    return torch.stack(rows)


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    gan_rate: float,
    gan_epochs: int,
    clipping: str,
    **settings: Any,
) -> Params:
    names = sorted(set(plain.domains))
    domain = torch.tensor([names.index(name) for name in plain.domains])
    with torch.no_grad():
        units = F.normalize(plain.clip.image(plain.train.pixels), dim=-1)

    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        total = units.new_zeros(())
        for place in range(len(names)):
            own = chosen[domain[chosen] == place]
            if len(own):
                texts = F.normalize(plain.clip.encode(*coop.prompts(plain, params["labels"][place])), dim=-1)
                scores = plain.clip.scale * units[own] @ texts.T
                total = total + F.cross_entropy(scores, plain.train.labels[own])
        return total

    labels = sgd(plain, begin, ["labels"], loss, learning_rate, weight_decay)["labels"]
    writer, judge = _writer(begin).train(), _judge(begin)
    bounds = BOUNDS[clipping]
    optimizers = [torch.optim.AdamW(each.parameters(), lr=gan_rate, weight_decay=1e-4) for each in (writer, judge)]
    share = lambda epoch: warm_cosine(epoch, gan_epochs, min(4, gan_epochs - 1))  # noqa: E731
    schedulers = [LambdaLR(optimizer, share) for optimizer in optimizers]
    for steps in plain.later:
        for chosen, seed in steps:
            images = units[chosen]
            drawn = torch.randn(len(chosen), len(begin["noise"]), generator=_stream(seed, 0)).to(images)
            written = writer(torch.cat([drawn, images], 1))
            real = labels[domain[chosen]].flatten(1)

            optimizers[1].zero_grad()
            right, wrong = _says(judge, real, images, seed, 1), _says(judge, written.detach(), images, seed, 2)
            (F.mse_loss(right, torch.ones_like(right)) + F.mse_loss(wrong, torch.zeros_like(wrong))).backward()
            for name, value in judge.named_parameters():
                inner = bounds["inner"] if "weight" in name else bounds["inner_bias"]
                torch.nn.utils.clip_grad_norm_([value], bounds["ends"] if name[0] in "03" else inner)
            optimizers[1].step()

            optimizers[0].zero_grad()
            fooled = _says(judge, written, images, seed, 3)
            F.mse_loss(fooled, torch.ones_like(fooled)).backward()
            for name, value in writer.named_parameters():
                bias = bounds["last"] if name in ("9.bias", "11.bias") else bounds["bias"]
                torch.nn.utils.clip_grad_norm_([value], bounds["weight"] if "weight" in name else bias)
            optimizers[0].step()
        for scheduler in schedulers:
            scheduler.step()
    return {"labels": labels, "noise": begin["noise"]} | _written_down(writer, judge)


PLACES = (0, 2, 5, 8, 11)
"""Where the linear maps of the generator stand; batch norms follow the second, third and fourth."""


def _writer(params: Params) -> nn.Sequential:
    layers: list[nn.Module] = []
    for place in range(5):
        weight, bias = params[f"writer_weight{place}"], params.get(f"writer_bias{place}")
        layers.append(_linear(weight, bias))
        if bias is None:
            norm = nn.BatchNorm1d(len(weight), 0.8).to(weight)
            norm.weight.data = params[f"writer_norm_weight{place}"].clone()
            norm.bias.data = params[f"writer_norm_bias{place}"].clone()
            norm.running_mean, norm.running_var = (each.clone() for each in params[f"seen{place}"])
            layers.append(norm)
        layers.append(nn.LeakyReLU(0.2) if place < 4 else nn.Tanh())
    return nn.Sequential(*layers)


def _judge(params: Params) -> nn.ModuleList:
    return nn.ModuleList([_linear(params[f"judge_weight{place}"], params[f"judge_bias{place}"]) for place in range(4)])


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None).to(weight)
    layer.weight.data = weight.clone()
    if bias is not None:
        layer.bias.data = bias.clone()
    return layer


def _says(judge: nn.ModuleList, contexts: Tensor, images: Tensor, seed: int, salt: int) -> Tensor:
    x = torch.cat([contexts, images], 1)
    for place, layer in enumerate(judge):
        x = layer(x)
        if place in (1, 2):
            kept = torch.rand(x.shape, generator=_stream(seed, 10 * salt + place)) >= 0.4
            x = x * kept / 0.6
        if place < 3:
            x = F.leaky_relu(x, 0.2)
    return x


def _stream(seed: int, salt: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed * 1_000_003 + salt) % 2**63)


def _written_down(writer: nn.Sequential, judge: nn.ModuleList) -> Params:
    found = {}
    for place, index in enumerate(PLACES):
        found[f"writer_weight{place}"] = writer[index].weight
        if writer[index].bias is not None:
            found[f"writer_bias{place}"] = writer[index].bias
            continue
        norm = writer[index + 1]
        found[f"writer_norm_weight{place}"], found[f"writer_norm_bias{place}"] = norm.weight, norm.bias
        found[f"seen{place}"] = torch.stack([norm.running_mean, norm.running_var])
    for place, layer in enumerate(judge):
        found[f"judge_weight{place}"], found[f"judge_bias{place}"] = layer.weight, layer.bias
    return {name: value.detach() for name, value in found.items()}
