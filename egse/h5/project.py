"""Makes the HDF5 file of a cycle out of its spool: live, frame by frame, or after a crash."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from egse.h5.names import FORMAT_VERSION, daily_path
from egse.h5.spool import SUFFIX, Kind, Record, SpoolError, SpoolReader
from egse.h5.writer import CycleWriter, FrameWriter

LOGGER = logging.getLogger(__name__)


class CycleFacts(msgspec.Struct, kw_only=True):
    """What is known about a whole cycle; parts of it come late (the obsid, the register map after a restart).

    Attributes:
        file: name of the HDF5 file.
        obsid: full observation id SITE_SETUP_TEST, empty when no observation was running.
        register: register memory as mirrored at the first pulse (2048 bytes), empty when unknown.
        num_cycles: the DPU's counter at the start of the cycle.
        slicing_num_cycles: after how many cycles FITS files are cut, 0 for never.
        fee_type: "N-FEE" or "F-FEE".
    """

    file: str = ""
    obsid: str = ""
    register: bytes = b""
    num_cycles: int = 0
    slicing_num_cycles: int = 0
    fee_type: str = "N-FEE"


class SpoolProjector:
    """Writes the records of one spool into one HDF5 file.

    Args:
        reader: the spool.
        path: final path of the HDF5 file.
        version: its layout.
    """

    def __init__(self, reader: SpoolReader, path: Path, version: tuple[int, int] = FORMAT_VERSION) -> None:
        self.facts: dict[str, Any] = {}
        self._reader = reader
        self._writer = CycleWriter(path, version=version)
        self._frames: dict[int, FrameWriter] = {}

    @property
    def frame_numbers(self) -> list[int]:
        """Numbers of the frames written so far."""
        return list(self._frames)

    def feed(self, records: Iterable[Record]) -> None:
        """Writes records: whole frames, or facts about the cycle.

        Args:
            records: in the order of the spool. Those of one frame may come in several calls.
        """
        frame: FrameWriter | None = self._last_frame()
        pending: list[memoryview] = []
        for record in records:
            if record.kind is Kind.DATA:
                pending.append(self._reader.payload(record))
                continue
            if frame is not None and pending:
                frame.packets(pending)
                pending = []
            if record.kind is Kind.FRAME:
                frame = self._begin_frame(self._reader.map_of(record))
            elif record.kind is Kind.CYCLE:
                self.facts.update(self._reader.map_of(record))
            elif frame is not None:
                self._write_item(frame, record)
        if frame is not None and pending:
            frame.packets(pending)

    def _last_frame(self) -> FrameWriter | None:
        return next(reversed(self._frames.values()), None)

    def _begin_frame(self, values: dict[str, Any]) -> FrameWriter:
        number = int(values["frame"])
        frame = self._frames.get(number)
        if frame is None:
            frame = self._frames[number] = self._writer.frame(number)
        frame.attributes(values.get("attributes", {}))
        return frame

    def _write_item(self, frame: FrameWriter, record: Record) -> None:
        payload = self._reader.payload(record)
        if record.kind is Kind.TIMECODE:
            frame.timecode(payload[0], record.timestamp)
        elif record.kind is Kind.HK:
            frame.hk(payload)
        elif record.kind is Kind.HK_DATA:
            frame.hk_data(payload)
        elif record.kind is Kind.COMMAND:
            command = self._reader.map_of(record)
            frame.command(str(command["name"]), command["packet"], record.timestamp)

    def finish(self) -> Path:
        """Completes the HDF5 file and gives it its final name.

        Returns:
            Its path.
        """
        facts = msgspec.convert(self.facts, CycleFacts)
        writer = self._writer
        writer.obsid, writer.register = facts.obsid, facts.register
        writer.num_cycles, writer.slicing_num_cycles = facts.num_cycles, facts.slicing_num_cycles
        return writer.close()

    def abandon(self) -> None:
        """Gives up: the unfinished HDF5 file is removed, the spool stays."""
        self._writer.abandon()


def project_spool(spool: Path, path: Path, version: tuple[int, int] = FORMAT_VERSION) -> CycleFacts | None:
    """Makes the HDF5 file of a spool from its good records.

    Args:
        spool: the spool file, complete or torn.
        path: final path of the HDF5 file.
        version: its layout.

    Returns:
        The facts of the cycle; None when the spool holds no frame (no file is made then).

    Raises:
        SpoolError: when it is no spool.
        OSError: when a file cannot be read or written.
    """
    with SpoolReader(spool) as reader:
        records = list(reader.scan())
        if not any(record.kind is Kind.FRAME for record in records):
            return None
        projector = SpoolProjector(reader, path, version)
        try:
            projector.feed(records)
            projector.finish()
        except BaseException:
            projector.abandon()
            raise
        return msgspec.convert(projector.facts, CycleFacts)


Project = Callable[[Path, Path, tuple[int, int]], CycleFacts | None]
"""Makes the HDF5 file of a spool: spool, path, layout; see `project_spool`."""


def recover_spools(
    spools: Iterable[Path],
    root: Path,
    version: tuple[int, int] = FORMAT_VERSION,
    project: Project = project_spool,
) -> list[tuple[Path, CycleFacts]]:
    """Turns the spools that a dead process left into HDF5 files and removes them.

    Call it only from the process that owns the spool folder: a live spool of somebody else would be cut short. A spool that
    cannot be turned is logged and left where it is. A spool whose HDF5 file exists was about to be removed, and is.

    Args:
        spools: the spool files.
        root: the site's data folder; the HDF5 files go to `daily/YYYYMMDD/` below it.
        version: layout of the files.
        project: makes one file; raises as `project_spool`.

    Returns:
        Path and facts of every file that was made.
    """
    recovered: list[tuple[Path, CycleFacts]] = []
    for spool in sorted(spools):
        path = daily_path(root, spool.name.removesuffix(SUFFIX) + ".hdf5")
        try:
            facts = None if path.exists() else project(spool, path, version)
            if facts is not None:
                LOGGER.warning("recovered %s from the spool of a process that died", path)
                recovered.append((path, facts))
            spool.unlink()
        except (SpoolError, OSError, ValueError, KeyError, msgspec.MsgspecError):
            LOGGER.exception("cannot recover the spool %s; it is left where it is", spool)
    return recovered
