"""Keeps the raw data of the camera: packets into the spool at once, HDF5 files made of it by a process of their own.

Receiving never waits for HDF5: the thread that feeds the recorder only appends to the spool. Another one tells the process
(`egse.h5.worker`) how far the spool is good and waits for its answers. The process reads what it needs from the spool, which
the operating system still has in memory, so that no queue of packets can fill up or be lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import msgspec

from egse.decorators import fail_point
from egse.files import make_folder
from egse.h5 import (
    FORMAT_VERSION,
    CycleFacts,
    Kind,
    SpoolError,
    SpoolWriter,
    daily_path,
    file_name,
    highest_number,
    recover_spools,
)
from egse.h5.spool import SUFFIX
from egse.h5.worker import ProjectionError, ProjectionWorker
from egse.storage.files import FolderLock

LOGGER = logging.getLogger(__name__)

SPOOL_FOLDER = Path("spool", "dpu")
"""Where the spools are, below the site's data folder."""

OnFile = Callable[[Path, CycleFacts], None]


class _Cycle:
    """A cycle whose HDF5 file is not finished."""

    def __init__(self, number: int, name: str, writer: SpoolWriter) -> None:
        self.number = number
        self.name = name
        self.writer = writer
        self.obsid_known = threading.Event()
        self.failed = False
        self.given_up = False
        self.ended = False
        self.lock = threading.Lock()


