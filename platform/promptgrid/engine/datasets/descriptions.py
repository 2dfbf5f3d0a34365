"""Reads ``descriptions.yaml``: what the examples of each class look like, who says so, and where it is from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from promptgrid.contract.assets import Descriptions, check_descriptions
from promptgrid.spec.checked import checked
from promptgrid.spec.reading import read_yaml

FILE = "descriptions.yaml"
Sentence = Annotated[str, StringConstraints(max_length=300)]


class DescriptionsFile(BaseModel):
    """The file: ``descriptions`` maps the name of a class, as prompts speak it, to its sentences."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    author: str = "not said"
    source: str = "not said"
    descriptions: dict[str, tuple[Sentence, ...]]


def read_descriptions(path: Path, classes: tuple[str, ...]) -> Descriptions:
    """The sentences in ``path`` by class name.

    Raises:
        Refused: malformed, a class without a sentence or an unknown one, an empty sentence, one sentence twice.
    """
    written = checked(DescriptionsFile, str(path), read_yaml(path))
    return check_descriptions(written.descriptions, classes, str(path))
