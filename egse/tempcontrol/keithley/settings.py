"""What the simulated DAQ6510 keeps: the measurement function of each channel and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from egse.simulator.scpi import SWITCH, SWITCHED_ON, Codes, Handler, RefusedError, Stored
from egse.tempcontrol.keithley.channels import get_channel_names

COMMON: Final = {
    "*ESE": Stored(0, 0, 255, "d"),
    "*SRE": Stored(0, 0, 255, "d"),
    "ROUTe:SCAN:STARt:STIMulus": Stored(
        "NONE", choices=("NONE", "DISPlay", "NOTify1", "EXTernal", "COMMand")
    ),
    "ROUTe:SCAN:MEASure:INTerval": Stored(0.0, 0.0, 100_000.0),
    "FORMat[:DATA]": Stored("ASC", choices=("ASCii", "REAL", "SREal")),
    "FORMat:ASCii:PRECision": Stored(0, 0, 16, "d"),
    "[SENSe[1]:]COUNt": Stored(1, 1, 1_000_000, "d"),
    "SYSTem:LFRequency": Stored(50, 50, 60, "d"),
    "DISPlay:SCReen": Stored("HOME", choices=("HOME", "PROCessing", "HISTogram", "GRAPh", "SWIPe_SETTings")),
}
"""Settings of the instrument."""

FUNCTIONS: Final = {
    "VOLT:DC": ("VOLTage[:DC]", 1000.0),
    "VOLT:AC": ("VOLTage:AC", 750.0),
    "CURR:DC": ("CURRent[:DC]", 3.0),
    "CURR:AC": ("CURRent:AC", 3.0),
    "RES": ("RESistance", 1e8),
    "FRES": ("FRESistance", 1e8),
    "TEMP": ("TEMPerature", 0.0),
}
"""Measurement functions: name in a reply -> header, largest range."""
NAMES: Final = {
    "VOLT": "VOLT:DC", "VOLTAGE": "VOLT:DC", "VOLT:DC": "VOLT:DC", "VOLTAGE:DC": "VOLT:DC",
    "VOLT:AC": "VOLT:AC", "VOLTAGE:AC": "VOLT:AC", "CURR": "CURR:DC", "CURRENT": "CURR:DC", "CURR:DC": "CURR:DC",
    "CURRENT:DC": "CURR:DC", "CURR:AC": "CURR:AC", "CURRENT:AC": "CURR:AC", "RES": "RES", "RESISTANCE": "RES",
    "FRES": "FRES", "FRESISTANCE": "FRES", "TEMP": "TEMP", "TEMPERATURE": "TEMP",
}  # fmt: skip
TEMPERATURE: Final = "TEMPerature"
RTDS: Final = ("PT100", "PT385", "PT3916", "D100", "F100", "USER")


def _kinds() -> dict[str, Stored]:
    kinds: dict[str, Stored] = {}
    for header, largest in FUNCTIONS.values():
        if largest:
            kinds[f"{header}:RANGe[:UPPer]"] = Stored(largest, 0.0, largest)
            kinds[f"{header}:RANGe:AUTO"] = SWITCHED_ON
        kinds[f"{header}:DIGits"] = Stored(6, 3, 6, "d")
        kinds[f"{header}:NPLCycles"] = Stored(1.0, 0.0005, 15.0)
        kinds[f"{header}:AVERage[:STATe]"] = SWITCH
        kinds[f"{header}:AVERage:COUNt"] = Stored(10, 1, 100, "d")
        kinds[f"{header}:AVERage:TCONtrol"] = Stored("REP", choices=("REPeat", "MOVing"))
        kinds[f"{header}:AZERo[:STATe]"] = SWITCHED_ON
        kinds[f"{header}:ODETector"] = SWITCH
        kinds[f"{header}:DELay:AUTO"] = SWITCHED_ON
    for wires in ("TWO", "THRee", "FOUR"):
        kinds[f"{TEMPERATURE}:RTD:{wires}"] = Stored("PT100", choices=RTDS)
    kinds[f"{TEMPERATURE}:TRANsducer"] = Stored(
        "TC", choices=("RTD", "FRTD", "TRTD", "TC", "TCouple", "THER", "THERmistor", "CJC", "CJC2001")
    )
    kinds[f"{TEMPERATURE}:UNIT"] = Stored(
        "CELS", choices=("CELSius", "CEL", "KELVin", "KEL", "FAHRenheit", "FAH")
    )
    kinds[f"{TEMPERATURE}:TCouple:TYPE"] = Stored("K", choices=tuple("BEJKNRST"))
    kinds[f"{TEMPERATURE}:TCouple:RJUNction:RSELect"] = Stored(
        "SIM", choices=("SIMulated", "INTernal", "EXTernal")
    )
    kinds[f"{TEMPERATURE}:THERmistor"] = Stored(5000, 2200, 10000, "d")
    return kinds


KINDS: Final[Mapping[str, Stored]] = _kinds()
"""Settings that each channel has of its own; those of the front are those of channel 0."""


class ChannelSettings:
    """Functions and settings of all channels, and the commands for them.

    Args:
        codes: numbers of errors.
    """

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        self._functions: dict[int, str] = {}
        self._values: dict[tuple[int, str], float | str] = {}

    def reset(self) -> None:
        """Brings back the factory settings."""
        self._functions.clear()
        self._values.clear()

    def function(self, channel: int) -> str:
        """Returns the measurement function of a channel."""
        return self._functions.get(channel, "VOLT:DC")

    def get(self, channel: int, header: str) -> str:
        """Returns a setting of a channel as text."""
        kind = KINDS[header]
        text = kind.text(self._values.get((channel, header), kind.default))
        return {"CEL": "CELS", "KEL": "KELV", "FAH": "FAHR"}.get(text, text)

    def listed(self, arguments: list[str]) -> list[int]:
        """Returns the channels that the only argument lists."""
        if len(arguments) != 1:
            raise RefusedError(self._codes.count)
        try:
            return [int(name) for name in get_channel_names(arguments[0])]
        except ValueError as exc:
            raise RefusedError(self._codes.range) from exc

    def commands(self) -> dict[str, Handler]:
        """Returns the commands, for a `CommandTable`."""
        found: dict[str, Handler] = {
            "[SENSe[1]:]FUNCtion[:ON]": self._set_function,
            "[SENSe[1]:]FUNCtion[:ON]?": lambda a, now: f'"{self.function(self._optional(a)[0])}"',
        }
        for header in KINDS:
            path = f"DISPlay:{header}" if header.endswith("DIGits") else f"[SENSe[1]:]{header}"
            found[path] = self._setter(header)
            found[f"{path}?"] = self._getter(header)
        return found

    def _optional(self, arguments: list[str]) -> list[int]:
        return self.listed(arguments) if arguments else [0]

    def _set_function(self, arguments: list[str], now: float) -> None:
        if not arguments:
            raise RefusedError(self._codes.count)
        name = arguments[0].strip("\"'").upper()
        if name not in NAMES:
            raise RefusedError(self._codes.syntax)
        for channel in self._optional(arguments[1:]):
            self._functions[channel] = NAMES[name]

    def _setter(self, header: str) -> Handler:
        def handler(arguments: list[str], now: float) -> None:
            if not arguments:
                raise RefusedError(self._codes.count)
            value = KINDS[header].parse(arguments[0], self._codes)
            for channel in self._optional(arguments[1:]):
                self._values[channel, header] = value
                if header.endswith("RANGe[:UPPer]"):
                    self._values[channel, header.replace("[:UPPer]", ":AUTO")] = 0

        return handler

    def _getter(self, header: str) -> Handler:
        def handler(arguments: list[str], now: float) -> str:
            if arguments and not arguments[0].startswith("("):  # MIN, MAX, DEF
                return KINDS[header].text(KINDS[header].parse(arguments[0], self._codes))
            return ",".join(self.get(channel, header) for channel in self._optional(arguments))

        return handler