class CycleRecorder:
    """Writes spools and HDF5 files of one site; only one process at a time can.

    Args:
        root: data folder of the site.
        site: site id, for the file names.
        on_file: called, in the recorder's thread, with path and facts of every finished file.
        obsid_wait: how long a finished cycle waits for its obsid [s]; 0 when nobody will tell it.
        version: layout of the HDF5 files, (2, 6) or (3, 0).

    Attributes:
        lost_records: records that could not be written to the spool (disk full).
        failed_cycles: cycles whose HDF5 file could not be made; their spools stay and are tried again at the next start.

    Raises:
        BlockingIOError: when another process writes the raw data of this site.
    """

    def __init__(
        self,
        root: Path,
        site: str,
        on_file: OnFile,
        obsid_wait: float = 2.0,
        version: tuple[int, int] = FORMAT_VERSION,
    ) -> None:
        self.lost_records = 0
        self.failed_cycles = 0
        self._root = root
        self._site = site
        self._on_file = on_file
        self._obsid_wait = obsid_wait
        self._version = version
        self._folder = root / SPOOL_FOLDER
        make_folder(self._folder)
        self._lock = FolderLock(self._folder, "dpu_processor")
        self._worker = ProjectionWorker(version, keep=(self._lock.descriptor,))
        self._worker.start()
        self._numbers: dict[str, int] = {}
        self._cycle: _Cycle | None = None
        self._unfinished: dict[int, _Cycle] = {}
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="hdf5-writer", daemon=True)
        self._ended = False
        # What a dead process left is looked up now: the thread must not take a new spool for an old one.
        old = sorted(self._folder.glob(f"*{SUFFIX}"))
        if old:
            self._jobs.put(lambda: self._recover(old))
        self._thread.start()

    # -- called by the thread that receives -----------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Number of pieces of work that the thread that has the HDF5 files made has not begun."""
        return self._jobs.qsize()

    @property
    def unfinished(self) -> int:
        """Number of cycles that have ended and whose file is not there yet."""
        return len(self._unfinished) - (self._cycle is not None)

    def begin_cycle(self, timestamp: float, facts: dict[str, Any]) -> str:
        """Opens the spool of a new cycle.

        Args:
            timestamp: start of the cycle, Unix time [s].
            facts: `cycle` (its number, for `set_obsid`) and whatever else is known, see `egse.h5.CycleFacts`.

        Returns:
            Name of the HDF5 file that will come; empty when the spool could not be opened (logged and counted).
        """
        self.end_cycle()
        number = int(facts.get("cycle", 0))
        try:
            self._cycle = _Cycle(number, *self._new_spool(timestamp))
        except OSError as exc:
            self.lost_records += 1
            LOGGER.error("no spool for cycle %d: %s; its data are lost", number, exc)
            return ""
        self._unfinished[number] = self._cycle
        values = {**{key: value for key, value in facts.items() if key != "cycle"}, "file": self._cycle.name}
        self.record_map(Kind.CYCLE, values, timestamp)
        return self._cycle.name

    def record(self, kind: Kind, payload: bytes | bytearray | memoryview, timestamp: float) -> None:
        """Keeps a packet; nothing happens outside a cycle. Failures are logged once a cycle, and counted."""
        cycle = self._cycle
        if cycle is None:
            return
        try:
            with cycle.lock:
                cycle.writer.append(kind, payload, timestamp)
        except (SpoolError, OSError) as exc:
            self.lost_records += 1
            if not cycle.failed:
                cycle.failed = True
                LOGGER.error("data of cycle %d are lost: %s", cycle.number, exc)
            return
        if kind in (Kind.HK_DATA, Kind.FRAME_END):
            self._project(cycle)

    def record_map(self, kind: Kind, values: dict[str, Any], timestamp: float) -> None:
        """Keeps facts, see `record`."""
        self.record(kind, msgspec.msgpack.encode(values), timestamp)

    def set_obsid(self, number: int, obsid: str) -> None:
        """Tells the observation that was running when cycle `number` began; empty for none."""
        cycle = self._unfinished.get(number)
        if cycle is None:
            return
        with cycle.lock:
            try:
                cycle.writer.append_map(Kind.CYCLE, {"obsid": obsid}, time.time())
            except (SpoolError, OSError) as exc:
                LOGGER.error("the obsid of cycle %d could not be written: %s", number, exc)
        cycle.obsid_known.set()

    def end_cycle(self) -> None:
        """Ends the running cycle; its file is finished without us waiting for it."""
        cycle, self._cycle = self._cycle, None
        if cycle is not None:
            with cycle.lock:
                cycle.ended = True
                if cycle.given_up:
                    cycle.writer.close()
            self._jobs.put(lambda: self._finish(cycle))

    def close(self, timeout: float = 3.0) -> bool:
        """Ends the running cycle as it stands and waits for the files.

        Args:
            timeout: how long to wait [s]; what is not finished by then is recovered from its spool at the next start.

        Returns:
            True when all files are finished.
        """
        self._obsid_wait = min(self._obsid_wait, 0.5)
        for cycle in list(self._unfinished.values()):
            if cycle is not self._cycle:
                cycle.obsid_known.set()  # it has waited since its end; this is no time to wait longer
        self.end_cycle()
        self._jobs.put(None)
        self._thread.join(timeout)
        done = not self._thread.is_alive()
        if done:
            self._lock.release()
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close(timeout=60.0)

    # -- names ----------------------------------------------------------------------------------------------------

    def _new_spool(self, timestamp: float) -> tuple[str, SpoolWriter]:
        while True:
            day = file_name(timestamp, self._site, 0)[:8]
            if day not in self._numbers:
                self._numbers[day] = self._highest(day)
            self._numbers[day] += 1
            name = file_name(timestamp, self._site, self._numbers[day])
            try:
                return name, SpoolWriter(self._folder / (name.removesuffix(".hdf5") + SUFFIX))
            except FileExistsError:
                continue

    def _highest(self, day: str) -> int:
        spooled = [path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"{day}_*{SUFFIX}")]
        numbers = [int(stem[-5:]) for stem in spooled if stem[-5:].isdigit()]
        return max([highest_number(self._root / "daily" / day), *numbers])

    # -- the thread that has HDF5 files made ----------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:
                LOGGER.exception("the HDF5 thread goes on after an error")
        self._worker.close()

    def _recover(self, spools: list[Path]) -> None:
        for path, facts in recover_spools(spools, self._root, self._version, self._worker.recover):
            self._on_file(path, facts)

    def _project(self, cycle: _Cycle) -> None:
        upto = cycle.writer.size
        self._jobs.put(lambda: self._feed(cycle, upto))

    def _feed(self, cycle: _Cycle, upto: int) -> None:
        if self._is_given_up(cycle):
            return
        try:
            self._worker.feed(cycle.writer.path, daily_path(self._root, cycle.name), upto)
        except (OSError, ProjectionError) as exc:
            self._give_up(cycle, exc)

    def _is_given_up(self, cycle: _Cycle) -> bool:
        return cycle.number not in self._unfinished

    def _give_up(self, cycle: _Cycle, exc: Exception) -> None:
        self.failed_cycles += 1
        LOGGER.error("the file %s could not be made: %s; its spool is kept", cycle.name, exc)
        self._forget(cycle)
        self._worker.abandon(cycle.writer.path)

    def _finish(self, cycle: _Cycle) -> None:
        if self._obsid_wait:
            cycle.obsid_known.wait(self._obsid_wait)
        if self._is_given_up(cycle):
            return
        fail_point("dpu.cycle.before_close")
        path = daily_path(self._root, cycle.name)
        try:
            facts = self._worker.finish(cycle.writer.path, path, cycle.writer.size)
        except (OSError, ProjectionError) as exc:
            self._give_up(cycle, exc)
            return
        fail_point("dpu.cycle.after_close")
        self._forget(cycle)
        cycle.writer.path.unlink(missing_ok=True)
        self._on_file(path, facts)

    def _forget(self, cycle: _Cycle) -> None:
        self._unfinished.pop(cycle.number, None)
        with cycle.lock:
            cycle.given_up = True
            if cycle.ended:  # else its packets still go to the spool, which is tried again at the next start
                cycle.writer.close()
