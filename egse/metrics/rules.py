"""Recording and alert rules of Prometheus: what is worth a sentence, with what to do next in its text.

Limits of single parameters are not here: the limit monitor watches those, independent of Prometheus, and what it finds
arrives as the metric `egse_alarm_active`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

JOB = "egse"
"""Name of the scrape job of all control servers."""
HEARTBEAT = "Heartbeat"
"""The alert that always fires: who does not hear of it any more knows that the alarm chain is broken."""
UNATTENDED = "Unattended"
"""The alert about a critical one that has been firing for too long."""
SEVERITIES = ("critical", "alarm", "warning", "info", "none", "escalation")
"""What `severity` may be. `none` and `info` are for dashboards; `escalation` wakes who is on call."""


@dataclass(frozen=True)
class AlertRule:
    """An alert.

    Attributes:
        name: its name.
        expr: fires for each series that it returns.
        lasting: how long it must hold first.
        severity: one of `SEVERITIES`.
        summary: what is wrong, one line.
        action: what to do next.
        labels: further ones.
    """

    name: str
    expr: str
    lasting: str
    severity: str
    summary: str
    action: str
    labels: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Returns the rule as it stands in a rule file."""
        return {
            "alert": self.name,
            "expr": self.expr,
            **({"for": self.lasting} if self.lasting != "0s" else {}),
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {"summary": self.summary, "action": self.action},
        }


RECORDINGS: dict[str, str] = {
    "server:egse_requests:rate1m": 'sum by (site, server) (rate(egse_server_requests_total{outcome="executed"}[1m]))',
    "server:egse_failures:ratio5m": (
        'sum by (site, server) (rate(egse_server_requests_total{outcome="failed"}[5m])) / '
        'clamp_min(sum by (site, server) (rate(egse_server_requests_total{outcome="executed"}[5m])), 0.001)'
    ),
    "server:egse_housekeeping_age:seconds": "time() - egse_server_housekeeping_timestamp_seconds",
    "server:process_cpu:ratio1m": f'sum by (site, server) (rate(process_cpu_seconds_total{{job="{JOB}"}}[1m]))',
    "level:egse_log_records:rate1m": "sum by (site, level) (rate(egse_log_records_total[1m]))",
    "node:egse_cpu_used:ratio1m": (
        '1 - sum by (site) (rate(egse_node_cpu_seconds_total{mode=~"idle|iowait"}[1m])) / sum by (site) (egse_node_cpus)'
    ),
    "node:egse_memory_used:ratio": "1 - egse_node_memory_available_bytes / egse_node_memory_bytes",
    "folder:egse_disk_used:ratio": "1 - egse_node_disk_available_bytes / egse_node_disk_size_bytes",
}
"""Recording rules, by the name of what they record."""


SERVER_ALERTS: tuple[AlertRule, ...] = (
    AlertRule(
        "CoreServiceDown",
        f'up{{job="{JOB}", kind="core"}} == 0',
        "15s",
        "critical",
        "{{ $labels.server }} tells no metrics",
        "`cgse core status` tells whether it runs; its supervisor starts it again. Housekeeping and commands wait meanwhile.",
    ),
    AlertRule(
        "NoMetricsAtAll",
        f'absent(up{{job="{JOB}"}})',
        "30s",
        "critical",
        "Prometheus knows no control server",
        "Write the targets again: `cgse metrics config`.",
    ),
    AlertRule(
        "ServerCrashed",
        'egse_program_state{state="crashed"} == 1',
        "0s",
        "alarm",
        "{{ $labels.program }} has crashed",
        "`pm_cs status` tells how it ended; `cgse log --process {{ $labels.program }}` what it said last.",
    ),
    AlertRule(
        "ServerNotResponding",
        'egse_program_state{state="not responding"} == 1',
        "15s",
        "alarm",
        "{{ $labels.program }} runs but does not answer",
        "A command may be taking long: look at its log. Stop and start it when it does not come back.",
    ),
    AlertRule(
        "DeviceNotConnected",
        "egse_server_device_connected == 0",
        "30s",
        "warning",
        "{{ $labels.server }} has no connection to its device",
        "Is the device switched on, its cable plugged in, DEVICE_HOSTNAME right? The server tries again by itself.",
    ),
    AlertRule(
        "HousekeepingMissing",
        'egse_server_housekeeping_rows_total{server!="n_fee_hk"} > 0 '
        "unless on (instance) egse_server_housekeeping_timestamp_seconds",
        "30s",
        "warning",
        "{{ $labels.server }} has given no housekeeping for a while",
        "Its log tells why; nothing is recorded of this device until it is back.",
    ),
    AlertRule(
        "CommandsFail",
        "server:egse_failures:ratio5m > 0.5 and on (site, server) server:egse_requests:rate1m > 0.1",
        "2m",
        "warning",
        "More than half of the commands to {{ $labels.server }} fail",
        "Look at the errors: `cgse log --process {{ $labels.server }}`.",
    ),
    AlertRule(
        "ClockOff",
        "abs(timestamp(egse_server_status_timestamp_seconds) - egse_server_status_timestamp_seconds) > 15",
        "1m",
        "warning",
        "The clock of the machine of {{ $labels.server }} differs from that of Prometheus by {{ $value }} s",
        "Check the time synchronisation of both machines (chrony, ntp): times in records cannot be trusted.",
    ),
)
"""The alerts about control servers."""


