"""DomainBed's ``results.jsonl``: one line a checkpoint of one run, one run a folder.

A line has ``args`` (``algorithm``, ``dataset``, ``test_envs``, ``trial_seed``, ``hparams_seed``, ...), ``hparams``,
``step``, and the accuracies ``envI_in_acc`` and ``envI_out_acc`` of every domain. What counts is DomainBed's
training-domain validation: of all checkpoints and hyper-parameters of a trial, the one whose mean ``out_acc`` over the
training domains is greatest; its score is ``in_acc`` of the domain that was held out. Runs that hold out several
domains serve another selection and are refused, because nothing here could say which of them counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from promptgrid.engine.imports.reading import files_below, json_values, number_of, text_of
from promptgrid.spec import Refused
from promptgrid.spec.imported import Imported, imported_of

TOOL = "domainbed"
_ENV = re.compile(r"env(\d+)_out_acc")


def read(path: Path) -> list[Imported]:
    """The chosen checkpoint of every algorithm, dataset, held-out domain and trial in ``path``.

    Raises:
        Refused: a line that is no checkpoint of DomainBed, naming it.
    """
    best: dict[tuple[Any, ...], Imported] = {}
    for file, name in files_below(path, "results.jsonl"):
        text, sha256 = text_of(file)
        for line, row in json_values(text, name):
            record = _record(row, name, sha256, max(1, line))
            place = (record.method, record.dataset, record.seed)
            other = best.get(place)
            if other is None or record.metrics["val_accuracy"] > other.metrics["val_accuracy"]:
                best[place] = record
    return list(best.values())


def _record(row: Any, file: str, sha256: str, line: int) -> Imported:
    where = f"{file} line {line}"
    if not isinstance(row, Mapping) or not isinstance(row.get("args"), Mapping):
        raise Refused("no checkpoint of DomainBed: no `args`", where=where)
    args = row["args"]
    if lacking := [name for name in ("algorithm", "dataset", "test_envs", "trial_seed") if name not in args]:
        raise Refused(f"args lack {', '.join(lacking)}", where=where)
    held_out = args["test_envs"]
    if not isinstance(held_out, list) or len(held_out) != 1:
        raise Refused("holds out other than one domain", where=where, got=held_out,
                      hint="import the runs with one of them; the others choose by leave-one-domain-out")  # fmt: skip
    domains = sorted(int(found[1]) for name in row if (found := _ENV.fullmatch(name)))
    inside = {domain: number_of(row.get(f"env{domain}_in_acc")) for domain in domains}
    outside = [number_of(row[f"env{domain}_out_acc"]) for domain in domains if domain != held_out[0]]
    score = inside.get(held_out[0])
    if score is None or not outside or None in outside:
        raise Refused(
            "lacks an accuracy of a domain", where=where, expected=f"env{held_out[0]}_in_acc and envI_out_acc"
        )
    return imported_of(
        where,
        tool=TOOL,
        file=file,
        sha256=sha256,
        line=line,
        method=args["algorithm"],
        dataset=f"{args['dataset']}/env{held_out[0]}",
        backbone=str(row.get("hparams", {}).get("backbone", "")),
        protocol="leave_one_domain_out",
        shots=None,
        seed=args["trial_seed"],
        metrics={"accuracy": score, "val_accuracy": fmean(value for value in outside if value is not None)},
        configuration={
            "selection": "training-domain validation",
            "step": row.get("step"),
            "hparams": row.get("hparams", {}),
            "hparams_seed": args.get("hparams_seed"),
        },
    )
