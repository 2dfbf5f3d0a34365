"""What ``towers.yaml`` says of a tower, read strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt

from promptgrid.spec.checked import checked
from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.graph.backbone import Kind, Shape

FILE = Path(__file__).with_name("towers.yaml")


class Recipe(BaseModel):
    """How one tower is trained.

    ``links``: examples of linked nodes lie near each other among those of a batch. ``texts``: an example lies near the
    text of its node. ``ascents`` steps of ascent make features adversarial (the invariance term); 0 leaves it out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    kind: Kind
    width: PositiveInt
    layers: PositiveInt
    graphs: tuple[str, ...]
    objective: Literal["links", "texts"]
    ascents: NonNegativeInt = 0
    steps: PositiveInt
    batch: PositiveInt
    rate: PositiveFloat
    seed: int

    def shape(self, inputs: int) -> Shape:
        """The shape of the tower on features of ``inputs`` numbers."""
        return Shape(self.kind, inputs, self.width, self.layers, inputs if self.objective == "texts" else 0)


def recipes() -> dict[str, Recipe]:
    """All recipes by name."""
    return {name: checked(Recipe, f"{FILE.name}: {name}", facts) for name, facts in read_yaml(FILE).items()}
