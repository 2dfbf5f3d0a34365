"""Features are computed once, shared, verified, and bounded on disk."""

import errno
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from promptgrid.store import FeatureCache, features
from promptgrid.store.features import Arrays


class Counting:
    """A computation that knows how often it ran."""

    def __init__(self, size: int = 1000) -> None:
        self.calls = 0
        self.size = size

    def __call__(self) -> Arrays:
        self.calls += 1
        rng = np.random.default_rng(0)
        return {
            "features": rng.standard_normal((self.size, 8)).astype(np.float32),
            "labels": np.arange(self.size, dtype=np.int64),
            "mask": np.array([True, False, True]),
            "scale": np.array(2.5),
            "none": np.empty((0, 4), np.float16),
        }


def same(one: Arrays, other: Arrays) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )


def arrays_file(cache: FeatureCache) -> Path:
    (entry,) = cache.listing()
    return entry.folder / "arrays.safetensors"


def test_computed_once_then_mapped(tmp_path: Path) -> None:
    compute = Counting()
    first = FeatureCache(tmp_path).get("a", compute)
    again = FeatureCache(tmp_path)
    assert same(again.get("a", compute), Counting()())
    assert same(first, Counting()())
    assert again.get("a", compute)["features"] is again.get("a", compute)["features"]
    assert compute.calls == 1


def test_maps_cannot_be_written(tmp_path: Path) -> None:
    arrays = FeatureCache(tmp_path).get("a", Counting())
    assert all(not array.flags.writeable for array in arrays.values())
    with pytest.raises(ValueError, match="read-only"):
        arrays["features"][0, 0] = 1.0


@pytest.mark.parametrize("harm", ["flip", "truncate", "empty", "delete", "manifest", "no manifest"])
def test_damaged_features_are_computed_again(tmp_path: Path, harm: str) -> None:
    compute = Counting()
    FeatureCache(tmp_path).get("a", compute)
    path = arrays_file(FeatureCache(tmp_path))
    raw = bytearray(path.read_bytes())
    if harm == "flip":
        raw[-5] ^= 4
        path.write_bytes(raw)
    elif harm == "truncate":
        path.write_bytes(raw[:-7])
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "delete":
        path.unlink()
    elif harm == "manifest":
        manifest = path.with_name("manifest.json")
        manifest.write_bytes(manifest.read_bytes().replace(b"1", b"2", 1))
    else:
        path.with_name("manifest.json").unlink()
    assert same(FeatureCache(tmp_path).get("a", compute), Counting()())
    assert compute.calls == 2
    FeatureCache(tmp_path).get("a", compute)
    assert compute.calls == 2


def test_the_least_recently_used_goes_first_and_never_what_was_just_asked_for(tmp_path: Path) -> None:
    big = Counting(10_000)  # about 400 kB each
    cache = FeatureCache(tmp_path, max_bytes=1_000_000)
    for place, name in enumerate("ab"):
        cache.get(name, big)
        os.utime(cache.listing()[-1].folder / "manifest.json", (place + 1, place + 1))
    cache.get("a", big)  # now b is the oldest
    cache.get("c", big)
    assert sorted(entry.name for entry in cache.listing()) == ["a", "c"]
    assert 0 < cache.size() <= 1_000_000
    tight = FeatureCache(tmp_path, max_bytes=10)
    assert same(tight.get("d", big), big())
    assert [entry.name for entry in tight.listing()] == ["d"]
    assert same(cache.get("a", big), big()), "what was handed out stays valid after it was evicted"


