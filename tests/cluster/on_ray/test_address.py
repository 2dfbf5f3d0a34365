"""Addresses are tried before anything is started: by servers that speak Ray's language, another one, or none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from promptgrid.cluster.on_ray.address import is_own, named, wants_token
from promptgrid.spec import Refused


class Answering(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every call: with nothing, or with ``code``."""

    def __init__(self, code: grpc.StatusCode | None) -> None:
        self._code = code

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            if self._code is not None:
                context.abort(self._code, "InvalidAuthToken")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def cluster(code: grpc.StatusCode | None) -> Iterator[str]:
    """The address of a server that takes calls as Ray does."""
    serving = grpc.server(ThreadPoolExecutor(1))
    serving.add_generic_rpc_handlers((Answering(code),))
    port = serving.add_insecure_port("127.0.0.1:0")
    serving.start()
    yield f"127.0.0.1:{port}"
    serving.stop(None)


@contextmanager
def listening(answer: bytes | None) -> Iterator[str]:
    """The address of a server that says ``answer`` to whoever comes; None: nothing, while the line stays open."""
    server = socket.create_server(("127.0.0.1", 0))
    lines: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
                lines.append(line)
                if answer is not None:
                    line.recv(64)
                    line.sendall(answer)
                    line.close()
            except OSError:
                if server.fileno() < 0:
                    return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        for item in (*lines, server):
            item.close()


@pytest.mark.parametrize("address", ["nonsense", "host:0", "host:99999", "host", "a b:1", "host:", ":6379", "ray:/h:1"])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(Refused, match=r"not a cluster's address.*HOST:PORT"):
        wants_token(address, "--address")


def test_a_dashboard_is_no_cluster() -> None:
    with pytest.raises(Refused, match="promptgrid submit"):
        wants_token("http://127.0.0.1:8265", "--address")


@pytest.mark.parametrize("address", [None, "", "local", "auto"])
def test_what_ray_finds_by_itself_is_left_to_it(address: str | None) -> None:
    assert wants_token(address, "--address") is None


@pytest.mark.parametrize(
    ("address", "why"),
    [("127.0.0.1:1", ""), ("localhost:1", ""), ("no.such.host.invalid:6379", "no such host")],
)
def test_where_nobody_answers_it_is_said_at_once(address: str, why: str) -> None:
    began = time.monotonic()
    with pytest.raises(Refused, match=f"--address {address}: no Ray cluster answers: {why}.*ray start --head"):
        wants_token(address, "--address")
    assert time.monotonic() - began < 25


def test_one_who_listens_and_says_nothing_is_waited_for_no_longer_than_said() -> None:
    began = time.monotonic()
    with listening(None) as address, pytest.raises(Refused, match=r"no Ray cluster answers within 0\.3 s"):
        wants_token(address, "--address", seconds=0.3)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], ids=["web", "hangs up"])
def test_one_who_says_something_else_is_not_ray(answer: bytes) -> None:
    with listening(answer) as address, pytest.raises(Refused, match=r"is not Ray.*ray start --head"):
        wants_token(address, "--address", seconds=10.0)


@pytest.mark.parametrize(
    ("code", "wanted"),
    [(None, False), (grpc.StatusCode.UNAUTHENTICATED, True), (grpc.StatusCode.UNIMPLEMENTED, None)],
)
@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_a_cluster_says_whether_it_wants_a_token(
    code: grpc.StatusCode | None, wanted: bool | None, prefix: str
) -> None:
    with cluster(code) as address:
        assert wants_token(prefix + address, "--address") is wanted


def test_a_cluster_behind_tls_is_left_to_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with listening(None) as address:
        assert wants_token(address, "--address", seconds=5.0) is None


def test_the_environment_names_a_cluster_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert named(None) == ("127.0.0.1:1", "RAY_ADDRESS")
    assert named("auto") == ("auto", "--address")
    assert not is_own(None)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert is_own(None)
