"""The process that makes HDF5 files out of spools, so that the one that receives packets does nothing else.

h5py holds Python's global lock while it writes. In a process of its own it can neither hold up the reception of packets nor the
answer to a question, and the two use two cores. `ProjectionWorker` starts the process and asks it; each request says how far a
spool is good and the process makes the file up to there, so that a request can be repeated: a process that was killed is started
again and makes the file anew from the start of its spool.

Requests and answers go through pipes, each as its length (u32, little endian) and a msgpack map. The process ends when its parent
does. It inherits what its parent locked (`keep`), so that a successor of the parent waits for its end.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from egse.h5.names import FORMAT_VERSION
from egse.h5.project import CycleFacts, SpoolProjector, project_spool
from egse.h5.spool import MAGIC, SpoolError, SpoolReader

LOGGER = logging.getLogger(__name__)

_LENGTH = struct.Struct("<I")
_TRIES = 5


class ProjectionError(Exception):
    """The HDF5 file of a spool could not be made."""


class _Request(msgspec.Struct):
    """What the process is asked: `feed`, `finish`, `abandon` or `recover` of one spool."""

    what: str
    spool: str
    file: str = ""
    version: tuple[int, int] = FORMAT_VERSION
    upto: int = 0


class _Answer(msgspec.Struct):
    """Facts of the cycle when there are any; or what went wrong."""

    facts: CycleFacts | None = None
    error: str = ""


_ENCODER = msgspec.msgpack.Encoder()
_REQUESTS = msgspec.msgpack.Decoder(_Request)
_ANSWERS = msgspec.msgpack.Decoder(_Answer)


class ProjectionWorker:
    """The process that makes HDF5 files, started when it is first needed; used by one thread at a time.

    Args:
        version: layout of the files, (2, 6) or (3, 0).
        keep: descriptors of locks that the process holds as long as it lives.
    """

    def __init__(self, version: tuple[int, int] = FORMAT_VERSION, keep: tuple[int, ...] = ()) -> None:
        self._version = version
        self._keep = keep
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Id of the process; None when it is not running."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Starts the process when it does not run, without waiting until it is ready."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "egse.h5.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=self._keep,
            )

    def feed(self, spool: Path, file: Path, upto: int) -> None:
        """Makes the file from what is new in the spool.

        Args:
            spool: the spool.
            file: final path of the HDF5 file; it is written beside it, as `.part`.
            upto: how far the spool is good [byte].

        Raises:
            ProjectionError: when that is impossible.
        """
        self._ask(_Request("feed", str(spool), str(file), self._version, upto))

    def finish(self, spool: Path, file: Path, upto: int) -> CycleFacts:
        """Completes the file and gives it its final name; arguments and errors as `feed`.

        Returns:
            What is known about the cycle.
        """
        facts = self._ask(_Request("finish", str(spool), str(file), self._version, upto))
        assert facts is not None
        return facts

    def abandon(self, spool: Path) -> None:
        """Removes the unfinished file of a spool."""
        with suppress(ProjectionError):
            self._ask(_Request("abandon", str(spool)))

    def recover(self, spool: Path, file: Path, version: tuple[int, int]) -> CycleFacts | None:
        """Makes the file of a spool that a dead process left, see `egse.h5.project_spool`.

        Raises:
            SpoolError: when that is impossible.
        """
        try:
            return self._ask(_Request("recover", str(spool), str(file), version))
        except ProjectionError as exc:
            raise SpoolError(str(exc)) from exc

    def close(self) -> None:
        """Ends the process; `.part` files that it has not finished stay."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
            process.stdout.close()

    def _ask(self, request: _Request) -> CycleFacts | None:
        for _ in range(_TRIES):
            try:
                answer = self._exchange(request)
            except (EOFError, BrokenPipeError):
                self.close()  # it was killed: a new one makes the file from the start
                continue
            if answer.error:
                raise ProjectionError(answer.error)
            return answer.facts
        raise ProjectionError(f"the process that makes HDF5 files died {_TRIES} times")

    def _exchange(self, request: _Request) -> _Answer:
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        _write(self._process.stdin, request)
        return _ANSWERS.decode(_read(self._process.stdout))


def _write(stream: IO[bytes], message: Any) -> None:
    data = _ENCODER.encode(message)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes:
    head = stream.read(_LENGTH.size)
    if len(head) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        data = stream.read(length)
        if len(data) == length:
            return data
    raise EOFError("the other end is gone")


class _Projection:
    """A spool whose file is being made."""

    def __init__(self, request: _Request) -> None:
        self._reader = SpoolReader(Path(request.spool))
        self._position = len(MAGIC)
        try:
            self._projector = SpoolProjector(self._reader, Path(request.file), request.version)
        except BaseException:
            self._reader.close()
            raise

    def feed(self, upto: int) -> None:
        self._reader.refresh()
        records = list(self._reader.scan(self._position, upto))
        end = records[-1].offset + records[-1].length if records else self._position
        if end != upto:
            raise SpoolError(f"the spool {self._reader.path} is damaged at byte {end}")
        self._projector.feed(records)
        self._position = upto

    def finish(self) -> CycleFacts:
        self._projector.finish()
        self._reader.close()
        return msgspec.convert(self._projector.facts, CycleFacts)

    def abandon(self) -> None:
        self._projector.abandon()
        self._reader.close()


class _Worker:
    """Answers requests."""

    def __init__(self) -> None:
        self._projections: dict[str, _Projection] = {}

    def answer(self, request: _Request) -> _Answer:
        try:
            return _Answer(self._do(request))
        except Exception as exc:  # whatever goes wrong with one file is told, and the next one is made
            LOGGER.exception("the spool %s: %s was in vain", request.spool, request.what)
            self._abandon(request.spool)
            return _Answer(error=f"{type(exc).__name__}: {exc}")

    def _do(self, request: _Request) -> CycleFacts | None:
        if request.what == "recover":
            return project_spool(Path(request.spool), Path(request.file), request.version)
        if request.what == "abandon":
            self._abandon(request.spool)
            return None
        projection = self._projections.get(request.spool)
        if projection is None:
            projection = self._projections[request.spool] = _Projection(request)
        projection.feed(request.upto)
        if request.what == "feed":
            return None
        facts = projection.finish()
        del self._projections[request.spool]
        return facts

    def _abandon(self, spool: str) -> None:
        projection = self._projections.pop(spool, None)
        if projection is not None:
            projection.abandon()


def _end_with(parent: int) -> None:
    """Ends this process when the other end of a pipe is gone, also in the middle of a file."""
    poller = select.poll()
    poller.register(parent, 0)  # only POLLHUP and errors
    poller.poll()
    os._exit(0)


def main() -> None:
    """Answers requests on standard input until that ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a parent that ends still needs us for its last file
    threading.Thread(target=_end_with, args=(sys.stdin.fileno(),), daemon=True).start()
    worker = _Worker()
    while True:
        try:
            request = _REQUESTS.decode(_read(sys.stdin.buffer))
            _write(sys.stdout.buffer, worker.answer(request))
        except (EOFError, BrokenPipeError):
            os._exit(0)


if __name__ == "__main__":
    main()
