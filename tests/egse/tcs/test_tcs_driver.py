"""The TCS driver gives the same answers over TCP and over the memory transport; and what comes out of the telemetry port."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from selectors import DefaultSelector
from typing import Any

import pytest

from egse.clock import RealClock, VirtualClock
from egse.command import CommandError, is_urgent
from egse.device import DeviceConnectionError, DeviceTimeoutError
from egse.proxy import Proxy
from egse.settings import Settings
from egse.simulator import SimulatorServer, serve_together
from egse.site.layout import SiteLayout
from egse.tcs import (
    ClosedLoopMode,
    OperatingMode,
    TCSController,
    TCSError,
    TCSEthernetInterface,
    TCSModel,
    TCSProxy,
    TCSSimulator,
    TCSTelemetry,
    TCSTelemetryModel,
)
from egse.tcs.items import all_items, hk_name, hk_row, row_items
from egse.tcs.messages import all_items as read_all_items
from egse.tcs.messages import burst, configuration, consent, task_state
from egse.tcs.messages import errors as read_errors
from egse.tcs.tcs_cs import APP
from egse.tcs.tcs_hk import TCSTelemetryProxy
from egse.tcs.telemetry import TelemetryReader

SPEED = 20.0


class TwoPorts:
    """The simulated TCS EGSE on two ports, in a thread."""

    def __init__(self) -> None:
        self.model = TCSModel()
        self.selector = DefaultSelector()
        clock = RealClock(SPEED)
        self.commands, self.telemetry = (
            SimulatorServer(model, clock=clock, max_clients=4, selector=self.selector)
            for model in (self.model, TCSTelemetryModel(self.model))
        )
        self.servers = [self.commands, self.telemetry]
        for server in self.servers:
            server.open()
        self.thread = threading.Thread(target=serve_together, args=(self.servers,))
        self.thread.start()

    def close(self) -> None:
        self.commands.stop()
        self.thread.join()
        for server in self.servers:
            server.close()
        self.selector.close()


@pytest.fixture
def ports() -> Iterator[TwoPorts]:
    running = TwoPorts()
    yield running
    running.close()


@pytest.fixture(params=["tcp", "memory"])
def tcs(request: pytest.FixtureRequest) -> Iterator[TCSController]:
    controller: TCSController
    if request.param == "memory":
        controller = TCSSimulator(VirtualClock())
    else:
        ports = request.getfixturevalue("ports")
        controller = TCSController(*ports.commands.address, telemetry_port=ports.telemetry.address[1])
    with controller:
        yield controller


def test_every_command_of_the_driver(tcs: TCSController) -> None:
    assert tcs.is_connected()
    assert tcs.is_remote_operation_active() is False
    with pytest.raises(
        TCSError, match=r"not in remote mode: press its button, or call request_remote_operation"
    ):
        tcs.run_task()
    assert tcs.request_remote_operation() == "acknowledge_remote_operation"
    assert tcs.is_remote_operation_active() is True
    assert tcs.is_task_running() is False
    tcs.clear_popup()
    assert tcs.get_error() == []
    item = tcs.get_housekeeping_value("ambient_rtd")
    assert item.name == "ambient_rtd"
    assert item.value == pytest.approx(21.0, abs=0.2)
    assert item.timestamp.endswith(" UTC")
    assert item == tuple(item)
    with pytest.raises(TCSError, match="no housekeeping of this name"):
        tcs.get_housekeeping_value("trp_99")
    rows = tcs.get_all_housekeeping()
    assert [row[0] for row in rows] == all_items(3)
    assert all(len(row) == 3 for row in rows)
    tcs.set_operating_mode(OperatingMode.EXTENDED)
    tcs.set_operating_mode(mode="EXTENDED")  # type: ignore[arg-type]
    tcs.set_parameter("ch1_tset", -70)
    tcs.set_parameters(ch2_enabled=1, ch2_mode=int(ClosedLoopMode.BANG_BANG_1))
    tcs.commit()
    tcs.set_parameter(name="ch1_tset", value=-40.0)
    tcs.discard()
    tcs.commit()
    found = tcs.get_configuration()
    assert (found["ch1_tset"], found["ch2_enabled"], found["ch2_mode"], found["operation_mode"]) == (
        -70,
        1,
        2,
        6,
    )
    tcs.upload_callendar_vandusen_rtd_parameters("SN7", 100.02, 3.9e-3, -5.8e-7, -4.2e-12)
    tcs.upload_polynomial_rtd_parameters("SN8", 1, 2, 3, 4, 5, 6.5)
    tcs.set_rtd_parameters("tou_rtd_1", "SN8")
    assert tcs.get_configuration()["rtd_list"]["SN8"] == [1, 2, 3, 4, 5, 6.5]
    assert tcs.get_configuration()["rtd_list"]["SN7"] == [100.02, 3.9e-3, -5.8e-7, -4.2e-12, 0, 0]
    with pytest.raises(TCSError, match="get_configuration"):
        tcs.set_rtd_parameters("tou_rtd_1", "SN99")
    tcs.run_task()
    assert tcs.is_task_running() is True
    data = tcs.get_data()
    assert set(data) >= set(all_items(3))
    assert data["task_is_running"] == 1
    tcs.stop_task()
    tcs.set_parameter("ch1_tset", 5000)
    assert "erroneous" in tcs.commit()
    tcs.quit_remote_operation()
    assert tcs.is_remote_operation_active() is False


@pytest.mark.parametrize("name", ["", "ch1 tset", "ch1_tset\x03run_task", "ch1\tset", "tempé"])
def test_text_that_would_be_another_command_is_not_sent(tcs: TCSController, name: str) -> None:
    tcs.request_remote_operation()
    with pytest.raises((CommandError, TCSError)):
        tcs.set_parameter(name, 1)
    assert tcs.is_remote_operation_active()
    assert tcs.is_task_running() is False


@pytest.mark.parametrize("fault", ["drop", "garbage", "partial", "silence"])
def test_faults_of_the_line_raise_and_the_next_command_works(ports: TwoPorts, fault: str) -> None:
    tcs = TCSController(transport=TCSEthernetInterface(*ports.commands.address, timeout=0.8))
    with tcs:
        tcs.request_remote_operation()
        ports.commands.faults.arm(fault)
        with pytest.raises((DeviceConnectionError, DeviceTimeoutError, TCSError)):
            tcs.get_housekeeping_value("ambient_rtd")
        assert tcs.get_housekeeping_value("ambient_rtd").name == "ambient_rtd"


def replies_of(client: socket.socket, count: int) -> list[bytes]:
    data = b""
    while data.count(b"\x03") < count:
        received = client.recv(65536)
        assert received, "the simulator hung up"
        data += received
    return data.split(b"\x03")[:-1]


def test_a_raw_client_in_pieces_and_in_one_packet(ports: TwoPorts) -> None:
    with socket.create_connection(ports.commands.address, 5.0) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"get_remote_status\x03":
            client.sendall(bytes([byte]))
        assert replies_of(client, 1) == [b"remote_mode_not_active"]
        client.sendall(b"\x03".join([b"request_remote_operation", *[b"get_remote_status"] * 9]) + b"\x03")
        assert replies_of(client, 10) == [b"acknowledge_remote_operation", *[b"remote_mode_active"] * 9]
        client.sendall(b"make_coffee\x03get_tm op_mode\x03")
        wrong, good = replies_of(client, 2)
        assert wrong == b"invalid_command"
        assert good.endswith(b" UTC\top_mode\t0")
    for _ in range(10):
        with socket.create_connection(ports.commands.address, 5.0) as client:
            client.sendall(b"get_remote_status\x03")
            assert replies_of(client, 1) == [b"remote_mode_active"], "the state survives a reconnect"


def test_several_listen_to_the_telemetry(ports: TwoPorts) -> None:
    with TCSTelemetry(*ports.telemetry.address) as one, TCSTelemetry(*ports.telemetry.address) as other:
        first = one.read_items()
        assert {item.name for item in first} == {item.name for item in other.read_items()}
        for _ in range(3):
            changed = one.read_items()
            assert 0 < len(changed) < len(first)
        with socket.create_connection(ports.telemetry.address) as idle:
            idle.shutdown(socket.SHUT_WR)
            assert idle.recv(100_000), "who sends nothing more still gets its telemetry"


def test_a_reader_keeps_the_newest_and_finds_the_port_again(ports: TwoPorts) -> None:
    reader = TelemetryReader(TCSTelemetry(*ports.telemetry.address, timeout=0.5))
    assert reader.row() == {}
    reader.start()
    try:
        wait_for(lambda: reader.bursts > 2)
        row = reader.row()
        assert set(row) >= {hk_name(name) for name in all_items(3)}
        assert row["GTCS_START_TIME"] is None
        assert row["GTCS_TOU_RTD_1"] == pytest.approx(-110.0, abs=0.1)
        ports.telemetry._drop_clients()
        before = reader.bursts
        wait_for(lambda: reader.bursts > before + 2)
    finally:
        reader.stop()


def test_rows_have_the_same_columns_whatever_comes_later() -> None:
    items = row_items(["ambient_rtd", "trp99_rtd"], channels=2)
    assert items == [*all_items(2), "trp99_rtd"]
    row = hk_row({"ambient_rtd": 21.0, "trp99_rtd": "TBD", "something_new": 1}, items)
    assert list(row) == [hk_name(name) for name in items]
    assert (row["GTCS_AMBIENT_RTD"], row["GTCS_TRP99_RTD"], row["GTCS_TOU_RTD_1"]) == (21.0, None, None)


def test_what_older_firmware_says() -> None:
    assert burst(
        "2023/01/02 03:04:05.678 UTC\ttou_rtd_1\t20.8579 ºC\r\nbroken\tline\x03".encode("latin-1")
    ) == [("2023/01/02 03:04:05.678 UTC", "tou_rtd_1", 20.8579)]
    assert task_state("2023/01/02 03:04:05.678 UTC\ttask_is_running\ttbd") is False
    assert configuration("ch1_tset\t-70\r\nrtd_list\tA1\t1\t2\t3\t4\t5\t6\r\n\tB2\t1\t2\t3\t4\t5\t6")[
        "rtd_list"
    ].keys() == {
        "A1",
        "B2",
    }
    for wrong in ("ch1_tset\t1\t2", "rtd_list\tA\t1\t2"):
        with pytest.raises(ValueError):
            configuration(wrong)
    with pytest.raises(ValueError):
        read_all_items("ambient_rtd\t2023")
    for wrong in ("#@~?!%", "ÿ@", ""):
        with pytest.raises(ValueError):
            consent(wrong)
        with pytest.raises(ValueError):
            read_errors(wrong)
    assert consent("acknowledge_commit_config erroneous values coerced: ch1_tset, ch2_tset")


def test_dry_run_on_virtual_time_shares_its_model() -> None:
    clock, shared = VirtualClock(), {}  # type: ignore[var-annotated]
    tcs = APP.make_dry_controller(clock, shared)
    tcs.request_remote_operation()
    tcs.set_parameter("ch1_tset", -100)
    tcs.run_task()
    clock.sleep(3600)
    assert tcs.get_housekeeping_value("tou_rtd_tav").value == pytest.approx(-100.0, abs=0.5)
    assert shared["tcs"].temperature(1) == pytest.approx(-100.0, abs=0.5)
    assert tcs.get_housekeeping_value("tou_rtd_tav").timestamp.startswith("2026/01/01 01:00:0")


# -- as processes -------------------------------------------------------------------------------------------------------


def wait_for(condition: Callable[[], Any], patience: float = 120.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Server:
    """A program in a process of its own."""

    def __init__(self, module: str, *arguments: str, lines: int = 1) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "start", *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.announced = [self.process.stdout.readline().split() for _ in range(lines)]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(30) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def run(site: SiteLayout) -> Iterator[Callable[..., Server]]:
    """Starts programs of a site of its own; servers have no storage manager to talk to."""
    Settings.load(force=True)
    started: list[Server] = []

    def start(*arguments: Any, **options: Any) -> Server:
        started.append(Server(*arguments, **options))
        return started[-1]

    yield start
    for server in reversed(started):
        server.end()
    Settings.load(force=True)


def is_answering(proxy: Proxy) -> bool:
    return proxy.ping(0.2)


def test_the_server_starts_its_telemetry_process_and_keeps_it(run: Callable[..., Server]) -> None:
    simulator = run("egse.tcs.tcs_sim", "--speed", "5", "--admin-port", "0", lines=4)
    assert [line[0] for line in simulator.announced] == ["READY", "ADMIN", "TELEMETRY", "ADMIN-TELEMETRY"]
    server = run("egse.tcs.tcs_cs")
    telemetry = TCSTelemetryProxy()
    with TCSProxy() as tcs, tcs.get_service_proxy() as services:
        tcs.request_remote_operation()
        tcs.run_task()
        assert tcs.get_housekeeping_value(name="task_is_running").value == 1
        wait_for(lambda: is_answering(telemetry))
        wait_for(lambda: telemetry.get_last_values().get("task_is_running") == 1)
        assert tcs.get_data()["task_is_running"] == 1
        with telemetry.get_service_proxy() as own:
            child = int(own.get_server_status()["pid"])
        subprocess.run(["kill", "-KILL", str(child)], check=True)
        wait_for(lambda: services.get_server_status()["telemetry_restarts"] == 1)
        wait_for(lambda: is_answering(telemetry))
        wait_for(lambda: telemetry.get_last_values())
        server.process.kill()
        server.process.wait()
        wait_for(lambda: not is_answering(telemetry))
    telemetry.disconnect_cs()


def test_a_server_with_its_model_inside_stores_the_telemetry_itself(run: Callable[..., Server]) -> None:
    run("egse.tcs.tcs_cs", "--simulator")
    with TCSProxy() as tcs, tcs.get_service_proxy() as services:
        assert tcs.is_simulator()
        assert services.get_server_status()["telemetry_running"] is True
        assert tcs.get_data()["op_mode"] == 0
        telemetry = TCSTelemetryProxy()
        assert not is_answering(telemetry)
        telemetry.disconnect_cs()


def test_the_stop_of_a_task_overtakes_what_waits() -> None:
    assert is_urgent(TCSProxy, "stop_task")
    assert not is_urgent(TCSProxy, "run_task")
