from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cluster.toy.driving import executions, wait_for

from promptgrid.cluster import make_plan, submit
from promptgrid.cluster.on_ray import token
from promptgrid.cluster.on_ray.submit import EXCLUDES, check_address, runtime_env
from promptgrid.spec import Refused, read_suite
from promptgrid.store import Store

ROOT = Path(__file__).parents[3]
TOY = Path(__file__).parents[1] / "toy"
TOY_SUITE = """
name: toy
track: toy
protocol: toy
methods: [sleep, after_sleep]
shots: [1]
seeds: [1, 2]
"""
REAL_SUITE = """
name: tiny
protocol: few_shot
methods: [zero_shot, tip_adapter]
backbones: [bundled]
datasets: [digits]
shots: [1]
seeds: [1]
"""
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (token.MODE, token.TOKEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(token.TOKEN_FILE, str(tmp_path / "none"))


@pytest.mark.parametrize("address", ["http://127.0.0.1:8265", "http://localhost:8265", "http://[::1]:8265"])
@pytest.mark.usefixtures("no_token")
def test_this_machine_needs_no_token(address: str) -> None:
    check_address(address)


@pytest.mark.usefixtures("no_token")
def test_another_machine_without_a_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match=r"not on this machine, and no token is set.*ssh -L"):
        check_address("http://grid.example.org:8265")
    monkeypatch.setenv(token.TOKEN, "s3cr3t-" + "x" * 32)
    check_address("http://grid.example.org:8265")
    monkeypatch.setenv(token.MODE, "disabled")
    with pytest.raises(Refused) as refused:
        check_address("http://grid.example.org:8265")
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("address", ["grid:8265", "ray://grid:10001", "", "http://"])
def test_what_is_no_dashboard_address_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="not a dashboard address"):
        check_address(address)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(Refused, match="holds a password") as refused:
        check_address("http://me:hunter22@grid:8265")
    assert "hunter22" not in str(refused.value)


def test_a_bad_suite_and_one_outside_the_folder_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "toy.yaml").write_text(TOY_SUITE)
    with pytest.raises(Refused, match="outside the folder that is sent"):
        submit(tmp_path / "toy.yaml", working_dir=inside)
    (tmp_path / "bad.yaml").write_text(TOY_SUITE + "sedes: [1]\n")
    with pytest.raises(Refused, match="did you mean 'seeds'"):
        submit(tmp_path / "bad.yaml", working_dir=tmp_path)


def test_a_dashboard_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(TOY_SUITE)
    with pytest.raises(Refused, match="no Ray dashboard answers"):
        submit(tmp_path / "toy.yaml", f"http://127.0.0.1:{free_port()}", working_dir=tmp_path)


PLANTED = {
    ".env", "sub/.env", ".env.local", "deploy.pem", "sub/server.key", "id_rsa", "keys/id_rsa.pub", "id_ed25519",
    ".ssh/config", ".aws/credentials", ".netrc", "sub/credentials.json", ".git/config", ".venv/bin/python",
    "data/images/1.png", ".promptgrid/store/records/x", "auth_token", "mlruns/0/meta.yaml",
}  # fmt: skip


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder with two files to send, and with what must not travel."""
    for name in SENT | PLANTED:
        (tmp_path / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / name).write_text("x")
    return tmp_path / "work"


SENT = {"suites/toy.yaml", "platform/promptgrid/data/card.yaml"}


def packed(folder: Path, excludes: list[str]) -> set[str]:
    """What Ray's own packer sends of ``folder``."""
    from ray._private.runtime_env.packaging import create_package

    archive = folder.with_suffix(".zip")
    archive.unlink(missing_ok=True)
    create_package(str(folder), archive, include_gitignore=True, excludes=excludes)
    return {name for name in zipfile.ZipFile(archive).namelist() if not name.endswith("/")}


def test_promptgrid_submit_leaves_secrets_and_bulk_at_home(planted: Path) -> None:
    assert packed(planted, runtime_env(planted)["excludes"]) == SENT


