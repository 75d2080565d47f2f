"""A session in a running site: magics, TAB that asks nobody, short errors, the line of its state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from egse.confman import ConfigurationManagerProxy
from egse.ogse import OGSEProxy
from egse.site.sandbox import Sandbox

from .kernels import Kernel

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def kernel(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """The kernel `camtest` as a member of the running sandbox; the tests here share it."""
    folder = tmp_path_factory.mktemp("ipython")
    with Kernel("camtest", {**sandbox.environ(), "IPYTHONDIR": str(folder)}) as running:
        shown = running.text("from egse.ogse import OGSEProxy\nogse_device = OGSEProxy()")
        assert shown.startswith("site LAB | Setup 00001"), "the banner stands above the first cell"
        yield running


@pytest.fixture
def manager(in_sandbox: Sandbox) -> Iterator[ConfigurationManagerProxy]:
    with ConfigurationManagerProxy() as proxy:
        yield proxy


def test_setup(kernel: Kernel) -> None:
    assert "camera" in kernel.text("%setup")
    assert "<details" in kernel.run("%setup")[0]["data"]["text/html"]
    assert "00001" in kernel.text("%setup list")
    assert "no difference" in kernel.text("%setup diff 1")
    assert "no difference" in kernel.text("%setup 1")
    assert "%setup ID" in kernel.text("%setup one two three")


def test_an_observation_of_a_cell(kernel: Kernel, manager: ConfigurationManagerProxy) -> None:
    cell = """%%observation "first light"
