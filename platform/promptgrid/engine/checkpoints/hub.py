"""Files of hub repositories. What lies on this machine comes first, so that a key names what is loaded.

A repository moves when somebody fetches its new revision into the hub's cache here: that changes keys. One that moved
only at its home changes nothing until then, and two runs of one grid never meet two revisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptgrid.spec import Refused

PREFIX, FOLDER = "hf-hub:", "local-dir:"
TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model", "vocab.txt", "vocab.json", "merges.txt",
)  # fmt: skip
"""Files that say how a hub's tokenizer reads text."""
SECONDS = 10
"""How long the hub may take to answer a question."""


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
        """What the hub says of the content, without giving it; '' where it does not say."""
        _, facts = self._asked()
        tag = str(facts.etag)
        return tag if len(tag) == 64 else ""  # of large files; small ones have a tag of git's

    def fetched(self) -> Path:
        """The file, from the hub where this machine lacks it.

        Raises:
            Refused: it is nowhere to be had.
        """
        if (path := self.here()) is not None:
            return path
        name, _ = self._asked()
        try:
            return Path(_hub().hf_hub_download(self.repo, name))
        except Exception as error:
            raise self._refused(error) from error

    def _asked(self) -> tuple[str, Any]:
        """The name under which the hub has the file, and what it says of it. Raises Refused where it says nothing."""
        hub, problem = _hub(), Exception("no such file")
        for name in self.names:
            try:
                return name, hub.get_hf_file_metadata(hub.hf_hub_url(self.repo, name), timeout=SECONDS)
            except hub.errors.EntryNotFoundError as error:
                problem = error
            except Exception as error:  # no network, no such repository, no right to it
                raise self._refused(error) from error
        raise self._refused(problem)

    def _refused(self, error: Exception) -> Refused:
        said = (" ".join(str(error).split()) or type(error).__name__)[:200]
        return Refused(f"{' or '.join(self.names)} is not on this machine and not to be had: {said}",
                       where=f"{PREFIX}{self.repo}", hint="fetch the model once where there is a network, or name a "
                       f"folder ({FOLDER}/path) or a checkpoint file")  # fmt: skip


def tokenizer_files(folder: Path) -> Sequence[str]:
    """Names of the files in ``folder`` that say how text is read."""
    return [name for name in TOKENIZER if (folder / name).is_file()]


def _hub() -> Any:
    import huggingface_hub.errors  # takes a while, and only hub names need it

    return huggingface_hub
