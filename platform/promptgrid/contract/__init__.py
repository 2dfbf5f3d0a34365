"""The interfaces a plug-in keeps, whatever it reads: Method, Task, Batch, Dataset, Protocol, Track, and their data.

Methods on CLIP-like dual encoders import from :mod:`promptgrid.contract.clip`, which has these too.
"""

from promptgrid.contract.backbone import BackboneFamily
from promptgrid.contract.columns import ColumnSource, Stream, Table, Views
from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.contract.edits import Apart, Edits, LowRank, NormShift, SidePath, TokenPlan
from promptgrid.contract.estimates import Sphere, Spsa
from promptgrid.contract.method import Agree, Alternate, Method, Number, Params, Project, Recipe, knob
from promptgrid.contract.protocol import Evaluation, Protocol, Selection, Split
from promptgrid.contract.randomness import dropout, gaussian, stream
from promptgrid.contract.task import Batch, Chosen, Labelled, Task
from promptgrid.contract.taxonomy import Axes
from promptgrid.contract.track import Cache, Outcome, Predictions, Track

__all__ = [
    "Agree",
    "Alternate",
    "Apart",
    "Axes",
    "BackboneFamily",
    "Batch",
    "Cache",
    "Chosen",
    "ColumnSource",
    "Dataset",
    "DatasetFamily",
    "Edits",
    "Evaluation",
    "Labelled",
    "LowRank",
    "Method",
    "NormShift",
    "Number",
    "Outcome",
    "Params",
    "Predictions",
    "Project",
    "Protocol",
    "Recipe",
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
    "dropout",
    "gaussian",
    "knob",
    "stream",
]
