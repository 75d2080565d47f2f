"""Real servers in operations mode (CURVE on loopback, control required), and on an address of a network."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from egse.authority import ControlError, RoleError, control, get_control
from egse.confman import ConfigurationManagerProxy
from egse.journal import read_journal
from egse.security import HandshakeError, KeyFolder, Role
from egse.security.curve import act_as
from egse.security.token import current_token
from egse.settings import Settings
from egse.site.layout import SiteLayout
from egse.site.localsettings import read_local_settings, write_local_settings

SOURCE = Path(__file__).with_name("secured_device.py")
SPEC = importlib.util.spec_from_file_location("secured_device", SOURCE)
assert SPEC is not None
assert SPEC.loader is not None
secured_device: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(secured_device)

ADDRESS, PEER_ADDRESS = "10.231.77.1", "10.231.77.2"


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def configure(layout: SiteLayout, site: dict[str, Any], device: dict[str, Any]) -> None:
    settings = read_local_settings(layout.settings)
    block = {"PROTOCOL": "tcp", "HOSTNAME": "localhost", "MONITORING_DELAY": 0.5, **device}
    merged = {"SITE": {**settings.get("SITE", {}), **site}, "Secured Control Server": block}
    write_local_settings(layout.settings, {**settings, **merged})
    Settings.load(force=True)


@pytest.fixture
def lab(site: SiteLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SiteLayout]:
    """A site in operations mode with keys of alice and bob (command) and olivia (observe)."""
    keys = KeyFolder(tmp_path / "keys")
    for name in ("server", "alice", "bob", "olivia", "mallory"):
        keys.create(name)
    keys.authorize("alice", Role.COMMAND)
    keys.authorize("bob", Role.COMMAND)
    keys.authorize("olivia", Role.OBSERVE)
    monkeypatch.setenv("PLATO_KEYS_LOCATION", str(keys.path))
    monkeypatch.setenv("PLATO_KEY_NAME", "alice")
    monkeypatch.delenv("CGSE_CONTROL_TOKEN", raising=False)
    ports = dict(zip(("COMMANDING_PORT", "MONITORING_PORT", "SERVICE_PORT"), free_ports(3), strict=True))
    configure(site, {"CURVE": "required", "CONTROL": "required"}, ports)
    act_as(None)
    yield site
    monkeypatch.undo()
    Settings.load(force=True)


class Servers:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.stderr").open("w") as errors:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        self.processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"READY {name}"), self.log(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.stderr").read_text()

    def end(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            assert process.stdout is not None
            process.stdout.close()
            assert process.wait(timeout=30) == 0


@pytest.fixture
def servers(lab: SiteLayout, tmp_path: Path) -> Iterator[Servers]:
    running = Servers(tmp_path)
    running.start("cm_cs", [sys.executable, "-m", "egse.confman.cm_cs", "start"])
    running.start("secured_cs", [sys.executable, str(SOURCE), "start"])
    yield running
    running.end()


@pytest.fixture
def connect() -> Iterator[Callable[[], Any]]:
    made: list[Any] = []

    def new(kind: type[Any] = secured_device.SecuredProxy) -> Any:
        made.append(kind(timeout=5.0))
        return made[-1]

    yield new
    for proxy in made:
        proxy.disconnect_cs()


def wait_for(condition: Callable[[], bool], limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


AS_BOB = """
import sys
sys.path.insert(0, sys.argv[1])
from secured_device import SecuredProxy
from egse.authority import control, get_control
device = SecuredProxy(timeout=5.0)
def tell(function):
    try:
        print(function())
    except Exception as exc:
        print(type(exc).__name__, str(exc).splitlines()[0])
tell(device.act)
tell(device.look)
tell(device.stop)
def take(**options):
    with control(**options) as grant:
        return f"acted {device.act()} under epoch {grant.epoch}"
tell(lambda: take(reason="my turn"))
if sys.argv[2] == "force":
    tell(lambda: take(reason="alice is ill", force=True))
