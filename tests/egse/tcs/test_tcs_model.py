"""The TCS EGSE's two ports, byte by byte (protocol reference, section 11), and its physics."""

from __future__ import annotations

import itertools
import re

import pytest

from egse.simulator import FaultError
from egse.tcs import TCSModel, TCSTelemetryModel
from egse.tcs.channel import PULSE
from egse.tcs.messages import burst

DATE = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3} UTC"


class Desk:
    """Somebody at the commanding port, with a watch."""

    def __init__(self, remote: bool = True, **options: int) -> None:
        self.model = TCSModel(**options)
        self.now = 1000.0
        self.model.step(self.now)
        if remote:
            self.say("request_remote_operation")

    def say(self, command: str) -> str:
        """Sends a command, returns its reply without the ETX, of which there is exactly one, at the end."""
        reply = b"".join(
            self.model.handle(one, self.now) for one in self.model.framer().feed(command.encode() + b"\x03")
        )
        assert reply.endswith(b"\x03")
        assert reply.count(b"\x03") == 1
        return reply[:-1].decode("ascii")

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.model.step(self.now)

    def value(self, name: str) -> str:
        return self.say(f"get_tm {name}").split("\t")[2]


def test_remote_mode_comes_first() -> None:
    desk = Desk(remote=False)
    assert desk.say("get_remote_status") == "remote_mode_not_active"
    for command in ("run_task", "get_tm_all", "get_tm ambient_rtd", "quit_remote_operation", "nonsense"):
        assert desk.say(command) == "not_allowed_remote_mode_not_active"
    assert desk.say("request_remote_operation") == "acknowledge_remote_operation"
    assert desk.say("get_remote_status") == "remote_mode_active"
    assert desk.say("quit_remote_operation") == "acknowledge_quit_remote_operation"
    assert desk.say("get_remote_status") == "remote_mode_not_active"


def test_commands_cut_and_merged() -> None:
    model = TCSModel()
    model.step(0.0)
    framer = model.framer()
    stream = b"request_remote_operation\x03get_remote_status\x03\x03get_tm op_mode\x03"
    one_by_one = [c for i in range(len(stream)) for c in framer.feed(stream[i : i + 1])]
    assert one_by_one == model.framer().feed(stream)
    assert one_by_one == [b"request_remote_operation", b"get_remote_status", b"get_tm op_mode"]
    assert [model.handle(c, 0.0) for c in one_by_one][:2] == [
        b"acknowledge_remote_operation\x03",
        b"remote_mode_active\x03",
    ]
    assert model.handle(b"\r\n", 0.0) == b""


def test_housekeeping() -> None:
    desk = Desk()
    assert re.fullmatch(DATE + r"\ttou_rtd_1\t-1\d\d\.\d{4}", desk.say("get_tm tou_rtd_1"))
    assert desk.say("get_tm trp_99") == "invalid_tm_item_id"
    assert desk.say("get_tm") == "invalid_tm_item_id"
    lines = desk.say("get_tm_all").split("\r\n")
    assert all(re.fullmatch(r"[a-z0-9_]+\t" + DATE + r"\t\S.*", line) for line in lines)
    names = [line.split("\t")[0] for line in lines]
    assert names == sorted(set(names))
    assert {"ambient_rtd", "fee_rtd_3_status", "spare_rtd_tav", "ch3_pwm_offtime", "task_is_running"} <= set(
        names
    )
    assert desk.value("task_is_running") == "0"
    assert desk.value("start_time") == desk.value("ch1_pid_cv") == "tbd"


def test_number_of_channels() -> None:
    names = Desk(channels=2).say("get_tm_all")
    assert "ch2_tav" in names
    assert "ch3_tav" not in names
    assert "spare_rtd_tav" in names


def test_parameters_wait_until_they_are_taken_over() -> None:
    desk = Desk()
    assert "ch1_tset\t-80" in desk.say("get_conf_all").split("\r\n")
    assert desk.say("set_parameter ch1_tset -70.0 ch2_enabled 1") == "acknowledge_set_parameter"
    assert "ch1_tset\t-80" in desk.say("get_conf_all").split("\r\n")
    assert desk.say("discard_config") == "acknowledge_discard_config"
    desk.say("commit_config")
    assert "ch1_tset\t-80" in desk.say("get_conf_all").split("\r\n")
    desk.say("set_parameter ch1_tset -70.0")
    assert desk.say("commit_config") == "acknowledge_commit_config"
    assert "ch1_tset\t-70" in desk.say("get_conf_all").split("\r\n")
    desk.say("set_parameter ch1_tset 5000")
    assert "erroneous" in desk.say("commit_config")
    assert "ch1_tset\t100" in desk.say("get_conf_all").split("\r\n")
    for wrong in (
        "ch9_tset 1",
        "ch1_tset",
        "ch1_tset warm",
        "ch1_tset nan",
        "operation_mode 7",
        "operation_mode off",
    ):
        assert desk.say(f"set_parameter {wrong}") == "invalid_parameter"
    for mode, number in (("EXTENDED", "6"), ("safe", "1"), ("3", "3"), ("self_test", "5")):
        assert desk.say(f"set_parameter operation_mode {mode}") == "acknowledge_set_parameter"
        desk.say("commit_config")
        assert desk.value("op_mode") == number


