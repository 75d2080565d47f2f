"""Definitions of limits, and how values are judged by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from egse.monitor.alarms import Alarm, Condition
from egse.monitor.expression import Expression, ExpressionError, UnknownValueError
from egse.monitor.limits import Evaluator, LimitDefinitionError, read_definitions, require_definitions
from egse.setup import Setup
from egse.tmdict import Limits, Parameter, TMDictionary, template_dictionary

DICTIONARY = TMDictionary(
    [
        Parameter("TEMP", "DEV", unit="degC", ops=Limits(-10.0, 30.0), nonops=Limits(-20.0, 50.0)),
        Parameter("OTHER", "DEV", unit="V"),
        Parameter("POWER", "DEV"),
        Parameter("MODE", "DEV"),
    ],
    "test dictionary",
)


def setup_of(limits: str, tmp_path: Path | None = None) -> Setup:
    text = "Setup:\n  monitor:\n    limits:\n" + "".join(f"      {line}\n" for line in limits.splitlines())
    if tmp_path is None:
        return Setup.from_yaml_string(text)
    path = tmp_path / "SETUP_LAB_00001_260101_000000.yaml"
    path.write_text(text)
    return Setup.from_yaml_file(path)


def evaluator(limits: str = "{}") -> Evaluator:
    return Evaluator(require_definitions(setup_of(limits) if limits != "{}" else None, DICTIONARY))


def levels(watching: Evaluator, name: str, values: list[Any], start: float = 0.0) -> list[str | None]:
    """Returns what is told of values that come once a second; None where nothing is."""
    found = []
    for second, value in enumerate(values):
        conditions = watching.take("dev_cs", {name: value}, start + second)
        found.append(conditions[0].priority if conditions else None)
    return found


# -- expressions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("A + 2 * B - 1", 4.0),
        ("0 < A <= 1.5 and not B > 7", True),
        ("state == 'RUNNING' and mode in ('DUMP', 'ON')", True),
        ("A > 5 or B == 2", True),
        ("max(A, B) - min(A, B) if A else 0", 1),
        ("abs(-A) + sqrt(4) + mean(A, 3) + spread(1, 5)", 9),
        ("B ** 10 % 1000", 24),
        ("GONE > 1 or A == 1", True),
        ("GONE > 1 and A == 2", False),
        ("B & 2", 2),
    ],
)
def test_an_expression_is_evaluated(text: str, result: object) -> None:
    assert Expression(text)({"A": 1, "B": 2, "state": "RUNNING", "mode": "ON", "GONE": None}) == result


@pytest.mark.parametrize(
    "text", ["GONE + 1", "A / 0", "GONE > 1 or A == 2", "A < 'x'", "9.0 ** 9999", "sqrt(-A)"]
)
def test_what_is_not_known_makes_the_result_unknown(text: str) -> None:
    with pytest.raises(UnknownValueError):
        Expression(text)({"A": 1.0, "GONE": None})


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "A.__class__",
        "(lambda: 1)()",
        "[x for x in A]",
        "A[0]",
        "f'{A}'",
        "open('x')",
        "A := 1",
        "A; B",
        "max(*A)",
        "abs(1, 2)",
        "A in 'text'",
        "'a' if A",
        "b'x'",
        "~A",
        "A << 99999",
        "",
        " + ".join(["A"] * 300),
        "A" * 2000,
        "(" * 300 + "A" + ")" * 300,
    ],
)
def test_nothing_else_is_allowed(text: str) -> None:
    with pytest.raises(ExpressionError):
        Expression(text)


# -- judging ------------------------------------------------------------------------------------------------------------


def test_out_of_ops_is_a_warning_and_out_of_nonops_an_alarm() -> None:
    watching = evaluator()
    found = levels(watching, "TEMP", [20.0, 30.0, 30.1, 51, 40.0, 29.0, 28.0, -20.5])
    assert found == ["", None, "warning", "alarm", "warning", "", None, "alarm"], (
        "the first one ends older alarms"
    )
    (condition,) = watching.take("dev_cs", {"TEMP": 60.0, "UNKNOWN": 3, "OTHER": "text"}, 10.0)
    assert (condition.limit, condition.unit, condition.source) == ("above 50 degC (alarm)", "degC", "dev_cs")
    assert "cgse alarm ack TEMP" in condition.action


@pytest.mark.parametrize("value", [None, float("nan"), "text", True])
def test_what_is_no_number_is_not_judged_by_ranges(value: object) -> None:
    watching = evaluator()
    watching.take("dev_cs", {"TEMP": 1.0}, 0.0)
    assert watching.take("dev_cs", {"TEMP": value}, 1.0) == []


def test_a_limit_with_hysteresis_is_left_only_well_within() -> None:
    watching = evaluator("TEMP: {hysteresis: 2}")
    assert levels(watching, "TEMP", [29.9, 30.1, 29, 28.1, 27.9, 29.5]) == ["", *["warning"] * 3, "", None]


def test_so_many_of_the_last_samples_must_be_bad() -> None:
    watching = evaluator("TEMP: {persistence: [2, 3]}")
    assert levels(watching, "TEMP", [1, 40, 1, 1, 40, 1, 40, 1, 1]) == [
        "", None, None, None, None, None, "warning", "", None,
    ]  # fmt: skip
    watching = evaluator("TEMP: {persistence: 3}")
    assert levels(watching, "TEMP", [40, 40, 60, 40]) == [None, None, "warning", "warning"]


def test_a_value_that_changes_too_fast_or_not_at_all_is_told() -> None:
    watching = evaluator("OTHER: {rate: {warning: 2, alarm: 4, over: 3, direction: up}}")
    assert levels(watching, "OTHER", [0, 1, 2, 3, 8, 8, 0, 8]) == [
        "",
        None,
        None,
        "warning",
        "alarm",
        "alarm",
        "",
        "alarm",
    ]
    watching = evaluator("OTHER: {stuck: {seconds: 2, priority: alarm}}")
    assert levels(watching, "OTHER", [5, 5, 5, 5, 6, 6]) == ["", None, None, "alarm", "", None]


def test_a_value_that_is_not_renewed_is_stale_unless_its_server_is_gone() -> None:
    watching = evaluator("OTHER: {stale: 10}")
    assert watching.look(100.0) == [], "never seen"
    watching.take("dev_cs", {"OTHER": 1}, 100.0)
    assert watching.look(110.0) == []
    watching.take("dev_cs", {"OTHER": None}, 111.0)
    assert watching.look(111.0, lambda source: source != "dev_cs") == []
    (condition,) = watching.look(111.0)
    assert (condition.priority, condition.limit) == ("warning", "not renewed for 11 s")
    assert watching.look(112.0) == []
    assert [c.priority for c in watching.take("dev_cs", {"OTHER": 1}, 113.0)] == [""]


def test_a_value_means_nothing_while_its_condition_does_not_hold() -> None:
    watching = evaluator('TEMP: {valid_when: "POWER == 1"}')
    assert watching.take("dev_cs", {"TEMP": 99.0}, 0.0) == [], "not known whether it is valid"
    assert [c.priority for c in watching.take("dev_cs", {"TEMP": 99.0, "POWER": 0}, 1.0)] == [""]
    assert [c.priority for c in watching.take("dev_cs", {"POWER": 1, "TEMP": 99.0}, 2.0)] == ["alarm"]
    assert [c.priority for c in watching.take("dev_cs", {"POWER": 0, "TEMP": 99.0}, 3.0)] == [""]


def test_only_some_values_may_be_allowed() -> None:
    watching = evaluator("MODE: {allowed: [DUMP, STANDBY], priority: critical}")
    assert levels(watching, "MODE", ["DUMP", "BROKEN", "STANDBY"]) == ["", "critical", ""]


def test_expressions_over_several_parameters_are_judged_when_one_of_them_comes() -> None:
    watching = evaluator(
        'SUM: {expression: "TEMP + OTHER", unit: V, warning: [null, 10]}\n'
        'BOTH: {condition: "TEMP > 5 and POWER == 0", priority: critical, cause: no power, action: switch it on}'
    )
    assert [c.name for c in watching.take("a_cs", {"TEMP": 6}, 0.0)] == ["TEMP"]
    assert [(c.name, c.priority) for c in watching.take("b_cs", {"OTHER": 5.0}, 1.0)] == [("SUM", "warning")]
    (condition,) = watching.take("b_cs", {"POWER": 0}, 2.0)
    assert condition == Condition(
        name="BOTH", priority="critical", value=True, limit="TEMP > 5 and POWER == 0", cause="no power",
        action="switch it on", source="b_cs",
    )  # fmt: skip
    watching.forget("a_cs")
    assert watching.take("b_cs", {"POWER": 0, "OTHER": 99.0}, 3.0) == [], (
        "TEMP of a server that is gone is not known"
    )


def test_other_limits_count_in_other_circumstances_at_once() -> None:
    watching = evaluator(
        "TEMP: {warning: [-10, 30], when: [{phase: cold, warning: [-10, 0]}, {state: [SAFE, IDLE], monitored: false}]}"
    )
    watching.take("dev_cs", {"TEMP": 20.0}, 0.0)
    assert [c.priority for c in watching.set_context({"state": "RUNNING", "phase": "cold"})] == ["warning"]
    assert watching.set_context({"state": "RUNNING", "phase": "cold"}) == []
    assert [c.priority for c in watching.set_context({"state": "SAFE", "phase": "warm"})] == [""]
    assert watching.take("dev_cs", {"TEMP": 99.0}, 4.0) == []
    assert [c.priority for c in watching.set_context({"state": "INITIALIZED"})] == ["alarm"]


def test_the_phase_is_told_by_the_setup() -> None:
    setup = Setup.from_yaml_string(
        'Setup:\n  monitor:\n    phases: {cold: "TEMP < -60", warm: "TEMP > 10"}\n'
    )
    watching = Evaluator(require_definitions(setup, DICTIONARY))
    assert watching.phase() == ""
    for value, phase in ((-70.0, "cold"), (0.0, "transition"), (20.0, "warm")):
        watching.take("dev_cs", {"TEMP": value}, 0.0)
        assert watching.phase() == phase


def test_another_setup_judges_the_newest_values_by_its_own_limits() -> None:
    former = evaluator()
    former.take("dev_cs", {"TEMP": 20.0}, 0.0)
    newer = evaluator("TEMP: {warning: [-10, 10]}")
    assert [c.priority for c in newer.carry_over(former)] == ["warning"]


# -- definitions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "line", "problem"),
    [
        ("TEMP: {warning: [30, -10]}", 4, "TEMP.warning: the low limit 30 is above the high limit -10"),
        ("TEMP:\n  hysteresis: 1\n  alarm: [0]", 6, "TEMP.alarm: a range is needed"),
        ("TEMP: {alarm: [0, 10]}", 4, "the range of `alarm` [0, 10] does not contain that of `warning` [-10, 30]"),
        ("TEMP: {alarm: [x, 10]}", 4, "a number is needed, not 'x'"),
        ("TEMP: {alarm: [null, null]}", 4, "at least one limit"),
        ("TEMP: {wraning: [0, 10]}", 4, "there is no such key (there are: nominal, warning"),
        ("TEMP: {nominal: [0, 1], warning: [0, 1]}", 4, "the same range"),
        ("TEMP: {hysteresis: 30}", 4, "TEMP.hysteresis: 30 is too much"),
        ("TEMP: {persistence: [3, 2]}", 4, "TEMP.persistence: N or [N, M]"),
        ("TEMP: {rate: 5}", 4, "TEMP.rate: {alarm: 5, over: 60"),
        ("TEMP: {rate: {alarm: 1, direction: left}}", 4, "the direction 'left' is none of"),
        ("TEMP: {stuck: {seconds: 5, priority: bad}}", 4, "'bad' is none of warning, alarm, critical"),
        ("TEMP: {stale: -1}", 4, "-1 is less than 0"),
        ("TEMP: {allowed: []}", 4, "a list of values is needed"),
        ("TEMP: {latch: 1}", 4, "true or false is needed"),
        ("TEMP: {valid_when: \"POWR == 1\"}", 4, "no parameter 'POWR', did you mean 'POWER'"),
        ("TEMP: {valid_when: \"import os\"}", 4, "is no expression"),
        ("TEMP: {when: [{state: RUNING, alarm: [0, 1]}]}", 4, "'RUNING' is none of INITIALIZED, IDLE, SAFE, RUNNING"),
        ("TEMP: {when: [{alarm: [0, 1]}]}", 4, "say when"),
        ("TEMP: {when: {state: SAFE}}", 4, "a list is needed"),
        ("TEMP: 5", 4, "a mapping with limits is needed, not 5"),
        ("TMEP: {alarm: [0, 1]}", 4, "no parameter 'TMEP', did you mean 'TEMP'"),
        ("SUM: {expression: \"1 + 1\", alarm: [0, 1]}", 4, "has no parameter in it"),
        ("SUM: {expression: \"TEMP\", condition: \"TEMP > 1\"}", 4, "either an expression or a condition"),
        ("BOTH: {condition: \"TEMP > 1\", alarm: [0, 1]}", 4, "a condition has no limits"),
        ("TEMP: {expression: \"OTHER\"}", 4, "TEMP is a parameter; give the rule another name"),
    ],
)  # fmt: skip
def test_a_bad_definition_is_refused_with_file_line_and_parameter(
    entry: str, line: int, problem: str, tmp_path: Path
) -> None:
    setup = setup_of(entry, tmp_path)
    name = entry.partition(":")[0]
    with pytest.raises(LimitDefinitionError) as refused:
        require_definitions(setup, DICTIONARY)
    text = str(refused.value)
    assert text.startswith(
        f"{tmp_path}/SETUP_LAB_00001_260101_000000.yaml, line {line}, monitor.limits.{name}"
    ), text
    assert problem in text, text
    found = read_definitions(setup, DICTIONARY)
    if name == "TEMP":
        assert found.by_name["TEMP"].checks.ranges == (
            ("alarm", Limits(-20, 50)),
            ("warning", Limits(-10, 30)),
        )


def test_a_bad_definition_in_a_file_that_the_setup_names_is_found_there(tmp_path: Path) -> None:
    (tmp_path / "limits.yaml").write_text("TEMP:\n  warning: [0, 1]\n  stale: soon\n")
    path = tmp_path / "SETUP_LAB_00001_260101_000000.yaml"
    path.write_text("Setup:\n  monitor:\n    limits: yaml//limits.yaml\n")
    problems = read_definitions(Setup.from_yaml_file(path), DICTIONARY).problems
    assert len(problems) == 1
    assert problems[0].startswith(f"{tmp_path}/limits.yaml, line 3, monitor.limits.TEMP.stale: a number"), (
        problems
    )


def test_the_dictionary_and_the_defaults_of_this_package_are_in_order() -> None:
    found = require_definitions(None, template_dictionary())
    assert found.by_name["SM_DISK_PERCENT"].checks.ranges == (
        ("alarm", Limits(0.0, 100.0)),
        ("warning", Limits(0.0, 80.0)),
    )
    assert "PM_CRASHED" not in found.by_name
    assert len(found.by_name) > 150


# -- what was bad stays bad until samples tell otherwise -------------------------------------------------------------

PERSISTENT = "{OTHER: {alarm: [0, 10], persistence: [3, 3], when: [{state: RUNNING, critical: [0, 100]}]}}"


def raised(limits: str, name: str, value: Any, rows: int = 3) -> Evaluator:
    watching = evaluator(limits)
    for second in range(rows):
        watching.take("dev_cs", {name: value}, float(second))
    assert watching.watches[name].level > 0
    return watching


def test_other_circumstances_do_not_clear_what_is_still_bad() -> None:
    watching = raised(PERSISTENT, "OTHER", 50.0)
    for state in ("RUNNING", "IDLE", "RUNNING"):
        assert [c.priority for c in watching.set_context({"state": state})] == ["alarm"]
        assert levels(watching, "OTHER", [50.0], start=10.0) == ["alarm"]
    assert levels(watching, "OTHER", [5.0, 5.0], start=20.0)[0] == ""


def test_another_setup_does_not_clear_what_is_still_bad() -> None:
    newer = evaluator(PERSISTENT)
    assert [c.priority for c in newer.carry_over(raised(PERSISTENT, "OTHER", 50.0))] == ["alarm"]
    assert levels(newer, "OTHER", [50.0], start=10.0) == ["alarm"]
    stuck = "{OTHER: {stuck: {seconds: 600, priority: warning}}}"
    former = evaluator(stuck)
    assert levels(former, "OTHER", [1.0], start=0.0) + levels(former, "OTHER", [1.0], start=601.0) == [
        "",
        "warning",
    ]
    newer = evaluator(stuck)
    assert [c.priority for c in newer.carry_over(former)] == ["warning"]
    assert levels(newer, "OTHER", [1.0], start=602.0) == ["warning"]


def test_a_new_life_of_the_monitor_does_not_clear_what_is_still_bad() -> None:
    watching = evaluator(PERSISTENT)
    watching.seed(
        [Alarm(name="OTHER", number=1, raised=0.0, last_raised=0.0, priority="alarm", level="alarm")]
    )
    assert levels(watching, "OTHER", [50.0, 50.0, 50.0]) == [None, None, "alarm"]
    watching = evaluator("{OTHER: {warning: [0, 35], hysteresis: 0.5}}")
    limit = "above 35 (warning)"
    watching.seed(
        [
            Alarm(
                name="OTHER",
                number=1,
                raised=0.0,
                last_raised=0.0,
                priority="warning",
                level="warning",
                limit=limit,
            )
        ]
    )
    assert levels(watching, "OTHER", [34.8, 34.4]) == ["warning", ""]


def test_a_server_that_comes_back_with_too_few_samples_clears_nothing() -> None:
    watching = raised(PERSISTENT, "OTHER", 50.0)
    watching.forget("dev_cs")
    assert levels(watching, "OTHER", [50.0, 50.0, 50.0], start=100.0) == [None, None, "alarm"]


def test_other_circumstances_do_not_renew_a_value() -> None:
    watching = evaluator("{OTHER: {stale: 60, when: [{state: RUNNING, warning: [0, 10]}]}}")
    watching.take("dev_cs", {"OTHER": 5.0}, 0.0)
    for time in range(50, 600, 50):
        watching.set_context({"state": "RUNNING" if time % 100 else "IDLE"})
        if found := watching.look(float(time)):
            break
    assert [c.limit for c in found] == ["not renewed for 100 s"]
    assert watching.set_context({"state": "SAFE"}) == [], "it stays stale"


def test_what_means_nothing_is_not_stale() -> None:
    limits = "{OTHER: {stale: 60, valid_when: 'POWER > 30', when: [{state: SAFE, monitored: false}]}}"
    watching = evaluator(limits)
    watching.take("dev_cs", {"POWER": 0.0, "OTHER": 5.0}, 0.0)
    assert watching.look(100.0) == []
    watching.take("dev_cs", {"POWER": 40.0}, 100.0)
    watching.set_context({"state": "SAFE"})
    assert watching.look(101.0) == []
    watching.set_context({"state": "IDLE"})
    assert [c.name for c in watching.look(102.0)] == ["OTHER"]


def test_what_a_server_has_told_before_it_has_gone_is_not_used() -> None:
    watching = evaluator("{BAD: {condition: 'TEMP > 20 and POWER < 1', priority: critical}}")
    watching.take("aeu_cs", {"POWER": 0.0}, 0.0)
    watching.forget("aeu_cs")
    assert watching.take("dev_cs", {"TEMP": 25.0}, 3600.0)[1:] == [], "only TEMP itself is judged"


def test_a_rate_is_judged_also_when_rows_come_more_seldom_than_its_time() -> None:
    slow = evaluator("{OTHER: {rate: {alarm: 50, over: 60}}}")
    assert [[c.priority for c in slow.take("dev_cs", {"OTHER": 100.0 * n}, 60.01 * n)] for n in range(3)] == [
        [""],
        ["alarm"],
        ["alarm"],
    ]
    gap = evaluator("{OTHER: {rate: {alarm: 50, over: 60}}}")
    gap.take("dev_cs", {"OTHER": 0.0}, 0.0)
    assert gap.take("dev_cs", {"OTHER": 100.0}, 7200.0) == [], "a change of 100 in two hours"


def test_a_text_that_does_not_change_is_stuck_too() -> None:
    watching = evaluator("{OTHER: {stuck: {seconds: 60, priority: warning}}}")
    assert levels(watching, "OTHER", ["ON"]) + levels(watching, "OTHER", ["ON"], start=61.0) == [
        "",
        "warning",
    ]


def test_hysteresis_holds_only_what_was_out_of_its_range() -> None:
    watching = evaluator("{OTHER: {warning: [0, 35], hysteresis: 0.5, rate: {alarm: 5, over: 10}}}")
    assert levels(watching, "OTHER", [20.0, 34.8]) == ["", "alarm"]
    assert levels(watching, "OTHER", [34.8], start=100.0) == [""]
