"""What the system tests share: programs run as members of a site, and one run of the main job that many of them look at."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from egse.confman import ConfigurationManagerProxy
from egse.dpu import DPUProxy
from egse.ogse import OGSEProxy
from egse.site.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
PROCEDURE = ROOT / "procedures" / "short_functional_test.ipynb"
SCRIPTS = Path(sysconfig.get_path("scripts"))
MARK = "CAMTEST_TEST_MARK"
ON_MODE, FULL_IMAGE_MODE = 0, 5


def eventually(condition: Callable[[], Any], timeout: float = 60.0, what: str = "it") -> Any:
    """Returns the first true value of `condition()`."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout:g} s"
        time.sleep(0.02)
    return value


class Shell:
    """Runs programs as a person at a terminal of a site does, and knows every process that comes of it."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment = {**environment, MARK: uuid.uuid4().hex, "COLUMNS": "200"}
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def start(self, program: str, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        """Starts a console script of this environment."""
        process = subprocess.Popen(
            [str(SCRIPTS / program), *map(str, arguments)],
            env={**self.environment, **variables},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def finish(self, process: subprocess.Popen[str], timeout: float = 240.0) -> tuple[int, str]:
        """Waits for a program; returns exit code and output. Nothing that it started is left."""
        output, _ = process.communicate(timeout=timeout)
        assert not psutil.wait_procs(self.processes(), timeout=5)[1], "processes are left behind"
        return process.returncode, output

    def run(self, program: str, *arguments: object, **variables: str) -> tuple[int, str]:
        """Runs a program to its end."""
        return self.finish(self.start(program, *arguments, **variables))

    def processes(self) -> list[psutil.Process]:
        """Returns all living processes that come of this shell, their kernels and servers included."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.environment[MARK]:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return [p for p in found if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def kernel(self) -> psutil.Process | None:
        """Returns the running kernel, None while there is none."""
        for process in self.processes():
            try:
                if "ipykernel_launcher" in process.cmdline() or "-f" in process.cmdline():
                    return process
            except psutil.NoSuchProcess:
                continue
        return None

    def close(self) -> None:
        """Ends what a failed test has left."""
        for process in self.processes():
            process.kill()
        for process in self._started:
            process.communicate()


@dataclass(frozen=True)
class Record:
    """An observation as plain files, read without any code of ours."""

    site_folder: Path
    obsid: str

    @cached_property
    def folder(self) -> Path:
        (found,) = (self.site_folder / "obs").glob(f"{self.obsid[-5:]}_*")
        return found

    @property
    def prefix(self) -> str:
        return self.folder.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "manifest.json").read_text()))

    def file(self, name: str) -> Path:
        (found,) = self.folder.glob(f"{self.prefix}_{name}")
        return found

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file(name).read_text().splitlines()]

    @property
    def raw_files(self) -> list[Path]:
        return [self.site_folder / entry["path"] for entry in self.manifest["external"]]

    @property
    def supplements(self) -> list[dict[str, Any]]:
        path = self.folder / "supplements.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def journal(self) -> dict[str, list[dict[str, Any]]]:
        """Returns begin and end of each command of the observation, by id, from the journals of all servers."""
        records: dict[str, list[dict[str, Any]]] = {}
        for path in sorted(self.site_folder.glob("journal/*/*.journal")):
            for line in path.read_text().splitlines():
                record = json.loads(line.partition(" ")[2])
                if record.get("context", {}).get("obsid") == self.obsid:
                    records[record["id"]] = [record]
                elif record["id"] in records:
                    records[record["id"]].append(record)
        return records


@dataclass(frozen=True)
class Run:
    """A run of the main job."""

    code: int
    output: str
    record: Record
    executed: Path