def test_sensor_tables() -> None:
    desk = Desk()
    assert desk.say("upload_rtd_parameters X123_100.02_0.0039_-5.8e-07_-4.2e-12").startswith("acknowledge")
    assert desk.say("upload_rtd_parameters Y9_1_2_3_4_5_6").startswith("acknowledge")
    assert desk.say("upload_rtd_parameters Y9_1_2") == "invalid_parameter"
    assert desk.say("set_rtd_parameters tou_rtd_2 X123").startswith("acknowledge")
    assert desk.say("set_rtd_parameters tou_rtd_2 unknown") == "invalid_parameter"
    table = [line for line in desk.say("get_conf_all").split("\r\n") if len(line.split("\t")) == 8]
    assert table[0].startswith("rtd_list\tPT100-01\t100\t0.0039083\t")
    assert all(line.startswith("\t") for line in table[1:])
    assert "\tY9\t1\t2\t3\t4\t5\t6" in table


def test_the_set_point_is_reached_and_kept() -> None:
    desk = Desk()
    desk.say("set_parameter operation_mode extended ch1_tset -70")
    assert desk.say("run_task") == "acknowledge_run_task"
    assert desk.value("task_is_running") == "1"
    desk.wait(PULSE + 1)
    assert desk.value("ch1_pid_cv") == "100.000", "clipped"
    assert float(desk.value("ch1_pwm_ontime")) == pytest.approx(25.0)
    assert float(desk.value("ch1_iout")) * 28.0 == pytest.approx(float(desk.value("ch1_pout")), rel=1e-3)
    before = desk.model.temperature(1)
    desk.wait(60)
    assert before < desk.model.temperature(1) < before + 2
    desk.wait(3600)
    rise = desk.model.temperature(1)
    assert rise == pytest.approx(-70.0, abs=2.0)
    desk.wait(6 * 3600)
    assert desk.model.temperature(1) == pytest.approx(-70.0, abs=0.02)
    assert 70.0 < float(desk.value("ch1_pid_cv")) < 80.0, "6 W against 40 K and 0.15 W/K, of 8 W"
    assert desk.model.temperature(2) == pytest.approx(-110.0, abs=0.01), "TRP22 heats by configuration only"
    assert desk.say("stop_task") == "acknowledge_stop_task"
    desk.wait(8000)
    assert desk.model.temperature(1) < -105.0


def test_the_width_of_the_pwm_changes_at_pulses_only() -> None:
    desk = Desk()
    desk.say("set_parameter ch1_tset -105")
    desk.say("run_task")
    widths = []
    for _ in range(50):
        desk.wait(1.0)
        widths.append(desk.value("ch1_pwm_ontime"))
    changes = sum(a != b for a, b in itertools.pairwise(widths))
    assert changes == int(desk.value("ch1_clkheater_ticks")) == 4


@pytest.mark.parametrize(
    ("mode", "percent"),
    [("safe", "0.000"), ("decontamination", "100.000"), ("calibration", "0.000"), ("emc", "0.000")],
)
def test_modes(mode: str, percent: str) -> None:
    desk = Desk()
    desk.say(f"set_parameter operation_mode {mode}")
    desk.say("run_task")
    desk.wait(PULSE + 1)
    assert desk.value("ch1_pid_cv") == percent
    desk.wait(PULSE)
    assert desk.value("ch1_pid_cv") == ("25.000" if mode == "emc" else percent)


def test_bang_bang() -> None:
    desk = Desk()
    desk.say("set_parameter ch1_mode 3 ch1_tset -100")
    desk.say("run_task")
    seen = set()
    for _ in range(400):
        desk.wait(PULSE)
        seen.add(desk.value("ch1_pid_cv"))
        assert desk.model.temperature(1) < -98.0
    assert seen == {"0.000", "100.000"}
    assert desk.model.temperature(1) == pytest.approx(-100.0, abs=1.3)


def test_a_self_test_ends_by_itself_and_finds_what_is_broken() -> None:
    desk = Desk()
    desk.model.inject("heater_open", {"channel": 2}, desk.now)
    assert desk.say("get_error") == "no errors"
    desk.say("set_parameter operation_mode self_test")
    desk.say("run_task")
    desk.wait(11)
    assert desk.value("task_is_running") == "0"
    assert re.fullmatch(DATE + "\t302\tself-test: heater of channel 2 failed", desk.say("get_error"))


