"""What the catalogue finds, for people and for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Invoke

from promptgrid import catalog

ASKED = {
    "methods": {"name", "kind", "knobs"},
    "datasets": {"name", "classes", "train", "test", "licence", "bundled"},
    "backbones": {"name", "about", "bundled"},
    "protocols": {"name", "about", "headline"},
}


@pytest.mark.parametrize("what", sorted(ASKED))
def test_json_is_a_list_with_the_promised_keys(invoke: Invoke, what: str) -> None:
    listed = json.loads(invoke(what, "--json").stdout)
    assert listed
    assert all(ASKED[what] <= row.keys() for row in listed)


def test_one_method_shows_its_settings_and_ranges(invoke: Invoke) -> None:
    shown = invoke("methods", "kgcoop").output
    assert "strength" in shown
    assert "0 to 100" in shown


def test_an_unknown_method_is_refused_with_the_nearest(invoke: Invoke) -> None:
    refused = invoke("methods", "kgcop")
    assert refused.exit_code == 2
    assert "did you mean 'kgcoop'?" in refused.output


def test_help_teaches(invoke: Invoke) -> None:
    words = " ".join(invoke("run", "--help").output.split())
    assert "promptgrid submit" in words
    assert "ray job submit" not in words, "it sends whatever lies in the folder"
    for command in ("plan", "run", "status", "report", "verify", "submit", "sync", "doctor", "pretrain", "new"):
        assert invoke(command, "--help").exit_code == 0


def test_pretraining_an_unknown_backbone_is_refused(invoke: Invoke) -> None:
    refused = invoke("pretrain", "--backbone", "bundled-vti")
    assert refused.exit_code == 2
    assert "did you mean 'bundled-vit'?" in refused.output


def test_doctor_finds_this_machine_fit(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = [name for name in catalog.tracks() if (Path(catalog.__file__).parent / "tracks" / name).is_dir()]
    monkeypatch.setattr(catalog, "tracks", lambda: shipped)  # a toy of other tests has no datasets to list
    lines = {line["check"]: line["ok"] for line in json.loads(invoke("doctor", "--json").stdout)}
    assert lines["standard library"]
    assert lines["torch computes"]
    assert lines["open_clip"]
    assert lines["plug-ins"]


def test_recommended_groups_say_in_which_form_they_would_be_learned() -> None:
    """Of the methods that learn several tasks at once: what they choose beside the choices of all others."""
    from promptgrid.cli.commands.groups import _forms

    found = {form: set(methods) for form, methods in _forms("image").items()}
    assert found == {"softmax: all_tasks, batches: mixed": {"mvlpt_coop", "mvlpt_upt", "mvlpt_vpt"}}
