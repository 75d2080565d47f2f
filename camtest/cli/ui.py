"""`camtest ui` and the commands of single pages: `pm_ui`, `setup_ui`, `dpu_ui`, ..."""

from __future__ import annotations

from typing import Any

import click

from camtest.panels.pages import PAGES

SERVING = [
    click.option("--port", default=0, show_default="any free one", help="Port of the server."),
    click.option(
        "--ip",
        default="127.0.0.1",
        show_default=True,
        help="Address of the server; beyond loopback at your own risk.",
    ),
    click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True),
    click.option(
        "--browser/--no-browser", default=True, help="Open the page in the browser of this desktop."
    ),
]
TYPE = click.option(
    "--type",
    "kind",
    type=click.Choice(["proxy", "simulator", "direct"]),
    default="proxy",
    show_default=True,
    help="Through the control server; a model in the page's own process; the device itself, past its server.",
)

PROFILE = click.option(
    "--profile",
    is_flag=True,
    expose_value=False,
    help="Taken as by the windows of the original, without effect: what a page does is logged in any case.",
)


def _serving(command: Any) -> Any:
    for option in reversed(SERVING):
        command = option(command)
    return command


def _open(path: str, port: int, ip: str, theme: str, browser: bool, **options: str) -> None:
    from camtest.panels.serving import NoVoilaError, find_running, serve

    running = find_running() if port == 0 else None
    if running is not None:
        address = running.address(path, **options)
        click.echo(f"camtest pages: {address}")
        if browser:
            click.launch(address)
        return
    try:
        serve(port, ip, theme, path, open_browser=browser, **options)
    except NoVoilaError as exc:
        raise click.ClickException(str(exc)) from exc


@click.command(epilog="Example: camtest ui --status --port 8890")
@_serving
@click.option("--status", is_flag=True, help="Begin with the status page instead of the list of all pages.")
def ui(port: int, ip: str, theme: str, browser: bool, status: bool) -> None:
    """Serve all panels as pages, on loopback, guarded by a token, until Ctrl-C.

    The address with the token is printed; who has it may command. The status page tells what is running, what is wrong and
    the next action. When a server of this site and user runs already, its address is printed.
    """
    options = {"theme": "dark"} if theme == "dark" else {}
    _open("camtest/status" if status else "camtest", port, ip, theme, browser, **options)


def page_command(name: str) -> click.Command:
    """Returns the command that opens a page, in the server that runs or in one of its own."""
    page = PAGES[name]

    def command(port: int, ip: str, theme: str, browser: bool, **given: Any) -> None:
        options = {key: str(value) for key, value in given.items() if value is not None}
        if "kind" in options:
            options["type"] = options.pop("kind")
        _open(f"voila/render/{name}.ipynb", port, ip, theme, browser, **options)

    command.__doc__ = (
        f"{page.title}.\n\nOpens the page in the server of `camtest ui`; when none runs, in one of its own that lasts "
        "until Ctrl-C."
    )
    made = _serving(command)
    if page.of_device:
        made = PROFILE(TYPE(made))
    if name == "device_ui":
        made = click.argument("server")(made)
    if name == "hdf5_ui":
        made = click.argument(
            "file", required=False, type=click.Path(exists=True, dir_okay=False, resolve_path=True)
        )(made)
    return click.command(name=name)(made)


def __getattr__(name: str) -> click.Command:
    """Every page has a command of its name, for the console scripts."""
    if name not in PAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return page_command(name)
