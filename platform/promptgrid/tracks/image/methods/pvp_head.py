"""PVP's control: what stage 1 costs, spent on the head alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from promptgrid.contract.clip import Axes
from promptgrid.towers.methods.parts.headed import Headed
from promptgrid.tracks.image.methods.mapped_head import MappedHead
from promptgrid.tracks.image.methods.pvp import PVP


@dataclass(frozen=True)
class PVPHead(PVP):
    """PVP's control: the images and steps of stage 1 are spent on the head alone, and the tower stays as it is.

    Source: a control of ours for Song et al., 2023.
    Of a linear head nothing can be handed on to other classes. So the head has two layers (``mapped_head``): stage 1
    learns a map and a head on the source, the map is handed on, the head thrown away. What ``pvp`` gains over its host
    from a random start and this does not gain over ``mapped_head`` comes from tuning inside the tower, not from more
    labelled images. Learns d² numbers and a head of C x (d + 1).
    """

    name: ClassVar[str] = "pvp_head"
    paper: ClassVar[str] = "control baseline"
    axes: ClassVar = Axes("classifier", "head", stage="pre_training", access="features", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"unprojected"})
    hosts: ClassVar[Mapping[str, tuple[type[Headed], frozenset[str]]]] = {
        "mapped_head": (MappedHead, frozenset({"map"}))
    }

    host: str = "mapped_head"
