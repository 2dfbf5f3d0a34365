"""The interfaces a plug-in keeps: Method, Task, Backbone, Dataset, Protocol, Track, and the data they exchange."""

from promptgrid.contract.adaptation import Adaptation
from promptgrid.contract.backbone import Backbone, BackboneFamily
from promptgrid.contract.black_box import LogitsOnly
from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.contract.edits import Apart, Edits, LowRank, NormShift, SidePath, TokenPlan
from promptgrid.contract.method import Method, Outputs, Params, Trained, knob
from promptgrid.contract.policies import Agree, Alternate, Project, Sphere, Spsa
from promptgrid.contract.preprocessing import Preprocessing
from promptgrid.contract.prompt_tokens import PromptTokens
from promptgrid.contract.protocol import Evaluation, Protocol, Selection, Split
from promptgrid.contract.randomness import dropout, gaussian, stream
from promptgrid.contract.recipe import (
    SGD,
    Adam,
    AdamW,
    Batches,
    Constant,
    Cosine,
    GaussianAverage,
    Inverse,
    Number,
    Polynomial,
    RateSchedule,
    Recipe,
    Rule,
    Warmup,
)
from promptgrid.contract.task import Batch, Chosen, Labelled, Task
from promptgrid.contract.taxonomy import Axes
from promptgrid.contract.track import Cache, Outcome, Predictions, Track

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Adaptation",
    "Agree",
    "Alternate",
    "Apart",
    "Axes",
    "Backbone",
    "BackboneFamily",
    "Batch",
    "Batches",
    "Cache",
    "Chosen",
    "Constant",
    "Cosine",
    "Dataset",
    "DatasetFamily",
    "Edits",
    "Evaluation",
    "GaussianAverage",
    "Inverse",
    "Labelled",
    "LogitsOnly",
    "LowRank",
    "Method",
    "NormShift",
    "Number",
    "Outcome",
    "Outputs",
    "Params",
    "Polynomial",
    "Predictions",
    "Preprocessing",
    "Project",
    "PromptTokens",
    "Protocol",
    "RateSchedule",
    "Recipe",
    "Rule",
    "Selection",
    "SidePath",
    "Sphere",
    "Split",
    "Spsa",
    "Task",
    "TokenPlan",
    "Track",
    "Trained",
    "Warmup",
    "dropout",
    "gaussian",
    "knob",
    "stream",
]
