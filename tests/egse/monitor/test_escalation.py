"""From a value in a simulator through a real Prometheus and Alertmanager to who is on call, unless an operator takes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from egse.cli import main as cgse

from ...system.alerting import AlertChain, needs_prometheus
from .conftest import VOLTAGE, Watched, wait_until

pytestmark = [pytest.mark.system, needs_prometheus]

ALERTING = {
    "WEBHOOK": "{hook}/operators",
    "ON_CALL_WEBHOOK": "{hook}/on-call",
    "ESCALATE_AFTER": "8s",
    "GROUP_WAIT": "1s",
    "GROUP_INTERVAL": "1s",
}
LIMITS = f"      {VOLTAGE}: {{warning: [0, 5], alarm: [0, 6], critical: [0, 7], clear_after: 0.5}}"
LONG = 120.0


@pytest.fixture
def chain(watched: Watched, tmp_path: Path, free_ports: Callable[[int], list[int]]) -> Iterator[AlertChain]:
    made = AlertChain(tmp_path, watched.box, free_ports(3), ALERTING, "1s")
    try:
        made.configure("mon_cs", "dummy_cs")
        made.start()
        wait_until(lambda: len(made.query('up{job="egse"} == 1')) == 2, "scraping", LONG)
        yield made
    finally:
        made.close()


def test_who_is_on_call_is_told_of_what_nobody_takes(watched: Watched, chain: AlertChain) -> None:
    hook = chain.hook
    watched.use_limits(LIMITS)
    begin = time.time()
    watched.set_voltage(9.0)
    wait_until(lambda: "LimitAlarm" in hook.names("/operators"), "the operators", LONG)
    watched.box.kill("mon_cs")  # nothing is lost over a restart: the alarm goes on
    wait_until(lambda: "Unattended" in hook.names("/on-call", "firing"), "who is on call", LONG)
    (told, *_) = [alert for path, alert in hook.alerts if path == "/on-call"]
    assert (told["labels"]["escalates"], told["labels"]["severity"]) == ("LimitAlarm", "escalation")
    assert (told["labels"]["alarm"], told["labels"]["site"]) == (VOLTAGE, "LAB")
    result = CliRunner().invoke(cgse, ["alarm", "ack", VOLTAGE, "-m", "on my way"])
    assert result.exit_code == 0, result.output
    wait_until(lambda: "Unattended" in hook.names("/on-call", "resolved"), "the end of the escalation", LONG)
    assert "LimitAlarm" not in hook.names("/on-call")
    assert "Unattended" not in hook.names("/operators")
    mine = [event.event for event in watched.events(begin) if event.name == VOLTAGE]
    assert mine == ["raised", "acknowledged"]
