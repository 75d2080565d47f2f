"""Whatever is altered, removed or added in an archive is named: bytes, files, notebooks, whole observations."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from egse.archive import ArchiveIndex, Observation
from egse.archive.siteverification import verify_observation, verify_site
from egse.confman.recordfile import decode_line, digest, encode_line
from egse.storage.manifest import Supplement

FIRST, SECOND = "00001_CSL1_chimay", "00002_CSL1_chimay"


def found(site: Path) -> list[str]:
    return [str(problem) for problem in verify_site(site) if problem.kind != "open"]


def look(site: Path) -> None:
    """Somebody has a look at the archive, so that the index knows it."""
    with ArchiveIndex(site) as index:
        index.refresh()


def drop_lines(path: Path, word: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.chmod(0o600)
    path.write_text("".join(line for line in lines if word not in line))


def test_an_untouched_site_is_as_recorded(site: Path) -> None:
    assert found(site) == []
    assert [p.kind for p in verify_site(site)] == ["open"], "the third observation is running"
    assert found(site) == [], "and again, now that the index knows the supplements"


def test_the_manifest_tells_who_where_when_why_and_what_was_before(site: Path) -> None:
    manifest = Observation(2, site).manifest
    assert manifest is not None
    assert manifest.why == {"function": 'acquire(n="3")', "description": "a test"}
    assert manifest.where["site"] == "CSL1"
    assert manifest.where["camera"] == "chimay"
    assert manifest.setup["id"] == 84
    assert len(manifest.setup["sha256"]) == 64
    assert manifest.software["server"]["python"]
    assert manifest.records["setup"] == f"{SECOND}_setup.yaml"
    assert manifest.records["notebook_after"] == f"{SECOND}_executed.ipynb"
    assert manifest.events == {"start": 1, "command": 1}
    assert manifest.previous is not None
    assert manifest.previous.obsid == "CSL1_00084_00001"
    first = Observation(1, site)
    assert manifest.previous.sha256 == first.record.manifest_sha256 if first.record else ""
    assert first.manifest is not None
    assert first.manifest.previous is None


def test_one_byte_anywhere(site: Path) -> None:
    """Bytes all over every file; each time the right file is named."""
    folder = site / "obs" / FIRST
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        path.chmod(0o600)
        step = max(1, len(data) // (40 if path.name == "supplements.jsonl" else 3))
        for place in {*range(0, len(data), step), len(data) - 1}:
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            problems = {p.path for p in verify_observation(Observation(1, site))}
            assert str(path.relative_to(site)) in problems, (path.name, place)
        path.write_bytes(data)
    assert verify_observation(Observation(1, site)) == []


@pytest.mark.parametrize(
    "name",
    [
        "observations.jsonl",
        "obsid-table.txt",
        f"obs/{FIRST}/supplements.jsonl",
        "daily/20260101/20260101_CSL1_N-FEE_SPW_00001.hdf5",
    ],
)
def test_line_ends_and_what_belongs_to_all(site: Path, name: str) -> None:
    """Also what only some programs take for the end of a line, and a last line that was cut off."""
    path = site / name
    path.chmod(0o600)
    data = path.read_bytes()
    ends = [place for place, byte in enumerate(data) if byte == ord("\n")][-3:]
    altered = [
        data[:place] + bytes([end]) + data[place + 1 :] for place in ends for end in b"\r\x0b\x0c\x1c\x85 "
    ]
    for content in (*altered, data[:-1], data[:-7], data + b"x", b"x" + data, b""):
        path.write_bytes(content)
        assert name in {problem.path for problem in verify_site(site)}, content[-80:]
    path.unlink()
    assert name in {problem.path for problem in verify_site(site)}
    path.write_bytes(data)
    assert found(site) == []


def test_each_file_deleted(site: Path) -> None:
    folder = site / "obs" / FIRST
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        path.unlink()
        assert str(path.relative_to(site)) in {p.path for p in verify_site(site)}, path.name
        path.write_bytes(data)
    assert found(site) == []


def test_an_edited_notebook_and_a_deleted_file(site: Path) -> None:
    notebook = site / "obs" / FIRST / f"{FIRST}_executed.ipynb"
    notebook.chmod(0o600)
    notebook.write_text('{"cells": []}')
    (site / "obs" / SECOND / f"{SECOND}_setup.yaml").unlink()
    texts = found(site)
    assert len(texts) == 2
    assert texts[0].startswith(f"obs/{FIRST}/{FIRST}_executed.ipynb: was altered")
    assert texts[1] == f"obs/{SECOND}/{SECOND}_setup.yaml: is missing"


@pytest.mark.parametrize(("prefix", "number"), [(FIRST, "00001"), (SECOND, "00002")])
def test_a_removed_observation(site: Path, prefix: str, number: str) -> None:
    shutil.rmtree(site / "obs" / prefix)
    assert found(site) == [f"obs/{prefix}: the whole observation CSL1_00084_{number} is missing"]


def remove_newest(site: Path) -> None:
    """Removes the second and the third (running) observation with their lines in the record."""
    for prefix in (SECOND, "00003_CSL1_chimay"):
        shutil.rmtree(site / "obs" / prefix)
    lines = (site / "observations.jsonl").read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b"r1" in line]
    (site / "observations.jsonl").write_bytes(b"".join(kept))


def test_the_newest_with_its_lines_in_the_record(site: Path) -> None:
    remove_newest(site)
    texts = found(site)
    assert any("obsid-table.txt: lists observation 00002" in text for text in texts), texts


def test_the_newest_with_record_and_table(site: Path) -> None:
    look(site)
    remove_newest(site)
    drop_lines(site / "obsid-table.txt", "00002 CSL1")
    drop_lines(site / "obsid-table.txt", "00003 CSL1")
    expected = "observations.jsonl: the index remembers CSL1_00084_00002, the record denies it"
    assert found(site) == [expected]
    with ArchiveIndex(site) as index:
        index.rebuild()
    assert found(site) == [expected], "making the index anew does not forget it"


def reseal(site: Path) -> None:
    """What a careful forger does: another byte in a file, manifest and all lines of the record after it made anew."""
    folder = site / "obs" / SECOND
    notebook, manifest = folder / f"{SECOND}_executed.ipynb", folder / "manifest.json"
    notebook.chmod(0o600)
    notebook.write_text("{ }")
    known = msgspec.json.decode(manifest.read_bytes())
    for entry in known["files"]:
        if entry["path"] == notebook.name:
            entry |= {"size": 3, "sha256": _sha(notebook)}
    manifest.chmod(0o600)
    manifest.write_bytes(msgspec.json.encode(known))
    previous, lines = "", []
    for line in (site / "observations.jsonl").read_bytes().splitlines():
        fields = decode_line(line) | {"prev": previous}
        if fields.get("obsid", "").endswith("00002") and fields["rec"] == "closed":
            fields["manifest_sha256"] = _sha(manifest)
        lines.append(encode_line(fields))
        previous = digest(lines[-1])
    (site / "observations.jsonl").write_bytes(b"".join(lines))


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_forged_seal_contradicts_the_next_observation_and_the_index(site: Path) -> None:
    look(site)
    reseal(site)
    texts = found(site)
    assert any("CSL1_00084_00003 came after CSL1_00084_00002" in text for text in texts), texts
    assert any("the checksum of the manifest of CSL1_00084_00002 was another one" in text for text in texts)
    single = [str(problem) for problem in verify_observation(Observation(2, site))]
    assert any("CSL1_00084_00002" in text for text in single)


def test_a_supplement_removed_with_its_line(site: Path) -> None:
    assert found(site) == []
    listing = site / "obs" / FIRST / "supplements.jsonl"
    drop_lines(listing, "report-2")
    (site / "obs" / FIRST / f"{FIRST}_report-2.txt").unlink()
    assert found(site) == [f"obs/{FIRST}/supplements.jsonl: was altered: 2 supplements were listed before"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda table: drop_lines(table, "00001 CSL1"), "the line of CSL1_00084_00001 is missing"),
        (lambda table: table.write_text(table.read_text().replace("a test", "b test", 1)), "was altered"),
        (lambda table: table.write_text(table.read_text() + "what?\n"), "no line of the table: 'what?'"),
        (lambda table: table.unlink(), "the obsid table is missing"),
    ],
)
def test_the_obsid_table(site: Path, change: Callable[[Path], None], text: str) -> None:
    change(site / "obsid-table.txt")
    (problem,) = found(site)
    assert problem.startswith("obsid-table.txt: ")
    assert text in problem


def test_numbers_that_a_restoration_reserved_and_lines_of_older_systems(site: Path) -> None:
    table = site / "obsid-table.txt"
    before = "something else\n00000 CSL1 00001 2019-01-01T00:00:00.000+0000 old()\n"
    reserved = "00900 CSL1 00000 2026-01-01T00:00:00.000+0000 reserved() [numbers up to this one]\n"
    table.write_text(before + table.read_text() + reserved)
    assert found(site) == []


def test_the_record_of_the_site_is_gone(site: Path) -> None:
    (site / "observations.jsonl").unlink()
    assert any("observations.jsonl: the record of the site is missing" in text for text in found(site))


def test_supplements_of_older_releases_have_no_check(site: Path) -> None:
    """Their lines are accepted as they were written, and still nothing in them may change."""
    old = Supplement(path="a", size=1, sha256="x", added="t")
    fields = msgspec.to_builtins(old)
    del fields["check"]
    line = msgspec.json.encode(fields)
    assert msgspec.json.decode(line, type=Supplement).is_line(line)
    altered = line.replace(b'"added":"t"', b'"added":"u"').replace(b'"prev"', b'"prex"')
    assert not msgspec.json.decode(altered, type=Supplement).is_line(altered)
