"""A private site for benchmarks: environment and settings, processes started the ordinary way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from egse.settings import Settings


class BenchmarkSite:
    """Starts processes of the site and waits until they are ready."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """Starts a control server and returns when it has said that it is ready."""
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("READY"):
            raise RuntimeError(f"{' '.join(command)} did not get ready: {line!r}")
        return process

    def stop(self) -> None:
        """Ends what is still running."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                process.wait(10)
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def benchmark_site(folder: Path) -> Iterator[BenchmarkSite]:
    """Makes `folder` a site with a log and a storage manager running, and points this process at it."""
    blocks = ("Logging", "Storage", "Configuration Manager", "Trivial")
    ports = iter(_free_ports(4 * len(blocks)))
    lines = ["SITE:", "  ID: BENCH"]
    for block in blocks:
        lines += [f"{block} Control Server:", "  PROTOCOL: tcp", "  HOSTNAME: localhost"]
        keys = ("COMMANDING_PORT", "MONITORING_PORT", "SERVICE_PORT", "RECEIVER_PORT")
        lines += [f"  {key}: {next(ports)}" for key in keys]
    lines.append("  STORAGE_MNEMONIC: TRIVIAL")
    (folder / "settings.yaml").write_text("\n".join(lines) + "\n")
    os.environ.update(
        SITE_ID="BENCH",
        PLATO_LOCAL_SETTINGS=str(folder / "settings.yaml"),
        PLATO_DATA_STORAGE_LOCATION=str(folder / "data"),
        PLATO_LOG_FILE_LOCATION=str(folder / "log"),
        PLATO_CONF_DATA_LOCATION=str(folder / "conf"),
        PLATO_CONF_REPO_LOCATION=str(folder / "conf"),
    )
    Settings.load(force=True)
    site = BenchmarkSite()
    try:
        for name in ("log_cs", "sm_cs"):
            site.start([f"{Path(sys.executable).parent / name}", "start"])
        yield site
    finally:
        site.stop()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
