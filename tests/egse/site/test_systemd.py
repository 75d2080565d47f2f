"""Unit files, and device servers as units: what is written, and what systemctl is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from egse.cli.device import device
from egse.cli.systemd import systemd
from egse.env import VARIABLES
from egse.process import LaunchError, State, SubProcess
from egse.procman import ProcessManagerError, ServerState
from egse.procman.manager import ProcessManagerController
from egse.settings import Settings
from egse.site.keepers import SupervisorKeeper, own_unit, site_keeper
from egse.site.layout import SiteError, SiteLayout
from egse.site.programs import core_entries, device_entry
from egse.site.systemd import environment_text, install, make_files
from egse.site.units import UnitKeeper

SYSTEMCTL = """\
#!{python}
import json, sys
from pathlib import Path
folder = Path({folder!r})
units = json.loads((folder / "units.json").read_text())
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
words = [word for word in sys.argv[1:] if not word.startswith("-")]
verb, names = words[0], words[1:]
if verb == "start" and units.get("refuse"):
    sys.exit("Failed to start: Interactive authentication required.")
for name in names:
    unit = units.setdefault(name, {{"ActiveState": "inactive"}})
    if verb == "start":
        unit.update(ActiveState="active", SubState="running", MainPID=str({pid}))
    elif verb == "stop":
        unit.update(ActiveState="inactive", SubState="dead", MainPID="0")
    elif verb == "show":
        for key, value in {{"Id": name, "LoadState": "loaded", **unit}}.items():
            print(f"{{key}}={{value}}")
        print()
(folder / "units.json").write_text(json.dumps(units))
"""

JOURNALCTL = "#!/bin/sh\necho 'OSError: libximc.so: cannot open shared object file'\n"


class FakeSystemd:
    """Programs called systemctl and journalctl that do as if."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder = folder
        folder.mkdir()
        self.set({})
        (folder / "systemctl").write_text(
            SYSTEMCTL.format(python=sys.executable, folder=str(folder), pid=pid)
        )
        (folder / "journalctl").write_text(JOURNALCTL)
        for name in ("systemctl", "journalctl"):
            (folder / name).chmod(0o755)

    def set(self, units: dict[str, object]) -> None:
        (self.folder / "units.json").write_text(json.dumps(units))

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSystemd]:
    """The programs on the PATH; every unit that they start is one and the same process, which says nothing."""
    with SubProcess("unit", [sys.executable, "-c", "import signal; signal.pause()"]) as unit:
        fake = FakeSystemd(tmp_path / "systemd", unit.pid)
        monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
        yield fake


