"""The models of the AEU's units, alone and wired together, on virtual time."""

from __future__ import annotations

import pytest

from egse.aeu.lines import F_CAM, LEDS, LINES, N_CAM, CameraLines, OperatingMode
from egse.aeu.rack import AEUModel
from egse.aeu.selftest import describe_selftest
from egse.aeu.waveforms import decode_samples, encode_samples, pulses_in, sync_waveforms
from egse.fee.calibration import HKCalibration
from egse.fee.feed import HALF_RANGE, CameraFeed, PulseTrain
from egse.fee.hk import HK_MAP_FILES, decode_hk
from egse.fee.model import NFEEModel
from egse.rmap import HK_AREA_ADDRESS, HK_AREA_SIZE
from egse.simulator import FaultError, Session
from egse.simulator.faults import Send
from egse.yamlfile import read_yaml


class Bench:
    """Sends commands to the units of one rack, as their clients would."""

    def __init__(self) -> None:
        self.rack = AEUModel()
        self.now = 0.0
        self.sessions = {name: Session(unit) for name, unit in self.rack.units().items()}

    def send(self, unit: str, text: str | bytes, wait: float = 0.0) -> str:
        self.now += wait
        data = text.encode() if isinstance(text, str) else text
        actions = self.sessions[unit].feed(data + b"\n", self.now)
        return b"".join(a.data for a in actions if isinstance(a, Send)).decode("latin-1").strip()

    def numbers(self, unit: str, text: str, wait: float = 0.0) -> list[float]:
        return [float(word) for word in self.send(unit, text, wait).split(",")]

    def power(self, lines: CameraLines = N_CAM, camera: str = "N") -> None:
        self.send("CRIO", "CNTRL:MODE 3")
        for index in range(6):
            psu = f"PSU{index + 1}"
            self.send(psu, f"VOLT {lines.set_voltage[index]};CURR {lines.set_current[index]}")
            self.send(psu, f"VOLT:PROT {lines.set_ovp[index]};CURR:PROT {lines.set_ocp[index]};OUTP 1")
        self.send("CRIO", f"CNTRL:{camera}:OUTP 1", wait=0.5)

    def sync(self, cycle_time: float = 25.0) -> None:
        waves = sync_waveforms(cycle_time)
        self.send("AWG1", "WAVE SQUARE\nFREQ 50e6\nAMPL 2.7\nDCOFFS 1.35\nOUTPUT ON")
        for channel, samples in ((1, waves.readout), (2, waves.heater)):
            self.send("AWG2", f"CHN {channel}\nWAVE ARB\nARBLOAD ARB{channel}\nAMPL 2.7\nDCOFFS 1.35")
            self.send("AWG2", f"ARB{channel} ".encode() + encode_samples(samples))
            self.send("AWG2", f"FREQ {waves.frequency}\nOUTPUT ON")
        self.send("CRIO", "CNTRL:N:CLOCK 1, 1")
        self.send("AWG2", "ALIGN")


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Power supplies ------------------------------------------------------------------------------------------------------


def test_identities(bench: Bench) -> None:
    assert bench.send("CRIO", "*IDN?").split(", ")[1] == "cRIO-9063"
    fields = bench.send("PSU1", "*idn?").split(",")
    assert fields[:2] == ["KIKUSUI", "PMX35-1"]
    assert len(fields[3].split()) == 2
    assert bench.send("AWG1", "*IDN?").startswith("THURLBY THANDAR, TGF4162, ")
    assert bench.send("PSU6", "INST:INFO?") == "+1.8000E+01,+5.0000E+00"


@pytest.mark.parametrize("header", ["MEAS:VOLT?", ":MEASURE:VOLTAGE?", "meas:voltage?"])
def test_keywords_in_short_and_long_form(bench: Bench, header: str) -> None:
    assert bench.send("PSU2", header) == "+0.0000E+00"


