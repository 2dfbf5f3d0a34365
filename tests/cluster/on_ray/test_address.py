"""Addresses are tried before anything is started."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from promptgrid.cluster.on_ray.address import is_own, named, refuse_silent
from promptgrid.spec import Refused

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@contextmanager
def listening(answer: bytes | None) -> Iterator[str]:
    """The address of a server that says ``answer`` to whoever comes; None: nothing, while the line stays open."""
    server = socket.create_server(("127.0.0.1", 0))
    lines: list[socket.socket] = []

    def serve() -> None:
        line, _ = server.accept()
        lines.append(line)
        if answer is not None:
            line.recv(64)
            line.sendall(answer)
            line.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        for item in (*lines, server):
            item.close()


@pytest.mark.parametrize("address", ["nonsense", "host:0", "host:99999", "host", "a b:1", "host:", ":6379", "ray:/h:1"])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(Refused, match=r"not a cluster's address.*HOST:PORT"):
        refuse_silent(address, "--address")


def test_a_dashboard_is_no_cluster() -> None:
    with pytest.raises(Refused, match="promptgrid submit"):
        refuse_silent("http://127.0.0.1:8265", "--address")


@pytest.mark.parametrize("address", [None, "", "local", "auto"])
def test_what_ray_finds_by_itself_is_left_to_it(address: str | None) -> None:
    refuse_silent(address, "--address")


def test_nobody_there_is_said_at_once() -> None:
    with pytest.raises(Refused, match=r"--address 127\.0\.0\.1:1: no Ray cluster answers.*ray start --head"):
        refuse_silent("127.0.0.1:1", "--address")


def test_one_who_listens_and_says_nothing_is_waited_for_no_longer_than_said() -> None:
    began = time.monotonic()
    with listening(None) as address, pytest.raises(Refused, match=r"no Ray cluster answers within 0\.3 s"):
        refuse_silent(address, "--address", seconds=0.3)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("answer", "words"), [(b"HTTP/1.1 400 Bad Request\r\n", "is not Ray"), (b"", "hung up")], ids=["web", "mute"]
)
def test_one_who_says_something_else_is_not_ray(answer: bytes, words: str) -> None:
    with listening(answer) as address, pytest.raises(Refused, match=words):
        refuse_silent(address, "--address")


def test_one_who_answers_as_ray_does_is_let_pass() -> None:
    with listening(SETTINGS) as address:
        refuse_silent(address, "--address")


def test_the_environment_names_a_cluster_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert named(None) == ("127.0.0.1:1", "RAY_ADDRESS")
    assert named("auto") == ("auto", "--address")
    assert not is_own(None)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert is_own(None)
