"""Names that tasks written for the Qt original import from elsewhere: what they do, done with what there is here.

`camtest.tasks.compat` gives them out while such tasks are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from camtest.commanding import csl_gse
from camtest.core.exec import building_block
from egse.archive import find_folder
from egse.command import Range, Unit
from egse.proxy import endpoint_from_settings, is_control_server_active
from egse.stages.huber.smc9300.messages import decode_status
from egse.storage.naming import ObservationName

__all__ = [
    "ObservationIdentifier",
    "is_ogse_cs_active",
    "is_smc9300_cs_active",
    "is_tcs_cs_active",
    "obsid_from_storage",
    "rotation_stage_move",
    "sma_rotation_move",
    "sma_translation_move",
    "untangle_status",
]

ObservationIdentifier = ObservationName

Angle = Annotated[float, Range(-360, 360), Unit("deg")]
Distance = Annotated[float, Range(-1000, 1000), Unit("mm")]

_STATUS_NAMES = {
    "axis": "axis",
    "err_no": "error",
    "err_msg": "error_text",
    "pos": "position",
    "epos": "encoder_position",
    "elimit": "limit",
    "ref": "reference",
    "eref": "encoder_reference",
    "ctrl": "control",
    "osc": "oscillation",
    "prog": "program",
}
"""Names of the original, and what the same field of a stage's status is called here."""


def is_ogse_cs_active(timeout: float = 2.0) -> bool:
    """Returns True when the control server of the OGSE answers within a time [s]."""
    return is_control_server_active(endpoint_from_settings("OGSE Control Server"), timeout)


def is_smc9300_cs_active(timeout: float = 2.0) -> bool:
    """Returns True when the control server of the HUBER stages answers within a time [s]."""
    return is_control_server_active(endpoint_from_settings("SMC9300 Control Server"), timeout)


def is_tcs_cs_active(timeout: float = 2.0) -> bool:
    """Returns True when the control server of the TCS EGSE answers within a time [s]."""
    return is_control_server_active(endpoint_from_settings("TCS Control Server"), timeout)


def obsid_from_storage(obsid: int | str, data_dir: str | Path | None = None) -> str:
    """Returns the name of an observation as its folder and its files have it.

    Args:
        obsid: test id or obsid in any form.
        data_dir: data folder of the site, or its `obs`; that of this site when None.

    Raises:
        LookupError: when there is none.
    """
    location = None if data_dir is None else Path(data_dir)
    if location is not None and location.name == "obs":
        location = location.parent
    return find_folder(obsid, location).name


def untangle_status(status: str | Mapping[str, Any]) -> dict[str, Any]:
    """Returns the status of a stage by the names of the original: err_no, err_msg, pos, epos, ...

    Args:
        status: answer of `get_status`, or the text of the controller.

    Raises:
        HuberError: when the text makes no sense.
    """
    fields = decode_status(status.encode()) if isinstance(status, str) else status
    return {name: fields.get(ours) for name, ours in _STATUS_NAMES.items()}


@building_block
def rotation_stage_move(angle: Angle) -> None:
    """Moves the big rotation stage to an angle; returns when it is there.

    Raises:
        Abort: when its hard stop is in the way; nothing has moved.
        HuberError: when the stage has an error.
    """
    csl_gse.move_stage(stage="big_rotation_stage", position=angle)


@building_block
def sma_rotation_move(angle: Angle) -> None:
    """Moves the small rotation stage, which turns the mirror, to an angle; returns when it is there.

    Raises:
        HuberError: when the stage has an error.
    """
    csl_gse.move_stage(stage="small_rotation_stage", position=angle)


@building_block
def sma_translation_move(distance: Distance) -> None:
    """Moves the translation stage to a position; returns when it is there.

    Raises:
        HuberError: when the stage has an error.
    """
    csl_gse.move_stage(stage="translation_stage", position=distance)
