"""An Aim-TTi TGF4162 generator as a client sees it; no I/O (device reference, section 10.3)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from egse.aeu.awg_commands import SETTINGS, Setting
from egse.aeu.unit import RackUnit
from egse.aeu.waveforms import (
    HIGH,
    MAX_POINTS,
    OFFSET,
    Edge,
    block_size,
    decode_samples,
    encode_samples,
    pulses_in,
)
from egse.simulator import FaultError
from egse.simulator.framing import LineFramer

UNKNOWN_COMMAND, UNKNOWN_PARAMETER, TOO_LONG, OUT_OF_RANGE, NOT_STORED = -111, -112, -27, -1, -2
EXECUTION_BIT, COMMAND_BIT = 16, 32
ARBS: Final = ("ARB1", "ARB2", "ARB3", "ARB4")
_BLOCK_START: Final = re.compile(rb"(?:^|[\r\n])[ \t]*ARB[1-4][ \t]+#", re.IGNORECASE)
LONGEST_BLOCK: Final = 64 + 2 * MAX_POINTS + 4096


class BlockFramer:
    """Cuts at line ends, but not within the samples of `ARBn #...`: a block counts by its length."""

    def __init__(self) -> None:
        self._lines = LineFramer()
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Takes the next bytes and returns the commands that are complete now."""
        self._pending += data
        commands: list[bytes] = []
        while (start := self._block_start()) is not None:
            head, rest = self._pending[:start], self._pending[start:]
            try:
                size = block_size(rest)
            except ValueError:  # a line that only looks like one
                size = 0
            if size is None or len(rest) < size <= LONGEST_BLOCK:
                return commands
            if not 0 < size <= LONGEST_BLOCK:
                break
            *before, prefix = head.replace(b"\r", b"\n").split(b"\n")
            commands += self._lines.feed(b"\n".join([*before, b""]))
            commands.append(prefix.strip() + b" " + rest[:size])
            self._pending = rest[size:]
        cut = max(self._pending.rfind(b"\n"), self._pending.rfind(b"\r")) + 1
        if len(self._pending) - cut > LONGEST_BLOCK:
            cut = len(self._pending)
        complete, self._pending = self._pending[:cut], self._pending[cut:]
        return commands + self._lines.feed(complete)

    def _block_start(self) -> int | None:
        """Returns where the # of the first block is, in a line that begins with ARBn."""
        found = _BLOCK_START.search(self._pending)
        return None if found is None else found.end() - 1


@dataclass
class Channel:
    """One output.

    Attributes:
        settings: by name of the command.
        output: True while it is on.
        inverted: output polarity.
        started: when the present pass of its waveform began [s].
    """

    settings: dict[str, str] = field(
        default_factory=lambda: {name: one.default for name, one in SETTINGS.items() if not one.shared}
    )
    output: bool = False
    inverted: bool = False
    started: float = 0.0

    def number(self, name: str) -> float:
        """Returns a setting as a number."""
        return float(self.settings[name])


