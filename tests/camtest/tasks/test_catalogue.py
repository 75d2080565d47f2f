"""What a task package holds, also one that was written for the Qt original; the packages that are shipped."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from camtest.cli.tasks import tasks as command
from camtest.tasks.blocks import block_task
from camtest.tasks.catalogue import TaskPackageError, read_catalogue
from camtest.tasks.exec import Kind, exec_ui, find_modules, find_ui_button_functions, get_arguments
from camtest.tasks.form import ArgumentsForm, FormError
from camtest.tasks.recurring import RecurringTasks
from camtest.tasks.running import search_path
from egse.clock import system_clock


def test_an_old_package_loads(packages: Path) -> None:
    catalogue = read_catalogue(["oldstyle"])
    assert [tab.title for tab in catalogue.tabs] == ["oldstyle", "Advanced"]
    main, advanced = catalogue.tabs
    assert [group.title for group in main.groups] == ["1 - Lamp", "2 - Qt", "broken"]
    assert "a_module_that_nobody_has" in main.groups[-1].problem
    assert "line 3" in main.groups[-1].problem
    assert {group.title for group in advanced.groups} == {"hints", "Copies"}
    switch_on = catalogue.find("Switch ON")
    assert (switch_on.name, switch_on.tooltip, len(switch_on.icons)) == (
        "switch_on",
        "Switches the lamp on.",
        2,
    )
    assert "def switch_on(" in switch_on.source
    assert catalogue.find("ask_in_a_script").mode == "script"
    assert catalogue.find("ask_in_a_script").input_request == ("Continue [Y/n]",)
    assert [task.name for task in catalogue.recurring] == ["show_setup", "fails"]
    assert "PyQt5" not in sys.modules
    assert "executor" not in sys.modules
    assert "Lamp" in str(catalogue)


def test_what_is_no_task_package_is_told(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "nothing_in_it").mkdir()
    (tmp_path / "nothing_in_it" / "__init__.py").touch()
    (tmp_path / "wrong_one").mkdir()
    (tmp_path / "wrong_one" / "__init__.py").write_text("1 / 0\n")
    for package, text in (
        ("not_there", "there is no package not_there: start from the folder above it"),
        ("nothing_in_it", "there is no module with a function decorated by @exec_ui"),
        ("wrong_one", "cannot be imported: ZeroDivisionError: division by zero"),
    ):
        with pytest.raises(TaskPackageError, match=text):
            read_catalogue([package])
    result = CliRunner().invoke(command, ["not_there", "--list"])
    assert result.exit_code == 1
    assert "there is no package not_there" in result.output


def test_the_names_of_the_original(packages: Path) -> None:
    import gui_executor.exec
    import gui_executor.utils
    import gui_executor.utypes

    for module in (gui_executor.exec, gui_executor.utypes, gui_executor.utils):
        assert all(hasattr(module, name) for name in module.__all__)
    assert "switch_on" in find_ui_button_functions("oldstyle.lamp")
    assert find_modules("oldstyle")["lamp"] == "oldstyle.lamp"

    @exec_ui(description="Press.", use_gui_app=True, capture_response=("a", "b"))
    def press(x: int = 3) -> int:
        return x

    marked: Any = press
    assert (marked.__ui_kind__, marked.__ui_description__, marked.__ui_runnable__) == (
        Kind.BUTTON,
        "Press.",
        "app",
    )
    assert marked.__ui_capture_response__ == "a, b"
    assert get_arguments(press)["x"].default == 3
    assert press(4) == 4
    with pytest.raises(TypeError, match="used with brackets"):
        exec_ui(lambda: None)  # type: ignore[arg-type, type-var]


def test_ids_in_files(tmp_path: Path) -> None:
    from gui_executor.utils import expand_path, read_id, replace_environment_variable, write_id

    assert read_id(tmp_path / "id.txt") == ""
    write_id("1A", tmp_path / "id.txt")
    assert read_id(tmp_path / "id.txt") == "1A"
    assert expand_path(f"{tmp_path}/x/..") == tmp_path
    assert replace_environment_variable("ENV['NOT_SET_AT_ALL']/x") is None


def test_recurring_tasks_say_what_is_wrong(packages: Path) -> None:
    recurring = RecurringTasks(read_catalogue(["oldstyle"]).recurring)
    try:
        deadline = system_clock().monotonic() + 20
        while not all(recurring.texts):
            assert system_clock().monotonic() < deadline
            system_clock().sleep(0.01)
        assert recurring.text(permanent=True) == "Setup ID = 67"
        assert recurring.text(permanent=False) == "fails: RuntimeError: no connection"
    finally:
        recurring.close()


@pytest.mark.parametrize(
    "package", ["camtest.operate", "camtest.contingency", "camtest.analysis_tasks", "camtest.csl"]
)
def test_every_task_that_is_shipped_has_a_form(package: str) -> None:
    catalogue = read_catalogue([package])
    assert not [group for tab in catalogue.tabs for group in tab.groups if group.problem]
    found = list(catalogue.tasks())
    assert len(found) >= 6
    for task in found:
        assert task.tooltip, task.title
        if task.immediate or task.name == "load_setup":  # this one asks the configuration manager
            continue
        try:
            call = ArgumentsForm(task).call()
        except FormError as exc:
            fine = (": must be given", ": the choices cannot be had")  # no configuration manager here
            assert all(any(text in error for text in fine) for error in exc.errors), exc  # noqa: PT017
        else:
            assert call.code.startswith(f"from {task.module} import {task.name}") or "import" in call.code


def test_a_task_of_a_building_block_has_its_types_and_ranges() -> None:
    from camtest.commanding import ogse

    task = block_task(ogse.set_attenuation, "Set Attenuation")
    assert task.__module__ == __name__
    form = ArgumentsForm(read_catalogue(["camtest.operate"]).find("Set Attenuation"))
    form.fill(factor="1.5")
    with pytest.raises(FormError, match=r"factor: must be in \[0, 1\], got 1.5"):
        form.call()


def test_a_package_in_the_current_folder_is_found_by_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = Path(__file__).parents[3] / "examples" / "tasks"
    monkeypatch.chdir(examples)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    result = CliRunner().invoke(command, ["yakka", "--list"])
    assert result.output == "yakka\n  Hello Tasks\n    hello_world (runs at once)\n    Hello...\n"
    assert str(examples) in search_path()
    assert all(Path(path).is_absolute() for path in search_path())
    for name in ("yakka.hello", "yakka"):
        del sys.modules[name]
