"""What a method may need besides the towers of its backbone, and who can offer it.

A method names assets in ``needs``, beside what it needs of the backbone; a square whose dataset or protocol does not
offer them is refused when the grid is planned. Assets reach the method through its task, and the digest of each one
used is part of the cell's identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from torch import Tensor

from promptgrid.spec import Refused

Descriptions = Mapping[str, tuple[str, ...]]
"""Class name to short sentences about what its examples look like."""
NO_DESCRIPTIONS: Descriptions = MappingProxyType({})


@dataclass(frozen=True)
class Asset:
    """Who offers it, what it is, and what to do where it is missing."""

    owner: Literal["dataset", "protocol", "method"]
    what: str
    hint: str


ASSETS: Mapping[str, Asset] = MappingProxyType({
    "descriptions": Asset(
        "dataset", "sentences about every class", "put a descriptions.yaml beside the examples, or leave the method out"
    ),
    "domain_labels": Asset(
        "dataset",
        "the domain of every example, of two or more",
        "join the domains of one label space: a|b|c, or give the suite `sources: others`",
    ),
    "variations": Asset(
        "dataset",
        "generated variations of every test example",
        "put them into variations/<path of the example without its ending>/ beside the examples, or set the method's "
        "`variations: stand_in`, a strong augmentation that records name as such",
    ),
    "unlabelled": Asset(
        "protocol",
        "training examples without their labels",
        "choose protocol semi_supervised, transductive_zero_shot or unsupervised",
    ),
    "pool_labels": Asset(
        "protocol",
        "the true labels of the unlabelled pool, for controls alone",
        "choose a protocol with a pool that tells them, or another setting of the method",
    ),
    "second_backbone": Asset("method", "a second frozen backbone", "name it in the method's setting `second`"),
    "image_text_pairs": Asset(
        "dataset",
        "examples with captions, none of them of the test split",
        "use a bundled task, or leave the method out",
    ),
})  # fmt: skip


@dataclass(frozen=True)
class Variations:
    """Generated variations of examples.

    Attributes:
        names: by dataset index, at least one for each example that has any.
        digest: of their contents.
        read: a name to its example, as the dataset reads its own; raises OSError where it is missing or damaged.
    """

    names: Mapping[int, tuple[str, ...]]
    digest: str
    read: Callable[[str], Any]


@dataclass(frozen=True)
class Second:
    """Features of a second frozen backbone, not normalised, row by row those of the task's own examples.

    Attributes:
        support: (N, second width), ``None`` where nothing is labelled.
        unlabelled: (M, second width), ``None`` where there is no pool.
    """

    support: Tensor | None
    unlabelled: Tensor | None


@dataclass(frozen=True)
class Pairs:
    """Examples with captions, none of which shows a test or validation example of the task.

    Attributes:
        features: (N, width) of the first backbone, not normalised.
        captions: the distinct captions.
        caption_of: (N,) which of them belongs to each example.
    """

    features: Tensor
    captions: tuple[str, ...]
    caption_of: Tensor


def check_descriptions(found: Mapping[str, tuple[str, ...]], classes: tuple[str, ...], where: str) -> Descriptions:
    """``found``, if it says something about every one of ``classes`` and about nothing else.

    Raises:
        Refused: a class is missing or unknown, has no sentence, an empty one, or the same one twice.
    """
    missing = [name for name in dict.fromkeys(classes) if name not in found]
    if missing:
        raise Refused(f"{len(missing)} of {len(set(classes))} classes have no description", where=where, got=missing[0])
    unknown = sorted(found.keys() - set(classes))
    if unknown:
        raise Refused("a description of no class of this dataset", where=where, got=unknown[0])
    for name, sentences in found.items():
        if not sentences or not all(sentence.strip() for sentence in sentences):
            raise Refused(f"class {name!r} has an empty description", where=where)
        if len({sentence.strip().lower() for sentence in sentences}) < len(sentences):
            raise Refused(f"class {name!r} has one description twice", where=where)
    return found
