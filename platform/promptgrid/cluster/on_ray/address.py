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
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4
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
    try:
        refuse_unreached(
            found["host"].strip("[]"), int(found["port"]), f"{where} {address}", "cluster", seconds, _greet
        )
    except Refused as error:
        hint = "start one with `ray start --head`, or leave the address out to use this machine"
        raise Refused(error.problem, where=error.where, hint=hint) from error


def refuse_unreached(
    host: str,
    port: int,
    where: str,
    what: str,
    seconds: float = SECONDS,
    greet: Callable[[socket.socket], None] = lambda line: None,
) -> None:
    """Refuse a host that does not take a connection within ``seconds``, looking its name up included.

    Args:
        host: its name or number.
        port: where ``what`` (a cluster, a dashboard) should listen.
        where: what named it, for the message.
        what: what is looked for, for the message.
        seconds: the longest wait.
        greet: speaks on the connection; raises OSError where the answer is not what it should be.

    Raises:
        Refused: no such host, nobody listens there, or no answer.
    """
    trouble: list[OSError] = []
    asked = threading.Thread(target=_connect, args=(host, port, seconds, greet, trouble.append), daemon=True)
    asked.start()
    asked.join(seconds)
    if asked.is_alive() or any(isinstance(error, TimeoutError) for error in trouble):
        raise Refused(f"no Ray {what} answers within {seconds:g} s", where=where)
    if trouble:
        unknown = isinstance(trouble[0], socket.gaierror)
        why = "no such host" if unknown else trouble[0].strerror or type(trouble[0]).__name__
        raise Refused(f"no Ray {what} answers: {why}", where=where)


def _connect(
    host: str, port: int, seconds: float, greet: Callable[[socket.socket], None], tell: Callable[[OSError], None]
) -> None:
    try:
        with socket.create_connection((host, port), timeout=seconds) as line:
            greet(line)
    except OSError as error:
        tell(error)


def _greet(line: socket.socket) -> None:
    """Say hello as every gRPC client does; a head of Ray answers with its HTTP/2 settings (RFC 9113, section 3.4)."""
    if os.environ.get("RAY_USE_TLS", "0") == "1":
        return  # it answers only to whoever shows a certificate: left to Ray
    line.sendall(_PREFACE)
    answer = b""
    while len(answer) < 9:
        part = line.recv(9 - len(answer))
        if not part:
            raise OSError(0, "what listens there hung up")
        answer += part
    if answer[3] != _SETTINGS:
        raise OSError(0, "what listens there is not Ray")
