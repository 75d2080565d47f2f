"""The process manager in a dry run, and the words of its status."""

from __future__ import annotations

import pytest

from egse.clock import VirtualClock
from egse.event import EVENT_ID, Event
from egse.procman import ProcessManagerError, ServerState
from egse.procman.pm_cs import APP, status_lines
from egse.site.layout import SiteLayout


def test_a_dry_run_starts_nothing_and_says_that_all_went_well(site: SiteLayout) -> None:
    pm = APP.make_dry_controller(VirtualClock(), {})

    assert not pm.get_status("dummy").up
    assert pm.start_cs("dummy", True).simulator is True
    assert pm.get_all_status()["dummy_cs"].state is ServerState.RUNNING
    assert pm.get_status("sm_cs").kind == "core"
    assert pm.start_fitsgen().kind == "program"
    assert set(pm.shut_down_egse()) == {"dummy_cs"}
    assert pm.stop_fitsgen().state is ServerState.STOPPED
    assert pm.start_egse() == {}
    assert pm.get_devices() == []
    with pytest.raises(ProcessManagerError, match="core service"):
        pm.start_cs("cm_cs")
    event = Event(event_id=EVENT_ID.SETUP, context={"setup_id": 2}, source="cm_cs", timestamp="")
    assert pm.handle_event(event) is None


def test_status_in_words() -> None:
    server = {"title": "x", "simulator": None, "keeper": "supervisor"}
    ports = {
        "commanding": "tcp://127.0.0.1:6200",
        "monitoring": "tcp://127.0.0.1:6201",
        "service": "tcp://127.0.0.1:6202",
    }
    status = {
        "endpoints": ports,
        "setup": "00045",
        "keeper": "supervisor",
        "servers": {
            "sm_cs": {**server, "name": "sm_cs", "kind": "core", "state": "running"},
            "a_cs": {
                **server,
                "name": "a_cs",
                "kind": "device",
                "state": "crashed",
                "settled": False,
                "restarts": 2,
                "reason": "a_cs killed by SIGKILL",
                "stderr": ["last words"],
            },
            "b_cs": {
                **server,
                "name": "b_cs",
                "kind": "device",
                "state": "running",
                "simulator": True,
                "connected": False,
                "keeper": "",
            },
        },
        "devices": [{"place": "gse.c", "device": "class//c.C", "problem": "cannot import c"}],
    }
    assert status_lines(status, full=False) == [
        "Status: active",
        "Hostname: 127.0.0.1",
        "Monitoring port: 6201",
        "Commanding port: 6200",
        "Service port: 6202",
        "Loaded Setup: 00045",
        "Core services:",
        "  sm_cs  running",
        "Device control servers:",
        "  a_cs   crashed (is started again), restarted 2 times",
        "    a_cs killed by SIGKILL",
        "    last words",
        "  b_cs   running (simulator, device not connected, started by hand)",
        "File generation: none",
        "gse.c (class//c.C): cannot import c",
    ]
