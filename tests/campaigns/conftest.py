"""Fixtures of the campaigns: the bench server of the commanding tests, and how long a test goes on.

`@pytest.mark.scales(3, 50)` gives a test the argument `scale`: 3 in the suite, 50 by `make campaign`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path

import pytest

from egse.env import LOCAL_SETTINGS, get_data_storage_location
from egse.journal import JournalRecord, read_journal
from egse.settings import Settings
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox

_SOURCE = Path(__file__).resolve().parents[1] / "egse" / "commanding" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("bench_fixtures", _SOURCE)
assert _SPEC is not None
assert _SPEC.loader is not None
_module = importlib.util.module_from_spec(_SPEC)
sys.modules["bench_fixtures"] = _module
_SPEC.loader.exec_module(_module)

bench_site = _module.bench_site
stopped_server = _module.stopped_server
server = _module.server
proxy = _module.proxy


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "scales(short, long): size of a test in the suite and in the campaign")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("scales")
    if marker is not None:
        short, long = marker.args
        metafunc.parametrize("scale", [short, pytest.param(long, marks=pytest.mark.campaign)])


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Running core services: storage, log and configuration manager."""
    folder = tmp_path_factory.mktemp("core") / "box"
    with Sandbox(folder, only_core=True) as running:
        yield running
    release_block(folder)


@pytest.fixture
def core_site(
    core: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[Path]:
    """A site with core services, joined by this process, in which the bench server takes housekeeping at 5 Hz."""
    commanding, monitoring, service = free_ports(3)
    for name, value in core.env.items():
        monkeypatch.setenv(name, value)
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        Path(core.env[LOCAL_SETTINGS]).read_text()
        + f"\nBench Control Server:\n  COMMANDING_PORT: {commanding}\n  MONITORING_PORT: {monitoring}\n"
        f"  SERVICE_PORT: {service}\n  STORAGE_MNEMONIC: BENCH\n  HK_DELAY: 0.2\n  HK_MARGIN: 0.0\n"
        "  MONITORING_DELAY: 0.01\n"
    )
    monkeypatch.setenv(LOCAL_SETTINGS, str(settings))
    Settings.load(force=True)
    yield tmp_path
    monkeypatch.undo()
    Settings.load(force=True)


@pytest.fixture
def journal(bench_site: Path) -> Callable[[], Iterator[JournalRecord]]:
    """Reads what the bench server has recorded since the test began."""
    folder = get_data_storage_location() / "journal" / "bench_cs"

    def records() -> Iterator[JournalRecord]:
        return chain.from_iterable(read_journal(path) for path in sorted(folder.glob("*.journal")))

    before = sum(1 for _ in records())
    return lambda: islice(records(), before, None)
