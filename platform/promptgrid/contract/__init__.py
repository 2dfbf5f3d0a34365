"""The interfaces a plug-in keeps: Method, Task, Backbone, Dataset, Protocol, Track, and the data they exchange."""

from promptgrid.contract.clip.adaptation import Adaptation
from promptgrid.contract.clip.backbone import Backbone, BackboneFamily
from promptgrid.contract.clip.black_box import LogitsOnly
from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.contract.edits import Apart, Edits, LowRank, NormShift, SidePath, TokenPlan
from promptgrid.contract.estimates import Sphere, Spsa
from promptgrid.contract.clip.method import Classifier as Method
from promptgrid.contract.clip.method import Outputs, Trained
from promptgrid.contract.method import Agree, Alternate, Number, Params, Project, Recipe, knob
from promptgrid.contract.clip.preprocessing import Preprocessing
from promptgrid.contract.clip.prompt_tokens import PromptTokens
from promptgrid.contract.protocol import Evaluation, Protocol, Selection, Split
from promptgrid.contract.randomness import dropout, gaussian, stream
from promptgrid.contract.clip.task import Task
from promptgrid.contract.task import Batch, Chosen, Labelled
from promptgrid.contract.taxonomy import Axes
from promptgrid.contract.track import Cache, Outcome, Predictions, Track

__all__ = [
    "Adaptation",
    "Agree",
    "Alternate",
    "Apart",
    "Axes",
    "Backbone",
    "BackboneFamily",
    "Batch",
    "Cache",
    "Chosen",
    "Dataset",
    "DatasetFamily",
    "Edits",
    "Evaluation",
    "Labelled",
    "LogitsOnly",
    "LowRank",
    "Method",
    "NormShift",
    "Number",
    "Outcome",
    "Outputs",
    "Params",
    "Predictions",
    "Preprocessing",
    "Project",
    "PromptTokens",
    "Protocol",
    "Recipe",
    "Selection",
    "SidePath",
    "Sphere",
    "Split",
    "Spsa",
    "Task",
    "TokenPlan",
    "Track",
    "Trained",
    "dropout",
    "gaussian",
    "knob",
    "stream",
]
