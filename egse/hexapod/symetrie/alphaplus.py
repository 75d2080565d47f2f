"""Hexapods with an Alpha+ controller: what their interfaces and drivers have in common."""

from __future__ import annotations

from typing import Annotated, Any

from egse.command import Range, dynamic_interface
from egse.deferral import deferred
from egse.hexapod.symetrie.answers import N, to_numbers
from egse.hexapod.symetrie.controller import HexapodController, HexapodProxy, values_of
from egse.hexapod.symetrie.interface import Degree, Done, HexapodInterface, Millimetre, State, Validation
from egse.hexapod.symetrie.kinematics import Mode, Six
from egse.hexapod.symetrie.shell import ask, command
from egse.hexapod.symetrie.states import (
    PLUS_ACTUATOR,
    PLUS_GENERAL,
    PLUS_VALIDATION,
    RETURN_CODES,
    set_bits,
    states,
)
from egse.security.roles import observe

IN_POSITION, MOTION, HOMING, HOMED, VIRTUAL = 3, 4, 5, 6, 7
"""Bits of `s_hexa`."""
ALL_AXES = 10
"""Argument of `perform_maintenance`."""


class LimitCommands:
    """The three workspaces: factory (fixed), machine frame, user frame; the last two count while they are enabled."""

    @observe
    @dynamic_interface
    def get_limits_value(self, lim: Annotated[int, Range(0, 2)]) -> list[float]:
        """Returns a workspace: tx ty tz rx ry rz of its negative end, then of its positive end [mm, deg].

        Args:
            lim: 0 factory, 1 machine, 2 user.
        """

    @observe
    @dynamic_interface
    def get_limits_state(self) -> list[int]:
        """Returns which of the workspaces factory, machine and user are enabled (1)."""

    @dynamic_interface
    def machine_limit_enable(self, state: Annotated[int, Range(0, 1)]) -> Done:
        """Enables (1) or disables (0) the workspace in the machine frame."""

    @dynamic_interface
    def user_limit_enable(self, state: Annotated[int, Range(0, 1)]) -> Done:
        """Enables (1) or disables (0) the workspace in the user frame."""

    @dynamic_interface
    def machine_limit_set(
        self,
        tx_n: Millimetre,
        ty_n: Millimetre,
        tz_n: Millimetre,
        rx_n: Degree,
        ry_n: Degree,
        rz_n: Degree,
        tx_p: Millimetre,
        ty_p: Millimetre,
        tz_p: Millimetre,
        rx_p: Degree,
        ry_p: Degree,
        rz_p: Degree,
    ) -> Done:
        """Sets the workspace in the machine frame: its negative (`_n`) and its positive end (`_p`)."""

    @dynamic_interface
    def user_limit_set(
        self,
        tx_n: Millimetre,
        ty_n: Millimetre,
        tz_n: Millimetre,
        rx_n: Degree,
        ry_n: Degree,
        rz_n: Degree,
        tx_p: Millimetre,
        ty_p: Millimetre,
        tz_p: Millimetre,
        rx_p: Degree,
        ry_p: Degree,
        rz_p: Degree,
    ) -> Done:
        """Sets the workspace in the user frame: its negative (`_n`) and its positive end (`_p`)."""

    @dynamic_interface
    def set_default(self) -> Done:
        """Brings frames, workspaces and speeds back to what they are at the factory."""


class AlphaPlusInterface(HexapodInterface, LimitCommands):
    """All commands of a hexapod with an Alpha+ controller."""

    @observe
    @dynamic_interface
    def version(self) -> str:
        """Returns the version of the controller's programming interface."""

    @deferred
    @dynamic_interface
    def move_ptp(
        self,
        cm: Annotated[int, Range(0, 2)],
        tx: Millimetre,
        ty: Millimetre,
        tz: Millimetre,
        rx: Degree,
        ry: Degree,
        rz: Degree,
    ) -> Done:
        """Moves the object.

        Args:
            cm: 0 absolute, 1 relative to the object, 2 relative to the user frame.
            tx, ty, tz: position or step.
            rx, ry, rz: attitude or step.
        """

    @observe
    @dynamic_interface
    def validate_position(
        self,
        vm: Annotated[int, Range(1, 1)],
        cm: Annotated[int, Range(0, 2)],
        tx: Millimetre,
        ty: Millimetre,
        tz: Millimetre,
        rx: Degree,
        ry: Degree,
        rz: Degree,
    ) -> Validation:
        """Says whether a move would be feasible; nothing moves.

        Args:
            vm: mode of the validation; there is only 1.
            cm: 0 absolute, 1 relative to the object, 2 relative to the user frame.
            tx, ty, tz: position or step.
            rx, ry, rz: attitude or step.

        Returns:
            `(0, {})` when it is feasible; a positive number and its bits; or a negative return code and its text.
        """

    @deferred
    @dynamic_interface
    def goto_user_zero_position(self) -> Done:
        """Moves the object into the user frame."""

    @deferred
    @dynamic_interface
    def goto_machine_zero_position(self) -> Done:
        """Moves the platform into the machine frame."""

    @observe
    @dynamic_interface
    def get_temperature(self) -> list[float]:
        """Returns the temperatures of the six motors [degC]."""

    @observe
    @dynamic_interface
    def query_variable(self, name: str) -> str:
        """Returns a variable of the controller as text."""

    @observe
    @dynamic_interface
    def query_variables(
        self, name: str, count: Annotated[int, Range(2, 50)], increment: Annotated[int, Range(1)] = 1
    ) -> list[str]:
        """Returns variables of the controller from one on, as text."""

    @observe
    @dynamic_interface
    def query_array(self, name: str, idx: Annotated[int, Range(0)]) -> str:
        """Returns an element of an array of the controller as text."""

    @observe
    @dynamic_interface
    def query_array_values(
        self,
        name: str,
        idx: Annotated[int, Range(0)],
        count: Annotated[int, Range(2, 50)],
        increment: Annotated[int, Range(1)] = 1,
    ) -> list[str]:
        """Returns elements of an array of the controller from one on, as text."""


