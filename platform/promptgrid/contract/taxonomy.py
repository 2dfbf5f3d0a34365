"""Where a method stands among methods: one value on each axis, after the axes of two surveys.

Gu et al., arXiv:2307.12980 (prompting of vision-language models): ``family`` (their model types), ``prompt`` (hard and
soft kinds), ``where`` (text, visual or unified prompts). Huang et al., arXiv:2312.16602 (visual instruction tuning):
``task`` (the vision task studied) and ``design`` (data, architecture or objective). The others are the field's own.
A value that no method has stands in ``none_yet.yaml`` with the reason, so that a gap is said rather than found.

Axes of the surveys that are left out, as they tell methods apart by nothing that a method here says of itself.
Gu et al.: ``application`` is what a prompted model is used for, here the dataset's business; ``responsibility`` and
integrity (bias, safety, attacks) is studied of models and their data, and no protocol here measures it.
Huang et al.: ``datasets`` and ``evaluation`` are the suite's choices, with cards and protocols of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from promptgrid.spec.reading import read_yaml

Learned = Literal[
    "nothing", "context", "prompt_network", "tokens", "coupled_tokens", "weight_deltas", "weight_mask", "norms_biases",
    "side_path", "adapter", "classifier", "class_offsets", "cache", "pixels",
]  # fmt: skip
Where = Literal["nowhere", "text", "vision", "both", "weights", "head", "pixels"]
Supervision = Literal["none", "few_shot", "multi_task", "semi_supervised", "transductive", "unlabelled", "pairs"]
Stage = Literal["training_free", "tuning", "test_time", "pre_training"]
Access = Literal["features", "white_box", "black_box"]
Family = Literal["image_text_matching", "multimodal_to_text", "text_to_image", "single_tower"]
Prompt = Literal[
    "none", "hard_instruction", "hard_in_context", "hard_retrieved", "hard_chain_of_thought", "soft_tuning",
    "soft_prefix",
]  # fmt: skip
Studied = Literal[
    "classification", "segmentation", "detection", "grounding", "generation", "editing", "reasoning", "video",
    "medical", "document", "three_d",
]  # fmt: skip
Design = Literal["data", "architecture", "objective"]


@dataclass(frozen=True)
class Axes:
    """One value on each axis.

    Attributes:
        learned: what is learned; ``tokens`` enter a tower beside its own, ``coupled_tokens`` both towers as one.
        where: where it works; ``weights`` are the towers' own, ``head`` comes behind both towers.
        supervision: what it learns from; ``transductive``: labels of some classes, examples of all;
            ``pairs``: captions.
        stage: when; ``training_free`` methods may search a number or two on validation examples.
        access: what it needs of the model: its ``features``, its inside with gradients, or its answers alone.
        family: the kind of model; ``single_tower``, one modality alone, is none of the survey's.
        prompt: the kind of prompt; ``soft_prefix`` enters deeper layers too.
        task: the vision task studied.
        design: what its idea changes: the data it is told or shown, what is added to the model, or the objective.
    """

    learned: Learned
    where: Where
    supervision: Supervision = "few_shot"
    stage: Stage = "tuning"
    access: Access = "white_box"
    family: Family = "image_text_matching"
    prompt: Prompt = "none"
    task: Studied = "classification"
    design: Design = "architecture"

    def __post_init__(self) -> None:
        for axis, values in axis_values().items():
            value = getattr(self, axis)
            if value not in values:
                raise ValueError(f"axes.{axis}: got {value!r}, expected one of {', '.join(values)}")

    def as_dict(self) -> dict[str, str]:
        """{axis: value}."""
        return asdict(self)


@cache
def axis_values() -> dict[str, tuple[str, ...]]:
    """{axis: its values}, both in the order in which they are shown."""
    hints = get_type_hints(Axes)
    return {item.name: get_args(hints[item.name]) for item in fields(Axes)}


@cache
def none_yet() -> dict[str, dict[str, str]]:
    """{axis: {value: why no method has it}}.

    Raises:
        ValueError: an axis or a value that does not exist.
    """
    found: dict[str, dict[str, str]] = read_yaml(Path(__file__).with_name("none_yet.yaml"))
    for axis, reasons in found.items():
        unknown = sorted(reasons.keys() - set(axis_values().get(axis, ())))
        if unknown:
            raise ValueError(f"none_yet.yaml: {axis} has no value {', '.join(unknown)}")
    return found


def taxonomy(placed: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """A row for each value of each axis: ``axis``, ``value``, ``methods`` that have it, ``none_yet`` with the reason.

    Args:
        placed: {method: {axis: value}}; a method whose place is empty has not been placed and stands in no row.
    """
    return [
        {
            "axis": axis,
            "value": value,
            "methods": sorted(name for name, place in placed.items() if place.get(axis) == value),
            "none_yet": none_yet().get(axis, {}).get(value, ""),
        }
        for axis, values in axis_values().items()
        for value in values
    ]
