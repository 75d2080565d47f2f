"""The N-FEE simulator as a process: `n_fee_sim start`.

It binds the SpaceWire link (over ZeroMQ) and behaves as the N-FEE model does, in real time or sped up. It is powered and
gives itself the sync pulses of the AEU; with `--aeu` (or AEU in the settings) both come from the AEU simulator, which
reaches it on its side channel, and until then it is silent. The DPU may come, go, and be killed at any time: pulses go on,
packets for nobody are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from egse.clock import RealClock
from egse.coordinates.focalplane import FocalPlane
from egse.coordinates.pointing import StagesGeometry
from egse.declaration import site_clock
from egse.fee.admin import FEEConsole
from egse.fee.faults import FaultyFEE
from egse.fee.feed import CameraFeed
from egse.fee.follow import Follower, follow_hexapod, follow_ogse, follow_stages, follow_temperatures
from egse.fee.image import Detector
from egse.fee.model import NFEEModel
from egse.fee.numbering import NUMBERINGS, camera_model
from egse.fee.scene import Scene, SceneError, StarField, load_scene
from egse.fee.source import SourceScene
from egse.setup import Setup
from egse.signals import on_signals
from egse.simulator.sidechannel import AdminServer
from egse.spw import DEFAULT_IDENTITY, SpaceWireLinkError, SpaceWireOverZeroMQ
from egse.spw.server import LinkServer, default_endpoint, is_driven_by_aeu, side_channel_port

_BUFFER_FULL_FLAGS: Final = 0b1100
"""Error flags 2 and 3: SRAM buffer of the E and F side full."""


def make_model(
    camera: str,
    *,
    seed: int = 0,
    scene: Path | None = None,
    light_level: float = 1.0,
    cycle_time: float = 25.0,
    start: float = 0.0,
    dark_current: float = 0.0,
    smear: bool = False,
    cti: float = 0.0,
    repeat_pixels: bool = False,
    plane: FocalPlane | None = None,
) -> NFEEModel:
    """Returns the model of an N-FEE with its detectors.

    Args:
        camera: "em", "pfm" or "fm".
        seed: of noise and stars.
        scene: FITS file to look at instead of stars.
        light_level: attenuation of what comes from outside, 0..1.
        cycle_time: image cycle time [s].
        start: time of the first long pulse [s].
        dark_current, smear, cti: see `egse.fee.image.Detector`.
        repeat_pixels: send the pixels of one frame again and again.
        plane: where the image of a point source is; the focal plane of the nominal camera when None.

    Raises:
        SceneError: when the scene cannot be used.
        ValueError: when the cycle time is none of the AEU.
    """
    if scene is None:
        light: Scene = SourceScene(StarField(seed), camera, plane)
    else:
        light = load_scene(scene, NUMBERINGS[camera].id_to_bin, camera)
    detector = Detector(
        light, seed=seed, dark_current=dark_current, smear=smear, cti=cti, twos_complement=camera == "em"
    )
    return NFEEModel(
        camera,
        start=start,
        cycle_time=cycle_time,
        detector=detector,
        seed=seed,
        light_level=light_level,
        repeat_pixels=repeat_pixels,
    )


def serve(
    model: NFEEModel,
    link: SpaceWireOverZeroMQ,
    clock: RealClock,
    admin_port: int | None = None,
    followers: Sequence[Follower] = (),
) -> None:
    """Serves until a signal ends it; must run in the main thread.

    Args:
        model: the FEE; its times are those of `clock.monotonic()`.
        link: the link, not yet open.
        clock: the clock of the simulation.
        admin_port: port of the side channel (0: let the system choose); None: no side channel.
        followers: what is learned from other simulators.

    Raises:
        SpaceWireLinkError: when the link cannot be opened.
        OSError: when the port of the side channel cannot be had.
    """
    fee = FaultyFEE(model)
    server = LinkServer(fee, link, clock)
    console = FEEConsole(fee, server.state, server.now)
    admin = None
    try:
        with ExitStack() as stack, on_signals(server.stop), link:
            for follower in followers:
                stack.enter_context(follower)
            admin = None if admin_port is None else AdminServer(console, admin_port)
            click.echo(f"READY n_fee_sim {link.endpoint}")
            if admin is not None:
                click.echo("ADMIN {} {}".format(*admin.address))
            server.serve(
                others=lambda: admin.sockets if admin is not None else [],
                on_other=admin.serve if admin is not None else None,
                on_overflow=lambda: _flag_overflow(model),
            )
    finally:
        if admin is not None:
            admin.close()
        server.close()


def _followers(
    model: NFEEModel,
    setup: Setup | None,
    ogse: str | None,
    temperatures: str | None,
    stages: str | None,
    hexapod: str | None,
) -> list[Follower]:
    """Returns what the options name."""
    geometry = StagesGeometry() if setup is None else StagesGeometry.from_setup(setup)
    takes: list[tuple[str | None, Callable[[Mapping[str, Any]], None]]] = [
        (ogse, partial(follow_ogse, model)),
        (temperatures, partial(follow_temperatures, model)),
        (stages, partial(follow_stages, model, geometry)),
        (hexapod, partial(follow_hexapod, model)),
    ]
    return [Follower(address, take) for address, take in takes if address is not None]


def _flag_overflow(model: NFEEModel) -> None:
    model.error_flags |= _BUFFER_FULL_FLAGS


@click.group(name="n_fee_sim", help="Simulator of the N-FEE with its CCDs and sync pulses.")
def cli() -> None:
    """Command line of the simulator."""


@cli.command(help="Start the simulator of the N-FEE in this terminal; Ctrl-C ends it.")
@click.option(
    "--endpoint", default=None, help="Endpoint of the SpaceWire link; default: SPW_PORT of the settings."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=None,
    help="Port on the loopback interface (0: any free one).",
)
@click.option(
    "--identity", default=DEFAULT_IDENTITY, show_default=True, help="Name of the link, as at the DPU."
)
@click.option(
    "--speed", type=float, default=None, help="How much faster time runs; default: SPEED of the site."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of noise and stars.")
@click.option(
    "--scene",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="FITS file with one image of 4510 x 4510 pixels for all CCDs, or four; ADU above the bias.",
)
@click.option(
    "--light", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="Light from outside."
)
@click.option(
    "--camera", type=click.Choice(sorted(NUMBERINGS)), default=None, help="Default: by PLATO_CAMERA_IS_EM."
)
@click.option("--cycle-time", type=float, default=25.0, show_default=True, help="Image cycle time [s].")
@click.option(
    "--dark-current",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Electrons per pixel and second.",
)
@click.option("--smear", is_flag=True, help="Pixels collect light also while they are shifted.")
@click.option(
    "--cti",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Part of the charge that each parallel transfer leaves behind.",
)
@click.option(
    "--admin-port",
    type=click.IntRange(0, 65535),
    default=None,
    help="Port of the side channel for light, housekeeping and faults (0: any free one); default: none, with --aeu "
    "ADMIN_PORT of the settings.",
)
@click.option(
    "--aeu/--free-running",
    default=None,
    help="Get power and sync pulses from aeu_sim, or have them from the start; default: AEU of the settings.",
)
@click.option("--repeat-pixels", is_flag=True, help="Make the pixels of one frame only: for very fast links.")
@click.option(
    "--ogse", default=None, metavar="HOST:PORT", help="Side channel of an OGSE simulator: its light is seen."
)
@click.option(
    "--temperatures",
    default=None,
    metavar="HOST:PORT",
    help="Side channel of a LakeShore 336 simulator: housekeeping follows its temperatures.",
)
@click.option(
    "--stages",
    default=None,
    metavar="HOST:PORT",
    help="Side channel of an SMC9300 simulator: the source is where its stages point it.",
)
@click.option(
    "--hexapod",
    default=None,
    metavar="HOST:PORT",
    help="Side channel of a hexapod simulator: the focus is where it holds the focal plane.",
)
@click.option(
    "--setup",
    "setup_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="Setup file with the focal plane and the calibration of the stages; default: those of a sandbox.",
)
def start(
    endpoint: str | None,
    port: int | None,
    identity: str,
    speed: float | None,
    seed: int,
    scene: Path | None,
    light: float,
    camera: str | None,
    cycle_time: float,
    dark_current: float,
    smear: bool,
    cti: float,
    admin_port: int | None,
    aeu: bool | None,
    repeat_pixels: bool,
    ogse: str | None,
    temperatures: str | None,
    stages: str | None,
    hexapod: str | None,
    setup_file: Path | None,
) -> None:
    """Starts the simulator; the first line on stdout is `READY n_fee_sim ENDPOINT`."""
    speed = site_clock().speed if speed is None else speed
    if not speed > 0:
        raise click.BadParameter("must be larger than 0", param_hint="--speed")
    if port is not None:
        endpoint = f"tcp://127.0.0.1:{port}"
    clock = RealClock(speed)
    try:
        setup = None if setup_file is None else Setup.from_yaml_file(setup_file)
        link = SpaceWireOverZeroMQ(endpoint or default_endpoint(), identity, bind=True)
        model = make_model(
            camera or camera_model(),
            seed=seed,
            scene=scene,
            light_level=light,
            cycle_time=cycle_time,
            start=clock.monotonic(),
            dark_current=dark_current,
            smear=smear,
            cti=cti,
            repeat_pixels=repeat_pixels,
            plane=None if setup is None else FocalPlane.from_setup(setup),
        )
        if is_driven_by_aeu() if aeu is None else aeu:
            model.feed(CameraFeed(), clock.monotonic())
            admin_port = side_channel_port() if admin_port is None else admin_port
        serve(model, link, clock, admin_port, _followers(model, setup, ogse, temperatures, stages, hexapod))
    except (SpaceWireLinkError, SceneError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def main() -> None:
    """Runs the command line (entry point of the console script)."""
    cli(prog_name="n_fee_sim")


if __name__ == "__main__":
    main()
