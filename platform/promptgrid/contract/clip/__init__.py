"""What methods on CLIP-like dual encoders are written with: their backbone, task, classifier and black box.

Nothing here is known to the engine: a wing whose backbone is no dual encoder has words of its own. A method file finds
all that it needs in this one place.
"""

from promptgrid.contract import (
    Agree,
    Alternate,
    Axes,
    BackboneFamily,
    Batch,
    Cache,
    Chosen,
    Dataset,
    DatasetFamily,
    Evaluation,
    Labelled,
    Method,
    Number,
    Outcome,
    Params,
    Predictions,
    Project,
    Protocol,
    Recipe,
    Selection,
    Sphere,
    Split,
    Spsa,
    Track,
    dropout,
    gaussian,
    knob,
    stream,
)
from promptgrid.contract.clip.adaptation import Adaptation
from promptgrid.contract.clip.backbone import Backbone
from promptgrid.contract.clip.black_box import LogitsOnly
from promptgrid.contract.clip.method import Classifier, Outputs, Trained
from promptgrid.contract.clip.preprocessing import Preprocessing
from promptgrid.contract.clip.prompt_tokens import PromptTokens
from promptgrid.contract.clip.task import Task
from promptgrid.contract.edits import Apart, Edits, LowRank, NormShift, SidePath, TokenPlan

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
    "Classifier",
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
