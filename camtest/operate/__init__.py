"""Tasks of every day: observations, AEU, N-FEE, acquisition, OGSE, temperature control, Setup. `operate_ui`, or `camtest tasks camtest.operate`; in a notebook `tasks_gui("camtest.operate")`."""

from __future__ import annotations

import click

from camtest.tasks import start_tasks_gui

PACKAGE, TITLE = "camtest.operate", "Operator GUI"


def operate_ui() -> None:
    """Starts the GUI as a page, in the background; prints its address."""
    start_tasks_gui(PACKAGE, title=TITLE)


@click.command(name="operate_ui")
@click.option("--kernel", default="camtest", show_default=True, help="Kernel in which tasks run.")
@click.option("--port", type=int, default=0, help="Port of the page; a free one by default.")
def cli(kernel: str, port: int) -> None:
    """Show the tasks of every day.

    Prints the address of the page, which holds its token; Ctrl-C ends it, with all that runs in it.
    """
    from camtest.tasks.page import PageError, PageOptions, serve

    try:
        raise SystemExit(serve(PageOptions((PACKAGE,), kernel, TITLE, port=port), click.echo))
    except PageError as exc:
        raise click.ClickException(str(exc)) from exc
