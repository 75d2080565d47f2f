"""What the Setup says about a camera, taken over from the Setup of another site."""

from __future__ import annotations

from pathlib import Path

from camtest.core.exec import Abort
from camtest.tasks.exec import exec_ui
from camtest.tasks.shared.setup_changes import submit_changes
from egse.dpu.maps import FEEMaps
from egse.env import get_conf_data_location
from egse.setup import Setup
from egse.setup.conf import setup_files


def conf_folder(site_id: str) -> Path:
    """Returns the folder with the Setups of a site: beside that of this one, `.../data/<SITE>/conf`."""
    return Path(get_conf_data_location()).resolve().parent.parent / site_id / "conf"


def setup_of_site(site_id: str, setup_id: int) -> Setup:
    """Reads a Setup of any site in the configuration folder.

    Raises:
        Abort: when there is none.
    """
    folder = conf_folder(site_id)
    files = setup_files(folder, site_id)
    if setup_id not in files:
        known = ", ".join(f"{number:05d}" for number in files) or "none"
        raise Abort(f"There is no Setup {setup_id:05d} of {site_id} in {folder}, there are: {known}")
    return Setup.from_yaml_file(files[setup_id])


@exec_ui(display_name="Copy camera information")
def copy_camera_information(site_id: str, setup_id: int) -> Setup:
    """Takes over `camera` and `telemetry` from a Setup of another site, for a camera that comes from there.

    Shows what changes in the active Setup, and asks before it is submitted as a new one.

    Args:
        site_id: where the camera comes from, such as CSL1.
        setup_id: its last Setup there.

    Returns:
        The new Setup.

    Raises:
        Abort: when there is no such Setup, or the operator does not want it.
    """
    other = setup_of_site(site_id, setup_id)

    def take_over(setup: Setup) -> None:
        for name in ("camera", "telemetry"):
            if name in other:
                setup[name] = other[name].copy()

    camera = other.camera.ID if "camera" in other else "no camera"
    description = f"Camera and telemetry of {camera} from Setup {setup_id:05d} of {site_id}"
    return submit_changes(take_over, description, FEEMaps.of)
