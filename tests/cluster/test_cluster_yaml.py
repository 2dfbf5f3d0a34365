from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from promptgrid.cluster.on_ray.submit import SECRETS

PATH = Path(__file__).parents[2] / "cluster.yaml"


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    return yaml.safe_load(PATH.read_text())


def test_ray_accepts_it(cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(cluster))


def test_a_misspelt_key_would_be_noticed(cluster: dict[str, Any]) -> None:
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    with pytest.raises(ValidationError):
        validate_config(prepare_config(cluster | {"max_wokers": 3}))


def test_it_names_machines_and_no_experiment() -> None:
    text = "\n".join(line for line in PATH.read_text().splitlines() if not line.lstrip().startswith("#"))
    assert not {word for word in ("suites", "seeds", "shots", "promptgrid run") if word in text}


def test_every_ray_starts_with_a_token_and_a_dashboard_on_loopback(cluster: dict[str, Any]) -> None:
    starts = [
        line
        for part in ("head_start_ray_commands", "worker_start_ray_commands")
        for line in cluster[part]
        if "ray start" in line
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in line for line in starts)
    assert all("--dashboard-host=127.0.0.1" in line for line in starts if "--head" in line)
    assert cluster["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_what_is_secret_is_not_copied_to_the_machines(cluster: dict[str, Any]) -> None:
    wanted = {f"**/{name}" for name in SECRETS if name != "auth_token"}  # the token itself is mounted by name
    assert wanted | {"**/.git", "**/data"} <= set(cluster["rsync_exclude"])


def test_what_it_tells_people_to_type_sends_no_secrets() -> None:
    told = [line for line in PATH.read_text().splitlines() if line.startswith("#   ")]
    assert any("promptgrid submit" in line for line in told)
    assert not any("ray job submit" in line for line in told)
