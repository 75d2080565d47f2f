"""The control servers of the AEU, one for each unit: `aeu_cs start crio`, `aeu_cs start psu 2`, `aeu_cs status`."""

from __future__ import annotations

import sys

import click

from egse.aeu.awg_interface import AWGInterface
from egse.aeu.crio_interface import CRIOInterface
from egse.aeu.making import make_awg, make_crio, make_psu
from egse.aeu.protocol import AWGProtocol, CRIOProtocol, PSUProtocol
from egse.aeu.psu_interface import PSUInterface
from egse.control import ControlServerApp
from egse.control_cli import make_command_line

CRIO = ControlServerApp(
    name="aeu_crio_cs",
    settings="AEU CRIO Control Server",
    title="AEU cRIO",
    interface=CRIOInterface,
    controller=make_crio,
    protocol=CRIOProtocol,
    proxy="egse.aeu.aeu:CRIOProxy",
)
PSU = ControlServerApp(
    name="aeu_psu{unit}_cs",
    settings="AEU PSU{unit} Control Server",
    title="AEU power supply {unit}",
    interface=PSUInterface,
    controller=make_psu,
    protocol=PSUProtocol,
    proxy="egse.aeu.aeu:PSUProxy",
)
AWG = ControlServerApp(
    name="aeu_awg{unit}_cs",
    settings="AEU AWG{unit} Control Server",
    title="AEU waveform generator {unit}",
    interface=AWGInterface,
    controller=make_awg,
    protocol=AWGProtocol,
    proxy="egse.aeu.aeu:AWGProxy",
)
PSU1, PSU2, PSU3, PSU4, PSU5, PSU6 = (PSU.unit(number) for number in range(1, 7))
AWG1, AWG2 = (AWG.unit(number) for number in (1, 2))

APPS: dict[str, ControlServerApp] = {
    "crio": CRIO,
    **{f"psu{n}": app for n, app in enumerate((PSU1, PSU2, PSU3, PSU4, PSU5, PSU6), start=1)},
    "awg1": AWG1,
    "awg2": AWG2,
}
"""All control servers of the AEU, by the name of the unit."""


def _chosen(words: tuple[str, ...]) -> list[ControlServerApp]:
    """Returns the servers named on the command line, `psu 2` or `psu2`; all of them when none is named."""
    name = "".join(words).lower()
    if not name:
        return list(APPS.values())
    if name not in APPS:
        raise click.BadParameter(
            f"{' '.join(words)!r}: a unit is one of {', '.join(APPS)}", param_hint="UNIT"
        )
    return [APPS[name]]


def _run(app: ControlServerApp, arguments: list[str]) -> int:
    """Runs the command line of one server; returns its exit code."""
    try:
        make_command_line(app).main(arguments, prog_name=app.name, standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except SystemExit as exc:
        return int(exc.code or 0)
    return 0


@click.group(name="aeu_cs", help="Control servers of the AEU: crio, psu 1 to 6, awg 1 and 2.")
def cli() -> None:
    """Command line of all units."""


@cli.command()
@click.argument("unit", nargs=-1, required=True)
@click.option("--simulator", "--sim", is_flag=True, help="Talk to a model of an AEU in this process.")
def start(unit: tuple[str, ...], simulator: bool) -> None:
    """Start the control server of one UNIT in the foreground. All of them in the background: cgse device aeu start.

    Example: aeu_cs start psu 2
    """
    (app,) = _chosen(unit)
    sys.exit(_run(app, ["start", *(["--simulator"] if simulator else [])]))


@cli.command()
@click.argument("unit", nargs=-1)
def stop(unit: tuple[str, ...]) -> None:
    """End the control server of one UNIT, or of all.

    Example: aeu_cs stop
    """
    sys.exit(max(_run(app, ["stop"]) for app in _chosen(unit)))


@cli.command()
@click.argument("unit", nargs=-1)
@click.option("--full", is_flag=True, help="Show everything the server knows.")
def status(unit: tuple[str, ...], full: bool) -> None:
    """Show the state of the control server of one UNIT, or of all.

    Example: aeu_cs status psu 2
    """
    sys.exit(max(_run(app, ["status", *(["--full"] if full else [])]) for app in _chosen(unit)))


def main() -> None:
    """Runs the command line (entry point of the console script)."""
    cli(prog_name="aeu_cs")


if __name__ == "__main__":
    main()
