"""Files of hub repositories. What lies on this machine comes first, so that a key names what is loaded.

A repository moves when somebody fetches its new revision into the hub's cache here: that changes keys. One that moved
only at its home changes nothing until then, and two runs of one grid never meet two revisions.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptgrid.spec import Refused

CONFIG = "open_clip_config.json"
PLAIN, SAFE = "open_clip_pytorch_model.bin", "open_clip_model.safetensors"
TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model", "vocab.txt", "vocab.json", "merges.txt",
)  # fmt: skip
"""Files that say how a hub's tokenizer reads text."""
SECONDS = 10
"""How long the hub may take to answer a question."""


def checkpoints(written: str = "") -> tuple[str, ...]:
    """Names under which a checkpoint may lie, open_clip's first choice first; ``written`` is what a tag says."""
    if written in ("", PLAIN):
        return SAFE, PLAIN
    stem, ending = os.path.splitext(written)
    return (f"{stem}.safetensors", written) if ending in (".bin", ".pth") else (written,)


@dataclass(frozen=True)
class HubFile:
    """A file of repository ``repo``: the first of ``names`` that is there."""

    repo: str
    names: tuple[str, ...]

    def here(self) -> Path | None:
        """The file of the revision that this machine holds, or None."""
        hub = _hub()
        found = (hub.try_to_load_from_cache(self.repo, name) for name in self.names)
        return next((Path(path) for path in found if isinstance(path, str)), None)

    def sha256(self) -> str:
        """What the hub says of the content, without fetching it; '' where it does not say, or does not answer."""
        hub = _hub()
        for name in self.names:
            try:
                facts = hub.get_hf_file_metadata(hub.hf_hub_url(self.repo, name), timeout=SECONDS)
            except hub.errors.EntryNotFoundError:
                continue
            except Exception:  # noqa: BLE001 - no network, no such repository, no right to it: told when it is fetched
                return ""
            tag = str(facts.etag)
            return tag if len(tag) == 64 else ""
        return ""

    def fetched(self) -> Path:
        """The file, from the hub where this machine lacks it.

        Raises:
            Refused: it is nowhere to be had.
        """
        if (path := self.here()) is not None:
            return path
        hub, problem = _hub(), ""
        for name in self.names:
            try:
                return Path(hub.hf_hub_download(self.repo, name, etag_timeout=SECONDS))
            except Exception as error:  # noqa: BLE001 - whatever the hub's client raises becomes a refusal
                problem = " ".join(str(error).split())[:300]
        raise Refused(f"{' or '.join(self.names)} is not on this machine and the hub did not give it: {problem}",
                      where=f"hf-hub:{self.repo}", hint="fetch the model once where there is a network, or name a "
                      "folder (local-dir:/path) or a checkpoint file")  # fmt: skip


def tokenizer_files(folder: Path) -> Sequence[str]:
    """Names of the files in ``folder`` that say how text is read."""
    return [name for name in TOKENIZER if (folder / name).is_file()]


def _hub() -> Any:
    import huggingface_hub  # takes a while, and only hub names need it

    return huggingface_hub
