"""The generic control server as a real process: commands, services, errors, the clean end."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import zmq

from egse.command import CommandError
from egse.journal import read_journal
from egse.proxy import OutcomeUnknownError, command_context, endpoint_from_settings
from egse.settings import Settings
from egse.wire import Request, decode_reply, decode_value, encode


def wait_until(condition: Any, limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.02)


def services_status(proxy: Any) -> Any:
    with proxy.get_service_proxy() as services:
        return services.get_server_status()


def test_commands_results_and_arrays(server: Any, proxy: Any) -> None:
    assert proxy.add(1, b=2.5) == 3.5
    assert proxy.image(3).shape == (3, 4)


def test_errors_come_with_the_servers_traceback(server: Any, proxy: Any) -> None:
    with pytest.raises(ValueError, match="lamp is cold") as caught:
        proxy.fail("lamp is cold")
    assert "bench_device.py" in caught.value.__notes__[0]


def test_wrong_calls_are_refused_before_sending_and_again_by_the_server(server: Any, proxy: Any) -> None:
    with pytest.raises(CommandError, match=r"must be in \[0, 10\] V"):
        proxy.add(1, 11)
    with pytest.raises(CommandError, match=r"must be in \[0, 10\] V"):
        proxy.send("add", {"a": 1.0, "b": 11.0})
    with pytest.raises(CommandError, match="no command `__init__`"):
        proxy.send("__init__", {})


def test_a_proxy_made_before_its_server_works_when_it_is_up(stopped_server: Any, proxy: Any) -> None:
    with pytest.raises(ConnectionError, match=r"tcp://127\.0\.0\.1:\d+.*bench_cs start"):
        proxy.with_timeout(0.3).count()
    running = stopped_server.start()
    try:
        assert proxy.count() == 1
    finally:
        running.end()


def test_context_manager_needs_the_server(bench_site: Path, proxy: Any) -> None:
    with pytest.raises(ConnectionError, match="BenchProxy could not connect"), type(proxy)():
        pass


def test_services_answer_while_a_command_runs(server: Any, proxy: Any) -> None:
    caller = threading.Thread(target=proxy.wait, args=(1.5,))
    caller.start()
    with type(proxy)() as other, other.get_service_proxy() as services:
        status = services.get_process_status()
        assert caller.is_alive()
        assert status["PID"] == server.process.pid  # type: ignore[union-attr]
        assert {"timestamp", "delay", "Up", "UUID", "RSS", "USS", "CPU%"} <= set(status)
        assert services.get_server_status()["calls"] == 0
        assert services.set_hk_frequency(2.0) <= 2.0
        with pytest.raises(CommandError, match="no logging level"):
            services.set_logging_level("root", "LOUD")
        names = {entry["name"] for entry in services.get_commands()}
        assert {"add", "wait", "image"} <= names
    caller.join()


def test_the_process_status_is_that_of_now(server: Any, proxy: Any) -> None:
    with type(proxy)() as bench, bench.get_service_proxy() as services:
        before = services.get_process_status()
        used = before["CPU User"] + before["CPU System"]

        def uses_more() -> bool:
            bench.count()
            now = services.get_process_status()
            return bool(now["CPU User"] + now["CPU System"] > used)

        wait_until(uses_more)
        after = services.get_process_status()
    assert after["timestamp"] > before["timestamp"]
    assert after["Up"] > before["Up"]
    assert after["UUID"] == before["UUID"]
    assert uuid.UUID(str(after["UUID"])).version == 1


def test_status_and_process_status_are_sent_on_the_monitoring_port(server: Any, proxy: Any) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as sock:
        sock.setsockopt(zmq.RCVTIMEO, 10_000)
        sock.subscribe(b"status")
        sock.connect(endpoint_from_settings("Bench Control Server", "MONITORING_PORT"))
        first, second = (msgspec.msgpack.decode(sock.recv_multipart()[1]) for _ in range(2))
    with type(proxy)() as bench, bench.get_service_proxy() as services:
        asked = services.get_process_status()
    assert first["process"].keys() == asked.keys()
    assert (first["process"]["PID"], first["process"]["UUID"]) == (server.process.pid, str(asked["UUID"]))
    assert second["process"]["Up"] > first["process"]["Up"]
    assert second["process"]["RSS"] >= second["process"]["USS"] > 1_000_000


def test_status_tells_the_rhythms_that_are_applied(server: Any, proxy: Any) -> None:
    with type(proxy)() as bench, bench.get_service_proxy() as services:
        status = services.get_server_status()
        assert status["monitoring_period"] >= 0.2  # MONITORING_DELAY is 0.1, the margin 0.2
        assert 0 < services.set_hk_frequency(100.0) <= 5.0
        rhythm = services.get_server_status()["housekeeping"]
        assert rhythm["wanted_period"] == pytest.approx(0.01)
        assert rhythm["period"] >= 0.2
        assert services.get_process_status()["delay"] == round(1000 * rhythm["period"])


def test_no_answer_in_time_is_an_unknown_outcome(server: Any, proxy: Any) -> None:
    proxy.connect_cs()
    with pytest.raises(
        OutcomeUnknownError, match=r"no answer within 0\.3 s; the outcome of command .* is unknown"
    ):
        proxy.with_timeout(0.3).wait(0.8)
    assert proxy.add(1, 1) == 2  # a late reply does not meet the next request


def test_killed_server_is_noticed_and_the_proxy_recovers(server: Any, proxy: Any) -> None:
    def kill() -> None:
        server.process.kill()  # type: ignore[union-attr]

    patient = proxy.with_timeout(20.0)
    threading.Timer(0.3, kill).start()
    started = time.monotonic()
    with pytest.raises(OutcomeUnknownError, match="went away"):
        patient.wait(10.0)
    assert time.monotonic() - started < 5.0
    server.end()
    server.start()
    assert proxy.count() == 1


def test_a_command_that_was_given_up_is_not_executed_later(server: Any, proxy: Any) -> None:
    blocker = threading.Thread(target=proxy.wait, args=(1.5,))
    blocker.start()
    other = type(proxy)(timeout=0.2)
    other.connect_cs()
    wait_until(lambda: services_status(proxy)["counters"]["commands"] == 1)
    with pytest.raises(OutcomeUnknownError, match=r"count at tcp.*no answer within 0\.2 s") as caught:
        other.count()  # waits behind the blocker; whoever gave up does not listen any more
    blocker.join()
    wait_until(lambda: services_status(proxy)["counters"]["dropped"] == 1)
    assert other.outcome(caught.value.command_id) == {"status": "not executed"}
    other.disconnect_cs()
    assert proxy.count() == 1


def test_expired_commands_are_not_executed(server: Any, proxy: Any) -> None:
    sock = zmq.Context.instance().socket(zmq.DEALER)
    try:
        sock.connect(proxy.get_endpoint())
        sock.send(encode(Request("late-1", "count", {}, time.time() - 0.1)))
        assert sock.poll(5000)
        reply = decode_reply(sock.recv())
    finally:
        sock.close(0)
    assert reply.error is not None
    assert "came after its deadline and was not executed" in reply.error.message
    assert services_status(proxy)["counters"]["expired"] == 1
    assert proxy.outcome("late-1")["status"] == "failed"
    assert proxy.count() == 1


def test_journal_holds_begin_and_end_with_context(server: Any, proxy: Any, bench_site: Path) -> None:
    with command_context(obsid="LAB_00001_00007", block="set_lamp"):
        proxy.add(1, 2)
    (path,) = (bench_site / "data" / "LAB" / "journal" / "bench_cs").glob("*.journal")
    begin, end = read_journal(path)
    assert (begin.command, begin.args, begin.obsid, begin.block) == (
        "add",
        {"a": 1, "b": 2},
        "LAB_00001_00007",
        "set_lamp",
    )
    assert (end.id, end.status) == (begin.id, "done")


def test_malformed_messages_are_counted_and_harm_nobody(server: Any, proxy: Any) -> None:
    context = zmq.Context()
    generator = random.Random(1)
    for role in ("COMMANDING_PORT", "SERVICE_PORT"):
        port = Settings.load("Bench Control Server")[role]
        with context.socket(zmq.DEALER) as raw:
            raw.setsockopt(zmq.LINGER, 500)
            raw.connect(f"tcp://127.0.0.1:{port}")
            for _ in range(200):
                raw.send_multipart(
                    [generator.randbytes(generator.randint(0, 40)) for _ in range(generator.randint(1, 3))]
                )
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.sendall(generator.randbytes(300))
    context.term()
    assert proxy.add(1, 2) == 3
    wait_until(lambda: services_status(proxy)["counters"]["malformed"] > 300)


def test_status_is_published(server: Any, bench_site: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.setsockopt(zmq.LINGER, 0)
        subscriber.setsockopt(zmq.RCVTIMEO, 5000)
        subscriber.connect(f"tcp://127.0.0.1:{Settings.load('Bench Control Server')['MONITORING_PORT']}")
        subscriber.subscribe(b"status")
        topic, data = subscriber.recv_multipart()
    assert topic == b"status"
    assert decode_value(data)["name"] == "bench_cs"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_the_server_cleanly(server: Any, proxy: Any, number: int) -> None:
    assert proxy.count() == 1
    process = server.process
    assert process is not None
    process.send_signal(number)
    assert process.wait(5) == 0


def test_a_second_copy_refuses_and_names_the_holder(server: Any, bench_site: Path) -> None:
    second = subprocess.run(
        [sys.executable, str(server.source), "start"], capture_output=True, text=True, timeout=20
    )
    assert second.returncode == 1
    assert "in use by process" in second.stderr
    assert str(server.process.pid) in second.stderr  # type: ignore[union-attr]


def test_stop_and_status_commands(server: Any) -> None:
    status = subprocess.run(
        [sys.executable, str(server.source), "status"], capture_output=True, text=True, timeout=20
    )
    assert "Test bench:\n  Status: active" in status.stdout
    assert "Commanding port: " in status.stdout
    subprocess.run(
        [sys.executable, str(server.source), "stop"], check=True, timeout=20, stdout=subprocess.DEVNULL
    )
    assert server.process is not None
    assert server.process.wait(5) == 0
    gone = subprocess.run(
        [sys.executable, str(server.source), "status"], capture_output=True, text=True, timeout=20
    )
    assert gone.returncode == 1
    assert "not active" in gone.stdout


def test_eight_threads_share_one_proxy(server: Any, proxy: Any) -> None:
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.extend(proxy.count() for _ in range(50))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(1, 401))


def test_nothing_is_left_behind() -> None:
    assert not [
        child for child in psutil.Process(os.getpid()).children(recursive=True) if child.status() != "zombie"
    ]
