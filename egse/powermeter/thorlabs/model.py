"""The Thorlabs PM100A as a client sees it: SCPI in, replies out, no I/O (device reference, section 7)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from egse.powermeter.thorlabs.light import light
from egse.powermeter.thorlabs.photodiode import (
    LONGEST,
    SHORTEST,
    STRONGEST,
    Photodiode,
    responsivity,
)
from egse.simulator import DeviceModel, FaultError, LateReply
from egse.simulator.scpi import (
    STANDARD_CODES,
    STANDARD_TEXTS,
    SWITCH,
    SWITCHED_ON,
    CommandTable,
    Handler,
    RefusedError,
    Settings,
    Stored,
)

PORT: Final = 5026
"""TCP port when the settings name none [own proposal: the instrument has none]."""
IDENTIFICATION: Final = "Thorlabs,PM100A,SIM00001,1.6.0"
SENSOR: Final = '"S120C","SIM120C01","01-Jan-2024",1,18,289'
"""Photodiode; measures power (1) at a wavelength that can be set (32), with a temperature sensor (256)."""
NO_SENSOR: Final = '"no sensor","","",0,0,0'
WEAKEST_RANGE, STRONGEST_RANGE = 50e-9, STRONGEST
"""Largest power of the first and of the last range [W]; each is ten times the one before."""
READING_TIME, OVERHEAD = 3e-3, 5e-3
"""Of one reading, and of an answer besides [s]."""
ZERO_TIME: Final = 3.0
"""So long a dark adjustment takes [s]."""
OVER_RANGE: Final = "9.900000E+37"
STALE, CONFLICT = -230, -221

WAVELENGTH = "[SENSe:]CORRection:WAVelength"
AVERAGE = "[SENSe:]AVERage[:COUNt]"
AUTO = "[SENSe:]POWer[:DC]:RANGe:AUTO"
UPPER = "[SENSe:]POWer[:DC]:RANGe[:UPPer]"
UNIT = "[SENSe:]POWer[:DC]:UNIT"
RESPONSIVITY = "[SENSe:]CORRection:POWer[:PDIode]:RESPonse"
BEAM = "[SENSe:]CORRection:BEAMdiameter"
REFERENCE = "[SENSe:]POWer[:DC]:REFerence"
KINDS: Final = {
    WAVELENGTH: Stored(633.0, SHORTEST, LONGEST, suffix="NM"),
    AVERAGE: Stored(1, 1, 10_000, "d"),
    AUTO: SWITCHED_ON,
    UPPER: Stored(STRONGEST_RANGE, WEAKEST_RANGE, STRONGEST_RANGE, suffix="W"),
    UNIT: Stored("W", choices=("W", "DBM")),
    RESPONSIVITY: Stored(0.0, 1e-4, 10.0, suffix="A/W"),
    BEAM: Stored(9.5, 0.1, 200.0, suffix="MM"),
    REFERENCE: Stored(1e-3, 0.0, 10.0, suffix="W"),
    f"{REFERENCE}:STATe": SWITCH,
    "[SENSe:]CORRection[:LOSS[:INPut[:MAGNitude]]]": Stored(0.0, -60.0, 60.0, suffix="DB"),
    "[SENSe:]CURRent[:DC]:RANGe:AUTO": SWITCHED_ON,
    "[SENSe:]CURRent[:DC]:RANGe[:UPPer]": Stored(5e-3, 5e-9, 5e-3, suffix="A"),
    "INPut[:PDIode]:FILTer[:LPASs][:STATe]": SWITCH,
    "SYSTem:LFRequency": Stored(50, 50, 60, "d", suffix="HZ"),
    "SYSTem:BEEPer:STATe": SWITCHED_ON,
    "DISPlay:BRIGhtness": Stored(1.0, 0.0, 1.0),
    "DISPlay:CONTrast": Stored(0.5, 0.0, 1.0),
    "*ESE": Stored(0, 0, 255, "d"),
    "*SRE": Stored(0, 0, 255, "d"),
    **{
        f"STATus:{register}:{part}": Stored(0, 0, 65535, "d")
        for register in ("MEASurement", "AUXillary", "OPERation", "QUEStionable")
        for part in ("ENABle", "PTRansition", "NTRansition")
    },
}
"""What is kept; the wavelength, averages, ranges, unit and responsivity also act."""
QUANTITIES: Final = {
    "POW": "[:POWer]",
    "CURR": ":CURRent[:DC]",
    "TEMP": ":TEMPerature",
    "PDEN": ":PDENsity",
}
IMPOSSIBLE: Final = (":VOLTage[:DC]", ":ENERgy", ":EDENsity", ":RESistance", ":FREQuency")
"""What this sensor does not measure."""


class ThorlabsPM100Model(DeviceModel):
    """A PM100A with a photodiode.

    Args:
        seed: of the noise.

    Attributes:
        others: devices before the sensor, see `light`.
    """

    faults: ClassVar[Mapping[str, str]] = {
        "light": "the light changes; takes power [W] and optionally wavelength [nm]",
        "sensor": "the sensor is unplugged or plugged in; takes present [bool]",
        "temperature": "the sensor head gets another temperature; takes temperature [degC]",
    }

    def __init__(self, seed: int = 0) -> None:
        self.diode = Photodiode(seed)
        self.others: Mapping[str, Any] = {}
        self.settings = Settings(KINDS, STANDARD_CODES)
        self._due = 0.0
        self._zeroed_at = math.inf
        self._table = CommandTable(
            {**self.settings.commands(), **self._commands(), **self._measurements()}, STANDARD_CODES
        )
        self._reset()

    def _reset(self) -> None:
        self.settings.reset()
        self.quantity = "POW"
        self.dark = 0.0
        self._zeroed_at = math.inf
        self._ready_at: float | None = None

    # -- DeviceModel

    def step(self, now: float) -> None:
        power = light(self.others, now)
        if power is not None:
            self.diode.power = power
        if now >= self._zeroed_at:
            self.dark = self.diode.current(100)
            self._zeroed_at = math.inf

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one message; its answer comes when what it measures is measured."""
        self._due = now
        answer = self._table.execute(command, now)
        return LateReply(answer.encode() + b"\n", due=self._due) if answer else b""

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        try:
            if fault == "light":
                self.diode.power = max(0.0, float(arguments["power"]))
                self.diode.wavelength = float(arguments.get("wavelength", self.diode.wavelength))
            elif fault == "sensor":
                self.diode.present = bool(arguments["present"])
            elif fault == "temperature":
                self.diode.temperature = float(arguments["temperature"])
            else:
                super().inject(fault, arguments, now)
        except (KeyError, TypeError) as exc:
            raise FaultError(f"{fault}: {self.faults[fault]}") from exc

    def describe(self) -> dict[str, Any]:
        return {
            "power": self.diode.power,
            "wavelength": self.diode.wavelength,
            "set_wavelength": self.settings[WAVELENGTH],
            "range": self.settings[UPPER],
            "dark": self.dark,
            "zeroing": self._zeroed_at < math.inf,
        }

    # -- commands

    def _commands(self) -> dict[str, Handler]:
        zero = "[SENSe:]CORRection:COLLect:ZERO"
        status = {
            f"STATus:{register}{part}?": (lambda a, now: "0")
            for register in ("MEASurement", "AUXillary", "OPERation", "QUEStionable")
            for part in ("[:EVENt]", ":CONDition")
        }
        return {
            "*IDN?": lambda a, now: IDENTIFICATION,
            "*RST": lambda a, now: self._reset(),
            "*CLS": lambda a, now: self._table.errors.clear(),
            "*OPC?": lambda a, now: "1",
            "*OPC": lambda a, now: None,
            "*WAI": lambda a, now: None,
            "*TST?": lambda a, now: "0",
            "*ESR?": lambda a, now: "0",
            "*STB?": lambda a, now: "4" if self._table.errors else "0",
            "SYSTem:ERRor[:NEXT]?": self._error,
            "SYSTem:SENSor:IDN?": lambda a, now: SENSOR if self.diode.present else NO_SENSOR,
            "SYSTem:VERSion?": lambda a, now: "1999.0",
            "SYSTem:BEEPer[:IMMediate]": lambda a, now: None,
            "CALibration:STRing?": lambda a, now: '"simulated"',
            UPPER: self._set_range,
            f"{RESPONSIVITY}?": self._get_responsivity,
            f"{zero}[:INITiate]": self._start_zero,
            f"{zero}:ABORt": lambda a, now: setattr(self, "_zeroed_at", math.inf),
            f"{zero}:STATe?": lambda a, now: str(int(self._zeroed_at < math.inf)),
            f"{zero}:MAGNitude?": lambda a, now: f"{self.dark:.6E}",
            "STATus:PRESet": lambda a, now: None,
            **status,
        }

    def _measurements(self) -> dict[str, Handler]:
        table: dict[str, Handler] = {
            "INITiate[:IMMediate]": self._initiate,
            "ABORt": lambda a, now: setattr(self, "_ready_at", None),
            "FETCh?": self._fetch,
            "READ?": self._read,
            "CONFigure?": lambda a, now: self.quantity,
        }
        for name, header in QUANTITIES.items():
            table[f"CONFigure[:SCALar]{header}"] = self._configure(name)
            table[f"MEASure[:SCALar]{header}?"] = self._measure(name)
        for header in IMPOSSIBLE:
            table[f"CONFigure[:SCALar]{header}"] = _refuse
            table[f"MEASure[:SCALar]{header}?"] = _refuse
        return table

    def _error(self, arguments: list[str], now: float) -> str:
        code = self._table.pop()
        return f'{code:+d},"{STANDARD_TEXTS.get(code, "Error")}"'

    def _set_range(self, arguments: list[str], now: float) -> None:
        if len(arguments) != 1:
            raise RefusedError(STANDARD_CODES.count)
        wanted = float(KINDS[UPPER].parse(arguments[0], STANDARD_CODES))
        largest = WEAKEST_RANGE
        while largest < wanted * (1 - 1e-9):
            largest *= 10
        self.settings[UPPER] = min(largest, STRONGEST_RANGE)
        self.settings[AUTO] = 0

    def _responsivity(self) -> float:
        """What the meter reckons with [A/W]: that of the sensor at the wavelength, unless the user set one."""
        return float(self.settings[RESPONSIVITY] or responsivity(self.settings[WAVELENGTH]))

    def _get_responsivity(self, arguments: list[str], now: float) -> str:
        if arguments:
            return f"{KINDS[RESPONSIVITY].parse(arguments[0], STANDARD_CODES):.6E}"
        return f"{self._responsivity():.6E}"

    def _start_zero(self, arguments: list[str], now: float) -> None:
        self._zeroed_at = now + ZERO_TIME

    # -- measuring

    def _configure(self, quantity: str) -> Handler:
        def handler(arguments: list[str], now: float) -> None:
            self.quantity = quantity
            self._ready_at = None

        return handler

    def _measure(self, quantity: str) -> Handler:
        def handler(arguments: list[str], now: float) -> str:
            self.quantity = quantity
            self._initiate(arguments, now)
            return self._fetch(arguments, now)

        return handler

    def _initiate(self, arguments: list[str], now: float) -> None:
        self._ready_at = max(now, self._due) + self.settings[AVERAGE] * READING_TIME + OVERHEAD

    def _read(self, arguments: list[str], now: float) -> str:
        self._initiate(arguments, now)
        return self._fetch(arguments, now)

    def _fetch(self, arguments: list[str], now: float) -> str:
        if self._ready_at is None:
            raise RefusedError(STALE)
        if not self.diode.present:
            raise RefusedError(CONFLICT)
        self._due = max(self._due, self._ready_at)
        self._ready_at = None
        return _value(self._quantity())

    def _quantity(self) -> float:
        if self.quantity == "TEMP":
            return self.diode.temperature
        current: float = self.diode.current(self.settings[AVERAGE]) - self.dark
        if self.quantity == "CURR":
            return current
        power = current / self._responsivity()
        if self.settings[AUTO]:
            self._choose_range(power)
        if power > self.settings[UPPER]:
            return math.inf
        if self.quantity == "PDEN":
            return float(power / (math.pi * (self.settings[BEAM] / 20.0) ** 2))  # W/cm2
        if self.settings[UNIT] == "DBM":
            return 10 * math.log10(power / 1e-3) if power > 0 else -math.inf
        return float(power)

    def _choose_range(self, power: float) -> None:
        largest = WEAKEST_RANGE
        while largest < power and largest < STRONGEST_RANGE * (1 - 1e-9):
            largest *= 10
        self.settings[UPPER] = min(largest, STRONGEST_RANGE)


def _value(value: float) -> str:
    if math.isinf(value):
        return OVER_RANGE if value > 0 else f"-{OVER_RANGE}"
    return f"{value:.6E}"


def _refuse(arguments: list[str], now: float) -> str:
    raise RefusedError(CONFLICT)
