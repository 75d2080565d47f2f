"""The process manager with real servers: the devices of a Setup, starting and stopping, what crashes and what hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from egse.dummy import DummyProxy
from egse.process.identity import wait_gone
from egse.procman import ProcessManagerError, ProcessManagerProxy, ServerState, ServerStatus
from egse.registration import services_of
from egse.site.layout import merged_environment

if TYPE_CHECKING:
    from .conftest import Bench
from .conftest import wait_until

pytestmark = pytest.mark.system

DUMMY = {"device": "class//egse.dummy.DummyProxy", "device_name": "Dummy"}


@pytest.fixture
def pm(bench: Bench) -> Iterator[ProcessManagerProxy]:
    """A proxy; afterwards all devices are stopped again."""
    with ProcessManagerProxy(timeout=120.0) as proxy:
        yield proxy
        proxy.shut_down_egse()


def state_of(pm: ProcessManagerProxy, name: str) -> ServerState:
    return pm.get_status(name).state


def test_it_knows_the_core_services_and_how_they_are(bench: Bench, pm: ProcessManagerProxy) -> None:
    core = [name for name in pm.get_core() if name not in ("mon_cs", "fdir_cs")]  # not in every sandbox
    assert core[:4] == ["log_cs", "sm_cs", "cm_cs", "pm_cs"]
    wait_until(lambda: all(status.up for name, status in pm.get_all_status().items() if name in core))
    statuses = pm.get_all_status()
    for name in core:
        assert (statuses[name].kind, statuses[name].keeper) == ("core", "supervisor")
        assert statuses[name].endpoint == bench.sandbox.endpoint(name)
    with pytest.raises(ProcessManagerError, match="core service"):
        pm.shut_down_cs("sm_cs")


def test_devices_of_a_setup_and_their_servers(bench: Bench, pm: ProcessManagerProxy) -> None:
    bench.load(
        {
            "twins": {
                "one": {"device": "class//bench_units.twins.TwinProxy", "device_args": [1]},
                "two": {"device": "class//bench_units.twins.TwinProxy", "device_args": {"unit": 2}},
            },
            "wheel": {"device": "class//bench_units.wheel.WheelProxy"},
            "exiting": {"device": "class//bench_units.exiting.ExitingProxy"},
            "other": {"device": "class//os.path.Nothing"},
        }
    )
    devices = {device.place: device for device in pm.get_devices()}

    servers = {place: device.server for place, device in devices.items()}
    assert servers == {
        "gse.aeu.crio": "aeu_crio_cs",
        **{f"gse.aeu.psu{number}": f"aeu_psu{number}_cs" for number in range(1, 7)},
        **{f"gse.aeu.awg{number}": f"aeu_awg{number}_cs" for number in (1, 2)},
        "gse.ogse": "ogse_cs",
        "gse.lsci336": "lsci336_cs",
        "gse.twins.one": "twin1_cs",
        "gse.twins.two": "twin2_cs",
        "gse.wheel": "wheel_cs",
        "gse.exiting": "exiting_cs",
        "gse.other": "",
        "camera.dpu": "dpu_cs",
    }
    assert devices["gse.twins.two"].title == "Twin 2"
    assert devices["gse.lsci336"].settings == "LSCI336 Control Server"
    assert "libximc.so: cannot open shared object file" in devices["gse.wheel"].problem
    assert "Can't load libximc library" in devices["gse.exiting"].problem
    assert "os.path.Nothing is refused" in devices["gse.other"].problem
    assert pm.get_status("twin2").places == ("gse.twins.two",)


def test_a_server_whose_shared_library_is_missing_harms_nobody(bench: Bench, pm: ProcessManagerProxy) -> None:
    """Story 28.1 of the manual: `libximc.so: cannot open shared object file`."""
    before = pm.get_status("pm_cs").pid
    with pytest.raises(ProcessManagerError, match=r"libximc\.so: cannot open shared object file") as caught:
        pm.start_cs("wheel_cs")
    assert str(caught.value).startswith("wheel_cs is crashed: wheel_cs ended with exit code 1\n")

    status = pm.get_status("wheel")
    assert (status.state, status.settled) == (ServerState.CRASHED, True)
    assert "OSError: libximc.so: cannot open shared object file: No such file or directory" in status.stderr
    assert pm.get_status("pm_cs").pid == before
    assert pm.start_cs("dummy_cs", sim_mode=True).up
    shown = bench.run("pm_cs", "status")
    assert shown.returncode == 0, shown.stderr
    wait_until(lambda: "wheel_cs  crashed (given up)" in _squeezed(bench.run("pm_cs", "status").stdout))
    assert "cannot open shared object file" in bench.run("pm_cs", "status").stdout
    assert pm.shut_down_cs("wheel_cs").state is ServerState.STOPPED


def _squeezed(text: str) -> str:
    return "\n".join("  ".join(line.split(maxsplit=1)) for line in text.splitlines())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("exiting_cs", "exit code 0\nSystem Exit with code None"),
        ("crashing_cs", "killed by SIGSEGV"),
    ],
)
def test_a_server_that_takes_its_process_down(pm: ProcessManagerProxy, name: str, reason: str) -> None:
    with pytest.raises(ProcessManagerError, match=reason):
        pm.start_cs(name)
    assert pm.get_status("pm_cs").up


def test_start_and_stop_in_both_modes(pm: ProcessManagerProxy) -> None:
    status = pm.start_cs("dummy", sim_mode=True)
    assert (status.name, status.up, status.simulator, status.connected) == ("dummy_cs", True, True, True)
    assert pm.start_cs("dummy_cs", sim_mode=True).pid == status.pid, "a second start changes nothing"
    with DummyProxy() as dummy:
        assert "SIM" in dummy.info().upper()
    with pytest.raises(ProcessManagerError, match="runs already, with the simulator: shut it down first"):
        pm.start_cs("dummy_cs")
    assert pm.shut_down_cs("dummy").state is ServerState.STOPPED
    assert pm.shut_down_cs("dummy").state is ServerState.STOPPED, "a second stop changes nothing"

    hardware = pm.start_cs("dummy_cs")
    assert (hardware.up, hardware.simulator, hardware.connected) == (True, False, False)


def test_programs_and_names_that_there_are_not(pm: ProcessManagerProxy) -> None:
    assert pm.start_fitsgen().kind == "program"
    assert pm.get_all_status()["fitsgen"].up
    assert pm.stop_fitsgen().state is ServerState.STOPPED
    assert pm.start_n_fee_hk().kind == "program"
    assert pm.stop_n_fee_hk().state is ServerState.STOPPED
    assert pm.start_fov_hk().kind == "program"
    assert pm.stop_fov_hk().state is ServerState.STOPPED
    with pytest.raises(ProcessManagerError, match=r"no device server 'dumy_cs' is installed .*did you mean"):
        pm.start_cs("dumy_cs")


def test_what_crashes_comes_back_and_what_hangs_is_told(pm: ProcessManagerProxy) -> None:
    first = pm.start_cs("dummy_cs", sim_mode=True)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: _is_back(pm.get_status("dummy_cs"), first.pid))
    again = pm.get_status("dummy_cs")
    assert (again.restarts, again.simulator, again.reason) == (1, True, "dummy_cs killed by SIGKILL")

    assert again.pid is not None
    os.kill(again.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: state_of(pm, "dummy_cs") is ServerState.NOT_RESPONDING)
        # One that hangs does not keep others from being seen.
        wait_until(lambda: pm.get_status("sm_cs").up)
    finally:
        os.kill(again.pid, signal.SIGCONT)
    wait_until(lambda: pm.get_status("dummy_cs").up)


def _is_back(status: ServerStatus, former: int | None) -> bool:
    return status.up and status.pid != former


def test_all_devices_of_the_setup_at_once_one_of_which_fails(bench: Bench, pm: ProcessManagerProxy) -> None:
    bench.load(
        {"dummy": DUMMY, "lsci336": {"device": "class//bench_units.twins.TwinProxy", "device_args": [1]}},
        keep=("ogse",),
    )
    bench.run("dummy_cs", "stop")
    statuses = pm.start_egse(sim_mode=True)

    names = set(statuses)
    assert names == {"ogse_cs", "twin1_cs", "dummy_cs", "dpu_cs"}
    wait_until(lambda: all(pm.get_status(name).up for name in names), 120.0)
    pm.start_fitsgen()
    stopped = pm.shut_down_egse()
    assert {status.state for status in stopped.values()} == {ServerState.STOPPED}
    assert set(stopped) >= names
    assert pm.get_status("fitsgen").up, "programs and core services keep running"
    wait_until(lambda: pm.get_status("sm_cs").up)
    pm.stop_fitsgen()


def test_a_server_started_by_hand_is_seen_and_can_be_ended(bench: Bench, pm: ProcessManagerProxy) -> None:
    script = Path(sysconfig.get_path("scripts")) / "dummy_cs"
    with subprocess.Popen(
        [str(script), "start", "--simulator"],
        env=merged_environment(bench.sandbox.env),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as by_hand:
        assert by_hand.stdout is not None
        assert by_hand.stdout.readline().startswith("READY")
        status = pm.start_cs("dummy_cs", sim_mode=True)
        assert (status.up, status.pid, status.keeper) == (True, by_hand.pid, "")
        assert pm.shut_down_cs("dummy_cs").state is ServerState.STOPPED
        assert by_hand.wait(timeout=60) == 0


def test_a_killed_process_manager_kills_nothing_and_finds_everything_again(
    bench: Bench, pm: ProcessManagerProxy
) -> None:
    dummy = pm.start_cs("dummy_cs", sim_mode=True)
    core = {name: pm.get_status(name).pid for name in pm.get_core() if name != "pm_cs"}
    pid = bench.sandbox.kill("pm_cs", signal.SIGKILL)
    if psutil.pid_exists(pid):
        wait_gone([psutil.Process(pid)], 60.0)
    bench.sandbox.wait_for("pm_cs")
    wait_until(pm.ping)

    assert pm.get_status("pm_cs").pid != pid
    found = pm.get_status("dummy_cs")
    assert (found.up, found.pid, found.simulator, found.keeper) == (True, dummy.pid, True, "supervisor")
    assert {name: pm.get_status(name).pid for name in core} == core
    wait_until(lambda: pm.get_setup_id() is not None)
    assert pm.shut_down_cs("dummy_cs").state is ServerState.STOPPED


def test_it_listens_to_new_setups_and_takes_leave(bench: Bench, pm: ProcessManagerProxy) -> None:
    def listeners() -> list[str]:
        with services_of("Configuration Manager Control Server") as services:
            return services.get_listener_names()

    wait_until(lambda: "Process Manager CS" in listeners())
    setup_id = bench.load({})
    assert f"Loaded Setup: {setup_id}" in bench.run("pm_cs", "status").stdout
    bench.run("pm_cs", "stop")
    assert "Process Manager CS" not in listeners()
    bench.sandbox.restart("pm_cs")
    wait_until(lambda: "Process Manager CS" in listeners())
