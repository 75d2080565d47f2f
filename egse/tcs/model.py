"""The TCS EGSE as its two ports show it: tasks, channels, housekeeping; no I/O.

What the protocol reference leaves open is our own proposal: wordings of acknowledgements, names of parameters but two, the
cold surroundings, heaters that go off when the heater clock stays away for 30 s.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from egse.clock import VirtualClock
from egse.simulator import DeviceModel, FaultError, LineFramer
from egse.tcs.channel import OK, OPEN, PULSE, SHORT, SUPPLY, ZERO, Channel
from egse.tcs.configuration import SENSORS, Configuration, ParameterError, finite_number, rtd_inputs
from egse.tcs.interface import OperatingMode
from egse.tcs.items import all_items
from egse.tcs.messages import DATE_FORMAT, ETX, LINE_END

PORT = 6666
"""TCP port of the commands when the settings name none."""
NOISE = 0.005
"""Standard deviation of a reading [K]."""
CLOCK_TIMEOUT = 30.0
"""Heaters go off when the heater clock is away for so long [s]."""
SELF_TEST_TIME = 10.0
"""A self-test ends by itself [s]."""
ROOM, INSIDE = 21.0, 31.0
"""Of the room and inside the TCS EGSE [deg C]."""
KEPT_ERRORS = 20
LONGEST_COMMAND = 65_536
NOT_ALLOWED, INVALID = "not_allowed_remote_mode_not_active", "invalid_parameter"


class TCSModel(DeviceModel):
    """The TCS EGSE.

    Args:
        seed: of the noise of the readings.
        channels: 2 or 3.
        start: UTC of its clock at the beginning [Unix time, s].
    """

    step_interval = 0.25
    faults: ClassVar[Mapping[str, str]] = {
        "sensor_broken": "a sensor breaks; takes input (tou_rtd_1)",
        "sensor_ok": "a sensor is repaired; takes input",
        "heater_open": "the wire of a heater breaks; takes channel",
        "heater_short": "a heater is shorted; takes channel",
        "heater_ok": "a heater is repaired; takes channel",
        "clock": "the heater clock of the AEU goes away or comes back; takes ok [bool]",
        "psu": "the supply of the heaters fails or comes back; takes ok [bool]",
        "telemetry": "the telemetry port falls silent or speaks again; takes ok [bool]",
        "local": "somebody presses the button: remote mode ends",
        "environment": "what the camera sees changes; takes temperature [deg C] and optionally channel",
        "temperature": "a body jumps; takes channel and temperature [deg C]",
    }

    def __init__(self, seed: int = 0, *, channels: int = 3, start: float = VirtualClock.START) -> None:
        self.configuration = Configuration(channels)
        self.channels = [Channel.make(number) for number in range(1, channels + 1)]
        self.bodies = [*self.channels, *(Channel.make(n) for n in range(channels + 1, 4))]
        self.remote = self.running = False
        self.clock_ok = self.psu_ok = self.speaks = True
        self.errors: deque[tuple[str, int, str]] = deque(maxlen=KEPT_ERRORS)
        self.values: dict[str, tuple[str, str]] = {}
        self._seed, self._start = seed, start
        self._began: float | None = None
        self._now = self._next_pulse = self._task_began = 0.0
        self._clock_lost = 0.0
        self._second = -1
        self._commands = self._command_table()

    # -- DeviceModel

    def framer(self) -> LineFramer:
        return LineFramer(ETX, LONGEST_COMMAND)

    def step(self, now: float) -> None:
        if self._began is None:
            self._began = self._now = now
            self._next_pulse = now + PULSE
            self._measure(everything=True)
            return
        while self._next_pulse <= now:
            self._settle(self._next_pulse)
            self._pulse()
            self._next_pulse += PULSE
        self._settle(now)
        if (
            self.running
            and self._mode is OperatingMode.SELF_TEST
            and now - self._task_began >= SELF_TEST_TIME
        ):
            self._stop()
        if int(now - self._began) != self._second:
            self._measure(everything=self.running)

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one command; each has one reply, which ends with ETX."""
        words = command.decode("latin-1").split()
        if not words:
            return b""
        name, *arguments = words
        if name not in self._commands:
            reply = "invalid_command" if self.remote else NOT_ALLOWED
        elif not self.remote and name not in ("request_remote_operation", "get_remote_status"):
            reply = NOT_ALLOWED
        else:
            try:
                reply = self._commands[name](arguments)
            except ParameterError:
                reply = INVALID
        return reply.encode("latin-1") + ETX

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        if fault not in self.faults:
            super().inject(fault, arguments, now)
        try:
            self._inject(fault, dict(arguments))
        except (KeyError, TypeError, ValueError) as exc:
            raise FaultError(f"{fault}: {self.faults[fault]} ({exc})") from exc

    def describe(self) -> dict[str, Any]:
        return {
            "remote": self.remote,
            "running": self.running,
            "mode": self._mode.name,
            "clock_ok": self.clock_ok,
            "psu_ok": self.psu_ok,
            "channels": {
                str(c.number): {
                    "temperature": c.temperature,
                    "environment": c.body.bath - ZERO,
                    "percent": c.percent or 0.0,
                    "power": c.power(self._supply),
                    "heater_status": c.heater_status,
                }
                for c in self.channels
            },
        }

    def temperature(self, channel: int) -> float:
        """Returns the true temperature of a body [deg C], for other models: 1 TRP1, 2 TRP22."""
        return self.bodies[channel - 1].temperature

    # -- time

    @property
    def _mode(self) -> OperatingMode:
        return OperatingMode(int(self.configuration.values["operation_mode"]))

    @property
    def _supply(self) -> float:
        return SUPPLY if self.psu_ok else 0.0

    def _date(self) -> str:
        utc = self._start + self._now - (self._began or 0.0)
        return f"{time.strftime(DATE_FORMAT, time.gmtime(utc))}.{int(utc % 1 * 1000):03d} UTC"

    def _settle(self, now: float) -> None:
        for one in self.bodies:
            one.settle(self._supply, now - self._now)
        self._now = now

    def _pulse(self) -> None:
        """A pulse of the heater clock, or its absence."""
        if not self.running:
            return
        if not self.clock_ok:
            if self._now - self._clock_lost >= CLOCK_TIMEOUT and any(c.percent for c in self.channels):
                self._stop_heaters()
                self._note(101, "no heater clock: heaters are off")
            return
        for channel in self.channels:
            problem = channel.pulse(self.configuration, self._readings(channel))
            if problem:
                self._note(200 + channel.number, problem)

    def _readings(self, channel: Channel) -> dict[int, float]:
        second = int(self._now - (self._began or 0.0))
        noise = random.Random(f"{self._seed}/{channel.group}/{second}")
        return {n: channel.temperature + noise.gauss(0.0, NOISE) for n in range(1, SENSORS + 1)}

    def _note(self, number: int, message: str) -> None:
        self.errors.append((self._date(), number, message))

    # -- housekeeping

    def _measure(self, everything: bool) -> None:
        """Renews housekeeping: load and resources, and with a task the rest as well."""
        self._second = int(self._now - (self._began or 0.0))
        fresh = self._load()
        if everything:
            for one in self.bodies:
                fresh |= self._sensors(one)
            for one in self.channels:
                fresh |= self._channel(one)
        date = self._date()
        for name, value in fresh.items():
            self.values[name] = (date, value)

    def _load(self) -> dict[str, str]:
        noise = random.Random(f"{self._seed}/load/{self._second}")
        lost = not self.clock_ok and self._now - self._clock_lost >= CLOCK_TIMEOUT
        elapsed = f"{self._now - self._task_began:.1f}" if self.running else "tbd"
        return {
            "ambient_rtd": f"{ROOM + noise.gauss(0.0, 0.02):.4f}",
            "internal_rtd": f"{INSIDE + noise.gauss(0.0, 0.02):.4f}",
            "cpuload_realtime": f"{noise.uniform(8.0, 14.0):.1f}",
            "dt8774_inputs": "0",
            "dt8774_outputs": "1" if self.running else "0",
            "elapsed_time": elapsed if self.running else self.values.get("elapsed_time", ("", "tbd"))[1],
            "logging_files": "1" if self.running else "0",
            "logging_packets": str(int(self._now - self._task_began)) if self.running else "0",
            "ni9401_external_clkheater_period": f"{PULSE if self.clock_ok else 0.0:.3f}",
            "ni9401_external_clkheater_timeout": str(int(lost)),
            "op_mode": str(int(self._mode)),
            "psu_status": str(int(not self.psu_ok)),
            "psu_vdc": f"{self._supply:.3f}",
            "start_time": self.values.get("start_time", ("", "tbd"))[1],
            "storage_mmi": "41.0",
            "storage_realtime": "23.0",
            "sync_status": str(int(self.clock_ok)),
            "task_is_running": str(int(self.running)),
        }

    def _sensors(self, one: Channel) -> dict[str, str]:
        readings = self._readings(one)
        found = {
            f"{one.group}_rtd_{n}": "tbd" if n in one.broken else f"{v:.4f}" for n, v in readings.items()
        }
        found |= {f"{one.group}_rtd_{n}_status": str(int(n in one.broken)) for n in readings}
        whole = [v for n, v in readings.items() if n not in one.broken]
        found[f"{one.group}_rtd_tav"] = f"{sum(whole) / len(whole):.4f}" if whole else "tbd"
        return found

    def _channel(self, channel: Channel) -> dict[str, str]:
        duty, supply = channel.duty, self._supply
        period = 1000.0 / self.configuration.of_channel(channel.number, "pwm_frequency")
        average = channel.average(self.configuration, self._readings(channel))
        current = 0.0 if channel.fault == OPEN else duty * supply / channel.resistance
        values = {
            "clkheater_period": f"{PULSE if self.clock_ok else 0.0:.3f}",
            "clkheater_ticks": str(channel.ticks),
            "heater_status": str(channel.heater_status),
            "iout": f"{current:.4f}",
            "output_inhibited": str(int(channel.inhibited)),
            "pid_cv": _or_tbd(channel.percent, ".3f"),
            "pid_error": _or_tbd(channel.error, ".4f"),
            "pid_proctime": "0.42",
            "pid_sp": f"{self.configuration.of_channel(channel.number, 'tset'):.2f}",
            "pid_ts": f"{PULSE:.3f}",
            "pout": f"{channel.power(supply):.4f}",
            "pwm_duty": f"{100.0 * duty:.3f}",
            "pwm_offtime": f"{period * (1.0 - duty):.3f}",
            "pwm_ontime": f"{period * duty:.3f}",
            "pwm_proctime": "0.08",
            "tav": _or_tbd(average, ".4f"),
            "vdc": f"{supply:.3f}",
            "vout": f"{duty * supply:.4f}",
        }
        return {f"ch{channel.number}_{name}": value for name, value in values.items()}

    # -- commands

    def _command_table(self) -> dict[str, Callable[[list[str]], str]]:
        return {
            "request_remote_operation": lambda words: self._set_remote(True),
            "quit_remote_operation": lambda words: self._set_remote(False),
            "get_remote_status": lambda words: f"remote_mode_{'' if self.remote else 'not_'}active",
            "get_tm": self._get_tm,
            "get_tm_all": lambda words: LINE_END.join(
                f"{n}\t{d}\t{v}" for n, (d, v) in self._items().items()
            ),
            "get_conf_all": lambda words: LINE_END.join(self.configuration.lines()),
            "set_parameter": self._set_parameter,
            "commit_config": lambda words: self._commit(),
            "discard_config": lambda words: self._discard(),
            "run_task": lambda words: self._run(),
            "stop_task": lambda words: self._stop(),
            "get_error": lambda words: self._get_error(),
            "clear_popup": lambda words: "acknowledge_clear_popup",
            "upload_rtd_parameters": self._upload,
            "set_rtd_parameters": self._connect_sensor,
        }

    def _items(self) -> dict[str, tuple[str, str]]:
        return {name: self.values[name] for name in all_items(len(self.channels))}

    def _set_remote(self, remote: bool) -> str:
        self.remote = remote
        return f"acknowledge_{'' if remote else 'quit_'}remote_operation"

    def _get_tm(self, words: list[str]) -> str:
        (name,) = words if len(words) == 1 else ("",)
        if name not in self._items():
            return "invalid_tm_item_id"
        date, value = self.values[name]
        return f"{date}\t{name}\t{value}"

    def _set_parameter(self, words: list[str]) -> str:
        if not words or len(words) % 2:
            raise ParameterError("pairs of name and value")
        self.configuration.stage(list(zip(words[::2], words[1::2], strict=True)))
        return "acknowledge_set_parameter"

    def _commit(self) -> str:
        changed = self.configuration.take_over()
        self._measure(everything=self.running)
        return "acknowledge_commit_config" + (
            f" erroneous values coerced: {', '.join(changed)}" if changed else ""
        )

    def _discard(self) -> str:
        self.configuration.staged.clear()
        return "acknowledge_discard_config"

    def _run(self) -> str:
        changed = self.configuration.take_over()
        if not self.running:
            self.running, self._task_began = True, self._now
            for channel in self.channels:
                channel.start()
            self.values["start_time"] = (self._date(), self._date())
            if self._mode is OperatingMode.SELF_TEST:
                for channel in self.channels:
                    if channel.fault != OK:
                        self._note(
                            300 + channel.number, f"self-test: heater of channel {channel.number} failed"
                        )
        self._measure(everything=True)
        return "acknowledge_run_task" + (
            f" erroneous values coerced: {', '.join(changed)}" if changed else ""
        )

    def _stop(self) -> str:
        self._stop_heaters()
        self._measure(everything=True)
        self.running = False
        self._measure(everything=False)
        return "acknowledge_stop_task"

    def _stop_heaters(self) -> None:
        for channel in self.channels:
            channel.stop()

    def _get_error(self) -> str:
        return LINE_END.join(f"{date}\t{number}\t{text}" for date, number, text in self.errors) or "no errors"

    def _upload(self, words: list[str]) -> str:
        self.configuration.upload_sensor(" ".join(words))
        return "acknowledge_upload_rtd_parameters"

    def _connect_sensor(self, words: list[str]) -> str:
        if len(words) != 2:
            raise ParameterError(" ".join(words))
        self.configuration.connect_sensor(*words)
        return "acknowledge_set_rtd_parameters"

    # -- faults

    def _inject(self, fault: str, arguments: dict[str, Any]) -> None:
        part, _, state = fault.partition("_")
        if part == "sensor":
            name = rtd_inputs()[rtd_inputs().index(arguments["input"])]
            one = next(c for c in self.bodies if name.startswith(c.group))
            (one.broken.discard if state == "ok" else one.broken.add)(int(name[-1]))
        elif part == "heater":
            self._channel_of(arguments).fault = {"ok": OK, "open": OPEN, "short": SHORT}[state]
        elif fault == "local":
            self.remote = False
        elif part in ("clock", "psu", "telemetry"):
            if not isinstance(arguments["ok"], bool):
                raise ValueError("ok must be true or false")
            if fault == "clock" and self.clock_ok and not arguments["ok"]:
                self._clock_lost = self._now
            setattr(
                self, {"clock": "clock_ok", "psu": "psu_ok", "telemetry": "speaks"}[fault], arguments["ok"]
            )
        else:
            kelvin = finite_number(str(arguments["temperature"])) + ZERO
            everywhere = fault == "environment" and "channel" not in arguments
            for one in self.bodies if everywhere else [self._channel_of(arguments)]:
                setattr(one.body, "bath" if fault == "environment" else "temperature", kelvin)

    def _channel_of(self, arguments: dict[str, Any]) -> Channel:
        number = arguments["channel"]
        if isinstance(number, bool) or number not in range(1, len(self.channels) + 1):
            raise ValueError(f"there is no channel {number!r}")
        return self.channels[int(number) - 1]


def _or_tbd(value: float | None, form: str) -> str:
    return "tbd" if value is None else format(value, form)
