"""Tasks that look at observations from files; no device is touched. `analysis_ui`, or `camtest tasks camtest.analysis_tasks`; in a notebook `tasks_gui("camtest.analysis_tasks")`."""

from __future__ import annotations

import click

from camtest.tasks import start_tasks_gui

PACKAGE, TITLE = "camtest.analysis_tasks", "Analysis GUI"


def analysis_ui() -> None:
    """Starts the GUI as a page, in the background; prints its address."""
    start_tasks_gui(PACKAGE, title=TITLE)


@click.command(name="analysis_ui")
@click.option("--kernel", default="camtest", show_default=True, help="Kernel in which tasks run.")
@click.option("--port", type=int, default=0, help="Port of the page; a free one by default.")
def cli(kernel: str, port: int) -> None:
    """Show tasks that look at observations.

    Prints the address of the page, which holds its token; Ctrl-C ends it, with all that runs in it.
    """
    from camtest.tasks.page import PageError, PageOptions, serve

    try:
        raise SystemExit(serve(PageOptions((PACKAGE,), kernel, TITLE, port=port), click.echo))
    except PageError as exc:
        raise click.ClickException(str(exc)) from exc
