"""Send a suite to a running cluster as a Ray job."""

from __future__ import annotations

import ipaddress
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from promptgrid.cluster.on_ray.address import refuse_unreached
from promptgrid.cluster.on_ray.session import DRIVER_ENVIRONMENT, environment
from promptgrid.cluster.on_ray.token import MODE, has_token
from promptgrid.spec import Refused, read_suite
from promptgrid.spec.paths import user_path

SECRETS = (
    ".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.ppk", "*.kdbx", "id_rsa*", "id_dsa*", "id_ecdsa*",
    "id_ed25519*", ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".pypirc", ".pgpass",
    ".git-credentials", ".htpasswd", "credentials", "credentials.json", "credentials.y*ml", "secrets.json",
    "secrets.y*ml", "secrets.toml", "auth_token",
)  # fmt: skip
"""Names of what is secret, as gitignore patterns."""
BULK = (
    "/.git/", ".git", ".venv", "/data/", ".promptgrid", "mlruns", "mlflow.db", "__pycache__", ".mypy_cache",
    ".ruff_cache", ".pytest_cache",
)  # fmt: skip
EXCLUDES = [*SECRETS, *BULK]
"""Never uploaded: what is secret, what is large, and what the cluster makes for itself. ``.rayignore`` of this
repository says the same to `ray job submit`."""
POLL_SECONDS = 1.0
_PORTS = {"http": 80, "https": 443}
ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})


def submit(
    suite: Path | str,
    address: str = "http://127.0.0.1:8265",
    *,
    store: str | None = None,
    wait: bool = True,
    arguments: tuple[str, ...] = (),
    working_dir: Path | str = ".",
    show: Callable[[str], None] = print,
) -> int:
    """Start ``promptgrid run SUITE`` on the cluster behind ``address``.

    The working folder travels along, without what :data:`EXCLUDES` names and what ``.gitignore`` ignores.

    Args:
        suite: a suite file inside ``working_dir``.
        address: the dashboard of the cluster (``http://host:8265``).
        store: the store as the cluster's machines see it; by default that of the job's own environment.
        wait: follow the job's log until it ends. Interrupting that leaves the job running.
        arguments: more arguments for ``promptgrid run``.
        working_dir: the folder to send.
        show: takes what there is to read.

    Returns:
        The exit status of the job; 0 as soon as it is submitted when not waiting.

    Raises:
        Refused: a bad suite, an unsafe address, or no cluster there. Nothing was started.
    """
    root = user_path(working_dir).resolve()
    path = user_path(suite)
    read_suite(path)
    inside = (path if path.is_absolute() else root / path).resolve()
    if not inside.is_relative_to(root):
        raise Refused("the suite lies outside the folder that is sent", where=str(suite), expected=f"inside {root}")
    check_address(address)
    parts = urlsplit(address)
    refuse_unreached(str(parts.hostname), parts.port or _PORTS[parts.scheme], f"--address {address}", "dashboard")
    where = ("--store", store) if store else ()
    entry = shlex.join(["promptgrid", "run", str(inside.relative_to(root)), *where, *arguments])
    if has_token() and "ray" not in sys.modules:
        os.environ.setdefault(MODE, "token")  # Ray looks when it is imported; set later, it would contradict itself
    with _answering(address):
        client = _client(address)
        job = str(client.submit_job(entrypoint=entry, runtime_env=runtime_env(root)))
    show(f"job {job}")
    return follow(client, job, show) if wait else 0


def runtime_env(root: Path) -> dict[str, Any]:
    """Ray's runtime environment of a submitted job."""
    return {"working_dir": str(root), "excludes": list(EXCLUDES)}


def follow(client: Any, job: str, show: Callable[[str], None]) -> int:
    """Show the job's log as it grows until the job ends; its exit status."""
    seen = 0
    while True:
        status = str(client.get_job_status(job).value)
        log = client.get_job_logs(job)
        if len(log) > seen:
            show(log[seen:].rstrip())
            seen = len(log)
        if status in ENDED:
            details = client.get_job_info(job)
            if status != "SUCCEEDED":
                show(f"job {job} {status}: {_one_line(details.message)}")
            exit_status = details.driver_exit_code
            return int(exit_status) if exit_status is not None else int(status != "SUCCEEDED")
        time.sleep(POLL_SECONDS)


def check_address(address: str) -> None:
    """Refuse to talk to a dashboard beyond this machine without a token: whoever reaches it runs code there.

    Raises:
        Refused: not an http address, or not this machine and no token.
    """
    parts = urlsplit(address)
    if parts.scheme not in _PORTS or not parts.hostname or not _has_port(address):
        raise Refused("not a dashboard address", where="--address", got=address, expected="http://host:8265")
    if parts.username or parts.password:
        raise Refused("the address holds a password", where="--address", hint="use RAY_AUTH_TOKEN or ~/.ray/auth_token")
    if not _loopback(parts.hostname) and not (has_token() and os.environ.get(MODE, "token").lower() == "token"):
        raise Refused(
            f"the dashboard at {parts.hostname} is not on this machine, and no token is set",
            where="--address",
            hint="put the cluster's token into ~/.ray/auth_token or RAY_AUTH_TOKEN and set RAY_AUTH_MODE=token, "
            "or tunnel the port with ssh -L 8265:localhost:8265",
        )


def _has_port(address: str) -> bool:
    """Whether the port of ``address`` is one, or left out."""
    try:
        return urlsplit(address).port != 0
    except ValueError:
        return False


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _client(address: str) -> Any:
    with environment(DRIVER_ENVIRONMENT):
        from ray.job_submission import JobSubmissionClient

        return JobSubmissionClient(address)


@contextmanager
def _answering(address: str) -> Iterator[None]:
    """Turn what Ray's client raises into refusals: nobody there, a token that does not fit, too large a folder."""
    from ray.exceptions import AuthenticationError

    where = f"--address {address}"
    try:
        yield
    except AuthenticationError as error:
        hint = "put its token into ~/.ray/auth_token or RAY_AUTH_TOKEN, and set RAY_AUTH_MODE=token"
        raise Refused("the cluster wants a token, and this one does not fit", where=where, hint=hint) from error
    except ConnectionError as error:
        raise Refused(f"no Ray dashboard answers: {_one_line(error)}", where=where) from error
    except RuntimeError as error:
        raise Refused(f"the cluster did not take the job: {_one_line(error)}", where=where) from error


def _one_line(said: object) -> str:
    return " ".join(str(said).split())[:300]
