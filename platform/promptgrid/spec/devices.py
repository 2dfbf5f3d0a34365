"""The devices of this machine. torch is imported when it is asked for them."""

from __future__ import annotations

from promptgrid.spec.refusal import Refused


def refuse_no_gpu(where: str) -> None:
    """Refuse to wait for a GPU that this machine does not have.

    Raises:
        Refused: torch sees none.
    """
    import torch

    if not torch.cuda.is_available():
        build = "" if torch.version.cuda else "; this torch was built without CUDA"
        raise Refused(f"no GPU is seen on this machine{build}", where=where, got="cuda", hint="use cpu or auto")
