"""What task packages of the Qt original import, call and derive from works here."""

from __future__ import annotations

import datetime
import enum
import importlib
import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rich.console
import rich.tree

import gui_executor
from camtest import Abort, GlobalState
from camtest.core.dryrun import DryRun
from camtest.tasks import compat
from camtest.tasks.calls import TaskCall
from camtest.tasks.catalogue import Task, read_catalogue
from camtest.tasks.exec import exec_ui, get_arguments
from camtest.tasks.fields import ValueWidget, make_field
from camtest.tasks.form import immediate_call
from camtest.tasks.shared import original
from egse.stages.huber.smc9300 import HuberError
from gui_executor import snippets, utils, utypes
from gui_executor.utils import copy_func
from gui_executor.utypes import Callback, DropdownList, FixedList, ListList, TypeObject, VariableName

MakePackage = Callable[..., str]


@pytest.fixture
def make_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePackage:
    """Returns what writes a package `foreign` and returns its name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "foreign"]:
        monkeypatch.delitem(sys.modules, name)

    def make(**modules: str) -> str:
        (tmp_path / "foreign").mkdir()
        for name, text in {"__init__": "", **modules}.items():
            (tmp_path / "foreign" / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return "foreign"

    return make


class Mode(enum.Enum):
    A = 1
    B = 2


@exec_ui()
def press(mode: Mode, x: int = 3) -> Any:
    """Presses."""
    return mode, x


def test_a_copy_has_a_group_and_a_label() -> None:
    plain: Any = copy_func(press)
    assert not hasattr(plain, "__ui_module_display_name__")
    copied: Any = copy_func(press, "Stops", "Hexapod stop")
    named: Any = copy_func(func=press, module_display_name="Stops", function_display_name="Hexapod stop")
    for function in (copied, named):
        assert function.__ui_module_display_name__ == "Stops"
        assert function.__ui_display_name__ == "Hexapod stop"
        assert function(Mode.A) == (Mode.A, 3)
        assert function.__wrapped__ is press.__wrapped__  # type: ignore[attr-defined]
    assert named.__ui_lineno__ == copied.__ui_lineno__ + 1
    assert press.__ui_display_name__ is None  # type: ignore[attr-defined]


def test_a_copy_stands_in_its_group(make_package: MakePackage) -> None:
    base = "from gui_executor.exec import exec_ui\n@exec_ui()\ndef stop(): pass\n"
    other = (
        "from gui_executor.utils import copy_func\nfrom foreign.base import stop as _stop\n"
        "hexapod = copy_func(_stop, module_display_name='All stops', function_display_name='Hexapod')\ndel _stop\n"
    )
    (tab,) = read_catalogue([make_package(base=base, other=other)]).tabs
    assert [(g.title, [t.title for t in g.tasks]) for g in tab.groups] == [
        ("All stops", ["Hexapod"]),
        ("base", ["stop"]),
    ]


@pytest.mark.parametrize(
    "hint",
    [
        VariableName("model"),
        VariableName("model", "a model"),
        VariableName("model", name="a model"),
        VariableName(value="model"),
    ],
)
def test_a_variable_is_passed_by_its_value(hint: VariableName) -> None:
    assert (hint.value, repr(hint.get_value())) == ("model", "model")
    assert hint.name in ("var_name", "a model")
    assert repr(make_field(hint).value()) == "model"
    assert repr(hint.get_widget().get_value()) == "model"

    @exec_ui(immediate_run=True)
    def use(a) -> None:  # type: ignore[no-untyped-def]
        """Uses it."""

    use.__wrapped__.__annotations__["a"] = hint  # type: ignore[attr-defined]
    use.__annotations__["a"] = hint
    assert immediate_call(Task(use, __name__, "use")).shown == "response = use(a=model)"
    assert utils.extract_var_name_args_and_kwargs(get_arguments(use)) == ([], {"a": hint.get_value()})
    check = utils.stringify_var_name_checks([hint.get_value()], {})
    found: dict[str, Any] = {}
    exec(check, {}, found)  # noqa: S102
    assert found == {"error": True}


class Piezos(ListList):
    def __repr__(self) -> str:
        return f"{self._literals} {self._defaults}"

    def get_widget(self) -> Any:
        return super().get_widget()


class Offsets(FixedList):
    def __init__(self) -> None:
        super().__init__([int, str], [3, "x"])
        self._defaults = [4, "y"]

    def get_widget(self) -> Any:
        return super().get_widget()


class Filters(DropdownList):
    def get_literals(self) -> Any:
        return ["dark", "bias"]


class Cameras(Callback):
    def get_widget(self) -> Any:
        return super().get_widget()


def test_sub_classes_of_built_in_types() -> None:
    piezos = Piezos([int, str], [1, "a"])
    assert repr(piezos) == f"{[int, str]} [1, 'a']"
    for hint, value in (
        (piezos, [[1, "a"]]),
        (Offsets(), [4, "y"]),
        (Filters([]), ["dark"]),
        (Cameras(lambda: ["achel", "duvel"], default=lambda: "duvel"), "duvel"),
    ):
        widget = hint.get_widget()  # type: ignore[attr-defined]
        assert isinstance(widget, ValueWidget)
        assert widget.get_value() == value
        assert make_field(hint).value() == value
    assert Filters([], ["bias"]).get_defaults() == ["bias"]


def test_widgets_of_the_original() -> None:
    assert utypes.ListListWidget(ListList([int], [2])).get_value() == [[2]]
    assert utypes.FixedListWidget(FixedList([int], [2])).get_value() == [2]
    assert utypes.DropdownListWidget(DropdownList(["a", "b"], ["b"])).get_value() == ["b"]
    assert utypes.CallbackWidget(lambda: True).get_value() is True
    assert repr(utypes.VariableNameWidget("model").get_value()) == "model"
    assert repr(utypes.var_name("model")) == "model"
    assert utypes.UQWidget is ValueWidget
    assert all(hasattr(utypes, name) for name in utypes.__all__)
    with pytest.raises(AttributeError, match="NoSuchWidget"):
        utypes.NoSuchWidget  # noqa: B018

    class Own(TypeObject):
        def get_widget(self) -> Any:
            class Widget(utypes.ListListWidget):
                def get_value(self) -> Any:
                    return len(super().get_value())

            return Widget(ListList([int], [2]))

    assert make_field(Own()).value() == 1


def test_icons_and_run_modes(tmp_path: Path) -> None:
    from gui_executor.gui import IconLabel

    (tmp_path / "a.svg").write_text("<svg/>")
    icon = IconLabel(icon_path=tmp_path / "a.svg")
    assert "data:image/svg+xml;base64,PHN2Zy8+" in icon.value
    icon.set_icon_path(tmp_path / "b.svg")
    assert (icon.value, icon.icon_path) == ("", str(tmp_path / "b.svg"))
    marked: Any = exec_ui()(lambda: None)
    marked.__ui_runnable__ = gui_executor.RUNNABLE_NON_SELECTED
    assert Task(marked, __name__, "marked").mode == "kernel"


def test_modules_of_the_original_that_are_not_here(make_package: MakePackage) -> None:
    tasks = (
        "import gui_executor.client as client\nfrom gui_executor.view import View, ConsoleOutput as Output\n"
        "import gui_executor.kernel\nfrom gui_executor.exec import exec_ui\n"
        "before = client.MyClient.wait_for_ready\nclient.MyClient.wait_for_ready = lambda *_: 'patched'\n"
        "client.TIMEOUT = 3\nkernel = gui_executor.kernel.MyKernel('python3').start(timeout=1)\n"
        "class Panel(Output):\n    pass\n"
        "@exec_ui()\ndef check():\n    return client.MyClient.wait_for_ready(), client.TIMEOUT\n"
    )
    package = make_package(__init__="import gui_executor.client as client\n", tasks=tasks)
    catalogue = read_catalogue([package])
    (task,) = catalogue.tasks()
    assert task.function() == ("patched", 3)
    assert not [name for name in sys.modules if name.startswith(("gui_executor.client", "gui_executor.view"))]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("gui_executor.client")


def test_time_helpers(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    with utils.Timer("Work", precision=1, log_level=logging.DEBUG) as timer:
        timer.log_elapsed()
    assert timer() == timer() >= 0
    assert [record.message for record in caplog.records] == [
        "Work: 0.0 seconds elapsed",
        "Work: 0.0 seconds",
    ]

    @utils.timer(precision=0)
    def work() -> int:
        return 5

    assert work() == 5
    assert capsys.readouterr().out == "Finished 'work' in 0 secs\n"


def test_moments_as_text() -> None:
    moment = datetime.datetime(2026, 6, 13, 14, 45, 59, 45501)
    assert utils.format_datetime(moment) == "2026-06-13T14:45:59.045"
    assert utils.format_datetime(moment, precision=6) == "2026-06-13T14:45:59.045501"
    assert utils.format_datetime(moment, fmt="%H:%M") == "14:45"
    assert utils.format_datetime(moment.replace(tzinfo=datetime.UTC)).endswith(".045+0000")
    assert utils.format_datetime().endswith("+0000")
    yesterday = datetime.date.today() - datetime.timedelta(days=1)
    assert utils.format_datetime("Yesterday") == f"{yesterday:%Y%m%d}"
    assert utils.format_datetime("yesterday", fmt="%d/%m/%Y") == f"{yesterday:%d/%m/%Y}"
    with pytest.raises(ValueError, match="'some day' is no day"):
        utils.format_datetime("some day")


def test_small_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, value in (("ON", True), ("1", True), ("off", False), ("maybe", False)):
        monkeypatch.setenv("A_SWITCH", text)
        assert utils.bool_env("A_SWITCH", default=True) is value
    monkeypatch.delenv("A_SWITCH")
    assert utils.bool_env("A_SWITCH") is False
    assert utils.bool_env("A_SWITCH", default=True) is True
    here = 1
    assert here
    assert utils.var_exists("here")
    assert utils.var_exists("MakePackage")
    assert not utils.var_exists("nowhere")
    with utils.capture() as data:
        print("out")
        print("err", file=sys.stderr)
    assert (data.stdout, data.stderr) == ("out\n", "err\n")
    assert utils.b64decode("aGVsbG8=") == b"hello"
    assert utils.decode_traceback(["\x1b[31ma\x1b[0m", "b"]) == "a\nb"

    @utils.borg
    class Shared:
        def __init__(self, **values: int) -> None:
            vars(self).update(values)

    one, other = Shared(a=1), Shared(b=2)
    assert vars(one) is vars(other)
    assert vars(one) == {"a": 1, "b": 2}
    tree = rich.tree.Tree("root")
    utils.walk_dict_tree({"a": {"b": 1}}, tree)
    text = io.StringIO()
    rich.console.Console(file=text, width=40).print(tree)
    assert "└── a" in text.getvalue()
    assert "b: 1" in text.getvalue()


def test_code_helpers() -> None:
    assert utils.stringify_args([Mode.A, "x"]) == "Mode.A, 'x'"
    assert utils.stringify_kwargs({"mode": Mode.B}) == "mode=Mode.B"
    assert utils.stringify_imports([Mode.A], {}) == f"from {__name__} import Mode"
    assert snippets.create_code_snippet(press, [Mode.A], {"x": 1}).endswith("response = press(Mode.A, x=1)\n")
    text = io.StringIO()
    rich.console.Console(file=text, width=60).print(
        utils.create_code_snippet_renderable(press, [], {"mode": Mode.A})
    )
    assert "response = press(mode=Mode.A)" in text.getvalue()
    assert utils.get_required_args("a = <<n:int>>\nb = <<m>>") == [("n", "int"), ("m", None)]
    assert utils.replace_required_args("a = <<n:int>>", [1]) == ["a = ****"]
    assert list(utils.combo_box_from_enum(Mode).options) == ["A", "B"]
    assert utils.combo_box_from_list([1, 2]).value == "1"
    for ask in (utils.select_file, utils.select_directory):
        with pytest.raises(RuntimeError, match="with the hint"):
            ask(os.curdir)
    assert all(hasattr(utils, name) for name in utils.__all__)
    assert TaskCall(Task(press, __name__, "press")).shown == "response = press()"


ORIGINAL = """\
from camtest.commanding.csl_gse import rotation_stage_move, sma_rotation_move, sma_translation_move
from egse.collimator.fcul.ogse import OGSEInterface, OGSEProxy, is_ogse_cs_active
from egse.exceptions import Abort
from egse.obsid import ObservationIdentifier, obsid_from_storage
from egse.stages.huber import is_smc9300_cs_active
from egse.stages.huber.smc9300 import HuberSMC9300Interface, untangle_status
from egse.stages.huber.smc9300_devif import HuberError
from egse.state import GlobalState
from egse.tcs.tcs import TCSInterface, is_tcs_cs_active
from gui_executor.exec import exec_ui
UI_MODULE_DISPLAY_NAME = "Stages"
@exec_ui()
def running():
    return is_tcs_cs_active(0.05), is_smc9300_cs_active(0.05), is_ogse_cs_active(timeout=0.05)
