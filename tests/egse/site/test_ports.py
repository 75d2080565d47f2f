"""Blocks of ports: claimed once, kept, given back with their folder."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from egse.site.ports import (
    FIRST_PORTS,
    PortClaimError,
    busy_ports,
    claim_block,
    release_block,
    runtime_folder,
)

CLAIM = """
import sys
from pathlib import Path
from egse.site.ports import claim_block
sys.stdin.readline()
for owner in sys.argv[2:]:
    print(claim_block(Path(owner), folder=Path(sys.argv[1])).first, flush=True)
"""


@pytest.fixture
def owners(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / f"owner{number}" for number in range(8)]
    for folder in folders:
        folder.mkdir()
    return folders


def test_a_block_stays_with_its_owner(tmp_path: Path, owners: list[Path]) -> None:
    first = claim_block(owners[0], folder=tmp_path)
    other = claim_block(owners[1], folder=tmp_path)

    assert claim_block(owners[0], folder=tmp_path) == first
    assert not set(first.ports) & set(other.ports)
    assert first.size == 100
    assert max(first.ports) < 32768


def test_processes_that_claim_at_once_get_different_blocks(tmp_path: Path, owners: list[Path]) -> None:
    halves = (owners[:4], owners[4:])
    command = [sys.executable, "-c", CLAIM, str(tmp_path)]
    claimers = [
        subprocess.Popen(
            [*command, *map(str, half)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for half in halves
    ]
    for claimer in claimers:  # both have been started: now let them run against each other
        assert claimer.stdin is not None
        claimer.stdin.write("go\n")
        claimer.stdin.flush()
    blocks = [int(line) for claimer in claimers for line in claimer.communicate(timeout=20)[0].split()]

    assert len(blocks) == 8
    assert len(set(blocks)) == 8


def test_a_block_with_a_listener_is_not_given(tmp_path: Path, owners: list[Path]) -> None:
    block = claim_block(owners[0], folder=tmp_path)
    release_block(owners[0], folder=tmp_path)
    with socket.create_server(("127.0.0.1", block.first + 50)):
        assert busy_ports(block.ports) == [block.first + 50]
        assert claim_block(owners[0], folder=tmp_path).first != block.first
    assert busy_ports(block.ports) == []


def test_a_removed_folder_gives_its_block_back(tmp_path: Path, owners: list[Path]) -> None:
    block = claim_block(owners[0], folder=tmp_path)
    assert claim_block(owners[1], folder=tmp_path, preferred=block.first) != block
    owners[0].rmdir()

    assert claim_block(owners[2], folder=tmp_path, preferred=block.first) == block


def test_a_larger_block_replaces_a_smaller_one(tmp_path: Path, owners: list[Path]) -> None:
    claim_block(owners[0], folder=tmp_path)
    large = claim_block(owners[0], size=250, folder=tmp_path)

    assert large.size == 300
    assert len(large.ports) == 300
    assert list(json.loads((tmp_path / "ports.json").read_text())["owners"]) == [str(large.first)]


def test_when_nothing_is_free_it_says_so(
    tmp_path: Path, owners: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egse.site.ports.FIRST_PORTS", FIRST_PORTS[:2])
    monkeypatch.setattr("egse.site.ports.busy_ports", lambda _ports: [])  # of other tests, at this moment
    for owner in owners[:2]:
        claim_block(owner, folder=tmp_path)
    with pytest.raises(PortClaimError, match="no block of 100 ports is free"):
        claim_block(owners[2], folder=tmp_path)


def test_a_damaged_claims_file_is_started_afresh(tmp_path: Path, owners: list[Path]) -> None:
    (tmp_path / "ports.json").write_text("{broken")

    assert claim_block(owners[0], folder=tmp_path).first in FIRST_PORTS


def test_the_runtime_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = runtime_folder()

    assert folder == tmp_path / "camtest"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises((PortClaimError, FileExistsError)):
        runtime_folder()
