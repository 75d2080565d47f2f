"""Sandbox, `cgse core` and `cgse device` with the real servers."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from egse.clock import system_clock
from egse.confman import ConfigurationManagerProxy
from egse.process import Launcher, State
from egse.process.identity import marked_processes, wait_gone
from egse.proxy import is_control_server_active
from egse.site.layout import SiteLayout, merged_environment
from egse.site.ports import release_block
from egse.site.programs import core_entries, sandbox_entries
from egse.site.sandbox import Sandbox
from egse.tempcontrol.lsci336 import LakeShore336Proxy

pytestmark = pytest.mark.system

SCRIPTS = Path(sysconfig.get_path("scripts"))


def run(layout: SiteLayout, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a console script in a site, as a user would in a shell."""
    return subprocess.run(
        [str(SCRIPTS / command[0]), *command[1:]],
        env=merged_environment(layout.environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = system_clock().monotonic() + 60
    while not condition():
        assert system_clock().monotonic() < deadline
        system_clock().sleep(0.02)


@pytest.fixture
def site_with_end(site: SiteLayout) -> Iterator[SiteLayout]:
    yield site
    run(site, "cgse", "core", "stop")
    run(site, "cgse", "device", "lsci336", "stop")


def test_everything_is_up_and_answers(in_sandbox: Sandbox) -> None:
    statuses = in_sandbox.status()

    assert sorted(statuses) == sorted(entry.name for entry in sandbox_entries())
    assert {status.state for status in statuses.values()} == {State.RUNNING}
    for entry in sandbox_entries():
        if entry.settings:
            assert is_control_server_active(in_sandbox.endpoint(entry.name), timeout=5.0), entry.name
    with ConfigurationManagerProxy() as confman:
        assert confman.get_setup(None)["setup_id"] == 1
    with LakeShore336Proxy() as lakeshore:
        assert "LSCI" in lakeshore.info()


def test_a_killed_server_comes_back_at_the_same_place(in_sandbox: Sandbox) -> None:
    endpoint = in_sandbox.endpoint("lsci336_cs")
    pid = in_sandbox.kill("lsci336_cs")
    if psutil.pid_exists(pid):
        wait_gone([psutil.Process(pid)], 5.0)
    wait_until(lambda: in_sandbox.wait_for("lsci336_cs").pid != pid)

    assert in_sandbox.endpoint("lsci336_cs") == endpoint
    with LakeShore336Proxy(timeout=5.0) as lakeshore:
        assert "LSCI" in lakeshore.info()


def test_a_command_of_a_server_works_in_the_sandbox(sandbox: Sandbox) -> None:
    done = run(sandbox.layout, "cm_cs", "status")

    assert done.returncode == 0, done.stderr
    assert "Status: active" in done.stdout


def test_a_sandbox_of_core_services_leaves_nothing_behind(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "box", only_core=True) as box:
        assert list(box.status()) == [entry.name for entry in sandbox_entries(only_core=True)]
        processes = marked_processes(box.layout.run)
        assert len(processes) >= 4
    assert wait_gone(processes, 0.0) == []
    assert (box.layout.log / "general.log").exists()
    release_block(tmp_path / "box")


def test_core_and_device_of_a_site(site_with_end: SiteLayout) -> None:
    site = site_with_end
    started = run(site, "cgse", "core", "start")
    assert started.returncode == 0, started.stderr
    assert [line.split()[:2] for line in started.stdout.splitlines()[1:]] == [
        [entry.name, "running"] for entry in core_entries()
    ]
    assert run(site, "cgse", "core", "start").stdout.startswith("Running already: log_cs, sm_cs, cm_cs")
    assert run(site, "cgse", "device", "lsci336", "start", "--simulator").returncode == 0
    assert "(simulator)" in run(site, "lsci336_cs", "status").stdout

    storage = psutil.Process(Launcher(site.data / "run").status()["sm_cs"].pid)
    storage.terminate()  # by hand, past the supervisor
    assert wait_gone([storage], 5.0) == []
    wait_until(lambda: run(site, "cgse", "core", "status").returncode == 1)
    assert run(site, "cgse", "core", "start").returncode == 0
    assert run(site, "cgse", "core", "status").returncode == 0
    assert "Stopped: " in run(site, "cgse", "core", "stop").stdout
    assert run(site, "cgse", "device", "lsci336", "stop").stdout == "Stopped: lsci336_cs\n"
    assert marked_processes(site.data / "run") == []


def test_a_server_started_by_hand_is_left_alone(site_with_end: SiteLayout) -> None:
    site = site_with_end
    with subprocess.Popen(
        [str(SCRIPTS / "log_cs"), "start"],
        env=merged_environment(site.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as by_hand:
        assert by_hand.stdout is not None
        assert by_hand.stdout.readline().startswith("READY log_cs")
        started = run(site, "cgse", "core", "start")
        assert started.returncode == 0, started.stderr
        assert f"not started here: process {by_hand.pid}" in started.stdout
        assert "log_cs still runs" in run(site, "cgse", "core", "stop").stderr
        assert by_hand.poll() is None
        by_hand.terminate()
        assert by_hand.wait(timeout=30) == 0
