"""What texts say for the cards of their methods."""

from __future__ import annotations

from promptgrid.engine.cards.admission import Asked
from promptgrid.engine.cards.card import Cards
from promptgrid.tracks.text.backbones.minilm import MASKED
from promptgrid.tracks.text.cards.counting import cost, counts, losses, recipe

CARDS = Cards(
    asked=Asked("text", target="noun_relations", source="noun_relations", backbone=MASKED),
    computed={"counts": counts, "losses": losses, "recipe": recipe, "cost": cost},
)
