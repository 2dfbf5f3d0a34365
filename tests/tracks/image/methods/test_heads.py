"""Heads on features: what they equal when they add nothing, and how they search."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from promptgrid.contract.clip import Labelled
from promptgrid.tracks.image.methods.clip_adapter import ClipAdapter
from promptgrid.tracks.image.methods.clip_lora import ClipLora
from promptgrid.tracks.image.methods.linear_probe import COARSE, LinearProbe, best_c
from promptgrid.tracks.image.methods.taskres import TaskRes
from promptgrid.tracks.image.methods.tip_adapter import TipAdapter
from promptgrid.tracks.image.methods.tip_adapter_f import TipAdapterF
from promptgrid.tracks.image.methods.zero_shot import ZeroShot


@pytest.mark.parametrize(
    "method",
    [
        ClipAdapter(ratio=0.0),
        TaskRes(underscores="spaces"),
        TipAdapter(alpha=0.0),
        TipAdapterF(alpha=0.0),
        ClipLora(texts="dataset"),
    ],
    ids=repr,
)
def test_what_adds_nothing_is_zero_shot(method, make_task, batch_of):
    task, (batch, _) = make_task(seed=3), batch_of()
    params = method.init(task, torch.Generator().manual_seed(0))
    expected = ZeroShot().forward({}, batch, task).logits
    torch.testing.assert_close(method.forward(params, batch, task).logits, expected, atol=1e-4, rtol=0)


def test_every_method_that_claims_zero_shot_at_start_keeps_it(any_classifier, make_task, batch_of, practice):
    task, (batch, _) = make_task(backbone=practice), batch_of(backbone=practice)
    logits = any_classifier.forward(any_classifier.init(task, torch.Generator().manual_seed(0)), batch, task).logits
    same = torch.allclose(logits, ZeroShot().forward({}, batch, task).logits, atol=1e-4)
    claims = any_classifier.zero_shot_at_start and getattr(any_classifier, "templates", "single") == "single"
    assert same or not claims


def test_the_adapter_is_blended_before_it_is_normalised(make_task, batch_of):
    task, (batch, _) = make_task(), batch_of()
    method = ClipAdapter(ratio=0.3)
    params = method.init(task, torch.Generator().manual_seed(0))
    by_hand = 0.3 * ((batch.features @ params["down"].T).relu() @ params["up"].T).relu() + 0.7 * batch.features
    torch.testing.assert_close(method.image(params, batch, task), by_hand)


def test_taskres_adds_to_the_text_before_it_is_normalised(make_task):
    task = make_task(template="a drawing of {}.")
    tokens = task.backbone.tokenize([f"a drawing of {name}." for name in task.classes])
    raw = task.backbone.encode_text(task.backbone.embed_tokens(tokens), tokens.argmax(-1))
    params = TaskRes().init(task, torch.Generator())
    torch.testing.assert_close(TaskRes(alpha=0.7).text({**params, "residual": torch.ones_like(raw)}, task), raw + 0.7)


def test_tip_votes_by_the_formula(make_task, batch_of):
    task, (batch, _) = make_task(), batch_of()
    method = TipAdapter(alpha=2.0, beta=3.0)
    params = method.init(task, torch.Generator())
    out = method.forward(params, batch, task)
    for i, image in enumerate(F.normalize(batch.features, dim=-1)):
        votes = torch.zeros(len(task.classes))
        for key, label in zip(F.normalize(task.support.features, dim=-1), task.support.labels, strict=True):
            votes[label] += torch.exp(-3.0 * (1.0 - image @ key))
        expected = task.scale * task.text @ image + 2.0 * votes
        torch.testing.assert_close(out.logits[i], expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(("dataset", "reach"), [("meadow", (7.0, 3.0)), ("StanfordCars", (20.0, 10.0))])
@pytest.mark.parametrize("method", [TipAdapter(), TipAdapterF()], ids=repr)
def test_tip_searches_the_originals_grid_on_validation_images(method, dataset, reach, make_task):
    task = make_task(seed=5, dataset=dataset, shots=2)
    params = method.init(task, torch.Generator())
    params["keys"] = params["keys"] + 0.05  # trained keys are searched as they are
    found = method.finish(params, task)
    best, chosen = -1, ()
    for i in range(200):
        for j in range(20):
            beta, alpha = i * (reach[0] - 0.1) / 200 + 0.1, j * (reach[1] - 0.1) / 20 + 0.1
            unit = F.normalize(task.validation.features, dim=-1)
            votes = torch.exp(-beta * (1 - unit @ params["keys"].T)) @ params["values"]
            logits = task.scale * unit @ task.text.T + alpha * votes
            right = int((logits.argmax(-1) == task.validation.labels).sum())
            if right > best:
                best, chosen = right, (alpha, beta)
    assert (float(found["alpha"]), float(found["beta"])) == pytest.approx(chosen)
    assert torch.equal(found["keys"], params["keys"])


def test_without_search_or_validation_tip_keeps_alpha(make_task):
    for method, task in [(TipAdapter(search=False), make_task()), (TipAdapter(), make_task(validation=None))]:
        params = method.finish(method.init(task, torch.Generator()), task)
        assert float(params["alpha"]) == pytest.approx(1.17)


def test_tips_alpha_is_the_papers_on_the_papers_datasets(make_task):
    def alpha(method):
        return float(method.init(make_task(dataset="OxfordFlowers"), torch.Generator())["alpha"])

    assert alpha(TipAdapter()) == 10.0
    assert alpha(TipAdapter(alpha=4.0)) == 4.0
    assert alpha(TipAdapter(as_published=False)) == pytest.approx(1.17)


def test_the_probe_is_sklearns_on_features_as_they_are(make_task, batch_of):
    task, (batch, _) = make_task(), batch_of()
    method = LinearProbe(search=False, c=0.1)
    params = method.finish(method.init(task, torch.Generator()), task)
    fitted = LogisticRegression(C=0.1, max_iter=1000).fit(
        task.support.features.double().numpy(), task.support.labels.numpy()
    )
    expected = torch.from_numpy(fitted.decision_function(batch.features.double().numpy())).float()
    torch.testing.assert_close(method.forward(params, batch, task).logits, expected, atol=1e-4, rtol=1e-4)


def test_the_probe_of_two_classes_and_of_a_class_without_examples(make_task):
    task = make_task()
    kept = torch.isin(task.support.labels, torch.tensor([1, 3]))
    two = make_task(support=Labelled(task.support.features[kept], task.support.labels[kept]))
    params = LinearProbe(search=False).finish(LinearProbe().init(two, torch.Generator()), two)
    logits = LinearProbe().head(params, two.support.features, two.text, two)
    assert torch.isfinite(logits).all()
    assert torch.equal(logits.argmax(-1), two.support.labels)


def test_the_probe_searches_c_on_validation_images(make_task):
    task = make_task(seed=2, shots=2)
    start = LinearProbe().init(task, torch.Generator())

    def fixed(c: float):
        return LinearProbe(search=False, c=c).finish(start, task)

    def accuracy(c: float) -> float:
        logits = LinearProbe().head(fixed(c), task.validation.features, task.text, task)
        return float((logits.argmax(-1) == task.validation.labels).float().mean())

    found, best = LinearProbe().finish(start, task), fixed(best_c(accuracy))
    torch.testing.assert_close(found, best)
    assert not torch.allclose(found["weight"], fixed(1.0)["weight"])
    assert accuracy(best_c(accuracy)) > accuracy(1e-6)


@pytest.mark.parametrize("goal", [3.3, -0.4, 1.0])
def test_the_search_of_c_closes_in_on_the_best(goal):
    tried = []

    def accuracy(c: float) -> float:
        tried.append(c)
        return -abs(torch.tensor(c).log10().item() - goal)

    found = torch.tensor(best_c(accuracy)).log10().item()
    assert tried[:7] == list(COARSE)
    assert len(tried) == 7 + 2 * 8
    assert abs(found - goal) < 0.02


def test_of_equal_cs_the_largest_coarse_one_leads():
    assert best_c(lambda c: 0.5) == pytest.approx(1e5, rel=0.3)