class AlphaPlusController(HexapodController, AlphaPlusInterface):
    """Talks to a hexapod with an Alpha+ controller."""

    def is_simulator(self) -> bool:
        return self.identify() == "Power PMAC simulator"

    def identify(self) -> str:
        """Asks the controller what it is; what it answers is not laid down."""
        return " ".join(ask(self.transport, "VERS"))

    def info(self) -> str:
        numbers = [int(number) for number in self._results("VERSION", 12)]
        software, interface = (".".join(map(str, numbers[i : i + 4])) for i in (1, 5))
        return (
            f"Info about the Hexapod Alpha+ Controller:\n  Software version = {software}\n"
            f"  API version = {interface}\n  System Configuration version = {numbers[11]}"
        )

    def version(self) -> str:
        return ".".join(str(int(number)) for number in self._results("VERSION", 12)[5:9])

    # -- what it is like

    def is_homing_done(self) -> bool:
        return self._bit(HOMED)

    def is_homing_running(self) -> bool:
        return self._bit(HOMING)

    def is_in_position(self) -> bool:
        (state,) = self._ask("s_hexa", int, 1)
        return bool(state >> IN_POSITION & 1) and not state >> MOTION & 1

    def get_user_positions(self) -> list[float]:
        return self._ask("s_uto_tx,6,1", float, 6)

    def get_machine_positions(self) -> list[float]:
        return self._ask("s_mtp_tx,6,1", float, 6)

    def get_actuator_length(self) -> list[float]:
        return self._ask("s_pos_ax_1,6,1", float, 6)

    def get_temperature(self) -> list[float]:
        return self._ask("s_ai_1,6,1", float, 6)

    def get_general_state(self) -> State:
        return _state(self._ask("s_hexa", int, 1)[0], PLUS_GENERAL)

    def get_actuator_state(self) -> list[State]:
        return [_state(number, PLUS_ACTUATOR) for number in self._ask("s_ax_1,6,1", int, 6)]

    def get_debug_info(self) -> list[int]:
        (state,) = self._ask("s_hexa", int, 1)
        (register,) = self._ask("c_cmd", int, 1)
        homing = 1 if state >> HOMING & 1 else 2 if state >> HOMED & 1 else 3 if state & 1 else 0
        place = 4 if state & 1 else 2 if state >> MOTION & 1 else 3 if state >> IN_POSITION & 1 else 0
        return [homing, place, int(homing != 2), register]

    def get_coordinates_systems(self) -> list[float]:
        return self._results("CFG_CS", 12, cfg=0)

    def get_speed(self) -> list[float] | dict[str, float]:
        return self._results("CFG_SPEED", 6, cfg=0)

    def get_limits_value(self, lim: int) -> list[float]:
        return self._results("CFG_LIMIT", 13, lim, cfg=0)[1:]

    def get_limits_state(self) -> list[int]:
        return [int(flag) for flag in self._results("CFG_LIMITENABLE", 3, cfg=0)]

    def get_buffer(self) -> str:
        return "\n".join(ask(self.transport, "c_par(0),20,1"))

    def query_variable(self, name: str) -> str:
        return "\n".join(ask(self.transport, name))

    def query_variables(self, name: str, count: int, increment: int = 1) -> list[str]:
        return ask(self.transport, f"{name},{count},{increment}")

    def query_array(self, name: str, idx: int) -> str:
        return "\n".join(ask(self.transport, f"{name}({idx})"))

    def query_array_values(self, name: str, idx: int, count: int, increment: int = 1) -> list[str]:
        return ask(self.transport, f"{name}({idx}),{count},{increment}")

    # -- what it does

    def homing(self) -> Done:
        return self._order("HOME")

    def stop(self) -> Done:
        self._give_up_waiting()
        return self._order("STOP")

    def activate_control_loop(self) -> Done:
        return self._order("CONTROLON")

    def deactivate_control_loop(self) -> Done:
        return self._order("CONTROLOFF")

    def clear_error(self) -> Done:
        done = self._order("CLEARERROR")
        self._ask("s_err_nr", int, 1)
        return done

    def set_virtual_homing(self, tx: float, ty: float, tz: float, rx: float, ry: float, rz: float) -> Done:
        return self._order("HOMEVIRTUAL", tx, ty, tz, rx, ry, rz)

    def configure_coordinates_systems(self, *args: float, **kwargs: float) -> Done:
        twelve = values_of(AlphaPlusInterface.configure_coordinates_systems, args, kwargs)
        return self._order("CFG_CS", *twelve, cfg=1)

    def set_speed(self, vt: float, vr: float) -> Done:
        return self._order("CFG_SPEED", vt, vr, cfg=1)

    def set_default(self) -> Done:
        return self._order("CFG_DEFAULT", cfg=1)

    def machine_limit_enable(self, state: int) -> Done:
        return self._order("CFG_LIMITENABLE", 1, state, cfg=1)

    def user_limit_enable(self, state: int) -> Done:
        return self._order("CFG_LIMITENABLE", 2, state, cfg=1)

    def machine_limit_set(self, *args: float, **kwargs: float) -> Done:
        twelve = values_of(AlphaPlusInterface.machine_limit_set, args, kwargs)
        return self._order("CFG_LIMIT", 1, *twelve, cfg=1)

    def user_limit_set(self, *args: float, **kwargs: float) -> Done:
        twelve = values_of(AlphaPlusInterface.user_limit_set, args, kwargs)
        return self._order("CFG_LIMIT", 2, *twelve, cfg=1)

    def move_ptp(self, cm: int, tx: float, ty: float, tz: float, rx: float, ry: float, rz: float) -> Done:
        return self._after_homing(lambda: self._move(Mode(cm), (tx, ty, tz, rx, ry, rz)))

    def validate_position(
        self, vm: int, cm: int, tx: float, ty: float, tz: float, rx: float, ry: float, rz: float
    ) -> Validation:
        (found,) = self._results("VALID_PTP", 1, vm, cm, tx, ty, tz, rx, ry, rz)
        number = int(found)
        if number < 0:
            return number, {number: RETURN_CODES.get(number, "unknown return code")}
        return number, set_bits(number, PLUS_VALIDATION)

    def goto_specific_position(self, pos: int) -> Done:
        return self._after_homing(lambda: self._order("MOVE_SPECIFICPOS", pos))

    def goto_user_zero_position(self) -> Done:
        return self.goto_specific_position(1)

    def goto_zero_position(self) -> Done:
        return self.goto_specific_position(1)

    def goto_retracted_position(self) -> Done:
        return self.goto_specific_position(2)

    def goto_machine_zero_position(self) -> Done:
        return self.goto_specific_position(3)

    def jog(self, axis: int, inc: float) -> Done:
        return self._order("JOG", float(inc), ax=axis)

    def perform_maintenance(self, axis: int) -> Done:
        return self._order("MAINTENANCE", *((3,) if axis == ALL_AXES else (2, axis)))

    def reset(self, wait: bool = True) -> Any:
        with self.transport.lock:
            self.transport.write("system reboot")
            self.transport.disconnect()
        done = 0, RETURN_CODES[0]
        return self._later(self._answers, lambda: done, "the end of the restart") if wait else done

    # -- parts

    def _move(self, mode: Mode, position: Six) -> Done:
        return self._order("MOVE_PTP", int(mode), *(float(value) for value in position))

    def _check(self, mode: Mode, position: Six) -> Validation:
        return self.validate_position(1, int(mode), *(float(value) for value in position))

    def _bit(self, bit: int) -> bool:
        return bool(self._ask("s_hexa", int, 1)[0] >> bit & 1)

    def _ask(self, line: str, kind: type[N], count: int) -> list[N]:
        return to_numbers(ask(self.transport, line), kind, count)

    def _order(self, name: str, *values: float, cfg: int | None = None, ax: int | None = None) -> Done:
        self._results(name, 0, *values, cfg=cfg, ax=ax)
        return 0, RETURN_CODES[0]

    def _results(
        self, name: str, count: int, *values: float, cfg: int | None = None, ax: int | None = None
    ) -> list[float]:
        words = [f"{key}={value}" for key, value in (("c_ax", ax), ("c_cfg", cfg)) if value is not None]
        words += [f"c_par({index})={_text(value)}" for index, value in enumerate(values)]
        return command(self.transport, " ".join([*words, f"c_cmd=C_{name}"]), self.clock, count)


class AlphaPlusProxy(HexapodProxy, AlphaPlusInterface):
    """Client of the control server of a hexapod with an Alpha+ controller."""


def _text(value: float) -> str:
    return f"{value:d}" if isinstance(value, int) else f"{value:.6f}"


def _state(number: int, texts: tuple[str, ...]) -> State:
    found = states(number, texts)
    return found, list(found.values())
