"""The seed methods of the text wing against references written from their formulas.

The methods run padded batches through the tower's verbs; the references one text at a time through a BERT of their own,
in float64. They share what is drawn: starts, and the lots of the masked-word loss. Logits at the start and parameters
after five steps of torch's AdamW agree to 1e-5 and better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from tests.reference.text import bayes_prompt, ept, iapt, pcp, sci_prompt
from tests.reference.text.plain import five_steps
from tests.reference.text.world import begun, stirred, training_batch, world
from torch import Tensor
from torch.nn.functional import cross_entropy

from promptgrid.contract.method import Params
from promptgrid.tracks.text.methods.bayes_prompt import BayesPrompt
from promptgrid.tracks.text.methods.dept import DePT
from promptgrid.tracks.text.methods.ept import EPT
from promptgrid.tracks.text.methods.iapt import IAPT
from promptgrid.tracks.text.methods.know_prompt import KnowPrompt
from promptgrid.tracks.text.methods.kpt import KPT
from promptgrid.tracks.text.methods.parts.particles import mean_embeddings, stein
from promptgrid.tracks.text.methods.pcp import PCP
from promptgrid.tracks.text.methods.prompt_finetune import PromptFinetune
from promptgrid.tracks.text.methods.sci_prompt import SciPrompt
from promptgrid.tracks.text.task import TextTask

TOLERANCE = 1e-5
SMALL = {"budget_length": 12, "prompt_length": 4, "positions": 8}


@dataclass(frozen=True)
class Case:
    method: Any
    reference: Callable[..., Tensor]
    told: dict[str, Any]
    relations: bool = False
    seeded: bool = False


CASES = {
    "ept": Case(EPT(**SMALL), ept.logits, {}),
    "ept-no_fusion": Case(EPT(**SMALL, fusion=False), ept.logits, {"fusion": False}),
    "ept-no_spaces": Case(EPT(**SMALL, spaces=0), ept.logits, {"spaces": 0}),
    "dept": Case(DePT(**SMALL), ept.logits, {"fusion": False, "spaces": 0}),
    "iapt": Case(IAPT(), iapt.logits, {}),
    "iapt-relu": Case(IAPT(activation="relu"), iapt.logits, {"activation": "relu"}),
    "iapt-gelu_apart": Case(
        IAPT(activation="gelu", shared=False), iapt.logits, {"activation": "gelu", "shared": False}
    ),
    "iapt-words": Case(IAPT(answers="words"), iapt.logits, {"answers": "words"}),
    "sci_prompt": Case(SciPrompt(), sci_prompt.logits, {}),
    "sci_prompt-soft": Case(SciPrompt(verbalizer="soft"), sci_prompt.logits, {"verbalizer": "soft"}),
    "sci_prompt-frozen": Case(SciPrompt(tunes="answer"), sci_prompt.logits, {"tunes": "answer"}),
    "kpt": Case(KPT(), sci_prompt.logits, {"uniform": True}),
    "bayes_prompt": Case(BayesPrompt(), bayes_prompt.logits, {}, relations=True, seeded=True),
    "bayes_prompt-pool": Case(BayesPrompt(domain="pool"), bayes_prompt.logits, {}, relations=True, seeded=True),
    "bayes_prompt-noise": Case(BayesPrompt(domain="noise"), bayes_prompt.logits, {}, relations=True, seeded=True),
    "know_prompt": Case(KnowPrompt(), bayes_prompt.logits, {}, relations=True),
    "pcp": Case(PCP(), pcp.logits, {}),
    "prompt_finetune": Case(PromptFinetune(), pcp.logits, {}),
}
every_case = pytest.mark.parametrize("case", CASES)
RATES = {"prompt": 0.01, "low_a": 0.002, "low_b": 0.003, "head_weight": 0.02, "word_weights": 0.05, "rows": 0.01}


def moved(method: Any, params: Params) -> list[str]:
    return [name for name in params if name not in method.frozen]


def same(found: Params, wanted: Params) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(
            found[name], value, rtol=0, atol=TOLERANCE, msg=lambda text, at=name: f"{at}: {text}"
        )


@every_case
def test_logits_at_the_start(case: str) -> None:
    one = CASES[case]
    task = world(one.relations)
    params, batch = begun(one.method, task), training_batch(task)
    found = one.method.predict(params, batch, task)
    assert found.std(dim=0).max() > 1e-3, "the texts are all alike: nothing was compared"
    torch.testing.assert_close(found, one.reference(task, params, batch, **one.told), rtol=0, atol=TOLERANCE)
    params = stirred(one.method, params)
    found = one.method.predict(params, batch, task)
    torch.testing.assert_close(found, one.reference(task, params, batch, **one.told), rtol=0, atol=TOLERANCE)


@every_case
def test_five_steps(case: str) -> None:
    one = CASES[case]
    task = world(one.relations)
    params, batch = stirred(one.method, begun(one.method, task)), training_batch(task)

    def ours(now: Params, step: int) -> Tensor:
        (loss,) = one.method.objective(now, batch, task.but(seed=torch.tensor(step))).values()
        return loss

    def theirs(now: Params, step: int) -> Tensor:
        seeded = {"seed": step} if one.seeded else {}
        return cross_entropy(one.reference(task, now, batch, **one.told, **seeded), batch["labels"])

    names = moved(one.method, params)
    found, wanted = (five_steps(loss, params, names, RATES) for loss in (ours, theirs))
    same(found, wanted)
    assert max(float((found[name] - params[name]).abs().max()) for name in names) > 1e-3


def test_sci_prompt_starts_from_the_kept_words_priors_and_rows() -> None:
    task = world()
    kept, prior, rows = sci_prompt.start(task, "soft", 0.5)
    own = begun(SciPrompt(verbalizer="soft"), task)
    for c, keep in enumerate(kept):
        assert own["kept"][c].nonzero().flatten().tolist() == keep
        torch.testing.assert_close(own["prior"][c][keep], prior[c], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(own["rows"], rows, rtol=0, atol=1e-6)
    whole, _, _ = sci_prompt.start(task, "weighted", 0.0)
    assert whole == [list(range(len(words))) for words in task.words.values()]
    assert whole != kept, "no word was left out: the rule was not tested"


def test_stein_descent_is_the_formulas() -> None:
    task = world(relations=True)
    low = mean_embeddings(task, training_batch(task))[:, :5]
    torch.testing.assert_close(
        torch.from_numpy(mean_embeddings(task, training_batch(task))),
        bayes_prompt.mean_embedding(task, training_batch(task)),
    )
    mixture = GaussianMixture(3, reg_covar=0.1, random_state=0).fit(low)
    starts = low[::3] + 0.5
    found = stein(starts, mixture.weights_, mixture.means_, mixture.precisions_, steps=15)
    given = [torch.from_numpy(np.asarray(each)) for each in (mixture.weights_, mixture.means_, mixture.covariances_)]
    wanted = bayes_prompt.stein(torch.from_numpy(starts), *given, steps=15)
    torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=0, atol=TOLERANCE)
    assert np.abs(found - starts).max() > 0.05


def test_noise_is_as_long_as_the_particles_it_stands_for() -> None:
    task = world(relations=True)
    particles, noise = (begun(BayesPrompt(domain=domain), task)["particles"] for domain in ("support", "noise"))
    torch.testing.assert_close(particles.norm(dim=1), noise.norm(dim=1), rtol=1e-5, atol=1e-6)
    assert (particles - noise).abs().max() > 0.1


def pcp_round(method: PCP, task: TextTask, params: Params, turn: int, plain: bool, guessed: Tensor | None) -> Params:
    """``params`` after five steps of round ``turn``, by the method or by the reference."""
    now = task.but(turn=turn)
    batch = training_batch(task)
    if guessed is not None:
        assert task.pool is not None
        batch = task.pool.but(labels=guessed)

    def loss(params: Params, step: int) -> Tensor:
        if not plain:
            (found,) = method.objective(params, batch, now.but(seed=torch.tensor(step))).values()
            return found
        return pcp.fit_loss(task, params, batch) if guessed is None else pcp.line_loss(task, params, batch, step)

    return five_steps(loss, params, list(params), {})


def test_pcp_in_three_rounds() -> None:
    task, method = world(), PCP()
    fresh = begun(method, task)
    assert method.draws(task, 6) == (0, 6, 0)
    assert len(method.relabel(task, None).positions) == 0
    ends = []
    for plain in (False, True):
        first = pcp_round(method, task, fresh, 0, plain, None)
        said = (pcp.logits if plain else lambda t, p, b: method.predict(p, b, t))(task, first, task.pool)
        if plain:
            labels = said.argmax(1)
        else:
            chosen = method.relabel(task.but(turn=1), said)
            assert chosen.positions.tolist() == list(range(6))
            labels = chosen.labels
            assert method.resume(first, fresh, task.but(turn=1)) is fresh
            assert method.resume(first, fresh, task.but(turn=2)) is first
        second = pcp_round(method, task, fresh, 1, plain, labels)
        assert max(float((second[name] - fresh[name]).abs().max()) for name in fresh) > 1e-3
        ends.append(pcp_round(method, task, second, 2, plain, None))
    same(*ends)


def test_pcp_reads_random_or_gold_labels_instead_of_its_own() -> None:
    task = world()
    logits = torch.zeros(6, 3)
    now = task.but(turn=1, seed=torch.tensor(5))
    gold = PCP(labels="gold").relabel(now, logits).labels
    assert gold.tolist() == [0, 1, 2, 1, 2, 2]
    drawn = [PCP(labels="random").relabel(now.but(seed=torch.tensor(s)), logits).labels.tolist() for s in (5, 5, 6)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert PCP(labels="gold").assets == {"unlabelled", "pool_labels"}
    with pytest.raises(ValueError, match="not given"):
        PCP(labels="gold").relabel(now.but(pool_labels=None), logits)


def test_a_label_word_of_several_tokens_is_never_asked_for() -> None:
    words = {"positive": ("joyful",), "negative": ("bad",), "science": ("zeta",)}
    task = world(words=words, word_scores=None)
    params = begun(PCP(), task)
    batch = training_batch(task)
    now = task.but(turn=1, seed=torch.tensor(3))
    (found,) = PCP().objective(params, batch, now).values()
    torch.testing.assert_close(found, pcp.line_loss(task, params, batch, 3), rtol=0, atol=TOLERANCE)
