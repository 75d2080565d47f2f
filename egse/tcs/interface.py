"""The commands of the TCS EGSE, defined once."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Annotated, Any, ParamSpec, TypeVar

from egse.command import Unit, dynamic_command, dynamic_interface, urgent
from egse.device import DeviceInterface
from egse.security.roles import observe
from egse.tcs.messages import (
    TMItem,
    acknowledged,
    all_items,
    configuration,
    consent,
    decoded,
    errors,
    remote_status,
    sendable,
    task_state,
    tm_item,
)

P = ParamSpec("P")
R = TypeVar("R")

Coefficient = Annotated[float, Unit("")]


class OperatingMode(IntEnum):
    """What a task of the TCS EGSE does (operations reference, section 8; numbers of the protocol)."""

    NORMAL = 0
    """All temperatures, heater of TRP1; that of TRP22 by configuration."""
    SAFE = 1
    """Heaters off."""
    DECONTAMINATION = 2
    """Heater of TRP1 at full power; also de-icing."""
    CALIBRATION = 3
    """Temperatures only."""
    EMC = 4
    """A sequence of heater powers is replayed; limits cut it off."""
    SELF_TEST = 5
    EXTENDED = 6
    """Everything as configured."""


class ClosedLoopMode(IntEnum):
    """How a channel is controlled: parameter `chN_mode`."""

    PI_1 = 0
    PI_2 = 1
    BANG_BANG_1 = 2
    BANG_BANG_2 = 3


def _question(cmd_string: str, convert: Callable[[str], Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    return dynamic_command(
        cmd_type="query",
        cmd_string=cmd_string,
        process_cmd_string=sendable,
        process_response=decoded(convert),
    )


def _setting(
    cmd_string: str,
    reply: Callable[..., Any] | None = None,
    *,
    use_format: bool = False,
    process_kwargs: Callable[[dict[str, Any]], str] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    return dynamic_command(
        cmd_type="transaction",
        cmd_string=cmd_string,
        use_format=use_format,
        process_cmd_string=sendable,
        process_response=reply or decoded(consent),
        process_kwargs=process_kwargs,
    )


def _pairs(parameters: dict[str, Any]) -> str:
    return " ".join(f"{name} {value}" for name, value in parameters.items())


class RemoteCommands:
    """Who has control: the buttons of the TCS EGSE, or us."""

    @_setting("request_remote_operation", acknowledged("acknowledge_remote_operation"))
    def request_remote_operation(self) -> str:
        """Takes control of the TCS EGSE (button orange); all other commands need it."""

    @_setting("quit_remote_operation", acknowledged("acknowledge_quit_remote_operation"))
    def quit_remote_operation(self) -> str:
        """Gives control back to the buttons; a task that is running goes on."""

    @_question("get_remote_status", remote_status)
    def is_remote_operation_active(self) -> bool:
        """Returns True while the TCS EGSE is in remote mode; needs no remote mode."""

    @_setting("clear_popup")
    def clear_popup(self) -> str:
        """Closes the message on the screen of the TCS EGSE."""

    @_question("get_error", errors)
    def get_error(self) -> list[list[str]]:
        """Returns the last errors: date, number, message of each; they cannot be cleared and may be old."""


class HousekeepingCommands:
    """Housekeeping; temperatures and heaters are renewed while a task is running only."""

    @_question("get_tm ${name}", tm_item)
    def get_housekeeping_value(self, name: str) -> TMItem:
        """Returns one item of housekeeping: timestamp (text, clock of the TCS EGSE), name, value.

        Args:
            name: of the item, `tou_rtd_tav`.
        """

    @_question("get_tm_all", all_items)
    def get_all_housekeeping(self) -> list[list[Any]]:
        """Returns all housekeeping: name, timestamp (clock of the TCS EGSE), value of each item."""

    @observe
    @dynamic_interface
    def get_data(self) -> dict[str, Any]:
        """Returns what the telemetry port tells, value by name; needs no remote mode.

        Returns:
            All housekeeping; without a task only load and resources are fresh.
        """


class ConfigurationCommands:
    """Parameters; they are collected until `commit` (or `run_task`) takes them over."""

    @_question("get_conf_all", configuration)
    def get_configuration(self) -> dict[str, Any]:
        """Returns all parameters by name, and in `rtd_list` six coefficients of each sensor by serial number."""

    @_setting("set_parameter operation_mode {mode:d}", use_format=True)
    def set_operating_mode(self, mode: OperatingMode) -> str:
        """Sets the operating mode, with the next `commit` or `run_task`.

        Args:
            mode: constant, name or number.
        """

    @_setting("set_parameter ${name} ${value}")
    def set_parameter(self, name: str, value: float | int | str) -> str:
        """Sets one parameter, with the next `commit` or `run_task`.

        Args:
            name: of the parameter, `ch1_tset` [deg C].
            value: its value; brought into its range and resolution when it is taken over.
        """

    @_setting("set_parameter ${parameters}", process_kwargs=_pairs)
    def set_parameters(self, **parameters: Any) -> str:
        """Sets several parameters in one message: `set_parameters(ch1_tset=-70, ch1_enabled=1)`."""

    @_setting("commit_config")
    def commit(self) -> str:
        """Takes the parameters over that were set; the answer says `erroneous` when one had to be changed for that."""

    @_setting("discard_config")
    def discard(self) -> str:
        """Forgets the parameters that were set since the last `commit`."""

    @_setting("upload_rtd_parameters {sn}_{r0}_{a}_{b}_{c}", use_format=True)
    def upload_callendar_vandusen_rtd_parameters(
        self, sn: str, r0: Annotated[float, Unit("Ohm")], a: Coefficient, b: Coefficient, c: Coefficient
    ) -> str:
        """Teaches the TCS EGSE a sensor by its Callendar-Van Dusen coefficients.

        Args:
            sn: serial number, without underscores.
            r0: resistance at 0 deg C.
            a, b, c: coefficients [1/K, 1/K2, 1/K4].
        """

    @_setting("upload_rtd_parameters {sn}_{a}_{b}_{c}_{d}_{e}_{f}", use_format=True)
    def upload_polynomial_rtd_parameters(
        self,
        sn: str,
        a: Coefficient,
        b: Coefficient,
        c: Coefficient,
        d: Coefficient,
        e: Coefficient,
        f: Coefficient,
    ) -> str:
        """Teaches the TCS EGSE a sensor by a polynomial.

        Args:
            sn: serial number, without underscores.
            a, b, c, d, e, f: coefficients.
        """

    @_setting("set_rtd_parameters ${rtd_id} ${sn}")
    def set_rtd_parameters(self, rtd_id: str, sn: str) -> str:
        """Says which sensor is connected to an input.

        Args:
            rtd_id: the input, `tou_rtd_1`.
            sn: serial number of the sensor.
        """


class TaskCommands:
    """Regulation happens in tasks."""

    @_question("get_tm task_is_running", task_state)
    def is_task_running(self) -> bool:
        """Returns True while a task is running; needs remote mode."""

    @_setting("run_task")
    def run_task(self) -> str:
        """Starts a task: measurement, and regulation as the operating mode says."""

    @urgent
    @_setting("stop_task")
    def stop_task(self) -> str:
        """Stops the task; heaters go off."""


class TCSInterface(
    RemoteCommands, HousekeepingCommands, ConfigurationCommands, TaskCommands, DeviceInterface
):
    """All commands of the TCS EGSE."""
