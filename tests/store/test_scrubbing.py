"""Secrets never reach what is kept."""

import pytest
from tests.store.synthetic import make_cell, make_failure

from promptgrid.contract.clip import Outcome
from promptgrid.store import Store
from promptgrid.store.scrubbing import Scrubber

ENVIRON = {
    "HF_TOKEN": "hf_abcdefgh",
    "DB_PASSWORD": "p@ss/word",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUt",
    "HOME": "/home/me",
}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("401 for hf_abcdefgh", "hf_abcdefgh"),
        ("cannot log in with p@ss/word", "p@ss/word"),
        ("GET /?pw=p%40ss%2Fword", "p%40ss%2Fword"),
        ("key wJalrXUt refused", "wJalrXUt"),
        ("postgresql://me:hunter22@db/x", "hunter22"),
        ("https://ghp_0123456789@github.test/x.git", "ghp_0123456789"),
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ('{"api_key": "0123456789"}', "0123456789"),
        ("password=correcthorse&x=1", "correcthorse"),
    ],
)
def test_secrets_are_hidden(text: str, secret: str) -> None:
    shown = Scrubber(ENVIRON)(text)
    assert secret not in shown
    assert "[hidden]" in shown


@pytest.mark.parametrize(
    "text",
    [
        "IndexError: index 5 is out of bounds for dimension 0 with size 5",
        "context_length=4, tokens=77, keys: ['a', 'b']",
        "see https://example.org/a@b and /home/me/data",
        "KeyError: 'accuracy'",
    ],
)
def test_plain_messages_stay_as_they_are(text: str) -> None:
    assert Scrubber(ENVIRON)(text) == text


def test_short_values_are_left_alone() -> None:
    assert Scrubber({"SOME_TOKEN": "1", "KEY": ""})("step 1 of 11") == "step 1 of 11"


def test_a_failure_is_stored_without_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_TOKEN", "tok-123456789")
    record = make_failure(make_cell(), message="bad tok-123456789", log_tail="sent tok-123456789\nto https://u:pw1@h/")
    store.commit(Outcome(record))
    kept = b"".join(path.read_bytes() for path in store.root.rglob("*.json"))
    assert b"tok-123456789" not in kept
    assert b"u:pw1" not in kept
    assert store.failures()[record.cell.key].message == "bad [hidden]"
