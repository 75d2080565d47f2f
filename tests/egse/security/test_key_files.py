"""Key folders: what is in them, who may read it, what is refused; `cgse keys`."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from click.testing import CliRunner

from egse.cli.keys import keys as command
from egse.security import KeyFolder, KeysError, Role, keys_location
from egse.security.keys import Authorized, is_required
from egse.settings import Settings, SettingsError


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_private_without_any_umask(no_umask: None, local_settings: Path, tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    pair = folder.create("alice")
    folder.authorize("alice", Role.OBSERVE)
    assert mode(folder.path) == 0o700
    assert mode(folder.path / "alice.key_secret") == 0o600
    assert mode(folder.path / "authorized_keys") == 0o600
    assert mode(folder.path / "alice.key") == 0o644
    assert pair.secret not in (folder.path / "alice.key").read_bytes()
    assert repr(pair.secret) not in repr(pair)
    assert folder.pair("alice") == pair
    assert zmq.curve_public(pair.secret) == folder.public("alice")


def test_the_secret_is_never_in_a_file_that_others_can_open(
    no_umask: None, local_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created: list[int] = []
    real_open = os.open

    def watched(path: object, flags: int, mode: int = 0o777, **kwargs: object) -> int:
        if str(path).endswith("key_secret") and flags & os.O_CREAT:
            assert flags & os.O_EXCL
            created.append(mode)
        return real_open(path, flags, mode, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", watched)
    KeyFolder(tmp_path / "keys").create("alice")
    assert created == [0o600]


def test_a_key_is_never_overwritten_not_even_in_a_race(local_settings: Path, tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    outcomes: list[object] = []

    def create() -> None:
        try:
            outcomes.append(folder.create("alice"))
        except KeysError as exc:
            outcomes.append(str(exc))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [outcome for outcome in outcomes if not isinstance(outcome, str)]
    assert made == [folder.pair("alice")]
    assert all("never overwritten" in o for o in outcomes if isinstance(o, str))


@pytest.mark.parametrize("name", ["", "../evil", ".hidden", "a b", "x/y", "a\nb"])
def test_names_cannot_leave_the_folder(local_settings: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(KeysError, match="no name"):
        KeyFolder(tmp_path / "keys").create(name)


def test_files_open_to_others_are_refused(keys: KeyFolder) -> None:
    (keys.path / "alice.key_secret").chmod(0o640)
    with pytest.raises(KeysError, match=r"open to others \(mode 0640\): chmod 600"):
        keys.pair("alice")
    (keys.path / "server.key").chmod(0o664)
    with pytest.raises(KeysError, match="open to others"):
        keys.public("server")
    keys.authorized_file.chmod(0o620)
    with pytest.raises(KeysError, match="open to others"):
        keys.entries()
    keys.path.chmod(0o750)
    with pytest.raises(KeysError, match="chmod 700"):
        keys.check()


def test_damaged_keys_are_refused(keys: KeyFolder) -> None:
    path = keys.path / "alice.key_secret"
    path.write_text(path.read_text().replace(keys.public("alice").decode(), keys.public("olivia").decode()))
    with pytest.raises(KeysError, match="do not belong together"):
        keys.pair("alice")
    path.write_text("nothing")
    with pytest.raises(KeysError, match="holds no secret key"):
        keys.pair("alice")


def test_authorised_keys_follow_the_file(keys: KeyFolder) -> None:
    authorized = Authorized(keys, keys.public("server"))
    alice = keys.public("alice").decode()
    found = authorized.find(alice)
    assert found is not None
    assert (found.person, found.role, found.authenticated) == ("alice", Role.COMMAND, True)
    assert authorized.find(keys.public("mallory").decode()) is None
    keys.authorize("alice", Role.OBSERVE)
    changed = authorized.find(alice, fresh=True)
    assert changed is not None
    assert changed.role is Role.OBSERVE
    keys.revoke("alice")
    assert authorized.find(alice, fresh=True) is None
    keys.authorized_file.unlink()
    assert authorized.find(keys.public("olivia").decode(), fresh=True) is None


def test_lines_that_make_no_sense_accept_nobody(keys: KeyFolder, caplog: pytest.LogCaptureFixture) -> None:
    key = keys.public("mallory").decode()
    with keys.authorized_file.open("a") as file:
        file.write(f"admin {key} mallory\ncommand {key}\ncommand short mallory\n\n")
    assert {caller.person for caller in keys.entries().values()} == {"alice", "olivia"}
    assert caplog.text.count("ignored") == 3


def test_one_key_stands_for_one_person(keys: KeyFolder) -> None:
    with pytest.raises(KeysError, match="authorised as alice already"):
        keys.authorize("eve", Role.COMMAND, keys.path / "alice.key")
    with pytest.raises(KeysError, match="no person"):
        keys.authorize("server", Role.COMMAND)


def test_where_keys_are(local_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert keys_location() is None
    with pytest.raises(KeysError, match="export PLATO_KEYS_LOCATION"):
        KeyFolder.of_site()
    local_settings.write_text("SITE:\n  KEYS: /etc/egse/keys\n")
    Settings.load(force=True)
    assert keys_location() == Path("/etc/egse/keys")
    monkeypatch.setenv("PLATO_KEYS_LOCATION", "~/keys")
    assert keys_location() == Path.home() / "keys"


def test_a_slip_in_the_settings_switches_nothing_off(local_settings: Path) -> None:
    local_settings.write_text("SITE:\n  CURVE: requird\n")
    Settings.load(force=True)
    with pytest.raises(SettingsError, match="CURVE in the settings is 'requird'"):
        is_required("CURVE")


def test_command_line(local_settings: Path, tmp_path: Path) -> None:
    run = CliRunner()
    env = {"PLATO_KEYS_LOCATION": str(tmp_path / "site")}
    desk = {"PLATO_KEYS_LOCATION": str(tmp_path / "desk")}

    def cgse(*arguments: str, env: dict[str, str] = env) -> str:
        result = run.invoke(command, arguments, env=env)
        return f"{result.exit_code} {result.output}"

    assert "cgse keys create server" in cgse("list")
    assert cgse("create", "server").startswith("0")
    assert "authorize alice" in cgse("create", "alice", env=desk)
    assert "1 Error: key" in cgse("authorize", "alice", "--role", "command")
    public = str(tmp_path / "desk" / "alice.key")
    assert "alice is authorised: observe" in cgse("authorize", "alice", "--role", "observe", "--file", public)
    assert "alice is authorised: command" in cgse("authorize", "alice", "--role", "command")
    listed = cgse("list")
    assert "server               secret  servers" in listed
    assert "alice                public  command" in listed
    assert "2 Usage" in cgse("authorize", "alice", "--role", "admin")
    assert "not authorised any more" in cgse("revoke", "alice")
    assert "1 Error: alice is not authorised" in cgse("revoke", "alice")
    assert "alice                public  not authorised" in cgse("list")
    assert "never overwritten" in cgse("create", "server")
