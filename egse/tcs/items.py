"""The housekeeping of the TCS EGSE: which items there are, and what they are called in our housekeeping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from egse.tcs.configuration import GROUPS, SENSORS

CHANNEL_ITEMS = (
    "clkheater_period",
    "clkheater_ticks",
    "heater_status",
    "iout",
    "output_inhibited",
    "pid_cv",
    "pid_error",
    "pid_proctime",
    "pid_sp",
    "pid_ts",
    "pout",
    "pwm_duty",
    "pwm_offtime",
    "pwm_ontime",
    "pwm_proctime",
    "tav",
    "vdc",
    "vout",
)
"""Items of each channel, after `chN_`."""
LOAD_ITEMS = (
    "ambient_rtd",
    "internal_rtd",
    "cpuload_realtime",
    "dt8774_inputs",
    "dt8774_outputs",
    "elapsed_time",
    "logging_files",
    "logging_packets",
    "ni9401_external_clkheater_period",
    "ni9401_external_clkheater_timeout",
    "op_mode",
    "psu_status",
    "psu_vdc",
    "start_time",
    "storage_mmi",
    "storage_realtime",
    "sync_status",
    "task_is_running",
)
"""Items of the TCS EGSE itself: load, resources, state. They are fresh without a task."""


def rtd_items(group: str) -> list[str]:
    """Returns the items of one group of sensors."""
    numbers = range(1, SENSORS + 1)
    return [
        *(f"{group}_rtd_{n}" for n in numbers),
        *(f"{group}_rtd_{n}_status" for n in numbers),
        f"{group}_rtd_tav",
    ]


def task_items(channels: int) -> list[str]:
    """Returns the items that are renewed while a task is running only."""
    sensors = [item for group in GROUPS for item in rtd_items(group)]
    return sensors + [f"ch{n}_{item}" for n in range(1, channels + 1) for item in CHANNEL_ITEMS]


def all_items(channels: int) -> list[str]:
    """Returns the names of all items, in the order of `get_tm_all`."""
    return sorted([*LOAD_ITEMS, *task_items(channels)])


def hk_name(item: str) -> str:
    """Returns the EGSE-conform name of an item, `GTCS_TOU_RTD_1`."""
    return f"GTCS_{item.upper()}"


def row_items(values: Iterable[str], channels: int) -> list[str]:
    """Returns the items of housekeeping rows, which are the same in all of them.

    Args:
        values: names that the TCS EGSE has told.
        channels: how many channels there are.
    """
    known = all_items(channels)
    return [*known, *sorted(set(values) - set(known))]


def hk_row(values: Mapping[str, Any], items: Sequence[str]) -> dict[str, Any]:
    """Returns a housekeeping row.

    Args:
        values: by name of the item; `tbd` and what is missing become None.
        items: those of the row.
    """
    return {hk_name(name): _known(values.get(name)) for name in items}


def _known(value: Any) -> Any:
    return None if isinstance(value, str) and value.lower() == "tbd" else value
