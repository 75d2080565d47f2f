"""The process manager alone: no Setup at first, no supervisor, started by hand and killed."""

from __future__ import annotations

import signal
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from egse.confman import ConfigurationManagerProxy
from egse.process import Supervision
from egse.process.identity import marked_processes
from egse.procman import ProcessManagerError, ProcessManagerProxy
from egse.settings import Settings
from egse.setup import NoSetupError
from egse.site.layout import SiteLayout, merged_environment
from egse.site.programs import core_entries, programs_of
from egse.site.supervise import require_all, start_programs
from egse.storage.naming import LAST_SETUP_ID

from .conftest import wait_until

pytestmark = pytest.mark.system

SCRIPTS = Path(sysconfig.get_path("scripts"))


@pytest.fixture
def supervision(site: SiteLayout) -> Iterator[Supervision]:
    """The supervision of a site that has never loaded a Setup; nothing runs."""
    (site.data / LAST_SETUP_ID).unlink()
    Settings.load(force=True)
    supervision = Supervision(site.run, site.log)
    yield supervision
    supervision.shut_down()
    assert marked_processes(site.run) == []


def pm_status(site: SiteLayout) -> str:
    environment = merged_environment(site.environment)
    command = [str(SCRIPTS / "pm_cs"), "status"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_first_start_without_a_setup(supervision: Supervision, site: SiteLayout) -> None:
    entries = [entry for entry in core_entries() if entry.name in ("log_cs", "sm_cs", "cm_cs", "pm_cs")]
    require_all(start_programs(supervision, programs_of(entries)))
    with ProcessManagerProxy(timeout=120.0) as pm, ConfigurationManagerProxy() as cm:
        assert pm.get_setup_id() is None
        assert pm.get_devices() == []
        assert "No Setup loaded: the devices are not known (cm_cs load-setup ID)" in pm_status(site)
        with pytest.raises(
            ProcessManagerError, match="no Setup is loaded; load one with `cm_cs load-setup ID`"
        ):
            pm.start_egse()
        wait_until(lambda: "no Setup is loaded" in (site.log / "general.log").read_text())
        with pytest.raises(NoSetupError):
            cm.get_setup()
        wait_until(lambda: "get_setup refused" in (site.log / "general.log").read_text())
        assert "get_setup failed" not in (site.log / "general.log").read_text(), "nothing is wrong"
        cm.load_setup(1)
        wait_until(lambda: pm.get_setup_id() == "00001")
        servers = {device.server for device in pm.get_devices()}
        assert servers >= {"ogse_cs", "lsci336_cs", "dpu_cs", "aeu_crio_cs", "aeu_psu6_cs", "aeu_awg2_cs"}
        assert "" not in servers, "each device has a server"
        assert "Loaded Setup: 00001" in pm_status(site)


def by_hand(site: SiteLayout) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [str(SCRIPTS / "pm_cs"), "start"],
        env=merged_environment(site.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("READY pm_cs")
    return process


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_was_started_by_hand_leaves_everything_running(
    supervision: Supervision, site: SiteLayout, signum: signal.Signals
) -> None:
    with by_hand(site) as first, ProcessManagerProxy(timeout=120.0) as pm:
        dummy = pm.start_cs("dummy_cs", sim_mode=True)
        first.send_signal(signum)
        first.wait(timeout=60)
    assert list(supervision.launcher.status()) == ["dummy_cs"]
    with by_hand(site) as second, ProcessManagerProxy(timeout=120.0) as pm:
        found = pm.get_status("dummy_cs")
        assert (found.up, found.pid, found.simulator) == (True, dummy.pid, True)
        assert not pm.shut_down_cs("dummy_cs").up
        second.terminate()
        assert second.wait(timeout=60) == 0
