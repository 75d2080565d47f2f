"""Recordings replayed: rhythm and bytes as recorded, RMAP from the recorded registers, and the process."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest

from egse.rmap import HK_AREA_ADDRESS, decode_reply, read_command, write_command
from egse.spw import SpaceWireLinkError, SpaceWireOverZeroMQ, encode_header
from egse.spw.replay import RecordingError, Replay, read_frames

START = datetime(2024, 3, 18, 12, 0, 0, tzinfo=UTC)


def hk_packet(frame: int) -> bytes:
    return encode_header(144, 0x0582 | frame << 2, frame, 0) + bytes([frame + 1]) * 144


def image_packets(frame: int) -> list[bytes]:
    return [encode_header(8, 0x0500 | frame << 2, frame, n) + bytes([n % 256]) * 8 for n in range(100)]


def record(path: Path, first: int = 0, gap: float = 6.25) -> Path:
    """Writes two readouts in the layout of the ICD."""
    with h5py.File(path, "w") as file:
        file["register"] = np.full(2048, first, np.uint8)
        for frame in range(2):
            group = file.create_group(str(frame))
            group["timecode"] = first + frame
            moment = START + timedelta(seconds=gap * (first + frame))
            group["timecode"].attrs["timestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
            group["hk"] = np.frombuffer(hk_packet(frame), np.uint8)
            group["hk_data"] = np.full(144, 0x40 + frame, np.uint8)
            data = group.create_group("data")
            for number, packet in enumerate(image_packets(frame)):
                data[str(number)] = np.frombuffer(packet, np.uint8)
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [record(tmp_path / "a.hdf5"), record(tmp_path / "b.hdf5", first=2)]


def play(replay: Replay, until: float = math.inf) -> list[tuple[float, bytes]]:
    out = []
    while (due := replay.next_event()) < until:
        out += [(due, packet) for packet in replay.step(due)]
    return out


def register(replay: Replay, address: int) -> bytes:
    (reply,) = replay.handle(read_command(address, 4).encode(), 0.0)
    return decode_reply(reply).data


def test_bytes_and_rhythm_are_those_of_the_recording(files: list[Path]) -> None:
    played = play(Replay(files, start=100.0))
    pulses = [(time, packet[1]) for time, packet in played if packet[0] == 0x91]
    assert pulses == [(100.0, 0), (106.25, 1), (112.5, 2), (118.75, 3)]
    expected = [hk_packet(0), *image_packets(0)]
    assert [packet for _, packet in played[1:102]] == expected
    assert all(100.0 <= time < 106.25 for time, _ in played[:102])


def test_registers_and_housekeeping_are_those_of_the_recording(files: list[Path]) -> None:
    replay = Replay(files)
    assert register(replay, 0) == bytes(4)
    play(replay, until=0.01)
    assert register(replay, HK_AREA_ADDRESS) == bytes([1]) * 4
    play(replay, until=6.0)
    assert register(replay, HK_AREA_ADDRESS) == bytes([0x40]) * 4
    assert replay.handle(write_command(0, b"abcd").encode(), 6.0)
    assert register(replay, 0) == b"abcd"
    play(replay, until=13.0)
    assert register(replay, 0) == bytes([2]) * 4


def test_it_can_loop(files: list[Path]) -> None:
    replay = Replay(files, loop=True)
    timecodes = [packet[1] for _, packet in play(replay, until=60.0) if packet[0] == 0x91]
    assert timecodes == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_files_that_are_no_recordings(tmp_path: Path) -> None:
    (tmp_path / "text.hdf5").write_text("no HDF5")
    with pytest.raises(RecordingError, match=r"text\.hdf5"):
        list(read_frames(tmp_path / "text.hdf5"))
    with h5py.File(tmp_path / "empty.hdf5", "w"):
        pass
    with pytest.raises(RecordingError, match="no readouts"):
        Replay([tmp_path / "empty.hdf5"])
    with pytest.raises(RecordingError, match="no file"):
        Replay([])


@pytest.fixture
def start_replay(files: list[Path]) -> Callable[..., tuple[subprocess.Popen[str], str]]:
    def start(*options: str) -> tuple[subprocess.Popen[str], str]:
        arguments = [word for path in files for word in ("--file", str(path))]
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "egse.spw.replay",
                "start",
                "--endpoint",
                "tcp://127.0.0.1:0",
                *arguments,
                *options,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        ready, name, endpoint = process.stdout.readline().split()
        assert (ready, name) == ("READY", "spw_replay")
        return process, endpoint

    return start


def test_the_process_plays_to_a_dpu_and_ends(
    start_replay: Callable[..., tuple[subprocess.Popen[str], str]],
) -> None:
    process, endpoint = start_replay("--speed", "40", "--wait")
    received: list[bytes] = []
    with SpaceWireOverZeroMQ(endpoint) as link:
        while True:
            try:
                assert link.read_register(0) in (bytes(4), bytes([2]) * 4)
                break
            except SpaceWireLinkError:
                link.poll(0.01)
        while len(received) < 4 * 102:
            packets = link.read_packets(1000, 5000)
            assert packets, f"only {len(received)} packets"
            received += [data for _, data in packets]
    assert process.wait(30) == 0
    assert process.stdout is not None
    assert process.stdout.read().startswith("replayed 4 readouts")
    process.stdout.close()
    assert received[:102] == [b"\x91\x00", hk_packet(0), *image_packets(0)]


def test_the_process_ends_on_a_signal(start_replay: Callable[..., tuple[subprocess.Popen[str], str]]) -> None:
    process, _ = start_replay("--speed", "1", "--loop")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert process.stdout is not None
    process.stdout.close()
