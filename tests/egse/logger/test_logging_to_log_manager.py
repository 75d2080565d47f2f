"""Records of several processes arrive in one file with everything that they carry."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from typing import Any

import msgspec
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from egse.logger.handler import (
    ConsoleHandler,
    ZeroMQHandler,
    close_all_zmq_handlers,
    set_context_source,
    setup_logging,
)
from egse.logger.records import (
    Batch,
    Entry,
    LogContext,
    LogMessage,
    MalformedError,
    console_text,
    decode_batch,
    encode_batch,
    file_text,
    message_of,
)

CHILD = """
import logging, sys
from egse.logger import setup_logging
setup_logging("child_cs", endpoint=sys.argv[1], console=None, mode="simulator")
logging.getLogger("egse.child").debug("a detail")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("egse.child").exception("it broke\\non two lines", extra={"obsid": "CSL1_00084_01151"})
"""


def batch(*entries: Entry, first: int = 1, session: str = "s", base: int = 1) -> Batch:
    return Batch(1, session, "p", 1, base, first, list(entries))


def test_a_process_logs_all_levels_and_ends_without_help(manager: Any) -> None:
    manager.start()
    subprocess.run([sys.executable, "-c", CHILD, manager.endpoint], check=True, timeout=60)
    manager.echo.wait_for("it broke")
    manager.stop()
    lines = manager.log.read_text().splitlines()
    assert lines[0].startswith("level=DEBUG ts=")
    assert "process=child_cs" in lines[0]
    assert lines[0].endswith('caller=egse.child:5 msg="a detail [mode=simulator]"')
    assert lines[1].startswith("level=ERROR")
    assert lines[1].endswith('msg="it broke [obsid=CSL1_00084_01151 mode=simulator]"')
    assert lines[2] == "  on two lines"
    assert lines[-1] == "  ZeroDivisionError: division by zero"
    assert all(line.startswith(("level=", "  ")) for line in lines)
    debug, error = manager.messages()
    assert (debug.level, debug.process, debug.caller, debug.line) == ("DEBUG", "child_cs", "egse.child", 5)
    assert (error.message, error.obsid, error.mode) == (
        "it broke\non two lines",
        "CSL1_00084_01151",
        "simulator",
    )
    assert error.traceback.startswith("Traceback")
    assert error.traceback.endswith("division by zero")


def test_setup_logging_attaches_once_and_ends_cleanly(manager: Any) -> None:
    manager.start()
    set_context_source(lambda: LogContext("CSL1_00001_00002", "move_hexapod"))
    root = logging.getLogger()
    try:
        setup_logging("me", endpoint=manager.endpoint, console=None)
        handler = setup_logging("me", endpoint=manager.endpoint, console=logging.ERROR)
        assert [h for h in root.handlers if isinstance(h, ZeroMQHandler)] == [handler]
        logging.getLogger("egse.something").debug("with context")
        set_context_source(lambda: LogContext(mode="dry-run"))
        logging.getLogger("egse.something").debug("rehearsal")
        logging.getLogger("elsewhere").debug("not ours")
        manager.echo.wait_for("rehearsal")
    finally:
        set_context_source(None)
        close_all_zmq_handlers()
    manager.stop()
    assert not [h for h in root.handlers if isinstance(h, (ZeroMQHandler, ConsoleHandler))]
    first, second = manager.messages()
    assert (first.obsid, first.block, first.mode) == ("CSL1_00001_00002", "move_hexapod", "operations")
    assert (second.obsid, second.mode) == ("", "dry-run")
    assert (
        manager.log.read_text()
        .splitlines()[0]
        .endswith('"with context [obsid=CSL1_00001_00002 block=move_hexapod mode=operations]"')
    )


def test_records_are_final_when_they_are_logged(manager: Any, handler: Any, logger: logging.Logger) -> None:
    values = [1]
    logger.info("values %s", values)
    values.append(2)
    logger.log(35, "in between")
    # Past the logger: pytest keeps what loggers say, and cannot hand on a lone surrogate.
    text = 'surrogate \udc80, control \x1b[31m, quote "q", %% %d'
    handler.handle(logging.LogRecord(logger.name, 20, __file__, 1, text, (5,), None))
    logger.info("x" * 40_000)
    logger.info("")
    handler.handle(
        logging.LogRecord("x", 20, "f", 1, "wrong %d", ("text",), None)
    )  # logging tells of it on stderr
    manager.start()
    assert handler.flush_records(10)
    manager.stop()
    first, between, strange, long, empty = manager.messages()
    assert first.message == "values [1]"
    assert (between.level, between.levelno) == ("WARNING", 35)
    assert strange.message == 'surrogate \\udc80, control \x1b[31m, quote "q", % 5'
    assert long.message.endswith("... (7232 more characters)")
    assert empty.message == ""
    assert "\x1b" not in manager.log.read_text()
    assert "control \\x1b[31m" in manager.log.read_text()


def test_layouts() -> None:
    message = LogMessage(
        "1970-01-01T00:00:00.500000Z",
        "WARNING",
        30,
        "puna cs",
        7,
        "egse.hexapod",
        12,
        'say "hi"',
        session="s",
        seq=3,
    )
    assert file_text(message) == (
        "level=WARNING ts=1970-01-01T00:00:00,500000 process=puna_cs process_id=7 "
        'caller=egse.hexapod:12 msg="say "hi""\n'
    )
    # time : process, right aligned : level : line number : logger, left aligned : message (storage reference, ch. 11)
    assert re.fullmatch(
        r"1970-01-01 00:00:00,500 : +puna cs : +WARNING : +12 : egse\.hexapod +: say \"hi\"",
        console_text(message),
    )
    assert "\x1b" not in console_text(msgspec.structs.replace(message, message="\x1b[2J", process="\x1b"))


def test_one_line_cannot_pretend_to_be_another_record() -> None:
    evil = 'done"\nlevel=CRITICAL ts=2026-01-01T00:00:00,000000 process=cm_cs process_id=1 caller=a:1 msg="forged'
    message = LogMessage("2026-01-01T00:00:00.000000Z", "INFO", 20, "p", 1, "m", 1, evil)
    lines = file_text(message).splitlines()
    assert [line[:2] for line in lines] == ["le", "  "]
    for separator in ("\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"):
        text = file_text(msgspec.structs.replace(message, message=f"a{separator}level=CRITICAL b"))
        assert not any(
            line.startswith("level=C") for line in re.split(r"[\r\n\x0b\x0c\x1c\x85\u2028\u2029]", text)
        )


def test_garbage_is_counted_and_changes_nothing(manager: Any) -> None:
    receiver = manager.start()
    good = encode_batch(batch(Entry(0.0, 20, "m", 1, "good")))
    bad = [
        b"",
        b"\xc1",
        b"\x93\x01\x02\x03",
        good[:-3],
        encode_batch(batch(Entry(float("nan"), 20, "m", 1, "no time"))),
        encode_batch(batch(Entry(1e300, 20, "m", 1, "no date"))),
        encode_batch(batch(Entry(0.0, -1, "m", 1, "no level"))),
        encode_batch(batch()),
        encode_batch(batch(Entry(0.0, 20, "m", 1, "x" * 50_000))),
        encode_batch(Batch(2, "s", "p", 1, 1, 1, [Entry(0.0, 20, "m", 1, "of another version")])),
        msgspec.msgpack.encode([1, "s", "p", 1, 5, 3, [[0.0, 20, "m", 1, "base after first"]]]),
        msgspec.msgpack.encode([1, "s", "p", 1, 2**63, 2**63, [[0.0, 20, "m", 1, "too far"]]]),
    ]
    with zmq.Context() as context, context.socket(zmq.DEALER) as sock:
        sock.connect(manager.endpoint)
        for data in bad:
            sock.send(data)
        sock.send_multipart([good, good])
        sock.send(good)
        manager.echo.wait_for("good")
        sock.linger = 0
    manager.stop()
    assert (receiver.counters.malformed, receiver.counters.received) == (len(bad) + 1, 1)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_decoder_is_total(data: st.DataObject) -> None:
    valid = bytearray(
        encode_batch(batch(Entry(1.5, 20, "m", 1, "text", "trace"), Entry(2.5, 30, "m", 2, "t")))
    )
    if data.draw(st.booleans()):
        raw = data.draw(st.binary(max_size=80))
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            valid[data.draw(st.integers(0, len(valid) - 1))] = data.draw(st.integers(0, 255))
        raw = bytes(valid[: data.draw(st.integers(0, len(valid)))])
    try:
        decoded = decode_batch(raw)
    except MalformedError:
        return
    for index in range(len(decoded.entries)):
        message = message_of(decoded, index)
        assert file_text(message).endswith("\n")
        assert console_text(message)


@pytest.mark.parametrize("name", ["", "a b", "x" * 300])
def test_names_of_any_kind_are_sent(manager: Any, name: str, logger: logging.Logger) -> None:
    handler = ZeroMQHandler(manager.endpoint, "tester")
    record = logging.LogRecord(name, 20, "f", 3, "hello", None, None)
    handler.handle(record)
    manager.start()
    assert handler.flush_records(10)
    handler.close()
    manager.stop()
    assert manager.messages()[0].caller == name[:200]
