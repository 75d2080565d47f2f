"""`cgse tm check|show|list` as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from egse.cli import main
from egse.tmdict import TEMPLATE


def cgse(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["tm", *arguments])


def test_check_of_a_clean_file() -> None:
    for arguments in ((), (str(TEMPLATE),)):  # without a site it is the dictionary of the package
        done = cgse("check", *arguments)
        assert done.exit_code == 0, done.output
        assert f"{TEMPLATE}: " in done.output
        assert "nothing to complain about" in done.output


def test_check_names_file_and_line_and_ends_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "tm-dictionary-brigand.csv"
    text = TEMPLATE.read_text(encoding="utf-8")
    lines = text.replace("CM_SITE_ID", "SITE_ID").replace("GOGSE_ATT_LVL;att_factor", "GOGSE_ATT_LVL;lamp")
    path.write_text(lines, encoding="utf-8")
    done = cgse("check", str(path))
    assert done.exit_code == 1
    assert f"{path}:2: prefix: SITE_ID of CM must begin with CM_" in done.output
    assert f"2 finding(s) in {path}: 1 prefix, 1 duplicate" in done.output
    done = cgse("check", str(path), "--ignore", "prefix", "--ignore", "duplicate")
    assert done.exit_code == 0
    done = cgse("check", str(tmp_path / "missing.csv"))
    assert done.exit_code == 1
    assert "cannot be read" in done.output


def test_show() -> None:
    done = cgse("show", "GSYN_TRP1")
    assert done.exit_code == 0
    lines = [line.strip() for line in done.output.splitlines()]
    assert lines[0] == "GSYN_TRP1"
    assert "unit             DegCelsius" in lines
    assert "origin at SRON   GSRON_LSCI336_TEMPA" in lines
    assert "non-operational  -200 .. 100" in lines
    assert cgse("show", "att_factor", "--file", str(TEMPLATE)).output.startswith("GOGSE_ATT_LVL\n")
    done = cgse("show", "GOGSE_ATT_LVLL")
    assert done.exit_code == 1
    assert "did you mean 'GOGSE_ATT_LVL'" in done.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "SYN-HK"),
        (("--mnemonic", "OGSE"), "GOGSE_PM_CH1_PWR Watts Measured power, channel 1 (source)"),
        (("--filter", "trp1"), "GSYN_TRP1"),
    ],
)
def test_list(arguments: tuple[str, ...], expected: str) -> None:
    done = cgse("list", *arguments)
    assert done.exit_code == 0
    assert expected in " ".join(done.output.split())


def test_list_of_an_unknown_producer() -> None:
    done = cgse("list", "--mnemonic", "OGSEE")
    assert done.exit_code == 1
    assert "did you mean 'OGSE'" in done.output
