"""What is on the link is what is on disk: bit for bit, also from a recording, and in full frames."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.io import fits

from egse.process import Program
from egse.site.ports import release_block
from egse.site.programs import script
from egse.site.sandbox import Sandbox

pytestmark = pytest.mark.system

SPEED = 5.0
COLUMNS, PER_PACKET = 2295, 7
ACQUIRE = """\
from camtest import observation
from camtest.commanding import dpu
with observation("images") as obsid:
    if dpu.n_fee_is_on_mode():
        dpu.n_fee_to_standby_mode()
    if not dpu.n_fee_is_dump_mode():
        dpu.n_fee_to_dump_mode()
    dpu.n_cam_acquire_and_dump(
        num_cycles=1, row_start=0, row_end=4539, rows_final_dump=0, ccd_order=[1, 2, 3, 4], ccd_side="BOTH"
    )
    from egse.fits import FITSGenProxy
    with FITSGenProxy(timeout=120) as fitsgen:
        fitsgen.make_cubes(obsid)
    print(obsid)
"""


class Bench:
    """A site with a camera simulator whose side channel is open, in the dark: the same seed gives the same pixels."""

    def __init__(self, folder: Path) -> None:
        usual = Sandbox(folder, speed=SPEED)
        camera = Program(
            name="n_fee_sim",
            command=(
                script("n_fee_sim"), "start", "--speed", f"{SPEED:g}", "--seed", "7", "--light", "0", "--admin-port", "0",
            ),
            stage=10,
        )  # fmt: skip
        wanted = {"log_cs", "sm_cs", "cm_cs", "dpu_cs", "fitsgen"}
        rest = [program for program in usual.programs() if program.name in wanted]
        self.sandbox = Sandbox(folder, speed=SPEED, programs=[*rest, camera])
        self.folder = self.sandbox.layout.data

    def acquire(self, folder: Path) -> tuple[Path, Path]:
        """Takes one cycle of full frames as an observation; returns its raw file with the images, and its cube."""
        (folder / "acquire.py").write_text(ACQUIRE)
        done = subprocess.run(
            [sys.executable, "acquire.py"],
            env=self.sandbox.environ(),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (observation,) = (self.folder / "obs").glob(f"{done.stdout.strip()[-5:]}_*")
        (cube,) = observation.glob("*_cube.fits")
        manifest = json.loads((observation / "manifest.json").read_text())
        (raw,) = (entry["path"] for entry in manifest["external"] if entry["size"] > 10_000_000)
        return self.folder / raw, cube

    def admin(self, **request: Any) -> Any:
        """Asks the side channel of the camera simulator."""
        lines = (self.sandbox.layout.log / "n_fee_sim.out").read_text().splitlines()
        _, host, port = [line.split() for line in lines if line.startswith("ADMIN")][-1]
        with socket.create_connection((host, int(port)), 5) as channel, channel.makefile("rw") as stream:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            answer = json.loads(stream.readline())
        assert answer["ok"], answer
        return answer["result"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("link") / "box"
    bench = Bench(folder)
    with bench.sandbox:
        yield bench
    release_block(folder)
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Exposures:
    """Raw file and cube of one cycle of full frames, plain and with one byte flipped on the link."""

    plain: tuple[Path, Path]
    flipped: tuple[Path, Path]


FLIPPED = {"packet": 600, "byte": 10 + 2 * (3 * COLUMNS + 1000) + 1, "mask": 0x40}
"""A pixel in the fourth row of a packet: its lower byte."""


@pytest.fixture(scope="module")
def exposures(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Exposures:
    folder = tmp_path_factory.mktemp("scripts")
    plain = bench.acquire(folder)
    bench.sandbox.restart("n_fee_sim")
    bench.sandbox.restart("dpu_cs")
    bench.admin(do="inject", fault="flip", **FLIPPED)
    return Exposures(plain, bench.acquire(folder))


def packets(frame: h5py.Group) -> list[np.ndarray[Any, Any]]:
    """Returns the bytes of all packets of a frame, in order; by the lower layer of h5py, there are more than a thousand."""
    group, found = frame["data"].id, []
    for index in range(len(frame["data"])):
        dataset = h5py.h5d.open(group, str(index).encode())
        packet = np.empty(dataset.shape, dtype=np.uint8)
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, packet)
        found.append(packet)
    return found


def test_full_frames(exposures: Exposures) -> None:
    raw, cube = exposures.plain
    with h5py.File(raw) as file:
        for frame in "0123":
            data = packets(file[frame])
            assert len(data) == 1300
            kinds = np.array([packet[4:6] for packet in data]).view(">u2").ravel()
            assert [int(np.sum(kinds & 3 == kind)) for kind in (0, 1)] == [2 * 645, 2 * 5]
            sizes = sorted({len(packet) for packet in data})
            assert sizes == [10 + 2 * 2 * COLUMNS, 32140]
    with fits.open(cube) as opened:
        opened.verify("exception")
        shapes = {
            "SPRE": (1, 4540, 25),
            "SOVER": (1, 4540, 15),
            "POVER": (1, 30, 2255),
            "IMAGE": (1, 4510, 2255),
        }
        for ccd in "1234":
            for side in "EF":
                for product, shape in shapes.items():
                    assert opened[f"{product}_{ccd}_{side}"].shape == shape
                assert opened[f"IMAGE_{ccd}_{side}"].header["LOSTROWS"] == 0
                bias = {"E": 1000, "F": 1020}[side]
                assert np.median(opened[f"SOVER_{ccd}_{side}"].data) == pytest.approx(bias, abs=2)


def test_one_byte_flipped_on_the_link_changes_one_pixel(exposures: Exposures) -> None:
    found = []
    with h5py.File(exposures.plain[0]) as plain, h5py.File(exposures.flipped[0]) as flipped:
        for frame in "0123":
            for one, other in zip(packets(plain[frame]), packets(flipped[frame]), strict=True):
                places = np.flatnonzero(one[10:] != other[10:])
                found += [(frame, one, int(one[place + 10] ^ other[place + 10])) for place in places]
    ((frame, packet, difference),) = found
    assert (frame, difference) == ("0", FLIPPED["mask"])
    header = packet[:10].view(">u2").astype(int)
    side = "EF"[header[2] >> 6 & 1]
    row = header[4] // 2 * PER_PACKET + 3
    column = 1000 - 25
    if side == "E":  # mirrored in the cube
        column = 2254 - column

    with fits.open(exposures.plain[1]) as plain, fits.open(exposures.flipped[1]) as flipped:
        assert [hdu.name for hdu in plain] == [hdu.name for hdu in flipped]
        for one, other in zip(plain[1:], flipped[1:], strict=True):
            if one.name.startswith("WCS-TAB"):
                continue
            places = np.argwhere(one.data != other.data)
            if one.name == f"IMAGE_1_{side}":
                assert places.tolist() == [[0, row, column]]
                assert one.data[0, row, column] ^ other.data[0, row, column] == FLIPPED["mask"]
            else:
                assert not places.size, one.name


def content(path: Path) -> dict[str, Any]:
    """Returns all that came over the link in a raw file: packets, housekeeping, timecodes, register settings."""
    found: dict[str, Any] = {}

    def take(name: str, node: Any) -> None:
        if "/commands" in name or name.split("/")[0] not in "0123":
            return
        if isinstance(node, h5py.Dataset):
            found[name] = node[()].tolist() if node.shape == () else node[()].tobytes()
        elif name.endswith("/data"):
            found[name] = dict(node.attrs)

    with h5py.File(path) as file:
        file.visititems(take)
        found["register"] = file["register"][()].tobytes()
    return found


def test_a_recording_in_place_of_the_camera(
    bench: Bench, exposures: Exposures, main_run: Any, wait: Callable[..., Any]
) -> None:
    """Files of another site, as they are, on the same endpoint; the same servers, the same packets on disk."""
    recorded = main_run.record.raw_files
    images = [path for path in recorded if path.stat().st_size > 1_000_000]
    after = recorded[recorded.index(images[-1]) + 1]
    files_of_now = set(bench.folder.glob("daily/*/*.hdf5"))
    wait(  # files are made in order: those of the exposures are there then
        lambda: len(set(bench.folder.glob("daily/*/*.hdf5")) - files_of_now) >= 2, 60, "two more files"
    )
    bench.sandbox.supervision.withdraw(["n_fee_sim"])
    before = set(bench.folder.glob("daily/*/*.hdf5"))
    files = [item for path in (*images, after) for item in ("--file", str(path))]
    replay = subprocess.Popen(
        [script("spw_replay"), "start", *files, "--speed", "1", "--wait"],
        env=bench.sandbox.environ(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert replay.stdout is not None
        assert replay.stdout.readline().startswith("READY spw_replay tcp://127.0.0.1:")
        bench.sandbox.restart("dpu_cs")  # what it knew of the camera is not true any more

        def made() -> list[Path]:
            new = sorted(set(bench.folder.glob("daily/*/*.hdf5")) - before)
            return [path for path in new if path.stat().st_size > 1_000_000]

        wait(lambda: len(made()) == len(images), 20, "the files of the replay")
    finally:
        replay.terminate()
        replay.communicate()
    for path, image in zip(made(), images, strict=True):
        got, sent = content(path), content(image)
        assert got.keys() == sent.keys()
        assert [name for name in sent if got[name] != sent[name]] == []
