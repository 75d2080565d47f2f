"""`cgse sandbox start|status|stop|env|run`."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import click

from egse.cli.common import print_table, report_stop, tells_errors
from egse.site.layout import SiteError
from egse.site.sandbox import Sandbox

_DIR = click.option(
    "--dir",
    "directory",
    required=True,
    envvar="CGSE_SANDBOX",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the sandbox (or set CGSE_SANDBOX).",
)


def _box(
    directory: Path, only: str | None, everything: bool, options: dict[str, Any], owned: bool
) -> Sandbox:
    """Returns the sandbox of the options; `--all` stands for three of them."""
    if everything:
        options |= {"aeu": True, "optics": True, "equipment": True, "monitor": True}
    return Sandbox(directory, only_core=only == "core", owned=owned, **options)


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options by which a sandbox is made."""
    for option in (
        click.option("--speed", type=float, help="How much faster than the wall its time runs; default 1."),
        click.option("--seed", type=int, help="Of noise and other random parts of the simulators."),
        click.option("--scene", type=click.Path(path_type=Path), help="FITS file that the camera looks at."),
        click.option("--camera", help="Name of the camera in its first Setup; default achel."),
        click.option("--site", "site_id", help="Its site id; default LAB."),
        click.option(
            "--aeu/--no-aeu", default=None, help="With the AEU: the camera is off until switched on."
        ),
        click.option(
            "--optics/--no-optics",
            default=None,
            help="The camera sees the light of the OGSE, dark while its lamp is off; default: stars, always.",
        ),
        click.option(
            "--equipment/--no-equipment",
            default=None,
            help="With all other instruments of the test houses: mechanisms, thermal control, bench instruments.",
        ),
        click.option(
            "--monitor/--no-monitor", default=None, help="With the limit monitor, which raises alarms."
        ),
        click.option(
            "--all", "everything", is_flag=True, help="Same as --aeu --optics --equipment --monitor."
        ),
        click.option("--only", type=click.Choice(["core"]), help="Start the core services only."),
        click.option("--new-ports", is_flag=True, help="Take other ports, someone else uses those it has."),
        click.option("--timeout", default=60.0, show_default=True, help="How long the start may take [s]."),
    ):
        function = option(function)
    return function


def _existing(directory: Path) -> Sandbox:
    sandbox = Sandbox(directory, owned=False)
    if not sandbox.exists:
        raise SiteError(f"there is no sandbox in {sandbox.directory}: cgse sandbox start --dir {directory}")
    return sandbox


@click.group()
def sandbox() -> None:
    """A private site with simulators, in one folder.

    Example: cgse sandbox start --dir ~/bench --speed 10
    """


@sandbox.command()
@_DIR
@_options
@tells_errors
def start(
    directory: Path, only: str | None, everything: bool, new_ports: bool, timeout: float, **options: Any
) -> None:
    """Make a sandbox unless it is there, and start what does not run in it.

    Example: cgse sandbox start --dir ~/bench --speed 10
    """
    box = _box(directory, only, everything, options, owned=False)
    before = list(box.supervision.launcher.status()) if box.exists else []
    rows = box.start(timeout, new_ports=new_ports)
    already = [row.name for row in rows if row.name in before]
    if already:
        click.echo(f"Running already: {', '.join(already)}")
    print_table(rows)
    click.echo(f'\nJoin it with:  eval "$(cgse sandbox env --dir {directory})"')


@sandbox.command()
@_DIR
@tells_errors
def status(directory: Path) -> None:
    """Show what runs in a sandbox; exit code 1 when nothing does, or something should and does not.

    Example: cgse sandbox status --dir ~/bench
    """
    rows = _existing(directory).rows()
    print_table(rows)
    sys.exit(0 if rows and all(row.up for row in rows) else 1)


@sandbox.command()
@_DIR
@tells_errors
def stop(directory: Path) -> None:
    """Stop everything that runs in a sandbox; its folder stays.

    Example: cgse sandbox stop --dir ~/bench
    """
    report_stop(_existing(directory).stop())


@sandbox.command()
@_DIR
@click.option("--shell", type=click.Choice(["bash", "fish"]), default="bash", show_default=True)
@tells_errors
def env(directory: Path, shell: str) -> None:
    """Print the commands by which a shell joins a sandbox.

    Example: eval "$(cgse sandbox env --dir ~/bench)"
    """
    click.echo(_existing(directory).exports(shell))


@sandbox.command(context_settings={"ignore_unknown_options": True})
@_DIR
@_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@tells_errors
def run(
    directory: Path,
    only: str | None,
    everything: bool,
    new_ports: bool,
    timeout: float,
    command: tuple[str, ...],
    **options: Any,
) -> None:
    """Run a command in a sandbox, started for it if need be; the exit code is that of the command.

    Example: cgse sandbox run --dir ~/bench --speed 10 -- camtest obs list
    """
    box = _box(directory, only, everything, options, owned=True)
    running = box.exists and box.status() != {}
    try:
        if not running:
            box.start(timeout, new_ports=new_ports)
        code = _run(command, box.environ())
    finally:
        if not running:
            box.stop()
    sys.exit(code)


def _run(command: tuple[str, ...], environment: dict[str, str]) -> int:
    """Runs a command, passing signals on to it, and returns its exit code as a shell would."""
    try:
        child = subprocess.Popen(command, env=environment)
    except OSError as exc:
        raise SiteError(f"{command[0]} cannot be run: {exc.strerror}") from exc

    def pass_on(signum: int, _: FrameType | None) -> None:
        child.send_signal(signum)

    # Ctrl-C in a terminal reaches the command by itself; here it must only not end us before it.
    before = {signum: signal.signal(signum, pass_on) for signum in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = child.wait()
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    return code if code >= 0 else 128 - code
