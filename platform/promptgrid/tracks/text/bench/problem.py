"""What is timed: one method on real texts with made-up labels, the same for every variant."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch

from promptgrid.contract.columns import Table, as_it_is
from promptgrid.contract.method import Method
from promptgrid.engine.bench.problem import Family, Problem, cells_of, limited
from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.data.encoded import Encoded, bare, cut_off, in_template
from promptgrid.tracks.text.data.frozen import frozen_states
from promptgrid.tracks.text.data.wanted import columns_of
from promptgrid.tracks.text.datasets.text import Text
from promptgrid.tracks.text.task import TextTask

SHOTS = 16
TEMPLATE = "{text} It is {mask}."
WEIGHTED = {"tunes": "answer", "calibration": "empty"}
FAMILIES = {
    "prompt_tuning": Family("prompt_tuning", "learned tokens in front of the text", 16, {}),
    "p_tuning_v2": Family("p_tuning_v2", "learned keys and values in every layer", 16, {}),
    "ept": Family("ept", "a short prompt beside changes of the words", 16, {}),
    "lora": Family("lora", "weight deltas, without dropout", 16, {"rate": 0.0}),
    "warp": Family("warp", "a verbalizer of learned rows on frozen states at the mask", 16, {}),
    "sci_prompt": Family("sci_prompt", "a verbalizer of weighted words on frozen states", 16, WEIGHTED),
    "prompt_finetune": Family("prompt_finetune", "the whole model, read at the mask", 16, {}),
}


@dataclass(frozen=True)
class TextProblem(Problem):
    """Real texts, class names that are words, and labels drawn at random.

    Attributes:
        task: on the engine's tower.
        encoded: the texts as the method reads them, padded to the longest.
    """

    task: TextTask
    encoded: Encoded

    @property
    def apart(self) -> bool:
        return self.inside_tower and self.like.device.type == "cpu"

    @property
    def tables(self) -> dict[str, Table]:
        """The columns, all of which are tables."""
        return {name: column for name, column in self.columns.items() if isinstance(column, Table)}

    @property
    def inside_tower(self) -> bool:
        """Whether the tower takes part in every step."""
        return "mask_state" not in columns_of(self.method)


def problem(
    family: Family,
    method: type[Method],
    backbone: TextBackbone,
    classes: tuple[str, ...],
    texts: list[Text],
    cells: int,
) -> TextProblem:
    """``cells`` cells that take one step each on ``texts``."""
    timed = limited(method, family, 1)
    task = TextTask("bench", classes, backbone, SHOTS, given={"template": TEMPLATE})
    wanted = columns_of(timed)
    encoded = bare(backbone, texts) if "tokens" in wanted else in_template(backbone, texts, TEMPLATE)
    like = backbone.weights()["embeddings.word"]
    pad = backbone.special.pad
    columns = {
        name: Table(values, partial(cut_off, pad) if name in encoded.padded else as_it_is)
        for name, values in encoded.open_ended().items()
    }
    if "mask_state" in wanted:
        columns = {"mask_state": Table(frozen_states(backbone, encoded, "mask_state").to(like))}
    drawn = torch.randint(len(classes), (len(texts),), generator=torch.Generator().manual_seed(0))
    return TextProblem(
        family=family,
        kind=method,
        method=timed,
        cells=cells_of("text", method.name, cells),
        task=task,
        like=like[:1],
        labels=drawn.to(like.device),
        columns=columns,
        encoded=encoded,
    )
