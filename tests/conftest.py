"""Fixtures for all tests.

- `site`: a site of its own for one test (folders, settings, configuration repository), joined by this process; no
  processes.
- `sandbox`: the running sandbox that all tests of a session share: core services, simulators, device servers, at 20
  times the true speed. A test that kills something must leave everything running (`sandbox.wait_for(name)`).
- `in_sandbox`: the same, and this very process is a member of it, so that proxies find the servers.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import camtest.run as _run  # noqa: F401  (before anything that brings nbformat: it knows how that starts quickly)
from egse.context import follow_setup, set_command_context
from egse.env import VARIABLES
from egse.site.layout import SiteLayout
from egse.site.ports import busy_ports, claim_block, release_block
from egse.site.sandbox import Sandbox

from .distribution import Precedence, check_shared, make_scheduler, sort_shared

SPEED = 20.0


def pytest_configure(config: pytest.Config) -> None:
    """Lets Ctrl-C reach the programs under test also when the tests were started in the background (`make test &`).

    And lets the thousand programs that the tests start find their modules compiled: containers like to forbid it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    config.pluginmanager.register(Precedence(config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Shares the files out to the workers as `distribution` says."""
    return make_scheduler(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    check_shared(items)
    sort_shared(items)


@pytest.fixture(scope="session", autouse=True)
def bare_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Takes the site of whoever runs the tests out of the environment, and keeps their cache folder clean."""
    names = (*VARIABLES, "XDG_CACHE_HOME")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    del os.environ["XDG_CACHE_HOME"]
    os.environ.update(before)


@pytest.fixture(scope="session")
def free_ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], list[int]]]:
    """Returns so many neighbouring free ports, from a block that nobody else on this machine has."""
    folder = tmp_path_factory.mktemp("ports")
    ports = list(claim_block(folder, size=300).ports)
    used = 0

    def find(count: int) -> list[int]:
        nonlocal used
        for _ in range(len(ports)):
            if used + count > len(ports):
                used = 0
            found = ports[used : used + count]
            used += count
            if not busy_ports(found):
                return found
        raise AssertionError(f"no {count} neighbouring ports of {ports[0]} to {ports[-1]} are free")

    yield find
    release_block(folder)


@pytest.fixture(scope="session")
def site_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox that is never started, to be copied."""
    folder = tmp_path_factory.mktemp("site") / "template"
    sandbox = Sandbox(folder, speed=SPEED, seed=1)
    sandbox.create()
    yield sandbox
    release_block(folder)


@pytest.fixture
def site(site_template: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteLayout:
    """A site for one test, joined by this process: folders, settings, repository with Setup 1; nothing runs."""
    layout = SiteLayout(tmp_path / "site", site_template.layout.site_id)
    shutil.copytree(site_template.directory, layout.folder)
    for name, value in layout.environment.items():
        monkeypatch.setenv(name, value)
    return layout


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The running sandbox of this session, with everything in it."""
    folder = tmp_path_factory.mktemp("sandbox") / "box"
    running = Sandbox(folder, speed=SPEED, seed=1)
    try:
        running.start(timeout=180.0)  # at that moment the other workers are at it as well
        yield running
    finally:
        running.stop()
    release_block(folder)


@pytest.fixture
def in_sandbox(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The running sandbox, joined by this process."""
    with sandbox.joined():
        yield sandbox


@pytest.fixture(autouse=True)
def _context_of_commands() -> Iterator[None]:
    """What one test sets for the commands of this process is not there in the next one."""
    yield
    follow_setup(None)
    set_command_context(obsid="", setup="")


@pytest.fixture(autouse=True)
def _no_server_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A control server in the process of a test makes it one where Controllers are in their place: only for that test."""
    monkeypatch.setattr("egse.direct._serving", False)