class Site:
    """A running sandbox with the questions that tests have."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.folder = sandbox.layout.data
        self.manager = ConfigurationManagerProxy(endpoint=sandbox.endpoint("cm_cs"), timeout=5.0)
        self.camera = DPUProxy(endpoint=sandbox.endpoint("dpu_cs"), timeout=10.0)
        self.source = OGSEProxy(endpoint=sandbox.endpoint("ogse_cs"), timeout=10.0)

    def close(self) -> None:
        """Closes the connections."""
        for proxy in (self.manager, self.camera, self.source):
            proxy.close()

    def last(self) -> dict[str, Any]:
        """Returns the configuration manager's record of the last observation."""
        return dict(self.manager.list_observations(last=1)[0])

    def last_closed(self) -> dict[str, Any] | None:
        """Returns that record, None when it is not closed."""
        record = self.last()
        return record if record["state"] == "closed" else None

    def record(self, obsid: str) -> Record:
        """Returns an observation as files."""
        return Record(self.folder, obsid)

    def is_acquiring(self) -> bool:
        """Returns True when an observation is running and the camera takes images."""
        if self.manager.get_observation() is None:
            return False
        return self.camera.n_fee_get_mode() == FULL_IMAGE_MODE and not self.camera.n_fee_is_dump_mode()

    def to_rest(self) -> None:
        """Ends the taking of images that an earlier test has left."""
        if self.camera.n_fee_get_mode() == FULL_IMAGE_MODE and not self.camera.n_fee_is_dump_mode():
            self.camera.n_fee_set_dump_mode()
            eventually(self.camera.n_fee_is_dump_mode, what="DUMP mode")

    def as_after_power_on(self) -> None:
        """Brings camera and light source into the state after power-on, in which a dry run begins."""
        assert self.manager.get_observation() is None, "an observation is running"
        if self.camera.n_fee_get_mode() != ON_MODE:
            self.camera.n_fee_set_on_mode()
            eventually(lambda: self.camera.n_fee_get_mode() == ON_MODE, what="ON mode")
        self.source.operate_off()
        self.source.power_off()


@pytest.fixture
def lab(in_sandbox: Sandbox) -> Iterator[Site]:
    """The running sandbox of the session, joined by this process."""
    site = Site(in_sandbox)
    yield site
    site.close()


@pytest.fixture
def shell(sandbox: Sandbox, tmp_path: Path) -> Iterator[Shell]:
    """A terminal of the running sandbox."""
    shell = Shell(sandbox.environ(), tmp_path)
    yield shell
    shell.close()


@pytest.fixture
def make_shell() -> Iterator[Callable[[dict[str, str], Path], Shell]]:
    """Makes terminals of other sites."""
    shells: list[Shell] = []

    def make(environment: dict[str, str], folder: Path) -> Shell:
        shells.append(Shell(environment, folder))
        return shells[-1]

    yield make
    for shell in shells:
        shell.close()


@pytest.fixture
def wait() -> Callable[..., Any]:
    """`eventually`."""
    return eventually


@pytest.fixture
def write_notebook(tmp_path: Path) -> Callable[..., Path]:
    """Writes notebooks; a cell that begins with `# parameters` gets that tag."""

    def write(name: str, *sources: str) -> Path:
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        for cell in cells:
            if cell.source.startswith("# parameters\n"):
                cell.metadata["tags"] = ["parameters"]
        spec = {"name": "camtest", "display_name": "camtest", "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
        nbformat.write(notebook, tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def main_run(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The main job: the short functional test by its command, 2 cycles of 100 rows, from power-on."""
    folder = tmp_path_factory.mktemp("main")
    shell = Shell(sandbox.environ(), folder)
    with sandbox.joined():
        site = Site(sandbox)
        site.as_after_power_on()
        options = ("-p", "num_cycles", 2, "-p", "row_end", 99, "--output-dir", "runs")
        code, output = shell.run("camtest", "run", os.path.relpath(PROCEDURE, folder), *options)
        record = site.record(site.last()["obsid"])
        site.close()
    shell.close()
    (executed,) = (folder / "runs").iterdir()
    return Run(code, output, record, executed)
