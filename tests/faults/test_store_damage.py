"""F8, F9: flipped bits, truncated, emptied and deleted files are all found, quarantined, and can be computed again."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.store.synthetic import make_cell, make_failure, make_outcome

from promptgrid.contract.clip import Outcome
from promptgrid.store import Damaged, Store, verify

FILES = ("MANIFEST.json", "predictions.parquet", "record.json", "state.safetensors")
Harm = Callable[[Path, random.Random], None]


def flip(path: Path, rng: random.Random) -> None:
    raw = bytearray(path.read_bytes())
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    path.write_bytes(raw)


def truncate(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: rng.randrange(1, path.stat().st_size)])


def empty(path: Path, _: random.Random) -> None:
    path.write_bytes(b"")


def delete(path: Path, _: random.Random) -> None:
    path.unlink()


def campaign(store: Store, rounds: int, harms: list[Harm]) -> None:
    """Harm one of three cells ``rounds`` times; each time it alone is found, set aside, and can be committed again."""
    rng, cells = random.Random(rounds), [make_cell(seed) for seed in (1, 2, 3)]
    for cell in cells:
        store.commit(make_outcome(cell))
    keys = [cell.key for cell in cells]
    digest = store.scores_digest(keys)
    for number in range(rounds):
        cell, name = rng.choice(cells), FILES[number % len(FILES)]
        rng.choice(harms)(store.folder(cell.key) / name, rng)
        report = verify(store)
        assert [key for key, _ in report.damaged] == [cell.key], (number, name)
        assert (store.root / "quarantine" / f"{cell.key}-1" / "reason.json").is_file()
        assert store.to_run(keys) == {cell.key}
        assert store.commit(make_outcome(cell)) is True
        assert store.scores_digest(keys) == digest
        shutil.rmtree(store.root / "quarantine")
    assert verify(store).sound


@pytest.mark.parametrize("rounds", [52, pytest.param(2000, marks=pytest.mark.slow)])
def test_f8_every_flipped_bit_is_found(tmp_path: Path, rounds: int) -> None:
    campaign(Store(tmp_path), rounds, [flip])


@pytest.mark.parametrize("rounds", [32, pytest.param(500, marks=pytest.mark.slow)])
def test_f9_every_truncated_empty_or_deleted_file_is_found(tmp_path: Path, rounds: int) -> None:
    campaign(Store(tmp_path), rounds, [truncate, empty, delete])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", [flip, truncate, empty, delete])
def test_a_reader_never_returns_what_is_damaged(tmp_path: Path, name: str, harm: Harm) -> None:
    store, cell = Store(tmp_path), make_cell(1)
    readers: dict[str, Callable[[str], object]] = {
        "MANIFEST.json": store.read,
        "record.json": store.read,
        "predictions.parquet": store.predictions,
        "state.safetensors": store.state,
    }
    store.commit(make_outcome(cell))
    harm(store.folder(cell.key) / name, random.Random(7))
    with pytest.raises(Damaged, match=name):
        readers[name](cell.key)
    assert store.finished([cell.key]) == set()


def test_a_damaged_cell_costs_the_others_nothing(tmp_path: Path) -> None:
    store, cells = Store(tmp_path), [make_cell(seed) for seed in range(100)]
    for cell in cells:
        store.commit(make_outcome(cell, images=2))
    for cell in cells[::10]:
        flip(store.folder(cell.key) / "record.json", random.Random(cell.seed))
    records = store.records()
    assert {record.cell.seed for record in records} == {seed for seed in range(100) if seed % 10}
    assert len(store.to_run(cell.key for cell in cells)) == 10


def test_the_same_cell_damaged_twice_is_kept_twice(tmp_path: Path) -> None:
    store, cell = Store(tmp_path), make_cell(1)
    for number in (1, 2):
        store.commit(make_outcome(cell))
        empty(store.folder(cell.key) / "record.json", random.Random(0))
        assert store.records() == []
        assert (store.root / "quarantine" / f"{cell.key}-{number}" / "found" / "record.json").is_file()


@pytest.mark.parametrize("harm", [flip, truncate, empty])
def test_a_damaged_attempt_is_found_and_does_not_count(tmp_path: Path, harm: Harm) -> None:
    store, cell = Store(tmp_path), make_cell(1)
    for _ in range(2):
        store.commit(Outcome(make_failure(cell)))
    (path,) = store.root.glob("failures/*/*/2.json")
    harm(path, random.Random(3))
    report = verify(store)
    assert [key for key, _ in report.damaged] == [cell.key]
    assert store.failures()[cell.key].attempts == 1


def test_strangers_among_the_records_are_set_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit(make_outcome(make_cell(1)))
    prefix = store.folder(make_cell(1).key).parent
    (prefix / "notes.txt").write_text("hello")
    (prefix / make_cell(2).key).mkdir()
    (store.root / "records" / "stray").write_text("")
    found = dict(verify(store).damaged)
    assert found.keys() == {"notes.txt", make_cell(2).key, "stray"}
    assert verify(store).sound
    assert store.finished([make_cell(1).key]) == {make_cell(1).key}
