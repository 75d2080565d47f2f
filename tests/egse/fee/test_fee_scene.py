"""Scenes: stars, FITS images, saturation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from egse.fee import EM_NUMBERING, FM_NUMBERING, FrameLayout, pixel_to_readout
from egse.fee.frame import Frame, plan_chunks
from egse.fee.geometry import COLUMNS, ROWS
from egse.fee.image import Detector
from egse.fee.light import Exposure
from egse.fee.n_fee_sim import make_model
from egse.fee.scene import NOMINAL_EXPOSURE, ImageScene, SceneError, StarField, load_scene
from egse.spw import CCDSide, decode_headers, decode_pixels


def readout(
    detector: Detector, layout: FrameLayout, code: int = 0, exposure: float = NOMINAL_EXPOSURE
) -> dict[str, np.ndarray]:
    """Returns the pixels of each side."""
    frame = Frame(layout, 5, 0, 0, Exposure(code, 0, exposure, 1.0), detector)
    packets = [bytes(packet) for chunk in plan_chunks(layout) for packet in frame.packets(chunk)]
    sides = decode_headers(packets)["ccd_side"]
    return {
        side.name: decode_pixels(
            [packets[index] for index in np.flatnonzero(sides == side)], layout.columns
        ).astype(float)
        for side in layout.sides
    }


@pytest.fixture(scope="module")
def scene_image() -> np.ndarray:
    """A picture that is different everywhere: brightness by row and column, a spot near one corner."""
    image = np.zeros((ROWS, COLUMNS), np.float32)
    image += np.linspace(0, 4000, COLUMNS, dtype=np.float32)
    image[100:110, 200:230] = 20000
    return image


@pytest.mark.parametrize("camera", ["em", "fm"])
def test_the_scene_arrives_at_its_pixels(scene_image: np.ndarray, camera: str) -> None:
    numbering = EM_NUMBERING if camera == "em" else FM_NUMBERING
    detector = Detector(ImageScene([scene_image], numbering.id_to_bin, camera), background=0)
    sides = readout(detector, FrameLayout(95, 120))
    for x, y in ((205, 105), (229, 109), (0, 95), (2254, 100), (2255, 101), (4509, 120)):
        side, row, column = pixel_to_readout(x, y, camera)
        expected = scene_image[y, x] + detector.bias[side]
        assert sides[side.name][row - 95, column] == pytest.approx(
            expected, abs=8 * float(np.sqrt(3.3 + scene_image[y, x] / 25))
        )


def test_four_images_are_for_ccd_1_to_4() -> None:
    images = [np.full((ROWS, COLUMNS), 1000.0 * ccd, np.float32) for ccd in (1, 2, 3, 4)]
    scene = ImageScene(images, EM_NUMBERING.id_to_bin, "em")
    for ccd in (1, 2, 3, 4):
        level = scene.image(EM_NUMBERING.id_to_bin[ccd], CCDSide.E, 0, 1)
        assert level.mean() == 1000 * ccd


def test_light_is_proportional_to_the_exposure_and_saturates(scene_image: np.ndarray) -> None:
    detector = Detector(ImageScene([scene_image], FM_NUMBERING.id_to_bin), background=0)
    layout = FrameLayout(105, 111)
    half = readout(detector, layout, exposure=NOMINAL_EXPOSURE / 2)["F"][0, 25 + 210]
    assert half == pytest.approx(10_000 + 1020, abs=150)
    full = readout(detector, layout, exposure=1e6)["F"][0, 25 + 210]
    assert full == pytest.approx(900_000 / 25 + 1020, abs=400)
    stars = Detector(StarField(1, stars=400))
    assert max(side.max() for side in readout(stars, FrameLayout(0, 4509), exposure=1e6).values()) < 38_000


def test_scenes_from_files(tmp_path: Path, scene_image: np.ndarray) -> None:
    path = tmp_path / "scene.fits"
    fits.PrimaryHDU(scene_image).writeto(path)
    scene = load_scene(path, FM_NUMBERING.id_to_bin)
    assert scene.image(3, CCDSide.F, 100, 101)[0, 200] == 20000
    assert scene.image(3, CCDSide.E, 100, 101)[0, 0] == scene_image[100, 4509]
    model = make_model("fm", scene=path)
    assert model.mode.name == "ON_MODE"


def test_files_that_are_no_scene(tmp_path: Path) -> None:
    small = tmp_path / "small.fits"
    fits.PrimaryHDU(np.zeros((10, 20), np.float32)).writeto(small)
    with pytest.raises(SceneError, match=r"\(10, 20\).*4510 rows"):
        load_scene(small, FM_NUMBERING.id_to_bin)
    empty = tmp_path / "empty.fits"
    fits.PrimaryHDU().writeto(empty)
    with pytest.raises(SceneError, match="no image"):
        load_scene(empty, FM_NUMBERING.id_to_bin)
    text = tmp_path / "text.fits"
    text.write_text("no FITS")
    with pytest.raises(SceneError, match="cannot read"):
        load_scene(text, FM_NUMBERING.id_to_bin)
    with pytest.raises(SceneError, match="got 3"):
        ImageScene([np.zeros((ROWS, COLUMNS), np.float32)] * 3, FM_NUMBERING.id_to_bin)


def test_a_star_field_is_the_same_for_the_same_seed_and_differs_by_ccd() -> None:
    first, again, other = StarField(1), StarField(1), StarField(2)
    one, two = first.sparse(0, CCDSide.E), again.sparse(0, CCDSide.E)
    assert one is not None
    assert two is not None
    assert (one.values == two.values).all()
    assert (one.rows[1:] >= one.rows[:-1]).all()
    for different in (other.sparse(0, CCDSide.E), first.sparse(1, CCDSide.E), first.sparse(0, CCDSide.F)):
        assert different is not None
        assert not np.array_equal(different.values, one.values)


@pytest.mark.parametrize("columns", [1, 25, 30, 2280, 2281, 4096])
def test_other_widths_of_a_row(columns: int) -> None:
    layout = FrameLayout(0, 13, h_end=columns - 1)
    sides = readout(Detector(), layout)
    assert sides["E"].shape == (14, columns)
    assert sides["E"][:, :25].mean() == pytest.approx(1000, abs=3)


def test_a_stretch_longer_than_the_pool_of_noise() -> None:
    layout = FrameLayout(0, 2099)
    frame = Frame(layout, 5, 0, 0, Exposure(0, 0, 20.0, 1.0), Detector())
    (chunk,) = plan_chunks(layout, 10_000)
    packets = frame.packets(chunk)
    assert len(packets) == layout.packets
    assert decode_headers([bytes(packet) for packet in packets])["valid"].all()
