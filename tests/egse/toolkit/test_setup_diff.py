"""What differs between two Setups."""

from __future__ import annotations

import html.parser

import pytest

from egse.setup import NavigableDict, Setup, diff_setups

OLD = """\
Setup:
  gse:
    hexapod: {ID: 42, gone: 1, frame: {x: 1.0}}
    "a key": 1
  camera: {ID: achel, device: class//no.such.Class}
"""


@pytest.fixture
def old() -> Setup:
    return Setup.from_yaml_string(OLD, "/x/SETUP_CSL1_00042_260101_000000.yaml")


@pytest.fixture
def new(old: Setup) -> Setup:
    new = old.copy()
    new.gse.hexapod.ID = "42"
    del new.gse.hexapod["gone"]
    new.gse.hexapod.frame.x = 1
    new.gse["a key"] = [1, 2]
    new.gse.stages = {"ID": 7, "empty": {}}
    new.camera.device = "class//<other>"
    return new


def test_every_difference_is_named(old: Setup, new: Setup) -> None:
    diff = diff_setups(old, new)
    assert str(diff).splitlines() == [
        "Setup 00042 -> Setup 00042 (changed): 7 differences",
        "~ gse.hexapod.ID: 42 -> '42'",
        "- gse.hexapod.gone: 1",
        "~ gse.hexapod.frame.x: 1.0 -> 1",
        "~ gse['a key']: 1 -> [1, 2]",
        "+ gse.stages.ID: 7",
        "+ gse.stages.empty: {}",
        "~ camera.device: 'class//no.such.Class' -> 'class//<other>'",
    ]
    assert repr(diff) == str(diff)
    assert diff.to_list()[1] == {
        "path": "gse.hexapod.gone",
        "keys": ["gse", "hexapod", "gone"],
        "kind": "removed",
        "old": 1,
        "new": None,
    }


def test_a_value_that_becomes_a_branch(old: Setup) -> None:
    new = old.copy()
    new.gse.hexapod = 3
    (change,) = diff_setups(old, new)
    assert (change.kind, change.old, change.new) == (
        "changed",
        {"ID": 42, "gone": 1, "frame": {"x": 1.0}},
        3,
    )
    assert diff_setups(old.gse, old["gse"]) == []
    assert not diff_setups(old, Setup(old.to_dict()))
    assert str(diff_setups(NavigableDict(), {})) == "old -> new: no difference"


def test_in_a_notebook_it_is_a_table_with_everything_escaped(old: Setup, new: Setup) -> None:
    bundle = diff_setups(old, new)._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Setup 00042")
    shown = bundle["text/html"]
    assert shown.count("<tr>") == 8
    assert "class//&lt;other&gt;" in shown
    assert "<other>" not in shown
    html.parser.HTMLParser().feed(shown)
