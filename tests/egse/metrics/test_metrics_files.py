"""Configuration of Prometheus, Alertmanager and Grafana: made of the Settings, and checked with their own tools."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from egse.cli import main
from egse.metrics.alarms import alarm_figures
from egse.metrics.alertmanager import alertmanager_config, quiet_hours
from egse.metrics.dashboards import PACKAGED, all_dashboards, grafana_files, packaged_files
from egse.metrics.panels import ANNOTATIONS, grafana_unit
from egse.metrics.prometheus import (
    ALERTMANAGER_FILE,
    RULES_FILE,
    SERVER_FILE,
    TARGETS_FILE,
    config_files,
    make_target,
    server_config,
)
from egse.metrics.rules import SEVERITIES, rule_file
from egse.metrics.screens import pattern_of
from egse.metrics.targets import find_targets
from egse.settings import Settings, SettingsError
from egse.site.layout import SiteError, SiteLayout
from egse.tmdict import TMDictionary, template_dictionary
from egse.tmdict.parameter import Parameter
from egse.yamlfile import format_yaml, parse_yaml

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (apt install prometheus)"
)
needs_amtool = pytest.mark.skipif(
    shutil.which("amtool") is None, reason="amtool is not installed (apt install prometheus-alertmanager)"
)

ALERTING = {
    "OPERATORS": ["ops@lab.example"],
    "ON_CALL": "oncall@lab.example",
    "SMTP": "mail.lab.example:587",
    "HEARTBEAT": "http://dead.man/",
    "WEBHOOK": "http://hook.example/",
    "QUIET_HOURS": "22:00-07:00",
    "TIME_ZONE": "Europe/Brussels",
}


def run(*command: object, folder: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def local_settings(site: SiteLayout) -> Callable[[dict[str, Any]], None]:
    path = Path(site.environment["PLATO_LOCAL_SETTINGS"])

    def change(blocks: dict[str, Any]) -> None:
        content = parse_yaml(path.read_text())
        for name, block in blocks.items():
            content[name] = {**content.get(name, {}), **block}
        path.write_text(format_yaml(content))
        Settings.load(force=True)

    Settings.load(force=True)
    return change


# -- Prometheus ------------------------------------------------------------------------------------------------------


def test_targets_are_the_servers_that_are_asked_for(local_settings: Callable[[dict[str, Any]], None]) -> None:
    local_settings({"OGSE Control Server": {"METRICS_HOSTNAME": "0.0.0.0", "HOSTNAME": "ogse-server"}})
    targets = {target.server: target for target in find_targets(["ogse_cs", "cm_cs", "lsci336_cs", "wd_cs"])}
    assert list(targets) == ["cm_cs", "wd_cs", "lsci336_cs", "ogse_cs"]
    assert [target.kind for target in targets.values()] == ["core", "core", "device", "device"]
    assert targets["ogse_cs"].address == f"ogse-server:{Settings.load('OGSE Control Server').METRICS_PORT}"
    assert (
        targets["cm_cs"].address
        == f"127.0.0.1:{Settings.load('Configuration Manager Control Server').METRICS_PORT}"
    )
    with pytest.raises(SiteError, match="no control server 'ogse_cz' is installed, did you mean 'ogse_cs'"):
        find_targets(["ogse_cz"])


def test_a_server_without_a_port_is_no_target() -> None:
    assert make_target("x_cs", {"COMMANDING_PORT": 1}, "device") is None
    target = make_target("x_cs", {"METRICS_PORT": 9, "METRICS_HOSTNAME": "fe80::1"}, "device")
    assert target is not None
    assert target.address == "[fe80::1]:9"


@needs_promtool
@needs_amtool
def test_what_cgse_writes_is_valid(local_settings: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    local_settings({"Alerting": ALERTING, "Metrics": {"NODE_EXPORTER": "localhost:9100"}})
    folder = tmp_path / "metrics"
    arguments = ["metrics", "config", "--dir", str(folder), "--server", "ogse_cs", "--server", "cm_cs"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "2 servers of LAB" in result.output
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(
        (SERVER_FILE, RULES_FILE, ALERTMANAGER_FILE, TARGETS_FILE), 0o640
    )
    assert "SUCCESS" in run("promtool", "check", "config", SERVER_FILE, folder=folder)
    assert "rules found" in run("promtool", "check", "rules", RULES_FILE, folder=folder)
    assert "SUCCESS" in run("amtool", "check-config", ALERTMANAGER_FILE, folder=folder)
    labels = [group["labels"]["server"] for group in json.loads((folder / TARGETS_FILE).read_text())]
    assert labels == ["cm_cs", "ogse_cs"]
    config = parse_yaml((folder / SERVER_FILE).read_text())
    assert [job["job_name"] for job in config["scrape_configs"]] == [
        "egse",
        "prometheus",
        "alertmanager",
        "node",
    ]


@needs_promtool
def test_the_rules_do_what_they_say(tmp_path: Path) -> None:
    (tmp_path / RULES_FILE).write_text(format_yaml(rule_file()))
    shutil.copy(Path(__file__).with_name("rules_test.yml"), tmp_path)
    assert "SUCCESS" in run("promtool", "test", "rules", "rules_test.yml", folder=tmp_path)


def test_every_alert_says_what_to_do_and_how_bad_it_is() -> None:
    alerts = [rule for group in rule_file()["groups"] for rule in group["rules"] if "alert" in rule]
    assert len({rule["alert"] for rule in alerts}) == len(alerts) > 15
    for rule in alerts:
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"].endswith(".")
        assert rule["labels"]["severity"] in (*SEVERITIES, "{{ $labels.priority }}")


def test_rules_follow_the_settings(local_settings: Callable[[dict[str, Any]], None]) -> None:
    local_settings({"Storage Control Server": {"DISK_LOW": 30.0}, "Alerting": {"ESCALATE_AFTER": "5m"}})
    rules = config_files([], "LAB")[RULES_FILE]
    assert "folder:egse_disk_used:ratio > 0.7" in rules
    assert "for: 5m" in rules


def test_a_wrong_address_is_refused() -> None:
    with pytest.raises(SettingsError, match="Metrics: NODE_EXPORTER is 'localhost'; it must be HOST:PORT"):
        server_config({"NODE_EXPORTER": "localhost"}, "LAB")


def test_alarms_of_the_monitor_as_a_metric() -> None:
    (figure,) = alarm_figures([("TRP1", "critical", False), ("TRP2", "warning", True)])
    assert figure.samples[0] == ({"alarm": "TRP1", "priority": "critical", "acknowledged": "false"}, 1.0)
    assert figure.samples[1][0]["acknowledged"] == "true"


# -- Alertmanager ----------------------------------------------------------------------------------------------------


@needs_amtool
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("severity=critical alertname=CoreServiceDown", "operators"),
        ("severity=warning alertname=DiskLow", "operators"),
        ("severity=info alertname=ErrorsLogged", "nobody"),
        ("severity=escalation alertname=Unattended", "on-call"),
        ("severity=none alertname=Heartbeat", "dead-man"),
    ],
)
def test_who_is_told(tmp_path: Path, labels: str, receiver: str) -> None:
    (tmp_path / ALERTMANAGER_FILE).write_text(
        format_yaml(alertmanager_config(ALERTING, "https://slack.example/x"))
    )
    command = ("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER_FILE}", *labels.split())
    assert run(*command, folder=tmp_path).strip() == receiver


def test_only_warnings_wait_for_the_end_of_quiet_hours() -> None:
    config = alertmanager_config(ALERTING)
    muted = [route["matchers"] for route in config["route"]["routes"] if "mute_time_intervals" in route]
    assert muted == [['severity="warning"']]
    assert quiet_hours("22:00-07:00", "Europe/Brussels") == {
        "name": "quiet-hours",
        "time_intervals": [
            {
                "times": [
                    {"start_time": "22:00", "end_time": "24:00"},
                    {"start_time": "00:00", "end_time": "07:00"},
                ],
                "location": "Europe/Brussels",
            }
        ],
    }
    assert quiet_hours("") is None
    assert quiet_hours("12:00-13:00")["time_intervals"][0]["times"] == [  # type: ignore[index]
        {"start_time": "12:00", "end_time": "13:00"}
    ]


def test_receivers_have_what_the_settings_name() -> None:
    receivers = {
        receiver["name"]: receiver
        for receiver in alertmanager_config(ALERTING, "https://slack.example/x")["receivers"]
    }
    assert [mail["to"] for mail in receivers["on-call"]["email_configs"]] == ["oncall@lab.example"]
    assert set(receivers["operators"]) == {"name", "email_configs", "slack_configs", "webhook_configs"}
    assert receivers["dead-man"]["webhook_configs"][0]["url"] == "http://dead.man/"
    alone = alertmanager_config({"OPERATORS": ["ops@lab.example"], "SMTP": "mail:25"})["receivers"]
    assert alone[1] == {**alone[0], "name": "on-call"}  # nobody else is there


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"QUIET_HOURS": "22-7"}, "QUIET_HOURS is '22-7'; it must be like 22:00-07:00"),
        ({"SMTP": "mail"}, "SMTP is 'mail'; it must be HOST:PORT"),
        ({"OPERATORS": ["somebody"], "SMTP": "mail:25"}, "'somebody', which is no mail address"),
        ({"OPERATORS": ["ops@lab.example"]}, "no mail server"),
    ],
)
def test_alerting_that_makes_no_sense_is_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        alertmanager_config(settings)


# -- Grafana ---------------------------------------------------------------------------------------------------------


def test_the_dashboards_in_the_package_are_up_to_date() -> None:
    there = {
        str(path.relative_to(PACKAGED)): path.read_text() for path in PACKAGED.rglob("*") if path.is_file()
    }
    assert there == packaged_files(), "write them again: cgse metrics dashboards --packaged"


def test_dashboards_are_whole() -> None:
    boards = all_dashboards(template_dictionary())
    assert len({board.name for board in boards}) == len(boards)
    assert {"egse-overview", "egse-camera", "egse-thermal", "egse-storage", "egse-logs"} <= {
        b.name for b in boards
    }
    for board in boards:
        document = json.loads(board.to_json())
        assert len(document["uid"]) <= 40
        assert [entry["name"] for entry in document["annotations"]["list"]] == [
            name for name, *_ in ANNOTATIONS
        ]
        ids = [panel["id"] for panel in document["panels"]]
        assert len(set(ids)) == len(ids)
        taken: set[tuple[int, int]] = set()
        for panel in document["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert place["x"] + place["w"] <= 24
            assert not cells & taken, f"panels of {board.name} overlap"
            taken |= cells
            assert panel["type"] == "row" or panel["targets"]


def test_every_parameter_with_a_screen_is_on_a_dashboard() -> None:
    dictionary = template_dictionary()
    screens = [board for board in all_dashboards(dictionary) if "screen" in board.tags]
    shown = [
        re.compile(names)
        for b in screens
        for e in b.expressions()
        for names in re.findall('__name__=~"([^"]*)"', e)
    ]
    for parameter in dictionary.parameters:
        if parameter.screen:
            name = parameter.synoptic_name if parameter.is_synoptic else parameter.name
            assert any(pattern.fullmatch(name) for pattern in shown), name


def test_a_dashboard_serves_all_sites() -> None:
    pattern = pattern_of(Parameter("GCSL1_LSCI336_TEMPA", "LSCI336"))
    assert re.fullmatch(pattern, "GLAB_LSCI336_TEMPA")
    assert re.fullmatch(pattern, "GMY_LAB_LSCI336_TEMPA")
    assert not re.fullmatch(pattern, "GLAB_LSCI336_TEMP_A_ts")


def test_a_site_gets_dashboards_of_its_own_dictionary() -> None:
    dictionary = TMDictionary(
        [Parameter("GX_T", "X", source="My device", unit="furlong", screen="Mine & yours")]
    )
    files = grafana_files(dictionary, "/srv/grafana", "prom:9999")
    board = json.loads(files["dashboards/egse-screen-mine-yours.json"])
    assert (
        board["panels"][1]["fieldConfig"]["defaults"]["unit"] == grafana_unit("furlong") == "suffix: furlong"
    )
    assert "http://prom:9999" in files["provisioning/datasources/egse.yml"]
    assert "/srv/grafana/dashboards" in files["provisioning/dashboards/egse.yml"]


def test_cgse_writes_dashboards(site: SiteLayout, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["metrics", "dashboards", "--dir", str(tmp_path / "grafana")])
    assert result.exit_code == 0, result.output
    assert f"{len(all_dashboards(template_dictionary()))} dashboards" in result.output
    assert (tmp_path / "grafana" / "dashboards" / "egse-overview.json").stat().st_mode & 0o777 == 0o640
