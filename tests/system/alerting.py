"""A real Prometheus with a real Alertmanager (packages of Debian), configured by `cgse metrics config`, and who is called."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from egse.metrics.prometheus import ALERTMANAGER_FILE, SERVER_FILE
from egse.site.sandbox import Sandbox
from egse.yamlfile import format_yaml, parse_yaml

from ..receiver import JSONReceiver

SCRIPTS = Path(sysconfig.get_path("scripts"))
PROMETHEUS, ALERTMANAGER = shutil.which("prometheus"), shutil.which("prometheus-alertmanager")

needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None or ALERTMANAGER is None,
    reason="Prometheus is not installed (apt install prometheus prometheus-alertmanager)",
)


class Hook:
    """Receives what Alertmanager sends, by path."""

    def __init__(self, port: int) -> None:
        self.alerts: list[tuple[str, dict[str, Any]]] = []
        self.receiver = JSONReceiver(self._take, port)

    def _take(self, path: str, content: Any) -> int:
        self.alerts += [(path, alert) for alert in content["alerts"]]
        return 200

    def names(self, path: str, status: str = "") -> list[str]:
        """Returns the names of the alerts that came at `path`: all, or those `firing` or `resolved`."""
        return [
            alert["labels"]["alertname"]
            for where, alert in self.alerts
            if where == path and status in ("", alert["status"])
        ]


class AlertChain:
    """Prometheus and Alertmanager at a sandbox, and the hook that they call.

    Args:
        folder: for the configuration and what they keep.
        box: the sandbox.
        ports: for Prometheus, Alertmanager and the hook.
        alerting: more of the settings block `Alerting`; `{hook}` in a text is the address of the hook.
        interval: how often Prometheus asks.
    """

    def __init__(
        self, folder: Path, box: Sandbox, ports: list[int], alerting: dict[str, str], interval: str
    ) -> None:
        self.folder = folder
        self.prometheus, self.alertmanager, hook = ports
        self.hook = Hook(hook)
        self.processes: list[subprocess.Popen[bytes]] = []
        settings = parse_yaml(box.layout.settings.read_text())
        settings["Metrics"] = {
            "SCRAPE_INTERVAL": interval,
            "PROMETHEUS": f"127.0.0.1:{self.prometheus}",
            "ALERTMANAGER": f"127.0.0.1:{self.alertmanager}",
        }
        settings["Alerting"] = {
            key: text.format(hook=self.hook.receiver.url) for key, text in alerting.items()
        }
        local = folder / "settings.yaml"
        local.write_text(format_yaml(settings))
        self.environment = {**box.environ(), "PLATO_LOCAL_SETTINGS": str(local)}

    def configure(self, *servers: str) -> None:
        """Writes the configuration for these servers."""
        options = [option for name in servers for option in ("--server", name)]
        self.run("cgse", "metrics", "config", "--dir", self.folder, *options)

    def start(self) -> None:
        """Starts both with the configuration."""
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
        """Returns what Prometheus answers; nothing while it is still starting."""
        url = f"http://127.0.0.1:{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return list(json.loads(answer.read())["data"]["result"])
        except urllib.error.HTTPError as exc:
            if exc.code == 503:
                return []
            raise AssertionError(f"{expr}: {exc.read().decode()}") from exc
        except OSError:
            return []

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(20)
        self.hook.receiver.close()
