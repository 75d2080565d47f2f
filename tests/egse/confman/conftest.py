"""A private site in a temporary folder with real server processes."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from egse.confman import ConfigurationManagerProxy
from egse.storage import StorageProxy

MODULES = {
    "log_cs": "egse.logger.log_cs",
    "sm_cs": "egse.storage.sm_cs",
    "cm_cs": "egse.confman.cm_cs",
}
BLOCKS = {
    "log_cs": "Logging Control Server",
    "sm_cs": "Storage Control Server",
    "cm_cs": "Configuration Manager Control Server",
}
PORTS = ("COMMANDING_PORT", "MONITORING_PORT", "SERVICE_PORT", "METRICS_PORT", "RECEIVER_PORT")
START_LIMIT = 60.0
"""How long a server may take to start or to end on a busy machine [s]."""
SETUP_NAME = "SETUP_CSL1_00084_230407_091711.yaml"
SETUP_TEXT = "Setup:\n  camera:\n    ID: chimay\n  history:\n    '0': the first one\n"


class PrivateSite:
    """Settings, folders, configuration repository and processes of a site of its own."""

    def __init__(self, root: Path, ports: list[int]) -> None:
        self.root = root
        self.data = root / "data" / "CSL1"
        self.repository = root / "conf"
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self._stderr: list[Path] = []
        self._ports: dict[str, dict[str, int]] = {}
        self._write_settings(iter(ports))
        self._make_repository()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PLATO_", "CGSE_"))},
            "SITE_ID": "CSL1",
            "PLATO_DATA_STORAGE_LOCATION": str(root / "data"),
            "PLATO_CONF_DATA_LOCATION": str(self.repository / "data/CSL1/conf"),
            "PLATO_CONF_REPO_LOCATION": str(self.repository),
            "PLATO_LOG_FILE_LOCATION": str(root / "log"),
            "PLATO_LOCAL_SETTINGS": str(root / "settings.yaml"),
        }

    def _write_settings(self, ports: Iterator[int]) -> None:
        lines = []
        for name, block in BLOCKS.items():
            self._ports[name] = {key: next(ports) for key in PORTS}
            lines += [f"{block}:", *(f"  {key}: {port}" for key, port in self._ports[name].items())]
            lines += [
                "  HK_DELAY: 0.2",
                "  HK_MARGIN: 0.01",
                "  FSYNC_INTERVAL: 0.1",
                "  STORAGE_PATIENCE: 40.0",
                "  LISTENER_DELAY: 0.2",
            ]
        (self.root / "settings.yaml").write_text("\n".join(lines) + "\n")

    def _make_repository(self) -> None:
        folder = self.repository / "data/CSL1/conf"
        folder.mkdir(parents=True)
        (folder / SETUP_NAME).write_text(SETUP_TEXT)
        for arguments in (
            ("init", "-q", "-b", "main"),
            ("add", "."),
            ("-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "begin"),
        ):
            subprocess.run(["git", "-C", str(self.repository), *arguments], check=True)

    def endpoint(self, name: str, port: str = "COMMANDING_PORT") -> str:
        return f"tcp://127.0.0.1:{self._ports[name][port]}"

    def launch(self, name: str, fail_point: str = "") -> subprocess.Popen[str]:
        """Starts a server and returns without waiting for it."""
        stderr = self.root / f"{name}-{len(self._stderr)}.err"
        self._stderr.append(stderr)
        environment = {**self.environment, **({"CGSE_FAIL_POINT": fail_point} if fail_point else {})}
        with stderr.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", MODULES[name], "start"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        self.processes[name] = process
        return process

    def wait_ready(self, name: str) -> None:
        """Waits for the line with which a server says that it is ready."""
        process = self.processes[name]
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            assert selector.select(START_LIMIT), f"{name} is not ready: {self.errors()}"
        line = process.stdout.readline()
        assert line.startswith(f"READY {name} tcp://127.0.0.1:"), f"{line!r} {self.errors()}"

    def start(self, name: str, fail_point: str = "") -> None:
        self.launch(name, fail_point)
        self.wait_ready(name)

    def start_core(self, **fail_points: str) -> None:
        """Starts storage and configuration manager side by side and loads the Setup."""
        for name in ("sm_cs", "cm_cs"):
            self.launch(name, fail_points.get(name, ""))
        for name in ("sm_cs", "cm_cs"):
            self.wait_ready(name)
        if not (self.data / "last_setup_id.txt").exists():
            with self.cm() as cm:
                cm.load_setup(84)

    def killed(self, name: str) -> None:
        """Waits until a server has been killed by its fail point."""
        process = self.processes.pop(name)
        assert process.wait(START_LIMIT) == -signal.SIGKILL, self.errors()
        assert process.stdout is not None
        process.stdout.close()

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.killed(name)

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """Ends a server by a signal, cleanly."""
        process = self.processes.pop(name)
        process.send_signal(number)
        try:
            assert process.wait(START_LIMIT) == 0, self.errors()
        finally:
            assert process.stdout is not None
            process.stdout.close()

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait(START_LIMIT)
            if process.stdout is not None:
                process.stdout.close()

    def errors(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in self._stderr)

    def cm(self, timeout: float = START_LIMIT) -> ConfigurationManagerProxy:
        return ConfigurationManagerProxy(endpoint=self.endpoint("cm_cs"), timeout=timeout)

    def sm(self, timeout: float = START_LIMIT) -> StorageProxy:
        return StorageProxy(endpoint=self.endpoint("sm_cs"), timeout=timeout)

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the command line of a server to its end."""
        return subprocess.run(
            [sys.executable, "-m", MODULES[name], *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=START_LIMIT,
            check=False,
        )


@pytest.fixture
def private_site(tmp_path: Path, free_ports: Callable[[int], list[int]]) -> Iterator[PrivateSite]:
    site = PrivateSite(tmp_path, free_ports(len(BLOCKS) * len(PORTS)))
    yield site
    site.close()
