"""The manual's notification process (sections 7.6 to 7.9): configuration manager, storage manager and dummy server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import psutil
import pytest

from egse.authority import ControlError, control
from egse.confman import ConfigurationManagerProxy
from egse.dummy import DummyProxy
from egse.proxy import Proxy
from egse.registration import services_of
from egse.security import KeyFolder, Role
from egse.settings import Settings
from egse.setup import Setup
from egse.storage import StorageProxy

MODULES = {
    "cm_cs": "egse.confman.cm_cs",
    "sm_cs": "egse.storage.sm_cs",
    "dummy_cs": "egse.dummy.dummy_cs",
}
BLOCKS = (
    "Configuration Manager Control Server",
    "Storage Control Server",
    "Dummy Control Server",
    "Logging Control Server",
)
PORTS = ("COMMANDING_PORT", "MONITORING_PORT", "SERVICE_PORT", "RECEIVER_PORT", "DEVICE_PORT")
PROXIES: dict[str, type[Proxy]] = {
    "cm_cs": ConfigurationManagerProxy,
    "sm_cs": StorageProxy,
    "dummy_cs": DummyProxy,
}
SETUP = "Setup:\n  camera:\n    ID: chimay\n"


class Site:
    """A private site; its servers run as processes of this test."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        self.folder = folder
        self.conf = folder / "conf/data/LAB/conf"
        self.processes: dict[str, subprocess.Popen[str]] = {}
        numbers = iter(ports)
        lines = ["SITE:", "  ID: LAB"]
        for block in BLOCKS:
            lines += [f"{block}:", *(f"  {key}: {next(numbers)}" for key in PORTS)]
            lines += ["  HK_DELAY: 0.2", "  HK_MARGIN: 0.01", "  LISTENER_DELAY: 0.1"]
        (folder / "local.yaml").write_text("\n".join(lines) + "\n")
        self.conf.mkdir(parents=True)
        for setup_id in (52, 53):
            (self.conf / f"SETUP_LAB_{setup_id:05d}_230407_091711.yaml").write_text(SETUP)
        git = ["git", "-C", str(folder / "conf"), "-c", "user.name=t", "-c", "user.email=t@t"]
        for arguments in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-qm", "begin")):
            subprocess.run([*git, *arguments], check=True)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "SITE_ID": "LAB",
            "PLATO_LOCAL_SETTINGS": str(self.folder / "local.yaml"),
            "PLATO_DATA_STORAGE_LOCATION": str(self.folder / "data"),
            "PLATO_CONF_DATA_LOCATION": str(self.conf),
            "PLATO_CONF_REPO_LOCATION": str(self.folder / "conf"),
            "PLATO_LOG_FILE_LOCATION": str(self.folder / "log"),
        }

    def command(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", MODULES[name], *arguments]

    def start(self, *names: str) -> None:
        options = {"dummy_cs": ("--simulator",)}
        for name in names:
            with (self.folder / f"{name}.err").open("a") as errors:
                self.processes[name] = subprocess.Popen(
                    self.command(name, "start", *options.get(name, ())),
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    env=os.environ.copy(),
                )
        for name in names:
            out = self.processes[name].stdout
            assert out is not None
            assert out.readline().startswith(f"READY {name}"), (self.folder / f"{name}.err").read_text()

    def end(self, name: str, number: int = signal.SIGTERM) -> tuple[int, float]:
        process = self.processes.pop(name)
        started = time.monotonic()
        process.send_signal(number)
        code = process.wait(30)
        assert process.stdout is not None
        process.stdout.close()
        return code, time.monotonic() - started

    def status_text(self, name: str) -> list[str]:
        done = subprocess.run(
            self.command(name, "status"), capture_output=True, text=True, timeout=20, check=True
        )
        return [line.strip() for line in done.stdout.splitlines()]

    def status(self, name: str) -> dict[str, Any]:
        with services_of(PROXIES[name], 5.0) as services:
            return services.get_server_status()

    def listeners(self) -> list[str]:
        with services_of(ConfigurationManagerProxy, 5.0) as services:
            return sorted(services.get_listener_names())

    def connections(self, name: str, block: str) -> list[int]:
        """Returns the ports of a server in `block` to which the server `name` has a connection."""
        ports = {Settings.load(block)[key] for key in ("COMMANDING_PORT", "SERVICE_PORT", "MONITORING_PORT")}
        connections = psutil.Process(self.processes[name].pid).net_connections("tcp")
        return [c.raddr.port for c in connections if c.raddr and c.raddr.port in ports]


@pytest.fixture
def lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[Site]:
    site = Site(tmp_path, free_ports(len(BLOCKS) * len(PORTS)))
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    Settings.load(force=True)
    yield site
    for name in list(site.processes):
        site.end(name, signal.SIGKILL)
    monkeypatch.undo()
    Settings.load(force=True)


def wait_until(condition: Callable[[], bool], limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.05)


def test_a_new_setup_is_told_to_storage_manager_and_dummy_server(lab: Site) -> None:
    lab.start("sm_cs", "cm_cs", "dummy_cs")
    wait_until(lambda: lab.listeners() == ["Dummy CS", "Storage CS"])
    with ConfigurationManagerProxy() as cm:
        cm.load_setup(53)
        wait_until(lambda: lab.status("dummy_cs")["last_event"] == {"type": "new_setup", **_context(53)})
        wait_until(lambda: lab.status("sm_cs")["setup"] == "00053")
        (listeners,) = (line for line in lab.status_text("cm_cs") if line.startswith("Listeners: "))
        assert set(listeners.removeprefix("Listeners: ").split(", ")) == {"Storage CS", "Dummy CS"}
        assert "Setup loaded: 00053" in lab.status_text("cm_cs")
        assert "Loaded Setup: 00053" in lab.status_text("sm_cs")
        cm.submit_setup(SETUP, "the same again")
        wait_until(lambda: lab.status("sm_cs")["setup"] == "00054")
        wait_until(lambda: lab.status("dummy_cs")["events"] == 2)
    assert "'DUMMY-HK'" in "".join(lab.status_text("sm_cs"))
    log = (lab.folder / "dummy_cs.err").read_text()
    assert "event new_setup received from cm_cs: {'event_type': 'new_setup', 'setup_id': 53, " in log
    assert "event new_setup executed: {'event_type': 'new_setup', 'setup_id': 53, " in log

    # Section 28.2: no socket to the configuration manager stays open, so the server ends; after_serve() un-registers.
    wait_until(lambda: not lab.connections("dummy_cs", BLOCKS[0]))
    code, duration = lab.end("dummy_cs")
    assert code == 0
    assert duration < 5.0
    assert lab.listeners() == ["Storage CS"]


def _context(setup_id: int) -> dict[str, Any]:
    digest = Setup.from_yaml_string(SETUP).digest()[:8] if setup_id < 54 else ANY
    return {"event_type": "new_setup", "setup_id": setup_id, "digest": digest}


def test_loading_a_setup_and_starting_an_observation_at_once_do_not_wait_for_each_other(lab: Site) -> None:
    lab.start("sm_cs", "cm_cs")
    wait_until(lambda: lab.listeners() == ["Storage CS"])
    with ConfigurationManagerProxy() as cm:
        for number, setup_id in enumerate((53, 52, 53, 52)):
            started = time.monotonic()
            cm.load_setup(setup_id)
            run_id = f"run{number}"
            assert cm.start_observation(run_id, "", "", True, 30.0, {})["state"] == "open"
            assert cm.end_observation(run_id, "done")["state"] == "closed"
            assert time.monotonic() - started < 5.0
        wait_until(lambda: lab.status("sm_cs")["setup"] == "00052")


def test_a_storage_manager_that_starts_later_loads_the_setup_that_is_loaded(lab: Site) -> None:
    lab.start("cm_cs")
    with ConfigurationManagerProxy() as cm:
        cm.load_setup(52)
    lab.start("sm_cs")
    wait_until(lambda: "Setup 00052 fetched" in (lab.folder / "sm_cs.err").read_text())
    assert lab.status("sm_cs")["setup"] == "00052"


def test_events_in_operations_mode(lab: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """CURVE on loopback and control required: servers tell each other with the key of the servers, without control."""
    keys = KeyFolder(lab.folder / "keys")
    for name in ("server", "alice"):
        keys.create(name)
    keys.authorize("alice", Role.COMMAND)
    monkeypatch.setenv("PLATO_KEYS_LOCATION", str(keys.path))
    monkeypatch.setenv("PLATO_KEY_NAME", "alice")
    settings = lab.folder / "local.yaml"
    settings.write_text(
        settings.read_text().replace("  ID: LAB\n", "  ID: LAB\n  CURVE: required\n  CONTROL: required\n")
    )
    Settings.load(force=True)
    lab.start("sm_cs", "cm_cs", "dummy_cs")
    wait_until(lambda: lab.listeners() == ["Dummy CS", "Storage CS"])
    with ConfigurationManagerProxy() as cm, control(reason="a test"):
        cm.load_setup(53)
    wait_until(lambda: lab.status("dummy_cs")["events"] == 1)
    wait_until(lambda: lab.status("sm_cs")["setup"] == "00053")
    with DummyProxy() as dummy, pytest.raises(ControlError, match="needs control of the site"):
        dummy.set_voltage(1.0)


def test_the_servers_end_in_any_order(lab: Site) -> None:
    lab.start("sm_cs", "cm_cs", "dummy_cs")
    wait_until(lambda: lab.listeners() == ["Dummy CS", "Storage CS"])
    for name in ("cm_cs", "dummy_cs", "sm_cs"):
        code, duration = lab.end(name)
        assert code == 0, name
        assert duration < 5.0, name
