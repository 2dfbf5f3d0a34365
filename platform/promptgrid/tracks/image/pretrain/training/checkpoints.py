"""What a run leaves to go on from: its whole state, and a file small enough to travel."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from promptgrid.tracks.image.pretrain.training.clock import Clock, Sitting
from promptgrid.tracks.image.pretrain.training.run import Run

CHECKPOINT = "checkpoint.pt"
START = "start.pt"


def save(run: Run, path: Path) -> None:
    """Write the whole state of the run, never half of it."""
    state = {
        "learner": {name: p.detach() for name, p in run.learner.trained()},
        "average": run.average,
        "optimiser": run.optimiser.state_dict(),
        "rng": {"device": run.rng.device.type, "state": run.rng.get_state()},
        "clock": asdict(run.clock),
    }
    _write(state, path)


def save_start(run: Run, path: Path) -> None:
    """Write what another machine can go on with, a sixth of the size: weights in float16 and the clock.

    The optimiser's moments and the averaged weights stay behind; they build up again within some hundred steps.
    """
    learner = {name: p.detach().half().cpu() for name, p in run.learner.trained()}
    _write({"learner": learner, "clock": asdict(run.clock)}, path)


def _write(state: dict[str, Any], path: Path) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def load(run: Run, path: Path) -> None:
    """Go on where `save`, or on another machine `save_start`, left off."""
    state = torch.load(path, map_location=run.device, weights_only=True)
    for name, p in run.learner.trained():
        p.data.copy_(state["learner"][name])
    clock = state["clock"]
    run.clock = Clock(clock["steps"], [*(Sitting(**s) for s in clock["sittings"]), *run.clock.sittings])
    run.folded = run.done
    run.rng.manual_seed(run.recipe.seed + run.clock.steps)
    if "optimiser" not in state:
        run.average = {name: p.detach().clone() for name, p in run.learner.trained()}
        run.cold = run.clock.steps
        return
    run.average = state["average"]
    run.optimiser.load_state_dict(state["optimiser"])
    if state["rng"]["device"] == run.rng.device.type:
        run.rng.set_state(state["rng"]["state"].cpu())
