"""What is learned of a cluster before Ray is imported, from servers that speak its language or none."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from promptgrid.cluster.on_ray import asking
from promptgrid.cluster.on_ray.asking import wants_token
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
def server(code: grpc.StatusCode | None) -> Iterator[str]:
    serving = grpc.server(ThreadPoolExecutor(1))
    serving.add_generic_rpc_handlers((Answering(code),))
    port = serving.add_insecure_port("127.0.0.1:0")
    serving.start()
    yield f"127.0.0.1:{port}"
    serving.stop(None)


@pytest.mark.parametrize(
    ("code", "wanted"),
    [(None, False), (grpc.StatusCode.UNAUTHENTICATED, True), (grpc.StatusCode.UNIMPLEMENTED, None)],
)
def test_a_cluster_says_whether_it_wants_a_token(code: grpc.StatusCode | None, wanted: bool | None) -> None:
    with server(code) as address:
        assert wants_token(address) is wanted


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no.such.host.invalid:6379", "localhost:1"])
def test_where_nobody_answers_it_is_said_at_once(address: str) -> None:
    began = time.monotonic()
    with pytest.raises(Refused, match=f"--address {address}: no Ray cluster answers: .*leave --address out"):
        wants_token(address)
    assert time.monotonic() - began < 25


def test_a_program_that_never_answers_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(Refused, match="no Ray cluster answers"):
            wants_token(address)


@pytest.mark.parametrize("address", ["auto", "ray://head:10001", "nonsense"])
def test_what_names_no_port_is_left_to_ray(address: str) -> None:
    assert wants_token(address) is None
