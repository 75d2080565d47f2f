"""A real Prometheus and a real Alertmanager (packages of Debian) at the running sandbox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camtest import building_block, observation
from egse.metrics.alarms import alarm_figures
from egse.metrics.dashboards import all_dashboards
from egse.metrics.panels import ANNOTATIONS
from egse.metrics.port import MetricsPort
from egse.metrics.prometheus import TARGETS_FILE
from egse.metrics.rules import RECORDINGS
from egse.metrics.screens import selection
from egse.settings import Settings
from egse.site.sandbox import Sandbox
from egse.tmdict import template_dictionary

from .alerting import AlertChain, needs_prometheus
from .conftest import SCRIPTS, eventually

pytestmark = [pytest.mark.system, needs_prometheus]

SERVERS = (
    *("log_cs", "sm_cs", "cm_cs", "pm_cs", "syn_cs", "wd_cs"),
    *("dpu_cs", "ogse_cs", "lsci336_cs", "n_fee_hk", "fitsgen"),
)
VICTIM = "dummy_cs"
STAND_IN = "stand_in"

ELSEWHERE = {"SYN-HK": "synoptics of devices that are not in the sandbox"}
"""Producers whose parameters come from the stand-in as well; beside those without a server here, which are found out."""

EXPLAINED = {
    ANNOTATIONS[1][1]: "building blocks: see the test of the running observation",
    ANNOTATIONS[2][1]: "alerts of the site: none while all is well",
    ANNOTATIONS[0][1]: "observations: see the test of the running observation",
}
"""Expressions that return nothing in a sandbox in which nothing is wrong and nothing is done."""


class Monitoring(AlertChain):
    """The chain at the running sandbox, with a stand-in for servers that are not in it."""

    def __init__(self, folder: Path, sandbox: Sandbox, ports: list[int]) -> None:
        alerting = {"WEBHOOK": "{hook}/all", "HEARTBEAT": "{hook}/heartbeat", "GROUP_WAIT": "1s"}
        super().__init__(folder, sandbox, ports[:3], alerting, "2s")
        self.stand_in_port = ports[3]
        self.alarms: list[tuple[str, str, bool]] = []
        self.stand_in = MetricsPort(
            STAND_IN, {"METRICS_PORT": self.stand_in_port}, figures=lambda: alarm_figures(self.alarms)
        )

    def start(self) -> None:
        self.configure(*SERVERS, VICTIM)
        self.stand_in.start()
        path = self.folder / TARGETS_FILE
        groups = json.loads(path.read_text())
        stand_in = {
            "targets": [f"127.0.0.1:{self.stand_in_port}"],
            "labels": {"server": STAND_IN, "kind": "device", "site": "LAB"},
        }
        path.write_text(json.dumps([*groups, stand_in]))
        super().start()

    def close(self) -> None:
        super().close()
        self.stand_in.close()


@pytest.fixture(scope="module")
def monitoring(
    sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[Monitoring]:
    made = Monitoring(tmp_path_factory.mktemp("monitoring"), sandbox, free_ports(4))
    try:
        made.start()
        up = f'count(up{{job="egse", server=~"{"|".join(SERVERS)}"}} == 1)'
        eventually(
            lambda: [one for one in made.query(up) if one["value"][1] == str(len(SERVERS))], what="scraping"
        )
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def stand_in(monitoring: Monitoring, sandbox: Sandbox) -> Iterator[Monitoring]:
    """The stand-in tells all parameters of producers that have no server in the sandbox."""
    dictionary = template_dictionary()
    with sandbox.joined():
        here = {
            str(block.get("STORAGE_MNEMONIC"))
            for name, block in Settings.load(force=True).items()
            if isinstance(block, dict) and _runs(name)
        } | {"N-FEE-HK"}
    rows = [row for row in dictionary.parameters if row.mnemonic not in here or row.mnemonic in ELSEWHERE]
    values = {(row.synoptic_name if row.is_synoptic else row.name): 1.0 for row in rows}
    ending = threading.Event()

    def publish() -> None:
        while not ending.wait(1.0):
            monitoring.stand_in.note("housekeeping", values)

    thread = threading.Thread(target=publish)
    thread.start()
    yield monitoring
    ending.set()
    thread.join()


def _runs(block: str) -> bool:
    """Says whether the server of a settings block is one of `SERVERS`."""
    names = {
        "log_cs": "Logging",
        "sm_cs": "Storage",
        "cm_cs": "Configuration Manager",
        "pm_cs": "Process Manager",
        "syn_cs": "Synoptics Manager",
        "wd_cs": "Watchdog",
        "dpu_cs": "DPU",
        "ogse_cs": "OGSE",
        "lsci336_cs": "LSCI336",
        "n_fee_hk": "N-FEE-HK",
        "fitsgen": "FITS Generator",
    }
    assert set(names) == set(SERVERS)
    return block.removesuffix(" Control Server") in names.values()


def _pages(monitoring: Monitoring) -> dict[str, str]:
    pages = {}
    for group in json.loads((monitoring.folder / TARGETS_FILE).read_text()):
        server = group["labels"]["server"]
        if server in SERVERS:
            with urllib.request.urlopen(f"http://{group['targets'][0]}/metrics", timeout=10) as answer:
                pages[server] = answer.read().decode()
    assert set(pages) == set(SERVERS)
    return pages


def test_promtool_finds_nothing_in_what_servers_tell(monitoring: Monitoring) -> None:
    for server, page in _pages(monitoring).items():
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), server


def test_every_expression_of_every_dashboard_returns_data(stand_in: Monitoring) -> None:
    boards = all_dashboards(template_dictionary())
    expressions = {expr for board in boards for expr in board.expressions()} | {
        entry[1] for entry in ANNOTATIONS
    }
    wanted = sorted(expressions - set(EXPLAINED))
    assert len(wanted) > 120

    def without_data() -> list[str]:
        return [expr for expr in wanted if not stand_in.query(_concrete(expr))]

    last: list[str] = wanted

    def all_there() -> bool:
        nonlocal last
        last = [expr for expr in last if not stand_in.query(_concrete(expr))]
        return not last

    try:
        eventually(all_there, timeout=40.0)
    except AssertionError:
        raise AssertionError(f"no data: {without_data()}") from None


def _concrete(expr: str) -> str:
    return expr.replace("$__rate_interval", "20s").replace("$site", "LAB")


def test_every_recording_rule_records(monitoring: Monitoring) -> None:
    for name in RECORDINGS:
        eventually(lambda name=name: monitoring.query(f'{name}{{site="LAB"}}'), what=name)


def test_values_and_times_arrive_under_the_names_of_the_dictionary(monitoring: Monitoring) -> None:
    (one,) = eventually(lambda: monitoring.query("NFEE_CCD1_TS"))
    assert one["metric"] == {
        "__name__": "NFEE_CCD1_TS",
        "instance": one["metric"]["instance"],
        "job": "egse",
        "kind": "device",
        "server": "n_fee_hk",
        "site": "LAB",
    }
    (age,) = monitoring.query("time() - GOGSE_ATT_LVL_ts")
    assert -5.0 < float(age["value"][1]) < 30.0
    (processor,) = monitoring.query('egse_server_process_resident_memory_bytes{process="processor"}')
    assert float(processor["value"][1]) > 1e7


def test_no_series_goes_on_after_its_server_has_died(monitoring: Monitoring, in_sandbox: Sandbox) -> None:
    victim = subprocess.Popen(
        [str(SCRIPTS / VICTIM), "start", "--simulator"],
        env=os.environ.copy(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        series = f'count({{server="{VICTIM}", __name__!~"up|scrape_.*|ALERTS.*"}})'
        eventually(
            lambda: monitoring.query(f'GLAB_DUMMY_VOLTAGE{{server="{VICTIM}"}}'), what="its housekeeping"
        )
        assert int(monitoring.query(series)[0]["value"][1]) > 20
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    eventually(lambda: monitoring.query(f'up{{server="{VICTIM}"}} == 0'), what="noticing the death")
    eventually(lambda: not monitoring.query(series), timeout=10.0, what="the end of its series")
    assert monitoring.query(selection([template_dictionary()["GOGSE_ATT_LVL"]]).replace("$site", "LAB"))


def test_alarms_and_heartbeat_go_through_alertmanager(monitoring: Monitoring) -> None:
    monitoring.alarms = [("TRP1_HIGH", "critical", False)]
    try:
        eventually(lambda: "Heartbeat" in monitoring.hook.names("/heartbeat"), 120.0, "the heartbeat")
        eventually(lambda: "LimitAlarm" in monitoring.hook.names("/all"), 120.0, "the alarm")
    finally:
        monitoring.alarms = []
    (alert, *_) = [alert for path, alert in monitoring.hook.alerts if path == "/all"]
    assert alert["labels"]["severity"] == "critical"
    assert alert["labels"]["site"] == "LAB"
    assert alert["annotations"]["summary"] == "TRP1_HIGH: critical of the limit monitor"
    assert "Heartbeat" not in monitoring.hook.names("/all")


_seen: dict[str, Any] = {}


@building_block
def watch_metrics(marker: str) -> None:
    """Waits until Prometheus knows of the observation and of this very building block.

    Args:
        marker: how the block is recognised.
    """
    _seen["observation"] = eventually(lambda: _seen["query"](_concrete(ANNOTATIONS[0][1])), what=marker)
    _seen["block"] = eventually(lambda: _seen["query"](_concrete(ANNOTATIONS[1][1])), what=marker)


def test_observations_and_building_blocks_are_annotations(
    monitoring: Monitoring, in_sandbox: Sandbox
) -> None:
    _seen["query"] = monitoring.query
    with observation("metrics of a running observation") as running:
        watch_metrics(marker="seen")
    assert _seen["observation"][0]["metric"]["obsid"] == _seen["block"][0]["metric"]["obsid"]
    assert "watch_metrics" in _seen["block"][0]["metric"]["block"]
    assert running is not None
    eventually(lambda: not monitoring.query(_concrete(ANNOTATIONS[0][1])), what="the end of the observation")
    eventually(lambda: not monitoring.query(_concrete(ANNOTATIONS[1][1])), what="the end of the block")
