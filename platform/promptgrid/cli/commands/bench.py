"""`promptgrid bench`: what the engine gains on the machine at hand."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from promptgrid.cli.commands.suites import AsJson, Command
from promptgrid.default_track import DEFAULT_TRACK
from promptgrid.spec import Refused

WIDTH = 108
PRECISIONS: dict[str, Literal["fp32", "fp64", "amp"]] = {"fp32": "fp32", "fp64": "fp64", "amp": "amp"}


def bench(
    backbone: Annotated[
        str,
        typer.Option(
            "--backbone", help="Left out: the track's own. MODEL@random: the shapes alone, where a track offers it."
        ),
    ] = "",
    family: Annotated[
        list[str] | None, typer.Option("--family", help="Only this method family (again for more): coop, maple, ...")
    ] = None,
    classes: Annotated[
        list[int] | None,
        typer.Option("--classes", help="Number of classes (again for more); left out: the track's own."),
    ] = None,
    pack: Annotated[
        list[int] | None, typer.Option("--pack", min=1, help="Cells trained as one program (again for more).")
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", min=0, help="Steps over which losses are compared with the reference; 0: none.")
    ] = 50,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    precision: Annotated[
        str, typer.Option("--precision", help="fp32, fp64, or amp: half precision beside fp32.")
    ] = "fp32",
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of torch.")] = 1,
    seconds: Annotated[float, typer.Option("--seconds", min=0.01, help="About what a turn of a variant takes.")] = 1.0,
    track: Annotated[str, typer.Option("--track", help="The track that is measured.")] = DEFAULT_TRACK,
    as_json: AsJson = False,
) -> None:
    """Time a training step per method family: as a fork would run it, and with each of the engine's shortcuts.

    The reference is the loop that public code of the field runs: frozen towers at every step, padded inputs, one
    cell. Below it: frozen features kept, the exact shortcuts, and packs of cells as one program. `floor` is the
    arithmetic that cannot be avoided at this machine's matmul rate, `difference` the largest gap of a loss to the
    reference. Memory is kept between steps as workers keep it. With `--precision amp` there is no reference: each
    pack stands beside itself in half precision, which `times faster` and `difference` then compare.

    Examples: `promptgrid bench`; `promptgrid bench --family coop --classes 100 --pack 16`;
    `promptgrid bench --family vpt --device cuda --precision amp`; `promptgrid bench --track text --pack 16`
    """
    import torch

    from promptgrid import catalog
    from promptgrid.cluster.workers.allocator import keep_freed_memory
    from promptgrid.contract.track import Timing

    if device not in {"cpu", "cuda"} or (device == "cuda" and not torch.cuda.is_available()):
        raise Refused("no such device here", where="--device", got=device, expected="cpu, or cuda where there is one")
    if precision not in PRECISIONS:
        raise Refused("unknown precision", where="--precision", got=precision, expected=", ".join(PRECISIONS))
    torch.set_num_threads(threads)
    keep_freed_memory()
    timing = Timing(
        backbone=backbone,
        families=tuple(family or ()),
        classes=tuple(classes or ()),
        packs=tuple(pack or (4, 16, 64)),
        device=device,
        precision=PRECISIONS[precision],
        steps=steps,
        seconds=seconds,
    )
    console = Console(stderr=True)
    rows: list[dict[str, Any]] = []
    with console.status("loading") as status:
        for row in catalog.track(track).bench(timing, lambda what: status.update(f"timing {what}")):
            rows.append(row)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        Console(width=max(WIDTH, Console().width)).print(
            _table(rows, f"{backbone or track} on {device}, {precision}, {threads} thread(s)")
        )


def _table(rows: list[dict[str, Any]], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("family")
    for column in ("classes", "batch"):
        table.add_column(column, justify="right")
    table.add_column("variant", no_wrap=True)
    held = any(row.get("peak_mb") is not None for row in rows)
    for column in ("ms a cell-step", "times faster", "floor ms", "of the floor", "difference", *["peak MB"] * held):
        table.add_column(column, justify="right")
    before = None
    for row in rows:
        group = (row["family"], row["classes"])
        head = (row["family"], str(row["classes"]), str(row["batch"])) if group != before else ("", "", "")
        if before not in (None, group):
            table.add_section()
        before = group
        gap = "" if row["difference"] is None else f"{row['difference']:.1e}"
        figures = (f"{row['ms']:.3f}", f"{row['ratio']:.1f}", f"{row['floor_ms']:.3f}", f"{row['share']:.0%}", gap)
        peak = (f"{row['peak_mb']:,.0f}",) if held else ()
        table.add_row(*head, row["variant"], *figures, *peak)
    return table


COMMANDS: dict[str, Command] = {"bench": bench}
