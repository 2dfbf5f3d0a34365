"""Images of published datasets, in the folders in which people have them; one family an address."""

from __future__ import annotations

from promptgrid.engine.datasets.published.coop_folders import CoopFolders
from promptgrid.engine.datasets.published.domains import Domains
from promptgrid.engine.datasets.published.elevater import Elevater
from promptgrid.engine.datasets.published.shards import Shards
from promptgrid.engine.datasets.published.vpt_fgvc import VptFgvc
from promptgrid.engine.datasets.published.vtab import Vtab
from promptgrid.tracks.image.datasets.beside import FolderDataset
from promptgrid.tracks.image.datasets.files import IMAGES
from promptgrid.tracks.image.datasets.hf_images import PREFIX as HF_PREFIX
from promptgrid.tracks.image.datasets.torchvision_folders import PREFIX as TORCHVISION_PREFIX


class Coop(CoopFolders):
    """``coop:/data/NAME``: CoOp's eleven and the four variants of ImageNet."""

    name, prefix, kind, built = "coop", "coop:", IMAGES, FolderDataset


class Vtab1k(Vtab):
    """``vtab:/data/vtab-1k/NAME``: the nineteen of VTAB-1k."""

    name, prefix, kind, built = "vtab", "vtab:", IMAGES, FolderDataset


class FineGrained(VptFgvc):
    """``vpt-fgvc:/data/NAME``: the five fine-grained datasets of VPT."""

    name, prefix, kind, built = "vpt-fgvc", "vpt-fgvc:", IMAGES, FolderDataset


class DomainFolders(Domains):
    """``domains:/data/PACS/sketch``: domains as folders, as DomainBed and Dassl have them."""

    name, prefix, kind, built = "domains", "domains:", IMAGES, FolderDataset


class ElevaterFolders(Elevater):
    """``elevater:/data/NAME``: the twenty of ELEVATER, zips read in place."""

    name, prefix, kind, built = "elevater", "elevater:", IMAGES, FolderDataset


class Webdataset(Shards):
    """``wds:/data/NAME``: webdataset tars as CLIP_benchmark writes them."""

    name, prefix, kind, built = "wds", "wds:", IMAGES, FolderDataset


PREFIXES = (
    *(kind.prefix for kind in (Coop, DomainFolders, ElevaterFolders, FineGrained, Vtab1k, Webdataset)),
    TORCHVISION_PREFIX,
    HF_PREFIX,
)
