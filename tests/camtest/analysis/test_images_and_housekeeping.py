"""Quick-look analysis: numbers of known images, pictures drawn without a screen, files found by obsid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from camtest import analysis
from egse.h5 import DATA_ATTRIBUTES, CycleWriter, SideImage

ROWS, COLUMNS = 40, 2295
STAR = (30, 1025)
"""Row and transmitted column of a bright pixel."""


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    backend = mpl.get_backend()
    mpl.use("Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
    mpl.use(backend)


def side_image(
    ccd: int, side: str, *, offset: float = 1000.0, noise: float = 2.0, signal: float = 50.0
) -> SideImage:
    """Bias and noise everywhere, light on the image area, a star."""
    rng = np.random.default_rng([ccd, ord(side)])
    pixels = rng.normal(offset, noise, (ROWS, COLUMNS))
    pixels[:, 25:2280] += signal
    pixels[STAR] = 20_000
    return SideImage(
        ccd=ccd, side=side, frame=ccd - 1, row_start=0, image_row_count=ROWS, pixels=np.rint(pixels).astype(np.uint16)
    )  # fmt: skip


@pytest.fixture
def images() -> list[SideImage]:
    return [side_image(ccd, side, offset=1000 + 10 * ccd) for ccd in (4, 2, 1, 3) for side in "FE"]


def test_statistics_find_offset_noise_and_signal(images: list[SideImage]) -> None:
    table = analysis.image_statistics(images)
    assert list(zip(table.ccd, table.side, strict=True)) == [
        (ccd, side) for ccd in (1, 2, 3, 4) for side in "EF"
    ]
    assert table.offset.tolist() == pytest.approx((1000 + 10 * table.ccd).tolist(), abs=1.0)
    assert table.noise.between(1.8, 2.2).all()
    assert table.signal.tolist() == pytest.approx([50.0] * 8, abs=1.0)
    assert (table.rows == ROWS).all()
    assert (table.missing_rows == 0).all()


def test_statistics_of_a_narrow_readout_without_overscan() -> None:
    whole = side_image(1, "E")
    narrow = SideImage(1, "E", 0, 0, ROWS, whole.pixels[:, :500], missing_rows=np.array([3, 4]))
    (row,) = analysis.image_statistics([narrow]).itertuples()
    assert (row.missing_rows, np.isnan(row.offset), np.isnan(row.noise)) == (2, True, True)


def test_rows_that_were_lost_count_in_no_statistics() -> None:
    whole = side_image(1, "E")
    pixels = whole.pixels.copy()
    lost = np.arange(20, 20 + ROWS // 2)
    pixels[lost] = 0
    holed = SideImage(1, "E", 0, 0, ROWS, pixels, missing_rows=lost)
    row, complete = (next(analysis.image_statistics([image]).itertuples()) for image in (holed, whole))
    assert row.missing_rows == len(lost)
    assert (row.offset, row.signal) == pytest.approx((complete.offset, complete.signal), abs=1.0)
    assert 1.8 < row.noise < 2.2


def pictures(figure: Any) -> dict[tuple[str, str], np.ndarray]:
    """Returns the pictures by title of their CCD and their half: F is drawn left, E right."""
    found = {}
    for axis in figure.axes:
        for picture in axis.images:
            side = "F" if picture.get_extent()[0] == 0.0 else "E"
            found[axis.get_title(), side] = np.asarray(picture.get_array())
    return found


def test_eight_pictures_stars_stay_visible_and_e_is_mirrored(images: list[SideImage]) -> None:
    figure = analysis.plot_focal_plane(images, title="LAB_00001_00001, cycle 1", step=8)
    figure.canvas.draw()
    shown = pictures(figure)
    assert set(shown) == {(f"CCD {ccd}", side) for ccd in (1, 2, 3, 4) for side in "FE"}
    row, column = STAR[0], STAR[1] - 25
    for (_, side), data in shown.items():
        place = column // 8 if side == "F" else (2254 - column) // 8
        assert np.unravel_index(np.argmax(data), data.shape) == (row // 8, place)
    assert figure._suptitle.get_text() == "LAB_00001_00001, cycle 1"


def test_sides_that_were_not_read_say_so(images: list[SideImage]) -> None:
    figure = analysis.plot_focal_plane([image for image in images if (image.ccd, image.side) == (2, "E")])
    figure.canvas.draw()
    assert set(pictures(figure)) == {("CCD 2", "E")}
    assert [text.get_text() for axis in figure.axes for text in axis.texts] == ["not read"] * 7
    analysis.plot_focal_plane([]).canvas.draw()


def test_a_readout_smaller_than_the_reduction_is_drawn() -> None:
    small = SideImage(1, "F", 0, 0, 3, side_image(1, "F").pixels[:3])
    figure = analysis.plot_focal_plane([small])
    figure.canvas.draw()
    drawn = [image.get_array() for axes in figure.axes for image in axes.get_images()]
    assert any(array is not None and array.size for array in drawn)


# Files ---------------------------------------------------------------------------------------------------------------


def write_raw(path: Path, obsid: str, image: SideImage | None) -> Path:
    """Writes a raw file with one frame, the pixels of one side in packets of seven rows."""
    attributes = dict.fromkeys(DATA_ATTRIBUTES, 0)
    attributes |= {"v_end": ROWS - 1, "h_end": COLUMNS - 1, "sensor_sel": 2, "ccd_mode_config": 5}
    with CycleWriter(path) as cycle:
        cycle.obsid = obsid
        frame = cycle.frame(0)
        frame.timecode(1, 1_700_000_000.0)
        frame.attributes(attributes)
        if image is not None:
            rows = [image.pixels[first : first + 7] for first in range(0, ROWS, 7)]
            frame.packets([packet(part, number) for number, part in enumerate(rows)])
    return path


def packet(rows: np.ndarray, number: int) -> bytes:
    data = rows.astype(">u2").tobytes()
    words = (0x50F0, len(data), 5 << 8, 1, number)
    return b"".join(word.to_bytes(2, "big") for word in words) + data


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Data folder of a site with one observation of an older system: two raw files, one with images; housekeeping."""
    site = tmp_path / "CSL1"
    folder = site / "obs" / "00007_CSL1_chimay"
    folder.mkdir(parents=True)
    (folder / "00007_CSL1_chimay_OGSE_20260101_120000.csv").write_text(
        "timestamp,GOGSE_ATT_LVL\n"
        "2026-01-01T12:00:00.000+0000,0.1\n"
        "2026-01-01T12:00:01.000+0000,0.2\n"
    )  # fmt: skip
    daily = site / "daily" / "20260101"
    for number, image in ((1, None), (2, side_image(1, "E"))):
        write_raw(daily / f"20260101_CSL1_N-FEE_SPW_{number:05d}.hdf5", "CSL1_00001_00007", image)
    return site


