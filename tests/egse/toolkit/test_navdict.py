from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rich

from egse.setup import DirectiveError, NavigableDict, SetupError, navdict
from egse.setup.origin import Source

CONFIG: dict[str, Any] = {
    "server": {"host": "localhost", "port": 8080, "secure": True},
    "logging": {
        "level": "info",
        "destinations": ["console", "file"],
        "file": {"path": "/var/log/app.log", "max_size": "10MB", "backup_count": 5},
    },
}


def test_manual_tree(capsys: pytest.CaptureFixture[str]) -> None:
    config = NavigableDict(CONFIG)
    print(config)
    assert capsys.readouterr().out == (
        "NavigableDict\n"
        "├── server\n"
        "│   ├── host: localhost\n"
        "│   ├── port: 8080\n"
        "│   └── secure: True\n"
        "└── logging\n"
        "    ├── level: info\n"
        "    ├── destinations: ['console', 'file']\n"
        "    └── file\n"
        "        ├── path: /var/log/app.log\n"
        "        ├── max_size: 10MB\n"
        "        └── backup_count: 5\n"
    )
    assert config.logging.file.path == "/var/log/app.log"
    assert config["logging"].file["path"] == "/var/log/app.log"


def test_rich_tree_takes_texts_literally() -> None:
    out = io.StringIO()
    rich.print(NavigableDict({"a": {"b": "[red]x[/red]"}}), file=out)
    assert out.getvalue() == "NavigableDict\n└── a\n    └── b: [red]x[/red]\n"


def test_lines_of_a_long_text_stay_in_the_tree() -> None:
    tree = NavigableDict({"a": {"text": "one\ntwo", "empty": "", "branch": {}}, "b": 1})
    assert str(tree).splitlines()[1:] == [
        "├── a",
        "│   ├── text: one",
        "│   │       two",
        "│   ├── empty:",
        "│   └── branch",
        "└── b: 1",
    ]


def test_the_original_is_not_touched() -> None:
    config = NavigableDict(CONFIG)
    config.server.port = 1
    config.logging.file.extra = {"x": 1}
    assert CONFIG["server"]["port"] == 8080
    assert "extra" not in CONFIG["logging"]["file"]


def test_assignment_makes_branches() -> None:
    tree = navdict()
    tree.gse = {}
    tree.gse.hexapod = {"ID": 42, "frame": {"x": 1}}
    tree["gse"]["stages"] = {}
    tree.gse.stages.ID = 7
    assert tree.gse.hexapod.frame.x == 1
    assert tree.to_dict() == {"gse": {"hexapod": {"ID": 42, "frame": {"x": 1}}, "stages": {"ID": 7}}}
    tree.gse.hexapod = {"ID": 43}
    assert "frame" not in tree.gse.hexapod
    tree.gse.stages = 3
    assert tree.gse.stages == 3
    assert list(tree.gse.keys()) == ["hexapod", "stages"]
    assert repr(tree.gse.keys()) == "dict_keys(['hexapod', 'stages'])"


def test_deletion() -> None:
    tree = NavigableDict(CONFIG)
    del tree.server.port
    del tree["logging"]["file"]
    assert not hasattr(tree.server, "port")
    assert not hasattr(tree.logging, "file")
    assert "file" not in dir(tree.logging)
    with pytest.raises(AttributeError, match="no key 'port' in server"):
        del tree.server.port
    with pytest.raises(KeyError, match="no key 'port'"):
        del tree.server["port"]
    assert tree.logging.pop("level") == "info"
    assert tree.logging.pop("level", None) is None
    assert tree.popitem()[0] == "logging"
    tree.clear()
    assert tree == {}
    with pytest.raises(KeyError, match="is empty"):
        tree.popitem()


@pytest.mark.parametrize("bad", [{1: "x"}, {"a": {None: 1}}, {"a": {"b": {(1,): 1}}}])
def test_keys_must_be_text(bad: dict[Any, Any]) -> None:
    with pytest.raises(TypeError, match=r"all keys must be texts \(str\)"):
        NavigableDict(bad)


def test_key_path_of_a_bad_key() -> None:
    with pytest.raises(TypeError, match=r"3 in Setup\.gse\.hexapod is of type int"):
        NavigableDict({"gse": {"hexapod": {3: "x"}}})
    tree = NavigableDict({"a": {}})
    with pytest.raises(TypeError, match=r"7 in Setup\.a is"):
        tree.a[7] = 1  # type: ignore[index]


def test_missing_keys_say_what_there_is() -> None:
    tree = NavigableDict({"gse": {"hexapod": 1, "stages": 2}})
    expected = r"no key 'hexpod' in gse, did you mean 'hexapod'\? \(keys: hexapod, stages\)"
    with pytest.raises(AttributeError, match=expected):
        _ = tree.gse.hexpod
    with pytest.raises(KeyError, match=expected):
        tree["gse"]["hexpod"]
    with pytest.raises(AttributeError, match=r"did you mean 'gse'"):
        _ = tree.GSE
    assert tree.gse.get("nothing") is None
    assert tree.gse.get("nothing", 3) == 3


def test_names_of_methods_need_brackets() -> None:
    tree = NavigableDict({"items": 1, "copy": {"x": 2}})
    assert tree["items"] == 1
    assert tree["copy"].x == 2
    assert callable(tree.items)
    with pytest.raises(AttributeError, match=r"'items' is a method of NavigableDict: use \['items'\]"):
        tree.items = 2  # type: ignore[method-assign]


