"""F6, F7, F10, F17: death, a full disk, rivals and missing rights during a commit."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.store.committer import committing
from tests.store.synthetic import make_cell, make_failure, make_outcome

from promptgrid.contract.clip import Outcome
from promptgrid.spec import Reason
from promptgrid.store import Store, StoreFull, StoreReadOnly, verify
from promptgrid.store.files.commit import STEPS

ROOT = Path(__file__).parents[2]
COMMIT = """
import sys
from promptgrid.store import Store, StoreFull, verify
from tests.store.synthetic import make_cell, make_outcome
store = Store(sys.argv[1])
try:
    for seed in sys.argv[3:]:
        print(int(store.commit(make_outcome(make_cell(int(seed)), images=int(sys.argv[2])))), flush=True)
except StoreFull as error:
    print("StoreFull", error)
"""


def assert_sound(store: Store, seeds: set[int]) -> None:
    """The store holds exactly ``seeds``, all of it verifies, and readers see nothing else."""
    assert {record.cell.seed for record in store.records()} == seeds
    report = verify(store, stale_after=0.0)
    assert (report.checked, report.damaged) == (len(seeds), [])
    assert list((store.root / "temporary").iterdir()) == []


@pytest.mark.parametrize("step", STEPS)
def test_f6_death_at_any_step_of_a_commit_leaves_a_valid_store(tmp_path: Path, step: str) -> None:
    store = Store(tmp_path)
    store.commit(make_outcome(make_cell(1)))
    process = committing(tmp_path, (2,), failpoint=step)
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    landed = step in {"renamed", "parent"}
    assert store.finished([make_cell(2).key]) == ({make_cell(2).key} if landed else set())
    assert store.commit(make_outcome(make_cell(2))) is not landed
    assert_sound(store, {1, 2})


@pytest.mark.parametrize("step", STEPS)
def test_f6_an_io_error_at_any_step_is_raised_and_leaves_a_valid_store(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setenv("PROMPTGRID_FAILPOINT", f"{step}:raise")
        with pytest.raises(OSError, match="failpoint"):
            store.commit(make_outcome(make_cell(2)))
    assert list((store.root / "temporary").iterdir()) == []
    store.commit(make_outcome(make_cell(2)))
    assert_sound(store, {2})


def test_f6_leftovers_of_the_living_and_the_young_stay(tmp_path: Path) -> None:
    store = Store(tmp_path)
    process = committing(tmp_path, (2,), failpoint="files")
    process.join(120)
    (leftover,) = (store.root / "temporary").iterdir()
    mine = leftover.with_name(leftover.name.replace(f"~{process.pid}~", f"~{os.getpid()}~"))
    elsewhere = leftover.with_name(f"other-host~{process.pid}~00")
    mine.mkdir()
    elsewhere.mkdir()
    assert verify(store).leftovers == [], "not yet an hour old"
    assert verify(store, stale_after=0.0).leftovers == [leftover.name]
    assert mine.is_dir()
    assert elsewhere.is_dir()


@pytest.mark.parametrize("written", [0, 1, 5])
def test_f7_no_space_left_while_writing(tmp_path: Path, written: int, monkeypatch: pytest.MonkeyPatch) -> None:
    store, real, calls = Store(tmp_path), os.write, [0]
    store.commit(make_outcome(make_cell(1)))

    def full(descriptor: int, raw: bytes) -> int:
        calls[0] += 1
        if calls[0] > written:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, bytes(raw)[:100])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StoreFull, match="full"):
            store.commit(make_outcome(make_cell(2)))
        with pytest.raises(StoreFull):
            store.commit(Outcome(make_failure(make_cell(3), Reason.DISK_FULL)))
    assert store.failures() == {}
    assert_sound(store, {1})
    store.commit(make_outcome(make_cell(2)))
    assert_sound(store, {1, 2})


def test_f7_a_really_full_disk(tmp_path: Path) -> None:
    """A 2 MB tmpfs in a mount namespace of its own; skipped where the kernel does not let us."""
    mount = ("unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=2m none "{tmp_path}" && "$@"', "sh")
    try:
        subprocess.run([*mount, "true"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting needs user namespaces")
    code = COMMIT + (
        "print(sorted(r.cell.seed for r in store.records()), verify(store, stale_after=0.0).damaged,"
        " list((store.root / 'temporary').iterdir()))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), "20000", *map(str, range(40))]
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}"}
    done = subprocess.run([*mount, *command], capture_output=True, text=True, env=environ, check=True, timeout=300)
    *commits, full, left = done.stdout.splitlines()
    assert 0 < len(commits) < 40
    assert full.startswith("StoreFull")
    assert left == f"{list(range(len(commits)))} [] []"


def test_f10_rivals_at_the_same_cells_commit_each_once(tmp_path: Path) -> None:
    store, seeds = Store(tmp_path / "store"), tuple(range(1, 26))
    files = [tmp_path / "first.txt", tmp_path / "second.txt"]
    rivals = [committing(store.root, seeds, answers=file) for file in files]
    for rival in rivals:
        rival.join(300)
    assert [rival.exitcode for rival in rivals] == [0, 0]
    answers = [[int(line) for line in file.read_text().split()] for file in files]
    assert [one + other for one, other in zip(*answers, strict=True)] == [1] * len(seeds)
    assert_sound(store, set(seeds))


def test_f10_the_loser_of_the_last_moment_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, cell, rename = Store(tmp_path), make_cell(1), os.rename

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        assert store.commit(make_outcome(cell)) is True
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    assert store.commit(make_outcome(cell, metrics={"accuracy": 0.999})) is False
    assert store.read(cell.key) == make_outcome(cell).record
    assert_sound(store, {1})


def test_f10_rivals_that_fail_keep_both_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, cell = Store(tmp_path), make_cell(1)
    store.commit(Outcome(make_failure(cell)))
    monkeypatch.setattr(type(store.attempts), "numbers", staticmethod(lambda folder: []))
    store.commit(Outcome(make_failure(cell)))
    monkeypatch.undo()
    assert store.failures()[cell.key].attempts == 2


def test_f17_a_store_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "mine")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreReadOnly, match=r"cannot be written \(Read-only file system\).*--store.*mine"):
        store.commit(make_outcome(make_cell(1)))


def test_f17_a_read_only_disk_can_still_be_read(tmp_path: Path) -> None:
    """Damage on a disk that may not be written is left out of answers and stays where it is."""
    store = Store(tmp_path)
    for seed in (1, 2):
        store.commit(make_outcome(make_cell(seed)))
    (store.folder(make_cell(2).key) / "record.json").write_text("{}")
    mount = ("unshare", "-rm", "sh", "-c", f'mount --bind -o ro "{tmp_path}" "{tmp_path}" && "$@"', "sh")
    code = (
        "import sys; from promptgrid.store import *; s = Store(sys.argv[1]);"
        "from tests.store.synthetic import *\n"
        "print([r.cell.seed for r in s.records()])\n"
        "try: s.commit(make_outcome(make_cell(3)))\n"
        "except StoreReadOnly as error: print(error)"
    )
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}"}
    probe = subprocess.run([*mount, "sh", "-c", f'! touch "{tmp_path}/x"'], capture_output=True, timeout=60)
    if probe.returncode:
        pytest.skip("mounting needs user namespaces")
    command = [*mount, sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=True, timeout=120)
    shown, error = done.stdout.splitlines()
    assert shown == "[1]"
    assert str(tmp_path) in error
