"""From a parameter that crosses its limit to journal, subscribers and a webhook: how fast, nothing missed, nothing invented.

A device server of this test publishes `RATE` parameters a second on a real monitoring port, one housekeeping row a second. The
figures are printed (`-s`) and kept with the test report; on a machine that does other things as well only completeness counts.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from egse.clock import VirtualClock, system_clock
from egse.monitor.alarms import AlarmEvent
from egse.monitor.journal import AlarmJournal, read_alarm_events
from egse.monitor.limits import Definitions, read_definitions
from egse.monitor.monitor import LimitMonitor
from egse.monitor.routes import Webhook
from egse.monitor.servers import Servers
from egse.monitor.streams import Streams
from egse.setup import Setup
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox
from egse.tmdict import Limits, Parameter, TMDictionary

from ..receiver import JSONReceiver

RATE = 5000
"""Parameters a second."""
PERIOD = 1.0
"""Time between two rows [s]."""
BLOCK, SERVER = "Bench Control Server", "bench_cs"


def definitions(count: int) -> Definitions:
    parameters = [
        Parameter(f"P{n}", "BENCH", unit="V", ops=Limits(0.0, 10.0), nonops=Limits(-5.0, 20.0))
        for n in range(count)
    ]
    setup = Setup.from_yaml_string(
        "Setup:\n  monitor:\n    limits:\n"
        "      P0: {hysteresis: 0.1, clear_after: 0}\n"
        '      P1: {valid_when: "P0 > -100", rate: {alarm: 50, over: 60}}\n'
        '      SUM: {expression: "P2 + P3", warning: [-1, 25]}\n'
    )
    return read_definitions(setup, TMDictionary(parameters, "campaign"))


class Site:
    """A monitor with its threads, fed by a real stream, calling a real webhook."""

    def __init__(self, folder: Path, monitor: LimitMonitor) -> None:
        self.context = zmq.Context()
        self.port = self.context.socket(zmq.PUB)
        self.port.linger = 0
        number = self.port.bind_to_random_port("tcp://127.0.0.1")
        self.called: dict[tuple[str, str], float] = {}
        self.heard: dict[tuple[str, str], float] = {}
        self.hook = JSONReceiver(self._take)
        self.route = Webhook(self.hook.url, "LAB")
        self.monitor = monitor
        monitor.tell(self._hear)
        monitor.tell(self.route.put)
        self.streams = Streams(monitor.receive, monitor.tick)
        self.streams.follow([(BLOCK, f"tcp://127.0.0.1:{number}")])
        for thread in (self.route, self.streams):
            thread.start()

    def _take(self, _path: str, content: Any) -> int:
        for event in content["events"]:
            self.called.setdefault((event["name"], event["event"]), time.monotonic())
        return 200

    def _hear(self, events: Any) -> None:
        for event in events:
            self.heard.setdefault((event.name, event.event), time.monotonic())

    def publish(self, row: dict[str, Any]) -> None:
        self.port.send_multipart([b"housekeeping", msgspec.msgpack.encode(row)])

    def close(self) -> None:
        self.streams.end()
        self.route.end()
        self.streams.join(20.0)
        self.route.join(20.0)
        self.hook.close()
        self.context.destroy(linger=0)
        self.monitor.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Site]:
    clock = system_clock()
    servers = Servers([], {}, clock.monotonic())
    monitor = LimitMonitor(AlarmJournal(tmp_path / "alarms"), servers, clock, {BLOCK: SERVER})
    monitor.use(definitions(RATE), "00001")
    made = Site(tmp_path, monitor)
    yield made
    made.close()


@pytest.mark.scales(40, 1000)
def test_every_crossing_is_told_in_time(bench: Site, scale: int, record_property: Any) -> None:
    noise = random.Random(1)
    values = [noise.uniform(1.0, 9.0) for _ in range(RATE)]
    crossed: dict[str, float] = {}
    targets = noise.sample(range(10, RATE), scale)
    while bench.streams.messages < 3:  # until the subscription is there, and the site is in its rhythm
        bench.publish({f"P{n}": v for n, v in enumerate(values)})
        threading.Event().wait(0.05)
    per_row = max(1, scale // 40)
    for chosen in _batches(targets, per_row):
        started = time.monotonic()
        for number in chosen:
            values[number] = 15.0
            crossed[f"P{number}"] = started
        bench.publish({f"P{n}": v + noise.gauss(0.0, 0.01) for n, v in enumerate(values)})
        threading.Event().wait(max(0.0, PERIOD - (time.monotonic() - started)) if scale > 100 else 0.05)
    deadline = time.monotonic() + 60.0
    while len([1 for _, kind in bench.called if kind == "raised"]) < scale and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    raised = {name for name, kind in bench.called if kind == "raised"}
    assert raised == set(crossed), "nothing missed, nothing invented"
    told = [
        event.name for event in read_alarm_events(bench.monitor.journal.folder) if event.event == "raised"
    ]
    assert sorted(told) == sorted(crossed), "and each one once"
    for what, when in (("subscriber", bench.heard), ("webhook", bench.called)):
        delays = sorted(when[name, "raised"] - at for name, at in crossed.items())
        p99 = delays[int(0.99 * (len(delays) - 1))]
        # From the row on; the value may have crossed up to one period before its row was taken.
        text = f"{what}: median {statistics.median(delays) * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, worst {delays[-1] * 1e3:.0f} ms"
        print(text)
        record_property(what, text)
        if scale > 100:
            assert p99 + PERIOD < 1.5 * PERIOD, text


def _batches(items: list[int], size: int) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])


@pytest.mark.scales(60, 3600)
def test_noise_within_the_limits_is_no_alarm(scale: int, tmp_path: Path) -> None:
    """An hour (a minute in the suite) of rows, as fast as they can be judged: the clock is virtual."""
    clock = VirtualClock()
    journal = AlarmJournal(tmp_path)
    servers = Servers([], {}, clock.monotonic())
    monitor = LimitMonitor(journal, servers, clock, {BLOCK: SERVER})
    monitor.use(definitions(RATE if scale > 100 else 500), "00001")
    told: list[AlarmEvent] = []
    monitor.tell(told.extend)
    noise = random.Random(2)
    names = list(monitor.definitions.known)
    names.remove("SUM")
    rows = [{name: noise.uniform(0.0, 10.0) for name in names} for _ in range(20)]
    for row in rows:
        row["P0"], row["P2"] = 10.0, 0.0  # at its limit is within it
    status = {"name": SERVER, "pid": 1, "incarnation": "a", "housekeeping": {"period": 1.0, "rows": 1}}
    for second in range(scale):
        monitor.receive(BLOCK, "status", dict(status))
        monitor.receive(BLOCK, "housekeeping", rows[second % len(rows)])
        monitor.tick()
        clock.advance(1.0)
    assert told == []
    assert monitor.rows == scale
    monitor.receive(BLOCK, "housekeeping", {"P7": 11.0})
    assert [event.name for event in told] == ["P7"], "it was awake"
    monitor.close()


@pytest.mark.campaign
def test_killing_any_core_service_raises_its_alarm_and_no_other(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "box", only_core=True, monitor=True) as box, box.joined():
        folder = box.layout.data / "alarms"
        names = [name for name in box.status() if name != "mon_cs"] + ["mon_cs"]
        _wait_for_events(folder, 0.0, set(), [])
        for name in names:
            alarm = f"{name}/gone"
            begin = time.time()
            box.kill(name)
            _wait_for_events(folder, begin, {alarm}, ["raised", "cleared"])
    release_block(tmp_path / "box")


def _wait_for_events(folder: Path, begin: float, names: set[str], kinds: list[str]) -> None:
    """Waits until the journal has just these events since some time (and the monitor is up)."""
    deadline = time.monotonic() + 120.0
    events: list[AlarmEvent] = []
    while time.monotonic() < deadline:
        events = list(read_alarm_events(folder, begin)) if begin else []
        if [event.event for event in events] == kinds and (folder / "heartbeat.json").exists():
            break
        threading.Event().wait(0.2)
    assert [event.event for event in events] == kinds
    assert {event.name for event in events} == names
    threading.Event().wait(6.0)  # what else there may be would be told by now
    assert {event.name for event in read_alarm_events(folder, begin or time.time())} == names
