"""Rules that several text methods share, and the rounds of those that read a pool."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.reference.text.plain import bert, decoded, rows_of
from tests.reference.text.tiny import BEGIN, END, MASK
from tests.reference.text.world import begun, training_batch, world
from torch import Tensor
from torch.nn.functional import gelu

from promptgrid.contract.task import Batch
from promptgrid.tracks.text.methods.dept import DePT
from promptgrid.tracks.text.methods.kpt import KPT
from promptgrid.tracks.text.methods.parts.masking import masked_word_loss, uniform
from promptgrid.tracks.text.methods.parts.rational import gelu_start, rational
from promptgrid.tracks.text.methods.pcp import PCP
from promptgrid.tracks.text.methods.pcp_soft import PCPSoft
from promptgrid.tracks.text.methods.self_training import SelfTraining
from promptgrid.tracks.text.methods.tapt import TAPT
from promptgrid.tracks.text.methods.zero_shot import ZeroShot
from promptgrid.tracks.text.templates import fill


def test_the_learned_activation_starts_near_gelu() -> None:
    x = torch.linspace(-4, 4, 2001, dtype=torch.float64)
    assert (rational(x, gelu_start().double()) - gelu(x)).abs().max() < 0.003


def test_the_rank_is_what_the_budget_leaves() -> None:
    assert DePT(budget_length=100, prompt_length=40, positions=256).rank(768) == 45
    with pytest.raises(ValueError, match="rank 0"):
        DePT(budget_length=8, prompt_length=8).rank(384)


def test_lots_are_uniform_and_follow_the_seed() -> None:
    rows = torch.ones(400, 3)
    one, same, other = (uniform(rows, 50, torch.tensor(seed), 1) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    shares = torch.histc(one, 10, 0.0, 1.0) / one.numel()
    assert (shares - 0.1).abs().max() < 0.01


class Watched:
    """Asks the tower and remembers which texts it was shown."""

    def __init__(self, behind: Any) -> None:
        self.behind, self.shown, self.asked = behind, torch.zeros(0), torch.zeros(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)

    def embed(self, ids: Tensor, weights: Any = None) -> Tensor:
        self.shown = ids
        return self.behind.embed(ids, weights)

    def encode_at(self, words: Tensor, mask: Tensor, at: Tensor, **rest: Any) -> Tensor:
        self.asked = at
        return self.behind.encode_at(words, mask, at, **rest)


def test_fifteen_per_cent_of_the_words_are_hidden_and_no_special_token() -> None:
    task = world()
    watched = Watched(task.backbone)
    batch = task.backbone.tokenize(["the plot of the film was very good and it was not dull it was fun"] * 300)
    now = task.but(backbone=watched, seed=torch.tensor(7))
    never = torch.zeros_like(batch.mask)
    never[:, 3] = True
    masked_word_loss(now, batch.ids, batch.mask, {}, never=never)
    changed = watched.shown != batch.ids
    words = batch.mask.sum(1)[0] - 3
    wanted = (15 * int(words) + 50) // 100
    assert (changed.sum(1) <= wanted).all()
    assert not changed[:, [0, 3, -1]].any()
    hidden = (watched.shown == MASK).double().sum(1).mean() / wanted
    assert 0.74 < float(hidden) < 0.86
    others = (changed & (watched.shown != MASK)).double().sum(1).mean() / wanted
    assert 0.06 < float(others) < 0.14
    assert changed.any(0)[[1, 2, *range(4, batch.ids.shape[1] - 1)]].all()
    assert {BEGIN, END} <= set(watched.shown[:, [0, -1]].flatten().tolist())


@pytest.mark.parametrize("calibration", ["none", "empty", "support", "pool"])
@pytest.mark.parametrize("words", ["first", "all"])
def test_zero_shot_is_the_models_own_words(calibration: Any, words: Any) -> None:
    task = world()
    w, batch = task.backbone.weights(), training_batch(task)
    spelled = [list(task.backbone.words(own))[: 1 if words == "first" else None] for own in task.words.values()]

    def chances(texts: Batch) -> list[list[Tensor]]:
        found = []
        for row, ids in enumerate(rows_of(texts, "templated", "templated_attention")):
            said = decoded(w, bert(w, w["embeddings.word"][ids])[texts["mask_at"][row]])
            flat = torch.stack([said[list(word)].mean() for own in spelled for word in own]).softmax(0)
            found.append(list(flat.split([len(own) for own in spelled])))
        return found

    empty = Batch(fill(task.backbone, task.template, {"text": [""]}).columns)
    source = {"empty": empty, "support": task.examples, "pool": task.pool}.get(calibration)
    prior = [torch.ones(len(own), dtype=torch.float64) for own in spelled]
    if source is not None:
        prior = [torch.stack(own).mean(0) for own in zip(*chances(source), strict=True)]
    wanted = []
    for own in chances(batch):
        ratios = [c / p for c, p in zip(own, prior, strict=True)]
        total = torch.cat(ratios).sum()
        wanted.append(torch.stack([(ratio / total).log().mean() for ratio in ratios]))
    method = ZeroShot(words=words, calibration=calibration)
    params = method.init(task, torch.Generator())
    alone = task.without_examples()
    found = method.predict(params, batch, alone, method.once(params, alone))
    torch.testing.assert_close(found, torch.stack(wanted), rtol=0, atol=1e-8)
    assert ("unlabelled" in method.assets) == (calibration == "pool")


def test_calibration_on_texts_that_are_not_there_is_an_error() -> None:
    task = world()
    with pytest.raises(ValueError, match="not given"):
        ZeroShot(calibration="pool").init(task.but(pool=None), torch.Generator())
    with pytest.raises(ValueError, match="not given"):
        KPT(calibration="support").init(task.without_examples(), torch.Generator())


def test_without_calibration_no_word_is_left_out() -> None:
    task = world()
    own = begun(KPT(calibration="none"), task)
    assert torch.equal(own["kept"], task.label_words.known.double())
    assert own["prior"].unique().tolist() == [1.0]


def test_tapt_reads_bare_texts_then_fits() -> None:
    task, method = world(), TAPT()
    assert method.draws(task, 6) == (6, 0)
    chosen = method.relabel(task.but(turn=0), None)
    assert chosen.positions.tolist() == list(range(6))
    assert chosen.labels.unique().tolist() == [-1]
    assert len(method.relabel(task.but(turn=1), torch.zeros(6, 3)).positions) == 0
    params, pool = begun(method, task), task.pool
    assert pool is not None
    first = method.objective(params, pool, task.but(turn=0, seed=torch.tensor(1)))
    assert first.keys() == {"masked_words"}
    second = method.objective(params, training_batch(task), task.but(turn=1))
    assert second.keys() == {"cross_entropy"}
    rates = [method.recipe(task.but(turn=turn)) for turn in (0, 1)]
    assert [rate.optimizer.learning_rate for rate in rates if rate is not None] == [1e-4, 2e-5]
    assert rates[0] is not None
    assert (rates[0].optimizer.betas, rates[0].optimizer.epsilon) == ((0.9, 0.98), 1e-6)


def test_self_training_takes_what_the_teacher_is_surest_of() -> None:
    task, method = world(), SelfTraining(share=0.5)
    logits = torch.tensor([[0.0, 0, 0], [5, 0, 0], [0, 1, 0], [0, 0, 9], [0, 4, 0], [0.1, 0, 0]])
    assert method.draws(task, 6) == (0, 3)
    chosen = method.relabel(task.but(turn=1), logits)
    assert chosen.positions.tolist() == [3, 1, 4]
    assert chosen.labels.tolist() == [2, 0, 1]
    fresh, learned = {"a": torch.zeros(1)}, {"a": torch.ones(1)}
    assert method.resume(learned, fresh, task.but(turn=1)) is fresh


def test_what_only_answers_does_not_move_while_the_pool_is_read() -> None:
    task = world()
    own = PCPSoft().recipe(task.but(turn=1))
    assert own is not None
    assert {name: rule.rate for name, rule in own.rules.items()} == {"template": 0.0, "rows": 0.0, "row_biases": 0.0}
    last = PCPSoft().recipe(task.but(turn=2))
    assert last is not None
    own_rates = {name: rule.rate for name, rule in last.rules.items()}
    assert own_rates == {"template": 10.0, "rows": 10.0, "row_biases": 10.0}
    soft = begun(PCPSoft(), task)
    lines = [
        method.objective(params, training_batch(task), task.but(turn=1, seed=torch.tensor(2)))["masked_words"]
        for method, params in ((PCPSoft(), soft), (PCP(), begun(PCP(), task)))
    ]
    torch.testing.assert_close(lines[0], lines[1])
