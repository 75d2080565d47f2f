"""Log records as they travel to the log manager and as they stand in `general.log`.

A line of the log file has the key-value layout that the log viewers of this field read:

    level=INFO ts=2026-01-01T00:00:00,123456 process=puna_cs process_id=4242 caller=egse.hexapod:77 msg="homing"

followed by ` obsid=...` and ` block=...` when they are known. Further lines of a message and tracebacks follow
indented by two blanks.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import msgspec

LONGEST_TEXT = 32_768
"""Messages and tracebacks are cut after this many characters."""


class LogMessage(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One log record.

    Attributes:
        time: UTC as Unix time [s].
        level: number of the level, 20 for INFO.
        process: name of the process, `puna_cs`.
        pid: process id.
        caller: name of the logger, usually the module.
        line: line number of the call.
        message: the text.
        traceback: formatted traceback, empty without one.
        obsid: full obsid, empty outside an observation.
        block: building block, empty outside.
        session: random name of this life of the process.
        seq: number of the record in the session; a gap means that records were lost.
    """

    time: float
    level: int
    process: str
    pid: int
    caller: str
    line: int
    message: str
    traceback: str = ""
    obsid: str = ""
    block: str = ""
    session: str = ""
    seq: int = 0


_decoder = msgspec.msgpack.Decoder(LogMessage)
_formatter = logging.Formatter()


def from_record(
    record: logging.LogRecord, process: str, session: str, seq: int, context: tuple[str, str] = ("", "")
) -> LogMessage:
    """Returns a record of the logging module as a message.

    Args:
        record: the record.
        process: name of this process.
        session: name of this life of the process.
        seq: number of the record.
        context: obsid and building block, used unless the record has attributes `obsid` and `block`.
    """
    text = _formatter.formatException(record.exc_info) if record.exc_info else (record.exc_text or "")
    if record.stack_info:
        text = f"{text}\n{record.stack_info}".strip()
    return LogMessage(
        record.created,
        record.levelno,
        process,
        record.process or 0,
        record.name,
        record.lineno,
        _cut(record.getMessage()),
        _cut(text),
        str(getattr(record, "obsid", "") or context[0]),
        str(getattr(record, "block", "") or context[1]),
        session,
        seq,
    )


def _cut(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}... ({len(text) - LONGEST_TEXT} more characters)"


def decode(data: bytes) -> LogMessage:
    """Decodes a message.

    Raises:
        ValueError: when the bytes are none.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise ValueError(f"no log record: {exc}") from exc


def _word(text: str) -> str:
    return "_".join(text.split()) or "-"


def file_text(message: LogMessage) -> str:
    """Returns a record as it stands in the log file, with its line ends."""
    moment = datetime.fromtimestamp(message.time, UTC)
    first, *rest = message.message.splitlines() or [""]
    fields = [
        f"level={_word(logging.getLevelName(message.level))}",
        f"ts={moment:%Y-%m-%dT%H:%M:%S,%f}",
        f"process={_word(message.process)}",
        f"process_id={message.pid}",
        f"caller={_word(message.caller)}:{message.line}",
        f'msg="{first}"',
    ]
    if message.obsid:
        fields.append(f"obsid={_word(message.obsid)}")
    if message.block:
        fields.append(f"block={_word(message.block)}")
    lines = [" ".join(fields), *rest, *message.traceback.splitlines()]
    return "\n  ".join(lines) + "\n"


def console_text(message: LogMessage) -> str:
    """Returns a record as it is shown on a terminal: time, process, level, line, logger, message."""
    moment = datetime.fromtimestamp(message.time, UTC)
    head = (
        f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03d} : {message.process:>15s} : "
        f"{logging.getLevelName(message.level):>8s} : {message.line:>4d} : {message.caller:<30s} : {message.message}"
    )
    return head if not message.traceback else f"{head}\n{message.traceback}"
