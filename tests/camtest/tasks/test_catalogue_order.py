"""Which tabs and groups a task package has, and in which order; modules that end the program, packages that are none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from camtest.cli.tasks import tasks as command
from camtest.tasks.catalogue import Catalogue, TaskPackageError, read_catalogue
from camtest.tasks.parts import TaskButton

TASK = "from gui_executor.exec import exec_ui\n@exec_ui()\ndef {}(): pass\n"

Read = Callable[[dict[str, str]], Catalogue]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Returns what writes a package `ordered` from texts by path and reads it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "ordered"]:
        monkeypatch.delitem(sys.modules, name)

    def write_and_read(files: dict[str, str]) -> Catalogue:
        for name, text in files.items():
            path = tmp_path / "ordered" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(text)
        return read_catalogue(["ordered"])

    return write_and_read


def titled(title: str) -> str:
    return f"UI_TAB_DISPLAY_NAME = {title!r}\n"


TABS = {
    "__init__.py": "",
    "alpha/__init__.py": titled("2 - Second"),
    "alpha/m.py": TASK.format("a"),
    "beta/__init__.py": titled("3 - Third"),
    "beta/m.py": TASK.format("b"),
    "zeta/__init__.py": titled("1 - First"),
    "zeta/m.py": TASK.format("z"),
}


def test_tabs_are_sorted_by_title(read: Read) -> None:
    assert [tab.title for tab in read(TABS).tabs] == ["1 - First", "2 - Second", "3 - Third"]


def test_tabs_that_are_not_named_in_the_order_follow_by_title(read: Read) -> None:
    order = "UI_TAB_ORDER = ['beta', 'nothing', 'beta']\n"
    catalogue = read({**TABS, "__init__.py": order})
    assert [tab.title for tab in catalogue.tabs] == ["3 - Third", "1 - First", "2 - Second"]


def test_modules_with_one_title_are_one_group(read: Read) -> None:
    name = "UI_MODULE_DISPLAY_NAME = 'Lamps'\n"
    (tab,) = read(
        {
            "a.py": name + TASK.format("on"),
            "b.py": "UI_MODULE_DISPLAY_NAME = 'Doors'\n" + TASK.format("open_door"),
            "c.py": name + "from ordered.a import on\n" + TASK.format("off"),
        }
    ).tabs
    assert [(g.title, [t.title for t in g.tasks]) for g in tab.groups] == [
        ("Doors", ["open_door"]),
        ("Lamps", ["on", "off"]),
    ]
    assert [task.module for task in tab.groups[1].tasks] == ["ordered.a", "ordered.c"]


def test_a_module_that_ends_the_program_is_a_group_that_says_so(read: Read) -> None:
    leave = "import sys\nsys.exit('no hardware here')\n"
    catalogue = read(
        {"good.py": TASK.format("good"), "bad.py": leave, "sub/__init__.py": leave, "sub/m.py": ""}
    )
    main, sub = catalogue.tabs
    assert [(g.title, g.problem) for g in main.groups] == [
        ("bad", "SystemExit: no hardware here (bad.py, line 2)"),
        ("good", ""),
    ]
    assert sub.groups[0].problem == "SystemExit: no hardware here (__init__.py, line 2)"


def test_a_package_that_ends_the_program_is_told(read: Read) -> None:
    with pytest.raises(TaskPackageError, match="ordered cannot be imported: SystemExit: 3"):
        read({"__init__.py": "raise SystemExit(3)\n"})


def test_a_module_is_no_package(read: Read) -> None:
    read({"lamp.py": TASK.format("on")})
    with pytest.raises(
        TaskPackageError,
        match=r"ordered\.lamp is a module and no package: name the package that it is in, ordered",
    ):
        read_catalogue(["ordered.lamp"])
    result = CliRunner().invoke(command, ["json.decoder", "--list"])
    assert result.exit_code == 1
    assert "json.decoder is a module and no package" in result.output


def test_a_hidden_package_has_no_tabs(read: Read) -> None:
    with pytest.raises(TaskPackageError, match="ordered: hidden by UI_TAB_HIDE"):
        read({**TABS, "__init__.py": "def UI_TAB_HIDE(): return True\n", "m.py": TASK.format("m")})


def test_a_hide_function_that_fails_is_told(read: Read) -> None:
    with pytest.raises(TaskPackageError, match="UI_TAB_HIDE of ordered fails: ZeroDivisionError"):
        read({"__init__.py": "def UI_TAB_HIDE(): return 1 / 0\n"})
    for name in [name for name in sys.modules if name.partition(".")[0] == "ordered"]:
        del sys.modules[name]
    catalogue = read({**TABS, "__init__.py": "UI_TAB_HIDE = lambda: False\n"})
    assert len(catalogue.tabs) == 3


def test_numbers_in_titles_are_sorted_as_numbers(read: Read) -> None:
    files = {
        f"{name}.py": f"UI_MODULE_DISPLAY_NAME = {title!r}\n" + TASK.format("t") for name, title in GROUPS
    }
    assert [group.title for group in read(files).tabs[0].groups] == ["2 - Camera", "10 - OGSE", "10a", "TCS"]


GROUPS = (("a", "TCS"), ("b", "10 - OGSE"), ("c", "2 - Camera"), ("d", "10a"))


def test_icons_beside_the_module_are_found_and_one_click_has_the_icon_of_the_others(read: Read) -> None:
    task = (
        "from gui_executor.exec import exec_ui\n"
        "@exec_ui(icons=('icons/a.svg', 'icons/none.svg'))\ndef drawn(): pass\n"
        "@exec_ui(immediate_run=True)\ndef at_once(): pass\n"
        "@exec_ui()\ndef later(): pass\n"
    )
    tasks = {task.name: task for task in read({"m.py": task, "icons/a.svg": "<svg/>"}).tasks()}
    assert [path.name for path in tasks["drawn"].icons] == ["a.svg"]
    buttons = {name: TaskButton(found, lambda _: None).button for name, found in tasks.items()}
    assert {name: button.icon for name, button in buttons.items()} == {
        "drawn": "",
        "at_once": "tasks",
        "later": "tasks",
    }


def test_a_recurring_task_stands_at_the_left_only_when_it_is_said_to_be_normal(read: Read) -> None:
    recurring = "from gui_executor.exec import StatusType, exec_recurring_task\n"
    for name, status in (
        ("a", ""),
        ("b", "status_type=StatusType.NORMAL"),
        ("c", "status_type=StatusType.PERMANENT"),
    ):
        recurring += f"@exec_recurring_task({status})\ndef {name}(): return {name!r}\n"
    found = read({"r.py": recurring, "m.py": TASK.format("t")}).recurring
    assert {task.name: task.permanent for task in found} == {"a": True, "b": False, "c": True}
