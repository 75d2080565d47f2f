"""`fov_hk` as a process, beside the control server of the stages with its model inside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from egse.clock import VirtualClock
from egse.coordinates import StagePositions, StagesGeometry
from egse.fov import FOVProxy, mechanism_of
from egse.fov.fov_hk import FOVController, FOVProtocol
from egse.setup import Setup
from egse.stages.huber.smc9300 import HuberSMC9300Proxy, HuberSMC9300Simulator
from egse.timing import wait_until
from egse.visitedpositions import visit_field_angles, visit_focal_plane_position

GEOMETRY = StagesGeometry()


class Stages:
    """A Setup whose stages are a simulator in this process."""

    def __init__(self, setup: Setup) -> None:
        self.huber = HuberSMC9300Simulator(VirtualClock())
        self.huber.connect()
        self.setup = setup
        stages: Any = SimpleNamespace(device=self.huber)
        self.mechanism: Any = mechanism_of(setup)
        self.mechanism.device = stages.device

    def go(self, positions: StagePositions) -> None:
        for axis, target in zip(
            GEOMETRY.axes,
            (positions.big_rotation, positions.small_rotation, positions.translation),
            strict=True,
        ):
            self.huber.goto(axis, target)


@pytest.fixture
def stages(camtest_setup: Setup) -> Iterator[Stages]:
    made = Stages(camtest_setup)
    yield made
    made.huber.disconnect()


def test_rows_follow_the_stages(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egse.fov.fov_hk.mechanism_of", lambda setup: stages.mechanism)
    controller = FOVController(lambda: stages.setup)
    protocol = FOVProtocol(SimpleNamespace(), controller)  # type: ignore[arg-type]
    stages.go(GEOMETRY.positions(12.0, -45.0))
    row = protocol.get_housekeeping()
    assert row["FOV_ACT_THETA"] == pytest.approx(12.0, abs=1e-3)
    assert row["FOV_ACT_PHI"] == pytest.approx(-45.0, abs=1e-3)
    assert row["FOV_CMD_THETA"] is None
    controller.set_commanded_position(13.0, 20.0)
    row = protocol.get_housekeeping()
    assert (row["FOV_CMD_THETA"], row["FOV_CMD_PHI"]) == (13.0, 20.0)


def test_without_mechanisms_and_with_an_incomplete_calibration(camtest_setup: Setup) -> None:
    controller = FOVController(lambda: None)
    protocol = FOVProtocol(SimpleNamespace(), controller)  # type: ignore[arg-type]
    assert protocol.get_housekeeping() == {}
    camtest_setup.gse.stages.calibration = {}
    uncalibrated = FOVController(lambda: camtest_setup)
    assert uncalibrated.get_source_position()["act_theta"] is None
    with pytest.raises(ValueError, match="calibration"):
        uncalibrated.angles()


@pytest.fixture
def site(own_settings: Callable[[str], None], free_ports: Callable[[int], list[int]]) -> None:
    """A site without core services: `fov_hk` and `smc9300_cs` have their ports, nothing else listens."""
    ports = iter(free_ports(10))
    blocks = ""
    for block in ("SMC9300 Control Server", "FOV Control Server"):
        names = ("COMMANDING_PORT", "MONITORING_PORT", "SERVICE_PORT", "METRICS_PORT")
        lines = [f"  {name}: {next(ports)}" for name in names]
        blocks += "\n".join([f"{block}:", *lines, "  STORAGE_MNEMONIC:", "  HK_DELAY: 0.2", ""])
    blocks += f"Logging Control Server:\n  RECEIVER_PORT: {next(ports)}\n"
    blocks += f"Configuration Manager Control Server:\n  COMMANDING_PORT: {next(ports)}\n"
    own_settings(blocks)


@pytest.fixture
def start(site: None) -> Iterator[Callable[..., None]]:
    running: list[subprocess.Popen[str]] = []

    def start_server(module: str, *options: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "start", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("READY")

    yield start_server
    for process in running:
        process.terminate()
        assert process.wait(30) == 0
        assert process.stdout is not None
        process.stdout.close()


def test_processes(start: Callable[..., None], camtest_setup: Setup) -> None:
    visit_focal_plane_position(1.0, 2.0)  # nobody listens: silent
    start("egse.stages.huber.smc9300.smc9300_cs", "--simulator")
    start("egse.fov.fov_hk")
    with HuberSMC9300Proxy() as huber:
        huber.set_slew_speed(2, 200_000)
        huber.goto(2, 3.0, wait=False)
        assert not wait_until(huber.is_in_position, 2, timeout=20.0)
        assert huber.get_current_position(2) == 3.0
        mechanism = mechanism_of(camtest_setup)
        assert mechanism is not None
        with mechanism.device:  # type: ignore[attr-defined]
            assert mechanism.angles()[0] == pytest.approx(7.0, abs=0.01)
    visit_focal_plane_position(1.0, 2.0)
    visit_field_angles(0.0, 0.0, camtest_setup)
    with FOVProxy() as fov:
        assert fov.get_visited_positions() == [[1.0, 2.0], [0.0, 0.0]]
        fov.set_commanded_position(3.0, 4.0)
        assert fov.get_source_position() == {
            "act_theta": None, "act_phi": None, "cmd_theta": 3.0, "cmd_phi": 4.0,
        }, "no configuration manager tells which mechanisms there are"  # fmt: skip
