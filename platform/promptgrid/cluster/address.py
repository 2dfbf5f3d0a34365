"""Addresses of running clusters, tried before anything is started."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable

from promptgrid.spec import Refused

SECONDS = 30.0
"""How long a cluster may take to answer."""
OWN = frozenset({"", "local"})
"""What Ray takes for a cluster of our own."""
AUTO = "auto"
_ADDRESS = re.compile(r"(?:ray://)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.-]+):(?P<port>\d{1,5})")
_EXPECTED = "HOST:PORT as `ray start --head` prints it, or auto"


def named(address: str | None) -> tuple[str | None, str]:
    """The address that counts, and what named it: the one given, else the one in the environment."""
    return (address, "--address") if address else (os.environ.get("RAY_ADDRESS"), "RAY_ADDRESS")


def is_own(address: str | None) -> bool:
    """Whether a run with this address starts a cluster of its own."""
    return (named(address)[0] or "") in OWN


def refuse_silent(address: str | None, where: str, seconds: float = SECONDS) -> None:
    """Refuse an address that is none, or at which nobody listens.

    Args:
        address: of a Ray cluster; None, ``local`` and ``auto`` are left to Ray.
        where: what named it, for the message.
        seconds: the longest wait for an answer.

    Raises:
        Refused: see above. Nothing was started.
    """
    if address is None or address in OWN or address == AUTO:
        return
    if address.startswith(("http://", "https://")):
        hint = "that is a dashboard: `promptgrid submit SUITE --address` takes it"
        raise Refused("not a cluster's address", where=where, got=address, expected=_EXPECTED, hint=hint)
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < 2**16:
        raise Refused("not a cluster's address", where=where, got=address, expected=_EXPECTED)
    refuse_unreached(found["host"].strip("[]"), int(found["port"]), f"{where} {address}", seconds)


def refuse_unreached(host: str, port: int, where: str, seconds: float = SECONDS) -> None:
    """Refuse a host that does not take a connection within ``seconds``, looking its name up included.

    Raises:
        Refused: no such host, nobody listens there, or no answer.
    """
    trouble: list[OSError] = []
    asked = threading.Thread(target=_connect, args=(host, port, seconds, trouble.append), daemon=True)
    asked.start()
    asked.join(seconds)
    hint = "start a cluster with `ray start --head`, or leave the address out to use this machine"
    if asked.is_alive() or any(isinstance(error, TimeoutError) for error in trouble):
        raise Refused(f"no answer within {seconds:g} s", where=where, hint=hint)
    if trouble:
        what = "no such host" if isinstance(trouble[0], socket.gaierror) else f"nobody answers: {trouble[0].strerror}"
        raise Refused(what, where=where, hint=hint)


def _connect(host: str, port: int, seconds: float, tell: Callable[[OSError], None]) -> None:
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError as error:
        tell(error)
