"""What it takes to pass augmented views through a frozen image tower, for methods that see features alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from promptgrid.contract.clip.black_box import INSIDE_IMAGES
from promptgrid.engine.planning.packing import Room, work
from promptgrid.engine.wing import Wing
from promptgrid.spec import Cell
from promptgrid.towers.clip.costs import Shape
from promptgrid.tracks.image.data.looking import look_seconds


def viewing(wing: Wing, sizes: Callable[[str], Mapping[str, int]], cells: Sequence[Cell], room: Room) -> float:
    """Seconds for all views that ``cells`` are trained on, each looked at once for every method that takes features.

    Those that methods look at inside the tower are part of their steps.

    Args:
        wing: knows methods and datasets.
        sizes: of the towers of a backbone.
        cells: of one plan.
        room: how fast the machine is.
    """
    views: dict[tuple[str, str, int, int], tuple[int, float]] = {}
    seen: dict[tuple[str, str, str, int], int] = {}
    for cell in cells:
        method = wing.resolver.method(cell.method)
        if not cell.views or cell.reading == "evaluate" or cell.members or INSIDE_IMAGES & method.needs:
            continue
        name = (cell.method, repr(cell.settings), cell.dataset, cell.shots)
        if name not in seen:
            built = method(**cell.settings)
            task, labelled, pool = wing.amounts(built, cell.dataset, cell.shots)
            steps, batch = work(built, task, labelled, pool)
            seen[name] = steps * batch if cell.views == "online" else labelled * int(cell.views)
        place = cell.dataset, cell.backbone, cell.shots, cell.seed
        each = look_seconds(Shape(classes=0, images=0, **sizes(cell.backbone)), room)
        views[place] = max(views.get(place, (0, each)), (seen[name], each))
    return sum(count * each for count, each in views.values())