@exec_ui()
def state():
    return GlobalState, Abort, HuberError
@exec_ui()
def move(angle: float):
    rotation_stage_move(angle=angle)
    sma_rotation_move(angle=2.0)
    sma_translation_move(distance=360.0)
    stages: HuberSMC9300Interface = GlobalState.setup.gse.stages.device
    return [untangle_status(stages.get_status(axis=axis)) for axis in (1, 2, 3)]
"""


def test_names_of_the_common_egse_that_are_elsewhere_here(make_package: MakePackage, dry_run: DryRun) -> None:
    catalogue = read_catalogue([make_package(stages=ORIGINAL)])
    ((group,),) = [tab.groups for tab in catalogue.tabs]
    assert not group.problem
    assert catalogue.find("state").function() == (GlobalState, Abort, HuberError)
    statuses = catalogue.find("move").function(angle=12.5)
    assert [status["err_no"] for status in statuses] == [0, 0, 0]
    assert {12.5, 2.0, 360.0} == {status["pos"] for status in statuses}
    with pytest.raises(Abort, match="hard stop"):
        catalogue.find("move").function(angle=179.0)


def test_servers_that_answer(make_package: MakePackage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, float]] = []

    def nobody(endpoint: str, timeout: float) -> bool:
        asked.append((endpoint, timeout))
        return False

    monkeypatch.setattr(original, "is_control_server_active", nobody)
    catalogue = read_catalogue([make_package(stages=ORIGINAL)])
    assert catalogue.find("running").function() == (False, False, False)
    assert len(set(asked)) == 3
    assert {timeout for _, timeout in asked} == {0.05}


def test_nobody_else_gets_these_names(make_package: MakePackage) -> None:
    read_catalogue([make_package(stages=ORIGINAL)])
    for module in ("egse.state", "egse.exceptions", "egse.obsid", "egse.collimator.fcul.ogse"):
        assert module not in sys.modules
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(module)
    for module, names in compat.ADDED.items():
        assert not [name for name in names if hasattr(importlib.import_module(module), name)]
    assert not [finder for finder in sys.meta_path if type(finder).__module__ == compat.__name__]


def test_a_name_for_which_there_is_nothing_is_missing(make_package: MakePackage) -> None:
    with compat.stand_ins():
        with pytest.raises(ImportError, match="InternalError"):
            from egse.exceptions import InternalError  # type: ignore[import-not-found]  # noqa: F401
        with pytest.raises(ImportError, match="nonsense"):
            from egse.tcs.tcs import nonsense  # type: ignore[attr-defined]  # noqa: F401


def test_status_of_a_stage_by_the_names_of_the_original() -> None:
    status = original.untangle_status("2:11:software limit +:1.5:1.49:2:1:0:1:0:0:0:")
    assert status == {
        "axis": 2,
        "err_no": 11,
        "err_msg": "software limit +",
        "pos": 1.5,
        "epos": 1.49,
        "elimit": 2,
        "ref": 1,
        "eref": 0,
        "ctrl": 1,
        "osc": 0,
        "prog": 0,
    }


def test_names_of_observations(tmp_path: Path) -> None:
    folder = tmp_path / "LAB" / "obs" / "00012_LAB_chimay"
    folder.mkdir(parents=True)
    (tmp_path / "LAB" / "daily").mkdir()
    for location in (tmp_path / "LAB", folder.parent):
        assert original.obsid_from_storage(12, location) == "00012_LAB_chimay"
    assert original.ObservationIdentifier(test_id=12, site_id="LAB", setup_id=3).obsid == "LAB_00003_00012"
