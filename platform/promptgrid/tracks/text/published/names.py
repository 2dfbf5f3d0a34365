"""Our names against the papers': tasks of texts and language models."""

from __future__ import annotations

from pathlib import Path

from promptgrid.engine.published import Published

TASKS = ("SST-2", "SST-5", "MR", "CR", "MPQA", "Subj", "TREC", "CoLA", "MNLI", "SNLI", "QNLI", "RTE", "MRPC", "QQP",
         "STS-B", "BANKING77", "CLINC150", "HWU64", "SemEval")  # fmt: skip
MODELS = ("BERT-base", "BERT-large", "RoBERTa-base", "RoBERTa-large", "DeBERTa-base", "T5-base", "T5-large", "GPT2")


def dataset_known_as(dataset: str) -> str:
    """The papers' name of one of our datasets (``lm-bff:/data/k-shot/sst-5`` is SST-5), '' for another."""
    last = dataset.partition("?")[0].replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].lower()
    return next((name for name in TASKS if name.lower() == last.removesuffix(".csv")), "")


def backbone_known_as(backbone: str) -> str:
    """The papers' name of a folder of a model (``hf-dir:/models/roberta-large`` is RoBERTa-large), '' for another."""
    last = backbone.partition("#")[0].replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].lower()
    plain = last.removesuffix("-uncased").removesuffix("-cased").removeprefix("microsoft-")
    return next((name for name in MODELS if name.lower() == plain), "")


PUBLISHED = Published(Path(__file__).parent, {}, dataset_known_as, backbone_known_as)
"""The tables of this folder."""
