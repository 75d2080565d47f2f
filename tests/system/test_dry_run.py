"""A dry run talks to nobody, and commands what a real run commands."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from egse.site.layout import SiteLayout, merged_environment

pytestmark = pytest.mark.system

PROCEDURE = Path(__file__).resolve().parents[2] / "procedures" / "short_functional_test.ipynb"
OPTIONS = ("-p", "num_cycles", "2", "-p", "row_end", "99")
QUERY = re.compile(r"(n_fee_)?(get|is)_|att_get_")


class Ears:
    """Listens on ports and notices whoever connects."""

    def __init__(self, ports: list[int]) -> None:
        self._stack = ExitStack()
        self._sockets = []
        for port in ports:
            listener = self._stack.enter_context(socket.create_server(("127.0.0.1", port)))
            listener.setblocking(False)
            self._sockets.append(listener)

    def heard(self) -> list[int]:
        """Returns the ports to which somebody connected."""
        found = []
        for listener in self._sockets:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                continue
            found.append(listener.getsockname()[1])
        return found

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def listen() -> Iterator[Callable[[list[int]], Ears]]:
    ears: list[Ears] = []

    def make(ports: list[int]) -> Ears:
        ears.append(Ears(ports))
        return ears[-1]

    yield make
    for each in ears:
        each.close()


def ports_of(settings: Path) -> dict[str, list[int]]:
    """Returns the ports of a site by block of its settings."""
    content = yaml.safe_load(settings.read_text())
    return {
        block: [value for key, value in values.items() if key.endswith("PORT")]
        for block, values in content.items()
        if isinstance(values, dict)
    }


def state_changing(commands: list[tuple[str, str, str, dict[str, Any]]]) -> list[Any]:
    return [command for command in commands if not QUERY.match(command[1])]


def flattened(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        yield entry
        yield from flattened(entry.get("children", []))


def dry_commands(path: Path) -> list[tuple[str, str, str, dict[str, Any]]]:
    return [
        (entry["device"], entry["name"], entry.get("block", ""), entry.get("arguments", {}))
        for entry in flattened(json.loads(path.read_text())["entries"])
        if entry["kind"] == "command"
    ]


def test_nothing_runs_and_nobody_is_asked(
    site: SiteLayout,
    tmp_path: Path,
    main_run: Any,
    make_shell: Callable[..., Any],
    listen: Callable[[list[int]], Ears],
) -> None:
    (setup,) = site.conf.glob("SETUP_*.yaml")
    setup = setup.rename(tmp_path / setup.name)
    ears = listen([port for ports in ports_of(site.settings).values() for port in ports])
    before = sorted(path for path in site.data.rglob("*"))
    shell = make_shell(merged_environment(site.environment), tmp_path)

    code, output = shell.run(
        "camtest", "dry-run", PROCEDURE, *OPTIONS, "--setup", setup, "--export", "sequence.json"
    )

    assert code == 0, output
    assert ears.heard() == []
    assert sorted(path for path in site.data.rglob("*")) == before, "nothing is written into the archive"
    check_what_is_shown(output)
    check_sequence(json.loads((tmp_path / "sequence.json").read_text()))
    as_run = [
        (command["server"], command["command"], command["block"], command["args"])
        for command in main_run.record.lines("commands.jsonl")
    ]
    assert state_changing(dry_commands(tmp_path / "sequence.json")) == state_changing(as_run)


@pytest.mark.campaign
@pytest.mark.parametrize("procedure", sorted(PROCEDURE.parent.glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_procedure_asks_anybody(
    procedure: Path,
    site: SiteLayout,
    tmp_path: Path,
    make_shell: Callable[..., Any],
    listen: Callable[[list[int]], Ears],
) -> None:
    """With the parameters that stand in the notebook, where it has them; prints how long it took."""
    (setup,) = site.conf.glob("SETUP_*.yaml")
    setup = setup.rename(tmp_path / setup.name)
    ears = listen([port for ports in ports_of(site.settings).values() for port in ports])
    before = sorted(path for path in site.data.rglob("*"))
    shell = make_shell(merged_environment(site.environment), tmp_path)
    began = time.monotonic()
    temperature = {"temperature_plateau": "25", "trp_plateau": "-70"}.get(procedure.stem)
    options = ["-p", "temperature", temperature] if temperature else []
    code, output = shell.run(
        "camtest", "dry-run", procedure, *options, "--setup", setup, "--export", "sequence.json"
    )
    wall = time.monotonic() - began
    assert code == 0, output
    sequence = json.loads((tmp_path / "sequence.json").read_text())
    print(f"  {procedure.stem:<24} {sequence['duration']:9.1f} s of virtual time in {wall:5.2f} s")
    assert sequence["mode"] == "dry-run"
    assert ears.heard() == []
    assert sorted(path for path in site.data.rglob("*")) == before


def check_what_is_shown(output: str) -> None:
    """Every command with its arguments below its building block, in order."""
    shown = [line for line in output.splitlines() if "──" in line]
    calls = [re.sub(r"^[│├└─ ]+[\d.]+ s  ", "", line).partition("  ->")[0].strip() for line in shown]
    wanted = [
        "n_fee_to_standby_mode()",
        "dpu_cs.n_fee_set_standby_mode()",
        "n_fee_to_dump_mode()",
        "dpu_cs.n_fee_set_dump_mode()",
        "ogse_swon()",
        "ogse_cs.att_set_level_index(index=0)",
        "ogse_cs.power_on()",
        "ogse_cs.operate_on()",
        "set_attenuation(factor=0.1)",
        "ogse_cs.att_set_level_factor(factor=0.1)",
        "n_cam_acquire_and_dump(num_cycles=2, row_start=0, row_end=99, rows_final_dump=0, "
        "ccd_order=[1, 2, 3, 4], ccd_side='BOTH')",
        "dpu_cs.n_fee_set_full_image_mode(num_cycles=2, row_start=0, row_end=99, rows_final_dump=0, "
        "ccd_order=[1, 2, 3, 4], ccd_side='BOTH')",
        "ogse_swoff()",
        "ogse_cs.att_set_level_index(index=0)",
        "ogse_cs.operate_off()",
        "ogse_cs.power_off()",
    ]
    assert [call for call in calls if not QUERY.match(call.rpartition("_cs.")[2])] == wanted


def check_sequence(sequence: dict[str, Any]) -> None:
    assert (sequence["mode"], sequence["setup_id"], sequence["site"]) == ("dry-run", "00001", "LAB")
    entries = list(flattened(sequence["entries"]))
    starts = [entry["start"] for entry in entries]
    assert starts == sorted(starts)
    assert sequence["duration"] > 2 * 25.0, "two cycles at the true cycle time, on virtual time"
    assert {entry.get("source", "") for entry in entries if entry["kind"] == "command"} == {
        f"model of {name}" for name in ("dpu_cs", "ogse_cs", "lsci336_cs")
    }


def test_with_core_services_only(
    site: SiteLayout,
    tmp_path: Path,
    make_shell: Callable[..., Any],
    listen: Callable[[list[int]], Ears],
) -> None:
    """The core services of a site, started and stopped by the tasks of the manual, tell the Setup; devices are down."""
    core = {"Logging", "Configuration", "Storage", "Process", "Synoptics", "Watchdog", "Limit", "Reaction"}
    ports = ports_of(site.settings)
    shell = make_shell(merged_environment(site.environment), tmp_path)
    tasks = ("--search-root", PROCEDURE.parents[1])
    started = shell.start("invoke", *tasks, "start-core-egse")
    assert started.wait(30) == 0, started.communicate()
    status = shell.start("invoke", *tasks, "status-core-egse").communicate(timeout=30)[0]
    assert [line.split()[:2] for line in status.splitlines() if "_cs " in line] == [
        [name, "running"]
        for name in ("log_cs", "sm_cs", "cm_cs", "pm_cs", "syn_cs", "wd_cs", "mon_cs", "fdir_cs")
    ]

    # The process manager looks after the device servers all the time; without it nobody but a dry run could call them.
    # The limit monitor listens for all of them.
    for looking in ("pm_cs", "mon_cs"):
        stopped = shell.start(looking, "stop")
        assert stopped.wait(30) == 0, stopped.communicate()
    ears = listen([port for block in ports if block.split()[0] not in core for port in ports[block]])
    dry_run = shell.start("camtest", "dry-run", PROCEDURE, *OPTIONS)
    output = dry_run.communicate(timeout=60)[0]

    assert dry_run.returncode == 0, output
    check_what_is_shown(output)
    assert ears.heard() == []
    assert not list(site.data.glob("obs/*"))
    obsids = site.data / "obsid-table.txt"
    assert not obsids.exists() or obsids.read_text() == ""
    code, output = shell.run("invoke", *tasks, "stop-core-egse")
    assert code == 0, output
    assert "log_cs" in output
