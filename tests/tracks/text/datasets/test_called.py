from __future__ import annotations

from promptgrid.tracks.text.datasets.called import names, task_called


def test_tasks_are_found_under_the_names_of_papers_and_hubs() -> None:
    for name in ("SST2", "sst-2", "glue/sst2", "stanfordnlp/sst2"):
        assert task_called(name) == "SST-2"
    assert task_called("rotten_tomatoes") == "mr"
    assert task_called("SemEval-2010 task 8") == "SemEval-2010-8"
    assert task_called("AG's News") == "agnews"
    assert task_called("PolyAI/banking77") == "BANKING77"
    assert task_called("nobody's") is None


def test_no_name_means_two_tasks() -> None:
    told = [(task_called(name), task) for task, others in names().items() for name in (task, *others)]
    assert all(found == task for found, task in told)
