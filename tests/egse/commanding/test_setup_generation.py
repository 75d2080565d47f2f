"""Commands carry the Setup that they were issued under; those that need it are refused under another one."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.command import commands_of
from egse.context import follow_setup, get_command_context
from egse.event import EVENT_ID, Event
from egse.journal import read_journal
from egse.proxy import ServiceProxy
from egse.settings import Settings
from egse.setup import Setup, SetupError, get_setup, load_setup, submit_setup
from egse.setup.stamp import SetupStamp, issue_commands_under
from egse.setupwatch import OtherSetupError, SetupWatch
from egse.timing import wait_until

SETUP = "Setup:\n  gse:\n    lamp:\n      level: {}\n      steps: [1, 2]\n"


@pytest.fixture(autouse=True)
def _no_setup_afterwards() -> Iterator[None]:
    yield
    follow_setup(None)


def test_a_stamp_travels_as_text() -> None:
    setup = Setup.from_yaml_string(SETUP.format(1), "SETUP_LAB_00053_230407_091711.yaml")
    stamp = SetupStamp.of(setup)
    assert str(stamp) == f"00053@{setup.digest()[:8]}"
    assert SetupStamp.parse(str(stamp)) == stamp
    setup.gse.lamp.level = 2
    edited = SetupStamp.of(setup)
    assert str(edited) == f"00053@{setup.digest()[:8]}+edited"
    assert SetupStamp.parse(str(edited)) == edited
    assert SetupStamp.parse("00053") == SetupStamp("00053")
    assert [SetupStamp.parse(text) for text in ("", "53", "00053@xyz", "00053 ")] == [None] * 4


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("00053@aaaaaaaa", "00053@aaaaaaaa", True),
        ("00053@aaaaaaaa", "00053@bbbbbbbb", False),  # the file was edited by hand
        ("00053@aaaaaaaa", "00054@aaaaaaaa", False),
        (
            "00053@cccccccc+edited",
            "00053@aaaaaaaa",
            True,
        ),  # local edits show, and are the operator's business
        ("00053", "00053@aaaaaaaa", True),
    ],
)
def test_which_stamps_agree(one: str, other: str, same: bool) -> None:
    first, second = SetupStamp.parse(one), SetupStamp.parse(other)
    assert first is not None
    assert second is not None
    assert first.agrees_with(second) is same
    assert second.agrees_with(first) is same


def test_local_edits_show_with_the_next_command() -> None:
    setup = Setup.from_yaml_string(SETUP.format(1), "SETUP_LAB_00053_230407_091711.yaml")
    issue_commands_under(setup)
    assert get_command_context().setup == str(SetupStamp.of(setup))
    setup.gse.lamp.level = 7
    assert get_command_context().setup.endswith("+edited")
    setup.gse.lamp.level = 1
    assert not get_command_context().setup.endswith("+edited")


class CM:
    """What a server asks; the test says what it answers."""

    def __init__(self) -> None:
        self.answer: Setup | Exception = SetupError("none is loaded")
        self.asked = 0

    def __call__(self) -> Setup:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def aim(module: Any) -> Any:
    return commands_of(module.BenchInterface)["aim"]


@pytest.fixture
def watched(proxy: Any) -> tuple[CM, SetupWatch, Any]:
    cm = CM()
    return cm, SetupWatch("bench_cs", cm), commands_of(type(proxy))["aim"]


def news(number: int, digest: str = "") -> Event:
    return Event(event_id=EVENT_ID.SETUP, context={"setup_id": number, "digest": digest}, number=1)


def test_nobody_is_refused_before_a_setup_is_known(watched: tuple[CM, SetupWatch, Any]) -> None:
    _, watch, command = watched
    watch.check(command, "00053@aaaaaaaa")
    watch.check(command, "")


def test_an_older_setup_is_refused_by_name(watched: tuple[CM, SetupWatch, Any]) -> None:
    cm, watch, command = watched
    cm.answer = ConnectionError("away")
    watch.note(news(54, "bbbbbbbb"))
    watch.check(command, "00054@bbbbbbbb")
    assert cm.asked == 0
    with pytest.raises(
        OtherSetupError, match=r"aim was issued under Setup 00053@aaaaaaaa, but Setup 00054@bbb.*load_setup"
    ):
        watch.check(command, "00053@aaaaaaaa")
    watch.check(command, "")  # a client without a Setup


def test_news_that_have_not_arrived_are_asked_for(watched: tuple[CM, SetupWatch, Any]) -> None:
    cm, watch, command = watched
    watch.note(news(54))
    cm.answer = Setup.from_yaml_string(SETUP.format(1), "SETUP_LAB_00055_230407_091711.yaml")
    watch.check(command, str(SetupStamp.of(cm.answer)))
    assert cm.asked == 1
    assert watch.loaded == SetupStamp.of(cm.answer)


# -- with real servers ------------------------------------------------------------------------------------------------


@pytest.fixture
def manager(
    bench_site: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[subprocess.Popen[str]]:
    """A configuration manager with Setups 52 and 53, neither loaded yet."""
    conf = bench_site / "conf/data/LAB/conf"
    conf.mkdir(parents=True)
    for number in (52, 53):
        (conf / f"SETUP_LAB_{number:05d}_230407_091711.yaml").write_text(SETUP.format(number))
    git = ["git", "-C", str(bench_site / "conf"), "-c", "user.name=t", "-c", "user.email=t@t"]
    for arguments in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-qm", "begin")):
        subprocess.run([*git, *arguments], check=True)
    monkeypatch.setenv("PLATO_CONF_DATA_LOCATION", str(conf))
    monkeypatch.setenv("PLATO_CONF_REPO_LOCATION", str(bench_site / "conf"))
    ports = free_ports(6)
    with (bench_site / "local.yaml").open("a") as settings:
        settings.write("  LISTENER_DELAY: 0.1\n")
        for block, three in (("Configuration Manager", ports[:3]), ("Storage", ports[3:])):
            keys = zip(("COMMANDING_PORT", "MONITORING_PORT", "SERVICE_PORT"), three, strict=True)
            settings.write(f"{block} Control Server:\n" + "".join(f"  {key}: {port}\n" for key, port in keys))
    text = (bench_site / "local.yaml").read_text()
    (bench_site / "local.yaml").write_text(
        text.replace("  LISTENER_DELAY: 0.1\n", "", 1).replace(
            "  MONITORING_DELAY: 0.1\n", "  MONITORING_DELAY: 0.1\n  LISTENER_DELAY: 0.1\n"
        )
    )
    Settings.load(force=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "egse.confman.cm_cs", "start"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ.copy(),
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("READY cm_cs")
    yield process
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    process.stdout.close()


def wait_for_listener() -> None:
    with ServiceProxy("Configuration Manager Control Server", timeout=5.0) as services:
        assert not wait_until(lambda: services.get_listener_names() == ["bench_cs"], timeout=10)


def test_a_command_under_the_former_setup_is_refused_and_the_journal_tells_all(
    manager: subprocess.Popen[str], server: Any, proxy: Any, bench_site: Path
) -> None:
    wait_for_listener()
    first = load_setup(52)
    assert proxy.aim(1) == 1
    second = load_setup(53)  # returns when bench_cs knows
    assert proxy.aim(2) == 2
    issue_commands_under(first)
    with pytest.raises(
        OtherSetupError, match=r"issued under Setup 00052@\w{8}, but Setup 00053@\w{8} is loaded"
    ):
        proxy.aim(3)
    assert proxy.add(1, 2) == 3  # what it means does not depend on the Setup
    second.gse.lamp.steps[0] = 9
    issue_commands_under(second)
    assert proxy.aim(4) == 4
    third = submit_setup(second, description="another first step")
    assert proxy.aim(5) == 5

    (path,) = (bench_site / "data/LAB/journal/bench_cs").glob("*.journal")
    begun = [r for r in read_journal(path) if r.event == "begin" and r.command in ("aim", "add")]
    assert [(record.command, record.context.setup.partition("@")[0]) for record in begun] == [
        ("aim", "00052"),
        ("aim", "00053"),
        ("add", "00052"),
        ("aim", "00053"),
        ("aim", "00054"),
    ]
    assert [record.context.setup.endswith("+edited") for record in begun] == [False] * 3 + [True, False]
    assert begun[-1].context.setup == str(SetupStamp.of(third))
    with proxy.get_service_proxy() as services:
        assert services.get_server_status()["setup_loaded"] == str(SetupStamp.of(get_setup()))
        recent = services.get_journal(last=2)
    assert [(record["event"], record.get("command", "")) for record in recent] == [
        ("begin", "aim"),
        ("end", ""),
    ]


def test_load_setup_names_servers_that_have_not_applied_it(
    manager: subprocess.Popen[str],
    server: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wait_for_listener()
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        with caplog.at_level(logging.WARNING):
            load_setup(52)
        (record,) = [record for record in caplog.records if "not applied yet" in record.getMessage()]
        assert record.getMessage() == (
            "Setup 00052 is loaded, but not applied yet by bench_cs (has not been reached yet)"
        )
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    with ServiceProxy("Configuration Manager Control Server", timeout=5.0) as services:
        assert not wait_until(lambda: services.get_event_states() == {"bench_cs": "applied"}, timeout=10)
    caplog.clear()
    load_setup(53)
    assert not [record for record in caplog.records if "not applied yet" in record.getMessage()]
