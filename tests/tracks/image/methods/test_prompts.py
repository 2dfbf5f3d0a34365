"""Where context stands, and from which words methods start."""

import importlib.util

import pytest
import torch

from promptgrid.contract.clip import Edits
from promptgrid.contract.task import Task
from promptgrid.tracks.image.methods.coop import CoOp
from promptgrid.tracks.image.methods.kgcoop import KgCoOp
from promptgrid.tracks.image.methods.maple import MaPLe
from promptgrid.tracks.image.methods.parts.templates import EIGHTY, SEVEN
from promptgrid.tracks.image.methods.prograd import ProGrad
from promptgrid.tracks.image.methods.zero_shot import ZeroShot


@pytest.fixture
def seen(plain, monkeypatch):
    """What reaches the text tower: a list of (words of each prompt, position of its end)."""
    calls = []
    encode = type(plain).encode_text

    def record(self, embeddings, ends, edits: Edits | None = None):
        calls.append(
            [(self.words_of(row[: int(end) + 1]), int(end)) for row, end in zip(embeddings, ends, strict=True)]
        )
        return encode(self, embeddings, ends, edits)

    monkeypatch.setattr(type(plain), "encode_text", record)
    return calls


@pytest.mark.parametrize(
    ("position", "fox", "owl"),
    [
        ("end", "< ? ? ? red fox . >", "< ? ? ? owl . >"),
        ("middle", "< ? red fox ? ? . >", "< ? owl ? ? . >"),
        ("front", "< red fox ? ? ? . >", "< owl ? ? ? . >"),
    ],
)
@pytest.mark.parametrize("class_specific", [False, True])
def test_context_stands_where_position_says(position, fox, owl, class_specific, make_task, seen):
    method = CoOp(context_length=3, position=position, class_specific=class_specific)
    task = make_task()
    method.text(method.init(task, torch.Generator().manual_seed(0)), task)
    assert [" ".join(words) for words, _ in seen[-1][:2]] == [fox, owl]
    assert [end for _, end in seen[-1][:2]] == [7, 6]


def test_context_tokens_keep_their_order_around_the_name(make_task, plain):
    """Tokens 0 and 1 before the name, 2 and 3 behind it."""
    task = make_task()
    start = torch.arange(4.0)[:, None].expand(4, plain.text.width) + 100
    prompts = task.prompts(4, "middle")
    row = prompts.fill(start)[0][:, 0]
    assert row[[1, 2, 5, 6]].tolist() == [100, 101, 102, 103]


@pytest.mark.parametrize("method", [CoOp(context_length=4, words="a photo of a"), KgCoOp()])
def test_started_from_the_templates_words_it_is_zero_shot(method, make_task, batch_of):
    task, (batch, _) = make_task(), batch_of()
    params = method.init(task, torch.Generator())
    expected = ZeroShot().forward({}, batch, task).logits
    torch.testing.assert_close(method.forward(params, batch, task).logits, expected, atol=1e-5, rtol=0)


def test_class_specific_contexts_of_one_start_equal_the_shared_context(make_task, batch_of):
    task, (batch, _) = make_task(), batch_of()
    shared, own = CoOp(context_length=4, words="a photo of a"), CoOp(class_specific=True, context_length=4)
    context = shared.init(task, torch.Generator())["context"]
    given = {"context": context.repeat(len(task.classes), 1, 1)}
    torch.testing.assert_close(
        own.forward(given, batch, task).logits, shared.forward({"context": context}, batch, task).logits
    )


def test_class_specific_context_moves_its_own_class_only(make_task):
    task, method = make_task(), CoOp(class_specific=True, context_length=2)
    params = method.init(task, torch.Generator().manual_seed(0))
    before = method.text(params, task)
    moved = params["context"].clone()
    moved[1] += 1.0
    changed = (method.text({"context": moved}, task) - before).abs().amax(-1) > 1e-6
    assert changed.tolist() == [False, True, False, False, False]


