"""The commands of an AEU waveform generator (Aim-TTi TGF4162), defined once."""

from __future__ import annotations

from typing import Annotated, Literal

from egse.aeu.messages import AWG
from egse.command import Range, Unit, dynamic_interface
from egse.device import DeviceInterface
from egse.dialect import flag, integer, words
from egse.security.roles import observe

ArbName = Literal["ARB1", "ARB2", "ARB3", "ARB4"]
Samples = list[Annotated[int, Range(-32768, 32767)]]
Waveform = Literal[
    "SINE", "SQUARE", "RAMP", "RAMPUP", "RAMPDOWN", "TRIANG", "PULSE", "NOISE", "ARB", "PRBSPN7", "PRBSPN9",
    "PRBSPN11", "PRBSPN15", "PRBSPN20", "PRBSPN23", "PRBSPN29", "PRBSPN31",
]  # fmt: skip
ArbWaveform = Literal[
    "DC", "SINC", "HAVERSINE", "CARDIAC", "EXPRISE", "LOGRISE", "EXPFALL", "LOGFALL", "GAUSSIAN", "LORENTZ",
    "DLORENTZ", "TRIANG", "ARB1", "ARB2", "ARB3", "ARB4",
]  # fmt: skip
CounterType = Literal["FREQUENCY", "PERIOD", "WIDTH", "NWIDTH", "DUTY"]


class _SystemCommands:
    @AWG.question("*IDN?", words)
    def get_id(self) -> tuple[str, ...]:
        """Returns manufacturer, model, serial number and versions."""

    @AWG.setting("*RST")
    def reset(self) -> None:
        """Puts all settings to those of the factory; the outputs are off then."""

    @AWG.setting("*CLS")
    def clear_status(self) -> None:
        """Empties the status and error registers."""

    @AWG.question("EER?", integer)
    def execution_error_register(self) -> int:
        """Returns and clears the last execution error; 0: none."""

    @AWG.question("QER?", integer)
    def query_error_register(self) -> int:
        """Returns and clears the last query error; 0: none."""

    @AWG.setting("CNTRSWT ${status}")
    def set_counter_status(self, status: Literal["ON", "OFF"]) -> None:
        """Switches the counter.

        Args:
            status: ON or OFF.
        """

    @AWG.question("CNTRSWT?", flag)
    def get_counter_status(self) -> bool:
        """Returns whether the counter is on."""

    @AWG.setting("CNTRTYPE ${type}")
    def set_counter_type(self, type: CounterType) -> None:
        """Sets what the counter measures.

        Args:
            type: of the measurement.
        """

    @AWG.question("CNTRTYPE?", str)
    def get_counter_type(self) -> str:
        """Returns what the counter measures."""

    @AWG.question("CNTRVAL?", float)
    def get_counter_value(self) -> float:
        """Returns what the counter has measured."""

    @AWG.setting("ALIGN")
    def align(self) -> None:
        """Starts the waveforms of both channels anew, at the same moment."""


class _ArbCommands:
    @AWG.setting("ARBLOAD ${waveform}")
    def set_arb_waveform(self, waveform: ArbWaveform) -> None:
        """Selects the arbitrary waveform of this channel.

        Args:
            waveform: a built-in one, or one of the four memories.
        """

    @AWG.question("ARBLOAD?", str)
    def get_arb_waveform(self) -> str:
        """Returns the arbitrary waveform of this channel."""

    @AWG.setting("ARBDEF ${arb}, ${name}, ${interpolation}")
    def define_arb_waveform(self, arb: ArbName, name: str, interpolation: Literal["ON", "OFF"]) -> None:
        """Gives a memory a name.

        Args:
            arb: the memory.
            name: what it is called, without commas.
            interpolation: whether values between the points are interpolated.
        """

    @dynamic_interface
    def load_arb1_data(self, samples: Samples) -> None:
        """Fills memory ARB1.

        Args:
            samples: one pass of the waveform, at most 8192 points.
        """

    @dynamic_interface
    def load_arb2_data(self, samples: Samples) -> None:
        """Fills memory ARB2.

        Args:
            samples: one pass of the waveform, at most 8192 points.
        """

    @dynamic_interface
    def load_arb3_data(self, samples: Samples) -> None:
        """Fills memory ARB3.

        Args:
            samples: one pass of the waveform, at most 8192 points.
        """

    @dynamic_interface
    def load_arb4_data(self, samples: Samples) -> None:
        """Fills memory ARB4.

        Args:
            samples: one pass of the waveform, at most 8192 points.
        """

    @observe
    @dynamic_interface
    def get_arb1(self) -> list[int]:
        """Returns the samples in memory ARB1."""

    @observe
    @dynamic_interface
    def get_arb2(self) -> list[int]:
        """Returns the samples in memory ARB2."""

    @observe
    @dynamic_interface
    def get_arb3(self) -> list[int]:
        """Returns the samples in memory ARB3."""

    @observe
    @dynamic_interface
    def get_arb4(self) -> list[int]:
        """Returns the samples in memory ARB4."""

    @AWG.question("ARB1DEF?", words)
    def get_arb1_def(self) -> tuple[str, ...]:
        """Returns name, interpolation and length of memory ARB1."""

    @AWG.question("ARB2DEF?", words)
    def get_arb2_def(self) -> tuple[str, ...]:
        """Returns name, interpolation and length of memory ARB2."""

    @AWG.question("ARB3DEF?", words)
    def get_arb3_def(self) -> tuple[str, ...]:
        """Returns name, interpolation and length of memory ARB3."""

    @AWG.question("ARB4DEF?", words)
    def get_arb4_def(self) -> tuple[str, ...]:
        """Returns name, interpolation and length of memory ARB4."""


