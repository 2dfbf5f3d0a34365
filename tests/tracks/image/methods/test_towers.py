"""Methods inside the towers, per-image texts, and losses."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from promptgrid.contract.clip import Batch, TokenPlan
from promptgrid.engine.training.policies import Moment, gradients
from promptgrid.tracks.image.methods.clip_lora import ClipLora
from promptgrid.tracks.image.methods.cocoop import CoCoOp
from promptgrid.tracks.image.methods.coop import CoOp
from promptgrid.tracks.image.methods.ctp_tft import CTPTFT
from promptgrid.tracks.image.methods.kgcoop import KgCoOp
from promptgrid.tracks.image.methods.maple import MaPLe
from promptgrid.tracks.image.methods.prograd import ProGrad
from promptgrid.tracks.image.methods.vpt import VPT


@pytest.fixture
def plans(plain, monkeypatch):
    """The edits that reach the image tower."""
    calls = []
    encode = type(plain).encode_patches

    def record(self, patches, edits=None):
        calls.append(edits)
        return encode(self, patches, edits)

    monkeypatch.setattr(type(plain), "encode_patches", record)
    return calls


def test_vpt_enters_every_block_or_only_the_first(make_task, batch_of, plans):
    task, (batch, _) = make_task(), batch_of()
    for method, layers in [(VPT(tokens=3), 4), (VPT(tokens=3, deep=False, place="end", before_norm=True), 1)]:
        method.image(method.init(task, torch.Generator().manual_seed(0)), batch, task)
        plan = plans[-1].tokens
        assert (len(plan.layers), plan.count, plan.place, plan.before_norm) == (
            layers,
            3,
            method.place,
            method.before_norm,
        )


def test_vpt_starts_uniform_within_its_bound(make_task):
    tokens = VPT(tokens=50).init(make_task(), torch.Generator().manual_seed(0))["tokens"]
    bound = (6 / (3 * 8 * 8 + 20)) ** 0.5
    assert tokens.abs().max() <= bound
    assert tokens.std() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_maples_visual_prompts_are_linear_in_its_text_prompts(make_task, batch_of, plans):
    task, (batch, _) = make_task(), batch_of()
    params = MaPLe().init(task, torch.Generator().manual_seed(0))
    MaPLe().image(params, batch, task)
    plan: TokenPlan = plans[-1].tokens
    assert (plan.place, plan.before_norm, len(plan.layers)) == ("end", True, 3)
    for i, text in enumerate([params["context"], *params["deeper"]]):
        torch.testing.assert_close(plan.layers[i], text @ params["map_weight"][i].T + params["map_bias"][i])


def test_lora_scales_by_alpha_over_root_rank_and_keeps_its_masks_apart(make_task, batch_of, plans):
    task, (batch, _) = make_task(), batch_of()
    method = ClipLora(rank=4, alpha=3.0)
    method.image(method.init(task, torch.Generator().manual_seed(0)), batch, task)
    deltas = plans[-1].deltas
    assert set(deltas) == {(layer, part) for layer in range(4) for part in "qkv"}
    assert {delta.scale for delta in deltas.values()} == {1.5}
    assert len({delta.salt for delta in deltas.values()}) == 12


def test_lora_drops_while_training_only(make_task, batch_of):
    task, (batch, _) = make_task(), batch_of()
    params = {name: value + 0.1 for name, value in ClipLora().init(task, torch.Generator().manual_seed(0)).items()}
    at = [
        ClipLora().forward(params, batch, replace(task, seed=s)).logits
        for s in (None, torch.tensor(1), torch.tensor(2))
    ]
    assert not torch.allclose(at[1], at[2])
    assert torch.equal(at[0], ClipLora(rate=0.0).forward(params, batch, replace(task, seed=torch.tensor(1))).logits)


@pytest.mark.parametrize("at_once", [1, 3, 10, 64])
def test_cocoop_does_not_depend_on_its_chunks(at_once, make_task, batch_of):
    task, (batch, _) = make_task(), batch_of()
    params = CoCoOp().init(task, torch.Generator().manual_seed(0))
    expected = CoCoOp().forward(params, batch, task).logits
    torch.testing.assert_close(CoCoOp(images_at_once=at_once).forward(params, batch, task).logits, expected)


@pytest.mark.parametrize("at_once", [1, 3, 10])
def test_ctp_tft_does_not_depend_on_its_chunks_or_on_the_batch(at_once, make_task, batch_of, practice):
    """Invariant 4: neither on ``images_at_once`` nor on which images come together."""
    task, (batch, _) = make_task(backbone=practice), batch_of(backbone=practice)
    rng = torch.Generator().manual_seed(0)
    params = CTPTFT().init(task, rng)
    params = {name: value + 0.1 * torch.randn(value.shape, generator=rng) for name, value in params.items()}
    expected = CTPTFT().forward(params, batch, task).logits
    alike = CTPTFT().forward(params | {"shift": torch.zeros_like(params["shift"])}, batch, task).logits
    assert not torch.allclose(expected, alike, atol=1e-2), "all images have one text"
    chunked = CTPTFT(images_at_once=at_once).forward(params, batch, task).logits
    torch.testing.assert_close(chunked, expected, rtol=0, atol=1e-4)
    rows = torch.arange(len(batch.features)).split(at_once)
    parts = [batch.rows(own) for own in rows]
    apart = torch.cat([CTPTFT().forward(params, part, task).logits for part in parts])
    torch.testing.assert_close(apart, expected, rtol=0, atol=1e-4)


def test_cocoop_scores_each_image_against_its_own_texts(make_task, batch_of):
    task, (batch, _) = make_task(), batch_of()
    params = CoCoOp().init(task, torch.Generator().manual_seed(0))
    logits = CoCoOp().forward(params, batch, task).logits
    prompts = task.prompts(4)
    for i, image in enumerate(F.normalize(batch.features, dim=-1)):
        shift = (image @ params["down_weight"].T + params["down_bias"]).relu() @ params["up_weight"].T + params[
            "up_bias"
        ]
        texts = task.backbone.encode_text(prompts.fill(params["context"] + shift), prompts.ends)
        torch.testing.assert_close(logits[i], task.scale * F.normalize(texts, dim=-1) @ image, atol=1e-4, rtol=1e-5)


def test_kgcoop_is_pulled_to_the_hand_written_texts(make_task, batch_of):
    task, (batch, labels) = make_task(template="a drawing of {}."), batch_of()
    method = KgCoOp(strength=4.0)
    params = method.init(task, torch.Generator())
    out = method.forward(params, batch, task)
    losses = method.losses(params, out, labels, task)
    expected = 4.0 * (1 - F.cosine_similarity(out.text, task.text).mean())
    torch.testing.assert_close(losses["distance"], expected)
    assert losses["distance"] > 0
    near = method.losses(params, out._replace(text=task.text * 3), labels, task)
    assert abs(float(near["distance"])) < 1e-5


def test_kgcoops_teacher_of_textures_has_its_own_template(make_task, batch_of):
    task, (batch, labels) = make_task(dataset="DTD", template="{} texture."), batch_of()
    params = KgCoOp().init(task, torch.Generator())
    teacher = task.text_of(("a photo of a {}, a type of texture.",))
    out = KgCoOp().forward(params, batch, task)._replace(text=teacher)
    assert abs(float(KgCoOp().losses(params, out, labels, task)["distance"])) < 1e-5


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_prograds_knowledge_is_the_distilled_cross_entropy(temperature, make_task, batch_of):
    task, (batch, labels) = make_task(), batch_of()
    method = ProGrad(temperature=temperature)
    params = method.init(task, torch.Generator().manual_seed(0))
    out = method.forward(params, batch, task)
    losses = method.losses(params, out, labels, task)
    zero_shot = task.scale * F.normalize(batch.features, dim=-1) @ task.text.T
    expected = F.cross_entropy(out.logits / temperature, (zero_shot / temperature).softmax(-1)) * temperature**2
    torch.testing.assert_close(losses["knowledge"], expected)
    step = method.step(task)
    assert {step.main, step.guide} == set(losses)
    assert step.main == "cross_entropy"


def test_prograds_step_is_coops_where_gradients_agree_and_at_a_right_angle_where_they_do_not(make_task, batch_of):
    """Invariant 7, of the gradients of its own losses: one of the guide and its opposite opposes."""
    task, (batch, labels) = make_task(), batch_of()
    method, coop = ProGrad(), CoOp(context_length=16)
    start = {name: value[None] for name, value in method.init(task, torch.Generator().manual_seed(0)).items()}
    moment = Moment(1, torch.tensor([1]))

    def losses_of(of, sign=1.0):
        def losses(own):
            cell = {name: value[0] for name, value in own.items()}
            found = of.losses(cell, of.forward(cell, batch, task), labels, task)
            return {name: (sign * loss if name == "knowledge" else loss)[None] for name, loss in found.items()}

        return losses

    _, plain = gradients(None, losses_of(coop), start, moment)
    _, guide = gradients(None, lambda own: {"guide": losses_of(method)(own)["knowledge"]}, start, moment)
    agreeing = float((plain["context"] * guide["context"]).sum()) >= 0
    seen = {}
    for sign in (1.0, -1.0):
        _, found = gradients(method.step(task), losses_of(method, sign), start, moment)
        seen[sign] = found["context"]
    agrees, opposes = (seen[1.0], seen[-1.0]) if agreeing else (seen[-1.0], seen[1.0])
    torch.testing.assert_close(agrees, plain["context"])
    sizes = opposes.norm() * guide["context"].norm()
    assert abs(float((opposes * guide["context"]).sum() / sizes)) < 1e-5
    assert float(opposes.norm()) < 0.999 * float(plain["context"].norm()), "nothing was projected away"


def test_a_method_of_the_image_tower_needs_patches(make_task, batch_of):
    task, (batch, _) = make_task(), batch_of()
    for method in (VPT(), MaPLe(), ClipLora()):
        assert "vision_blocks" in method.needs
        with pytest.raises(AttributeError, match=r"no column 'patches'"):
            method.image(method.init(task, torch.Generator()), Batch(features=batch.features), task)
