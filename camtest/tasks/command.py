"""The command of a task package: `operate_ui`, `contingency_ui` and their like."""

from __future__ import annotations

import click


def gui_command(name: str, package: str, title: str, text: str) -> click.Command:
    """Returns a command that shows a task package as a page until Ctrl-C.

    Args:
        name: of the command.
        package: the task package.
        title: of the GUI.
        text: what the tasks are for, for the help: "Show ...".
    """

    @click.command(
        name=name,
        help=f"{text}\n\nPrints the address of the page, which holds its token; Ctrl-C ends it, with all that runs in it.",
    )
    @click.option("--kernel", default="camtest", show_default=True, help="Kernel in which tasks run.")
    @click.option("--port", type=int, default=0, help="Port of the page; a free one by default.")
    def command(kernel: str, port: int) -> None:
        from camtest.tasks.page import PageError, PageOptions, serve

        try:
            raise SystemExit(serve(PageOptions((package,), kernel, title, port=port), click.echo))
        except PageError as exc:
            raise click.ClickException(str(exc)) from exc

    return command