def test_supply_refuses_and_tells_why(bench: Bench) -> None:
    for command, code in (
        ("MEASU:VOLT?", -113), ("VOLT 30", -222), ("VOLT", -109), ("VOLT x", -102), ("INST 7", 301), ("*TST", -113),
    ):  # fmt: skip
        assert bench.send("PSU2", command) == ""
        assert bench.send("PSU2", "SYST:ERR?").startswith(f"{code},")
    assert bench.send("PSU2", "SYST:ERR?") == '0,"No error"'
    bench.send("PSU2", "\n".join(["VOLT 99"] * 20))
    errors = [bench.send("PSU2", "SYST:ERR?") for _ in range(17)]
    assert errors[15].startswith("-350")
    assert errors[16].startswith("0,")


def test_output_rises_in_less_than_a_tenth_of_a_second(bench: Bench) -> None:
    bench.send("PSU2", "VOLT 16;CURR 1;OUTP 1")
    assert bench.numbers("PSU2", "MEAS:VOLT?", wait=0.04) == [pytest.approx(8.0, abs=0.5)]
    assert bench.numbers("PSU2", "MEAS:VOLT?", wait=0.06) == [16.0]


def test_over_voltage_protection(bench: Bench) -> None:
    bench.send("PSU2", "VOLT 16;CURR 1;VOLT:PROT 17;OUTP 1")
    bench.send("PSU2", "VOLT 17.5", wait=1)
    assert bench.send("PSU2", "OUTP?;STAT:QUES:COND?", wait=1) == "0;1"
    bench.send("PSU2", "OUTP 1")
    assert bench.send("PSU2", "SYST:ERR?").startswith("155,")
    bench.send("PSU2", "VOLT 16;OUTP:PROT:CLE;OUTP 1")
    assert bench.numbers("PSU2", "MEAS:VOLT?", wait=1) == [16.0]


def test_memories(bench: Bench) -> None:
    bench.send("PSU3", "VOLT 6.75;CURR 0.6;VOLT:PROT 7.3;CURR:PROT 0.7;MEM:SAVE A;*RST")
    assert bench.numbers("PSU3", "MEM:REC:PREV? 1") == [0.6, 6.75, 0.7, 7.3]
    bench.send("PSU3", "MEM:REC 1")
    assert bench.send("PSU3", "VOLT?;CURR?") == "+6.7500E+00;+6.0000E-01"


# The lines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("camera", "lines"), [("N", N_CAM), ("F", F_CAM)])
def test_camera_gets_its_nominal_voltages(bench: Bench, camera: str, lines: CameraLines) -> None:
    bench.power(lines, camera)
    assert bench.numbers("CRIO", f"MEAS:{camera}:VOLT?", wait=3600) == pytest.approx(
        list(lines.voltage), abs=1e-3
    )
    assert bench.numbers("CRIO", f"MEAS:{camera}:CURR?") == pytest.approx(list(lines.current), abs=1e-3)
    assert bench.send("CRIO", f"MEAS:{camera}:VOLT:QUAL?") == "0, 0, 0, 0, 0, 0"
    assert bench.numbers("PSU5", "MEAS:VOLT?;")[0] > 0


@pytest.mark.parametrize("line", range(6))
def test_under_voltage_switches_one_line_off(bench: Bench, line: int) -> None:
    bench.power()
    bench.send(f"PSU{line + 1}", f"VOLT {0.8 * N_CAM.set_voltage[line]}", wait=1)
    quality = bench.numbers("CRIO", "MEAS:N:VOLT:QUAL?", wait=1)
    assert quality == [2.0 if n == line else 0.0 for n in range(6)]
    assert bench.numbers("CRIO", "MEAS:N:VOLT?")[line] == 0.0
    bench.send(f"PSU{line + 1}", f"VOLT {N_CAM.set_voltage[line]}")
    assert bench.numbers("CRIO", "MEAS:N:VOLT?", wait=1)[line] == 0.0  # off until it is turned on again
    bench.send("CRIO", "CNTRL:N:OUTP 1")
    assert bench.numbers("CRIO", "MEAS:N:VOLT?", wait=1)[line] == pytest.approx(N_CAM.voltage[line], abs=1e-3)