def test_size_and_clear(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    assert (cache.size(), cache.listing(), cache.clear()) == (0, [], 0)
    compute = Counting()
    cache.get("a", compute)
    size = cache.size()
    assert size == arrays_file(cache).stat().st_size
    assert cache.clear() == size
    assert (cache.size(), cache.listing()) == (0, [])
    cache.get("a", compute)
    assert compute.calls == 2


def test_shrink_and_verify(tmp_path: Path) -> None:
    cache, compute = FeatureCache(tmp_path), Counting()
    for place, name in enumerate("abc"):
        cache.get(name, compute)
        entry = next(entry for entry in cache.listing() if entry.name == name)
        os.utime(entry.folder / "manifest.json", (place + 1, place + 1))
    one = cache.size() // 3
    assert cache.shrink(3 * one) == 0
    assert cache.shrink(2 * one) == one
    assert [entry.name for entry in cache.listing()] == ["b", "c"]
    harmed = cache.listing()[0]
    (harmed.folder / "arrays.safetensors").write_bytes(b"x" * harmed.bytes)
    assert [entry.name for entry in cache.verify()] == ["b"]
    assert [entry.name for entry in cache.listing()] == ["c"]
    calls = compute.calls
    assert same(cache.get("b", compute), Counting()())
    assert compute.calls == calls + 1


def test_a_process_maps_a_bounded_number_of_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptgrid.store.features.MAPPED", 2)
    cache, compute = FeatureCache(tmp_path), Counting()
    first = cache.get("a", compute)["features"]
    cache.get("b", compute)
    assert cache.get("a", compute)["features"] is first
    cache.get("c", compute)
    assert cache.get("a", compute)["features"] is first, "the one used last stays"
    cache.get("d", compute)
    cache.get("e", compute)
    assert cache.get("a", compute)["features"] is not first
    assert compute.calls == 5


def test_a_cache_travels_to_workers(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, max_bytes=123)
    cache.get("a", Counting())
    copy = pickle.loads(pickle.dumps(cache))
    assert (copy.root, copy.max_bytes) == (cache.root, 123)
    assert same(copy.get("a", Counting()), Counting()())


def test_an_error_while_computing_leaves_nothing_and_frees_the_lock(tmp_path: Path) -> None:
    def fail() -> Arrays:
        raise OSError("image 3 is truncated")

    cache = FeatureCache(tmp_path)
    with pytest.raises(OSError, match="image 3"):
        cache.get("a", fail)
    assert cache.listing() == []
    assert same(cache.get("a", Counting()), Counting()())


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "features").write_text("a file where a folder should be")
    compute = Counting()
    arrays = FeatureCache(tmp_path).get("a", compute)
    assert same(arrays, Counting()())
    assert not arrays["features"].flags.writeable


RACER = """
import sys, time
from pathlib import Path
import numpy as np
from promptgrid.store import FeatureCache, features
root, name = Path(sys.argv[1]), sys.argv[2]
def compute():
    (root / f"computed-{name}").touch()
    time.sleep(0.5)
    return {"x": np.arange(1000)}
assert FeatureCache(root).get("shared", compute)["x"].sum() == 499500
"""


def test_processes_that_come_together_compute_once(tmp_path: Path) -> None:
    racers = [subprocess.Popen([sys.executable, "-c", RACER, str(tmp_path), str(n)]) for n in range(4)]
    assert [racer.wait(120) for racer in racers] == [0] * 4
    assert len(list(tmp_path.glob("computed-*"))) == 1


def test_what_the_system_cannot_read_now_is_computed_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = Counting()
    before = FeatureCache(tmp_path).get("one", compute)

    def stale(path: Path) -> Arrays:
        raise OSError(errno.ESTALE, "Stale file handle", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(features, "map_arrays", stale)
        assert same(FeatureCache(tmp_path).get("one", compute), before)
    assert compute.calls == 2
    assert same(FeatureCache(tmp_path).get("one", compute), before)
    assert compute.calls == 2


def test_an_entry_that_goes_while_it_is_verified_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FeatureCache(tmp_path)
    cache.get("one", Counting())
    (entry,) = cache.listing()
    monkeypatch.setattr(cache, "listing", lambda: [entry])
    assert cache.clear() > 0
    assert cache.verify() == []


def test_who_waits_for_another_process_shows_signs_of_life(tmp_path: Path) -> None:
    holder = FeatureCache(tmp_path)
    alive = threading.Event()
    waiting = FeatureCache(tmp_path, alive=alive.set)

    def slow() -> Arrays:
        other = threading.Thread(target=waiting.get, args=("one", Counting()))
        other.start()
        assert alive.wait(60)
        others.append(other)
        return Counting()()

    others: list[threading.Thread] = []
    holder.get("one", slow)
    others[0].join(60)
    assert not others[0].is_alive()