def test_housekeeping_is_stale_without_a_task() -> None:
    desk = Desk()
    before, load = desk.say("get_tm tou_rtd_1"), desk.say("get_tm ambient_rtd")
    desk.wait(100)
    assert desk.say("get_tm tou_rtd_1") == before
    assert desk.say("get_tm ambient_rtd") != load
    desk.say("run_task")
    desk.wait(2)
    assert desk.say("get_tm tou_rtd_1") != before


def test_faults_of_the_device() -> None:
    desk = Desk()
    inject = desk.model.inject
    desk.say("run_task")
    desk.wait(2 * PULSE)
    inject("sensor_broken", {"input": "tou_rtd_2"}, desk.now)
    desk.wait(2)
    assert (desk.value("tou_rtd_2"), desk.value("tou_rtd_2_status")) == ("tbd", "1")
    assert float(desk.value("tou_rtd_tav")) == pytest.approx(desk.model.temperature(1), abs=0.05)
    for number in (1, 3):
        inject("sensor_broken", {"input": f"tou_rtd_{number}"}, desk.now)
    desk.wait(PULSE)
    assert (desk.value("ch1_heater_status"), desk.value("ch1_pout")) == ("3", "0.0000"), "never heats blindly"
    assert "channel 1 has no sensor" in desk.say("get_error")
    inject("sensor_ok", {"input": "tou_rtd_1"}, desk.now)
    desk.wait(PULSE)
    assert desk.value("ch1_heater_status") == "0"
    inject("heater_short", {"channel": 1}, desk.now)
    desk.wait(PULSE)
    assert (desk.value("ch1_heater_status"), desk.value("ch1_pwm_duty")) == ("2", "0.000")
    inject("heater_ok", {"channel": 1}, desk.now)
    inject("temperature", {"channel": 1, "temperature": 70}, desk.now)
    desk.wait(PULSE)
    assert "above its limit of 60 degC" in desk.say("get_error")
    inject("environment", {"temperature": -150}, desk.now)
    assert desk.model.describe()["channels"]["2"]["environment"] == pytest.approx(-150.0)
    inject("psu", {"ok": False}, desk.now)
    desk.wait(1)
    assert (desk.value("psu_status"), desk.value("psu_vdc")) == ("1", "0.000")
    inject("local", {}, desk.now)
    assert desk.say("run_task") == "not_allowed_remote_mode_not_active"
    for fault, arguments in (
        ("sensor_broken", {"input": "A"}),
        ("heater_open", {"channel": 4}),
        ("clock", {"ok": 1}),
        ("temperature", {"channel": 1, "temperature": "hot"}),
        ("fire", {}),
    ):
        with pytest.raises(FaultError):
            inject(fault, arguments, desk.now)


def test_without_heater_clock_nothing_is_regulated_and_then_nothing_heats() -> None:
    desk = Desk()
    desk.say("run_task")
    desk.wait(PULSE + 1)
    desk.model.inject("clock", {"ok": False}, desk.now)
    desk.wait(2 * PULSE)
    assert (desk.value("sync_status"), desk.value("ch1_clkheater_ticks")) == ("0", "1")
    assert desk.value("ch1_pid_cv") == "100.000"
    desk.wait(2 * PULSE)
    assert (desk.value("ni9401_external_clkheater_timeout"), desk.value("ch1_pid_cv")) == ("1", "0.000")
    desk.model.inject("clock", {"ok": True}, desk.now)
    desk.wait(PULSE)
    assert desk.value("ch1_pid_cv") == "100.000"


def test_telemetry_tells_what_has_changed() -> None:
    desk = Desk()
    port = TCSTelemetryModel(desk.model)
    first, second = port.stream(), port.stream()
    told = first(desk.now)
    assert told.count(b"\x03") == 1
    assert told.endswith(b"\x03")
    assert all(
        re.fullmatch(DATE + r"\t[a-z0-9_]+\t\S.*", line) for line in told[:-1].decode("ascii").split("\r\n")
    )
    assert {item.name for item in burst(told)} == set(desk.model.values)
    assert first(desk.now + 0.5) == b""
    desk.wait(1.0)
    changed = {item.name for item in burst(first(desk.now))}
    assert "ambient_rtd" in changed
    assert "tou_rtd_1" not in changed, "no task is running"
    assert len(burst(second(desk.now))) > len(changed), "a listener that came later gets all"
    desk.say("run_task")
    desk.wait(1.0)
    assert {"tou_rtd_1", "task_is_running", "start_time"} <= {item.name for item in burst(first(desk.now))}
    assert port.handle(b"hello", desk.now) == b""
    desk.model.inject("telemetry", {"ok": False}, desk.now)
    desk.wait(5.0)
    assert first(desk.now) == b""


def test_two_of_the_same_seed_read_the_same() -> None:
    readings = []
    for _ in range(2):
        desk = Desk(seed=3)
        desk.say("run_task")
        desk.wait(30)
        readings.append(desk.say("get_tm_all"))
    assert readings[0] == readings[1]
    other = Desk(seed=4)
    other.say("run_task")
    other.wait(30)
    assert other.say("get_tm_all") != readings[0]