def settings_of(text: str) -> dict[str, list[str]]:
    """Returns the lines of a unit file by their key."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_units_equal_those_of_the_manual_in_effect(site: SiteLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATO_INSTALL_LOCATION", "/cgse")
    files = {file.path.name: file for file in make_files("plato-data", "plato-data")}

    assert str(files["env.txt"].path) == "/cgse/env.txt"
    assert {f"{entry.name}.service" for entry in core_entries()} < set(files)
    manager = settings_of(files["pm_cs.service"].text)
    assert manager["User"] == manager["Group"] == ["plato-data"]
    assert manager["EnvironmentFile"] == ["/cgse/env.txt"]
    assert manager["ExecStart"][0].endswith("/pm_cs start")
    assert {"network-online.target", "cm_cs.service"} <= set(manager["After"][0].split())
    assert manager["Restart"] == ["on-failure"]
    assert manager["WantedBy"] == ["multi-user.target"]
    assert manager["KillMode"] == ["process"], "nothing that it has started ends with it"
    template = settings_of(files["cgse-device@.service"].text)
    assert template["EnvironmentFile"] == ["/cgse/env.txt", f"-{site.run}/units/%i.env"]
    assert template["ExecStart"][0].endswith("/%i start $CGSE_OPTIONS")
    for unit in (manager, template):
        assert (unit["NoNewPrivileges"], unit["ProtectSystem"], unit["UMask"]) == (
            ["yes"],
            ["strict"],
            ["0077"],
        )
        assert int(unit["LimitNOFILE"][0]) >= 4096
        assert str(site.data) in unit["ReadWritePaths"][0].split()
    assert 'subject.user == "plato-data"' in files["49-cgse.rules"].text


def test_back_off_as_far_as_systemd_can(site: SiteLayout) -> None:
    def of_version(version: int) -> dict[str, list[str]]:
        (unit,) = (file for file in make_files(version=version) if file.path.name == "sm_cs.service")
        return settings_of(unit.text)

    assert of_version(255)["RestartMaxDelaySec"] == ["30"]
    assert "RestartSteps" not in of_version(252)
    assert of_version(252)["RestartSec"] == ["3"]


def test_the_environment_file_has_every_variable_and_the_libraries(
    site: SiteLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/my libs")
    lines = environment_text().splitlines()

    assert 'LD_LIBRARY_PATH="/opt/my libs"' in lines
    assert "SITE_ID=LAB" in lines
    assert f"PLATO_DATA_STORAGE_LOCATION={site.data_root}" in lines
    for name in VARIABLES:
        assert any(line.removeprefix("#").startswith(f"{name}=") for line in lines), name
    with pytest.raises(SiteError, match="more than one line"):
        environment_text({"SITE_ID": "A\nB"})


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze on this machine"
)
def test_systemd_finds_nothing_to_complain_about(site: SiteLayout, tmp_path: Path) -> None:
    folder = tmp_path / "units"
    files = make_files(environment_file=folder / "env.txt")
    units = [str(path) for path in install(files, folder) if path.suffix == ".service"]
    # Debian's plymouth and the like are not installed everywhere: --man=no, and only what our files cause counts.
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert str(folder) not in done.stderr


def test_the_command_prints_or_writes(site: SiteLayout, tmp_path: Path) -> None:
    run = CliRunner().invoke
    printed = run(systemd, ["install", "--print", "--user", "plato-data"])
    assert printed.exit_code == 0
    assert "# ==== /etc/systemd/system/cm_cs.service\n[Unit]" in printed.output
    folder = tmp_path / "units"
    written = run(systemd, ["install", "--dir", str(folder), "--user", "plato-data"])
    assert written.exit_code == 0, written.output
    assert "systemctl enable --now" in written.output
    assert (folder / "pm_cs.service").stat().st_mode & 0o777 == 0o644
    assert (folder / "env.txt").stat().st_mode & 0o777 == 0o640
    assert (folder / "pm_cs.service").read_text() in printed.output
    bad = run(systemd, ["install", "--print", "--user", "a b"])
    assert bad.exit_code == 1
    assert "is no name of a user" in bad.output


def test_which_keeper(site: SiteLayout) -> None:
    Settings.load(force=True)
    assert isinstance(site_keeper(), SupervisorKeeper)
    assert own_unit("0::/system.slice/pm_cs.service\n") == "pm_cs.service"
    assert own_unit("0::/system.slice/system-cgse\\x2ddevice.slice/cgse-device@ogse_cs.service\n") == (
        "cgse-device@ogse_cs.service"
    )
    assert own_unit("0::/user.slice/user-1000.slice/session-2.scope\n") == ""
    text = site.settings.read_text()
    block = "Process Manager Control Server:\n"
    site.settings.write_text(text.replace(block, f"{block}  LAUNCHER: systemd\n"))
    Settings.load(force=True)
    assert isinstance(site_keeper(), UnitKeeper)
    site.settings.write_text(text.replace(block, f"{block}  LAUNCHER: cron\n"))
    Settings.load(force=True)
    with pytest.raises(SiteError, match="choose auto, supervisor, systemd"):
        site_keeper()


def test_devices_are_units(site: SiteLayout, fake: FakeSystemd) -> None:
    keeper = UnitKeeper(site.run)
    entry = device_entry("ogse")
    assert keeper.states([entry])["ogse_cs"].state is State.STOPPED

    keeper.start(entry, simulator=True)
    status = keeper.states([entry])["ogse_cs"]
    assert (status.state, status.since > 0) == (State.RUNNING, True)
    assert keeper.is_simulator("ogse_cs")
    options = site.run / "units" / "ogse_cs.env"
    assert options.read_text() == "CGSE_OPTIONS=--simulator\n"
    assert options.stat().st_mode & 0o777 == 0o600
    keeper.start(entry)
    assert not keeper.is_simulator("ogse_cs")
    keeper.stop(["ogse_cs"])
    assert keeper.states([entry])["ogse_cs"].state is State.STOPPED
    assert [call for call in fake.calls if " show" not in call] == [
        "--no-ask-password reset-failed cgse-device@ogse_cs.service",
        "--no-ask-password start cgse-device@ogse_cs.service",
        "--no-ask-password reset-failed cgse-device@ogse_cs.service",
        "--no-ask-password start cgse-device@ogse_cs.service",
        "--no-ask-password stop --no-block cgse-device@ogse_cs.service",
    ]


def test_a_unit_that_crashed_says_why(site: SiteLayout, fake: FakeSystemd) -> None:
    keeper = UnitKeeper(site.run)
    entry = device_entry("ogse")
    unit = {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "1"}
    fake.set({"cgse-device@ogse_cs.service": unit})
    status = keeper.states([entry])["ogse_cs"]

    assert status.state is State.FATAL
    assert status.reason == (
        "cgse-device@ogse_cs.service ended with exit code 1:\nOSError: libximc.so: cannot open shared object file"
    )
    unit.update(
        ActiveState="activating", SubState="auto-restart", Result="signal", ExecMainStatus="9", NRestarts="2"
    )
    fake.set({"cgse-device@ogse_cs.service": unit})
    status = keeper.states([entry])["ogse_cs"]
    assert (status.state, status.restarts) == (State.BACKOFF, 2)
    assert "killed by SIGKILL" in status.reason
    fake.set({"refuse": True})
    with pytest.raises(LaunchError, match="Interactive authentication required"):
        keeper.start(entry)


@pytest.fixture
def under_systemd(site: SiteLayout, fake: FakeSystemd) -> FakeSystemd:
    """A site whose device servers are units."""
    block = "Process Manager Control Server:\n"
    site.settings.write_text(site.settings.read_text().replace(block, f"{block}  LAUNCHER: systemd\n"))
    Settings.load(force=True)
    return fake


def test_the_process_manager_starts_units(under_systemd: FakeSystemd) -> None:
    manager = ProcessManagerController(site_keeper())
    try:
        status = manager.start_cs("ogse", sim_mode=True)
        assert (status.name, status.keeper, status.simulator) == ("ogse_cs", "systemd", True)
        assert status.state is ServerState.STARTING, "its unit is there, it does not answer yet"
        assert status.pid is not None
        under_systemd.set({"cgse-device@ogse_cs.service": {"ActiveState": "failed", "ExecMainStatus": "1"}})
        crashed = manager.get_status("ogse_cs")
        assert (crashed.state, crashed.settled) == (ServerState.CRASHED, True)
        assert crashed.stderr == ("OSError: libximc.so: cannot open shared object file",)
        manager.shut_down_cs("ogse_cs")
        assert manager.get_status("ogse_cs").state is ServerState.STOPPED
        assert "--no-ask-password stop --no-block cgse-device@ogse_cs.service" in under_systemd.calls
        under_systemd.set({"refuse": True})
        with pytest.raises(ProcessManagerError, match="Interactive authentication required"):
            manager.start_cs("ogse_cs")
    finally:
        manager.close()


def test_the_command_line_starts_units_too(under_systemd: FakeSystemd) -> None:
    started = CliRunner().invoke(device, ["ogse", "start", "--simulator"])
    assert started.exit_code == 0, started.output
    assert "ogse_cs  running" in started.output
    assert CliRunner().invoke(device, ["ogse", "status"]).exit_code == 0
    stopped = CliRunner().invoke(device, ["ogse", "stop"])
    assert "ogse_cs  stopped" in stopped.output
    assert "--no-ask-password start cgse-device@ogse_cs.service" in under_systemd.calls
