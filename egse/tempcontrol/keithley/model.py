"""The Keithley DAQ6510 as a client sees it: SCPI in, replies out, no I/O (device reference, section 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from egse.simulator import DeviceModel, FaultError, LateReply
from egse.simulator.scpi import (
    STANDARD_CODES,
    STANDARD_TEXTS,
    CommandTable,
    Handler,
    RefusedError,
    Settings,
)
from egse.tempcontrol.keithley.buffers import Buffer, Scan, element_named
from egse.tempcontrol.keithley.sensors import TEMPERATURE_UNITS, UNITS, Sensors
from egse.tempcontrol.keithley.settings import COMMON, TEMPERATURE, ChannelSettings

PORT: Final = 5025
"""TCP port when the settings name none."""
IDENTIFICATION: Final = "KEITHLEY INSTRUMENTS,MODEL DAQ6510,SIM00001,1.7.12b"
FIRST_DATE: Final = datetime(2024, 1, 1)
"""What the clock shows when the instrument is switched on [own proposal]."""
CHANNEL_TIME: Final = 0.05
"""So long a reading takes [s]; 20..100 ms in the reference."""
BUFFER_EXISTS: Final = 1115
SETTINGS_CONFLICT: Final = -221
OWN_BUFFERS: Final = ("defbuffer1", "defbuffer2")


class DAQ6510Model(DeviceModel):
    """A DAQ6510 with two multiplexer cards.

    `*WAI` holds back what follows until the scan has ended: the model answers for that time, and late.

    Args:
        seed: of the noise of the readings.
    """

    step_interval = 0.1
    faults: ClassVar[Mapping[str, str]] = {
        "sensor_open": "the wire of a channel breaks: its readings overflow; takes channel",
        "sensor_ok": "the channel is repaired; takes channel",
        "temperature": "a sensor gets another temperature; takes channel and temperature [degC]",
        "error": "an error stands in the queue; takes code",
    }

    def __init__(self, seed: int = 0) -> None:
        self.sensors = Sensors(seed)
        self._wait = self._answered = 0.0
        self._set_at: tuple[float, datetime] | None = None
        self._settings = Settings(COMMON, STANDARD_CODES)
        self._channels = ChannelSettings(STANDARD_CODES)
        self._table = CommandTable(
            {
                **self._system_commands(),
                **self._buffer_commands(),
                **self._scan_commands(),
                **self._settings.commands(),
                **self._channels.commands(),
            },
            STANDARD_CODES,
        )
        self._reset()

    def _reset(self) -> None:
        self.buffers = {name: Buffer() for name in OWN_BUFFERS}
        self.scan = Scan(CHANNEL_TIME)
        self.closed: set[int] = set()
        self._settings.reset()
        self._channels.reset()

    # -- DeviceModel

    def step(self, now: float) -> None:
        if self._set_at is None:
            self._set_at = (now, FIRST_DATE)
        self._take_readings(now)

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one line; its answer comes when a scan that it waits for has ended."""
        self._answered = now
        answer = self._table.execute(command, now)
        due = max(self._wait, self._answered)
        if not answer:
            return b""
        reply = answer.encode() + b"\n"
        return LateReply(reply, due=due) if due > now else reply

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        if fault not in self.faults:
            super().inject(fault, arguments, now)
        try:
            if fault == "error":
                self._table.push(int(arguments["code"]))
                return
            channel = int(arguments["channel"])
            if channel not in self.sensors.temperatures:
                raise ValueError(f"there is no channel {channel}")
            if fault == "sensor_open":
                self.sensors.broken.add(channel)
            elif fault == "sensor_ok":
                self.sensors.broken.discard(channel)
            else:
                self.sensors.temperatures[channel] = float(arguments["temperature"])
        except (KeyError, TypeError, ValueError) as exc:
            raise FaultError(f"{fault}: {self.faults[fault]} ({exc})") from exc

    def describe(self) -> dict[str, Any]:
        return {
            "buffers": {name: len(buffer.readings) for name, buffer in self.buffers.items()},
            "scan": {"channels": self.scan.channels, "running": self.scan.running, "taken": self.scan.taken},
            "closed": sorted(self.closed),
            "broken": sorted(self.sensors.broken),
            "temperatures": {str(channel): value for channel, value in self.sensors.temperatures.items()},
        }

    # -- time, readings

    def _at(self, now: float) -> float:
        """Returns the time at which a command takes effect: after what `*WAI` waits for."""
        at = max(now, self._wait)
        self._take_readings(at)
        return at

    def _date(self, when: float) -> datetime:
        since, date = self._set_at or (when, FIRST_DATE)
        return date + timedelta(seconds=when - since)

    def _take_readings(self, until: float) -> None:
        scan = self.scan
        while scan.running and scan.taken < scan.total and scan.due(scan.taken) <= until:
            channel = scan.channels[scan.taken % len(scan.channels)]
            self._measure(self.buffers[scan.buffer], channel, scan.due(scan.taken))
            scan.taken += 1
        if scan.running and scan.taken >= scan.total:
            scan.start = None

    def _measure(self, buffer: Buffer, channel: int, when: float) -> str:
        function = self._channels.function(channel)
        unit = self._channels.get(channel, f"{TEMPERATURE}:UNIT")
        value = self.sensors.read(channel, function, when, unit)
        name = TEMPERATURE_UNITS[unit] if function == "TEMP" else UNITS.get(function, "")
        return buffer.add(when, self._date(when), channel, value, name).element("READING")

    # -- commands

    def _system_commands(self) -> dict[str, Handler]:
        table: dict[str, Handler] = {
            "*IDN?": lambda a, now: IDENTIFICATION,
            "*RST": lambda a, now: self._reset(),
            "*CLS": lambda a, now: self._table.errors.clear(),
            "*WAI": lambda a, now: self._wait_for_scan(now),
            "*OPC?": self._operation_complete,
            "*OPC": lambda a, now: None,
            "*LANG?": lambda a, now: "SCPI",
            "*LANG": lambda a, now: None,
            "*TST?": lambda a, now: "0",
            "*ESR?": lambda a, now: "0",
            "*STB?": lambda a, now: "4" if self._table.errors else "0",
            "*TRG": lambda a, now: None,
            "SYSTem:ERRor[:NEXT]?": lambda a, now: self._error(now),
            "SYSTem:ERRor:COUNt?": lambda a, now: str(len(self._table.errors)),
            "SYSTem:CLEar": lambda a, now: self._table.errors.clear(),
            "SYSTem:VERSion?": lambda a, now: "1999.0",
            "SYSTem:TIME": self._set_time,
            "SYSTem:TIME?": self._get_time,
            "SYSTem:BEEPer[:IMMediate]": self._beep,
        }
        return table

    def _error(self, now: float) -> str:
        code = self._table.pop()
        if not code:
            return '0,"No error;0;0 0"'
        text = "Parameter error" if code == BUFFER_EXISTS else STANDARD_TEXTS.get(code, "Error")
        return f'{code},"{text};1;{self._date(now):%Y/%m/%d %H:%M:%S}"'

    def _wait_for_scan(self, now: float) -> None:
        """A scan without end is not waited for [own proposal: the instrument would keep silent for ever]."""
        if self.scan.running and self.scan.count:
            self._wait = max(self._wait, self.scan.end)

    def _operation_complete(self, arguments: list[str], now: float) -> str:
        if self.scan.running and self.scan.count:
            self._answered = self.scan.end
        return "1"

    def _set_time(self, arguments: list[str], now: float) -> None:
        year, month, day, hour, minute, second = (int(x) for x in self._table.numbers(arguments, 6, 0, 9999))
        try:
            self._set_at = (now, datetime(year, month, day, hour, minute, second))
        except ValueError as exc:
            raise RefusedError(STANDARD_CODES.range) from exc

    def _get_time(self, arguments: list[str], now: float) -> str:
        date = self._date(now)
        if arguments[:1] != ["1"]:
            return str(int((date - datetime(1970, 1, 1)).total_seconds()))
        return f"{date:%a %b} {date.day:2d} {date:%H:%M:%S %Y}"

    def _beep(self, arguments: list[str], now: float) -> None:
        self._table.numbers(arguments, 2, 0.001, 8000)

    # -- buffers

    def _buffer_commands(self) -> dict[str, Handler]:
        return {
            "TRACe:MAKE": self._make_buffer,
            "TRACe:DELete": self._delete_buffer,
            "TRACe:CLEar": self._clear_buffer,
            "TRACe:ACTual?": lambda a, now: str(len(self._buffer(a, now).readings)),
            "TRACe:POINts?": lambda a, now: str(self._buffer(a, now).capacity),
            "TRACe:POINts": self._resize_buffer,
            "TRACe:DATA?": self._data,
            "READ?": self._read,
            "FETCh?": lambda a, now: self._elements(self._buffer(a[:1], now).readings[-1:], a[1:]),
            "MEASure[:VOLTage[:DC]]?": self._read,
        }

    def _buffer(self, arguments: list[str], now: float) -> Buffer:
        self._at(now)
        name = _text(arguments[0]) if arguments else OWN_BUFFERS[0]
        if name not in self.buffers:
            raise RefusedError(BUFFER_EXISTS)
        return self.buffers[name]

    def _make_buffer(self, arguments: list[str], now: float) -> None:
        if len(arguments) not in (2, 3):
            raise RefusedError(STANDARD_CODES.count)
        name = _text(arguments[0])
        size = int(self._table.number(arguments[1:2], 10, 5_000_000))
        if not (name[:1].isalpha() and len(name) <= 31 and all(c.isalnum() or c == "_" for c in name)):
            raise RefusedError(STANDARD_CODES.syntax)
        if name in self.buffers:
            raise RefusedError(BUFFER_EXISTS)
        self.buffers[name] = Buffer(size)

    def _delete_buffer(self, arguments: list[str], now: float) -> None:
        self._buffer(arguments, now)
        name = _text(arguments[0]) if arguments else OWN_BUFFERS[0]
        if name in OWN_BUFFERS or (self.scan.running and self.scan.buffer == name):
            raise RefusedError(SETTINGS_CONFLICT)
        del self.buffers[name]

    def _clear_buffer(self, arguments: list[str], now: float) -> None:
        self._buffer(arguments, now).readings.clear()

    def _resize_buffer(self, arguments: list[str], now: float) -> None:
        size = int(self._table.number(arguments[:1], 10, 5_000_000))
        buffer = self._buffer(arguments[1:], now)
        buffer.capacity = size
        buffer.readings.clear()

    def _data(self, arguments: list[str], now: float) -> str:
        if len(arguments) < 2:
            raise RefusedError(STANDARD_CODES.count)
        buffer = self._buffer(arguments[2:3], now)
        start, end = self._table.whole(arguments[:2], 2, 1, len(buffer.readings))
        if start > end:
            raise RefusedError(STANDARD_CODES.range)
        return self._elements(buffer.readings[start - 1 : end], arguments[3:])

    def _elements(self, readings: list[Any], words: list[str]) -> str:
        if not readings:
            raise RefusedError(STANDARD_CODES.range)
        try:
            names = [element_named(word) for word in words] or ["READING"]
        except KeyError as exc:
            raise RefusedError(STANDARD_CODES.syntax) from exc
        return ",".join(reading.element(name) for reading in readings for name in names)

    def _read(self, arguments: list[str], now: float) -> str:
        buffer, at = self._buffer(arguments[:1], now), self._at(now)
        channel = min(self.closed, default=0)
        self._measure(buffer, channel, at + CHANNEL_TIME)
        self._answered = at + CHANNEL_TIME
        return self._elements(buffer.readings[-1:], arguments[1:])

    # -- channels and scans

    def _scan_commands(self) -> dict[str, Handler]:
        return {
            "ROUTe[:CHANnel]:OPEN": lambda a, now: self._switch(a, self.closed.difference_update),
            "ROUTe[:CHANnel]:CLOSe": lambda a, now: self._switch(a, self._close),
            "ROUTe[:CHANnel]:OPEN:ALL": lambda a, now: self.closed.clear(),
            "ROUTe[:CHANnel]:STATe?": lambda a, now: ",".join(
                str(int(channel in self.closed)) for channel in self._channels.listed(a)
            ),
            "ROUTe:SCAN[:CREate]": lambda a, now: self._define(self._channels.listed(a), now),
            "ROUTe:SCAN:ADD": lambda a, now: self._define(self.scan.channels + self._channels.listed(a), now),
            "ROUTe:SCAN[:CREate]?": lambda a, now: f"(@{','.join(map(str, self.scan.channels))})",
            "ROUTe:SCAN:BUFFer": self._scan_buffer,
            "ROUTe:SCAN:BUFFer?": lambda a, now: self.scan.buffer,
            "ROUTe:SCAN:COUNt:SCAN": self._scan_count,
            "ROUTe:SCAN:COUNt:SCAN?": lambda a, now: str(self.scan.count),
            "ROUTe:SCAN:COUNt:STEP?": lambda a, now: str(len(self.scan.channels)),
            "ROUTe:SCAN:INTerval": self._scan_interval,
            "ROUTe:SCAN:INTerval?": lambda a, now: f"{self.scan.interval:.6E}",
            "ROUTe:SCAN:STATe?": lambda a, now: f"{self._running(now)};{self.scan.taken}",
            "ROUTe:TERMinals?": lambda a, now: "REAR",
            "TRIGger:STATe?": lambda a, now: f"{self._running(now)};{self._running(now)};0",
            "INITiate[:IMMediate]": self._initiate,
            "ABORt": lambda a, now: setattr(self.scan, "start", None),
        }

    def _switch(self, arguments: list[str], change: Callable[[list[int]], None]) -> None:
        change(self._channels.listed(arguments))

    def _close(self, channels: list[int]) -> None:
        """Closing a channel opens the others of its card, as a multiplexer does."""
        for channel in channels:
            self.closed = {other for other in self.closed if other // 100 != channel // 100} | {channel}

    def _idle(self, now: float) -> None:
        self._at(now)
        if self.scan.running:
            raise RefusedError(SETTINGS_CONFLICT)

    def _define(self, channels: list[int], now: float) -> None:
        self._idle(now)
        self.scan.channels = channels

    def _scan_buffer(self, arguments: list[str], now: float) -> None:
        self._idle(now)
        self._buffer(arguments, now)
        self.scan.buffer = _text(arguments[0]) if arguments else OWN_BUFFERS[0]

    def _scan_count(self, arguments: list[str], now: float) -> None:
        self._idle(now)
        self.scan.count = int(self._table.number(arguments, 0, 100_000_000))

    def _scan_interval(self, arguments: list[str], now: float) -> None:
        self._idle(now)
        self.scan.interval = self._table.number(arguments, 0, 100_000)

    def _running(self, now: float) -> str:
        self._at(now)
        return "RUNNING" if self.scan.running else "IDLE"

    def _initiate(self, arguments: list[str], now: float) -> None:
        self._idle(now)
        at = self._at(now)
        if not self.scan.channels:  # a single reading at the front
            self._measure(self.buffers[OWN_BUFFERS[0]], min(self.closed, default=0), at)
            return
        if self.scan.buffer not in self.buffers:
            raise RefusedError(BUFFER_EXISTS)
        self.scan.start, self.scan.taken = at, 0


def _text(argument: str) -> str:
    return argument.strip("\"'")
