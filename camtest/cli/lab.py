"""`camtest lab`: JupyterLab as a member of a site, on loopback, behind a token."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from urllib.parse import quote

import click

from camtest.jupyter.serving import NO_NEWS

START_PAGE = Path("notebooks") / "README.md"
"""What is opened first, below the folder of the notebooks: links to cockpit, tutorials, procedures, queue."""


@click.command(
    epilog="Example: camtest lab --sandbox ~/training --port 8890",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "--sandbox",
    "sandbox_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Work on the sandbox in this folder, made and started when needed, instead of the site of this terminal.",
)
@click.option(
    "--speed", type=float, help="How much faster than the wall the time of the sandbox runs; 5 for a new one."
)
@click.option(
    "--root",
    default=".",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Folder of the notebooks; this one by default.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port on this machine; the first free one from 8888."
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def lab(
    sandbox_dir: Path | None,
    speed: float | None,
    root: Path,
    port: int | None,
    no_browser: bool,
    options: tuple[str, ...],
) -> None:
    """Open JupyterLab: kernels, panels, procedures, tutorials and the queue from one page.

    It listens on this machine only and asks for a token, which stands in the address that is printed. Works on the site that
    the environment names; with --sandbox, or where none is named, on a sandbox that is stopped when JupyterLab ends.
    OPTIONS go to `jupyter lab`.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise click.ClickException("JupyterLab is not installed here: pip install jupyterlab")
    command = lab_command(root.resolve(), port, no_browser, options)
    from egse.env import SITE_ID
    from egse.site.sandbox import Sandbox

    if sandbox_dir is None and os.environ.get(SITE_ID):
        sys.exit(_run(command, os.environ))
    folder = sandbox_dir or Path(".sandbox")
    chosen = speed if speed is not None or (folder / "sandbox.json").exists() else 5.0
    box = Sandbox(folder, speed=chosen)
    running = box.exists and bool(box.status())
    try:
        if not running:
            click.secho(f"Starting the sandbox in {folder} ...", bold=True)
            box.start()
        code = _run(command, box.environ())
    finally:
        if not running:
            click.echo("Stopping the sandbox ...")
            box.stop()
    sys.exit(code)


def lab_command(root: Path, port: int | None, no_browser: bool, options: tuple[str, ...]) -> list[str]:
    """Returns the command line of JupyterLab.

    Args:
        root: folder of the notebooks.
        port: None for the first free one.
        no_browser: only print the address.
        options: for `jupyter lab`; they come last and win.
    """
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={root}"]
    command += [f"--LabApp.{name}={value}" for name, value in NO_NEWS.items()]
    if port is not None:
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if (root / START_PAGE).exists():
        factory = quote("Markdown Preview")
        command.append(f"--LabApp.default_url=/lab/tree/{quote(START_PAGE.as_posix())}?factory={factory}")
    if no_browser:
        command.append("--no-browser")
    if os.geteuid() == 0:
        command.append("--allow-root")
    return [*command, *options]


def _run(command: list[str], environment: Mapping[str, str]) -> int:
    """Runs JupyterLab; one Ctrl-C or SIGTERM ends it, and with it its kernels."""
    child = subprocess.Popen(command, env=dict(environment), start_new_session=True)
    asked = False

    def end(signum: int, _: FrameType | None) -> None:
        nonlocal asked
        child.send_signal(signal.SIGTERM if not asked else signal.SIGKILL)
        asked = True

    kept = {signum: signal.signal(signum, end) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        code = child.wait()
    finally:
        for signum, handler in kept.items():
            signal.signal(signum, handler)
    return 0 if asked else code
