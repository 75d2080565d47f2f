"""`cgse new-device`: a complete package for an instrument, to start from.

The templates (`egse/data/templates/new-device`) are the files themselves, with words in the place of what differs.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from egse.cli.common import tells_errors
from egse.env import EnvError, get_site_id
from egse.files import write_atomically
from egse.resource import get_resource
from egse.settings import Settings
from egse.site.layout import SiteError

MAX_NAME = 24
"""Longest name: file names and lines of code stay readable."""
FIRST_PORT, PORTS, PORT_STEP = 30200, 4, 10
"""Where control servers of third parties get their ports, how many each has, and the distance between two."""


@dataclass(frozen=True)
class NewDevice:
    """What the templates are filled in with.

    Attributes:
        name: name of the package, `bench_psu`.
        device_port: TCP port of the instrument.
        server_port: first of the four ports of the control server.
        site: the site whose prefix the rows of the telemetry dictionary have.
    """

    name: str
    device_port: int
    server_port: int
    site: str

    def words(self) -> dict[str, str]:
        """Returns what each word of the templates stands for, in the order of replacement."""
        upper = self.name.upper()
        return {
            "NEWDEV-MNEMONIC": upper.replace("_", "-"),
            "NEWSITE": self.site.upper().replace("-", "_"),
            "NEWDEV": upper,
            "NewDev": "".join(part.capitalize() for part in self.name.split("_")),
            "newdev": self.name,
            "55555": str(self.device_port),
        } | {f"4444{offset}": str(self.server_port + offset) for offset in range(PORTS)}

    def files(self) -> dict[str, str]:
        """Returns the text of each file of the package by its path."""
        root = get_resource(":/data/templates/new-device")
        return {
            self._fill(str(path.relative_to(root)).removesuffix(".tmpl")): self._fill(path.read_text("utf-8"))
            for path in sorted(root.rglob("*.tmpl"))
        }

    def _fill(self, text: str) -> str:
        words = self.words()
        return re.sub("|".join(map(re.escape, words)), lambda found: words[found.group()], text)


def check_name(name: str) -> None:
    """Checks that a name can be that of a package.

    Raises:
        SiteError: saying what is wrong with it.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        hint = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").lstrip("0123456789_")
        raise SiteError(
            f"{name!r} cannot be the name of a package: lower-case letters, digits and single underscores, a letter "
            f"first{f'; try {hint!r}' if hint else ''}"
        )
    if len(name) > MAX_NAME:
        raise SiteError(f"{name!r} is too long: at most {MAX_NAME} characters")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise SiteError(f"{name!r} is a word of the Python language")
    if name in sys.stdlib_module_names:
        raise SiteError(f"{name!r} is a module of Python: choose another name")
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.origin is not None:
        raise SiteError(f"a package {name!r} is installed already ({spec.origin}): choose another name")


def free_server_port(settings: Mapping[str, Any]) -> int:
    """Returns the first of four ports that no block of the settings has."""
    taken = set(_ports(settings))
    port = FIRST_PORT
    while taken & set(range(port, port + PORTS)):
        port += PORT_STEP
    return port


def _ports(settings: Mapping[str, Any]) -> Iterator[int]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _ports(value)
        elif key.endswith("PORT") and isinstance(value, int):
            yield value


def _site() -> str:
    try:
        return get_site_id()
    except EnvError:
        return "LAB"


@click.command("new-device")
@click.argument("name")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="The folder to make; default: ./NAME.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5025,
    show_default=True,
    help="TCP port of the instrument.",
)
@click.option(
    "--server-port",
    type=click.IntRange(1024, 65535 - PORTS + 1),
    help="First of the four ports of the control server; default: the first that no server in the settings has.",
)
@click.option(
    "--site", help="Site whose prefix the names of its housekeeping get; default: this one, otherwise LAB."
)
@tells_errors
def new_device(name: str, folder: Path | None, port: int, server_port: int | None, site: str | None) -> None:
    """Make a package for an instrument that speaks ASCII over TCP.

    The package has the driver, a simulator, the control server, housekeeping, settings and tests that pass; it is then
    changed to what the instrument really does. NAME becomes the name of the package.

    Example: cgse new-device bench_psu --port 9221
    """
    check_name(name)
    site = site or _site()
    if not re.fullmatch(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*", site):
        raise SiteError(f"{site!r} cannot be the name of a site: letters, digits, - and _")
    settings = Settings.load()
    block = f"{name.upper()} Control Server"
    if block in settings:
        raise SiteError(f"the settings have a block {block!r} already: choose another name")
    device = NewDevice(name, port, server_port or free_server_port(settings), site)
    root = folder or Path(name)
    write_package(device, root)
    click.echo(f"Made {root}. It works as it is:\n\n  cd {root} && python -m pytest\n")
    click.echo(
        f"Next: put the commands of your instrument into src/{name}/{name}.py and its behaviour into "
        f"src/{name}/{name}_sim.py.\nREADME.md says how to install it and where its settings go."
    )


def write_package(device: NewDevice, root: Path) -> None:
    """Writes the package into a folder of its own.

    Args:
        device: what it is made for.
        root: a folder that does not exist yet, or an empty one.

    Raises:
        SiteError: when there is something of this name, or it cannot be written.
    """
    try:
        if root.exists() and not (root.is_dir() and not any(root.iterdir())):
            raise SiteError(f"{root} exists already: name another folder with --dir, or move it away")
        for path, text in device.files().items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, text.encode(), None, durable=False)
    except OSError as exc:
        raise SiteError(f"{root} cannot be written: {exc.strerror or exc}") from exc
