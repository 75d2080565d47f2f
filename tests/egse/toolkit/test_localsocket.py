"""Unix sockets beside loopback ports."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from egse import localsocket
from egse.localsocket import OFF_SWITCH, is_listening, local_path, nearest, sweep


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(localsocket, "_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:30100", "tcp://localhost:30100", "tcp://[::1]:30100"])
def test_loopback_ports_have_a_file_of_their_own(endpoint: str) -> None:
    path = local_path(endpoint)
    assert path is not None
    assert path.name.endswith("-30100")
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.parent.stat().st_uid == os.geteuid()
    other = local_path("tcp://127.0.0.1:30101")
    assert other is not None
    assert other != path


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://10.1.2.3:30100", "tcp://server:30100", "tcp://127.0.0.1:*", "ipc:///x", "tcp://127.0.0.1:0", "x"],
)
def test_others_have_none(endpoint: str) -> None:
    assert local_path(endpoint) is None
    assert nearest(endpoint) == endpoint


def test_a_folder_that_others_can_enter_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(localsocket, "Path", lambda name: folder / name.strip("/").replace("/", "-"))
    inside = folder / f"tmp-cgse-{os.geteuid()}"
    assert localsocket._folder() == inside
    inside.chmod(0o755)
    assert localsocket._folder() is None
    inside.rmdir()
    inside.symlink_to(folder)
    assert localsocket._folder() is None


def test_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OFF_SWITCH, "off")
    assert local_path("tcp://127.0.0.1:30100") is None


def test_only_a_file_where_somebody_listens_is_taken(folder: Path) -> None:
    endpoint = "tcp://127.0.0.1:30100"
    path = local_path(endpoint)
    assert path is not None
    assert nearest(endpoint) == endpoint
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert is_listening(path)
        assert nearest(endpoint) == f"ipc://{path}"
    assert nearest(endpoint) == endpoint  # the file is still there, as after kill -9


def test_sweeping_spares_what_is_young_or_alive(folder: Path) -> None:
    def bind(name: str, age: float) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(folder / name))
        now = (folder / name).stat().st_mtime
        os.utime(folder / name, (now - age, now - age))
        return sock

    dead, young, alive = bind("dead", 3600), bind("young", 0), bind("alive", 3600)
    alive.listen()
    dead.close()
    sweep(folder)
    assert {path.name for path in folder.iterdir()} == {"young", "alive"}
    young.close()
    alive.close()
