"""`cgse tunnel` with a stand-in for ssh that writes down how it was called."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from egse.cli.tunnel import ssh_command
from egse.site.layout import SiteError
from egse.site.programs import is_installed

FAKE_SSH = """#!{python}
import json, sys
with open({record!r}, "w") as file:
    json.dump(sys.argv, file)
sys.exit(7)
"""
CORE_PORTS = [*range(6000, 6004), *range(6100, 6104), *range(6105, 6110), *range(6200, 6204)]
WATCHDOG_PORTS = [*range(6208, 6212)]
SYNOPTICS_PORTS = [*range(6204, 6208)] if is_installed("syn_cs") else []


class Bench:
    """A machine with local settings of its own and a fake ssh."""

    def __init__(self, folder: Path) -> None:
        self.record = folder / "argv.json"
        self.settings = folder / "local-settings.yaml"
        self.write("SITE: {SSH_SERVER: operator@egse-server, SSH_PORT: 2222}")
        path = folder / "bin"
        path.mkdir()
        (path / "ssh").write_text(FAKE_SSH.format(python=sys.executable, record=str(self.record)))
        (path / "ssh").chmod(0o755)
        self.environment = {**os.environ, "PATH": str(path), "PLATO_LOCAL_SETTINGS": str(self.settings)}

    def write(self, text: str) -> None:
        self.settings.write_text(text)

    def cgse(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from egse.cli import main; main(prog_name='cgse')"
        return subprocess.run(
            [sys.executable, "-c", code, "tunnel", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def forwarded(command: list[str]) -> list[int]:
    """The ports of a command, the same on both sides and on loopback."""
    targets = [value for option, value in itertools.pairwise(command) if option == "-L"]
    ports = [int(target.split(":")[1]) for target in targets]
    assert targets == [f"127.0.0.1:{port}:127.0.0.1:{port}" for port in ports]
    return ports


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(sock.getsockname()[1]) for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def ogse_block(ports: list[int], hostname: str = "localhost") -> str:
    roles = ("COMMANDING", "MONITORING", "SERVICE", "METRICS")
    lines = "".join(f"  {role}_PORT: {port}\n" for role, port in zip(roles, ports, strict=True))
    return f"SITE: {{SSH_SERVER: egse-server}}\nOGSE Control Server:\n  HOSTNAME: {hostname}\n{lines}"


def test_print_shows_the_command_and_starts_nothing(bench: Bench) -> None:
    done = bench.cgse("cm", "ogse_cs", "--print")
    assert done.returncode == 0, done.stderr
    command = shlex.split(done.stdout)
    assert command[:4] == ["ssh", "-N", "-p", "2222"]
    assert command[-1] == "operator@egse-server"
    assert forwarded(command) == [
        6000,
        6001,
        6002,
        6003,
        30130,
        30131,
        30132,
        30133,
    ]  # not the OGSE's own 4181
    assert not bench.record.exists()


def test_without_names_the_core_services_and_all_devices_come_through(bench: Bench) -> None:
    ports = forwarded(shlex.split(bench.cgse("--print", "--host", "other", "--ssh-port", "22").stdout))
    assert (
        sorted(port for port in ports if port < 6700) == CORE_PORTS + SYNOPTICS_PORTS + WATCHDOG_PORTS
    )  # the hexapod PUNA has 6700 to 6703
    assert {30100, 30103, 30130, 30140} <= set(ports)
    assert len(ports) == len(set(ports))


def test_ssh_takes_the_place_of_the_command(bench: Bench) -> None:
    ports = free_ports(4)
    bench.write(ogse_block(ports))
    done = bench.cgse("ogse", "ogse_cs")
    assert done.returncode == 7, done.stderr
    program, *arguments = json.loads(bench.record.read_text())
    assert program.endswith("ssh")
    assert forwarded(arguments) == ports
    assert arguments[1:3] == ["-p", "22"]
    assert "ExitOnForwardFailure=yes" in arguments
    assert arguments[-1] == "egse-server"
    assert done.stdout.splitlines() == [
        "Through egse-server, until Ctrl-C:",
        f"  ogse_cs  commanding {ports[0]}, monitoring {ports[1]}, service {ports[2]}, metrics {ports[3]}",
    ]


def test_a_port_in_use_here_is_named_with_its_holder(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bench.write(ogse_block([*free_ports(3), port]))
        done = bench.cgse("ogse")
    assert done.returncode == 1
    assert (
        f"port {port} (ogse_cs METRICS_PORT) is in use on this machine by process {os.getpid()}"
        in done.stderr
    )
    assert not bench.record.exists()


def test_mistakes_are_told_in_words(bench: Bench) -> None:
    assert "no device server 'ogs' is installed" in bench.cgse("ogs", "--print").stderr
    bench.write(ogse_block(free_ports(4), "10.0.0.5"))
    assert "set HOSTNAME: localhost for 'OGSE Control Server'" in bench.cgse("ogse", "--print").stderr
    bench.write(ogse_block([6000, 1, 2, 3]))
    assert "ogse_cs and cm_cs both have port 6000" in bench.cgse("cm", "ogse", "--print").stderr
    bench.write("")
    done = bench.cgse("ogse")
    assert (done.returncode, "the settings name no other machine" in done.stderr) == (1, True)
    (Path(bench.environment["PATH"]) / "ssh").unlink()
    assert "install an SSH client" in bench.cgse("ogse", "--host", "other").stderr


@pytest.mark.parametrize("host", ["-oProxyCommand=reboot", "a b", "user@-x", "", "host;reboot"])
def test_the_host_cannot_be_an_option_of_ssh(host: str) -> None:
    with pytest.raises(SiteError, match="no name of a machine"):
        ssh_command([], host)
    assert ssh_command([], "me@[fe80::1%eth0]")[-1] == "me@[fe80::1%eth0]"
