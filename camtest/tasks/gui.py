"""The Tasks GUI as a widget: `tasks_gui("yakka")` in a notebook (chapter 22 of the manual).

Callbacks of widgets only queue what is wanted, because they do not run while a cell runs, and nothing may wait in them.
Two threads of the panel's own do the rest: one does what was wanted, one shows how things are.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import re
import threading
import weakref
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from camtest.jupyter import keeping
from camtest.tasks.calls import NotCodeError, TaskCall
from camtest.tasks.catalogue import Task, read_catalogue
from camtest.tasks.exec import APP
from camtest.tasks.form import ArgumentsForm, FormError, immediate_call, takes_long
from camtest.tasks.keepsake import Keepsake
from camtest.tasks.kernels import end_of_thread, kernel_names
from camtest.tasks.parts import (
    BAD,
    AppPanel,
    ArgumentsPanel,
    ConsolePanel,
    QuestionPanel,
    TaskButtons,
    hide,
    on_enter,
    picture,
    set_value,
)
from camtest.tasks.recurring import RecurringTasks
from camtest.tasks.running import RunnerError
from camtest.tasks.session import OWN_KERNEL, BusyError, Run, TaskSession

LOGGER = logging.getLogger(__name__)

REFRESH = 0.2
"""How often the panel shows what is new [s]: a browser takes no more than some messages a second."""
LAST_WORDS = 1.0
"""How long the end of the panel waits for what is done beside, such as a task that is asked for its choices [s]."""
ATTENTION = "GUI_EXECUTOR_ATTENTION_LABEL"
ATTENTION_COLOUR = "GUI_EXECUTOR_ATTENTION_COLOR"


class TasksGUI(Keepsake, widgets.VBox):  # type: ignore[misc]
    """The Tasks GUI.

    Args:
        packages: task packages; their groups and sub-packages become tabs.
        kernel: kernel in which tasks run, `OWN_KERNEL` for that of the notebook.
        namespace: variables of the notebook; found when None.
        title: name of the GUI.
        logo: picture beside it.
        command_log: folder of the command log.
        save_output: file that gets the output as plain text.

    Raises:
        TaskPackageError: when a package cannot be imported, or holds no task.

    Attributes:
        session: what runs, without widgets.
    """

    def __init__(
        self,
        *packages: str,
        kernel: str = OWN_KERNEL,
        namespace: MutableMapping[str, Any] | None = None,
        title: str = "",
        logo: Path | None = None,
        command_log: Path | None = None,
        save_output: Path | None = None,
        **options: Any,
    ) -> None:
        catalogue = read_catalogue(packages)
        self.session = TaskSession(
            catalogue,
            kernel,
            _notebook_variables() if namespace is None else namespace,
            command_log,
            save_output,
        )
        self.title = title or ", ".join(packages)
        self._keep()
        self._logo = [] if logo is None else [picture(logo)]
        self.errors: list[str] = []
        self._wanted: queue.Queue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.Queue()
        self._stop = threading.Event()
        self._selected: Task | None = None
        self._apps: dict[int, AppPanel] = {}
        self._shows_source = False
        self._besides: set[threading.Thread] = set()
        self._starting = threading.Lock()
        self._make_parts()
        super().__init__(self._layout(), **options)
        self._recurring = RecurringTasks(catalogue.recurring)
        self._threads = [
            threading.Thread(
                target=_act, args=(weakref.ref(self), self._wanted), name="tasks-act", daemon=True
            ),
            threading.Thread(
                target=_refresh, args=(weakref.ref(self), self._stop), name="tasks-show", daemon=True
            ),
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(_close, weakref.ref(self))
        if kernel != OWN_KERNEL:
            self.want(self.session.start_kernel)

    # Parts -------------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.buttons = TaskButtons(self.session.catalogue, self._pressed)
        self.arguments = ArgumentsPanel(
            lambda: self.want(self._run_form),
            lambda: self.want(self._deselect),
            lambda: self.want(self._copy),
        )
        self.asking = widgets.HTML()
        self.question = QuestionPanel()
        self.output = ConsolePanel(self.session.console)
        self.message = widgets.HTML()
        self.code = widgets.Textarea(
            description="code", layout=widgets.Layout(display="none", width="100%", height="9em")
        )
        self.apps = widgets.VBox()
        self.busy = widgets.HTML()
        self.bar = widgets.FloatProgress(
            min=0.0, max=1.0, layout=widgets.Layout(display="none", width="12em")
        )
        self.left, self.right = widgets.HTML(), widgets.HTML()
        self._make_toolbar()

    def _make_toolbar(self) -> None:
        own = self.session.kernel_name == OWN_KERNEL
        self.restart = self._tool("restart kernel", "refresh", lambda: self.want(self._restart), disabled=own)
        self.interrupt = self._tool("interrupt", "stop", lambda: self._beside(self.session.interrupt))
        self.console_button = self._tool("console", "terminal", lambda: self.want(self._toggle_console))
        self.source_button = widgets.ToggleButton(
            description="view source",
            icon="file-code-o",
            tooltip="a click on a task shows its source",
            value=False,
        )
        self.kernels = widgets.Dropdown(
            description="available kernels",
            options=[OWN_KERNEL, *kernel_names()],
            value=self.session.kernel_name,
            style={"description_width": "initial"},
        )
        self.kernels.observe(lambda change: self.want(self._switch, change["new"]), names="value")
        self.prompt = widgets.Text(
            description="In:", layout=widgets.Layout(width="60%"), continuous_update=True
        )
        on_enter(self.prompt, lambda: self.want(self._typed))
        enter = self._tool("execute", "play", lambda: self.want(self._typed))
        self.existing = widgets.HTML()
        self.typing = widgets.VBox(
            [widgets.HBox([self.prompt, enter]), self.existing], layout=widgets.Layout(display="none")
        )

    @staticmethod
    def _tool(text: str, icon: str, action: Callable[[], None], disabled: bool = False) -> Any:
        button = widgets.Button(
            description=text, icon=icon, disabled=disabled, layout=widgets.Layout(width="auto")
        )
        button.on_click(lambda _: action())
        return button

    def _layout(self) -> list[Any]:
        tools = [
            self.restart,
            self.console_button,
            self.interrupt,
            self.source_button,
            self.kernels,
            self.busy,
            self.bar,
        ]
        status = widgets.HBox(
            [self.left, self.right],
            layout=widgets.Layout(justify_content="space-between", margin="0.3em 0 0 0"),
        )
        head = [] if not (badge := _attention()) else [widgets.HTML(badge)]
        return [
            *head,
            widgets.HBox([*self._logo, widgets.HTML(f"<h3 style='margin:0'>{escape(self.title)}</h3>")]),
            widgets.HBox(tools, layout=widgets.Layout(flex_flow="row wrap")),
            self.buttons.widget,
            self.arguments.widget,
            self.asking,
            self.message,
            self.code,
            self.question.widget,
            self.output.widget,
            self.typing,
            self.apps,
            status,
            self.seen,
        ]

    # What is wanted (in the thread of actions) -------------------------------------------------------------------

    def want(self, action: Callable[..., None], *arguments: Any) -> None:
        """Queues something to be done; returns at once."""
        self._wanted.put((action, arguments))

    def _beside(self, action: Callable[..., None], *arguments: Any) -> None:
        """Does something at once, whatever the thread of actions is at."""

        def run() -> None:
            self._do(action, arguments)
            end_of_thread()
            self._besides.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="tasks-beside", daemon=True)
        with self._starting:  # only a thread that has started can be waited for
            self._besides.add(thread)
            thread.start()

    def _do(self, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._say("")
        try:
            action(*arguments)
        except (BusyError, RunnerError, FormError, NotCodeError, LookupError) as exc:
            self._say(str(exc))
        except Exception as exc:  # shown, logged and kept: an error of the panel must not pass unseen
            LOGGER.exception("an action of the Tasks GUI failed")
            self.errors.append(f"{type(exc).__name__}: {exc}")
            self._say(f"the panel has failed: {type(exc).__name__}: {exc} (see the log)")

    def _say(self, text: str) -> None:
        set_value(
            self.message, f'<span role="alert" style="color:{BAD}">{escape(text)}</span>' if text else ""
        )

    def _pressed(self, task: Task) -> None:
        """Queues a click on a task; an emergency action waits for nothing that was wanted before."""
        emergency = task.immediate and task.may_interrupt
        (self._beside if emergency else self.want)(self._clicked, task)

    def _clicked(self, task: Task) -> None:
        if self.source_button.value:
            self._show_code(task.source)
        elif task.immediate:
            self._start(immediate_call(task), None)
        else:
            self._select(task)

    def _select(self, task: Task) -> None:
        hide(self.code)
        if task is self._selected:
            return  # what was typed stays
        if not takes_long(task):
            self._open(task, ArgumentsForm(task))
            return
        self._selected = task
        self.buttons.select(task)
        self.arguments.close()  # the buttons of the former form would run the former task
        text = f"'{escape(task.title)}': asking for the choices ..."
        set_value(self.asking, f'<span role="status">{text}</span>')
        self._beside(self._make_form, task)

    def _make_form(self, task: Task) -> None:
        """Makes a form whose fields ask functions of the task's author, which may take long."""
        try:
            made: ArgumentsForm | Exception = ArgumentsForm(task)
        except Exception as exc:  # raised again in the thread of actions
            made = exc
        self.want(self._made, task, made)

    def _made(self, task: Task, made: ArgumentsForm | Exception) -> None:
        """Shows a form, unless another task was selected while it was made, or the task has one already."""
        if task is not self._selected or self.arguments.form is not None:
            return
        if isinstance(made, Exception):
            self._deselect()
            raise made
        self._open(task, made)

    def _open(self, task: Task, form: ArgumentsForm) -> None:
        self._selected = task
        set_value(self.asking, "")
        self.buttons.select(task)
        self.arguments.open(form)

    def _deselect(self) -> None:
        self._selected = None
        set_value(self.asking, "")
        self.arguments.close()
        self.buttons.select(None)
        hide(self.code)

    def _form_call(self) -> TaskCall | None:
        """Returns the call in the form; None, and says why, when something is wrong."""
        form = self.arguments.form
        if form is None:
            return None
        try:
            call = form.call()
        except FormError as exc:
            self.arguments.say(exc.errors)
            return None
        self.arguments.say([])
        return call

    def _run_form(self) -> None:
        call = self._form_call()
        if call is not None:
            self._start(call, self.arguments.modes.value)

    def _start(self, call: TaskCall, mode: str | None) -> None:
        run = self.session.start(call, mode)
        if run.mode == APP:
            self._apps[run.number] = AppPanel(
                run, lambda run: self.want(_end_app, run), lambda run: self.want(self._remove_app, run)
            )
            self.apps.children = [app.widget for app in list(self._apps.values())]

    def _remove_app(self, run: Run) -> None:
        self._apps.pop(run.number, None)
        self.apps.children = [app.widget for app in list(self._apps.values())]

    def _copy(self) -> None:
        call = self._form_call()
        if call is not None:
            self._show_code(call.code)
            self.to_cell(call)

    def _show_code(self, text: str) -> None:
        self.code.value = text
        hide(self.code, False)

    def to_cell(self, call: TaskCall | None = None) -> None:
        """Makes a new cell with a call as code, below the cell that is executed next (or now).

        Args:
            call: the last one that ran when None.

        Raises:
            LookupError: when nothing ran.
        """
        if call is None:
            if not self.session.runs:
                raise LookupError("no task was run")
            call = self.session.runs[-1].call
        shell = _shell()
        if shell is not None:
            shell.set_next_input(call.code, replace=False)

    def _restart(self) -> None:
        self.session.restart_kernel()

    def _switch(self, name: str) -> None:
        self.session.switch_kernel(name)
        self.restart.disabled = name == OWN_KERNEL
        set_value(self.kernels, self.session.kernel_name)
        self._describe_console()

    def _toggle_console(self) -> None:
        hide(self.typing, (self.typing.layout.display or "") != "none")
        self._describe_console()

    def _describe_console(self) -> None:
        file = self.session.connection_file
        text = (
            f"in a terminal: <code>jupyter console --existing {escape(file)}</code>"
            if file
            else "type into a cell"
        )
        set_value(self.existing, f"<small>{text}</small>")

    def _typed(self) -> None:
        code, self.prompt.value = self.prompt.value, ""
        if code.strip():
            self._beside(self.session.type_in, code)  # it may take long, and may be interrupted

    # What is shown (in the thread of the display) ----------------------------------------------------------------

    def _show(self) -> None:
        self.output.refresh()
        if self.session.current is None:
            self.snapshot()
        for app in list(self._apps.values()):
            app.refresh()
        self.question.show(self.session.desk.current)
        run = self.session.current
        text, part = ("", None) if run is None else run.progress
        if run is None:
            set_value(self.busy, "")
        else:
            what = f"{escape(run.title)} is running, {run.elapsed:.0f} s"
            set_value(
                self.busy,
                f'<span role="status" data-busy="yes">{what}{f": {escape(text)}" if text else ""}</span>',
            )
        hide(self.bar, part is None)
        if part is not None:
            set_value(self.bar, part)
        set_value(self.left, escape(self._recurring.text(permanent=False)))
        set_value(self.right, f"<b>{escape(self._recurring.text(permanent=True))}</b>")

    # The end -----------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True after `close()`."""
        return self._stop.is_set()

    def close(self) -> None:
        """Ends threads, kernels, processes and widgets. May be called again."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._wanted.put(None)
        self._recurring.close()
        self.session.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(10.0)
        with self._starting:
            besides = list(self._besides)
        for thread in besides:
            if thread is not threading.current_thread():
                thread.join(LAST_WORDS)
        self.snapshot()
        keeping.forget(self)
        super().close()


def _end_app(run: Run) -> None:
    run.context.stopped.set()
    run.runner.close()


def _act(gui: weakref.ref[TasksGUI], wanted: queue.Queue[Any]) -> None:
    """Does what is wanted, one thing after the other."""
    while (item := wanted.get()) is not None:
        panel = gui()
        if panel is None:
            return
        panel._do(*item)
        del panel, item
    end_of_thread()


def _refresh(gui: weakref.ref[TasksGUI], stop: threading.Event) -> None:
    is_told = not keeping.is_page()  # what is told while a page loads does not arrive
    while not stop.wait(REFRESH):
        panel = gui()
        if panel is None:
            return
        try:
            if not is_told and panel.is_seen:
                is_told = True
                keeping.tell_all(panel)
            panel._show()
        except (
            Exception
        ):  # a loop that runs as long as the panel: an error is logged, and the next turn may do better
            if not stop.is_set():
                LOGGER.exception("the Tasks GUI cannot be brought up to date")
        del panel


def _close(gui: weakref.ref[TasksGUI]) -> None:
    panel = gui()
    if panel is not None:
        panel.close()


def _shell() -> Any:
    with suppress(ImportError):
        from IPython import get_ipython

        return get_ipython()
    return None


def _notebook_variables() -> MutableMapping[str, Any]:
    shell = _shell()
    return {} if shell is None else shell.user_ns


def _attention() -> str:
    """Returns the badge of a special environment, empty where none is asked for."""
    label = os.environ.get(ATTENTION, "").strip()
    mode = os.environ.get("GUI_EXECUTOR_ATTENTION_MODE", "").strip().lower()
    if not label and mode in ("", "0", "false", "no", "off"):
        return ""
    colour = os.environ.get(ATTENTION_COLOUR, "")
    if not re.fullmatch(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]+", colour):
        colour = "#d62828"
    text = escape(label or "ATTENTION MODE")
    return f'<div style="background:{colour};color:#fff;padding:0.2em 0.8em;font-weight:bold">{text}</div>'


_shown: weakref.WeakValueDictionary[tuple[str, ...], TasksGUI] = weakref.WeakValueDictionary()


def tasks_gui(*packages: str, **options: Any) -> TasksGUI:
    """Returns the Tasks GUI of some packages, to be shown as the last line of a cell; closes one that was made before.

    Args:
        packages: names of task packages.
        options: those of `TasksGUI`.
    """
    before = _shown.pop(packages, None)
    if before is not None:
        before.close()
    gui = TasksGUI(*packages, **options)
    _shown[packages] = gui
    return gui
