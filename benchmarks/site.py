"""A private site for benchmarks: core services in a sandbox, device servers started the ordinary way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from egse.settings import Settings
from egse.site.sandbox import Sandbox

EXTRA_SETTINGS = """
Trivial Control Server:
  PROTOCOL: tcp
  HOSTNAME: localhost
  COMMANDING_PORT: {0}
  MONITORING_PORT: {1}
  SERVICE_PORT: {2}
  STORAGE_MNEMONIC: TRIVIAL
"""
EXTRA_OFFSET = 90
"""Where in the sandbox's block of 100 ports the benchmark's own device starts."""


class BenchmarkSite:
    """A running site; this process has joined it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.data = Path(sandbox.env["PLATO_DATA_STORAGE_LOCATION"])

    @contextmanager
    def server(self, module: str) -> Iterator[subprocess.Popen[str]]:
        """Runs `python -m module start` from ready to end."""
        command = [sys.executable, "-m", module, "start"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("READY"):
                raise RuntimeError(f"{' '.join(command)} did not get ready: {line!r}")
            try:
                yield process
            finally:
                process.terminate()
                process.wait(10)


@contextmanager
def benchmark_site() -> Iterator[BenchmarkSite]:
    """Starts the core services in a temporary sandbox, joins it, and adds the settings of the benchmark's device."""
    with TemporaryDirectory() as folder, Sandbox(folder, only_core=True) as sandbox, sandbox.joined():
        first = int(sandbox.endpoint("log_cs").rpartition(":")[2]) // 100 * 100 + EXTRA_OFFSET
        with Path(sandbox.env["PLATO_LOCAL_SETTINGS"]).open("a") as settings:
            settings.write(EXTRA_SETTINGS.format(*range(first, first + 3)))
        Settings.load(force=True)
        yield BenchmarkSite(sandbox)
    Settings.load(force=True)
