"""PromptSRC: prompts in both towers, regulated by what the frozen model says and averaged over their own past."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, GaussianAverage, Number, Outputs, Params, Recipe, Task, knob
from promptgrid.tracks.image.methods.ivlp import IVLP
from promptgrid.tracks.image.methods.parts.published import paper_name
from promptgrid.tracks.image.methods.parts.sentences import raw_text
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.templates import EIGHTY
from promptgrid.tracks.image.methods.tables.promptsrc import AVERAGE, AVERAGES, EPOCHS


@dataclass(frozen=True)
class PromptSRC(IVLP):
    """PromptSRC: IVLP's prompts, held near the frozen features and answers, and averaged over the epochs.

    Source: Khattak et al., section 3; PromptSRC bb95c77 (``promptsrc.py``).
    Loss: CE + text_strength mean|t̂ - t̂_fr| + image_strength mean|f̂ - f̂_fr| + logit_strength KL(p_fr || p), the means
    over all numbers (C x D and B x D), the KL summed and divided by B x C as the code does. f_fr: the frozen tower's
    features of the same views; t_fr: the mean over templates of frozen text features, normalised once, behind it.
    Kept is the sum over epochs weighted by N(e; gpa_mean, gpa_deviation²). Strengths 25, 10, 1; SGD .0025, batch 4,
    20 epochs, gpa (15, 1): the base-to-new recipe. Few-shot is ``epochs: 50``, where gpa left as it is means (30, 30),
    or (45, 5) on the datasets of ``AVERAGES``; cross-dataset is ``depth: 3, gpa_mean: 6, gpa_deviation: 10``.
    The teacher's templates are the first 60 (``teacher_templates``) of CLIP's 80 for ImageNet. Learns 46,080 numbers on
    ViT-B/16. Deviation: fp32.
    """

    name: ClassVar[str] = "promptsrc"
    paper: ClassVar[str] = "Khattak et al., ICCV 2023, arXiv:2307.06948"
    axes: ClassVar = Axes("tokens", "both", prompt="soft_prefix", design="objective")

    text_strength: Number = knob(25.0, low=0.0, high=1000.0)
    image_strength: Number = knob(10.0, low=0.0, high=1000.0)
    logit_strength: Number = knob(1.0, low=0.0, high=100.0)
    gpa_mean: Number = knob(15.0, low=0.0, high=1000.0)
    gpa_deviation: Number = knob(1.0, low=0.01, high=1000.0, log=True)
    teacher_templates: int = 60

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, teacher_templates=1)
        if not isinstance(self.gpa_deviation, Tensor) and self.gpa_deviation <= 0:
            raise ValueError(f"gpa_deviation: got {self.gpa_deviation!r}, expected a number above 0")

    def recipe(self, task: Task) -> Recipe | None:
        recipe = super().recipe(task)
        return recipe and replace(recipe, average=self._average(task))

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        assert out.batch is not None, "the engine passes what it looked at"
        teacher = F.normalize(raw_text(task, EIGHTY[: self.teacher_templates]), dim=-1)
        frozen = out.batch.normalised
        wanted = (task.scale * frozen @ teacher.mT).log_softmax(-1)
        return {
            "cross_entropy": F.cross_entropy(out.logits, labels),
            "text": self.text_strength * (F.normalize(out.text, dim=-1) - teacher).abs().mean(),
            "image": self.image_strength * (F.normalize(out.image, dim=-1) - frozen).abs().mean(),
            "logits": self.logit_strength * (wanted.exp() * (wanted - out.logits.log_softmax(-1))).mean(),
        }

    def _average(self, task: Task) -> GaussianAverage:
        chosen = float(self.gpa_mean), float(self.gpa_deviation)
        if self.epochs == EPOCHS and chosen == (15.0, 1.0):
            chosen = AVERAGES.get(paper_name(task.dataset), AVERAGE)
        return GaussianAverage(*chosen)
