"""The fingerprint of a Setup, and whether it was changed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egse.setup import Setup
from egse.setup.digest import digest_of

TEXT = """\
Setup:
  gse:
    hexapod: {ID: 42, granularity: 1.000000E-01, offsets: [1, 2.5]}
  camera:
    ID: achel       # of Rochefort
    hk_map: yaml//hk.yaml
"""
SAME = """\
Setup:
    camera: {hk_map: yaml//hk.yaml, ID: 'achel'}
    gse:
        hexapod:
            offsets:
            - 1
            - 25.0e-1
            granularity: 0.1
            ID: 42
"""


@pytest.fixture
def setup() -> Setup:
    return Setup.from_yaml_string(TEXT)


def test_order_notation_and_comments_do_not_matter(setup: Setup, tmp_path: Path) -> None:
    assert setup.digest() == Setup.from_yaml_string(SAME).digest()
    again = Setup.from_yaml_file(setup.to_yaml_file(tmp_path / "x.yaml"))
    assert again.digest() == setup.digest() == setup.copy().digest() == Setup(setup.to_dict()).digest()
    assert len(setup.digest()) == 64


def test_it_is_the_same_in_every_release() -> None:
    """Records of years ago carry it: another algorithm needs another name."""
    text = b'{"a":{"x":0.1,"y":[null,true,"\\u00e9"]},"b":1}'
    assert digest_of({"b": 1, "a": {"x": 0.1, "y": [None, True, "é"]}}) == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.gse.hexapod.update(ID=43),
        lambda s: s.gse.hexapod.__setitem__("ID", 42.0),
        lambda s: s.gse.hexapod.offsets.append(3),
        lambda s: s.gse.hexapod.offsets.__setitem__(0, True),
        lambda s: s.gse.__delitem__("hexapod"),
        lambda s: s.camera.__setattr__("new", {}),
        lambda s: s.camera.pop("hk_map"),
        lambda s: s.add_history("x"),
    ],
)
def test_every_change_is_seen(setup: Setup, change: Any) -> None:
    before, twin = setup.digest(), setup.copy()
    assert not setup.is_dirty()
    change(setup)
    assert setup.digest() != before
    assert setup.is_dirty()
    assert (twin.digest(), twin.is_dirty()) == (before, False)
    assert setup.copy().is_dirty()


def test_a_change_that_is_taken_back_leaves_it_clean(setup: Setup) -> None:
    setup.gse.hexapod.ID = 1
    assert setup.is_dirty()
    setup.gse.hexapod.ID = 42
    assert not setup.is_dirty()
    branch = setup.gse.hexapod
    setup.gse.hexapod = {"ID": 1}
    branch.ID = 7  # no longer part of it
    setup.gse = {"hexapod": {"offsets": [1, 2.5], "granularity": 0.1, "ID": 42}}
    assert not setup.is_dirty()


def test_what_was_made_of_a_dictionary_is_dirty() -> None:
    assert Setup({"a": 1}).is_dirty()
    assert Setup().is_dirty()


def test_whatever_people_put_in_has_a_fingerprint() -> None:
    setup = Setup({"a": np.float64(0.25), "b": np.arange(2), "c": Path("/x"), "d": (1, 2), "e": b"x"})
    assert setup.digest() == Setup.from_yaml_string(setup.to_yaml_string()).digest()
    setup.f = object()
    assert setup.digest() == setup.digest()
    setup.b[0] = 5
    assert setup.digest() != Setup({"a": 0.25}).digest()


def test_asking_again_does_no_work(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = setup.digest()
    monkeypatch.setattr("egse.setup.digest.digest_of", lambda tree: pytest.fail("computed again"))
    assert setup.digest() == digest


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "1e3", "no", "é\n"])
_TREES = st.dictionaries(
    st.sampled_from(["a", "b", "0", "01", "no"]),
    _LEAVES | st.lists(_LEAVES, max_size=3) | st.dictionaries(st.sampled_from("abc"), _LEAVES, max_size=3),
    max_size=4,
)


@given(_TREES)
@settings(max_examples=40)
def test_saving_keeps_it(tree: dict[str, Any]) -> None:
    setup = Setup(tree)
    again = Setup.from_yaml_string(setup.to_yaml_string())
    assert again.digest() == setup.digest()
    assert not again.is_dirty()