from camtest.commanding import ogse
ogse.set_attenuation(factor=0.2)
6 * 7"""
    shown = [output for output in kernel.run(cell) if "data" in output or "text" in output]
    record = manager.list_observations(last=1)[0]
    assert (record["status"], record["description"]) == ("done", "first light")
    assert [output.get("text") or output["data"]["text/plain"] for output in shown] == [
        f"Observation {record['obsid']}\n",
        "42",
    ], "the value is shown once, and the state of the session is as before"
    card = kernel.run("%obs")[0]["data"]
    assert card["text/plain"].startswith(f"Observation {record['obsid']}: done")
    assert "camtest.commanding.ogse.set_attenuation: done" in card["text/plain"]
    assert "<svg" in card["text/html"]
    assert kernel.text(f"%obs {record['obsid']}").splitlines()[:7] == card["text/plain"].splitlines()[:7]


def test_an_observation_that_fails_is_closed_so_and_told_once(
    kernel: Kernel, manager: ConfigurationManagerProxy
) -> None:
    first, *errors = kernel.run('%%observation "bad"\n1 / 0')
    record = manager.list_observations(last=1)[0]
    assert (record["status"], record["reason"]) == ("failed", "ZeroDivisionError: division by zero")
    assert record["obsid"] in first["text"]
    assert [len(error["traceback"]) > 1 for error in errors] == [True, False]
    assert "shown above" in errors[1]["traceback"][0]
    assert errors[1]["ename"] == "ZeroDivisionError", (
        "the cell itself has failed: `Run all` and papermill stop"
    )
    assert "cannot run a cell that awaits" in kernel.text(
        "%%observation x\nimport asyncio\nawait asyncio.sleep(0)"
    )
    assert manager.list_observations(last=1)[0]["obsid"] == record["obsid"], "nothing was opened for it"


def test_the_state_is_shown_again_when_it_changes(kernel: Kernel) -> None:
    shown = kernel.text("obsid = start_observation('two cells')")
    assert "| LAB_00001_" in shown
    assert kernel.text("1") == "1"
    assert "| no observation |" in kernel.text("end_observation()")
    (output,) = kernel.run("%dryrun on")
    assert 'data-camtest-mode="dry-run"' in output["data"]["text/html"]
    assert "| simulator: commands go to simulated devices" in kernel.text("%dryrun off")
    assert "| simulator:" in kernel.text("%status")


def test_a_dry_run_of_a_cell(kernel: Kernel, manager: ConfigurationManagerProxy) -> None:
    before = manager.list_observations(last=1)
    (shown,) = kernel.run(
        "%%dryrun\nfrom camtest.commanding import ogse\nogse.set_attenuation(factor=0.3)\nNone"
    )
    assert "ogse_cs.att_set_level_factor(factor=0.3)" in shown["data"]["text/plain"]
    assert "<svg" in shown["data"]["text/html"]
    assert manager.list_observations(last=1) == before
    assert kernel.text("GlobalState.dry_run") == "False"
    refused = kernel.text("%%dryrun\nimport asyncio\nawait asyncio.sleep(0)\nprint('it ran')")
    assert "%%dryrun cannot run a cell that awaits something" in refused
    assert "it ran" not in refused.replace("print('it ran')", "")
    failed = kernel.text("%%dryrun\nogse_device.operate_on()\nraise RuntimeError('half way')")
    assert "ogse_cs.operate_on()" in failed, "what it had commanded is shown"
    assert "half way" in failed
    assert kernel.text("GlobalState.dry_run") == "False"


def test_housekeeping_servers_and_log(kernel: Kernel) -> None:
    shown = kernel.text("%hk GOGSE_ATT_LVL --last 1h")
    assert "Housekeeping of the last 3600 s" in shown
    assert "0..1" in shown
    assert "is no span of time" in kernel.text("%hk GOGSE_ATT_LVL --last soon")
    servers = kernel.text("%cs")
    assert "ogse_cs" in servers
    assert "running" in servers
    one = kernel.text("%cs ogse_cs")
    assert one.startswith("ogse_cs is running")
    assert "GOGSE_ATT_LVL" in one, "the last housekeeping of the device"
    assert "there is no control server 'oops_cs'" in kernel.text("%cs oops_cs")
    assert len(kernel.text("%log 3 INFO *_cs").splitlines()) >= 3


def test_errors_of_servers_are_short(kernel: Kernel) -> None:
    shown = kernel.text("load_setup(99)")
    assert "SetupError: there is no Setup 00099" in shown
    assert "%tb server" in shown
    assert "proxy.py" not in shown
    assert len(shown.splitlines()) < 12
    there = kernel.text("%tb server")
    assert "egse/confman/" in there
    assert "raise SetupError" in there
    everything = kernel.text("%tb")
    assert "proxy.py" in everything
    assert "Traceback of the control server" in everything
    wrong = kernel.text("ogse_device.att_set_level_index(index=77)")
    assert "must be in [0, 46], got 77" in wrong
    assert "proxy.py" not in wrong
    assert "does not come from a control server" in kernel.text("%tb server")
    assert "ZeroDivisionError" in kernel.text("1 / 0")


TABS = {
    "setup.gse.og": "setup.gse.ogse",
    "setup.gse.ogse.dev": "setup.gse.ogse.device",
    "setup.gse.ogse.device.att_get": "setup.gse.ogse.device.att_get_level",
    "x = setup.gse.ogse.device.submit.att_get": "setup.gse.ogse.device.submit.att_get_level",
    "ogse_device.att_get": ".att_get_level",
    "ogse_device.att_set_level_factor(": "factor=",
    'setup["gs': "gse",
    "%obs": "%%observation",
    "%hk GOGSE_ATT_L": "GOGSE_ATT_LVL",
    "%cs ogs": "ogse_cs",
}


def test_tab_and_tooltips_ask_nobody(kernel: Kernel, in_sandbox: Sandbox) -> None:
    with OGSEProxy() as device, device.get_service_proxy() as services:
        before = services.get_server_status()["counters"], services.get_journal(last=1000)
        for code, expected in TABS.items():
            found = kernel.tab(code)
            assert any(match.endswith(expected) for match in found), (code, found)
            assert len(found) == len(set(found)), code
        for name in ("ogse_device.att_set_level_factor", "setup.gse.ogse.device.att_set_level_factor"):
            tip = kernel.tooltip(name)
            assert "(factor" in tip
            assert "0 opaque, 1 clear" in tip
        assert (services.get_server_status()["counters"], services.get_journal(last=1000)) == before
    assert kernel.text("setup.gse.ogse.get_memoized_keys()") in ("[]", "['device']")


def test_a_proxy_of_nobody_can_be_completed(kernel: Kernel) -> None:
    """TAB neither waits for a server that is away nor fails because of it."""
    kernel.run("nobody = OGSEProxy(endpoint='tcp://127.0.0.1:9')")
    assert ".power_on" in kernel.tab("nobody.power_o")
    assert kernel.text("nobody._channel is None") == "True"


def test_any_kernel_can_become_a_session(sandbox: Sandbox, tmp_path: Path) -> None:
    """`%load_ext camtest` in plain IPython, twice, and taken back."""
    import subprocess
    import sys

    lines = "%load_ext camtest\n%load_ext camtest\n%status\n%unload_ext camtest\nGlobalState.dry_run\n"
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"],
        input=lines,
        env={**sandbox.environ(), "IPYTHONDIR": str(tmp_path), "HOME": os.environ.get("HOME", str(tmp_path))},
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    assert "site LAB | Setup 00001" in done.stdout
    assert "False" in done.stdout
    assert "Error" not in done.stdout + done.stderr
