"""CoOp's checkpoint: ``prompt_learner/model.pth.tar-N``, as Dassl saves it and CoOp's ``load_model`` reads it.

A dict with ``state_dict``, ``epoch``, ``optimizer``, ``scheduler`` and ``val_result``; of the first CoOp's loader
takes ``ctx`` alone, (M, width), or (C, M, width) of class-specific contexts, and drops the rest. ``epoch`` is how many
were trained. CoOp itself saves half precision where it trains in it; these are fp32. Where the class name stands is a
setting of the run (``TRAINER.COOP.CLASS_TOKEN_POSITION``), which the checkpoint does not hold.
"""

from __future__ import annotations

import io

import torch

from promptgrid.contract.track import Kept
from promptgrid.engine.exporting import arrays_of
from promptgrid.spec import Refused

LEARNERS = ("coop", "kgcoop", "prograd")
"""Methods whose public code keeps exactly this."""


def as_coop(kept: Kept) -> dict[str, bytes]:
    """The checkpoint, and Dassl's ``checkpoint`` file that names the last one."""
    cell, arrays = kept.record.cell, arrays_of(kept)
    if cell.method not in LEARNERS or set(arrays) != {"context"}:
        raise Refused("only a context of words becomes a checkpoint of CoOp", where=cell.key[:12], got=cell.method,
                      expected=f"a cell of {', '.join(LEARNERS)}; safetensors take any")  # fmt: skip
    epochs = len(kept.record.curves.get("train_loss", ())) or 1
    content = {
        "state_dict": {"ctx": torch.from_numpy(arrays["context"].copy())},
        "epoch": epochs,
        "optimizer": None,
        "scheduler": None,
        "val_result": None,
    }
    out, name = io.BytesIO(), f"model.pth.tar-{epochs}"
    torch.save(content, out)
    return {f"prompt_learner/{name}": out.getvalue(), "prompt_learner/checkpoint": f"{name}\n".encode()}
