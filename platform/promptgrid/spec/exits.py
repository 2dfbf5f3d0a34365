"""What the exit status of a command says. The one place: `promptgrid --help` shows :data:`HELP`."""

from __future__ import annotations

FAILED, REFUSED, CRASHED, LOST, SIGNALLED = 1, 2, 3, 4, 128
HELP = (
    "Exit codes: 0 all is well; 1 some cells failed, or something damaged was found; 2 the input was refused before "
    "any work; 3 a crash: the disk, or a fault of ours; 4 the cluster was lost, or offers no machine that fits; "
    "130/143 interrupted. After 3, 4, 130 and 143 what is finished is kept, and the same command goes on."
)
