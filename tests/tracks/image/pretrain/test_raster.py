"""Drawings become pictures, and hostile ones are refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("resvg_py", reason="the pretrain extra is not installed")

from promptgrid.tracks.image.pretrain.pictures import raster

SPACE = 'xmlns="http://www.w3.org/2000/svg"'
SQUARE = '<rect x="2" y="2" width="6" height="6" fill="#ff0000"/>'


def drawn(svg: str) -> Image.Image:
    return raster.fit(raster.draw(raster.clean(svg)))


def centre(picture: Image.Image) -> tuple[int, ...]:
    return tuple(np.asarray(picture)[32, 32].tolist())


def test_a_drawing_becomes_a_square_picture_on_white() -> None:
    picture = drawn(f'<svg {SPACE} viewBox="0 0 10 10" width="10" height="10">{SQUARE}</svg>')
    assert picture.size == (64, 64)
    assert centre(picture) == (255, 0, 0)
    assert np.asarray(picture)[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "attributes",
    ['width="10" height="10"', 'viewBox="0 0 10 10"', 'width="100%" height="100%" viewBox="0,0,10,10"', "width='10px'"],
)
def test_missing_sizes_are_filled_in(attributes: str) -> None:
    assert centre(drawn(f"<svg {SPACE} {attributes}>{SQUARE}</svg>")) == (255, 0, 0)


def test_a_wide_drawing_is_centred_not_stretched() -> None:
    values = np.asarray(drawn(f'<svg {SPACE} viewBox="0 0 20 10"><rect width="20" height="10"/></svg>'))
    dark = (values.sum(axis=2) == 0).sum(axis=1)
    assert dark[:16].sum() == 0
    assert dark[20:44].min() == 64


def test_doctype_header_and_metadata_are_dropped() -> None:
    svg = (
        '<?xml version="1.0" encoding="iso-8859-1"?>\n'
        '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd" [ <!ENTITY ns "http://www.w3.org/2000/svg"> ]>\n'
        f'<svg xmlns="&ns;" viewBox="0 0 10 10"><metadata><a/></metadata>{SQUARE}</svg>'
    )
    text = raster.clean(svg)
    assert "DOCTYPE" not in text
    assert "metadata" not in text
    assert "encoding" not in text
    assert 'xmlns="http://www.w3.org/2000/svg"' in text
    assert centre(drawn(svg)) == (255, 0, 0)


def test_a_prefixed_root_keeps_its_prefix() -> None:
    inside = '<svg:rect width="9" height="9"/>'
    svg = f'<svg:svg xmlns:svg="http://www.w3.org/2000/svg" width="10" height="10">{inside}</svg:svg>'
    assert centre(drawn(svg)) == (0, 0, 0)


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY % p SYSTEM "http://example.org/x.dtd">',
        f'<!ENTITY a "{"x" * 5000}">',
    ],
    ids=["nested", "a file", "a parameter", "large and often"],
)
def test_entity_bombs_and_outside_files_are_refused(declared: str) -> None:
    with pytest.raises(raster.UnsafeDrawing):
        raster.clean(f'<!DOCTYPE svg [{declared}]><svg {SPACE} width="1" height="1">{"&a;" * 100}</svg>')


def test_a_drawing_of_millions_of_characters_is_refused() -> None:
    with pytest.raises(raster.UnsafeDrawing, match="characters"):
        raster.clean(f"<svg {SPACE}>{' ' * raster.MAX_SVG_CHARS}</svg>")


def test_text_that_is_no_drawing_is_refused() -> None:
    with pytest.raises(ValueError, match="no svg element"):
        raster.clean("<html></html>")


def test_blank_pictures_are_known() -> None:
    assert raster.is_blank(Image.new("RGB", (64, 64), "white"))
    assert not raster.is_blank(drawn(f'<svg {SPACE} viewBox="0 0 10 10">{SQUARE}</svg>'))


def test_cropping_fills_the_picture() -> None:
    art = raster.draw(
        raster.clean(f'<svg {SPACE} viewBox="0 0 100 100"><rect x="90" y="90" width="8" height="8"/></svg>')
    )
    assert centre(raster.fit(art, crop=True)) == (0, 0, 0)
    assert centre(raster.fit(art)) == (255, 255, 255)


def test_the_content_hash_names_what_is_seen() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    exact, lossy = raster.encode(picture), raster.encode(picture, quality=40)
    assert raster.decode(exact).tobytes() == picture.tobytes()
    assert raster.content_hash(exact) == raster.content_hash(raster.encode(raster.decode(exact)))
    assert raster.content_hash(lossy) != raster.content_hash(exact)
    assert len(lossy) < len(exact)


def test_grey_arrays_become_pictures() -> None:
    picture = raster.from_array(np.full((8, 8), 200, dtype=np.uint8))
    assert picture.size == (64, 64)
    assert centre(picture) == (200, 200, 200)
