"""Configuration files of Prometheus and Alertmanager, from the Settings and the control servers of a site."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from egse.metrics.alertmanager import alertmanager_config
from egse.metrics.rules import JOB, rule_file
from egse.settings import Settings, SettingsError
from egse.yamlfile import format_yaml

SERVER_FILE = "prometheus-egse-server.yml"
TARGETS_FILE = "egse-targets.json"
RULES_FILE = "egse-rules.yml"
ALERTMANAGER_FILE = "alertmanager.yml"

_HEADER = (
    "# Written by `cgse metrics config` from the Settings; change them and write it again, or it is lost.\n\n"
)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A control server as Prometheus knows it.

    Attributes:
        server: its name, `ogse_cs`.
        host, port: where it tells its metrics.
        kind: `core` or `device`.
        mnemonic: its storage mnemonic.
    """

    server: str
    host: str
    port: int
    kind: str = "device"
    mnemonic: str = ""

    @property
    def address(self) -> str:
        """`host:port`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def make_target(server: str, block: Mapping[str, Any], kind: str) -> Target | None:
    """Returns the target of a server; None when it tells no metrics.

    Args:
        server: its name.
        block: its settings.
        kind: `core` or `device`.
    """
    port = block.get("METRICS_PORT")
    if not port:
        return None
    host = str(block.get("METRICS_HOSTNAME") or "")
    if host in ("", "0.0.0.0", "::"):
        host = str(block.get("HOSTNAME") or "localhost")
    host = "127.0.0.1" if host == "localhost" else host
    mnemonic = str(block.get("STORAGE_MNEMONIC") or "")
    return Target(server=server, host=host, port=int(port), kind=kind, mnemonic=mnemonic)


def targets_json(targets: Iterable[Target], site: str) -> str:
    """Returns the file from which Prometheus learns where the control servers are (file-based service discovery)."""
    groups = [
        {
            "targets": [target.address],
            "labels": {
                "server": target.server,
                "kind": target.kind,
                "site": site,
                **({"mnemonic": target.mnemonic} if target.mnemonic else {}),
            },
        }
        for target in targets
    ]
    return json.dumps(groups, indent=1) + "\n"


def server_config(settings: Mapping[str, Any], site: str) -> dict[str, Any]:
    """Returns the configuration of Prometheus.

    Args:
        settings: block `Metrics` of the Settings.
        site: id of the site, a label of everything that leaves this Prometheus.
    """
    interval = str(settings.get("SCRAPE_INTERVAL") or "5s")
    jobs: list[dict[str, Any]] = [
        {"job_name": JOB, "file_sd_configs": [{"files": [TARGETS_FILE], "refresh_interval": "30s"}]}
    ]
    for name, key in (
        ("prometheus", "PROMETHEUS"),
        ("alertmanager", "ALERTMANAGER"),
        ("node", "NODE_EXPORTER"),
    ):
        if address := _address(settings, key):
            labels = {"site": site, "server": name}
            jobs.append({"job_name": name, "static_configs": [{"targets": [address], "labels": labels}]})
    config: dict[str, Any] = {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": str(settings.get("SCRAPE_TIMEOUT") or interval),
            "evaluation_interval": str(settings.get("EVALUATION_INTERVAL") or interval),
            "external_labels": {"site": site},
        },
        "rule_files": [RULES_FILE],
    }
    if address := _address(settings, "ALERTMANAGER"):
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [address]}]}]}
    return {**config, "scrape_configs": jobs}


def _address(settings: Mapping[str, Any], key: str) -> str:
    address = str(settings.get(key) or "")
    if address and not address.rpartition(":")[2].isdigit():
        raise SettingsError(f"Metrics: {key} is {address!r}; it must be HOST:PORT")
    return address


def config_files(targets: Iterable[Target], site: str) -> dict[str, str]:
    """Returns all files by name, made of the Settings.

    Args:
        targets: the control servers.
        site: id of the site.

    Raises:
        SettingsError: when the blocks `Metrics` or `Alerting` make no sense.
    """
    alerting = Settings.load("Alerting")
    storage = Settings.load("Storage Control Server")
    rules = rule_file(
        float(storage.get("DISK_LOW", 20.0)),
        float(storage.get("DISK_CRITICAL", 5.0)),
        str(alerting.get("ESCALATE_AFTER") or "15m"),
    )
    documents = {
        SERVER_FILE: server_config(Settings.load("Metrics"), site),
        RULES_FILE: rules,
        ALERTMANAGER_FILE: alertmanager_config(alerting, _slack()),
    }
    files = {name: _HEADER + format_yaml(document) for name, document in documents.items()}
    return {**files, TARGETS_FILE: targets_json(targets, site)}


def _slack() -> str:
    try:
        return str(Settings.load("SLACK").get("WEBHOOK") or "")
    except SettingsError:
        return ""