class AWGInterface(_SystemCommands, _ArbCommands, DeviceInterface):
    """All commands of a waveform generator; most concern the channel that was selected last."""

    @AWG.setting("CHN ${channel}")
    def set_channel(self, channel: Annotated[int, Range(1, 2)]) -> None:
        """Selects the channel of all that follows.

        Args:
            channel: 1 or 2.
        """

    @AWG.question("CHN?", integer)
    def get_channel(self) -> int:
        """Returns the selected channel."""

    @AWG.setting("WAVE ${waveform_type}")
    def set_waveform_type(self, waveform_type: Waveform) -> None:
        """Sets the kind of waveform.

        Args:
            waveform_type: ARB is the arbitrary waveform that `set_arb_waveform` selects.
        """

    @AWG.question("WAVE?", str)
    def get_waveform_type(self) -> str:
        """Returns the kind of waveform; some firmware gives its number."""

    @AWG.setting("ZLOAD ${load}")
    def set_output_load(
        self, load: Annotated[float, Range(50, 10_000), Unit("ohm")] | Literal["OPEN"]
    ) -> None:
        """Sets the load that amplitudes are given for.

        Args:
            load: resistance, or OPEN.
        """

    @AWG.question("ZLOAD?", str)
    def get_output_load(self) -> str:
        """Returns the load that amplitudes are given for [ohm], or OPEN."""

    @AWG.setting("AMPL ${amplitude}")
    def set_amplitude(self, amplitude: Annotated[float, Range(0, 20), Unit("V")]) -> None:
        """Sets the amplitude.

        Args:
            amplitude: peak to peak.
        """

    @AWG.question("AMPL?", float)
    def get_amplitude(self) -> Annotated[float, Unit("V")]:
        """Returns the amplitude, peak to peak [V]."""

    @AWG.setting("DCOFFS ${dc_offset}")
    def set_dc_offset(self, dc_offset: Annotated[float, Range(-10, 10), Unit("V")]) -> None:
        """Sets the offset.

        Args:
            dc_offset: middle of the signal.
        """

    @AWG.question("DCOFFS?", float)
    def get_dc_offset(self) -> Annotated[float, Unit("V")]:
        """Returns the offset [V]."""

    @AWG.setting("SQRSYMM ${duty_cycle}")
    def set_duty_cycle(self, duty_cycle: Annotated[float, Range(0, 100), Unit("%")]) -> None:
        """Sets how long a square wave is high.

        Args:
            duty_cycle: part of the period.
        """

    @AWG.question("SQRSYMM?", float)
    def get_duty_cycle(self) -> Annotated[float, Unit("%")]:
        """Returns how long a square wave is high [% of the period]."""

    @AWG.setting("FREQ ${frequency}")
    def set_frequency(self, frequency: Annotated[float, Range(1e-6, 160e6), Unit("Hz")]) -> None:
        """Sets the frequency.

        Args:
            frequency: periods, or passes of the arbitrary waveform, per second.
        """

    @AWG.question("FREQ?", float)
    def get_frequency(self) -> Annotated[float, Unit("Hz")]:
        """Returns the frequency [Hz]."""

    @AWG.setting("OUTPUT ${output_status}")
    def set_output_status(self, output_status: Literal["ON", "OFF", "NORMAL", "INVERT"]) -> None:
        """Switches the output, or its polarity.

        Args:
            output_status: ON, OFF, NORMAL or INVERT.
        """

    @AWG.question("OUTPUT?", flag)
    def get_output_status(self) -> bool:
        """Returns whether the output is on."""
