"""`promptgrid export`, `import` and `words`: reports and cells for other tools, and their results for reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from promptgrid.cli.commands.suites import AsJson, Command, StoreDir
from promptgrid.cli.tables import show_table
from promptgrid.default_track import DEFAULT_TRACK
from promptgrid.spec import Refused


def export(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="A report folder; with --as a cell key, its beginning, or a suite.")
    ],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; not the report's own.")],
    form: Annotated[
        str | None, typer.Option("--as", metavar="FORM", help="What cells become: safetensors, or a form of the track.")
    ] = None,
    store: StoreDir = None,
) -> None:
    """Write a report's results as CSV and its pictures as SVG files; or, with --as, what cells learned or answered.

    A report needs no store. A cell becomes what its kept state honestly is, and is refused for anything else; of a
    suite the cells that cannot are said. `docs/pages/exchange.md` lists the forms.

    Examples: `promptgrid export reports/quickstart paper` writes paper/results.csv and paper/figures/*.svg;
    `promptgrid export 3f2a91 learned --as safetensors`
    """
    if form is None:
        from promptgrid.leaderboard.files.export import export_report

        if store is not None:
            raise Refused("a report is exported without a store", where="--store", hint="cells need --as FORM")
        for path in export_report(Path(what), out):
            typer.echo(path)
        return
    from promptgrid.api.exchange import export_cells

    done = export_cells(what, form, out, store)
    for path in done.files:
        typer.echo(path)
    for key, why in done.left_out:
        typer.echo(f"left out {key[:12]}: {why}", err=True)


def import_results(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="A format of the track, e.g. dassl-logs.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A file, or a folder with such files at any depth.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that keeps them, as imported.jsonl.")],
    track: Annotated[str, typer.Option("--track", help="The modality.")] = DEFAULT_TRACK,
    as_json: AsJson = False,
) -> None:
    """Read results of another tool as records marked imported: with tool, file, digest and original configuration.

    All of PATH is read or nothing is kept. A suite whose `imported` names DIR shows them beside its own, and ranks them
    only where it says so. `docs/pages/exchange.md` lists the formats.

    Example: `promptgrid import dassl-logs CoOp/output --out imported/coop`
    """
    from promptgrid.api.exchange import import_results as read

    found = read(form, path, out, track)
    if as_json:
        typer.echo(json.dumps([record.model_dump() for record in found], indent=2))
        return
    show_table(
        ["method", "dataset", "protocol", "backbone", "shots", "seed", "metrics", "file"],
        [
            [record.method, record.dataset, record.protocol, record.backbone, record.shots, record.seed,
             ", ".join(f"{name} {value:.4f}" for name, value in sorted(record.metrics.items())), record.file]
            for record in found
        ],
        names=("method", "dataset"),
    )  # fmt: skip
    typer.echo(f"{len(found)} results in {out}")


def words(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A cell key, or its beginning.")],
    store: StoreDir = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Words a token.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show the words of the vocabulary that are nearest to each token of a learned prompt, with distances.

    Nearest is by Euclidean distance between embeddings, as CoOp's paper does. Far ones mean little.

    Example: `promptgrid words 3f2a91 --count 3`
    """
    from promptgrid.api.exchange import nearest_words

    rows = nearest_words(key, store, count)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    tokens: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        tokens.setdefault((row["of"], row["token"]), []).append(f"{row['word']} {row['distance']:.4f}")
    classes = any(of for of, _ in tokens)
    show_table(
        [*["class"] * classes, "token", "nearest words and distances"],
        [[*[of] * classes, token, ", ".join(near)] for (of, token), near in tokens.items()],
    )


COMMANDS: dict[str, Command] = {"export": export, "import": import_results, "words": words}