def test_ray_job_submit_leaves_them_at_home_where_our_rayignore_lies(planted: Path) -> None:
    assert {".env", "id_rsa"} <= packed(planted, []), "so what is planted would be sent without it"
    shutil.copy(ROOT / ".rayignore", planted)
    assert packed(planted, []) == SENT | {".rayignore"}


def test_both_ways_leave_the_same_at_home() -> None:
    lines = (ROOT / ".rayignore").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == EXCLUDES


@dataclass(frozen=True)
class Head:
    """A Ray head of our own on this machine: where it answers, and the environment that reaches it."""

    dashboard: str
    environment: dict[str, str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    secret = tmp_path_factory.mktemp("secret") / "auth_token"
    secret.write_text(secrets.token_hex(32))
    secret.chmod(0o600)
    binaries = Path(sys.executable).parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))} | {
        token.MODE: "token",
        token.TOKEN_FILE: str(secret),
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(TOY), str(ROOT / "platform")]),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    port, dashboard = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="pgh", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [str(binaries / "ray"), "start", "--head", "--block", "--num-cpus=2", f"--port={port}",
             "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", f"--temp-dir={folder}",
             "--node-ip-address=127.0.0.1", f"--dashboard-agent-listen-port={free_port()}",
             f"--ray-client-server-port={free_port()}", "--object-store-memory=134217728"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            address = f"http://127.0.0.1:{dashboard}"
            wait_for(lambda: process.poll() is not None or answers(address), 400)
            assert process.poll() is None, "ray start ended"
            yield Head(address, environment)
        finally:
            process.terminate()  # --block: its processes go with it
            process.wait(60)


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/api/version", timeout=5)
    except urllib.error.HTTPError:
        return True  # it wants a token: so it is there
    except OSError:
        return False
    return True


def workplace(tmp_path: Path, suite: str) -> Path:
    (tmp_path / "work" / "suites").mkdir(parents=True)
    (tmp_path / "work" / "suites" / "one.yaml").write_text(suite)
    return tmp_path / "work"


def test_ray_job_submit_runs_a_real_suite_on_a_cluster_of_this_machine(head: Head, tmp_path: Path) -> None:
    work, store = workplace(tmp_path, REAL_SUITE), Store(tmp_path / "store")
    command = ["ray", "job", "submit", "--address", head.dashboard, "--working-dir", ".", "--"]
    entry = ["promptgrid", "run", "suites/one.yaml", "--store", str(store.root)]
    done = subprocess.run(command + entry, cwd=work, env=head.environment, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    plan = make_plan(read_suite(work / "suites" / "one.yaml"), store)
    assert (len(plan.cells), plan.packs, plan.failed) == (2, (), frozenset())


def test_promptgrid_submit_follows_its_job_to_the_end(head: Head, tmp_path: Path) -> None:
    work, store = workplace(tmp_path, TOY_SUITE), Store(tmp_path / "store")
    command = ["promptgrid", "submit", "suites/one.yaml", "--address", head.dashboard, "--store", str(store.root)]
    command += ["--", "--workers", "1"]
    done = subprocess.run(command, cwd=work, env=head.environment, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert len(set(store.keys())) == 8
    assert set(executions(store).values()) == {1}
    assert Path(head.environment[token.TOKEN_FILE]).read_text() not in done.stdout + done.stderr


def test_the_cluster_refuses_who_has_no_token(head: Head, tmp_path: Path) -> None:
    work = workplace(tmp_path, TOY_SUITE)
    stranger = head.environment | {token.TOKEN_FILE: str(tmp_path / "none"), "HOME": str(tmp_path)}
    del stranger[token.MODE]
    command = ["promptgrid", "submit", "suites/one.yaml", "--address", head.dashboard]
    done = subprocess.run(command, cwd=work, env=stranger, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert "oken" in done.stderr
    assert "Traceback" not in done.stderr
