"""The interfaces a plug-in keeps, whatever it reads: Method, Task, Batch, Dataset, Protocol, Track, and their data.

Methods on CLIP-like dual encoders import from :mod:`promptgrid.contract.clip`, which has these too.
"""

from promptgrid.contract.backbone import BackboneFamily
from promptgrid.contract.columns import Column, ColumnSource, Stream, Table, Views
from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.contract.edits import Apart, Edits, LowRank, NormShift, Parallel, SidePath, TokenPlan
from promptgrid.contract.first_stage import FirstStage
from promptgrid.contract.method import Method, Params, knob
from promptgrid.contract.policies import Agree, Alternate, Project, Sphere, Spsa
from promptgrid.contract.protocol import Dial, Evaluation, Protocol, Selection, Split
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
    "Agree",
    "Alternate",
    "Apart",
    "Axes",
    "BackboneFamily",
    "Batch",
    "Batches",
    "Cache",
    "Chosen",
    "Column",
    "ColumnSource",
    "Constant",
    "Cosine",
    "Dataset",
    "DatasetFamily",
    "Dial",
    "Edits",
    "Evaluation",
    "FirstStage",
    "GaussianAverage",
    "Inverse",
    "Labelled",
    "LowRank",
    "Method",
    "NormShift",
    "Number",
    "Outcome",
    "Parallel",
    "Params",
    "Polynomial",
    "Predictions",
    "Project",
    "Protocol",
    "RateSchedule",
    "Recipe",
    "Rule",
    "Selection",
    "SidePath",
    "Sphere",
    "Split",
    "Spsa",
    "Stream",
    "Table",
    "Task",
    "TokenPlan",
    "Track",
    "Views",
    "Warmup",
    "dropout",
    "gaussian",
    "knob",
    "stream",
]