def test_over_voltage_and_over_current_of_the_crio(bench: Bench) -> None:
    bench.power()
    bench.send("CRIO", "CNTRL:N:VOLT:PROT:OV 39, 18, 6.6, 7.5, -7.5, 5.2")
    bench.send("CRIO", "CNTRL:N:CURR:PROT 0.05, 0.295, 0.380, 0.116, -0.4469, 1.023")
    assert bench.send("CRIO", "MEAS:N:VOLT:QUAL?", wait=1) == "0, 0, 1, 0, 0, 0"
    assert bench.send("CRIO", "MEAS:N:CURR:QUAL?") == "1, 0, 0, 0, 0, 0"
    leds = dict(zip(LEDS, bench.send("CRIO", "MEAS:LED?").split(", ")))
    assert (leds["S_voltage_oor"], leds["S_current_oor"], leds["V_CCD"], leds["V_CLK"]) == (
        "1",
        "1",
        "0",
        "1",
    )


def test_a_supply_that_limits_its_current_starves_the_line(bench: Bench) -> None:
    bench.power()
    bench.send("PSU6", "CURR 0.4")
    assert bench.numbers("CRIO", "MEAS:N:VOLT:QUAL?", wait=1) == [0, 0, 0, 0, 0, 2]


def test_a_supply_that_fails_upwards_trips(bench: Bench) -> None:
    bench.power()
    bench.rack.psus[0].inject("overvoltage", {"volts": 5.0}, bench.now)
    assert bench.send("PSU1", "OUTP?;STAT:QUES:COND?", wait=1) == "0;1"
    assert bench.numbers("CRIO", "MEAS:N:VOLT:QUAL?", wait=1)[0] == 2
    with pytest.raises(FaultError):
        bench.rack.psus[0].inject("overvoltage", {}, bench.now)


# Modes and clocks ----------------------------------------------------------------------------------------------------


def test_stand_by_lies_between_all_other_modes(bench: Bench) -> None:
    for mode in (2, 3):
        bench.send("CRIO", f"CNTRL:MODE {mode}")
        for other in {1, 2, 3} - {mode}:
            bench.send("CRIO", f"CNTRL:MODE {other}")
            assert bench.send("CRIO", "SYST:ERR?") == "6"
        assert bench.send("CRIO", "CNTRL:MODE?") == str(mode)
        bench.send("CRIO", "CNTRL:MODE 0")
    for command in (
        "CNTRL:N:OUTP 1",
        "CNTRL:N:CLOCK 1, 0",
        "CNTRL:F:CLOCK 1, 0, 0, 0",
        "CNTRL:SVM:CLOCK 1, 0, 0, 0",
    ):
        bench.send("CRIO", command)
        assert bench.send("CRIO", "SYST:ERR?") == "6"
    assert bench.send("CRIO", "MEAS:LED?").split(", ")[0] == "1"


def test_alignment_lets_only_50_mhz_through(bench: Bench) -> None:
    bench.send("CRIO", "CNTRL:MODE 2")
    for command, error in (
        ("CNTRL:N:CLOCK 1, 0", "0"), ("CNTRL:F:CLOCK 1, 1, 0, 0", "0"), ("CNTRL:N:CLOCK 1, 1", "6"),
        ("CNTRL:SVM:CLOCK 1, 0, 0, 0", "6"), ("CNTRL:N:OUTP 1", "0"),
    ):  # fmt: skip
        bench.send("CRIO", command)
        assert bench.send("CRIO", "SYST:ERR?") == error, command
    assert bench.send("CRIO", "CNTRL:N:CLOCK?") == "1, 0"
    bench.send("CRIO", "CNTRL:MODE 0")
    assert bench.send("CRIO", "CNTRL:N:CLOCK?") == "0, 0"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("NONSENSE?", 1),
        ("CNTRL:MODE x", 3),
        ("CNTRL:MODE 1, 2", 4),
        ("CNTRL:MODE 4", 5),
        ("CNTRL:N:OUTP é", 2),
    ],
)
def test_errors_of_the_crio(bench: Bench, command: str, code: int) -> None:
    assert bench.send("CRIO", command.encode("latin-1")) == ""
    assert bench.send("CRIO", "SYST:ERR:QUANT?") == "1"
    assert bench.send("CRIO", "SYST:ERR?") == str(code)


def test_everything_at_once_has_45_fields(bench: Bench) -> None:
    bench.power()
    values = bench.numbers("CRIO", "MEAS:ALL:ANALOG?", wait=1)
    assert len(values) == 45
    assert values[:6] == pytest.approx(list(N_CAM.current), abs=1e-3)
    assert values[12:18] == pytest.approx(list(N_CAM.voltage), abs=1e-3)
    assert len(bench.numbers("CRIO", "SYST:TIME:PROT?")) == 72


