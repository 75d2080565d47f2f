"""What belongs to a camera, put into the active Setup: shown first, submitted when the operator agrees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from camtest.core.exec import Abort
from camtest.tasks.exec import exec_ui
from camtest.tasks.shared.setup_changes import submit_changes
from camtest.tasks.types import Callback
from egse import setup as setups
from egse.command import Range, Unit
from egse.coordinates import FocalPlane
from egse.dpu.maps import FEEMaps
from egse.env import get_conf_data_location
from egse.fee.calibration import HKCalibration
from egse.reg import RegisterMap
from egse.setup import Setup
from egse.tmdict import find_dictionary

UI_MODULE_DISPLAY_NAME = "2 - Include information in setup"

N_FEE, TELEMETRY = "n-fee", "telemetry"
WIDEST_FIELD = 20.0
"""The way back through the distortion is computed for sources up to this distance to the optical axis [deg]."""


def common_folder() -> Path:
    """Returns the folder of files that sites share, `.../data/common`."""
    return Path(get_conf_data_location()).resolve().parent.parent / "common"


def camera_ids() -> list[str]:
    """Returns the cameras of all Setups."""
    return sorted({str(row[3]) for row in setups.list_setups() if row[3]})


def _names(folder: str, pattern: str) -> list[str]:
    return sorted(path.name for path in (common_folder() / folder).glob(pattern))


def calibrations() -> list[str]:
    """Returns the files with sensor calibrations."""
    return _names(N_FEE, "nfee_sensor_calibration_*.yaml")


def register_maps() -> list[str]:
    """Returns the files with register maps."""
    return _names(N_FEE, "n_fee_register_*.yaml")


def hk_maps() -> list[str]:
    """Returns the files with housekeeping maps."""
    return _names(N_FEE, "n_fee_hk_*.yaml")


def fpga_files() -> list[str]:
    """Returns the files with FPGA defaults."""
    return _names(N_FEE, "nfee_fpga_defaults_*.yaml")


def dictionaries() -> list[str]:
    """Returns the TM dictionaries."""
    return _names(TELEMETRY, "*.csv")


CameraId = Callback(camera_ids, name="camera")


def _submit(
    camera_id: str,
    values: Mapping[str, Any],
    description: str,
    check: Callable[[Setup], object] | None = None,
) -> Setup:
    """Sets values by their paths in the Setup of a camera; see `submit_changes`."""

    def change(setup: Setup) -> None:
        own = setup.camera.ID
        if own != camera_id:
            raise Abort(
                f"The active Setup is one of {own}, not of {camera_id}: set the camera identifiers first"
            )
        _put(setup, values)

    return submit_changes(change, description, check)


def _put(setup: Setup, values: Mapping[str, Any]) -> None:
    for path, value in values.items():
        *branches, name = path.split(".")
        node: Any = setup
        for branch in branches:
            if branch not in node:
                node[branch] = {}
            node = node[branch]
        node[name] = value


def _reference(folder: str, name: str, directive: str = "yaml") -> str:
    """Returns a file of the common folder as a Setup refers to it."""
    if not (common_folder() / folder / name).is_file():
        raise Abort(f"There is no {name} in {common_folder() / folder}")
    return f"{directive}//../../common/{folder}/{name}"


@exec_ui(display_name="Camera identifiers")
def camera_identifiers(
    camera_id: str,
    camera_serial_number: str,
    tou_id: str,
    fee_id: str,
    fpa_id: str,
    description: str = "Camera identifiers",
) -> Setup:
    """Puts the identifiers of a camera and its parts into the Setup.

    Args:
        camera_id: its name, such as brigand.
        camera_serial_number: such as N0-CAM-100000-FM-00.
        tou_id, fee_id, fpa_id: of the telescope, the electronics, the focal plane.
        description: of the new Setup.

    Returns:
        The new Setup.
    """
    values = {
        "camera.ID": camera_id,
        "camera.serial_number": camera_serial_number,
        "camera.TOU.ID": tou_id,
        "camera.fee.ID": fee_id,
        "camera.fpa.ID": fpa_id,
    }
    return submit_changes(lambda setup: _put(setup, values), description)


@exec_ui(display_name="N-FEE sensor calibration")
def sensor_calibration(
    camera_id: CameraId,  # type: ignore[valid-type]
    file: Callback(calibrations, name="common/n-fee"),  # type: ignore[valid-type]
    description: str = "N-FEE sensor calibration",
) -> Setup:
    """Has the Setup refer to a file with the calibration of the N-FEE's sensors.

    Args:
        camera_id: camera of the active Setup.
        file: the file.
        description: of the new Setup.

    Returns:
        The new Setup.
    """
    values = {"camera.fee.calibration": _reference(N_FEE, file)}
    return _submit(camera_id, values, description, HKCalibration.from_setup)


@exec_ui(display_name="N-FEE register & HK map")
def register_and_hk_map(
    camera_id: CameraId,  # type: ignore[valid-type]
    register_map: Callback(register_maps, name="common/n-fee"),  # type: ignore[valid-type]
    hk_map: Callback(hk_maps, name="common/n-fee"),  # type: ignore[valid-type]
    description: str = "N-FEE register and HK map",
) -> Setup:
    """Has the Setup refer to the maps of registers and housekeeping of the N-FEE.

    Args:
        camera_id: camera of the active Setup.
        register_map, hk_map: the files.
        description: of the new Setup.

    Returns:
        The new Setup.
    """
    values = {
        "camera.fee.register_map": _reference(N_FEE, register_map),
        "camera.fee.hk_map": _reference(N_FEE, hk_map),
    }
    return _submit(camera_id, values, description, FEEMaps.of)


@exec_ui(display_name="FEE FPGA defaults")
def fpga_defaults(
    camera_id: CameraId,  # type: ignore[valid-type]
    file: Callback(fpga_files, name="common/n-fee"),  # type: ignore[valid-type]
    description: str = "N-FEE FPGA defaults",
) -> Setup:
    """Has the Setup refer to a file with the FPGA defaults of the N-FEE.

    Args:
        camera_id: camera of the active Setup.
        file: the file.
        description: of the new Setup.

    Returns:
        The new Setup.
    """
    values = {"camera.fee.fpga_defaults": _reference(N_FEE, file)}
    return _submit(camera_id, values, description, _check_fpga_defaults)


def _check_fpga_defaults(setup: Setup) -> None:
    """Raises KeyError or ValueError when the FPGA defaults do not fit the register map."""
    content = setup.camera.fee.fpga_defaults
    registers = RegisterMap("N-FEE", FEEMaps.of(setup).layout)
    for register, word in content.get("registers", content).items():
        registers.set_register(str(register), int(str(word), 16))


@exec_ui(display_name="(SFT) CCD offsets and readout noise")
def ccd_limits(
    camera_id: CameraId,  # type: ignore[valid-type]
    version: Annotated[int, Range(0, 99)],
    temp: Literal["ambient", "tvac"],
    confdir: str = "ccd",
    description: str = "Limits of CCD offsets and readout noise",
) -> Setup:
    """Has the Setup refer to the limits of the analogue chain, `analogue_chain_limits_<temp>_v<version>.yaml`.

    Args:
        camera_id: camera of the active Setup.
        version: of the file.
        temp: for which temperature.
        confdir: its folder below `common`.
        description: of the new Setup.

    Returns:
        The new Setup.
    """
    reference = _reference(confdir, f"analogue_chain_limits_{temp}_v{version:02d}.yaml")
    path = f"camera.ccd.limits.{temp}"
    return _submit(camera_id, {path: reference}, description, lambda setup: setup.camera.ccd.limits[temp])


@exec_ui(display_name="CCD positions")
def ccd_positions(
    camera_id: CameraId,  # type: ignore[valid-type]
    origin_offset_x: list[float],
    origin_offset_y: list[float],
    orientation: list[float],
    description: str = "CCD positions",
) -> Setup:
    """Puts the places of the CCDs in the focal plane into the Setup.

    Args:
        camera_id: camera of the active Setup.
        origin_offset_x, origin_offset_y: of the CCDs 1 to 4 [mm].
        orientation: of the CCDs 1 to 4 [deg].
        description: of the new Setup.

    Returns:
        The new Setup.
    """
    values = {
        "camera.ccd.origin_offset_x": origin_offset_x,
        "camera.ccd.origin_offset_y": origin_offset_y,
        "camera.ccd.orientation": orientation,
    }
    for name, numbers in values.items():
        if len(numbers) != 4:
            raise Abort(f"{name} has a number for each of the four CCDs, got {numbers}")
    return _submit(camera_id, values, description, FocalPlane.from_setup)


@exec_ui(display_name="Field distortion & focal length")
def field_distortion(
    camera_id: CameraId,  # type: ignore[valid-type]
    focal_length: Annotated[float, Range(1, 1000), Unit("mm")],
    distortion_coefficients: list[float],
    description: str = "Field distortion and focal length",
) -> Setup:
    """Puts focal length and distortion into the Setup; the coefficients of the way back are computed.

    Args:
        camera_id: camera of the active Setup.
        focal_length: focal length.
        distortion_coefficients: k1, k2, k3.
        description: of the new Setup.

    Returns:
        The new Setup.
    """
    if len(distortion_coefficients) != 3:
        raise Abort(f"The distortion has three coefficients, got {distortion_coefficients}")
    values = {
        "camera.fov.focal_length": focal_length,
        "camera.fov.distortion_coefficients": distortion_coefficients,
        "camera.fov.inverse_distortion_coefficients": inverse_distortion(distortion_coefficients),
    }
    return _submit(camera_id, values, description, FocalPlane.from_setup)


def inverse_distortion(coefficients: Sequence[float]) -> list[float]:
    """Returns the coefficients of the way back, fitted over the field of view."""
    import numpy as np

    radius = np.linspace(0.0, np.tan(np.radians(WIDEST_FIELD)), 501)[1:]
    powers = (2, 4, 6)
    distorted = radius * (1 + sum(k * radius**power for k, power in zip(coefficients, powers, strict=True)))
    terms = np.stack([distorted ** (power + 1) for power in powers], axis=1)
    fitted, *_ = np.linalg.lstsq(terms, radius - distorted, rcond=None)
    return [round(float(number), 12) for number in fitted]


@exec_ui(display_name="Telemetry")
def telemetry(
    camera_id: CameraId,  # type: ignore[valid-type]
    dictionary: Callback(dictionaries, name="common/telemetry"),  # type: ignore[valid-type]
    description: str = "TM dictionary",
) -> Setup:
    """Has the Setup refer to a TM dictionary.

    Args:
        camera_id: camera of the active Setup.
        dictionary: the file.
        description: of the new Setup.

    Returns:
        The new Setup.
    """
    values = {"telemetry.dictionary": _reference(TELEMETRY, dictionary, "pandas")}
    return _submit(camera_id, values, description, find_dictionary)