def test_images_come_back_from_a_raw_file(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = [p for p in sorted(archive.glob("daily/*/*.hdf5")) if p.name.endswith("00002.hdf5")]
    (image,) = analysis.read_cycle(path)
    assert (image.ccd, image.side, image.missing_rows.size) == (1, "E", 0)
    assert np.array_equal(image.pixels, side_image(1, "E").pixels)
    (moved,) = analysis.read_cycle(path, ccd_bin_to_id=(3, 4, 1, 2))
    assert moved.ccd == 3
    monkeypatch.setenv("PLATO_CAMERA_IS_EM", "True")
    (signed,) = analysis.read_cycle(path)
    assert signed.ccd == 3
    assert np.array_equal(signed.pixels ^ 0x8000, image.pixels)


def test_housekeeping_by_obsid_and_its_plot(archive: Path) -> None:
    table = analysis.read_housekeeping(7, "OGSE", archive)
    assert table.GOGSE_ATT_LVL.tolist() == [0.1, 0.2]
    assert table.index[0] == pd.Timestamp("2026-01-01T12:00:00Z")
    figure = analysis.plot_housekeeping(
        table, ["GOGSE_ATT_LVL"], unit="transmission", limits=(0.0, 1.0), title="light"
    )
    (axis,) = figure.axes
    assert (axis.get_ylabel(), axis.get_title()) == ("transmission", "light")
    assert len(axis.lines) == 3, "the parameter and its two limits"
    figure.canvas.draw()
    with pytest.raises(LookupError, match="there is: OGSE"):
        analysis.read_housekeeping(7, "AEU", archive)


def test_no_raw_files_is_said(archive: Path) -> None:
    with pytest.raises(LookupError, match="observation 7 has no raw camera files"):
        analysis.raw_files(7, archive)
