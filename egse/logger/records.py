"""Log records: as they travel to the log manager, and as they stand in `general.jsonl` and `general.log`.

A process sends *batches* of entries over ZeroMQ (msgpack) and gets an *acknowledgement* for each: the number of the last
record that is written. `general.jsonl` holds one JSON object a line with all fields; `general.log` is what people and
the log viewers of this field read:

    level=INFO ts=2026-01-01T00:00:00,123456 process=puna_cs process_id=4242 caller=egse.hexapod:77 msg="homing"

Observation, building block and mode stand at the end of the message, `msg="homing [obsid=CSL1_00084_01151 block=home]"`,
where they do not disturb the viewers. Further lines of a message and tracebacks follow indented by two blanks.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from egse.mode import DRY_RUN as DRY_RUN
from egse.mode import MODES as MODES
from egse.mode import OPERATIONS as OPERATIONS
from egse.mode import SIMULATOR as SIMULATOR

PROTOCOL = 1
"""Version of the batches; another one is counted as malformed."""
LONGEST_TEXT = 32_768
"""Messages and tracebacks are cut after this many characters."""
LONGEST_NAME = 200
MOST_ENTRIES = 1_000
"""A batch has at most this many entries."""
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

OK, RESEND, HOLD = range(3)
"""Verdicts: written; records before these are missing, send them; cannot be written now, try again later."""

_Name = Annotated[str, Meta(max_length=LONGEST_NAME)]
_Text = Annotated[str, Meta(max_length=LONGEST_TEXT + 100)]
_Time = Annotated[float, Meta(ge=0, le=253_000_000_000)]
_Count = Annotated[int, Meta(ge=0, le=2**62)]
_Seq = Annotated[int, Meta(ge=1, le=2**62)]


class LogContext(NamedTuple):
    """What a record says about the circumstances of the program.

    Attributes:
        obsid: full obsid, empty outside an observation.
        block: building block, empty outside.
        mode: one of `MODES`; empty for that of the process.
    """

    obsid: str = ""
    block: str = ""
    mode: str = ""


class Entry(msgspec.Struct, array_like=True, gc=False):
    """One record on its way.

    Attributes:
        time: UTC as Unix time [s].
        level: number of the level, 20 for INFO.
        caller: name of the logger, usually the module.
        line: line number of the call.
        message: the text.
        traceback: formatted traceback, empty without one.
        obsid: full obsid, empty outside an observation.
        block: building block, empty outside.
        mode: one of `MODES`.
        lost: how many records were dropped just before this one, which says so.
    """

    time: _Time
    level: Annotated[int, Meta(ge=0, le=1000)]
    caller: _Name
    line: _Count
    message: _Text
    traceback: _Text = ""
    obsid: _Name = ""
    block: _Name = ""
    mode: _Name = OPERATIONS
    lost: _Count = 0


class Batch(msgspec.Struct, array_like=True):
    """Consecutive records of one process.

    Attributes:
        version: `PROTOCOL`.
        session: random name of this life of the process.
        process: its name, `puna_cs`.
        pid: its process id.
        base: number of the oldest record that it can still send.
        first: number of the first entry.
        entries: the records.
    """

    version: int
    session: Annotated[str, Meta(min_length=1, max_length=40)]
    process: _Name
    pid: _Count
    base: _Seq
    first: _Seq
    entries: Annotated[list[Entry], Meta(min_length=1, max_length=MOST_ENTRIES)]


class Ack(msgspec.Struct, array_like=True):
    """Answer to a batch: `seq` is the number of the last record of the session that is written."""

    session: str
    seq: int
    verdict: int


class LogMessage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One record as it stands in `general.jsonl`.

    Attributes:
        ts: UTC, ISO 8601 with microseconds, `2026-01-01T00:00:00.123456Z`: sorts as text.
        level: name of the level, one of `LEVELS`.
        levelno: its number, which is larger for levels in between.
        process: name of the process.
        pid: process id.
        caller: name of the logger, usually the module.
        line: line number of the call.
        message: the text.
        traceback: formatted traceback.
        obsid: full obsid, empty outside an observation.
        block: building block, empty outside.
        mode: one of `MODES`.
        lost: how many records are missing here, of which this record tells.
        session: random name of this life of the process.
        seq: number of the record in the session, from 1; 0 for a remark of the log manager itself.
        at: where the record begins in `general.log` [bytes].
    """

    ts: str
    level: str
    levelno: int
    process: str
    pid: int
    caller: str
    line: int
    message: str
    traceback: str = ""
    obsid: str = ""
    block: str = ""
    mode: str = ""
    lost: int = 0
    session: str = ""
    seq: int = 0
    at: int = 0


class MalformedError(ValueError):
    """Bytes that are no batch of log records."""


