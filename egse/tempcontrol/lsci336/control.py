"""One output of the LakeShore 336: what it puts out, in every mode, and how much heat that is."""

from __future__ import annotations

from dataclasses import dataclass

from egse.tempcontrol.lsci336.registers import HEATERS, RegisterFile, Values

CLOSED_LOOP, ZONE, OPEN_LOOP, MONITOR, WARM_UP = 1, 2, 3, 4, 5
CURRENT_LIMITS = {1: 0.707, 2: 1.0, 3: 1.141, 4: 2.0}
"""Maximum heater current by index [A]; 0 is the user's value."""
RESISTANCES = {1: 25.0, 2: 50.0}
RANGE_FRACTIONS = {0: 0.0, 1: 0.01, 2: 0.1, 3: 1.0}
"""Share of the full-scale power: low, medium, high."""
ANALOG_FULL_POWER = 10.0
"""Heat of an external amplifier on outputs 3 and 4 at 100 % [W, own proposal]."""


@dataclass
class Output:
    """State of one output; its settings are in the registers.

    Attributes:
        number: 1, 2 (heaters), 3, 4 (voltage).
        percent: what it puts out now [%].
        setpoint: effective set point [K], moving while ramping; None before the first update.
        ramping: True while the effective set point is on its way.
        heater_error: 0 ok, 1 open, 2 short: as the heater is.
        heater_status: the same as last detected; reading clears it.
    """

    number: int
    percent: float = 0.0
    setpoint: float | None = None
    ramping: bool = False
    heater_error: int = 0
    heater_status: int = 0
    _integral: float = 0.0
    _last_error: float | None = None

    def range_of(self, settings: RegisterFile) -> int:
        """Returns the range that is in effect; in zone mode that of the zone."""
        chosen = int(settings.get("RANGE", self.number)[0])
        zone = self.zone(settings)
        if zone is not None and chosen:
            return min(int(zone[5]), 3 if self.number in HEATERS else 1)
        return chosen

    def zone(self, settings: RegisterFile) -> Values | None:
        """Returns the zone row of the set point, None outside zone mode."""
        if settings.get("OUTMODE", self.number)[0] != ZONE:
            return None
        target = self.setpoint if self.setpoint is not None else settings.get("SETP", self.number)[0]
        rows = [settings.get("ZONE", self.number, z) for z in range(1, 11)]
        return next((row for row in rows if row[0] and target <= row[0]), None)

    def control_input(self, settings: RegisterFile) -> int:
        """Returns the number of the control input, 0 for none."""
        mode, chosen, _ = settings.get("OUTMODE", self.number)
        zone = self.zone(settings) if mode == ZONE else None
        return int(chosen if zone is None else zone[6] or chosen)

    def power(self, settings: RegisterFile) -> float:
        """Returns the heat that the output makes now [W]."""
        if self.heater_error or settings.get("OUTMODE", self.number)[0] == MONITOR:
            return 0.0
        if self.number not in HEATERS:
            return max(0.0, self.percent) / 100.0 * ANALOG_FULL_POWER
        resistance, limit, user, _ = settings.get("HTRSET", self.number)
        current = float(CURRENT_LIMITS[limit] if limit else user)
        full = current * current * RESISTANCES[resistance]
        return float((self.percent / 100.0) ** 2 * full * RANGE_FRACTIONS[self.range_of(settings)])

    def off(self) -> None:
        """Puts nothing out and forgets the past of the loop."""
        self.percent = 0.0
        self._integral = 0.0
        self._last_error = None

    def move_setpoint(self, target: float, rate: float | None, seconds: float) -> bool:
        """Moves the effective set point towards its target.

        Args:
            target: the set point as commanded [K].
            rate: ramp rate [K/min], None without ramp.
            seconds: time passed [s].

        Returns:
            True when a ramp has just arrived.
        """
        if rate is None or self.setpoint is None:
            self.setpoint, self.ramping = target, False
            return False
        step = rate / 60.0 * seconds
        left = target - self.setpoint
        was_ramping = self.ramping
        if abs(left) <= step:
            self.setpoint, self.ramping = target, False
            return was_ramping
        self.setpoint += step if left > 0 else -step
        self.ramping = True
        return False

    def regulate(self, temperature: float, pid: Values, manual: float, seconds: float) -> None:
        """Closed loop: output = P [e + (I/1000) integral(e dt) + D de/dt] + manual output, 0..100 %.

        The integral is frozen while the output is at a limit and the error would drive it further.

        Args:
            temperature: of the control input [K].
            pid: P, I, D.
            manual: manual output, added [%].
            seconds: time since the last update [s].
        """
        gain, reset, rate = pid
        error = (self.setpoint or 0.0) - temperature
        slope = 0.0 if self._last_error is None else (error - self._last_error) / seconds
        self._last_error = error
        integral = self._integral + error * seconds
        wanted = gain * (error + reset / 1000.0 * integral + rate * slope) + manual
        self.percent = min(100.0, max(0.0, wanted))
        if self.percent == wanted or (wanted > 100.0) != (error > 0.0):
            self._integral = integral

    def warm_up(self, temperature: float, continuous: bool, percent: float) -> bool:
        """Warm-up supply: a fixed percentage until the set point is reached.

        Returns:
            True when the output has done its work and switches itself off.
        """
        reached = temperature >= (self.setpoint or 0.0)
        self.percent = 0.0 if reached else percent
        return reached and not continuous

    def monitor(self, value: float, high: float, low: float, bipolar: bool) -> None:
        """Monitor output: a reading as a share of its scale, 0..100 % or -100..100 %."""
        span = high - low
        share = (value - low) / span if span else 0.0
        self.percent = 200.0 * share - 100.0 if bipolar else 100.0 * share
        self.percent = min(100.0, max(-100.0 if bipolar else 0.0, self.percent))
