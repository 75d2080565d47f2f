"""The shift logbook: entries of several people, none of them changed, damage named."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from egse.cli import main
from egse.clock import VirtualClock
from egse.report.logbook import LOGBOOK, Logbook, LogbookError


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "CSL1"
    (folder / "obs").mkdir(parents=True)
    return folder


def test_entries_come_back_as_they_were_made(site: Path) -> None:
    clock = VirtualClock()
    book = Logbook(site, clock)
    book.add("Pumps on.\nSecond line", by="Ann", kind="shift")
    clock.advance(3600.0)
    book.add("Shutter stuck", kind="problem", obsid="CSL1_00084_00001")
    first, second = Logbook(site).entries()
    assert (first.number, first.by, first.text) == (1, "Ann", "Pumps on.\nSecond line")
    assert second.by == second.origin.partition("@")[0]  # the account, where nobody is named
    assert [one.number for one in book.entries(since=clock.now())] == [2]
    assert [one.number for one in book.entries(until=clock.now())] == [1]
    assert str(second).endswith("[problem CSL1_00084_00001]: Shutter stuck")


@pytest.mark.parametrize(("text", "kind"), [("  ", "note"), ("x" * 20_001, "note"), ("fine", "gossip")])
def test_what_is_no_entry(site: Path, text: str, kind: str) -> None:
    with pytest.raises(LogbookError):
        Logbook(site).add(text, kind=kind)
    assert Logbook(site).entries() == []


def test_many_writers_at_once_lose_nothing(site: Path) -> None:
    code = "import sys; from pathlib import Path; from egse.report.logbook import Logbook\n"
    code += "for n in range(10): Logbook(Path(sys.argv[1])).add(f'{sys.argv[2]} {n}')"

    def write(who: int) -> None:
        subprocess.run([sys.executable, "-c", code, str(site), str(who)], check=True, timeout=120)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    book = Logbook(site)
    assert [one.number for one in book.entries()] == list(range(1, 31))
    assert {one.text for one in book.entries()} == {f"{who} {n}" for who in range(3) for n in range(10)}
    assert book.problems() == []


def test_an_altered_or_removed_entry_shows(site: Path) -> None:
    book = Logbook(site)
    for text in ("one", "two", "three"):
        book.add(text)
    path = site / LOGBOOK
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"two", b"owt") + lines[2])
    assert [one.text for one in book.entries()] == ["one", "three"]
    assert "line 2" in book.problems()[0]
    path.write_bytes(lines[0] + lines[2])
    assert "line 2" in book.problems()[0]


def test_a_torn_last_line_does_not_take_the_next_entry_along(site: Path) -> None:
    book = Logbook(site)
    book.add("one")
    with (site / LOGBOOK).open("ab") as file:
        file.write(b'{"number":2,"ti')
    book.add("two")
    assert [one.text for one in book.entries()] == ["one", "two"]
    assert book.problems() == []


def test_on_the_command_line(site: Path) -> None:
    run = CliRunner()
    added = run.invoke(
        main,
        ["logbook", "add", "Door", "opened", "--by", "Bob", "--kind", "problem", "--data-dir", str(site)],
    )
    assert added.exit_code == 0, added.output
    run.invoke(main, ["logbook", "add", "--data-dir", str(site)], input="from a pipe\n")
    shown = run.invoke(main, ["logbook", "show", "--since", "1h", "--data-dir", str(site)])
    assert next(line.split("  ", 1)[1] for line in shown.output.splitlines()) == "Bob [problem]: Door opened"
    assert "from a pipe" in shown.output
    (site / LOGBOOK).write_bytes(b"x\n" + (site / LOGBOOK).read_bytes())
    damaged = run.invoke(main, ["logbook", "show", "--data-dir", str(site)])
    assert damaged.exit_code == 1
    assert "damaged" in damaged.output
