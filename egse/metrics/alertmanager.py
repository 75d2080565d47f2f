"""The configuration of Alertmanager: who is told of what, and when."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from egse.metrics.rules import HEARTBEAT
from egse.settings import SettingsError

OPERATORS, ON_CALL, DEAD_MAN, NOBODY = "operators", "on-call", "dead-man", "nobody"
QUIET = "quiet-hours"

_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def alertmanager_config(settings: Mapping[str, Any], slack: str = "") -> dict[str, Any]:
    """Returns the configuration.

    Severity decides: `escalation` goes to who is on call at once; `critical` and `alarm` to the operators, at any time;
    `warning` too, but not during the quiet hours; `info` and `none` to nobody. The heartbeat goes to its own webhook.

    Args:
        settings: block `Alerting` of the Settings.
        slack: URL of the incoming webhook of a Slack channel; empty for none.

    Raises:
        SettingsError: when the settings make no sense.
    """
    mail = _mail(settings)
    operators = _receiver(OPERATORS, _addresses(settings, "OPERATORS"), slack, settings.get("WEBHOOK"), mail)
    addresses, pager = _addresses(settings, "ON_CALL"), settings.get("ON_CALL_WEBHOOK")
    on_call = _receiver(ON_CALL, addresses, slack, pager or settings.get("WEBHOOK"), mail)
    dead_man = _receiver(DEAD_MAN, [], "", settings.get("HEARTBEAT"), mail)
    quiet = quiet_hours(str(settings.get("QUIET_HOURS") or ""), str(settings.get("TIME_ZONE") or "UTC"))
    if len(on_call) == 1:
        on_call = {**operators, "name": ON_CALL}  # nobody is named: the operators are all there is
    config: dict[str, Any] = {
        "global": {"resolve_timeout": "5m", **mail},
        "route": _route(settings, quiet is not None),
        "inhibit_rules": INHIBITIONS,
        "receivers": [operators, on_call, dead_man, {"name": NOBODY}],
    }
    if quiet is not None:
        config["time_intervals"] = [quiet]
    return config


INHIBITIONS: Sequence[Mapping[str, Any]] = (
    # What follows from a server that is gone is not told beside it.
    {
        "source_matchers": ['alertname="CoreServiceDown"'],
        "target_matchers": ['alertname=~"HousekeepingMissing|DeviceNotConnected|CommandsFail"'],
        "equal": ["site", "server"],
    },
    {
        "source_matchers": ['alertname="DiskCritical"'],
        "target_matchers": ['alertname=~"DiskLow|DiskFullWithinADay"'],
        "equal": ["site", "folder"],
    },
    {
        "source_matchers": ['alertname="NoMetricsAtAll"'],
        "target_matchers": ['alertname=~"CoreServiceDown"'],
        "equal": ["site"],
    },
)


def _route(settings: Mapping[str, Any], quiet: bool) -> dict[str, Any]:
    times = {
        "group_wait": str(settings.get("GROUP_WAIT") or "30s"),
        "group_interval": str(settings.get("GROUP_INTERVAL") or "5m"),
        "repeat_interval": str(settings.get("REPEAT_INTERVAL") or "4h"),
    }
    return {
        "receiver": OPERATORS,
        "group_by": ["site", "alertname", "alarm"],
        **times,
        "routes": [
            {
                "receiver": DEAD_MAN,
                "matchers": [f'alertname="{HEARTBEAT}"'],
                "group_wait": "0s",
                "group_interval": "1m",
                "repeat_interval": "1m",
            },
            {"receiver": NOBODY, "matchers": ['severity=~"info|none"']},
            {
                "receiver": ON_CALL,
                "matchers": ['severity="escalation"'],
                "group_wait": "0s",
                "repeat_interval": "30m",
            },
            {"receiver": OPERATORS, "matchers": ['severity=~"critical|alarm"'], "group_wait": "5s"},
            {
                "receiver": OPERATORS,
                "matchers": ['severity="warning"'],
                **({"mute_time_intervals": [QUIET]} if quiet else {}),
            },
        ],
    }


def _receiver(
    name: str, addresses: Sequence[str], slack: str, webhook: object, mail: Mapping[str, Any]
) -> dict[str, Any]:
    receiver: dict[str, Any] = {"name": name}
    if addresses:
        if not mail:
            raise SettingsError(
                f"Alerting names mail addresses for {name} and no mail server: set Alerting: SMTP"
            )
        receiver["email_configs"] = [{"to": address, "send_resolved": True} for address in addresses]
    if slack:
        text = "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.action }}\n{{ end }}"
        receiver["slack_configs"] = [{"api_url": slack, "send_resolved": True, "text": text}]
    if webhook:
        receiver["webhook_configs"] = [{"url": str(webhook), "send_resolved": True}]
    return receiver


def _mail(settings: Mapping[str, Any]) -> dict[str, Any]:
    server = str(settings.get("SMTP") or "")
    if not server:
        return {}
    host, _, port = server.rpartition(":")
    if not host or not port.isdigit():
        raise SettingsError(f"Alerting: SMTP is {server!r}; it must be HOST:PORT of a mail server")
    return {
        "smtp_smarthost": server,
        "smtp_from": str(settings.get("SENDER") or "egse@localhost"),
        "smtp_require_tls": bool(settings.get("SMTP_TLS", True)),
    }


def _addresses(settings: Mapping[str, Any], key: str) -> list[str]:
    value = settings.get(key) or []
    addresses = [value] if isinstance(value, str) else list(value)
    for address in addresses:
        if "@" not in str(address):
            raise SettingsError(f"Alerting: {key} has {address!r}, which is no mail address")
    return [str(address) for address in addresses]


def quiet_hours(text: str, zone: str = "UTC") -> dict[str, Any] | None:
    """Returns the interval in which warnings wait.

    Args:
        text: `22:00-07:00`; empty for none.
        zone: in which time zone, `Europe/Brussels`.

    Raises:
        SettingsError: when it is no such text.
    """
    if not text:
        return None
    start, _, end = text.replace(" ", "").partition("-")
    if not _CLOCK.fullmatch(start) or not _CLOCK.fullmatch(end) or start == end:
        raise SettingsError(f"Alerting: QUIET_HOURS is {text!r}; it must be like 22:00-07:00")
    if start < end:
        times = [{"start_time": start, "end_time": end}]
    else:
        times = [{"start_time": start, "end_time": "24:00"}]
        if end != "00:00":
            times.append({"start_time": "00:00", "end_time": end})
    return {"name": QUIET, "time_intervals": [{"times": times, "location": zone}]}