def test_a_learned_context_speaks_of_new_classes(make_task, seen):
    method, task = CoOp(context_length=2), make_task()
    params = method.init(task, torch.Generator().manual_seed(0))
    other = task.but(classes=("toad", "barn owl"), support=None, validation=None)
    assert method.text(params, other).shape == (2, task.backbone.width)
    assert [" ".join(words) for words, _ in seen[-1]] == ["< ? ? toad . >", "< ? ? barn owl . >"]


def test_maple_replaces_the_first_words_only(make_task, seen):
    task = make_task()
    params = MaPLe().init(task, torch.Generator().manual_seed(0))
    MaPLe().text({**params, "context": params["context"] + 1.0}, task)
    assert " ".join(seen[-1][0][0]) == "< ? ? of a red fox . >"
    torch.testing.assert_close(params["context"], task.words("a photo"))


def test_maples_later_maps_start_as_clones(make_task):
    params = MaPLe().init(make_task(), torch.Generator().manual_seed(0))
    assert params["map_weight"].shape == (3, 20, 12)  # no deeper than the shallower tower: 3 of 9
    assert torch.equal(params["map_weight"][1], params["map_weight"][2])
    assert not torch.equal(params["map_weight"][0], params["map_weight"][1])
    assert not torch.equal(params["deeper"][0], params["deeper"][1])


@pytest.mark.parametrize(
    ("dataset", "template", "settings", "learned", "said"),
    [
        ("meadow", "a photo of a {}, a type of animal.", {}, "a photo of a", "{16} owl . >"),
        ("OxfordPets", "a photo of a {}, a type of pet.", {}, "a type of pet, a photo of", "{16} a owl . >"),
        ("OxfordPets", "a photo of a {}.", {"every_token": True}, "a type of pet, a photo of a", "{16} owl . >"),
    ],
)
def test_prograd_learns_as_many_tokens_as_the_template_has_words(
    dataset, template, settings, learned, said, make_task, seen
):
    """They stand last behind zeros; a comma leaves the last token frozen behind them."""
    task, method = make_task(dataset=dataset, template=template), ProGrad(**settings)
    params = method.init(task, torch.Generator())
    tail = task.words(learned)
    assert torch.equal(params["context"][-len(tail) :], tail)
    assert params["context"].shape[0] == 16
    assert not params["context"][: -len(tail)].any()
    method.text({"context": params["context"] + 1.0}, task)
    assert " ".join(seen[-1][1][0]) == said.replace("{16}", " ".join("<" + "?" * 16))


def test_prograd_starts_at_random_where_the_template_begins_with_the_name(make_task):
    context = ProGrad().init(make_task(template="{} texture."), torch.Generator().manual_seed(0))["context"]
    assert 0.015 < context.std() < 0.025


def test_more_words_than_slots_keep_the_last(make_task):
    task = make_task(dataset="OxfordPets")
    context = ProGrad(context_length=3).init(task, torch.Generator())["context"]
    assert torch.equal(context, task.words("photo of a"))


def test_the_lists_of_templates():
    where = importlib.util.find_spec("open_clip").submodule_search_locations[0] + "/zero_shot_metadata.py"
    spec = importlib.util.spec_from_file_location("zero_shot_metadata", where)
    published = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(published)
    assert tuple(make("{}") for make in published.OPENAI_IMAGENET_TEMPLATES) == EIGHTY
    assert tuple(make("{}") for make in published.SIMPLE_IMAGENET_TEMPLATES) == SEVEN


@pytest.mark.parametrize(
    ("templates", "dataset", "used"),
    [
        ("single", "meadow", ("a drawing of {}.",)),
        ("seven", "meadow", (*SEVEN, "a drawing of {}.")),
        ("seven", "ImageNet", SEVEN),
        ("eighty", "meadow", EIGHTY),
    ],
)
def test_ensembles_are_normalised_means_of_unit_features(templates, dataset, used, make_task):
    task: Task = make_task(dataset=dataset, template="a drawing of {}.")
    single = torch.stack([task.text_of((each,)) for each in used])
    expected = torch.nn.functional.normalize(single.mean(0), dim=-1)
    torch.testing.assert_close(ZeroShot(templates=templates).text({}, task), expected)
