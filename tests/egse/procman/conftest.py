"""A bench with core services, and packages of instruments as other people make them: good ones and bad ones."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from egse.clock import system_clock
from egse.process import Supervision
from egse.process.identity import marked_processes
from egse.procman import ProcessManagerProxy
from egse.settings import Settings
from egse.setup import load_setup, submit_setup
from egse.site.layout import merged_environment
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox

SERVER = '''
"""A control server of its own for each of two units that are alike."""
from egse.command import dynamic_interface
from egse.control import ControlServerApp
from egse.proxy import DynamicProxy

class TwinInterface:
    @dynamic_interface
    def hello(self) -> str:
        """Returns a greeting."""

class TwinController(TwinInterface):
    def hello(self) -> str:
        return "hello"

class TwinProxy(DynamicProxy, TwinInterface):
    def __init__(self, unit: int, *, timeout: float = 10.0) -> None:
        super().__init__(timeout=timeout)
        self.settings_name = f"Twin {unit} Control Server"

def make(unit):
    return ControlServerApp(
        name=f"twin{unit}_cs", settings=f"Twin {unit} Control Server", title=f"Twin {unit}",
        interface=TwinInterface, controller=lambda context: TwinController(), proxy="bench_units.twins:TwinProxy",
    )

TWIN1, TWIN2 = make(1), make(2)
'''

WHEEL = """
import ctypes
ctypes.CDLL("libximc.so")
"""

EXITING = """
import sys
print("Can't load libximc library. Please add all shared libraries to the appropriate places.")
print("System Exit with code None.", file=sys.stderr)
sys.exit()
"""

CRASHING = """
import os, signal
print("this driver was built for another machine", flush=True)
os.kill(os.getpid(), signal.SIGSEGV)
"""

SCRIPTS = {
    "wheel_cs": "bench_units.wheel:APP",
    "exiting_cs": "bench_units.exiting:APP",
    "crashing_cs": "bench_units.crashing:APP",
    "twin1_cs": "bench_units.twins:TWIN1",
    "twin2_cs": "bench_units.twins:TWIN2",
}


class Bench:
    """Core services in a site of their own, joined by this process."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.supervision: Supervision = sandbox.supervision

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a console script, as a user would in a shell."""
        return subprocess.run(
            [str(Path(sysconfig.get_path("scripts")) / command[0]), *command[1:]],
            env=merged_environment(self.sandbox.env),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def load(
        self, changes: dict[str, dict[str, object]], keep: tuple[str, ...] = ("aeu", "ogse", "lsci336")
    ) -> str:
        """Submits Setup 1 with some of its devices and further ones below `gse`.

        Returns:
            Its id, once the process manager has it.
        """
        setup = load_setup(1)
        for name in [name for name in setup.gse if name not in keep]:
            del setup.gse[name]
        for name, device in changes.items():
            setup.gse[name] = device
        wanted = submit_setup(setup, "for a test").get_id()
        assert wanted is not None
        with ProcessManagerProxy() as pm:
            wait_until(lambda: pm.get_setup_id() == wanted)
        return wanted


def wait_until(condition: Callable[[], bool], timeout: float = 60.0) -> None:
    deadline = system_clock().monotonic() + timeout
    while not condition():
        assert system_clock().monotonic() < deadline
        system_clock().sleep(0.05)


def write_packages(folder: Path) -> None:
    """Writes an installed distribution: a package, its entry points and its console scripts."""
    package = folder / "bench_units"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name, text in {"twins": SERVER, "wheel": WHEEL, "exiting": EXITING, "crashing": CRASHING}.items():
        (package / f"{name}.py").write_text(text)
    metadata = folder / "bench_units-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-units\nVersion: 1.0\n")
    points = "\n".join(f"{name} = {target}" for name, target in SCRIPTS.items())
    (metadata / "entry_points.txt").write_text(f"[egse.control_server]\n{points}\n")
    scripts = folder / "bin"
    scripts.mkdir()
    for name, target in SCRIPTS.items():
        module, _, attribute = target.partition(":")
        script = scripts / name
        script.write_text(
            f"#!{sys.executable}\n" + textwrap.dedent(f"import {module} as m\nm.{attribute}.main()\n")
        )
        script.chmod(0o755)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Packages of instruments, installed for this process and its children."""
    folder = tmp_path_factory.mktemp("packages") / "site"
    write_packages(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *os.environ.get("PYTHONPATH", "").split()]))
        patch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
        patch.syspath_prepend(str(folder))
        yield folder


@pytest.fixture(scope="module")
def bench(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A running bench, shared by the tests of a module."""
    folder = tmp_path_factory.mktemp("bench") / "box"
    box = Sandbox(folder, only_core=True)
    box.create()
    ports = iter(range((box.profile.first_port or 0) + 90, (box.profile.first_port or 0) + 96))
    with box.layout.settings.open("a") as settings:
        for unit in (1, 2):
            settings.write(f"Twin {unit} Control Server:\n  HK_DELAY: 10.0\n")
            for role in ("COMMANDING", "MONITORING", "SERVICE"):
                settings.write(f"  {role}_PORT: {next(ports)}\n")
    with box, box.joined():
        Settings.load(force=True)
        yield Bench(box)
    Settings.load(force=True)
    assert marked_processes(box.layout.run) == []
    release_block(folder)