device.disconnect_cs()
"""


def as_bob(force: str = "") -> list[str]:
    environment = {k: v for k, v in os.environ.items() if k != "CGSE_CONTROL_TOKEN"} | {
        "PLATO_KEY_NAME": "bob"
    }
    command = [sys.executable, "-c", AS_BOB, str(SOURCE.parent), force or "ask"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_two_operators(lab: SiteLayout, servers: Servers, connect: Callable[[], Any]) -> None:
    device = connect()
    with pytest.raises(ControlError, match="nobody has control"):
        device.act()
    assert device.look() == 0
    assert device.stop() == "stopped"
    with control(reason="thermal test") as grant:
        assert device.act() == 1
        assert get_control().person == "alice"
        refused, looked, stopped, took = as_bob()
        assert refused.startswith("ControlError act refused: control is held by alice (authenticated)")
        assert "(thermal test)" in refused
        assert (looked, stopped) == ("1", "stopped")
        assert took.startswith("ControlError control is held by alice")
        assert as_bob("force")[-1] == f"acted 2 under epoch {grant.epoch + 1}"
        with pytest.raises(ControlError, match=r"needs control of the site|held by bob|is over"):
            device.act()
    assert current_token() == ("", 0)
    assert not get_control().holder
    with control(reason="again") as later, control() as inner:
        assert inner is later
        assert later.epoch > grant.epoch + 1
        assert device.act() == 3
    assert current_token() == ("", 0)
    origins = [
        record.origin
        for path in (lab.data / "journal" / "secured_cs").glob("*.journal")
        for record in read_journal(path)
        if record.event == "begin" and record.command == "act"
    ]
    assert [origin.split(" (authenticated) ")[0] for origin in origins] == ["alice", "bob", "alice"]


def test_observers(servers: Servers, connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATO_KEY_NAME", "olivia")
    device = connect()
    assert device.look() == 0
    with pytest.raises(RoleError, match="act needs the role `command`; the key of olivia has `observe`"):
        device.act()
    with pytest.raises(RoleError):
        device.stop()
    with device.get_service_proxy() as services:
        assert services.get_server_status()["counters"]["refused"] == 2
        with pytest.raises(RoleError):
            services.quit_server()
    cm = connect(ConfigurationManagerProxy)
    assert cm.get_obsid() is None
    with pytest.raises(RoleError):
        cm.load_setup(1)
    with pytest.raises(RoleError), control(reason="please"):
        pass


def test_loading_a_setup_needs_control(servers: Servers, connect: Callable[..., Any]) -> None:
    cm = connect(ConfigurationManagerProxy)
    with pytest.raises(ControlError, match="load_setup needs control"):
        cm.load_setup(1)
    with control(reason="new Setup"):
        assert cm.load_setup(1)["setup_id"] == 1


def test_strangers(
    lab: SiteLayout, servers: Servers, connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATO_KEY_NAME", "mallory")
    with pytest.raises(HandshakeError, match="does not accept this key"):
        connect().look()
    wait_for(lambda: "is not authorised" in servers.log("secured_cs"))
    configure(lab, {"CURVE": "auto"}, Settings.load("Secured Control Server"))
    with pytest.raises(HandshakeError, match="asks for a key"):
        connect().look()
    wait_for(lambda: "it uses no key" in servers.log("secured_cs"))


def test_a_server_does_not_start_on_the_network_without_keys(
    lab: SiteLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PLATO_KEYS_LOCATION")
    ports = dict(Settings.load("Secured Control Server"))
    configure(lab, {"CURVE": "auto", "CONTROL": "auto"}, {**ports, "HOSTNAME": "0.0.0.0"})
    command = [sys.executable, str(SOURCE), "start"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "READY" not in done.stdout
    assert "is not on the loopback interface, which needs keys" in done.stderr
    assert "PLATO_KEYS_LOCATION" in done.stderr


# -- from another network ----------------------------------------------------------------------------------------------


@pytest.fixture
def other_machine() -> Iterator[list[str]]:
    """The command prefix that runs a program in a network namespace of its own, joined by a cable to this one."""
    ip = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if ip is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and the program ip")
    name, near, far = f"egse{os.getpid()}", f"eg{os.getpid()}a", f"eg{os.getpid()}b"
    steps = [
        [ip, "netns", "add", name],
        [ip, "link", "add", near, "type", "veth", "peer", "name", far, "netns", name],
        [ip, "address", "add", f"{ADDRESS}/30", "dev", near],
        [ip, "link", "set", near, "up"],
        [ip, "-n", name, "address", "add", f"{PEER_ADDRESS}/30", "dev", far],
        [ip, "-n", name, "link", "set", far, "up"],
    ]
    try:
        for step in steps:
            if subprocess.run(step, capture_output=True).returncode:
                pytest.skip(f"network namespaces do not work here: {' '.join(step)}")
        yield [ip, "netns", "exec", name]
    finally:
        subprocess.run([ip, "link", "del", near], capture_output=True)
        subprocess.run([ip, "netns", "del", name], capture_output=True)


PLAIN = """
import sys, zmq
from egse.wire import Request, encode
sock = zmq.Context().socket(zmq.DEALER)
sock.linger = 0
sock.connect(sys.argv[1])
sock.send(encode(Request("x-1", "act", {})))
print("answer" if sock.poll(1500) else "silence", flush=True)
import os; os._exit(0)
"""

WITH_KEY = """
import sys
sys.path.insert(0, sys.argv[1])
from secured_device import SecuredProxy
with SecuredProxy(timeout=5.0) as device:
    print("acted", device.act())
"""


def test_from_another_machine(
    lab: SiteLayout, other_machine: list[str], tmp_path: Path, connect: Callable[..., Any]
) -> None:
    ports = dict(Settings.load("Secured Control Server"))
    configure(lab, {"CURVE": "auto", "CONTROL": "auto"}, {**ports, "HOSTNAME": ADDRESS})
    endpoint = f"tcp://{ADDRESS}:{ports['COMMANDING_PORT']}"
    running = Servers(tmp_path)
    running.start("secured_cs", [sys.executable, str(SOURCE), "start"])
    try:

        def there(*command: str) -> str:
            done = subprocess.run(
                [*other_machine, sys.executable, "-c", *command], capture_output=True, text=True, timeout=30
            )
            return done.stdout + done.stderr

        assert there(PLAIN, endpoint) == "silence\n"
        wait_for(lambda: "it uses no key" in running.log("secured_cs"))
        assert there(WITH_KEY, str(SOURCE.parent)) == "acted 1\n"
        KeyFolder.of_site().revoke("alice")
        assert "does not accept this key" in there(WITH_KEY, str(SOURCE.parent))
        wait_for(lambda: f"rejected {PEER_ADDRESS}: the key" in running.log("secured_cs"))
    finally:
        running.end()


def test_the_monitoring_port_tells_nothing_to_strangers(lab: SiteLayout, servers: Servers) -> None:
    context: zmq.Context[Any] = zmq.Context()
    sock = context.socket(zmq.SUB)
    try:
        sock.subscribe(b"")
        sock.connect(f"tcp://127.0.0.1:{Settings.load('Secured Control Server')['MONITORING_PORT']}")
        assert sock.poll(1200) == 0
    finally:
        context.destroy(linger=0)
