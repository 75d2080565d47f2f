"""The list of device commands that lands in an observation's folder."""

import itertools
import json
from pathlib import Path

from egse.context import CommandContext
from egse.journal import Journal
from egse.storage.commands import collect_commands

OBSID = "LAB_00001_00007"


def test_commands_of_one_observation_in_order_with_their_outcome(tmp_path: Path) -> None:
    clock = itertools.count(1_800_000_000.0)
    ogse = Journal(tmp_path / "journal" / "ogse_cs", "ogse_cs", "i1")
    dpu = Journal(tmp_path / "journal" / "dpu_cs", "dpu_cs", "i2")
    ogse.begin("a-1", "power_on", {}, CommandContext("me@here:1", "00001", OBSID, "ogse_swon"), next(clock))
    ogse.end("a-1", "done")
    dpu.begin(
        "a-2",
        "n_fee_set_dump_mode",
        {"x": 1},
        CommandContext("me@here:1", "00001", OBSID, "n_fee_to_dump_mode"),
        next(clock),
    )
    dpu.end("a-2", "failed", "FEEModeError: no")
    dpu.begin("a-3", "n_fee_set_on_mode", {}, CommandContext("me@here:1", "00001", OBSID, ""), next(clock))
    dpu.begin(
        "a-4", "get_num_cycles", {}, CommandContext("me@here:1", "00001", "LAB_00001_00008", ""), next(clock)
    )
    ogse.close()
    dpu.close()

    entries = [json.loads(line) for line in collect_commands(tmp_path, OBSID, "2026-01-01").splitlines()]

    assert [(e["server"], e["command"], e["status"]) for e in entries] == [
        ("ogse_cs", "power_on", "done"),
        ("dpu_cs", "n_fee_set_dump_mode", "failed"),
        ("dpu_cs", "n_fee_set_on_mode", "unknown"),
    ]
    assert entries[1]["error"] == "FEEModeError: no"
    assert entries[1]["args"] == {"x": 1}
    assert entries[0]["block"] == "ogse_swon"
    assert entries[2]["ended"] == ""
    assert collect_commands(tmp_path, OBSID, "2099-01-01") == b""
