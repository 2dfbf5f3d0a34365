"""The masked language model's recipe, on a few words."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from tests.tracks.text.backbones.folders import folder

from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.text.backbones.hf_folder import HuggingFaceFolder
from promptgrid.tracks.text.backbones.mask_delta import applied, closed, opened
from promptgrid.tracks.text.backbones.tower import Transformer
from promptgrid.tracks.text.pretrain import readers
from promptgrid.tracks.text.pretrain.batches import masked, rows, steps
from promptgrid.tracks.text.pretrain.corpus import Source, capped, corpus, load_sources, parted, texts
from promptgrid.tracks.text.pretrain.evaluate import CLOZE, cloze, held_out
from promptgrid.tracks.text.pretrain.publish import loaded, publish, stored
from promptgrid.tracks.text.pretrain.recipe import Recipe
from promptgrid.tracks.text.pretrain.tables import Tables
from promptgrid.tracks.text.pretrain.train import loss_of, train, trainable, with_head

RECIPE = Recipe(steps=6, tokens=24, lengths=(8,), rate=5e-3, head_rate=5e-3)
SENTENCE = "The film that we saw was long and it was not very good at all."


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    """A small BERT whose matrices divide into groups of 128."""
    home = folder(tmp_path_factory.mktemp("bert"), "bert", hidden_size=32, num_attention_heads=2, intermediate_size=64)
    found = HuggingFaceFolder().load(f"hf-dir:{home}", "cpu")
    assert isinstance(found, Transformer)
    bare = {name: value for name, value in found.weights().items() if not name.startswith("mask.")}
    return Transformer("small", "", found.shape, bare, found.tokenizer, found.preprocessing)


@pytest.fixture(scope="module")
def tables(tower: Transformer) -> Tables:
    """Rows of eight in which two tokens alternate."""
    table = torch.tensor([[2, 8, 9, 8, 9, 8, 9, 3]] * 5, dtype=torch.int32)
    counts = torch.bincount(table[:, 1:-1].flatten().long(), minlength=32).float()
    return Tables([table], counts, [("package", "film was film was film was")] * 60, {"package": 30})


def test_rows_are_filled_and_framed() -> None:
    wanted = [[0, 1, 2, 99], [0, 3, 4, 99], [0, 6, 7, 99], [0, 8, 9, 99]]
    assert rows([[1, 2, 3], [4, 5], [6, 7, 8, 9, 10]], 4, 0, 99) == wanted


def test_masks_hide_what_is_wanted_and_never_the_frame() -> None:
    ids = torch.arange(40).view(4, 10)
    step = masked(ids, 3, -1, torch.Generator().manual_seed(0))
    assert torch.equal(ids.gather(1, step.places), step.wanted)
    assert bool((step.ids.gather(1, step.places) == -1).all())
    assert int((step.ids == -1).sum()) == 12
    assert set(step.places.flatten().tolist()) <= set(range(1, 9))


def test_a_step_depends_on_its_number_alone(tables: Tables) -> None:
    first = [next(steps(tables.rows, RECIPE, 4, number)).places for number in range(3)]
    running = steps(tables.rows, RECIPE, 4, 0)
    assert all(torch.equal(next(running).places, places) for places in first)


def test_training_tells_what_it_is_shown(tower: Transformer, tables: Tables, tmp_path: Path) -> None:
    recipe = Recipe(steps=80, tokens=40, lengths=(8,), rate=5e-3, head_rate=1e-2)
    kept = torch.load(train(tower, tables, recipe, tmp_path), weights_only=True)
    headed = with_head(tower, tables.counts)
    step = masked(tables.rows[0].long(), 1, 4, torch.Generator().manual_seed(1))
    before, after = (float(loss_of(headed, params, step)) for params in (trainable(headed), kept["params"]))
    assert after < 0.6 * before
    assert kept["params"].keys() == trainable(headed).keys()
    assert any(name.startswith("blocks.0") for name in kept["params"])


def test_a_run_that_was_cut_ends_where_the_whole_one_does(tower: Transformer, tables: Tables, tmp_path: Path) -> None:
    (tmp_path / "cut").mkdir()
    (tmp_path / "whole").mkdir()
    whole = torch.load(train(tower, tables, RECIPE, tmp_path / "whole"), weights_only=True)
    path = train(tower, tables, RECIPE, tmp_path / "cut", stop_at=3)
    assert torch.load(path, weights_only=True)["steps"] == 3
    other_order = dict(reversed(tower.weights().items()))
    again = Transformer("again", "", tower.shape, other_order, tower.tokenizer, tower.preprocessing)
    rest = torch.load(train(again, tables, RECIPE, tmp_path / "cut"), weights_only=True)
    assert rest["steps"] == whole["steps"] == 6
    for name, value in whole["params"].items():
        assert torch.allclose(value, rest["params"][name], atol=1e-6), name


def test_four_bits_keep_most_of_a_change() -> None:
    change = torch.randn(64, 128, generator=torch.Generator().manual_seed(0)) * 0.01
    codes, scales = closed(change)
    assert codes.numel() == change.numel() // 2
    again = opened(codes, scales, change.shape)
    assert float((again - change).norm() / change.norm()) < 0.12


def test_what_is_published_is_read_back(tower: Transformer, tables: Tables, tmp_path: Path) -> None:
    path = train(tower, tables, RECIPE, tmp_path)
    publish(tower, tables, path, RECIPE, tmp_path / "out", texts=8)
    params = torch.load(path, weights_only=True)["params"]
    found = loaded(tower, tmp_path / "out")
    assert "mask" in found.offers
    for name, value in params.items():
        if name == "mask_row":
            assert torch.allclose(found.weights()["embeddings.word"][4], value, atol=1e-2)
        else:
            assert torch.allclose(found.weights()[name], value, atol=2e-2), name
    card = (tmp_path / "out" / "card.yaml").read_text()
    assert "perplexity" in card
    assert "steps: 6" in card
    assert set(stored(tower, params)) >= {"row.4", "mask.bias", "blocks.0.q.weight.codes", "blocks.0.q.weight.scales"}
    assert applied(tower.weights(), tmp_path / "out" / "delta.safetensors").keys() == found.weights().keys()


def test_figures_are_those_of_the_head(tower: Transformer, tables: Tables, tmp_path: Path) -> None:
    film = tower.words(["film"])[0][0]
    sure = dict(with_head(tower, tables.counts).weights())
    sure["mask.bias"] = torch.full((32,), -50.0).index_fill(0, torch.tensor(film), 50.0)
    said = Transformer("sure", "", tower.shape, sure, tower.tokenizer, tower.preprocessing)
    told = held_out(said, ["film film film film", "film film film film film"])
    assert (told.first, told.among_five) == (1.0, 1.0)
    assert told.perplexity < 1.01
    assert held_out(said, ["cat cat cat cat"]).first == 0.0
    (tmp_path / "cloze.yaml").write_text("the [MASK] was bad: [film]\nthe [MASK] sat: [cat]\n")
    count, first, _, words = cloze(said, tmp_path / "cloze.yaml")
    assert (count, first) == (2, 1)
    assert words[0][1][0] == "film"


def test_the_shipped_cloze_sentences_have_one_mask_each() -> None:
    found = read_yaml(CLOZE)
    assert len(found) == 40
    assert all(sentence.count("[MASK]") == 1 and fitting for sentence, fitting in found.items())


def test_readers_give_sentences(tmp_path: Path) -> None:
    files = {
        "dictionary": "Abjure \\Ab\\, v. t. [L. abjurare]\n   1. To renounce upon oath; to forswear the thing.\n"
        "      [1913 Webster]\n\n   2. A sense of another hand. [WordNet 1.5]\n",
        "quoted": 'conversation\n\t`The captain says that <name> is here to stay.`\n\tname "x"\n',
        "entries": "%%%%\nAgnes\n\nThis one is aged and weathered from years of travel.\n%%%%\n",
        "pod": "=head1 NAME\n\nThe function B<foo> gives a list of the names.\n\n    my $code = 1;\n",
        "pages": "<html><head><title>x</title></head><p>The page is <b>about</b> a thing.</p><pre>code</pre>",
    }
    wanted = {
        "dictionary": "To renounce upon oath; to forswear the thing.",
        "quoted": "The captain says that is here to stay.",
        "entries": "This one is aged and weathered from years of travel.",
        "pod": "The function foo gives a list of the names.",
        "pages": "The page is about a thing.",
    }
    assert files.keys() == readers.READERS.keys()
    for reader, content in files.items():
        (tmp_path / reader).write_text(content)
        source = Source("p", "1", "", "t", "l", reader, (reader,))
        assert list(texts(source, tmp_path)) == [wanted[reader]], reader


def test_a_corpus_keeps_away_from_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source("p", "1", "", "t", "l", "quoted", ("*.txt",))
    monkeypatch.setattr("promptgrid.tracks.text.pretrain.corpus.load_sources", lambda: [source])
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.txt").write_text(f"`{SENTENCE}`\n`The cat sat on the mat and looked at the dog for long.`\n")
    ((_, kept, held),) = corpus(tmp_path, ["Somebody said: the film that we saw was long and so on"])
    assert [*kept, *held] == ["The cat sat on the mat and looked at the dog for long."]


def test_parts_depend_on_the_text_alone() -> None:
    found = [f"text number {number}" for number in range(2000)]
    train_part, held = parted(found)
    assert 10 <= len(held) <= 80
    assert sorted(train_part + held) == sorted(found)
    assert parted(found[::-1])[1] == held[::-1]
    few = capped(found, 30)
    assert sum(len(text.split()) for text in few) <= 30
    assert few == [text for text in found if text in set(few)]


def test_the_sources_are_pinned_and_no_tasks() -> None:
    found = load_sources()
    assert len({source.package for source in found}) == len(found) >= 20
    assert all(len(source.sha256) == 64 == len(hashlib.sha256().hexdigest()) for source in found)
    assert all(source.reader in readers.READERS and source.paths and source.licence for source in found)
    tasks = {"dict-foldoc", "wordnet-base", "fortunes", "dict-jargon", "dict-devil"}
    assert tasks.isdisjoint(source.package for source in found)
