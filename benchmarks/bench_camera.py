"""Files of the camera, as ratios in one run: packets to closed HDF5 files of both formats against h5py writing the same bytes in
the same layout, HDF5 to FITS cubes against astropy writing the same arrays, the RMAP CRC against the compiled libraries.

One core. Everything is written to the folder of temporary files (TMPDIR), and what is compared is synced to disk on both sides.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Self

import anycrc
import fastcrc
import h5py
import numpy as np
from astropy.io import fits

from egse.dpu.recorder import CycleRecorder
from egse.fee.frame import Frame, plan_chunks
from egse.fee.geometry import FrameLayout
from egse.fee.image import Detector
from egse.fee.light import Exposure
from egse.fits import CameraFacts, CubeWriter, plan_cubes
from egse.h5 import FORMAT_VERSIONS, PACKED_VERSION, CycleWriter, Kind, convert_file
from egse.h5.table import PACKET_DTYPE, packet_table
from egse.rmap.crc import header_crc, rmap_crc

ROUNDS = 3
AIM_HDF5 = 0.7
AIM_FITS = 0.6
FRAMES = 4
LAYOUT = FrameLayout(0, 4539)
FIELDS = {
    "DG_en": 0, "ccd_mode_config": 5, "ccd_read_en": 1, "ccd_readout_order": 228, "digitise_en": 1, "h_end": 2294,
    "int_sync_period": 6250, "n_final_dump": 0, "sensor_sel": 3, "sync_sel": 0, "v_end": 4539, "v_start": 0,
}  # fmt: skip


def main() -> None:
    cpu = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})  # one core for both
    frames = [_frame(code) for code in range(FRAMES)]
    size = sum(len(packet) for frame in frames for packet in frame) / 1e6
    print(f"one cycle, 4 full frames, both sides: {size:.0f} MB")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for version in FORMAT_VERSIONS:
            _compare_hdf5(folder, frames, version, size)
        _compare_fits(folder, frames, size)
    _compare_crc([bytes(packet) for packet in frames[0]])


def _frame(code: int) -> list[memoryview]:
    """Returns the packets of a full frame from the simulator's detector, each in memory of its own."""
    frame = Frame(LAYOUT, 5, code, code, Exposure(code, code, 20.0, 1.0), Detector())
    return [memoryview(bytes(packet)) for chunk in plan_chunks(LAYOUT, 64) for packet in frame.packets(chunk)]


def _ratio(ours: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float, float]:
    """Returns the median times [s] of both, run in turns, and the median of their ratio (1: as fast as the peer)."""
    pairs = [(ours(), peer()) for _ in range(ROUNDS)]
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    return mine, other, statistics.median(b / a for a, b in pairs)


def _line(name: str, size: float, seconds: float, ratio: float | None = None, aim: float = 0.0) -> None:
    verdict = "" if ratio is None else f"   {ratio:.2f} of the peer   aim >= {aim}"
    print(f"{name:<52} {size / seconds:7.0f} MB/s{verdict}")


# -- HDF5 ---------------------------------------------------------------------------------------------------------------


def _compare_hdf5(
    folder: Path, frames: list[list[memoryview]], version: tuple[int, int], size: float
) -> None:
    name = "{}.{}".format(*version)
    plain = _plain_packed if version == PACKED_VERSION else _plain_datasets
    ours, peer, ratio = _ratio(lambda: _write(folder, frames, version), lambda: plain(folder, frames))
    _line(f"plain h5py, layout {name}, fsync", size, peer)
    _line(f"CycleWriter {name}, headers and CRCs, fsync, rename", size, ours, ratio, AIM_HDF5)
    with Recording(folder, version) as recording:
        recording.cycle(frames[:1])  # its process has started then
        ours, _, ratio = _ratio(lambda: recording.cycle(frames), lambda: plain(folder, frames))
    _line(f"spool, then {name}, fsync, rename", size, ours, ratio, AIM_HDF5)


def _write(folder: Path, frames: list[list[memoryview]], version: tuple[int, int]) -> float:
    path = folder / "ours.hdf5"
    started = time.perf_counter()
    with CycleWriter(path, version=version) as writer:
        for number, payloads in enumerate(frames):
            frame = writer.frame(number)
            frame.attributes(FIELDS)
            frame.timecode(number, time.time())
            frame.packets(payloads)
            if version != PACKED_VERSION:
                packet_table(payloads)  # 2.6 has no place for it, so the writer does not make it
    elapsed = time.perf_counter() - started
    path.unlink()
    return elapsed