def test_selftest_returns_to_stand_by(bench: Bench) -> None:
    for camera in ("N", "F"):
        bench.rack.crio.inject("camera", {"camera": camera, "attached": False}, 0.0)
    bench.send("CRIO", "CNTRL:LOOPBACK 3\nCNTRL:MODE 1")
    assert bench.send("CRIO", "SYST:TEST:RESULT?") == "1"
    assert bench.send("CRIO", "SYST:TEST:RESULT?", wait=20) == "3"
    assert bench.send("CRIO", "CNTRL:MODE?") == "0"
    assert "N-CAM" in describe_selftest(33)
    assert LINES[5] in describe_selftest(44)
    assert describe_selftest(22).startswith("power supply 1")


def test_emergency_button(bench: Bench) -> None:
    bench.power()
    bench.rack.crio.inject("emergency", {"pushed": True}, bench.now)
    assert bench.rack.crio.mode == OperatingMode.STANDBY
    assert bench.send("CRIO", "SYST:PROT?") == "1, 0, 0, 0"
    assert bench.rack.feed.voltages == (0.0,) * 6


# Sync pulses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cycle_time", "length"), [(25, 6000), (31.25, 2500), (37.5, 6000), (43.75, 3500), (50, 6000)]
)
def test_waveforms_close_on_themselves(cycle_time: float, length: int) -> None:
    waves = sync_waveforms(cycle_time)
    assert len(waves.readout) == len(waves.heater) == length
    assert 1 / waves.frequency == pytest.approx(length * 0.025, rel=1e-4)
    seconds = length * 0.025
    widths = [edge.width * seconds for edge in pulses_in([s > 0 for s in waves.readout])]
    assert widths == pytest.approx([0.4, 0.2, 0.2, 0.2] * round(seconds / cycle_time))
    heater = [edge.offset * seconds for edge in pulses_in([s > 0 for s in waves.heater])]
    assert heater == pytest.approx([12.5 * n for n in range(round(seconds / 12.5))])
    assert decode_samples(encode_samples(waves.readout)) == waves.readout


def test_generators_make_the_pulses_of_the_camera(bench: Bench) -> None:
    bench.power()
    assert bench.rack.feed.train is None
    bench.now = 100.0
    bench.sync()
    train = bench.rack.feed.train
    assert train is not None
    assert train.start == 100.0
    assert [is_long for _, is_long in train.pulses] == [True, False, False, False] * 6
    assert bench.send("CRIO", "MEAS:N:CLOCK:QUAL?") == "0, 0"
    bench.send("AWG2", "CHN 1\nOUTPUT OFF")
    assert bench.rack.feed.train is None
    assert bench.send("CRIO", "MEAS:N:CLOCK:QUAL?") == "0, 1"
    bench.send("AWG1", "FREQ 49e6")
    assert bench.send("CRIO", "MEAS:N:CLOCK:QUAL?") == "1, 1"


def test_a_wrong_setting_makes_wrong_pulses(bench: Bench) -> None:
    bench.power()
    bench.sync()
    bench.send("AWG2", "CHN 1\nFREQ 0.013334")
    train = bench.rack.feed.train
    assert train is not None
    assert train.pulses[1][0] == pytest.approx(3.125, rel=1e-3)
    assert not any(is_long for _, is_long in train.pulses)  # 0.2 s and 0.1 s
    bench.send("AWG2", "DCOFFS 5")  # always above the threshold
    assert bench.rack.feed.train is None


# The generators' language ----------------------------------------------------------------------------------------------


def test_generator_gives_back_what_it_was_told(bench: Bench) -> None:
    for command in (
        "FREQ 50000000", "AMPL 2.7", "DCOFFS 1.35", "SQRSYMM 50", "WAVE SQUARE", "ZLOAD 50", "MOD FM", "SWP ON",
        "BST NCYC", "CNTRTYPE WIDTH", "TRACKING EQUAL", "CLKSRC EXT", "ARBFILTER STEP",
    ):  # fmt: skip
        bench.send("AWG1", command)
        assert bench.send("AWG1", "EER?") == "0", command
        name, _, value = command.partition(" ")
        assert bench.send("AWG1", f"{name}?") == value
    bench.send("AWG1", "CHN 2")
    assert bench.send("AWG1", "FREQ?") == "10000"
    assert bench.send("AWG1", "CLKSRC?") == "EXT"  # one for the whole instrument


