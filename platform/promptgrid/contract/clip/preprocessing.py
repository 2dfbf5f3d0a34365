"""How an image becomes the pixels that a backbone reads: facts, not code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, cast

from pydantic import JsonValue

from promptgrid.spec import Refused

ResizeMode = Literal["shortest", "longest", "squash"]
Interpolation = Literal["bicubic", "bilinear"]
OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Preprocessing:
    """The evaluation transform of one model, as open_clip describes it.

    Attributes:
        size: height and width of what the model reads, in pixels.
        mean: of the three channels, as fractions of white; taken off.
        std: of the three channels; divided by.
        resize_mode: ``shortest``, the shorter side to size and the middle cut out; ``longest``, the longer side to size
            and the rest filled; ``squash``, both sides to size.
        interpolation: of the resize.
        fill: grey level (0 to 255), or three, of what ``longest`` leaves empty.
    """

    size: tuple[int, int]
    mean: tuple[float, float, float] = OPENAI_MEAN
    std: tuple[float, float, float] = OPENAI_STD
    resize_mode: ResizeMode = "shortest"
    interpolation: Interpolation = "bicubic"
    fill: int | tuple[int, int, int] = 0

    @classmethod
    def square(cls, side: int, mean: Sequence[float] = OPENAI_MEAN, std: Sequence[float] = OPENAI_STD) -> Self:
        """CLIP's own: the shorter side to ``side``, bicubic, the middle cut out."""
        return cls((side, side), _triple(mean), _triple(std))

    @classmethod
    def of(cls, written: Mapping[str, Any], size: int | Sequence[int], where: str) -> Self:
        """What an open_clip ``preprocess_cfg`` says, and CLIP's own where it says nothing.

        Args:
            written: ``mean``, ``std``, ``resize_mode``, ``interpolation``, ``fill_color``, each optional.
            size: of the image tower, which overrules a size that is written.
            where: names the model in errors.

        Raises:
            Refused: a value that open_clip's transform does not know.
        """
        said = {name: value for name, value in written.items() if value is not None}
        mode, kind = said.get("resize_mode", "shortest"), said.get("interpolation", "bicubic")
        if mode not in ("shortest", "longest", "squash"):
            raise Refused("preprocessing: unknown resize_mode", where=where, got=mode,
                          expected="shortest, longest or squash")  # fmt: skip
        if kind not in ("bicubic", "bilinear", "random"):
            raise Refused("preprocessing: unknown interpolation", where=where, got=kind, expected="bicubic or bilinear")
        try:
            height, width = (size, size) if isinstance(size, int) else size
            fill = said.get("fill_color", 0)
            return cls(
                (int(height), int(width)),
                _triple(said.get("mean", OPENAI_MEAN)),
                _triple(said.get("std", OPENAI_STD)),
                cast(ResizeMode, mode),
                "bilinear" if kind == "bilinear" else "bicubic",  # random is of training; open_clip evaluates bicubic
                int(fill) if isinstance(fill, int | float) else (int(fill[0]), int(fill[1]), int(fill[2])),
            )
        except (TypeError, ValueError, IndexError) as error:
            raise Refused(f"preprocessing: {error}", where=where, got=dict(written),
                          expected="three numbers each for mean and std, one or two for a size") from error  # fmt: skip

    @property
    def side(self) -> int:
        """The longer side, in pixels."""
        return max(self.size)

    @property
    def is_square(self) -> bool:
        """Whether both sides are the same."""
        return self.size[0] == self.size[1]

    def plain(self) -> dict[str, JsonValue]:
        """As plain values, for keys and records."""
        return {
            "size": list(self.size),
            "mean": list(self.mean),
            "std": list(self.std),
            "resize_mode": self.resize_mode,
            "interpolation": self.interpolation,
            "fill": self.fill if isinstance(self.fill, int) else list(self.fill),
        }


def _triple(values: float | Sequence[float]) -> tuple[float, float, float]:
    one, two, three = (values,) * 3 if isinstance(values, int | float) else map(float, values)
    return float(one), float(two), float(three)
