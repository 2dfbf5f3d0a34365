"""What settings of image methods are checked against."""

from promptgrid.contract.settings import check

__all__ = ["POSITIONS", "check"]

POSITIONS = ("end", "middle", "front")
