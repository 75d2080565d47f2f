"""A small site with keys: server key, alice (command), olivia (observe)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from egse.security import KeyFolder, Role
from egse.security.curve import act_as
from egse.security.token import clear_token
from egse.settings import Settings


@pytest.fixture
def local_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The local settings file of this test; write to it, then `Settings.load(force=True)`."""
    path = tmp_path / "local.yaml"
    path.write_text("SITE:\n  ID: LAB\n")
    for name in ("PLATO_KEYS_LOCATION", "PLATO_KEY_NAME", "CGSE_CONTROL_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(path))
    Settings.load(force=True)
    yield path
    act_as(None)
    clear_token()
    monkeypatch.undo()
    Settings.load(force=True)


@pytest.fixture
def keys(local_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyFolder:
    """A key folder, and settings that ask for keys on the loopback interface too."""
    folder = KeyFolder(tmp_path / "keys")
    for name in ("server", "alice", "olivia", "mallory"):
        folder.create(name)
    folder.authorize("alice", Role.COMMAND)
    folder.authorize("olivia", Role.OBSERVE)
    local_settings.write_text("SITE:\n  ID: LAB\n  CURVE: required\n")
    Settings.load(force=True)
    monkeypatch.setenv("PLATO_KEYS_LOCATION", str(folder.path))
    monkeypatch.setenv("PLATO_KEY_NAME", "alice")
    return folder
