"""What an observation keeps of its Setup, and reading it back years later from there alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from egse.setup import DirectiveError, Setup
from egse.setup.frozen import Frozen, freeze_files, read_frozen_setup

NAME = "SETUP_CSL1_00084_230407_091711.yaml"
TEXT = """\
Setup:
  a: yaml//../../common/a/map.yaml
  b: yaml//../../common/b/map.yaml
  c: csv//../../common/a/table.csv
  again: pandas//../../common/a/table.csv
  listed: [csv//../../common/b/table.csv]
  gone: csv//nothing.csv
  outside: csv//../../../../outside.csv
  other: ReferenceFrame//x
"""
TREE = {
    "common/a/map.yaml": "name: a\ninner: yaml//deeper/map.yaml\ntable: csv//table.csv\n",
    "common/a/deeper/map.yaml": "name: deeper\ntable: csv//../../b/table.csv\nback: yaml//../map.yaml\n",
    "common/a/table.csv": "x,y\n1,2\n",
    "common/b/map.yaml": "name: b\ntable: csv//table.csv\nbad: csv//no.csv\n",
    "common/b/table.csv": "x,y\n3,4\n",
    f"CSL1/conf/{NAME}": TEXT,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        path = tmp_path / "repo/data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "outside.csv").write_text("secret\n")
    return tmp_path / "repo"


def freeze(root: Path) -> Frozen:
    path = root / "data/CSL1/conf" / NAME
    return freeze_files(Setup.from_yaml_file(path), path, root)


def test_files_are_kept_however_deep_and_whatever_they_are_called(root: Path) -> None:
    frozen = freeze(root)
    assert {name: data.decode() for name, data in frozen.files.items()} == {
        "conf_map.yaml": TREE["common/a/map.yaml"],
        "2_conf_map.yaml": TREE["common/b/map.yaml"],
        "3_conf_map.yaml": TREE["common/a/deeper/map.yaml"],
        "conf_table.csv": TREE["common/a/table.csv"],
        "2_conf_table.csv": TREE["common/b/table.csv"],
    }
    assert frozen.names["csv//../../common/a/table.csv"] == "conf_table.csv"
    assert frozen.names["conf_map.yaml:csv//table.csv"] == "conf_table.csv"
    assert frozen.names["2_conf_map.yaml:csv//table.csv"] == "2_conf_table.csv"
    assert [problem.partition(": ")[0] for problem in frozen.problems] == [
        "csv//../../../../outside.csv",
        "csv//nothing.csv",
        "csv//no.csv",
    ]
    assert frozen.names == freeze(root).names  # the same again after a restart


def test_they_are_read_from_the_observation_alone(root: Path, tmp_path: Path) -> None:
    original = Setup.from_yaml_file(root / "data/CSL1/conf" / NAME)
    frozen = freeze(root)
    kept = tmp_path / "elsewhere"
    kept.mkdir()
    prefix = "01151_CSL1_chimay_"
    for name, data in {"setup.yaml": TEXT.encode(), **frozen.files}.items():
        (kept / f"{prefix}{name}").write_bytes(data)
    shutil.rmtree(root)
    setup = read_frozen_setup(kept / f"{prefix}setup.yaml", frozen.names, prefix)
    assert setup.digest() == original.digest()
    assert setup.get_raw_value("a") == "yaml//../../common/a/map.yaml"
    assert (setup.a.name, setup.a.inner.name, setup.b.name) == ("a", "deeper", "b")
    assert setup.a.table.tolist() == setup.c.tolist() == [[1, 2]]
    assert setup.a.inner.table.tolist() == setup.b.table.tolist() == [[3, 4]]
    assert setup.again["x"].tolist() == [1]
    assert setup.copy().b.table.tolist() == [[3, 4]]
    with pytest.raises(DirectiveError, match="in a circle"):
        _ = setup.a.inner.back
    with pytest.raises(DirectiveError, match=r"gone: there is no file .*nothing\.csv"):
        _ = setup.gone


def test_a_reference_with_a_colon_or_a_name_that_is_no_file_name(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text('Setup: {a: "csv//x:y.csv", b: "csv//so und so.csv", c: "csv//a\\0b"}\n')
    (tmp_path / "x:y.csv").write_text("1,2\n")
    (tmp_path / "so und so.csv").write_text("3,4\n")
    frozen = freeze_files(Setup.from_yaml_file(path), path, tmp_path)
    assert frozen.files == {"conf_file": b"3,4\n", "2_conf_file": b"1,2\n"}
    kept = tmp_path / "kept"
    kept.mkdir()
    for name, data in {"setup.yaml": path.read_bytes(), **frozen.files}.items():
        (kept / name).write_bytes(data)
    setup = read_frozen_setup(kept / "setup.yaml", frozen.names)
    assert (setup.a.tolist(), setup.b.tolist()) == ([[1, 2]], [[3, 4]])
