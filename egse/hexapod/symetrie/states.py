"""What the bits and numbers of the Symetrie controllers mean (device reference, sections 1.3, 1.4, 2.4 and 2.5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

PMAC_ERRORS = {
    1: "not allowed while a program runs", 2: "password", 3: "unrecognised or bad data", 4: "illegal character",
    5: "buffer not open", 6: "no room", 7: "buffer in use", 8: "MACRO link", 9: "program structure",
    10: "both limits tripped", 11: "previous move unfinished", 12: "motor in open loop", 13: "motor not activated",
    14: "no motors", 15: "not pointing at a program", 16: "bad program", 17: "resume with motors off their stop position",
    18: "phase reference", 19: "illegal position change",
}  # fmt: skip
"""`ERRnnn` of the Alpha controller."""

VALIDATION = (
    "homing is not done", "coordinate systems are not defined", "kinematic error", "out of the factory workspace",
    "out of the machine workspace", "out of the user workspace", "actuator out of limits", "joint out of limits",
    "out of limits because of backlash compensation", "abort input", "safety input",
)  # fmt: skip
"""Bits of Q29."""

ALPHA_GENERAL = (
    "Error", "System initialized", "In position", "Control loop on servo motors active", "Homing done",
    "Brake control output", "Emergency stop button engaged", "Following error (warning)", "Following error",
    "Actuator out of bounds error", "Amplifier error", "Encoder error", "Phasing error", "Homing error",
    "Kinematic error", "Abort input error", "R/W flash memory error", "Temperature error", "Homing done (virtual)",
    "Encoders power off", "Limit switches power off", "Reserved (21)", "Reserved (22)", "Reserved (23)",
)  # fmt: skip
"""Bits of Q36, in the order of the lamps of the panel."""

ALPHA_ACTUATOR = (
    "In position", "Control loop active", "Homing done", "Home switch", "Positive limit", "Negative limit",
    "Brake control", "Following error warning", "Following error", "Out of bounds", "Amplifier error", "Encoder error",
    "Phasing error",
)  # fmt: skip
"""Bits of Q30..Q35."""

PLUS_GENERAL = (
    "Error", "System initialized", "Control on", "In position", "Motion task running", "Home task running",
    "Home complete", "Home virtual", "Phase found", "Brake on", "Motion restricted", "Power on encoders",
    "Power on limit switches", "Power on drives", "Emergency stop",
)  # fmt: skip
"""Bits of `s_hexa`."""

PLUS_ACTUATOR = (
    "Error", "Control on", "In position", "Motion task running", "Home task running", "Home complete", "Phase found",
    "Brake on", "Home hardware input", "Negative hardware limit switch", "Positive hardware limit switch",
    "Software limit reached", "Following error", "Drive fault", "Encoder error",
)  # fmt: skip
"""Bits of `s_ax_n`."""

PLUS_VALIDATION = (
    "Factory workspace limits", "Machine workspace limits", "User workspace limits", "Actuator limits",
    "Joints limits", "Due to backlash compensation",
)  # fmt: skip
"""Bits of the result of `C_VALID_PTP`."""

RETURN_CODES = {
    0: "Success.",
    -1: "Undefined error.",
    **{-10 - index: f"Wrong value of parameter {index}." for index in range(20)},
    -30: "Unknown command.",
    -31: "This configuration can only be read.",
    -32: "This configuration can only be set.",
    -33: "There is no such axis.",
    -34: "A stop is running.",
    -35: "The control loop must be on.",
    -36: "The control loop must be off.",
    -37: "The emergency stop is pressed.",
    -38: "A motion is running.",
    -39: "The homing is running.",
    -40: "The move is not feasible.",
    -41: "The limit switches have no power.",
    -42: "The encoders have no power.",
    -43: "Fatal error: the controller has to be restarted.",
    -44: "There is an error: clear it first.",
    -45: "The homing is not done.",
    -46: "This option is not there.",
    -47: "Virtual homing: the file is of another controller.",
    -48: "Virtual homing: positions are out of limits.",
    -49: "Virtual homing: the file was written during a motion.",
    -50: "Virtual homing: there are no data.",
    -51: "Another action is running.",
    -52: "Time-out: homing.",
    -53: "Time-out: control on.",
    -54: "Time-out: start of the motion.",
    -55: "Time-out: start of the homing.",
    -56: "Time-out: writing of the virtual homing.",
    -57: "Time-out: deletion of the virtual homing.",
    -58: "Time-out: reading of the virtual homing.",
    -59: "Time-out: disk.",
    **dict.fromkeys(range(-74, -59), "File or configuration error."),
    -75: "Not a number.",
    -76: "The coordinate systems are not initialised.",
    -77: "Kinematic error.",
    -78: "Phasing failed.",
    -79: "The phase is not found.",
    -80: "Time-out: control off.",
    -81: "There is no such kinematic mode.",
    -82: "Time-out: phase.",
    **dict.fromkeys(range(-1016, -999), "Internal error."),
}
"""Negative `c_cmd` of the Alpha+ controller."""


def set_bits(value: int, texts: Sequence[str]) -> dict[int, str]:
    """Returns the bits that are set in a number, with their texts."""
    width = max(value.bit_length(), 0)
    return {bit: texts[bit] if bit < len(texts) else "Reserved" for bit in range(width) if value >> bit & 1}


def states(value: int, texts: Sequence[str]) -> dict[str, int]:
    """Returns all bits of a number by their texts, 0 or 1."""
    return {text: value >> bit & 1 for bit, text in enumerate(texts)}


def bits(**by_number: bool) -> int:
    """Returns a number from its bits: `bits(_0=True, _6=False)`."""
    return sum(1 << int(name[1:]) for name, is_set in by_number.items() if is_set)


def number_text(value: float) -> str:
    """Returns a number as the controllers write it: short, whole ones without decimal point, never with exponent."""
    if not math.isfinite(value):
        return "nan"
    rounded = round(float(value), 9)
    if rounded == int(rounded):
        return str(int(rounded))
    short = f"{rounded:.10g}"
    return f"{rounded:.9f}".rstrip("0") if "e" in short else short
