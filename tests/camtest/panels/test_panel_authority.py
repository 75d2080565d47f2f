"""Panels of sessions that may not command: the server refuses, and the operator reads why."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from camtest.panels import DevicePanel
from camtest.tasks.catalogue import read_catalogue
from camtest.tasks.form import immediate_call
from camtest.tasks.session import TaskSession
from egse.authority import control
from egse.dummy import DummyProxy
from egse.security import KeyFolder, Role
from egse.security.curve import act_as
from egse.settings import Settings
from egse.site.layout import SiteLayout
from egse.site.localsettings import read_local_settings, write_local_settings

from .conftest import DummyServer, eventually


@pytest.fixture
def guarded_site(
    dummy_site: SiteLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SiteLayout]:
    """A site in operations mode: keys of alice (command) and olivia (observe), control required."""
    keys = KeyFolder(tmp_path / "keys")
    for name in ("server", "alice", "olivia"):
        keys.create(name)
    keys.authorize("alice", Role.COMMAND)
    keys.authorize("olivia", Role.OBSERVE)
    monkeypatch.setenv("PLATO_KEYS_LOCATION", str(keys.path))
    monkeypatch.setenv("PLATO_KEY_NAME", "alice")
    monkeypatch.delenv("CGSE_CONTROL_TOKEN", raising=False)
    settings = read_local_settings(dummy_site.settings)
    guarded = {**settings.get("SITE", {}), "CURVE": "required", "CONTROL": "required"}
    write_local_settings(dummy_site.settings, {**settings, "SITE": guarded})
    Settings.load(force=True)
    act_as(None)
    manager = subprocess.Popen(
        [sys.executable, "-m", "egse.confman.cm_cs", "start"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert manager.stdout is not None
    assert manager.stdout.readline().startswith("READY cm_cs")
    yield dummy_site
    manager.kill()
    manager.wait()
    manager.stdout.close()
    monkeypatch.undo()
    Settings.load(force=True)


def test_refusals_are_readable(
    guarded_site: SiteLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = DummyServer(tmp_path)
    server.start()
    try:
        with DevicePanel(DummyProxy()) as panel:  # alice, who does not have control
            panel.send("set_voltage", {"voltage": 1.0})
            eventually(lambda: "control" in panel.message.value, "the refusal")
        monkeypatch.setenv("PLATO_KEY_NAME", "olivia")
        with DevicePanel(DummyProxy()) as panel:
            eventually(lambda: panel.telemetry.rows, "housekeeping, which observers get")
            panel.send("set_voltage", {"voltage": 1.0})
            expected = "needs the role `command`; the key of olivia has `observe`"
            eventually(lambda: expected in panel.message.value, "the refusal")
        assert [name for name, _ in server.commands()] == []
    finally:
        server.kill()


TASKS = """\
from camtest.tasks import exec_ui
from egse.dummy import DummyProxy

@exec_ui(immediate_run=True)
def more_voltage():
    with DummyProxy() as dummy:
        dummy.set_voltage(voltage=5.0)
"""


@pytest.mark.parametrize("mode", ["kernel", "script"])
def test_a_task_without_control_is_refused_in_words(
    guarded_site: SiteLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    package = tmp_path / "packages" / "guarded_tasks"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setenv("CAMTEST_RUNS_LOCATION", str(tmp_path / "runs"))
    server = DummyServer(tmp_path)
    server.start()
    session = TaskSession(read_catalogue(["guarded_tasks"]))
    try:
        ((task,),) = [group.tasks for tab in session.catalogue.tabs for group in tab.groups]
        run = session.start(immediate_call(task), mode)
        assert run.over.wait(60)
        assert run.outcome is not None
        assert run.outcome.status == "failed"
        said = session.console.text
        assert "REFUSED: set_voltage" in said, said
        assert "control" in said
        assert "Traceback" not in said
        assert [name for name, _ in server.commands()] == []
        session.console.clear()
        with control(reason="a task"):
            run = session.start(immediate_call(task), "kernel")
            assert run.over.wait(60)
        assert run.outcome is not None
        assert run.outcome.status == "done", session.console.text
        assert ("set_voltage", {"voltage": 5.0}) in server.commands()
    finally:
        session.close()
        server.kill()
        sys.modules.pop("guarded_tasks.tasks", None)
        sys.modules.pop("guarded_tasks", None)
