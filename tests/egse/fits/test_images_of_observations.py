"""Images of an observation by its number: from cubes and from raw files they are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from egse.archive import Observation
from egse.fits import make_cubes
from egse.fits.build import deliver_offline
from egse.storage.manifest import entry_of
from egse.storage.observation import ObservationFolder


@pytest.fixture
def sealed(site_folder: Path, observation_folder: ObservationFolder, make_camera: Any) -> Path:
    """An observation of 2 cycles of both sides and of 4 exposures of CCD 2, side F."""
    camera = make_camera(site_folder)
    camera.to_dump()
    camera.acquire(2)
    camera.acquire(1, ccd_order=[2, 2, 2, 2], ccd_side="F", row_start=100, row_end=120)
    raw_files: list[Path] = camera.close()
    external = [entry_of(path, site_folder) for path in raw_files]
    observation_folder.seal("done", "", "2023-11-14T23:00:00.000+0000", external)
    return site_folder


def test_raw_files_and_cubes_give_the_same_images(sealed: Path) -> None:
    raw = Observation(42, sealed).images
    assert raw.source == "hdf5"
    make_cubes(Observation(42, sealed), deliver_offline)
    cubes = Observation(42, sealed).images
    assert cubes.source == "fits"
    assert list(raw) == list(cubes) == [(ccd, side) for ccd in (1, 2, 3, 4) for side in "EF"]
    assert len(raw[2, "F"]) == len(cubes["2F"]) == 6
    for key, stack in raw.items():
        for index in range(len(stack)):
            assert stack[index].shape in ((15, 2255), (21, 2255))
            for product in ("IMAGE", "SPRE", "SOVER"):
                assert np.array_equal(stack.read(index, product), cubes[key].read(index, product))
        difference = (stack.times - cubes[key].times).total_seconds()
        assert np.abs(difference).max() < 2e-3
    assert raw[1, "E"].read(-1, "POVER").shape == cubes[1, "E"].read(-1, "POVER").shape == (10, 2255)


def test_stacks(sealed: Path) -> None:
    images = Observation(42, sealed).images
    stack = images[1, "E"]
    assert stack.cube().shape == (2, 15, 2255)
    assert len(stack[:1]) == 1
    assert np.array_equal(stack[-1], stack.cube()[1])
    assert [path.suffix for path in images.files] == [".hdf5"] * len(images.files)
    with pytest.raises(LookupError, match=r"there are: 1E, 1F"):
        images[5, "E"]
    with pytest.raises(LookupError, match="not read out"):
        images[2, "F"].read(-1, "POVER")
    with pytest.raises(ValueError, match="no product"):
        stack.read(0, "DARK")
    with pytest.raises(IndexError):
        stack[2]


def test_a_cube_of_older_software(site_folder: Path) -> None:
    folder = site_folder / "obs" / "00299_IAS"
    folder.mkdir(parents=True)
    data = np.arange(2 * 3 * 4, dtype=np.float64).reshape(2, 3, 4)
    image = fits.ImageHDU(data, name="IMAGE_3_F")
    image.header["CTYPE3"] = "TIME-TAB"
    times = fits.BinTableHDU.from_columns(
        [fits.Column("TIME", "D", array=np.array([0.0, 25.0]))], name="WCS-TAB_3_F"
    )
    primary = fits.PrimaryHDU()
    primary.header["DATE-OBS"] = "2022-07-01T13:26:13.000"
    path = folder / "00299_IAS_N-FEE_CCD_00001_20220701_cube.fits"
    fits.HDUList([primary, image, times]).writeto(path)
    stack = Observation("00299_IAS", site_folder).images[3, "F"]
    assert np.array_equal(stack.cube(), data)
    assert [f"{time:%H:%M:%S}" for time in stack.times] == ["13:26:13", "13:26:38"]


def test_an_observation_without_images(observation_folder: ObservationFolder, site_folder: Path) -> None:
    assert len(Observation(42, site_folder).images) == 0
