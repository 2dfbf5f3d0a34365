"""What the parts of a GPU run share: what they are asked for, and a file of rows that is whole after every row."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import torch


class Part:
    """One part: its device, whether it rehearses at ``tiny`` sizes, and the rows found so far."""

    def __init__(self, about: str) -> None:
        parser = argparse.ArgumentParser(description=about)
        parser.add_argument("--device", default="cuda", help="cuda or cpu")
        parser.add_argument("--out", type=Path, required=True, help="the JSON file that is written")
        parser.add_argument("--tiny", action="store_true", help="sizes of a rehearsal")
        asked = parser.parse_args()
        self.device, self.out, self.tiny = str(asked.device), asked.out, bool(asked.tiny)
        self.rows: list[dict[str, Any]] = []
        self.began = time.perf_counter()
        self._write(complete=False)

    def add(self, **row: Any) -> None:
        """Keep a row and print it."""
        self.rows.append(row)
        self._write(complete=False)
        print(json.dumps(row), flush=True)

    def finish(self) -> None:
        """Say that nothing is missing."""
        self._write(complete=True)

    def _write(self, *, complete: bool) -> None:
        seconds = round(time.perf_counter() - self.began, 1)
        whole = {"complete": complete, "seconds": seconds, "machine": machine(self.device), "rows": self.rows}
        partial = self.out.with_suffix(".partial")
        partial.write_text(json.dumps(whole, indent=1) + "\n")
        partial.replace(self.out)


def machine(device: str) -> dict[str, str]:
    """The card (or the processor), its driver, and what ran on it."""
    facts = {"python": platform.python_version(), "torch": torch.__version__, "commit": _commit()}
    if not device.startswith("cuda"):
        return {"card": f"none: {platform.machine()} CPU", "driver": "", **facts}
    driver = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True, text=True
    ).stdout.strip()
    return {"card": torch.cuda.get_device_name(), "driver": driver, **facts}


def _commit() -> str:
    """$PROMPTGRID_COMMIT where the sources travelled without their history."""
    named = os.environ.get("PROMPTGRID_COMMIT", "")
    asked = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    return named or asked.stdout.strip()
