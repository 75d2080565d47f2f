"""The sandbox: what it makes, that it stays itself, that it starts and stops (with stand-in programs)."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from egse.env import get_conf_data_location, get_data_storage_location, get_log_file_location, get_site_id
from egse.process import LaunchError, Program, State
from egse.process.identity import marked_processes, wait_gone
from egse.settings import Settings
from egse.setup import Setup
from egse.site.layout import SiteError
from egse.site.localsettings import port_paths
from egse.site.ports import release_block
from egse.site.programs import TABLE, Kind, device_entry, script
from egse.site.sandbox import Sandbox
from egse.yamlfile import read_yaml

SERVER = """
import os, signal, socket, sys
from egse.settings import Settings
port = Settings.load(sys.argv[2])["COMMANDING_PORT"]
with socket.create_server(("127.0.0.1", port)):
    print("READY", sys.argv[1], f"tcp://127.0.0.1:{port}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        signal.pause()
"""


@pytest.fixture
def folder(tmp_path: Path):
    yield tmp_path / "bench"
    release_block(tmp_path / "bench")


def stand_ins() -> list[Program]:
    def program(name: str, block: str, stage: int) -> Program:
        return Program(name=name, command=(sys.executable, "-c", SERVER, name, block), stage=stage)

    return [program("log_cs", "Logging Control Server", 0), program("sm_cs", "Storage Control Server", 1)]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_it_makes_folders_settings_and_a_repository(folder: Path) -> None:
    sandbox = Sandbox(folder, speed=20, camera="duvel")
    layout = sandbox.create()

    assert folder.stat().st_mode & 0o777 == 0o700
    (setup_file,) = layout.conf.glob("SETUP_LAB_00001_*.yaml")
    assert git(layout.conf_repo, "status", "--porcelain") == ""
    assert (
        git(layout.conf_repo, "log", "--format=%an %s")
        == "Configuration manager Setup 00001 of LAB: initial Setup"
    )
    setup = Setup.from_yaml_file(setup_file)
    assert setup.camera.ID == "duvel"
    assert setup.get_id() == "00001"
    assert setup.camera.fee.register_map
    assert setup.gse.ogse.get_raw_value("device") == "class//egse.ogse.OGSEProxy"
    with sandbox.joined():
        assert get_site_id() == "LAB"
        assert get_data_storage_location() == layout.data
        assert get_conf_data_location() == layout.conf
        assert get_log_file_location() == layout.log
        assert Settings.load("SITE")["SPEED"] == 20
        assert Settings.load("SITE")["ID"] == "LAB"


def test_every_port_of_the_settings_lies_in_its_block(folder: Path) -> None:
    sandbox = Sandbox(folder)
    sandbox.create()
    first = sandbox.profile.first_port
    assert first is not None
    with sandbox.joined():
        settings = Settings.load()
        values = []
        for path in port_paths(settings):
            node = settings
            for key in path:
                node = node[key]
            values.append(node)

    assert len(values) > 40
    assert len(set(values)) == len(values)
    assert all(first <= port < first + sandbox.profile.ports for port in values)
    assert settings["SITE"]["SSH_PORT"] == 22


def test_ports_and_edited_settings_stay_over_a_second_creation(folder: Path) -> None:
    Sandbox(folder, speed=5).create()
    settings = read_yaml(folder / "settings.yaml")
    settings["OGSE Control Server"]["HK_DELAY"] = 7.5
    (folder / "settings.yaml").write_text(str(settings))  # a Python dict of this kind is YAML too
    again = Sandbox(folder)
    again.create()
    second = read_yaml(folder / "settings.yaml")

    assert again.profile.speed == 5
    assert second["OGSE Control Server"] == settings["OGSE Control Server"]
    assert second["SITE"]["SPEED"] == 5


def test_a_copied_sandbox_gets_ports_of_its_own(folder: Path, tmp_path: Path) -> None:
    Sandbox(folder).create()
    shutil.copytree(folder, tmp_path / "copy")
    copy = Sandbox(tmp_path / "copy")
    copy.create()
    release_block(tmp_path / "copy")

    ports = {
        block["COMMANDING_PORT"]
        for block in read_yaml(folder / "settings.yaml").values()
        if "COMMANDING_PORT" in block
    }
    new = {
        block["COMMANDING_PORT"]
        for block in read_yaml(tmp_path / "copy/settings.yaml").values()
        if "COMMANDING_PORT" in block
    }
    assert not ports & new


def test_what_it_was_made_with_cannot_change(folder: Path) -> None:
    Sandbox(folder, camera="duvel").create()

    with pytest.raises(SiteError, match="was made with camera duvel, not achel"):
        Sandbox(folder, camera="achel")
    with pytest.raises(SiteError, match="no site id"):
        Sandbox(folder, site_id="lab 1")
    with pytest.raises(SiteError, match="larger than 0"):
        Sandbox(folder, speed=0)
    with pytest.raises(SiteError, match="no file"):
        Sandbox(folder, scene="/no/such/scene.fits")


def test_a_folder_with_other_things_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").write_text("x")

    with pytest.raises(SiteError, match="holds other things"):
        Sandbox(folder).create()
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_it_starts_and_stops_and_keeps_its_ports(folder: Path) -> None:
    with Sandbox(folder, programs=stand_ins()) as sandbox:
        assert {name: status.state for name, status in sandbox.status().items()} == {
            "log_cs": State.RUNNING,
            "sm_cs": State.RUNNING,
        }
        endpoint = sandbox.endpoint("log_cs")
        with socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])), timeout=5):
            pass
        before = sandbox.status()["log_cs"].pid
        assert sandbox.kill("log_cs") == before
        assert wait_until_restarted(sandbox, "log_cs", before) != before
        sandbox.start()  # everything runs: nothing happens
    assert marked_processes(sandbox.layout.run) == []
    with Sandbox(folder, programs=stand_ins()) as sandbox:
        assert sandbox.endpoint("log_cs") == endpoint


def wait_until_restarted(sandbox: Sandbox, name: str, pid: int | None) -> int | None:
    assert pid is not None
    if psutil.pid_exists(pid):
        wait_gone([psutil.Process(pid)], 5.0)
    while (status := sandbox.wait_for(name, timeout=10)).pid == pid:
        pass
    return status.pid


def test_a_running_sandbox_is_not_restarted_with_other_options(folder: Path) -> None:
    with (
        Sandbox(folder, speed=5, programs=stand_ins()),
        pytest.raises(SiteError, match=r"other options \(speed 5\)"),
    ):
        Sandbox(folder, speed=6, programs=stand_ins()).start()


def test_taken_ports_are_named_and_can_be_changed(folder: Path) -> None:
    first = Sandbox(folder).create()
    port = read_yaml(first.settings)["Storage Control Server"]["COMMANDING_PORT"]
    with socket.create_server(("127.0.0.1", port)):
        sandbox = Sandbox(folder, programs=stand_ins())
        with pytest.raises(SiteError, match=rf"ports {port} of this sandbox are used"):
            sandbox.start()
        try:
            assert len(sandbox.start(new_ports=True)) == 2
        finally:
            sandbox.stop()


def test_a_program_that_does_not_come_up_is_named_with_its_reason(folder: Path) -> None:
    bad = Program(
        name="bad_cs", command=(sys.executable, "-c", "raise SystemExit('no library libximc')"), tries=1
    )
    with (
        pytest.raises(LaunchError, match=r"(?s)bad_cs is fatal.*no library libximc"),
        Sandbox(folder, programs=[bad]),
    ):
        pass
    assert marked_processes(folder / "run") == []


def test_it_ends_with_its_owner(folder: Path) -> None:
    source = (
        "import signal, sys\n"
        "from egse.process import Program\n"
        "from egse.site.sandbox import Sandbox\n"
        "sandbox = Sandbox(sys.argv[1], programs=[Program(name='log_cs', command=tuple(sys.argv[2:]))])\n"
        "sandbox.start()\n"
        "print(sandbox.supervision.supervisor_pid(), flush=True)\n"
        "signal.pause()\n"
    )
    command = [sys.executable, "-c", source, str(folder), *stand_ins()[0].command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        supervisor = psutil.Process(int(owner.stdout.readline()))
        os.kill(owner.pid, signal.SIGKILL)
    assert wait_gone([supervisor], 10.0) == []
    assert marked_processes(folder / "run") == []


def test_the_table_names_only_what_is_in_it() -> None:
    names = [entry.name for entry in TABLE]

    assert len(set(names)) == len(names)
    assert all(need in names for entry in TABLE for need in entry.needs)
    settings = Settings.load(add_local_settings=False)
    assert all(entry.settings in settings for entry in TABLE if entry.settings)
    ranks = [entry.kind.value for entry in TABLE]
    assert ranks == sorted(ranks)
    assert device_entry("ogse") == device_entry("ogse_cs")
    assert device_entry("ogse").kind is Kind.DEVICE
    assert device_entry("ogse").needs == ()
    with pytest.raises(SiteError, match="is a core service"):
        device_entry("sm")
    with pytest.raises(SiteError, match="did you mean 'ogse_cs'"):
        device_entry("ogse_s")


def test_a_program_that_is_not_installed() -> None:
    with pytest.raises(SiteError, match=r"is not installed in .*: install the package that brings it"):
        script("no_such_program")