def test_private_attributes_are_no_keys() -> None:
    tree = NavigableDict({"a": 1})
    tree.set_private_attribute("_setup_id", 42)
    tree._note = "x"
    assert tree.get_private_attribute("_setup_id") == 42
    assert tree.has_private_attribute("_note")
    assert not tree.has_private_attribute("_nothing")
    assert tree.get_private_attribute("_nothing") is None
    assert list(tree) == ["a"]
    assert str(tree) == "NavigableDict\n└── a: 1"
    del tree._note
    assert not hasattr(tree, "_note")
    with pytest.raises(ValueError, match="begins with an underscore"):
        tree.set_private_attribute("setup_id", 1)
    tree["_label"] = "a key, not the attribute"
    assert tree["_label"] == "a key, not the attribute"
    del tree["_label"]
    assert str(tree).startswith("NavigableDict")


def test_completion_evaluates_nothing(tmp_path: Path) -> None:
    tree = NavigableDict({"gse": {"hexapod": {"device": "class//nowhere.Nothing", "a key": 1}}})
    assert {"device"} <= set(dir(tree.gse.hexapod))
    assert "a key" not in dir(tree.gse.hexapod)
    assert tree.gse.hexapod._ipython_key_completions_() == ["device", "a key"]
    assert (
        vars(tree)["gse"] is tree.gse
    )  # a real attribute: completion goes below it without calling anything


def test_items_and_values_are_as_written() -> None:
    tree = NavigableDict({"dev": "class//nowhere.Nothing"})
    assert list(tree.items()) == [("dev", "class//nowhere.Nothing")]
    assert tree.get_raw_value("dev") == "class//nowhere.Nothing"
    assert list(NavigableDict(CONFIG).walk())[:2] == [("server.host", "localhost"), ("server.port", 8080)]


def test_update_and_friends() -> None:
    tree = NavigableDict()
    tree.update({"a": {"b": 1}}, c=2)
    tree |= {"d": {"e": 3}}
    assert tree.setdefault("f", {"g": 4}).g == 4
    assert tree.setdefault("c", 5) == 2
    assert (tree.a.b, tree.d.e, tree.f.g) == (1, 3, 4)
    assert tree == {"a": {"b": 1}, "c": 2, "d": {"e": 3}, "f": {"g": 4}}


def test_copies_are_independent() -> None:
    tree = NavigableDict({"a": {"b": {"c": [1]}}})
    tree._setup_id = 3
    rebuild, arguments = tree.__reduce__()
    for twin in (tree.copy(), copy.copy(tree), copy.deepcopy(tree), rebuild(*arguments)):
        twin.a.b.c.append(2)
        twin.a.x = 1
        assert tree == {"a": {"b": {"c": [1]}}}
        assert type(twin) is NavigableDict
    assert copy.deepcopy(tree).get_private_attribute("_setup_id") == 3


def test_a_branch_belongs_to_one_place() -> None:
    one, two = NavigableDict({"a": {"x": 1}}), NavigableDict()
    two.a = one.a
    two.a.x = 2
    assert one.a.x == 1
    fresh = NavigableDict()
    two.fresh = fresh
    fresh.y = 1
    assert two.fresh.y == 1
    one.me = one  # a copy, not a circle
    assert str(one.me) == "NavigableDict\n└── a\n    └── x: 1"
    one.a.up = one.a
    assert one.a.up == {"x": 1}


def test_memoised_values_follow_what_they_depend_on(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    (tmp_path / "b.csv").write_text("5,6\n")
    tree = NavigableDict({"table": f"csv//{tmp_path}/a.csv", "other": 1})
    first = tree.table
    assert tree["table"] is first
    assert tree.get_memoized_keys() == ["table"]
    (tmp_path / "a.csv").write_text("9,9\n")
    assert tree.table is first
    assert tree.del_memoized_key("table")
    assert not tree.del_memoized_key("table")
    np.testing.assert_array_equal(tree.table, [[9, 9]])
    tree.table = f"csv//{tmp_path}/b.csv"
    np.testing.assert_array_equal(tree.table, [[5, 6]])


def test_errors_without_a_file_name_the_key_path() -> None:
    tree = NavigableDict({"a": {"b": "csv//x.csv", "c": "ReferenceFrame//0,0,0", "d": "classs//x.Y"}})
    with pytest.raises(
        DirectiveError, match=r"^a\.b: x\.csv is relative, but this Setup was not read from a file"
    ):
        _ = tree.a.b
    with pytest.raises(
        SetupError, match=r"^a\.c: unknown special value 'ReferenceFrame//0,0,0' \(known: class//"
    ):
        _ = tree.a.c
    with pytest.raises(SetupError, match=r"did you mean 'class'"):
        _ = tree.a["d"]
    assert tree.a.get_raw_value("c") == "ReferenceFrame//0,0,0"


def test_urls_and_paths_are_no_special_values() -> None:
    tree = NavigableDict({"url": "tcp://localhost:6000", "path": "/data//x", "rel": "a/b//c"})
    assert (tree.url, tree.path, tree.rel) == ("tcp://localhost:6000", "/data//x", "a/b//c")


def test_source_is_kept_by_copies(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1,2\n")
    tree = NavigableDict({"a": {"t": "csv//t.csv", "bad": "x//y"}})
    tree._source = Source(tmp_path / "f.yaml", "a:\n  t: csv//t.csv\n  bad: x//y\n")
    twin = tree.a.copy()
    np.testing.assert_array_equal(twin.t, [[1, 2]])
    with pytest.raises(SetupError, match=r"f\.yaml, line 3, bad: unknown"):
        _ = twin.bad
