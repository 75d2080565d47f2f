"""A clean environment: no site, no local settings, nothing remembered from other tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from egse.env import VARIABLES
from egse.settings import Settings
from egse.setup import set_provider


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield
    set_provider(None)


@pytest.fixture
def local_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes the local settings file and names it in the environment."""

    def write(text: str) -> Path:
        path = tmp_path / "local_settings.yaml"
        path.write_text(text)
        monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(path))
        Settings.clear_memoized(path)
        return path

    return write
