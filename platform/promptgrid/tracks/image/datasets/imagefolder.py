"""``imagefolder:/path``: a folder of images per class, with or without split folders."""

from __future__ import annotations

from promptgrid.engine.datasets.class_folders import ClassFolders, FolderCard
from promptgrid.tracks.image.datasets.beside import FolderDataset
from promptgrid.tracks.image.datasets.files import IMAGES

PREFIX = "imagefolder:"


class ImageCard(FolderCard):
    """What an optional ``dataset.yaml`` beside the images may say."""

    template: str = "a photo of a {}."


class ImageFolder(ClassFolders):
    """A folder of images per class, see :class:`promptgrid.engine.datasets.class_folders.ClassFolders`.

    ``descriptions.yaml`` and ``variations/`` beside the class folders are assets
    (:mod:`promptgrid.tracks.image.datasets.beside`), no part of the images.
    """

    name = "imagefolder"
    prefix = PREFIX
    kind = IMAGES
    written = ImageCard
    built = FolderDataset