_batch_decoder = msgspec.msgpack.Decoder(Batch)
_ack_decoder = msgspec.msgpack.Decoder(Ack)
_formatter = logging.Formatter()
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def entry_of(record: logging.LogRecord, context: LogContext) -> Entry:
    """Returns a record of the logging module as an entry: all texts are final, whatever happens to its arguments.

    Args:
        record: the record; its attributes `obsid`, `block` and `mode`, if any, win over the context.
        context: the circumstances; its mode must not be empty.
    """
    message = record.getMessage() if record.args else str(record.msg)
    traceback = ""
    if record.exc_info or record.exc_text or record.stack_info:
        traceback = (
            _formatter.formatException(record.exc_info) if record.exc_info else (record.exc_text or "")
        )
        if record.stack_info:
            traceback = f"{traceback}\n{record.stack_info}".strip()
    own = record.__dict__
    if "obsid" in own or "block" in own or "mode" in own:
        context = LogContext(
            str(own.get("obsid") or context.obsid)[:LONGEST_NAME],
            str(own.get("block") or context.block)[:LONGEST_NAME],
            str(own.get("mode") or context.mode)[:LONGEST_NAME],
        )
    return Entry(
        max(0.0, record.created),
        record.levelno if 0 <= record.levelno <= 1000 else min(1000, max(0, record.levelno)),
        record.name if len(record.name) <= LONGEST_NAME else record.name[:LONGEST_NAME],
        max(0, record.lineno),
        message if len(message) <= LONGEST_TEXT else _cut(message),
        traceback if len(traceback) <= LONGEST_TEXT else _cut(traceback),
        context.obsid,
        context.block,
        context.mode,
    )


def _cut(text: str) -> str:
    return f"{text[:LONGEST_TEXT]}... ({len(text) - LONGEST_TEXT} more characters)"


def encode_batch(batch: Batch) -> bytes:
    """Encodes a batch; texts that cannot be encoded (lone surrogates) are written with backslashes."""
    try:
        return msgspec.msgpack.encode(batch)
    except UnicodeEncodeError:
        for entry in batch.entries:
            for name in ("caller", "message", "traceback", "obsid", "block", "mode"):
                text = getattr(entry, name).encode("utf-8", "backslashreplace").decode()
                limit = LONGEST_TEXT + 100 if name in ("message", "traceback") else LONGEST_NAME
                setattr(entry, name, text[:limit])
        batch.process = batch.process.encode("utf-8", "backslashreplace").decode()[:LONGEST_NAME]
        return msgspec.msgpack.encode(batch)


def decode_batch(data: bytes) -> Batch:
    """Decodes a batch.

    Raises:
        MalformedError: when the bytes are none, or one of another version.
    """
    try:
        batch = _batch_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise MalformedError(f"no log records: {exc}") from exc
    if batch.version != PROTOCOL:
        raise MalformedError(f"log records of version {batch.version}, expected {PROTOCOL}")
    if batch.base > batch.first:
        raise MalformedError("the first record of a batch is older than the oldest")
    if any(not entry.time >= 0.0 for entry in batch.entries):
        raise MalformedError("a time that is no number")
    return batch


def decode_ack(data: bytes) -> Ack:
    """Decodes an acknowledgement.

    Raises:
        MalformedError: when the bytes are none.
    """
    try:
        return _ack_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise MalformedError(f"no acknowledgement: {exc}") from exc


def timestamp(seconds: float) -> str:
    """Returns Unix time [s] as in `LogMessage.ts`."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def level_name(level: int) -> str:
    """Returns the name of the highest of the five levels that is not above `level`."""
    return LEVELS[min(4, max(0, level // 10 - 1))]


def message_of(batch: Batch, index: int) -> LogMessage:
    """Returns one record of a batch as it is written."""
    entry = batch.entries[index]
    return LogMessage(
        timestamp(entry.time),
        level_name(entry.level),
        entry.level,
        batch.process,
        batch.pid,
        entry.caller,
        entry.line,
        entry.message,
        entry.traceback,
        entry.obsid,
        entry.block,
        entry.mode,
        entry.lost,
        batch.session,
        batch.first + index,
    )


def printable(text: str) -> str:
    """Returns a text with control characters written as `\\x1b`, so that no record can steer a terminal."""
    return _CONTROL.sub(_escape, text) if _CONTROL.search(text) else text


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _word(text: str) -> str:
    return printable("_".join(text.split())) or "-"


def file_text(message: LogMessage) -> str:
    """Returns a record as it stands in `general.log`, with its line ends."""
    first, *rest = message.message.splitlines() or [""]
    about = [f"{name}={_word(value)}" for name, value in _circumstances(message) if value]
    tail = f" [{' '.join(about)}]" if about else ""
    head = (
        f"level={message.level} ts={message.ts[:19]},{message.ts[20:26]} process={_word(message.process)} "
        f"process_id={message.pid} caller={_word(message.caller)}:{message.line} "
        f'msg="{printable(first)}{tail}"'
    )
    if not rest and not message.traceback:
        return f"{head}\n"
    lines = [printable(line) for line in (*rest, *message.traceback.splitlines())]
    return "\n  ".join((head, *lines)) + "\n"


def _circumstances(message: LogMessage) -> tuple[tuple[str, str], ...]:
    return (("obsid", message.obsid), ("block", message.block), ("mode", message.mode))


def console_text(message: LogMessage) -> str:
    """Returns a record as it is shown on a terminal: time, process, level, line, logger, message."""
    head = (
        f"{message.ts[:10]} {message.ts[11:19]},{message.ts[20:23]} : {printable(message.process):>15s} : "
        f"{message.level:>8s} : {message.line:>4d} : {printable(message.caller):<30s} : "
    )
    lines = (*message.message.splitlines(), *message.traceback.splitlines())
    return head + "\n".join(printable(line) for line in lines)
