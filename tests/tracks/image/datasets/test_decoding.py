from __future__ import annotations

import contextlib
import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from promptgrid.tracks.image.datasets.decoding import DamagedImage, decode


def coded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


SOUND = coded(np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8))


def test_pixels_come_back_as_they_were() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(decode(coded(pixels), "x")), pixels)


def test_every_16_bit_grey_lands_on_the_nearest_8_bit_grey() -> None:
    pixels = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    grey = np.asarray(decode(coded(pixels), "x"))[..., 0]
    assert np.array_equal(grey, np.round(pixels / 257).astype(np.uint8))


def test_damage_crosses_between_processes_whole() -> None:
    error = pickle.loads(pickle.dumps(DamagedImage("a.png", "the file is empty")))
    assert isinstance(error, DamagedImage)
    assert (str(error), error.where, error.reason) == ("a.png: the file is empty", "a.png", "the file is empty")


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_damage(raw: bytes) -> None:
    with pytest.raises(DamagedImage, match=r"^here: "):
        decode(raw, "here")


@given(st.integers(0, len(SOUND) - 1), st.integers(1, 255))
def test_a_flipped_byte_gives_an_rgb_image_or_damage(place: int, flip: int) -> None:
    raw = bytearray(SOUND)
    raw[place] ^= flip
    with contextlib.suppress(DamagedImage):  # anything else would fail the test
        assert decode(bytes(raw), "here").mode == "RGB"
