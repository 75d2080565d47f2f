"""Cubes: extensions, axes, headers, pixels; all looked at with plain astropy."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.io import fits

from egse.archive import Observation
from egse.fits import CameraFacts, CubeWriter, make_cubes, plan_cubes
from egse.fits.build import deliver_offline
from egse.h5 import get_file, read_images
from egse.storage.observation import ObservationFolder

OBSID = "LAB_00007_00042"


@pytest.fixture
def raw_files(site_folder: Path, make_camera: Any) -> list[Path]:
    """DUMP, 2 cycles of both sides, DUMP, 1 cycle of CCD 2 on side F only."""
    camera = make_camera(site_folder)
    camera.to_dump()
    camera.acquire(2)
    camera.acquire(1, ccd_order=[2, 2, 2, 2], ccd_side="F", row_start=100, row_end=120)
    files: list[Path] = camera.close()
    return files


def test_plan(raw_files: list[Path]) -> None:
    first, second = plan_cubes(raw_files)
    assert (first.cycles, len(first.exposures)) == (2, 8)
    assert (second.cycles, len(second.exposures)) == (1, 4)
    assert [len(first.of_side(code, "E")) for code in range(4)] == [2, 2, 2, 2]
    assert len(second.of_side(1, "F")) == 4
    assert not second.of_side(1, "E")
    assert len(plan_cubes(raw_files, max_cycles=1)) == 3


def test_cube_of_both_sides(raw_files: list[Path], tmp_path: Path) -> None:
    plan = plan_cubes(raw_files)[0]
    path = CubeWriter(plan, CameraFacts(camera_id="duvel", setup_id=7), "LAB", OBSID).write(
        tmp_path / "c.fits"
    )
    names = [
        f"{p}_{c}_{s}"
        for c in range(1, 5)
        for s in "EF"
        for p in ("SPRE", "SOVER", "POVER", "IMAGE", "WCS-TAB")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path) as hdus:
            hdus.verify("exception")
            assert [hdu.name for hdu in hdus] == ["PRIMARY", *names]
            assert hdus["SPRE_1_E"].shape == (2, 25, 25)
            assert hdus["SOVER_1_E"].shape == (2, 25, 15)
            assert hdus["POVER_1_E"].shape == (2, 10, 2255)
            assert hdus["IMAGE_1_E"].shape == (2, 15, 2255)
            assert hdus["IMAGE_1_E"].data.dtype == np.uint16
            times = hdus["WCS-TAB_2_F"].data["TIME"]
            assert times == pytest.approx([6.25, 31.25], abs=1e-3)
            for index in range(2):
                check_layers(hdus, plan.exposures[4 * index].path, index)


def check_layers(hdus: fits.HDUList, raw_file: Path, layer: int) -> None:
    with get_file(raw_file) as file:
        for frame in range(4):
            for image in read_images(file, frame):
                ccd_frame = image.in_ccd_frame("E")
                name = f"{image.ccd}_{image.side}"
                assert np.array_equal(hdus[f"IMAGE_{name}"].data[layer], ccd_frame.image)
                assert np.array_equal(hdus[f"SPRE_{name}"].data[layer], ccd_frame.serial_prescan)
                assert np.array_equal(hdus[f"SOVER_{name}"].data[layer], ccd_frame.serial_overscan)
                assert np.array_equal(hdus[f"POVER_{name}"].data[layer], ccd_frame.parallel_overscan)


def test_headers(raw_files: list[Path], tmp_path: Path) -> None:
    camera = CameraFacts(
        camera_id="duvel", setup_id=7, focal_length=247.52, origin_offset=((-1.3, 82.48),) * 4
    )
    path = CubeWriter(plan_cubes(raw_files)[0], camera, "LAB", OBSID).write(tmp_path / "c.fits")
    with fits.open(path) as hdus:
        primary = hdus[0].header
        expected = {
            "LEVEL": 2, "V_START": 4495, "V_END": 4519, "H_END": 2294, "ROWS_FINAL_DUMP": 0, "TELESCOP": "PLATO",
            "INSTRUME": "duvel", "SITENAME": "LAB", "SETUP": 7, "CCD_READOUT_ORDER": "[1, 2, 3, 4]", "CYCLETIME": 25.0,
            "OBSID": OBSID, "NCYCLES": 2,
        }  # fmt: skip
        assert {key: primary[key] for key in expected} == expected
        assert primary["READTIME"] == pytest.approx(4495 * 90e-6 + 25 * 890.3e-6, rel=1e-3)
        assert primary["DATE-OBS"].startswith("2023-11-14T22:14:")
        assert primary["CGSE"]
        e, f = hdus["IMAGE_3_E"].header, hdus["IMAGE_3_F"].header
        common = {
            "CCD_ID": 3, "SITENAME": "LAB", "OBSID": OBSID, "CTYPE3": "TIMETAB", "CUNIT3": "s", "PS3_1": "TIME",
            "FOCALLEN": 247.52, "CTYPE1": "LINEAR", "CUNIT1": "MM", "CDELT1": 0.018, "CROTA2": 0.0, "CD1_1": 0.018,
            "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.018, "CRVAL1": 1.3, "CRVAL2": -82.48, "CRPIX2": -4494, "LOSTROWS": 0,
        }  # fmt: skip
        assert {key: e[key] for key in common} == common
        assert (e["PS3_0"], f["PS3_0"]) == ("WCS-TAB_3_E", "WCS-TAB_3_F")
        assert (e["CRPIX1"], f["CRPIX1"]) == (1 - 2255, 1)
        assert "FOCALLEN" in hdus["POVER_3_E"].header
        assert "CTYPE1" not in hdus["POVER_3_E"].header
        assert "FOCALLEN" not in hdus["SPRE_3_E"].header
        assert hdus["IMAGE_1_E"].header["CD1_1"] == -0.018


def test_same_ccd_at_all_pulses(raw_files: list[Path], tmp_path: Path) -> None:
    path = CubeWriter(plan_cubes(raw_files)[1], CameraFacts(), "LAB", OBSID).write(tmp_path / "c.fits")
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SPRE_2_F", "SOVER_2_F", "IMAGE_2_F", "WCS-TAB_2_F"]
        assert hdus["IMAGE_2_F"].shape == (4, 21, 2255)
        assert hdus["WCS-TAB_2_F"].data["TIME"] == pytest.approx([0, 6.25, 12.5, 18.75], abs=1e-3)


def test_failure_leaves_nothing(raw_files: list[Path], tmp_path: Path) -> None:
    plan = plan_cubes(raw_files)[0]
    plan.exposures[-1].path.unlink()
    with pytest.raises(FileNotFoundError):
        CubeWriter(plan, CameraFacts(), "LAB", OBSID).write(tmp_path / "cubes" / "c.fits")
    assert list((tmp_path / "cubes").iterdir()) == []


def test_cubes_of_a_sealed_observation(
    raw_files: list[Path], observation_folder: ObservationFolder, site_folder: Path
) -> None:
    from egse.storage.manifest import entry_of

    external = [entry_of(path, site_folder) for path in raw_files]
    observation_folder.seal("done", "", "2023-11-14T23:00:00.000+0000", external)
    first, second = make_cubes(Observation(42), deliver_offline)
    assert first.name == "00042_LAB_duvel_N-FEE_CCD_00001_20231114_cube.fits"
    assert second.name == "00042_LAB_duvel_N-FEE_CCD_00002_20231114_cube.fits"
    assert first.parent == observation_folder.path
    assert fits.getheader(first)["INSTRUME"] == "duvel"
    assert fits.getheader(first, "IMAGE_1_E")["FOCALLEN"] == 247.52
    assert len(Observation(42).supplements) == 2
    before = {path: path.stat().st_mtime_ns for path in (first, second)}
    assert make_cubes(Observation(42), deliver_offline) == [first, second]
    assert {path: path.stat().st_mtime_ns for path in (first, second)} == before


def test_flipped_and_lost_on_the_link(site_folder: Path, tmp_path: Path, make_camera: Any) -> None:
    """One byte flipped on the link is one pixel in HDF5 and FITS; a lost packet is counted and leaves zeros."""
    cubes = []
    for number, spoil in enumerate((lambda packet: packet, flip_one_pixel, lose_one_packet)):
        camera = make_camera(tmp_path / f"run{number}")
        camera.to_dump()
        camera.spoil = spoil
        camera.acquire(1)
        raw = camera.close()
        plan = plan_cubes(raw)[0]
        cubes.append(CubeWriter(plan, CameraFacts(), "LAB", OBSID).write(tmp_path / f"{number}.fits"))
    with fits.open(cubes[0]) as good, fits.open(cubes[1]) as flipped, fits.open(cubes[2]) as lossy:
        different = [hdu.name for hdu in good[1:] if not np.array_equal(hdu.data, flipped[hdu.name].data)]
        assert different == ["IMAGE_2_F"]
        where = np.argwhere(good["IMAGE_2_F"].data != flipped["IMAGE_2_F"].data)
        assert where.tolist() == [[0, 3, 1000]]
        assert [hdu.name for hdu in good[1:] if not np.array_equal(hdu.data, lossy[hdu.name].data)] == [
            "SPRE_2_F", "SOVER_2_F", "IMAGE_2_F",
        ]  # fmt: skip
        assert lossy["IMAGE_2_F"].header["LOSTROWS"] == 7
        assert not lossy["IMAGE_2_F"].data[0, :7].any()
        assert np.array_equal(lossy["IMAGE_2_F"].data[0, 7:], good["IMAGE_2_F"].data[0, 7:])


def test_gaps_are_marked(site_folder: Path, tmp_path: Path, make_camera: Any) -> None:
    """A readout without images, and a cycle that is not there, are counted in the primary header; times tell where."""
    camera = make_camera(tmp_path / "run")
    camera.to_dump()
    camera.acquire(3)
    first, second, third = (
        path for plan in plan_cubes(camera.close()) for path in dict.fromkeys(e.path for e in plan.exposures)
    )
    second.unlink()
    with h5py.File(first, "r+") as file:
        for name in list(file["3/data"]):
            del file[f"3/data/{name}"]
    (plan,) = plan_cubes([first, third])
    path = CubeWriter(plan, CameraFacts(), "LAB", OBSID).write(tmp_path / "c.fits")
    header = fits.getheader(path)
    assert (header["LOSTFRM"], header["LOSTCYC"], header["NCYCLES"]) == (1, 1, 2)
    with fits.open(path) as hdus:
        assert hdus["WCS-TAB_1_E"].data["TIME"] == pytest.approx([0, 50], abs=1e-3)
        assert len(hdus["WCS-TAB_4_E"].data) == 1


def test_a_cycle_in_two_files_is_one_cycle(site_folder: Path, tmp_path: Path, make_camera: Any) -> None:
    """What a DPU Processor that is killed in a cycle leaves: the begin in one file, and two cycles later the end in another."""
    camera = make_camera(tmp_path / "run")
    camera.to_dump()
    camera.acquire(4)
    raw = [
        path for plan in plan_cubes(camera.close()) for path in dict.fromkeys(e.path for e in plan.exposures)
    ]
    begin, end = raw[1], raw[1].with_name(raw[1].name.replace("N-FEE_SPW_", "N-FEE_SPW_9"))
    shutil.copy(begin, end)
    drop(begin, "2", "3")
    drop(end, "0", "1")
    paths = [raw[0], begin, end, raw[2], raw[3]]
    (plan,) = plan_cubes(paths)
    assert (plan.cycles, plan.lost_frames, len(plan.exposures)) == (4, 0, 16)
    drop(end, "2")
    (plan,) = plan_cubes(paths)
    assert (plan.cycles, plan.lost_frames) == (4, 1)
    later = raw[2]
    drop(later, "0", "1")  # the end of another cycle than that of which `begin` is there
    (plan,) = plan_cubes([raw[0], begin, later, raw[3]])
    assert (plan.cycles, plan.lost_frames) == (4, 4)


def drop(path: Path, *frames: str) -> None:
    with h5py.File(path, "r+") as file:
        for frame in frames:
            del file[frame]


def is_first_packet_of_2_f(packet: bytes) -> bool:
    """First data packet of side F (sequence counter 1) of CCD 2 (code 1)."""
    kind = int.from_bytes(packet[4:6], "big")
    return len(packet) > 1000 and kind & 3 == 0 and (kind >> 4) & 7 == 0b101 and packet[9] == 1


def flip_one_pixel(packet: bytes) -> bytes:
    if not is_first_packet_of_2_f(packet):
        return packet
    spoiled = bytearray(packet)
    spoiled[10 + 2 * (3 * 2295 + 25 + 1000)] ^= 0x40
    return bytes(spoiled)


def lose_one_packet(packet: bytes) -> bytes | None:
    return None if is_first_packet_of_2_f(packet) else packet
