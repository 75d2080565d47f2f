"""A small site with a limit monitor: core services, a device with its model, a webhook of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.confman import ConfigurationManagerProxy
from egse.dummy import DummyProxy
from egse.monitor import AlarmEvent, LimitMonitorProxy, read_alarm_events
from egse.site.localsettings import read_local_settings, write_local_settings
from egse.site.ports import release_block
from egse.site.programs import Entry, Kind, known_entry, programs_of
from egse.site.sandbox import Sandbox

from ...receiver import JSONReceiver

PATIENCE = 60.0
"""How long something may take on a busy machine [s]."""
VOLTAGE = "GLAB_DUMMY_VOLTAGE"


class Watched:
    """A site that is watched.

    Attributes:
        box: the sandbox.
        calls: events that the webhook has got, with the time of their arrival (Unix time [s]).
    """

    def __init__(self, folder: Path) -> None:
        self.calls: list[tuple[float, dict[str, Any]]] = []
        self._hook = JSONReceiver(self._take)
        names = ("log_cs", "sm_cs", "cm_cs", "wd_cs", "mon_cs")
        entries = [entry for name in names if (entry := known_entry(name)) is not None]
        dummy = Entry("dummy_cs", Kind.DEVICE, "dummy", "Dummy Control Server").program(simulator=True)
        self.box = Sandbox(folder, programs=[*programs_of(entries), dummy], monitor=True)
        self.box.create()
        settings = read_local_settings(self.box.layout.settings)
        settings["Limit Monitor Control Server"]["ROUTES"] = {"WEBHOOKS": [self._hook.url]}
        write_local_settings(self.box.layout.settings, settings)

    def close(self) -> None:
        self.box.stop()
        release_block(self.box.directory)
        self._hook.close()

    def _take(self, _path: str, content: Any) -> int:
        self.calls += [(time.time(), event) for event in content["events"]]
        return 200

    @property
    def folder(self) -> Path:
        return self.box.layout.data / "alarms"

    def call(self, kind: str = "raised", name: str = "") -> tuple[float, dict[str, Any]] | None:
        """Returns the first call for an event of this kind, of one alarm or of any."""
        wanted = (call for call in self.calls if call[1]["event"] == kind and name in ("", call[1]["name"]))
        return next(wanted, None)

    def monitor(self) -> LimitMonitorProxy:
        return LimitMonitorProxy(timeout=PATIENCE)

    def alarms(self) -> dict[str, dict[str, Any]]:
        with self.monitor() as monitor:
            return {alarm["name"]: alarm for alarm in monitor.get_alarms()}

    def events(self, since: float) -> list[AlarmEvent]:
        return list(read_alarm_events(self.folder, since))

    def set_voltage(self, voltage: float) -> None:
        with DummyProxy(timeout=PATIENCE) as dummy:
            dummy.set_voltage(voltage=voltage)

    def use_limits(self, limits: str) -> str:
        """Submits a Setup with these limits (YAML flow or block text, indented by 6) and waits for the monitor."""
        with ConfigurationManagerProxy(timeout=PATIENCE) as manager:
            text = manager.get_setup()["yaml"]
            head, _, _ = text.partition("\n  monitor:")
            body = f"{head.rstrip()}\n  monitor:\n    limits:\n{limits}\n"
            setup = f"{int(manager.submit_setup(yaml=body, description='other limits')['setup_id']):05d}"
        with self.monitor() as monitor:
            services = monitor.get_service_proxy()
            wait_until(
                lambda: services.get_server_status()["setup"] == setup, f"Setup {setup} in the monitor"
            )
            services.disconnect_cs()
        return setup

    def clean(self) -> None:
        """Has all alarms acknowledged and gone."""
        self.set_voltage(1.0)

        def nothing_left() -> bool:
            with self.monitor() as monitor:
                if monitor.get_limits(VOLTAGE)[0]["source"] != "dummy_cs":
                    return False  # it has not been heard yet
                alarms = monitor.get_alarms()
                if not any(alarm["active"] for alarm in alarms):
                    for alarm in alarms:
                        monitor.acknowledge(alarm["name"])
                return not alarms

        wait_until(nothing_left, "the end of all alarms")


def wait_until(condition: Callable[[], Any], what: str, limit: float = PATIENCE) -> Any:
    """Waits for something that another process does; returns what the condition did."""
    deadline = time.monotonic() + limit
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {limit:g} s"
        threading.Event().wait(0.05)
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    watched = Watched(tmp_path_factory.mktemp("watched") / "box")
    try:
        watched.box.start(timeout=240.0)
        yield watched
    finally:
        watched.close()


@pytest.fixture
def watched(running: Watched) -> Iterator[Watched]:
    """The watched site, joined by this process, without any alarm."""
    with running.box.joined():
        running.clean()
        running.calls.clear()
        yield running
