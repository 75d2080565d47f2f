"""Replays recorded camera data on a SpaceWire link: `spw_replay start --file FILE.hdf5`.

To the DPU it looks like the camera at the time of the recording: timecode, housekeeping, image packets in the recorded
rhythm, and RMAP answered from the recorded registers and housekeeping. What the DPU writes is acknowledged and kept until
the next recorded cycle, but changes nothing in what is sent.

Files are HDF5 in the layout of the ICD, format 2 (storage ICD, section 8).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
import h5py
import numpy as np

from egse.clock import RealClock
from egse.declaration import site_clock
from egse.rmap import HK_AREA_ADDRESS, HK_AREA_SIZE, REGISTER_MAP_SIZE, RMAPTarget
from egse.signals import on_signals
from egse.spw.errors import SpaceWireLinkError
from egse.spw.packets import HEADER_SIZE, TimecodePacket
from egse.spw.server import LinkServer, default_endpoint
from egse.spw.zeromq import DEFAULT_IDENTITY, SpaceWireOverZeroMQ

NOMINAL_GAP: Final = 6.25
"""Time between pulses where the recording does not tell [s]."""

LONGEST_GAP: Final = 120.0
"""Longer pauses in a recording are replayed as `NOMINAL_GAP` [s]."""

LINK_RATE: Final = 10.3e6
"""Rate at which image packets are sent [bytes/s]: that of a readout of both sides."""

QUIET: Final = 0.5
"""With `--wait`, the first pulse comes this long after the last packet of the DPU [s] ..."""

LONGEST_WAIT: Final = 2.0
"""... and at the latest this long after its first one [s]."""

CHUNK: Final = 64
"""Packets sent at a time."""


class RecordingError(ValueError):
    """A file is no recording that can be replayed."""


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """One readout of a recording.

    Attributes:
        source: file and group, for messages.
        timecode: 0..63.
        time: reception of the timecode [Unix s], or None when the file does not tell.
        hk: housekeeping packet, or empty.
        packets: image packets in the order of arrival.
        hk_data: housekeeping memory area after the readout, or empty.
        registers: register memory, for the first readout of a file, else None.
    """

    source: str
    timecode: int
    time: float | None
    hk: bytes
    packets: list[bytes]
    hk_data: bytes
    registers: bytes | None


def read_frames(path: Path) -> Iterator[RecordedFrame]:
    """Reads the readouts of a file, one at a time.

    Raises:
        RecordingError: when it cannot be read or has no readouts.
    """
    try:
        with h5py.File(path, "r") as file:
            registers = _bytes(file["register"]) if "register" in file else None
            numbers = sorted(int(name) for name in file if name.isdigit())
            if not numbers:
                raise RecordingError(f"{path} holds no readouts")
            for number in numbers:
                yield _frame(file[str(number)], f"{path.name}/{number}", registers)
                registers = None
    except (OSError, KeyError) as error:
        raise RecordingError(f"cannot replay {path}: {error}") from error


def _frame(group: Any, source: str, registers: bytes | None) -> RecordedFrame:
    timecode = group["timecode"]
    data = group.get("data", {})
    return RecordedFrame(
        source=source,
        timecode=int(timecode[()]) & 0x3F,
        time=_unix(timecode.attrs.get("timestamp")),
        hk=_bytes(group["hk"]) if "hk" in group else b"",
        packets=[_bytes(data[name]) for name in sorted((n for n in data if n.isdigit()), key=int)],
        hk_data=_bytes(group["hk_data"]) if "hk_data" in group else b"",
        registers=registers,
    )


def _bytes(dataset: Any) -> bytes:
    return np.asarray(dataset[()], np.uint8).tobytes()


def _unix(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text.decode() if isinstance(text, bytes) else str(text)).timestamp()
    except ValueError:
        return None


class Replay:
    """Plays readouts as a FEE would send them; no I/O besides reading the files.

    Args:
        files: recordings, in order.
        start: time of the first pulse [s].
        loop: begin again after the last one.

    Attributes:
        frames: readouts begun.

    Raises:
        RecordingError: when there is no file, or the first one cannot be read.
    """

    def __init__(self, files: Sequence[Path], start: float = 0.0, *, loop: bool = False) -> None:
        if not files:
            raise RecordingError("no file to replay")
        self.frames = 0
        self._files = list(files)
        self._loop = loop
        self._source = self._read()
        self._memory = bytearray(REGISTER_MAP_SIZE)
        self._target = RMAPTarget(self._memory)
        self._chunks: deque[tuple[float, list[bytes]]] = deque()
        self._after: tuple[float, bytes] | None = None
        self._frame: RecordedFrame | None = next(self._source)
        self._due = start
        self._load_registers(self._frame)

    def _read(self) -> Iterator[RecordedFrame]:
        while True:
            for path in self._files:
                yield from read_frames(path)
            if not self._loop:
                return

    def next_event(self) -> float:
        """Returns when the next thing happens [s]; infinity when the recording is over."""
        if self._chunks:
            return self._chunks[0][0]
        return self._after[0] if self._after is not None else self._due

    def step(self, now: float) -> list[bytes]:
        """Returns the packets due at `now` [s], in order.

        Raises:
            RecordingError: when the next file cannot be read.
        """
        if self.next_event() > now:
            return []
        if self._chunks:
            return self._chunks.popleft()[1]
        if self._after is not None:
            self._store_hk(self._after[1])
            self._after = None
            return []
        return self._pulse()

    def handle(self, packet: bytes, now: float) -> list[bytes]:
        """Takes an RMAP command and returns the reply, if any."""
        reply = self._target.handle(packet)
        return [] if reply is None else [reply]

    def _pulse(self) -> list[bytes]:
        frame, start = self._frame, self._due
        if frame is None:
            self._due = math.inf
            return []
        self.frames += 1
        self._load_registers(frame)
        self._store_hk(frame.hk[HEADER_SIZE:])
        self._frame = next(self._source, None)
        gap = _gap(frame, self._frame)
        self._due = start + gap
        self._plan(frame, start, gap)
        head = [TimecodePacket.from_timecode(frame.timecode).packet_as_bytes]
        return [*head, frame.hk] if frame.hk else head

    def _plan(self, frame: RecordedFrame, start: float, gap: float) -> None:
        size = sum(len(packet) for packet in frame.packets)
        duration = min(size / LINK_RATE, 0.7 * gap)
        count = max(1, len(frame.packets))
        begin = start + 0.05 * gap
        for first in range(0, len(frame.packets), CHUNK):
            chunk = frame.packets[first : first + CHUNK]
            self._chunks.append((begin + duration * (first + len(chunk)) / count, chunk))
        self._after = (begin + duration, frame.hk_data)

    def _load_registers(self, frame: RecordedFrame) -> None:
        if frame.registers is not None:
            size = min(len(frame.registers), len(self._memory))
            self._memory[:size] = frame.registers[:size]

    def _store_hk(self, data: bytes) -> None:
        if len(data) == HK_AREA_SIZE:
            self._memory[HK_AREA_ADDRESS : HK_AREA_ADDRESS + HK_AREA_SIZE] = data


def _gap(frame: RecordedFrame, following: RecordedFrame | None) -> float:
    """Returns the time between two pulses [s]."""
    if following is None or frame.time is None or following.time is None:
        return NOMINAL_GAP
    gap = following.time - frame.time
    return gap if 0 < gap <= LONGEST_GAP else NOMINAL_GAP


@click.group(name="spw_replay", help="Replays recorded camera data on a SpaceWire link.")
def cli() -> None:
    """Command line of the replayer."""


@cli.command(
    help="Replay recordings in place of the N-FEE or its simulator; ends with the last one, or with Ctrl-C."
)
@click.option(
    "--file",
    "files",
    multiple=True,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="HDF5 file; may be given several times.",
)
@click.option(
    "--endpoint", default=None, help="Endpoint of the link; default: SPW_PORT of the N-FEE simulator."
)
@click.option(
    "--identity", default=DEFAULT_IDENTITY, show_default=True, help="Name of the link, as at the DPU."
)
@click.option(
    "--speed", type=float, default=None, help="How much faster time runs; default: SPEED of the site."
)
@click.option("--wait", is_flag=True, help="Begin when the DPU has asked what it asks at its start.")
@click.option("--loop", is_flag=True, help="Begin again after the last file.")
def start(
    files: tuple[Path, ...], endpoint: str | None, identity: str, speed: float | None, wait: bool, loop: bool
) -> None:
    """Starts the replay; the first line on stdout is `READY spw_replay ENDPOINT`."""
    speed = site_clock().speed if speed is None else speed
    if not speed > 0:
        raise click.BadParameter("must be larger than 0", param_hint="--speed")
    clock = RealClock(speed)
    try:
        source: Replay = (_Waiting if wait else Replay)(files, clock.monotonic(), loop=loop)
        _serve(source, SpaceWireOverZeroMQ(endpoint or default_endpoint(), identity, bind=True), clock)
    except (RecordingError, SpaceWireLinkError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


class _Waiting(Replay):
    """A replay that begins after the first packets of the DPU, when it knows the registers: before that, it cannot tell the end of a readout."""

    _first: float | None = None

    def next_event(self) -> float:
        return super().next_event() if self._first is not None else self._due + 1e9

    def handle(self, packet: bytes, now: float) -> list[bytes]:
        if self._first is None:
            self._first = now
        if not self.frames:
            self._due = min(now + QUIET, self._first + LONGEST_WAIT)
        return super().handle(packet, now)


def _serve(source: Replay, link: SpaceWireOverZeroMQ, clock: RealClock) -> None:
    server = LinkServer(source, link, clock)
    try:
        with on_signals(server.stop), link:
            click.echo(f"READY spw_replay {link.endpoint}")
            server.serve()
    finally:
        server.close()
    click.echo(f"replayed {source.frames} readouts, {server.sent} packets sent, {server.dropped} for nobody")


def main() -> None:
    """Runs the command line (entry point of the console script)."""
    cli(prog_name="spw_replay")


if __name__ == "__main__":
    main()
