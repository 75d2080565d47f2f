"""Commands that are answered later: the server goes on, the record is complete, nothing is done twice."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from egse.channel import OutcomeUnknownError
from egse.journal import BeginRecord, EndRecord, read_journal
from egse.wire import CommandContext, Request, decode_reply, encode

SOURCE = Path(__file__).with_name("deferring_device.py")
SPEC = importlib.util.spec_from_file_location("deferring_device", SOURCE)
assert SPEC is not None
assert SPEC.loader is not None
device: Any = importlib.util.module_from_spec(SPEC)
sys.modules["deferring_device"] = device
SPEC.loader.exec_module(device)


@pytest.fixture
def running(stopped_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(type(stopped_server).start.__globals__, "SOURCE", SOURCE)
    return stopped_server.start()


@pytest.fixture
def dev(running: Any) -> Iterator[Any]:
    with device.DeferringProxy(timeout=5.0) as proxy:
        yield proxy


def wait_begun(dev: Any, count: int) -> None:
    for number in range(200):
        if dev.provide(f"nobody-{number}", "-") >= count:
            return
    pytest.fail("the command has not begun")


def journal(site: Path) -> list[Any]:
    (path,) = (site / "data").glob("**/journal/bench_cs/*.journal")
    return list(read_journal(path))


def test_other_commands_go_on_meanwhile(dev: Any, bench_site: Path) -> None:
    first, second = device.DeferringProxy(timeout=5.0), device.DeferringProxy(timeout=5.0)
    a, b = first.submit.fetch("a"), second.submit.fetch("b")
    wait_begun(dev, 2)
    assert not a.done()
    dev.provide("b", "two")
    assert b.result(30) == "two"
    dev.provide("a", "bad")
    with pytest.raises(ValueError, match="bad"):
        a.result(30)
    first.disconnect_cs()
    second.disconnect_cs()
    records = journal(bench_site)
    begun = {r.id: r.args["name"] for r in records if isinstance(r, BeginRecord) and r.command == "fetch"}
    ends = {begun[r.id]: (r.status, r.error) for r in records if isinstance(r, EndRecord) and r.id in begun}
    assert ends == {"a": ("failed", "ValueError: bad"), "b": ("done", "")}


def test_a_result_that_is_there_already(dev: Any) -> None:
    dev.provide("x", "early")
    assert dev.fetch("x") == "early"
    assert dev.fetch("x") == "early"


def test_a_command_that_had_to_wait_behind_a_long_one(dev: Any) -> None:
    blocker, other = device.DeferringProxy(timeout=5.0), device.DeferringProxy(timeout=5.0)
    long = blocker.submit.wait(0.3)
    later = other.submit.fetch("y")
    assert long.result(30) == "done"
    wait_begun(dev, 1)
    dev.provide("y", "at last")
    assert later.result(30) == "at last"
    blocker.disconnect_cs()
    other.disconnect_cs()


def test_a_future_of_an_unmarked_command_is_an_error(dev: Any) -> None:
    with pytest.raises(TypeError, match="mark it as `deferred`"):
        dev.unmarked()
    dev.provide("z", "alive")
    assert dev.fetch("z") == "alive"


def test_a_repeated_request_is_executed_once_and_answered_twice(dev: Any) -> None:
    packed = msgspec.Raw(encode({"name": "r"}))
    data = encode(Request("test-1", "fetch", packed, 0.0, CommandContext()))
    with zmq.Context() as context, context.socket(zmq.DEALER) as one, context.socket(zmq.DEALER) as two:
        for sock in (one, two):
            sock.linger = 0
            sock.connect(dev.get_endpoint())
            sock.send(data)
        wait_begun(dev, 1)
        dev.provide("r", "once")
        answers = []
        for sock in (one, two):
            assert sock.poll(5000)
            answers.append(decode_reply(sock.recv()))
    assert [answer.value for answer in answers] == ["once", "once"]
    assert dev.provide("q", "-") == 1
    assert dev.outcome("test-1") == {"status": "done", "value": "once"}


def test_the_outcome_of_what_is_open_at_the_end_is_unknown(running: Any, dev: Any, bench_site: Path) -> None:
    with device.DeferringProxy(timeout=2.0) as other:
        future = other.submit.fetch("never")
        wait_begun(dev, 1)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
        with pytest.raises((OutcomeUnknownError, ConnectionError)):
            future.result(30)
    records = journal(bench_site)
    (begun,) = [r.id for r in records if isinstance(r, BeginRecord) and r.command == "fetch"]
    assert not [r for r in records if isinstance(r, EndRecord) and r.id == begun]
