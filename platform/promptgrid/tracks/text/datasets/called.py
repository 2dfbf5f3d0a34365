"""What papers and hubs call the text tasks, so that published figures are found under any of their names."""

from __future__ import annotations

from functools import cache

from promptgrid.tracks.text.datasets import intents, lm_bff

OTHERS = {
    "SemEval-2010-8": ("SemEval", "SemEval-2010", "SemEval-2010 Task 8", "sem_eval_2010_task_8"),
    "FewRel": ("few_rel", "thunlp/few_rel"),
    "TACRED": ("tacred", "DFKI-SLT/tacred"),
    "agnews": ("AG News", "AG's News", "ag_news", "fancyzhx/ag_news"),
    "dbpedia": ("DBPedia", "dbpedia_14", "fancyzhx/dbpedia_14"),
    "imdb": ("IMDB", "IMDb", "stanfordnlp/imdb"),
    "amazon": ("Amazon", "amazon_polarity", "fancyzhx/amazon_polarity"),
    "yahoo": ("Yahoo", "Yahoo Answers", "yahoo_answers_topics"),
    "yelp": ("Yelp", "yelp_polarity", "yelp_review_full", "Yelp Full"),
    "arXiv": ("arxiv", "SciPrompt arXiv"),
    "S2ORC": ("s2orc",),
    "SDPRA": ("SDPRA 2021", "sdpra"),
    "EmergingNLP": ("Emerging NLP", "emerging_nlp"),
}
"""Tasks that come in no layout of their own (read them with ``table:`` or ``hf-disk:``), and the relation sets."""


@cache
def names() -> dict[str, tuple[str, ...]]:
    """{task: what else it is called}; tasks of LM-BFF by their folders, intents by the sets' own names."""
    found = {task: known.called for task, known in lm_bff.tasks().items()}
    return found | {called[0]: called[1:] for called in intents.CALLED.values()} | OTHERS


def task_called(name: str) -> str | None:
    """The task that papers or hubs call ``name``, in any case and spacing; None for one that is not known here."""
    return _by_name().get(_plain(name))


@cache
def _by_name() -> dict[str, str]:
    return {_plain(name): task for task, others in names().items() for name in (task, *others)}


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum() or letter == "/")
