"""Makes a FITS cube of each raw file whose path comes on stdin, removes both, and prints how many packets it had."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py

from egse.fits.camera import CameraFacts
from egse.fits.cube import CubeWriter
from egse.fits.plan import plan_cubes


def main() -> None:
    camera = CameraFacts.from_setup(None)
    for line in sys.stdin:
        path = Path(line.strip())
        with h5py.File(path) as file:
            packets = sum(len(file[name]["data"]) for name in file if name.isdigit())
        for plan in plan_cubes([path]):
            cube = path.with_suffix(".fits")
            CubeWriter(plan, camera, "LAB", "LAB_00000_00000").write(cube)
            cube.unlink()
        path.unlink()
        print(packets, flush=True)


if __name__ == "__main__":
    main()