@pytest.mark.parametrize(
    ("command", "error"),
    [("NONSENSE 1", -111), ("WAVE ROUND", -112), ("FREQ x", -112), ("FREQ 1e12", -1), ("CHN 3", -1)],
)
def test_errors_of_the_generator(bench: Bench, command: str, error: int) -> None:
    bench.send("AWG1", command)
    assert bench.send("AWG1", "EER?") == str(error)
    assert bench.send("AWG1", "EER?") == "0"
    assert int(bench.send("AWG1", "*ESR?")) & 48


@pytest.mark.parametrize("chunk", [1, 7, 1000, 100_000])
def test_blocks_may_hold_line_ends_and_come_in_pieces(bench: Bench, chunk: int) -> None:
    samples = [0x0A0D, 0x0A0A, 0x0D0A, 0x233A] * 100
    data = (
        b"CHN 1\r\nARBDEF ARB1, a#b, ON\r\nARB2 "
        + encode_samples(samples)
        + b"\nARBDEF ARB2, sync, OFF\nARB2DEF?\nEER?\n"
    )
    replies = b""
    for start in range(0, len(data), chunk):
        for action in bench.sessions["AWG2"].feed(data[start : start + chunk], 0.0):
            assert isinstance(action, Send)
            replies += action.data
    assert replies == b"sync,OFF,400\r\n0\r\n"
    assert list(bench.sessions["AWG2"].feed(b"ARB2?\n", 0.0)) == [Send(encode_samples(samples) + b"\r\n")]


def test_too_many_points(bench: Bench) -> None:
    bench.send("AWG2", b"ARB1 #516400" + bytes(16400))
    assert bench.send("AWG2", "EER?") == "-27"
    assert bench.send("AWG2", "*IDN?").startswith("THURLBY")


def test_the_first_pulse_is_not_lost_on_the_way() -> None:
    train = PulseTrain(1, 100.0, 25.0, ((0.0, True), (6.25, False), (12.5, False), (18.75, False)))
    volts = (34.7, 16.05, 6.65, 6.65, -6.65, 4.55)
    fee = NFEEModel("fm", pixels=False)
    fee.feed(CameraFeed(volts, train), 101.0)  # a message that took a second
    assert (fee.sync.next.time, fee.sync.next.long) == (101.0, True)
    fee.step(101.0)
    fee.feed(CameraFeed(volts, train), 102.0)  # the same train goes on undisturbed
    assert (fee.sync.next.time, fee.sync.next.long) == (107.25, False)
    late = NFEEModel("fm", pixels=False)
    late.feed(CameraFeed(volts, train), 110.0)  # started later, in the middle of a cycle
    assert (late.sync.next.time, late.sync.next.long) == (112.5, False)


def test_supply_voltages_in_the_housekeeping_of_the_fee_follow_the_aeu() -> None:
    fee = NFEEModel("fm", pixels=False)
    calibration = HKCalibration(read_yaml(HK_MAP_FILES["fm"].parent / "nfee_sensor_calibration_sim_v1.yaml"))
    train = PulseTrain(1, 1.0, 25.0, ((0.0, True), (6.25, False), (12.5, False), (18.75, False)))
    for time, volts in (
        (1.0, (34.7, 16.05, 6.65, 6.65, -6.65, 4.55)),
        (30.0, (34.0, 15.8, 6.5, 6.6, -6.7, 4.5)),
    ):
        fee.feed(CameraFeed(volts, train), time)
        fee.step(fee.next_event())
        row = decode_hk(fee.registers.get_data(HK_AREA_ADDRESS, HK_AREA_SIZE), fee.hk_map)
        values = [calibration.calibrate(name.removeprefix("NFEE_"), row[name]) for name in HALF_RANGE]
        assert values == pytest.approx(volts, abs=0.001)
