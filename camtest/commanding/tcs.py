"""Thermal control of the camera with the TCS EGSE of the Setup (`gse.tcs`): section 8 of the operations reference.

TRP1 is the temperature of the TOU (channel 1), TRP22 that of the FEE (channel 2, survival heater: only while the FEE is
off). The TCS EGSE regulates while a *task* is running; set points are changed between tasks. Commands need remote mode, which
building blocks ask for when it is not there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from camtest.commanding import plateau
from camtest.commanding.utilities import device, wait_until
from camtest.core.exec import Abort, building_block
from egse.command import Range, Unit
from egse.tcs import OperatingMode, TCSProxy, TMItem

TRP = Literal["TRP1", "TRP22"]
Celsius = Annotated[float, Range(-200, 100), Unit("degC")]

ITEMS = {"TRP1": "tou_rtd_tav", "TRP22": "fee_rtd_tav"}
"""Housekeeping of the TCS EGSE: mean of the sensors."""
TASK_TIMEOUT = 30.0
"""Longest time for a task to begin or end [s]."""


def tcs_egse() -> TCSProxy:
    """Returns the TCS EGSE of the active Setup (`gse.tcs.device`)."""
    return cast(TCSProxy, device("gse.tcs"))


# -- looking -----------------------------------------------------------------------------------------------------------


def is_remote_mode() -> bool:
    """Returns True while the TCS EGSE takes commands from us."""
    return bool(tcs_egse().is_remote_operation_active())


def is_task_running() -> bool:
    """Returns True while a task is running; also when the TCS EGSE is not in remote mode."""
    tcs = tcs_egse()
    if tcs.is_remote_operation_active():
        return bool(tcs.is_task_running())
    return tcs.get_data().get("task_is_running") == 1


def get_data() -> dict[str, Any]:
    """Returns what the telemetry port tells, value by name; all of it is fresh while a task is running only."""
    return dict(tcs_egse().get_data())


def get_housekeeping_value(name: str) -> TMItem:
    """Returns one item of housekeeping: timestamp, name, value.

    Args:
        name: of the item, `tou_rtd_1`.
    """
    return tcs_egse().get_housekeeping_value(name)


def get_all_housekeeping() -> list[list[Any]]:
    """Returns all housekeeping: name, timestamp, value of each item; in remote mode only."""
    return list(tcs_egse().get_all_housekeeping())


def get_configuration() -> dict[str, Any]:
    """Returns all parameters by name; in remote mode only."""
    return dict(tcs_egse().get_configuration())


def get_error() -> list[list[str]]:
    """Returns the last errors, date, number, message; they cannot be cleared and may be old."""
    return list(tcs_egse().get_error())


def get_temperature(trp: TRP) -> float:
    """Returns a temperature of the camera, mean of its sensors [degC]; fresh while a task is running only.

    Args:
        trp: which.

    Raises:
        Abort: when there is no reading.
    """
    tcs, item = tcs_egse(), ITEMS[trp]
    remote = tcs.is_remote_operation_active()
    value = tcs.get_housekeeping_value(item).value if remote else tcs.get_data().get(item)
    if not isinstance(value, int | float):
        raise Abort(f"{trp} has no reading ({item} is {value}): check the sensors of the TCS EGSE")
    return float(value)


def print_all_housekeeping() -> None:
    """Prints a table of all housekeeping, as the TCS viewer shows it."""
    _print(
        "All Housekeeping", ("Timestamp", "Name", "Value"), [(d, n, v) for n, d, v in get_all_housekeeping()]
    )


def print_configuration() -> None:
    """Prints a table of all parameters and sensors."""
    found = get_configuration()
    sensors = [(f"rtd {serial}", coefficients) for serial, coefficients in found.pop("rtd_list", {}).items()]
    _print("Configuration", ("Name", "Value"), [*found.items(), *sensors])


def _print(title: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    from rich import print as show
    from rich.table import Table

    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*map(str, row))
    show(table)


# -- remote mode and tasks ---------------------------------------------------------------------------------------------


@building_block
def start_remote_mode() -> None:
    """Takes control of the TCS EGSE; its button becomes orange."""
    tcs_egse().request_remote_operation()


@building_block
def stop_remote_mode() -> None:
    """Gives control back to the buttons; a task that is running goes on."""
    tcs_egse().quit_remote_operation()


@building_block
def start_task() -> None:
    """Starts a task with the parameters as they are; returns when it runs."""
    tcs = _in_remote_mode()
    _require_unchanged(tcs.run_task())
    wait_until(is_task_running, timeout=TASK_TIMEOUT, interval=1.0, what="the task of the TCS EGSE")


@building_block
def stop_task() -> None:
    """Stops the task; heaters are off when it returns."""
    tcs = _in_remote_mode()
    tcs.stop_task()
    wait_until(
        lambda: not is_task_running(),
        timeout=TASK_TIMEOUT,
        interval=1.0,
        what="the end of the task of the TCS EGSE",
    )


@building_block
def stop_tcs_egse() -> None:
    """Stops the task and gives control back to the buttons, whatever the state."""
    tcs = _in_remote_mode()
    tcs.stop_task()
    tcs.quit_remote_operation()


# -- parameters --------------------------------------------------------------------------------------------------------


@building_block
def set_operating_mode(mode: OperatingMode) -> None:
    """Sets what the next task does.

    Args:
        mode: constant (preferred), name or number.

    Raises:
        Abort: when a task is running.
    """
    _require_no_task("operating mode")
    tcs = _in_remote_mode()
    tcs.set_operating_mode(mode)
    _require_unchanged(tcs.commit())


@building_block
def set_parameter(name: str, value: float | int | str) -> None:
    """Sets one parameter, to be taken over by `commit`; group those that belong together.

    Args:
        name: of the parameter, `ch1_tset`.
        value: its value.
    """
    _in_remote_mode().set_parameter(name, value)


@building_block
def commit() -> None:
    """Takes over the parameters that were set.

    Raises:
        Abort: when the TCS EGSE had to change one of them.
    """
    _require_unchanged(_in_remote_mode().commit())


@building_block
def set_trp1(temperature: Celsius) -> None:
    """Sets the set point of TRP1, the temperature of the TOU, for the next task.

    Args:
        temperature: set point.

    Raises:
        Abort: when a task is running.
    """
    _set_point("TRP1", "ch1_tset", temperature)


@building_block
def set_trp22(temperature: Celsius) -> None:
    """Sets the set point of TRP22, the temperature of the FEE, for the next task; to be used with the FEE off only.

    Args:
        temperature: set point.

    Raises:
        Abort: when a task is running.
    """
    _set_point("TRP22", "ch2_tset", temperature)


@building_block
def enable_heater(trp: TRP, enabled: bool) -> None:
    """Says whether a heater takes part in the next task; that of TRP22 is a survival heater, with the FEE off only.

    Args:
        trp: which.
        enabled: it heats, or does not.

    Raises:
        Abort: when a task is running.
    """
    _require_no_task(f"{trp} heater")
    tcs = _in_remote_mode()
    tcs.set_parameter({"TRP1": "ch1_enabled", "TRP22": "ch2_enabled"}[trp], int(enabled))
    _require_unchanged(tcs.commit())


def wait_for_plateau(
    trp: TRP, temperature: float, tolerance: float, stable_for: float, timeout: float
) -> float:
    """Waits until TRP1 or TRP22 has been near a temperature for a while; returns how long it took [s].

    Args:
        trp: which.
        temperature: middle of the plateau [degC].
        tolerance: greatest distance from it [K].
        stable_for: how long it has to stay there [s].
        timeout: longest time to wait [s].

    Raises:
        Abort: when no task is running: nothing would be measured.
        TimeoutError: when there was no plateau in time.
    """
    if not is_task_running():
        raise Abort(
            f"No task is running on the TCS, so {trp} is neither controlled nor measured: call start_task"
        )
    return plateau.wait_for_plateau(
        lambda: get_temperature(trp), temperature, tolerance, stable_for, timeout, what=trp
    )


def _set_point(trp: str, parameter: str, temperature: float) -> None:
    _require_no_task(f"{trp} setpoint")
    tcs = _in_remote_mode()
    tcs.set_parameter(name=parameter, value=temperature)
    _require_unchanged(tcs.commit())


def _in_remote_mode() -> TCSProxy:
    """Returns the TCS EGSE, in remote mode."""
    tcs = tcs_egse()
    if not tcs.is_remote_operation_active():
        tcs.request_remote_operation()
    return tcs


def _require_no_task(what: str) -> None:
    if is_task_running():
        raise Abort(f"Cannot change the {what}, a task is running on the TCS")


def _require_unchanged(reply: str) -> None:
    """Refuses to go on when the TCS EGSE has taken over other values than those that were set."""
    if "erroneous" in reply:
        raise Abort(
            f"The TCS EGSE could not take a parameter as it was set ({reply}): see get_configuration()"
        )