def record_alerts() -> Iterator[AlertRule]:
    """Yields the alerts about storage, log and camera data: what may get lost."""
    yield AlertRule(
        "DataNotOnDisk",
        "increase(SM_SYNC_FAILURES[10m]) > 0",
        "0s",
        "critical",
        "The storage manager could not put data on disk",
        "Look at the disk and at the log of sm_cs now; stop the running procedure if it goes on.",
    )
    yield AlertRule(
        "LogRecordsLost",
        "increase(LOG_DROPPED[10m]) > 0 or increase(LOG_MISSING[10m]) > 0",
        "0s",
        "warning",
        "Log records were lost",
        "`log_cs status` tells how many; a process logs more than it can send.",
    )
    yield AlertRule(
        "ErrorsLogged",
        'sum by (site, server, level) (increase(egse_log_records_total{level=~"ERROR|CRITICAL"}[5m])) > 0',
        "0s",
        "info",
        "{{ $value | humanize }} records of level {{ $labels.level }} in five minutes",
        "`cgse log --level error` shows them.",
    )
    yield AlertRule(
        "DPUProcessorRestarted",
        "increase(GDPU_PROCESSOR_RESTARTS[10m]) > 0",
        "0s",
        "alarm",
        "The DPU Processor was started again",
        "Images of the cycle under way are incomplete; `cgse log --process dpu_cs` tells how it ended.",
    )
    yield AlertRule(
        "CameraPacketsMissing",
        "increase(GDPU_MISSING_PACKETS[5m]) > 0 or increase(GDPU_LINK_FAILURES[5m]) > 0",
        "0s",
        "warning",
        "Packets of the camera did not arrive",
        "Check the SpaceWire link; images of these cycles are incomplete.",
    )


def node_alerts(disk_low: float = 20.0, disk_critical: float = 5.0) -> Iterator[AlertRule]:
    """Yields the alerts about the machine.

    Args:
        disk_low, disk_critical: how much of a disk shall be free [%].
    """
    used = "folder:egse_disk_used:ratio"
    for name, percent, severity in (
        ("DiskCritical", disk_critical, "critical"),
        ("DiskLow", disk_low, "warning"),
    ):
        yield AlertRule(
            name,
            f"{used} > {1.0 - percent / 100.0:g}",
            "1m",
            severity,
            "The disk of the {{ $labels.folder }} folder is {{ $value | humanizePercentage }} full",
            "`cgse archive prune` removes what has verified copies elsewhere; `cgse archive sync` makes copies.",
        )
    yield AlertRule(
        "DiskFullWithinADay",
        "predict_linear(egse_node_disk_available_bytes[6h], 86400) < 0 and delta(egse_node_disk_available_bytes[6h]) < 0",
        "30m",
        "warning",
        "At this rate the disk of the {{ $labels.folder }} folder is full within a day",
        "Make room before the night: `cgse archive prune`.",
    )
    yield AlertRule(
        "MemoryLow",
        "node:egse_memory_used:ratio > 0.92",
        "2m",
        "warning",
        "The machine has hardly any memory left",
        "Which server grows shows the dashboard EGSE overview; a kernel of JupyterLab may be the one.",
    )
    yield AlertRule(
        "MachineBusy",
        "egse_node_load1 > 2 * egse_node_cpus",
        "10m",
        "info",
        "The machine has had more to do than it can for ten minutes",
        "Housekeeping may come late; end what is not needed.",
    )


def chain_alerts(escalate_after: str = "15m") -> Iterator[AlertRule]:
    """Yields the alerts about alarms and about the chain itself.

    Args:
        escalate_after: how long a critical alert may last, unacknowledged, before who is on call is woken.
    """
    yield AlertRule(
        "LimitAlarm",
        'egse_alarm_active{acknowledged="false"} == 1',
        "0s",
        "{{ $labels.priority }}",
        "{{ $labels.alarm }}: {{ $labels.priority }} of the limit monitor",
        "`cgse alarm list` tells value, limit, cause and what to do; `cgse alarm ack` when somebody is at it.",
    )
    yield AlertRule(
        UNATTENDED,
        f'ALERTS{{alertstate="firing", severity="critical", alertname!="{UNATTENDED}"}} == 1',
        escalate_after,
        "escalation",
        "{{ $labels.alertname }} has been firing for " + escalate_after + " and nobody has taken it",
        "Call the site. Acknowledge it (`cgse alarm ack`) or silence it in Alertmanager.",
        {"escalates": "{{ $labels.alertname }}"},
    )
    yield AlertRule(
        HEARTBEAT,
        "vector(1)",
        "0s",
        "none",
        "The alarm chain works",
        "Nothing. When this stops arriving, Prometheus or Alertmanager is gone: start it again.",
    )


def rule_file(
    disk_low: float = 20.0, disk_critical: float = 5.0, escalate_after: str = "15m"
) -> dict[str, Any]:
    """Returns the content of the rule file; see `node_alerts` and `chain_alerts` for the arguments."""
    groups = {
        "egse-servers": SERVER_ALERTS,
        "egse-records": record_alerts(),
        "egse-node": node_alerts(disk_low, disk_critical),
        "egse-chain": chain_alerts(escalate_after),
    }
    recordings = [{"record": name, "expr": expr} for name, expr in RECORDINGS.items()]
    return {
        "groups": [
            {"name": "egse-recordings", "rules": recordings},
            *({"name": name, "rules": [rule.as_dict() for rule in rules]} for name, rules in groups.items()),
        ]
    }
