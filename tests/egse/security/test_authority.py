"""Roles of commands, and control of a site: one session at a time, fenced by epochs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from egse.authority import ControlError, ControlState, ControlWatch, Gate, RoleError
from egse.clock import VirtualClock
from egse.command import commands_of, dynamic_command, dynamic_interface
from egse.confman.control_token import FILENAME, LEASE, ControlToken
from egse.context import CommandContext
from egse.security import ANYBODY, Caller, Role, always_allowed, changes, needs_control, observe, role_of
from egse.security.roles import is_under_control, set_current_caller
from egse.security.token import CONTROL_TOKEN, clear_token, current_token, set_token
from egse.settings import Settings
from egse.wire import Request, decode_request, encode

ALICE = Caller("alice", Role.COMMAND, True)
BOB = Caller("bob", Role.COMMAND, True)
OLIVIA = Caller("olivia", Role.OBSERVE, True)
SESSION = "session-of-alice-0001"
OTHER = "session-of-bob-000001"


class Interface:
    @dynamic_command(cmd_type="query", cmd_string="T?")
    def temperature(self) -> float:
        """Reads."""

    @dynamic_command(cmd_type="transaction", cmd_string="T")
    def transact(self) -> float:
        """Writes."""

    @changes
    @dynamic_command(cmd_type="query", cmd_string="RESET?")
    def reset(self) -> float:
        """A query that changes something."""

    @observe
    @dynamic_interface
    def look(self) -> int:
        """Marked outside."""

    @dynamic_interface
    @observe
    def look_too(self) -> int:
        """Marked inside."""

    @dynamic_interface
    def get_work_done(self) -> int:
        """A name is no promise."""

    @dynamic_interface
    def stop_motion(self) -> int:
        """Makes safe."""

    @always_allowed
    @dynamic_interface
    def retract(self) -> int:
        """Makes safe too."""

    @needs_control
    @dynamic_interface
    def load(self) -> int:
        """For one only."""

    @dynamic_interface
    def save(self) -> int:
        """For everybody who may command."""


COMMANDS = commands_of(Interface)


def test_roles_follow_from_the_definition() -> None:
    observing = {name for name, definition in COMMANDS.items() if role_of(definition) is Role.OBSERVE}
    assert observing == {"temperature", "look", "look_too"}


def test_which_commands_need_control() -> None:
    of_device = {name for name, d in COMMANDS.items() if is_under_control(d, device=True)}
    assert of_device == {"transact", "reset", "get_work_done", "load", "save"}
    assert {name for name, d in COMMANDS.items() if is_under_control(d, device=False)} == {"load"}


@pytest.fixture
def required(local_settings: Path) -> None:
    local_settings.write_text("SITE:\n  ID: LAB\n  CONTROL: required\n")
    Settings.load(force=True)


def request(name: str, session: str = "", epoch: int = 0) -> Request:
    return decode_request(encode(Request("c-1", name, {}, 0.0, CommandContext("x@y:1"), session, epoch)))


class Bench:
    """A control token, and the gate of a device server that asks it."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.token = ControlToken(folder, self.clock)
        self.away = False
        self.gate = Gate(device=True)
        self.gate._watch = ControlWatch(self.ask)  # instead of a configuration manager

    def ask(self) -> dict[str, Any]:
        if self.away:
            raise ConnectionError("nobody there")
        state = self.token.state()
        return {name: getattr(state, name) for name in state.__struct_fields__}

    def take(
        self, caller: Caller, session: str, reason: str = "", force: bool = False, member: str = "m"
    ) -> int:
        set_current_caller(caller)
        try:
            return int(self.token.take(session, reason, force, member, "u@h:1")["epoch"])
        finally:
            set_current_caller(ANYBODY)

    def send(self, caller: Caller, name: str, session: str = "", epoch: int = 0) -> None:
        try:
            self.gate.admit(COMMANDS[name], request(name, session, epoch), caller)
        finally:
            set_current_caller(ANYBODY)

    def forget(self) -> None:
        """Lets what the gate knows become stale."""
        self.gate._watch._next = 0.0


@pytest.fixture
def bench(tmp_path: Path, required: None) -> Bench:
    return Bench(tmp_path)


def test_observers_read_and_do_not_command(bench: Bench) -> None:
    bench.send(OLIVIA, "temperature")
    bench.send(OLIVIA, "look")
    for name in ("transact", "stop_motion", "retract"):
        with pytest.raises(
            RoleError, match=f"{name} needs the role `command`; the key of olivia has `observe`"
        ):
            bench.send(OLIVIA, name)


