"""Access to FITS cubes: made by the cube writer from a raw file, compared with plain astropy."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from camtest.analysis import cubes, images
from egse.fee.frame import Frame, plan_chunks
from egse.fee.geometry import FrameLayout
from egse.fee.image import Detector
from egse.fee.light import Exposure
from egse.fits import CameraFacts, CubeWriter, plan_cubes
from egse.h5 import DATA_ATTRIBUTES, CycleWriter
from egse.system import from_epoch_1958

T0 = 1_700_000_000.25
LAYOUT = FrameLayout(4500, 4519)
FIELDS = {
    **dict.fromkeys(DATA_ATTRIBUTES, 0), "ccd_mode_config": 5, "ccd_readout_order": 228, "h_end": 2294, "sensor_sel": 3,
    "v_start": 4500, "v_end": 4519, "digitise_en": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cycles of all CCDs, both sides; one packet of CCD 3 lost."""
    folder = tmp_path_factory.mktemp("cubes")
    paths = []
    for number in (1, 2):
        paths.append(folder / f"20231114_LAB_N-FEE_SPW_{number:05d}.hdf5")
        with CycleWriter(paths[-1], version=((2, 6), (3, 0))[number - 1]) as writer:
            for code in range(4):
                frame = writer.frame(code)
                frame.attributes(FIELDS)
                frame.timecode(code, T0 + 25.0 * number + 6.25 * code)
                readout = Frame(LAYOUT, 5, code, code, Exposure(code, code, 20.0, 1.0), Detector())
                packets = [
                    bytes(packet) for chunk in plan_chunks(LAYOUT) for packet in readout.packets(chunk)
                ]
                frame.packets(packets[1:] if (number, code) == (2, 2) else packets)
    camera = CameraFacts("duvel", 7, focal_length=247.52, origin_offset=((-1.3, 82.48),) * 4)
    (plan,) = plan_cubes(paths)
    return CubeWriter(plan, camera, "LAB", "LAB_00007_00042").write(folder / "cube.fits")


def test_what_is_in_it(cube: Path) -> None:
    names = cubes.get_extension_names(cube)
    assert names[:5] == ["SPRE_1_E", "SOVER_1_E", "POVER_1_E", "IMAGE_1_E", "WCS-TAB_1_E"]
    assert len(names) == 40
    assert cubes.get_primary_header(cube)["OBSID"] == "LAB_00007_00042"
    overview = cubes.get_overview(cube)
    assert "IMAGE_1_E          2255 x 10 x 2\n" in overview
    assert "IMAGE_3_E          2255 x 10 x 2, 7 rows lost\n" in overview


def test_pixels(cube: Path) -> None:
    with fits.open(cube) as hdus:
        for product, one, many, header in (
            ("IMAGE", cubes.get_image, cubes.get_image_cube, cubes.get_image_header),
            (
                "POVER",
                cubes.get_parallel_overscan,
                cubes.get_parallel_overscan_cube,
                cubes.get_parallel_overscan_header,
            ),
            (
                "SPRE",
                cubes.get_serial_prescan,
                cubes.get_serial_prescan_cube,
                cubes.get_serial_prescan_header,
            ),
            (
                "SOVER",
                cubes.get_serial_overscan,
                cubes.get_serial_overscan_cube,
                cubes.get_serial_overscan_header,
            ),
        ):
            expected = hdus[f"{product}_2_F"].data
            assert np.array_equal(many(cube, 2, "F"), expected)
            assert np.array_equal(one(cube, 2, "F", 1), expected[1])
            assert np.array_equal(one(cube, 2, "f", -2), expected[0])
            assert one(cube, 2, "F", 0).dtype == np.uint16
            assert header(cube, 2, "F")["EXTNAME"] == f"{product}_2_F"
    with pytest.raises(LookupError, match="exposures 0 to 1, not 2"):
        cubes.get_image(cube, 2, "F", 2)
    with pytest.raises(LookupError, match=r"no IMAGE_5_E; it has images of 1_E, 1_F"):
        cubes.get_image_cube(cube, 5, "E")


def test_times(cube: Path) -> None:
    assert cubes.get_relative_time(cube, 3, "E").tolist() == pytest.approx([12.5, 37.5], abs=1e-3)
    absolute = cubes.get_absolute_time(cube, 3, "E")
    assert from_epoch_1958(absolute[0]).timestamp() == pytest.approx(T0 + 37.5, abs=2e-3)
    epoch = datetime(1958, 1, 1, tzinfo=UTC).timestamp()
    assert absolute[1] == pytest.approx(T0 + 62.5 - epoch, abs=2e-3)


def test_focal_plane(cube: Path) -> None:
    # CCD 3 has the orientation of the focal plane; its origin is at (1.3, -82.48). F is its left half.
    x, y = cubes.pixel_to_focal_plane(cube, 3, "F", 0, 0)
    assert (x, y) == pytest.approx((1.3, -82.48 + 4500 * 0.018))
    x, _ = cubes.pixel_to_focal_plane(cube, 3, "E", 0, 0)
    assert x == pytest.approx(1.3 + 2255 * 0.018)
    # CCD 1 is turned by 180 degrees.
    x, y = cubes.pixel_to_focal_plane(cube, 1, "F", [0, 1], [0, 0])
    assert x == pytest.approx([-1.3, -1.3])
    assert y == pytest.approx([82.48 - 4500 * 0.018, 82.48 - 4501 * 0.018])
    for ccd in (1, 2, 3, 4):
        x, y = cubes.pixel_to_focal_plane(cube, ccd, "E", 3.5, 1000)
        assert cubes.focal_plane_to_pixel(cube, ccd, "E", x, y) == pytest.approx((3.5, 1000))
    assert images.get_image is cubes.get_image
    with pytest.raises(AttributeError):
        images.get_nothing  # noqa: B018
