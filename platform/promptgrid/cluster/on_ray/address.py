"""Addresses of running clusters: whether a cluster answers there, and whether it wants a token."""

from __future__ import annotations

import os
import re
import socket
import threading

from promptgrid.spec import Refused

SECONDS = 30.0
"""How long a cluster may take to answer."""
OWN = frozenset({"", "local"})
"""What Ray takes for a cluster of our own."""
AUTO = "auto"
_ADDRESS = re.compile(r"(?:ray://)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.-]+):(?P<port>\d{1,5})")
_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_EXPECTED = "HOST:PORT as `ray start --head` prints it, or auto"


def named(address: str | None) -> tuple[str | None, str]:
    """The address that counts, and what named it: the one given, else the one in the environment."""
    return (address, "--address") if address else (os.environ.get("RAY_ADDRESS"), "RAY_ADDRESS")


def is_own(address: str | None) -> bool:
    """Whether a run with this address starts a cluster of its own."""
    return (named(address)[0] or "") in OWN


def wants_token(address: str | None, where: str, seconds: float = SECONDS) -> bool | None:
    """Ask the cluster at ``address`` whether it wants a token, before Ray is imported and anything is started.

    A driver that shows a token to a cluster without one is answered, but takes no calls from it: every pack would be
    lost. And Ray decides about tokens once, when it is imported.

    Args:
        address: of a Ray cluster; None, ``local`` and ``auto`` are left to Ray.
        where: what named it, for the message.
        seconds: the longest wait for an answer.

    Returns:
        None where it cannot be asked: an address that is left to Ray, a cluster behind TLS, a Ray client's port.

    Raises:
        Refused: that is no address, or no cluster answers there.
    """
    if address is None or address in OWN or address == AUTO:
        return None
    if address.startswith(("http://", "https://")):
        hint = "that is a dashboard: `promptgrid submit SUITE --address` takes it"
        raise Refused("not a cluster's address", where=where, got=address, expected=_EXPECTED, hint=hint)
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < 2**16:
        raise Refused("not a cluster's address", where=where, got=address, expected=_EXPECTED)
    try:
        refuse_unreached(found["host"].strip("[]"), int(found["port"]), f"{where} {address}", "cluster", seconds)
        if os.environ.get("RAY_USE_TLS", "0") == "1":
            return None  # it answers only to whoever shows a certificate
        return _asked(address.removeprefix("ray://"), f"{where} {address}", seconds)
    except Refused as error:
        raise no_cluster(error.problem, error.where) from error


def no_cluster(problem: str, where: str) -> Refused:
    """The refusal of an address where no cluster answers."""
    hint = "start one with `ray start --head`, or leave the address out to use this machine"
    return Refused(problem, where=where, hint=hint)


def refuse_unreached(host: str, port: int, where: str, what: str, seconds: float = SECONDS) -> None:
    """Refuse a host that does not take a connection within ``seconds``, looking its name up included.

    Args:
        host: its name or number.
        port: where ``what`` (a cluster, a dashboard) should listen.
        where: what named it, for the message.
        what: what is looked for, for the message.
        seconds: the longest wait.

    Raises:
        Refused: no such host, nobody listens there, or no answer.
    """
    trouble: list[OSError] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
        except OSError as error:
            trouble.append(error)

    connecting = threading.Thread(target=connect, daemon=True)
    connecting.start()
    connecting.join(seconds)
    if connecting.is_alive() or any(isinstance(error, TimeoutError) for error in trouble):
        raise _too_late(what, where, seconds)
    if trouble:
        unknown = isinstance(trouble[0], socket.gaierror)
        why = "no such host" if unknown else trouble[0].strerror or type(trouble[0]).__name__
        raise Refused(f"no Ray {what} answers: {why}", where=where)


def _asked(place: str, where: str, seconds: float) -> bool | None:
    """Whether the head of Ray at ``place`` (``host:port``) refuses a call without a token."""
    import grpc

    with grpc.insecure_channel(place, options=[("grpc.enable_http_proxy", 0)]) as channel:
        ask = channel.unary_unary(_ALIVE, request_serializer=bytes, response_deserializer=bytes)
        try:
            ask(b"", timeout=seconds)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                return True
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise _too_late("cluster", where, seconds) from error
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise Refused("no Ray cluster answers: what listens there is not Ray", where=where) from error
            return None  # a Ray that calls it otherwise
    return False


def _too_late(what: str, where: str, seconds: float) -> Refused:
    return Refused(f"no Ray {what} answers within {seconds:g} s", where=where)
