"""A real Prometheus and a real Alertmanager (packages of Debian) at the running sandbox."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from camtest import building_block, observation
from egse.metrics.alarms import alarm_figures
from egse.metrics.dashboards import all_dashboards
from egse.metrics.panels import ANNOTATIONS
from egse.metrics.port import MetricsPort
from egse.metrics.prometheus import ALERTMANAGER_FILE, SERVER_FILE, TARGETS_FILE
from egse.metrics.rules import RECORDINGS
from egse.metrics.screens import selection
from egse.settings import Settings
from egse.site.sandbox import Sandbox
from egse.tmdict import template_dictionary
from egse.yamlfile import format_yaml, parse_yaml

from .conftest import SCRIPTS, eventually

PROMETHEUS, ALERTMANAGER = shutil.which("prometheus"), shutil.which("prometheus-alertmanager")

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        PROMETHEUS is None or ALERTMANAGER is None,
        reason="Prometheus is not installed (apt install prometheus prometheus-alertmanager)",
    ),
]

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


class Hook:
    """Receives what Alertmanager sends, by path."""

    def __init__(self, port: int) -> None:
        self.alerts: list[tuple[str, dict[str, Any]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.alerts += [(self.path, alert) for alert in body["alerts"]]
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def names(self, path: str) -> list[str]:
        return [alert["labels"]["alertname"] for where, alert in self.alerts if where == path]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Monitoring:
    """Prometheus and Alertmanager with the configuration that `cgse` has written."""

    def __init__(self, folder: Path, sandbox: Sandbox, ports: list[int]) -> None:
        self.folder = folder
        self.prometheus, self.alertmanager, hook, self.stand_in_port = ports
        self.hook = Hook(hook)
        self.processes: list[subprocess.Popen[bytes]] = []
        settings = parse_yaml(sandbox.layout.settings.read_text())
        settings["Metrics"] = {
            "SCRAPE_INTERVAL": "2s",
            "PROMETHEUS": f"127.0.0.1:{self.prometheus}",
            "ALERTMANAGER": f"127.0.0.1:{self.alertmanager}",
        }
        url = f"http://127.0.0.1:{hook}"
        settings["Alerting"] = {"WEBHOOK": f"{url}/all", "HEARTBEAT": f"{url}/heartbeat", "GROUP_WAIT": "1s"}
        local = folder / "settings.yaml"
        local.write_text(format_yaml(settings))
        self.environment = {**sandbox.environ(), "PLATO_LOCAL_SETTINGS": str(local)}
        self.alarms: list[tuple[str, str, bool]] = []
        self.stand_in = MetricsPort(
            STAND_IN, {"METRICS_PORT": self.stand_in_port}, figures=lambda: alarm_figures(self.alarms)
        )

    def start(self) -> None:
        servers = [option for name in (*SERVERS, VICTIM) for option in ("--server", name)]
        self.run("cgse", "metrics", "config", "--dir", self.folder, *servers)
        self.stand_in.start()
        path = self.folder / TARGETS_FILE
        groups = json.loads(path.read_text())
        stand_in = {
            "targets": [f"127.0.0.1:{self.stand_in_port}"],
            "labels": {"server": STAND_IN, "kind": "device", "site": "LAB"},
        }
        path.write_text(json.dumps([*groups, stand_in]))
        self.launch(
            str(ALERTMANAGER),
            f"--config.file={ALERTMANAGER_FILE}",
            f"--storage.path={self.folder / 'alerts'}",
            f"--web.listen-address=127.0.0.1:{self.alertmanager}",
            "--cluster.listen-address=",
        )
        self.launch(
            str(PROMETHEUS),
            f"--config.file={SERVER_FILE}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{self.prometheus}",
            "--rules.alert.resend-delay=1s",  # the first alerts come before it knows Alertmanager
            "--log.level=warn",
        )

    def launch(self, *command: str) -> None:
        with (self.folder / f"{Path(command[0]).name}.log").open("wb") as log:
            self.processes.append(
                subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            )

    def run(self, program: str, *arguments: object) -> str:
        done = subprocess.run(
            [str(SCRIPTS / program), *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def query(self, expr: str) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return list(json.loads(answer.read())["data"]["result"])
        except urllib.error.HTTPError as exc:
            if exc.code == 503:
                return []  # it is still starting
            raise AssertionError(f"{expr}: {exc.read().decode()}") from exc
        except OSError:
            return []  # it is still starting

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(20)
        self.stand_in.close()
        self.hook.close()


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


def test_what_servers_tell_is_clean_but_for_names_of_the_tm_dictionary(monitoring: Monitoring) -> None:
    dictionary = template_dictionary()
    prescribed = re.compile("|".join(_site_free(name) for name in dictionary))
    for server, page in _pages(monitoring).items():
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False
        )
        for line in filter(None, (done.stdout + done.stderr).splitlines()):
            name, _, complaint = line.partition(" ")
            assert prescribed.fullmatch(name.removesuffix("_ts").removesuffix("_info")), f"{server}: {line}"
            assert complaint.startswith(
                ("metric names should not contain abbreviated", "metric name should not include type")
            )
        assert done.returncode in (0, 3), server


def _site_free(name: str) -> str:
    return re.sub(r"^G(CSL1|CSL2|SRON|IAS|INTA)_", "G[A-Z0-9]+_", name)


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
