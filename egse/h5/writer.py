"""Writes HDF5 files in the ICD's layout 2.6, or in layout 3.0, fast and in a way that never leaves a half-written file under its
final name.

One file holds one readout cycle: four frames in external synchronisation, one in internal. Layout::

    /N                     frame, N = 0..3
    /N/timecode            int64 scalar 0..63, attribute `timestamp` (reception, UTC text)
    /N/hk                  uint8 (154,), the whole housekeeping packet
    /N/hk_data             uint8 (144,), housekeeping area read by RMAP after the data
    /N/data                group with the integer attributes `DATA_ATTRIBUTES`; always there, empty without image data
    /N/data/<i>            uint8 (packet length,), data and overscan packets in the order of arrival
    /N/commands            group, there when commands were sent in this frame
    /N/commands/<i>        uint8 (request length,), the RMAP request as sent; attributes `name` (text, what it was sent
                           for) and `timestamp` (UTC text); i = 0, 1, ... in the order of sending
    /dpu                   scalar text, attributes `num_cycles`, `slicing_num_cycles` (int)
    /fee                   scalar text, attribute `type` = N-FEE or F-FEE
    /obsid                 scalar bytes SITE_SETUP_TEST; empty when no observation was running
    /register              uint8 (2048,), register memory as mirrored at the first pulse; zeros when it was not known yet
    /versions/format_version   scalar text such as "2.6", attributes `major_version`, `minor_version` (int)

The ICD leaves the layout of `commands` open (TBW); the one above is ours. Packets are written through h5py's low-level
interface, which takes about half the time of `create_dataset`.

Layout 3.0 differs in the data of a frame only; the three datasets are there when packets arrived::

    /N/data/packets        uint8 (bytes,), all packets one after the other, in the order of arrival
    /N/data/headers        one row a packet, see `egse.h5.table.PACKET_DTYPE`: offset and size in `packets`, CRC-32, header
    /N/data/gaps           one row a run of packets that did not arrive, see `egse.h5.table.GAP_DTYPE`; may be empty
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from egse.files import create_file, fsync_folder, make_folder
from egse.h5.names import (
    DATA_ATTRIBUTES,
    FORMAT_VERSION,
    FORMAT_VERSIONS,
    PACKED_VERSION,
    REGISTER_LENGTH,
    SUSPECT_ITEMS,
    SUSPECT_PACKETS,
)
from egse.h5.packed import PackedPackets
from egse.mode import current_mode
from egse.storage.naming import utc_text

PART_SUFFIX = ".part"

Buffer: TypeAlias = bytes | bytearray | memoryview


class PacketStore:
    """Makes one-dimensional uint8 datasets quickly: shared property list and data spaces, no track of times."""

    def __init__(self) -> None:
        self._type = h5py.h5t.NATIVE_UINT8
        self._create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        self._create.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        self._create.set_obj_track_times(False)
        self._spaces: dict[int, Any] = {}

    def write(self, group: Any, name: str, payload: Buffer) -> Any:
        data = np.frombuffer(payload, dtype=np.uint8)
        space = self._spaces.get(data.size)
        if space is None:
            space = self._spaces[data.size] = h5py.h5s.create_simple((data.size,))
        dataset = h5py.h5d.create(group.id, name.encode("ascii"), self._type, space, self._create)
        if data.size:
            dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data, self._type)
        return dataset


class FrameWriter:
    """Fills the group of one frame; made by `CycleWriter.frame`."""

    def __init__(self, group: h5py.Group, store: PacketStore, descriptor: int | None = None) -> None:
        self._group = group
        self._store = store
        self._data = group.create_group("data")
        self._packed = None if descriptor is None else PackedPackets(self._data, descriptor)
        self._count = 0
        self._commands = 0

    @property
    def packet_count(self) -> int:
        """Number of data packets written."""
        return self._count

    def timecode(self, timecode: int, timestamp: float) -> None:
        """Stores the timecode 0..63 and its time of reception (Unix time [s])."""
        dataset = self._group.create_dataset("timecode", data=np.int64(timecode))
        dataset.attrs["timestamp"] = utc_text(timestamp)

    def hk(self, packet: Buffer) -> None:
        """Stores the housekeeping packet (154 bytes)."""
        self._store.write(self._group, "hk", packet)

    def hk_data(self, area: Buffer) -> None:
        """Stores the housekeeping area read after the data (144 bytes)."""
        self._store.write(self._group, "hk_data", area)

    def attributes(self, values: dict[str, Any]) -> None:
        """Stores the register fields of `DATA_ATTRIBUTES` that `values` holds, and what is suspect; other keys are left out."""
        for name in DATA_ATTRIBUTES:
            if name in values:
                self._data.attrs[name] = int(values[name])
        if SUSPECT_PACKETS in values:
            self._data.attrs[SUSPECT_PACKETS] = np.asarray(values[SUSPECT_PACKETS], np.uint32)
        if SUSPECT_ITEMS in values:
            self._data.attrs[SUSPECT_ITEMS] = np.array(values[SUSPECT_ITEMS], "S")

    def packets(self, payloads: Sequence[Buffer]) -> None:
        """Appends data packets, in the order of arrival.

        Args:
            payloads: whole packets. In layout 3.0 they are written when the next frame begins or the file is closed, and
                must not change until then.
        """
        if self._packed is not None:
            self._packed.append(payloads)
        else:
            write, data = self._store.write, self._data
            for number, payload in enumerate(payloads, start=self._count):
                write(data, str(number), payload)
        self._count += len(payloads)

    def flush(self) -> None:
        """Writes the packets that wait (layout 3.0)."""
        if self._packed is not None:
            self._packed.flush()

    def command(self, name: str, request: Buffer, timestamp: float) -> None:
        """Stores one command that was sent in this frame.

        Args:
            name: what it was sent for, e.g. `n_fee_set_dump_mode`.
            request: the RMAP request as it went over the link.
            timestamp: time of sending, Unix time [s].
        """
        commands = self._group.require_group("commands")
        self._store.write(commands, str(self._commands), request)
        attributes = commands[str(self._commands)].attrs
        attributes["name"] = name
        attributes["timestamp"] = utc_text(timestamp)
        self._commands += 1


class CycleWriter:
    """Writes the file of one cycle to `PATH.part`; `close` completes, syncs and renames it.

    Args:
        path: final path of the file; its folder is made. A `.part` file left by somebody who died is replaced.
        fee_type: "N-FEE" or "F-FEE".
        version: layout, (2, 6) or (3, 0).

    Raises:
        OSError: when the file cannot be made.
        ValueError: when there is no such layout.
    """

    def __init__(
        self, path: Path, fee_type: str = "N-FEE", version: tuple[int, int] = FORMAT_VERSION
    ) -> None:
        if version not in FORMAT_VERSIONS:
            raise ValueError(f"there is no layout {version}; the layouts are {FORMAT_VERSIONS}")
        make_folder(path.parent)
        self.path = path
        self.part = path.with_name(path.name + PART_SUFFIX)
        self.obsid = ""
        self.num_cycles = 0
        self.slicing_num_cycles = 0
        self.register: Buffer = b""
        self._fee_type = fee_type
        self._version = version
        self._store = PacketStore()
        self._frames: list[FrameWriter] = []
        self.part.unlink(missing_ok=True)
        self._descriptor = create_file(self.part)  # HDF5 keeps the permissions of a file that is there
        self._file: h5py.File | None = None
        try:
            self._file = h5py.File(self.part, "w")
        finally:
            if self._file is None or version != PACKED_VERSION:
                self._close_descriptor()

    def frame(self, number: int) -> FrameWriter:
        """Starts a frame.

        Args:
            number: frame number in the cycle, 0..3.

        Raises:
            ValueError: when the file is closed or the frame was started before.
        """
        if self._file is None:
            raise ValueError(f"the HDF5 file {self.path} is closed")
        self._flush_frames()
        descriptor = self._descriptor if self._version == PACKED_VERSION else None
        frame = FrameWriter(self._file.create_group(str(number)), self._store, descriptor)
        self._frames.append(frame)
        return frame

    def _flush_frames(self) -> None:
        for frame in self._frames:
            frame.flush()

    def _close_descriptor(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write_cycle(self, file: h5py.File) -> None:
        text = h5py.string_dtype("ascii")
        dpu = file.create_dataset("dpu", data="DPU Processor", dtype=text)
        dpu.attrs["num_cycles"] = int(self.num_cycles)
        dpu.attrs["slicing_num_cycles"] = int(self.slicing_num_cycles)
        file.create_dataset("fee", data=self._fee_type, dtype=text).attrs["type"] = self._fee_type
        file.attrs["mode"] = current_mode()
        file.create_dataset("obsid", data=self.obsid.encode("ascii", "replace"), dtype=text)
        file.create_dataset("register", data=_register_bytes(self.register))
        major, minor = self._version
        version = file.create_dataset("versions/format_version", data=f"{major}.{minor}", dtype=text)
        version.attrs["major_version"], version.attrs["minor_version"] = major, minor

    def close(self) -> Path:
        """Completes the file, syncs it to disk and gives it its final name.

        Returns:
            The final path.

        Raises:
            OSError: when that fails; the `.part` file is left then.
            ValueError: when the file is closed.
        """
        if self._file is None:
            raise ValueError(f"the HDF5 file {self.path} is closed")
        file, self._file = self._file, None
        try:
            self._flush_frames()
            self._write_cycle(file)
            file.close()
        except BaseException:
            self._let_go(file)
            raise
        finally:
            self._close_descriptor()
        with self.part.open("rb") as part:
            os.fsync(part.fileno())
        os.replace(self.part, self.path)
        fsync_folder(self.path.parent)
        return self.path

    def abandon(self) -> None:
        """Closes and removes the `.part` file."""
        if self._file is not None:
            self._let_go(self._file)
            self._file = None
        self._close_descriptor()
        self.part.unlink(missing_ok=True)

    def _let_go(self, file: h5py.File) -> None:
        """Closes a file that is not wanted any more. HDF5 crashes when it cannot flush, so a full disk gets room first."""
        with suppress(OSError):
            os.truncate(self.part, 0)
        with suppress(OSError, RuntimeError):
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if exc_type is not None:
            self.abandon()
        elif self._file is not None:
            self.close()


def _register_bytes(register: Buffer) -> NDArray[np.uint8]:
    memory = np.zeros(REGISTER_LENGTH, dtype=np.uint8)
    known = np.frombuffer(register, dtype=np.uint8)[:REGISTER_LENGTH]
    memory[: known.size] = known
    return memory
