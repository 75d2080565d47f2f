"""Sends the records of the standard `logging` module to the log manager, without ever blocking the program.

The handler only takes a snapshot of a record; `egse.logger.sender` does the rest in a thread of its own. A process that
ends while the log manager is away leaves its records in the spool (`egse.logger.spool`).
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence

from egse.env import EnvError, get_log_file_location
from egse.logger.records import OPERATIONS, Batch, LogContext, console_text, entry_of, message_of
from egse.logger.sender import CAPACITY, Sender
from egse.logger.spool import write_spool
from egse.settings import Settings

SETTINGS_NAME = "Logging Control Server"
FLUSH_LIMIT = 1.5
"""How long the end of a process waits for a log manager that is there to take its last records [s]."""
FLUSH_LIMIT_AWAY = 0.3
"""How long the end of a process waits for a log manager that does not answer [s]."""

OWN_LOGGERS = ("egse", "camtest")
"""Loggers whose records of all levels are sent; others only from INFO on."""

_context_source: Callable[[], LogContext] | None = None
_handlers: set[ZeroMQHandler] = set()


def set_context_source(source: Callable[[], LogContext] | None) -> None:
    """Sets the function that tells observation, building block and mode for every record.

    The layers above know them (imports go down only); an empty mode stands for that of the process.
    """
    global _context_source
    _context_source = source


class ZeroMQHandler(logging.Handler):
    """Handler that sends records to the log manager.

    Args:
        endpoint: `tcp://host:port` of the log manager's receiver.
        process: name of this process in the records.
        capacity: how many records wait while the log manager is away.
        mode: `operations`, `simulator` or `dry-run`, unless the context source says otherwise.

    Attributes:
        last_resort: called with what could not be delivered before the end, instead of writing it to the spool; returns
            False when it does not want it.
    """

    def __init__(self, endpoint: str, process: str, capacity: int = CAPACITY, mode: str = OPERATIONS) -> None:
        super().__init__(logging.DEBUG)
        self.endpoint = endpoint
        self.process = process
        self.mode = mode
        self.last_resort: Callable[[Sequence[Batch]], bool] | None = None
        self._context = LogContext(mode=mode)
        assert self.lock is not None
        self._sender = Sender(endpoint, process, self.lock, capacity, _end_with_multiprocessing)
        self._closed = False
        _handlers.add(self)

    @property
    def dropped_total(self) -> int:
        """How many records were dropped because the buffer was full."""
        return self._sender.dropped_total

    @property
    def waiting(self) -> int:
        """How many records the log manager has not acknowledged yet."""
        return self._sender.waiting

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a record, to be sent; drops and counts it when the buffer is full."""
        if self._closed:
            return
        try:
            context = self._context if _context_source is None else _context_source()
            if not context.mode:
                context = context._replace(mode=self.mode)
            self._sender.put(entry_of(record, context), record.levelno >= logging.ERROR)
        except Exception:
            self.handleError(
                record
            )  # as all handlers do: what is wrong with a record must not stop the program

    def flush_records(self, limit: float) -> bool:
        """Waits at most `limit` [s] until all records are with the log manager; returns True when they are."""
        return self._sender.flush(limit)

    def close(self) -> None:
        """Delivers what is left, or leaves it in the spool; returns within 3 s; safe to call twice."""
        with self._guarded():
            if self._closed:
                return
            self._closed = True
        limits = (FLUSH_LIMIT, FLUSH_LIMIT_AWAY) if self.last_resort is None else (0.0, 0.0)
        left = self._sender.close(*limits)
        if left and not (self.last_resort is not None and self.last_resort(left)):
            self._spool(left)
        _handlers.discard(self)
        super().close()

    def _guarded(self) -> contextlib.AbstractContextManager[object]:
        assert self.lock is not None
        return self.lock

    def _spool(self, left: list[Batch]) -> None:
        try:
            write_spool(get_log_file_location(), left)
        except (OSError, EnvError) as exc:
            count = sum(len(batch.entries) for batch in left)
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(
                    f"the last {count} log records of {self.process} are lost: the log manager does not answer, and "
                    f"they cannot be kept for it: {exc}\n"
                )

    def after_fork(self) -> None:
        """Begins anew in a forked child: what was waiting is sent by the parent."""
        if not self._closed:
            self._sender.after_fork()


class ConsoleHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Shows records on stderr in the layout of the log manager's terminal."""

    def __init__(self, process: str, level: int = logging.INFO) -> None:
        super().__init__(sys.stderr)
        self.process = process
        self.setLevel(level)

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as one text."""
        entry = entry_of(record, LogContext(mode=OPERATIONS))
        return console_text(message_of(Batch(1, "-", self.process, 0, 1, 1, [entry]), 0))


def receiver_endpoint() -> str:
    """Returns where the log manager takes records, from the Settings.

    Raises:
        KeyError: when the Settings have no such block or port.
    """
    settings = Settings.load(SETTINGS_NAME)
    host = settings.get("HOSTNAME", "localhost")
    protocol = settings.get("PROTOCOL", "tcp")
    return f"{protocol}://{'127.0.0.1' if host == 'localhost' else host}:{settings['RECEIVER_PORT']}"


def setup_logging(
    process_name: str,
    *,
    endpoint: str | None = None,
    level: int = logging.DEBUG,
    console: int | None = logging.INFO,
    mode: str = OPERATIONS,
) -> ZeroMQHandler | None:
    """Lets all records of this process go to the log manager; call it once at the start of a process.

    Calling it again replaces the earlier handlers.

    Args:
        process_name: name of the process in the records, e.g. `puna_cs`.
        endpoint: `tcp://host:port` of the receiver; from the Settings when None.
        level: lowest level of `egse` and `camtest` loggers that is sent; others are sent from INFO on.
        console: lowest level that is shown on stderr as well; None for nothing.
        mode: what the records of this process say about it: `operations`, `simulator` or `dry-run`.

    Returns:
        The handler; None when the Settings do not tell where the log manager is (which is logged).
    """
    root = logging.getLogger()
    close_all_zmq_handlers()
    if root.level in (logging.NOTSET, logging.WARNING):
        root.setLevel(logging.INFO)
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(level)
    if console is not None:
        root.addHandler(ConsoleHandler(process_name, console))
    try:
        where = endpoint or receiver_endpoint()
    except KeyError as exc:
        logging.getLogger(__name__).warning("no logging to the log manager: %s", exc)
        return None
    handler = ZeroMQHandler(where, process_name, _capacity(), mode)
    root.addHandler(handler)
    return handler


def _capacity() -> int:
    try:
        return max(1, int(Settings.load(SETTINGS_NAME).get("BUFFER_CAPACITY", CAPACITY)))
    except (KeyError, ValueError, TypeError):
        return CAPACITY


def installed_handlers() -> list[ZeroMQHandler]:
    """Returns the handlers of this process that send to a log manager."""
    return list(_handlers)


def close_all_zmq_handlers() -> None:
    """Ends logging to the log manager; a process that does not call it is served at exit."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, (ZeroMQHandler, ConsoleHandler)):
            root.removeHandler(handler)
            handler.close()
    for other in installed_handlers():
        other.close()


def _after_fork() -> None:
    for handler in installed_handlers():
        handler.after_fork()


def _end_with_multiprocessing() -> None:
    """Lets children of `multiprocessing`, which end without atexit, deliver their last records too."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and sys.modules["multiprocessing"].parent_process() is not None:
        util.Finalize(None, close_all_zmq_handlers, exitpriority=-100)


atexit.register(close_all_zmq_handlers)
os.register_at_fork(after_in_child=_after_fork)