class TGF4000Model(RackUnit):
    """A generator with two channels.

    Args:
        number: 1 or 2.
        as_integers: answer `WAVE?` and `OUTPUT?` with numbers instead of words; the drivers that are known differ.

    Attributes:
        channels: the two outputs.
        dead: True while its outputs do nothing whatever they are told.
    """

    faults: ClassVar[Mapping[str, str]] = {"outputs": "its outputs fail or come back; takes ok [bool]"}

    def __init__(self, number: int = 1, *, as_integers: bool = False) -> None:
        self.number = number
        self.as_integers = as_integers
        self.dead = False
        self._selected = 1
        self._error = 0
        self._query_error = 0
        self._event = 0
        self._now = 0.0
        self._arbs: dict[str, list[int]] = {arb: [0] * 4 for arb in ARBS}
        self._definitions: dict[str, tuple[str, str]] = {arb: (arb, "OFF") for arb in ARBS}
        self._stores: dict[int, list[dict[str, str]]] = {}
        self._edges: dict[int, tuple[Edge, ...]] = {}
        self._actions = self._action_table()
        self._reset([], 0.0)

    def framer(self) -> BlockFramer:
        return BlockFramer()

    # -- DeviceModel

    def advance(self, now: float) -> None:
        self._now = now

    def handle(self, command: bytes, now: float) -> bytes:
        header, _, rest = command.partition(b" ")
        name = header.decode("latin-1").upper()
        if name in ARBS and rest.startswith(b"#"):
            self._load(name, rest)
            reply: bytes | str | None = None
        else:
            reply = self._execute(name, rest.decode("latin-1"), now)
        if not name.endswith("?"):
            self._edges.clear()
        self.changed(now)
        if reply is None:
            return b""
        return (reply.encode("latin-1") if isinstance(reply, str) else reply) + b"\r\n"

    def break_down(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        if fault not in self.faults:
            super().break_down(fault, arguments, now)
        if set(arguments) != {"ok"} or not isinstance(arguments["ok"], bool):
            raise FaultError(f"{fault}: {self.faults[fault]}")
        self.dead = not arguments["ok"]

    def describe(self) -> dict[str, Any]:
        return {
            "dead": self.dead,
            "error": self._error,
            "channels": {
                str(n): {
                    "output": channel.output,
                    **{
                        name: channel.settings[name] for name in ("WAVE", "FREQ", "AMPL", "DCOFFS", "ARBLOAD")
                    },
                }
                for n, channel in self.channels.items()
            },
        }

    # -- what comes out

    def frequency(self, number: int) -> float:
        """Returns the frequency of a channel's output [Hz], 0 when nothing comes out."""
        channel = self.channels[number]
        return channel.number("FREQ") if channel.output and not self.dead and channel.number("AMPL") else 0.0

    def is_square(self, number: int) -> bool:
        """Returns True when a channel gives a square wave across the threshold."""
        channel = self.channels[number]
        return (
            channel.settings["WAVE"] == "SQUARE"
            and self._levels(channel)[0] > OFFSET > self._levels(channel)[1]
        )

    def pulses(self, number: int) -> tuple[Edge, ...]:
        """Returns the pulses in one pass of a channel's arbitrary waveform; none when it plays another or is off."""
        channel = self.channels[number]
        if not self.frequency(number) or channel.settings["WAVE"] != "ARB":
            return ()
        if number not in self._edges:
            samples = self._arbs.get(channel.settings["ARBLOAD"], [])
            self._edges[number] = tuple(pulses_in(self._high(channel, samples)))
        return self._edges[number]

    def _levels(self, channel: Channel) -> tuple[float, float]:
        half, offset = channel.number("AMPL") / 2, channel.number("DCOFFS")
        return offset + half, offset - half

    def _high(self, channel: Channel, samples: Sequence[int]) -> list[bool]:
        half, offset = channel.number("AMPL") / 2, channel.number("DCOFFS")
        sign = -1 if channel.inverted else 1
        return [offset + sign * half * sample / HIGH > OFFSET for sample in samples]

    # -- commands

    def _execute(self, name: str, rest: str, now: float) -> str | bytes | None:
        arguments = [part.strip() for part in rest.split(",")] if rest.strip() else []
        action = self._actions.get(name)
        if action is not None:
            return action(arguments, now)
        known = SETTINGS.get(name.removesuffix("?"))
        if known is None:
            self._fail(UNKNOWN_COMMAND, COMMAND_BIT)
            return None
        values = self._shared if known.shared else self.channel.settings
        if name.endswith("?"):
            return values[name[:-1]]
        self._store(values, name, known, arguments)
        return None

    def _store(self, values: dict[str, str], name: str, known: Setting, arguments: list[str]) -> None:
        word = arguments[0].upper() if len(arguments) == 1 else ""
        if word in known.words:
            values[name] = word
            return
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if known.limits is None or math.isnan(value):
            self._fail(UNKNOWN_PARAMETER, COMMAND_BIT)
        elif not known.limits[0] <= value <= known.limits[1]:
            self._fail(OUT_OF_RANGE, EXECUTION_BIT)
        else:
            values[name] = repr(value).removesuffix(".0")

    def _fail(self, error: int, bit: int) -> None:
        self._error = error
        self._event |= bit

    @property
    def channel(self) -> Channel:
        """The channel that commands are for."""
        return self.channels[self._selected]

    def _action_table(self) -> dict[str, Callable[[list[str], float], str | bytes | None]]:
        table: dict[str, Callable[[list[str], float], str | bytes | None]] = {
            "*IDN?": lambda a, now: f"THURLBY THANDAR, TGF4162, SIM{self.number:03d}, 01.00-02.10-01.20",
            "*RST": self._reset,
            "*CLS": lambda a, now: self._clear(),
            "*ESR?": lambda a, now: self._take_event(),
            "*STB?": lambda a, now: "0",
            "*IST?": lambda a, now: "0",
            "*OPC": lambda a, now: None,
            "*OPC?": lambda a, now: "1",
            "*TST?": lambda a, now: "0",
            "*WAI": lambda a, now: None,
            "*TRG": lambda a, now: None,
            "*LRN?": lambda a, now: encode_samples([]),
            "*SAV": self._save,
            "*RCL": self._recall,
            "EER?": lambda a, now: self._take_error(),
            "QER?": lambda a, now: self._take_query_error(),
            "CHN": self._select,
            "CHN?": lambda a, now: str(self._selected),
            "WAVE?": lambda a, now: self._wave(),
            "PER": self._set_period,
            "PER?": lambda a, now: f"{1 / self.channel.number('FREQ'):g}",
            "HILVL": lambda a, now: self._set_level(a, high=True),
            "HILVL?": lambda a, now: f"{self._levels(self.channel)[0]:g}",
            "LOLVL": lambda a, now: self._set_level(a, high=False),
            "LOLVL?": lambda a, now: f"{self._levels(self.channel)[1]:g}",
            "OUTPUT": self._switch,
            "OUTPUT?": lambda a, now: self._output(),
            "ALIGN": lambda a, now: self._align(now),
            "ARBDEF": self._define,
            "ARBRESIZE": self._resize,
            "CNTRVAL?": lambda a, now: f"{self.frequency(1):g}",
            "CHNTRG": lambda a, now: None,
            "BEEP": lambda a, now: None,
            "LOCAL": lambda a, now: None,
            "ADDRESS?": lambda a, now: "1",
            "IPADDR?": lambda a, now: "127.0.0.1",
            "NETMASK?": lambda a, now: "255.0.0.0",
            "NETCONFIG?": lambda a, now: "STATIC",
        }
        for arb in ARBS:
            table[f"{arb}?"] = lambda a, now, arb=arb: encode_samples(self._arbs[arb])  # type: ignore[misc]
            table[f"{arb}DEF?"] = lambda a, now, arb=arb: self._definition(arb)  # type: ignore[misc]
        return table

    def _definition(self, arb: str) -> str:
        return f"{','.join(self._definitions[arb])},{len(self._arbs[arb])}"

    def _reset(self, arguments: list[str], now: float) -> None:
        self.channels = {1: Channel(started=now), 2: Channel(started=now)}
        self._shared = {name: one.default for name, one in SETTINGS.items() if one.shared}
        self._selected = 1

    def _clear(self) -> None:
        self._error = self._query_error = self._event = 0

    def _take_error(self) -> str:
        error, self._error = self._error, 0
        return str(error)

    def _take_query_error(self) -> str:
        error, self._query_error = self._query_error, 0
        return str(error)

    def _take_event(self) -> str:
        event, self._event = self._event, 0
        return str(event)

    def _wave(self) -> str:
        word = self.channel.settings["WAVE"]
        return str(SETTINGS["WAVE"].words.index(word)) if self.as_integers else word

    def _output(self) -> str:
        return str(int(self.channel.output)) if self.as_integers else ("ON" if self.channel.output else "OFF")

    def _select(self, arguments: list[str], now: float) -> None:
        if arguments not in (["1"], ["2"]):
            return self._fail(OUT_OF_RANGE if arguments else UNKNOWN_PARAMETER, EXECUTION_BIT)
        self._selected = int(arguments[0])
        return None

    def _switch(self, arguments: list[str], now: float) -> None:
        match [argument.upper() for argument in arguments]:
            case ["ON" | "1"]:
                if not self.channel.output:
                    self.channel.started = now
                self.channel.output = True
            case ["OFF" | "0"]:
                self.channel.output = False
            case ["NORMAL" | "INVERT" as word]:
                self.channel.inverted = word == "INVERT"
            case _:
                self._fail(UNKNOWN_PARAMETER, COMMAND_BIT)

    def _align(self, now: float) -> None:
        for channel in self.channels.values():
            channel.started = now

    def _set_period(self, arguments: list[str], now: float) -> None:
        try:
            period = float(arguments[0])
        except (ValueError, IndexError):
            return self._fail(UNKNOWN_PARAMETER, COMMAND_BIT)
        if period <= 0:
            return self._fail(OUT_OF_RANGE, EXECUTION_BIT)
        self._execute("FREQ", repr(1 / period), now)
        return None

    def _set_level(self, arguments: list[str], *, high: bool) -> None:
        top, bottom = self._levels(self.channel)
        try:
            level = float(arguments[0])
        except (ValueError, IndexError):
            return self._fail(UNKNOWN_PARAMETER, COMMAND_BIT)
        top, bottom = (level, bottom) if high else (top, level)
        if not (-10.0 <= bottom < top <= 10.0):
            return self._fail(OUT_OF_RANGE, EXECUTION_BIT)
        self.channel.settings |= {"AMPL": f"{top - bottom:g}", "DCOFFS": f"{(top + bottom) / 2:g}"}
        return None

    def _load(self, arb: str, block: bytes) -> None:
        try:
            samples = decode_samples(block)
        except ValueError:
            return self._fail(UNKNOWN_PARAMETER, COMMAND_BIT)
        if not 0 < len(samples) <= MAX_POINTS:
            return self._fail(TOO_LONG, EXECUTION_BIT)
        self._arbs[arb] = samples
        return None

    def _define(self, arguments: list[str], now: float) -> None:
        match arguments:
            case [arb, name, switch] if arb.upper() in ARBS and switch.upper() in ("ON", "OFF"):
                self._definitions[arb.upper()] = (name, switch.upper())
            case _:
                self._fail(UNKNOWN_PARAMETER, COMMAND_BIT)

    def _resize(self, arguments: list[str], now: float) -> None:
        words = " ".join(arguments).split()
        if len(words) != 2 or words[0].upper() not in ARBS or not words[1].isdigit():
            return self._fail(UNKNOWN_PARAMETER, COMMAND_BIT)
        size = int(words[1])
        if not 0 < size <= MAX_POINTS:
            return self._fail(TOO_LONG, EXECUTION_BIT)
        old = self._arbs[words[0].upper()]
        self._arbs[words[0].upper()] = [old[n * len(old) // size] for n in range(size)]
        return None

    def _save(self, arguments: list[str], now: float) -> None:
        if len(arguments) != 1 or arguments[0] not in map(str, range(1, 10)):
            return self._fail(OUT_OF_RANGE, EXECUTION_BIT)
        self._stores[int(arguments[0])] = [dict(channel.settings) for channel in self.channels.values()]
        return None

    def _recall(self, arguments: list[str], now: float) -> None:
        stored = self._stores.get(int(arguments[0])) if arguments and arguments[0].isdigit() else None
        if stored is None:
            return self._fail(NOT_STORED, EXECUTION_BIT)
        for channel, settings in zip(self.channels.values(), stored):
            channel.settings = dict(settings)
        return None
