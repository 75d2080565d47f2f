"""The Grafana dashboards of the EGSE, and the files by which Grafana finds them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from egse.metrics.panels import SITE, Dashboard, Panel, Query, Row
from egse.metrics.rules import JOB
from egse.metrics.screens import parameter_panel, screen_dashboards, temperature_rows
from egse.tmdict import TMDictionary, template_dictionary
from egse.tmdict.parameter import Parameter
from egse.yamlfile import format_yaml

EGSE = f'job="{JOB}", {SITE}'
RATE = "[$__rate_interval]"
_EXECUTED, _NOT_EXECUTED = (f'{SITE}, outcome{sign}"executed"' for sign in ("=", "!="))

DATASOURCE_FILE = "provisioning/datasources/egse.yml"
PROVIDER_FILE = "provisioning/dashboards/egse.yml"


PACKAGED = Path(__file__).resolve().parent.parent / "data" / "grafana"
"""The files that come with this package; `cgse metrics dashboards --packaged` renews them."""
USUAL_FOLDER = "/data/metrics/grafana"
"""Where their provisioning looks for them."""


def packaged_files() -> dict[str, str]:
    """Returns what `PACKAGED` has to hold: made of the TM dictionary of this package."""
    return grafana_files(template_dictionary(), USUAL_FOLDER)


def _rate(metric: str, selector: str = SITE) -> str:
    return f"rate({metric}{{{selector}}}{RATE})"


def _number(title: str, expr: str, unit: str = "none", legend: str = "", width: int = 4) -> Panel:
    return Panel(title, (Query(expr, legend, instant=True),), unit, "stat", width, 4)


def _curves(
    title: str, expr: str, legend: str = "{{server}}", unit: str = "short", description: str = ""
) -> Panel:
    return Panel(title, (Query(expr, legend),), unit, description=description)


def overview() -> Dashboard:
    """Returns the dashboard of the whole system."""
    now = Row(
        "Now",
        (
            _number("Servers that run", f"sum(up{{{EGSE}}})"),
            _number("Core services that do not", f'count(up{{{EGSE}, kind="core"}} == 0) or vector(0)'),
            _number(
                "Observation",
                f"egse_observation_running{{{SITE}}} or on () vector(0)",
                legend="{{obsid}}",
                width=6,
            ),
            _number("Alerts", 'count(ALERTS{alertstate="firing", severity!="none"}) or vector(0)'),
            _number("Disk used", f"max(folder:egse_disk_used:ratio{{{SITE}}})", "percentunit", width=3),
            _number("Processors used", f"node:egse_cpu_used:ratio1m{{{SITE}}}", "percentunit", width=3),
        ),
    )
    states = Row(
        "Servers",
        (
            Panel(
                "Servers that tell metrics",
                (Query(f"up{{{EGSE}}}", "{{server}}"),),
                kind="state-timeline",
                width=12,
                height=10,
                description="1: Prometheus gets the metrics of the server. A device server that nobody started is 0.",
            ),
            Panel(
                "Servers as the process manager sees them",
                (Query(f"egse_program_state{{{SITE}}}", "{{program}} {{state}}"),),
                kind="state-timeline",
                width=12,
                height=10,
            ),
            Panel("What runs", (Query(f"egse_server_info{{{SITE}}}", instant=True),), kind="table", width=12),
            Panel("Alerts", (Query('ALERTS{alertstate="firing"}', instant=True),), kind="table", width=12),
        ),
    )
    return Dashboard("egse-overview", "EGSE overview", (now, states, *_server_rows()), ("overview",))


def _server_rows() -> Iterator[Row]:
    yield Row(
        "Commands and housekeeping",
        (
            _curves(
                "Commands",
                f"sum by (server) ({_rate('egse_server_requests_total', _EXECUTED)})",
                unit="reqps",
            ),
            _curves(
                "Requests that were not executed well",
                f"sum by (server, outcome) ({_rate('egse_server_requests_total', _NOT_EXECUTED)})",
                "{{server}} {{outcome}}",
                "reqps",
            ),
            _curves("Age of housekeeping", f"server:egse_housekeeping_age:seconds{{{SITE}}}", unit="s"),
            _curves("Housekeeping rows", _rate("egse_server_housekeeping_rows_total"), unit="rowsps"),
            _curves(
                "Housekeeping rows left out", _rate("egse_server_housekeeping_missed_total"), unit="rowsps"
            ),
            Panel(
                "Devices connected",
                (Query(f"egse_server_device_connected{{{SITE}}}", "{{server}}"),),
                kind="state-timeline",
            ),
        ),
    )
    yield Row(
        "Processes",
        (
            _curves("Processor time", _rate("process_cpu_seconds_total", EGSE), unit="percentunit"),
            _curves("Memory", f"process_resident_memory_bytes{{{EGSE}}}", unit="bytes"),
            _curves("Open files and sockets", f"process_open_fds{{{EGSE}}}"),
            _curves("Time to get the metrics", f"scrape_duration_seconds{{{EGSE}}}", unit="s"),
            _curves("Time since the start", f"egse_server_uptime_seconds{{{SITE}}}", unit="s"),
        ),
    )
    yield Row("Machine", tuple(_machine()))


def _machine() -> Iterator[Panel]:
    yield _curves(
        "Processors", f"sum by (mode) ({_rate('egse_node_cpu_seconds_total')})", "{{mode}}", "short"
    )
    yield _curves("Load", f"egse_node_load1{{{SITE}}} / egse_node_cpus{{{SITE}}}", "per processor")
    yield _curves("Memory that is left", f"egse_node_memory_available_bytes{{{SITE}}}", "available", "bytes")
    yield _curves("Network in", _rate("egse_node_network_receive_bytes_total"), "{{device}}", "Bps")
    yield _curves("Network out", _rate("egse_node_network_transmit_bytes_total"), "{{device}}", "Bps")


def storage() -> Dashboard:
    """Returns the dashboard of disks and data."""
    disks = Row(
        "Disks",
        (
            Panel(
                "Used",
                (Query(f"folder:egse_disk_used:ratio{{{SITE}}}", "{{folder}}"),),
                "percentunit",
                lines=((0.8, "orange"), (0.95, "red")),
            ),
            _curves("Free", f"egse_node_disk_available_bytes{{{SITE}}}", "{{folder}}", "bytes"),
            _curves("Files that can still be made", f"egse_node_disk_free_files{{{SITE}}}", "{{folder}}"),
        ),
    )
    rows = Row(
        "Storage manager",
        (
            _curves("Rows stored", _rate("SM_ROWS"), "rows", "rowsps"),
            _curves("Rows that came twice", _rate("SM_ROWS_REPEATED"), "rows", "rowsps"),
            _curves("From acknowledged to on disk", f"SM_SYNC_DELAY{{{SITE}}}", "longest", "s"),
            _curves("Files that could not be put on disk", f"SM_SYNC_FAILURES{{{SITE}}}", "files"),
            _curves("Registered producers", f"SM_REGISTRATIONS{{{SITE}}}", "producers"),
            _curves("Closed observations", f"egse_observations_closed_total{{{SITE}}}", "observations"),
        ),
    )
    files = Row(
        "Camera files",
        (
            _curves("Raw files that wait for FITS cubes", f"GFITS_QUEUE_WAITING{{{SITE}}}", "files"),
            _curves("Raw files without FITS cubes", f"GFITS_QUEUE_FAILED{{{SITE}}}", "files"),
            _curves(
                "HDF5 files under way",
                f'egse_server_status{{{SITE}, figure=~"dpu.(hdf5_backlog|unfinished_files|waiting_files)"}}',
                "{{figure}}",
            ),
        ),
    )
    return Dashboard("egse-storage", "EGSE storage", (disks, rows, files), ("storage",))


def logs() -> Dashboard:
    """Returns the dashboard of the log."""
    rates = Row(
        "Records",
        (
            _curves("By level", f"sum by (level) ({_rate('egse_log_records_total')})", "{{level}}", "cps"),
            _curves(
                "Errors in five minutes",
                f'increase(egse_log_records_total{{{SITE}, level=~"ERROR|CRITICAL"}}[5m])',
                "{{level}}",
            ),
            _curves("Since the start, by level", f"egse_log_records_total{{{SITE}}}", "{{level}}"),
        ),
    )
    names = ("RECEIVED", "MISSING", "DROPPED", "DUPLICATES", "GAPS", "MALFORMED", "REJECTED", "HELD")
    health = Row(
        "Log manager",
        (
            *(_curves(name.capitalize(), f"LOG_{name}{{{SITE}}}", name.lower()) for name in names),
            _curves("Processes that log", f"LOG_CLIENTS{{{SITE}}}", "processes"),
            _curves("Size of the log file", f"LOG_SIZE{{{SITE}}}", "size", "bytes"),
        ),
    )
    return Dashboard("egse-logs", "EGSE logs", (rates, health), ("logs",))


def camera(dictionary: TMDictionary) -> Dashboard:
    """Returns the dashboard of the camera: N-FEE, readout and DPU Processor."""
    dpu = {row.name: row for row in dictionary.parameters if row.mnemonic == "DPU"}
    fee = [row for row in dictionary.parameters if row.mnemonic == "N-FEE-HK" and row.unit]
    states = [row for row in dpu.values() if not row.unit]
    problems = [
        row for row in dpu.values() if row.unit == "Counts" and any(word in row.name for word in _PROBLEMS)
    ]
    progress = [row for row in dpu.values() if row.unit == "Counts" and row not in problems]
    volts = [row for row in fee if row.unit == "Volts"]
    temperatures = [row for row in fee if row.unit == "DegCelsius"]
    own = f'{SITE}, server="dpu_cs"'
    rows = [
        Row("Readout", _panels(("States", states), ("Progress", progress), ("Problems", problems))),
        Row("N-FEE", _panels(("Temperatures", temperatures), *_by_part(volts))),
        Row(
            "DPU Processor",
            (
                _curves(
                    "Processor time",
                    _rate("egse_server_process_cpu_seconds_total", own),
                    "{{process}}",
                    "percentunit",
                ),
                _curves(
                    "Memory", f"egse_server_process_resident_memory_bytes{{{own}}}", "{{process}}", "bytes"
                ),
                _curves("Packets", _rate("GDPU_DATA_PACKETS"), "packets", "pps"),
            ),
        ),
    ]
    return Dashboard("egse-camera", "EGSE camera", tuple(row for row in rows if row.panels), ("camera",))


_PROBLEMS = (
    "ERROR",
    "MISSING",
    "INCOMPLETE",
    "SUSPECT",
    "LOST",
    "FAIL",
    "ORPHAN",
    "STALE",
    "UNKNOWN",
    "DROPPED",
    "RESTART",
)


def _by_part(rows: Sequence[Parameter]) -> Iterator[tuple[str, Sequence[Parameter]]]:
    parts: dict[str, list[Parameter]] = {}
    for row in rows:
        part = row.name.split("_")[1]
        parts.setdefault(part if part.startswith("CCD") else "FEE", []).append(row)
    for part, members in parts.items():
        yield f"Voltages {part}", members


def _panels(*groups: tuple[str, Sequence[Parameter]]) -> tuple[Panel, ...]:
    return tuple(parameter_panel(title, rows) for title, rows in groups if rows)


def thermal(dictionary: TMDictionary) -> Dashboard:
    """Returns the dashboard of all temperatures."""
    return Dashboard("egse-thermal", "EGSE thermal", tuple(temperature_rows(dictionary)), ("thermal",))


def all_dashboards(dictionary: TMDictionary) -> list[Dashboard]:
    """Returns all dashboards of a site with this TM dictionary."""
    return [
        overview(),
        camera(dictionary),
        thermal(dictionary),
        storage(),
        logs(),
        *screen_dashboards(dictionary),
    ]


def grafana_files(
    dictionary: TMDictionary, folder: str, prometheus: str = "localhost:9090"
) -> dict[str, str]:
    """Returns the files for Grafana, by name: dashboards, and the provisioning that points to them.

    Args:
        dictionary: the TM dictionary.
        folder: where the files will be, as Grafana sees it.
        prometheus: host and port of Prometheus.
    """
    source = {
        "name": "EGSE Prometheus",
        "type": "prometheus",
        "uid": "egse-prometheus",
        "access": "proxy",
        "url": f"http://{prometheus}",
        "isDefault": True,
        "jsonData": {"timeInterval": "5s"},
    }
    provider = {
        "name": "egse",
        "folder": "EGSE",
        "type": "file",
        "updateIntervalSeconds": 30,
        "options": {"path": f"{folder}/dashboards"},
    }
    return {
        **{f"dashboards/{board.name}.json": board.to_json() for board in all_dashboards(dictionary)},
        DATASOURCE_FILE: format_yaml({"apiVersion": 1, "datasources": [source]}),
        PROVIDER_FILE: format_yaml({"apiVersion": 1, "providers": [provider]}),
    }