def test_nothing_is_asked_in_a_sandbox(local_settings: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.away = True
    for name in COMMANDS:
        bench.send(ANYBODY, name)
    with pytest.raises(RoleError):
        bench.send(OLIVIA, "save")
    bench.send(ALICE, "save")


def test_the_second_operator_is_refused_and_told_why(bench: Bench) -> None:
    epoch = bench.take(ALICE, SESSION, "thermal test")
    bench.send(ALICE, "transact", SESSION, epoch)
    with pytest.raises(
        ControlError, match=r"control is held by alice \(authenticated\) u@h:1 since 20.*\(thermal"
    ):
        bench.take(BOB, OTHER)
    with pytest.raises(ControlError, match=r"transact refused: control is held by alice .* since"):
        bench.send(BOB, "transact")
    with pytest.raises(ControlError):
        bench.send(BOB, "transact", OTHER, epoch)
    bench.send(BOB, "temperature")
    bench.send(BOB, "stop_motion")
    bench.send(BOB, "retract")


def test_without_control_nobody_commands(bench: Bench) -> None:
    with pytest.raises(ControlError, match=r"with control\(reason=...\).*nobody has control"):
        bench.send(ALICE, "transact")


def test_a_stolen_session_is_worth_nothing_under_another_key(bench: Bench) -> None:
    epoch = bench.take(ALICE, SESSION)
    with pytest.raises(ControlError):
        bench.send(BOB, "transact", SESSION, epoch)
    with pytest.raises(ControlError, match="held by alice"):
        bench.take(BOB, SESSION)
    assert SESSION not in str(bench.ask()), "who holds control is told, the session's name is not"


def test_forced_take_over_needs_a_reason_and_fences_the_older_holder(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    old = bench.take(ALICE, SESSION)
    bench.send(ALICE, "transact", SESSION, old)
    with pytest.raises(ControlError, match="needs a reason"):
        bench.take(BOB, OTHER, force=True)
    new = bench.take(BOB, OTHER, "alice has gone home", force=True)
    assert new == old + 1
    assert "control taken over by bob (authenticated) u@h:1: alice has gone home" in caplog.text
    bench.send(BOB, "transact", OTHER, new)  # the server learns of the new epoch from this command
    with pytest.raises(ControlError, match=r"held by bob .*gone home"):
        bench.send(ALICE, "transact", SESSION, old)
    with pytest.raises(ControlError, match="held by bob"):
        bench.token.renew(SESSION, old, "m")
    assert not bench.token.release(SESSION, old, "m")


def test_an_old_epoch_of_the_same_session_is_over(bench: Bench) -> None:
    old = bench.take(ALICE, SESSION)
    assert bench.token.release(SESSION, old, "m")
    new = bench.take(ALICE, SESSION)
    assert new > old
    bench.send(ALICE, "transact", SESSION, new)
    with pytest.raises(ControlError, match=f"under epoch {old}, which is over"):
        bench.send(ALICE, "transact", SESSION, old)


def test_a_session_is_alive_as_long_as_one_of_its_members(bench: Bench) -> None:
    epoch = bench.take(ALICE, SESSION, member="kernel")
    assert bench.take(ALICE, SESSION, member="queue") == epoch
    bench.clock.advance(LEASE * 0.9)
    bench.token.renew(SESSION, epoch, "queue")
    bench.clock.advance(LEASE * 0.9)
    assert bench.token.state().holder, "the kernel died, the queue lives"
    bench.take(ALICE, SESSION, member="kernel")
    assert bench.token.release(SESSION, epoch, "queue")
    assert bench.token.state().holder, "the kernel still holds it"
    bench.clock.advance(LEASE * 1.1)
    assert not bench.token.state().holder
    assert bench.take(BOB, OTHER) == epoch + 1


def test_epochs_survive_the_configuration_manager(bench: Bench, tmp_path: Path) -> None:
    epoch = bench.take(ALICE, SESSION, "night run")
    again = ControlToken(tmp_path, bench.clock)
    assert (again.state().epoch, again.state().reason) == (epoch, "night run")
    assert again.renew(SESSION, epoch, "m") == LEASE
    bench.clock.advance(LEASE * 1.1)
    assert not again.state().holder
    third = ControlToken(tmp_path, bench.clock)
    assert third.state() == ControlState(epoch=epoch)
    (tmp_path / FILENAME).write_text("{")
    with pytest.raises(ControlError, match="must not go back"):
        ControlToken(tmp_path, bench.clock)
    assert (tmp_path / FILENAME).stat().st_mode & 0o777 == 0o600


def test_while_the_configuration_manager_is_away(bench: Bench) -> None:
    bench.away = True
    with pytest.raises(ControlError, match="cm_cs does not answer"):
        bench.send(ALICE, "transact", SESSION, 1)
    bench.send(ALICE, "stop_motion")
    bench.away = False
    bench.forget()
    epoch = bench.take(ALICE, SESSION)
    bench.send(ALICE, "transact", SESSION, epoch)
    bench.away = True
    bench.forget()
    bench.send(ALICE, "transact", SESSION, epoch)
    with pytest.raises(ControlError):
        bench.send(BOB, "transact", OTHER, epoch + 5)


def test_what_is_known_is_not_asked_for_each_command(bench: Bench) -> None:
    asked: list[int] = []

    def ask() -> dict[str, Any]:
        asked.append(1)
        return bench.ask()

    bench.gate._watch = ControlWatch(ask)
    epoch = bench.take(ALICE, SESSION)
    for _ in range(100):
        bench.send(ALICE, "transact", SESSION, epoch)
    assert len(asked) == 1


def test_epochs_never_go_back_in_a_server() -> None:
    answers = [ControlState(epoch=7, holder="a"), ControlState(epoch=3, holder="b")]
    watch = ControlWatch(lambda: {n: getattr(answers[0], n) for n in answers[0].__struct_fields__})
    assert watch.state(0) == answers[0]
    first = answers.pop(0)
    watch._next = 0.0
    assert watch.state(0) == first


def test_short_session_names_are_refused(bench: Bench) -> None:
    with pytest.raises(ControlError, match="16 characters"):
        bench.take(ALICE, "guess-me")


def test_requests_carry_the_token_and_children_inherit_it(
    local_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import subprocess
    import sys

    from egse import proxy

    make: Callable[..., Request] = proxy._new_request
    assert (make("x", {}, 1.0).session, make("x", {}, 1.0).epoch) == ("", 0)
    set_token(SESSION, 12)
    sent = decode_request(encode(make("x", {}, 1.0)))
    assert (sent.session, sent.epoch) == (SESSION, 12)
    code = "from egse.security.token import current_token; print(*current_token())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.split() == [SESSION, "12"]
    clear_token()
    assert current_token() == ("", 0)
    assert CONTROL_TOKEN not in os.environ