class Recording:
    """The recorder of the DPU Processor: every packet goes to the spool, and from there to the file."""

    def __init__(self, folder: Path, version: tuple[int, int]) -> None:
        self._written: SimpleQueue[Path] = SimpleQueue()
        self._cycles = 0
        self._recorder = CycleRecorder(
            folder / f"site{version[0]}",
            "BENCH",
            lambda path, facts: self._written.put(path),
            obsid_wait=0,
            version=version,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._recorder.close(timeout=60)

    def cycle(self, frames: list[list[memoryview]]) -> float:
        """Records one cycle; returns the time until its file is closed [s]."""
        recorder, started = self._recorder, time.perf_counter()
        self._cycles += 1
        recorder.begin_cycle(time.time(), {"cycle": self._cycles, "register": bytes(2048), "num_cycles": 1})
        for number, payloads in enumerate(frames):
            now = time.time()
            recorder.record_map(Kind.FRAME, {"frame": number, "attributes": FIELDS}, now)
            recorder.record(Kind.TIMECODE, bytes([number]), now)
            for payload in payloads:
                recorder.record(Kind.DATA, payload, now)
            recorder.record(Kind.FRAME_END, b"", now)
        recorder.end_cycle()
        path = self._written.get()
        elapsed = time.perf_counter() - started
        path.unlink()
        return elapsed


def _plain_datasets(folder: Path, frames: list[list[memoryview]]) -> float:
    arrays = [[np.frombuffer(packet, np.uint8) for packet in frame] for frame in frames]

    def fill(group: h5py.Group, number: int) -> None:
        for index, packet in enumerate(arrays[number]):
            group.create_dataset(str(index), data=packet)

    return _plain(folder, fill)


def _plain_packed(folder: Path, frames: list[list[memoryview]]) -> float:
    """The packets of each frame are one array already; the table of headers is made beforehand too."""
    arrays = [np.frombuffer(b"".join(frame), np.uint8) for frame in frames]
    tables = [np.zeros(len(frame), PACKET_DTYPE) for frame in frames]

    def fill(group: h5py.Group, number: int) -> None:
        group.create_dataset("packets", data=arrays[number])
        group.create_dataset("headers", data=tables[number])

    return _plain(folder, fill)


def _plain(folder: Path, fill: Callable[[h5py.Group, int], None]) -> float:
    path = folder / "plain.hdf5"
    started = time.perf_counter()
    with h5py.File(path, "w") as file:
        for number in range(FRAMES):
            group = file.create_group(f"{number}/data")
            for name, value in FIELDS.items():
                group.attrs[name] = value
            file[f"{number}/timecode"] = number
            fill(group, number)
    with path.open("rb") as written:
        os.fsync(written.fileno())
    elapsed = time.perf_counter() - started
    path.unlink()
    return elapsed


# -- FITS ---------------------------------------------------------------------------------------------------------------


def _compare_fits(folder: Path, frames: list[list[memoryview]], size: float) -> None:
    first = folder / "20260102_BENCH_N-FEE_SPW_00001.hdf5"
    with CycleWriter(first) as writer:
        for number, payloads in enumerate(frames):
            frame = writer.frame(number)
            frame.attributes(FIELDS)
            frame.timecode(number, 1e9 + 6.25 * number)
            frame.packets(payloads)
    packed = convert_file(first, folder / "20260102_BENCH_N-FEE_SPW_00002.hdf5", PACKED_VERSION)
    arrays = _arrays(_cube(folder, first)[0])
    for version, path in zip(FORMAT_VERSIONS, (first, packed), strict=True):
        ours, peer, ratio = _ratio(
            lambda path=path: _cube(folder, path)[1], lambda: _plain_fits(folder, arrays)
        )
        _line("astropy, arrays in memory to a FITS file, fsync", size, peer)
        _line("HDF5 {}.{} to FITS cube, fsync, rename".format(*version), size, ours, ratio, AIM_FITS)


def _cube(folder: Path, raw: Path) -> tuple[Path, float]:
    path = folder / "cube.fits"
    path.unlink(missing_ok=True)
    started = time.perf_counter()
    (plan,) = plan_cubes([raw])
    CubeWriter(plan, CameraFacts(), "BENCH", "BENCH_00001_00001").write(path)
    return path, time.perf_counter() - started


def _arrays(cube: Path) -> list[tuple[str, np.ndarray]]:
    with fits.open(cube) as hdus:
        return [(hdu.name, np.array(hdu.data)) for hdu in hdus if hdu.is_image and hdu.data is not None]


def _plain_fits(folder: Path, arrays: list[tuple[str, np.ndarray]]) -> float:
    path = folder / "plain.fits"
    started = time.perf_counter()
    hdus = fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(data, name=name) for name, data in arrays)])
    hdus.writeto(path)
    with path.open("rb") as written:
        os.fsync(written.fileno())
    elapsed = time.perf_counter() - started
    path.unlink()
    return elapsed


# -- CRC ----------------------------------------------------------------------------------------------------------------


Loop = Callable[[list[bytes]], float]


def _compare_crc(packets: list[bytes]) -> None:
    """Packets through `rmap_crc`; headers as the codec and the bulk decoders take them, with the library's own function."""
    libraries: dict[str, Loop] = {"anycrc": partial(_timed, ANYCRC), "fastcrc": _timed_fastcrc}
    compared: list[tuple[str, str, list[bytes], Loop]] = [
        ("packets of 32 kB", "rmap_crc", packets, partial(_timed, rmap_crc)),
        ("headers of 15 bytes", "header_crc", [p[:15] for p in packets] * 50, _timed_header_crc),
    ]
    for what, name, data, ours in compared:
        size = sum(map(len, data)) / 1e6
        rounds = [
            {"ours": ours(data), **{peer: loop(data) for peer, loop in libraries.items()}} for _ in range(9)
        ]
        best = {key: min(times[key] for times in rounds) for key in rounds[0]}
        fastest = min(libraries, key=lambda peer: best[peer])
        _line(f"RMAP CRC of {what}: {fastest}, the fastest library", size, best[fastest])
        _line(f"RMAP CRC of {what}: {name}", size, best["ours"], best[fastest] / best["ours"], 0.9)


ANYCRC = anycrc.CRC(width=8, poly=0x07, init=0x00, refin=True, refout=True, xorout=0x00).calc


def _timed(crc: Callable[[bytes], int], data: list[bytes]) -> float:
    started = time.perf_counter()
    for packet in data:
        crc(packet)
    return time.perf_counter() - started


def _timed_fastcrc(data: list[bytes]) -> float:
    crc = fastcrc.crc8.rohc
    started = time.perf_counter()
    for packet in data:
        crc(packet, 0)
    return time.perf_counter() - started


def _timed_header_crc(data: list[bytes]) -> float:
    crc = header_crc
    started = time.perf_counter()
    for packet in data:
        crc(packet, 0)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
