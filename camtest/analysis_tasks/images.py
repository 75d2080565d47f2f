"""Images of an observation."""

from __future__ import annotations

from typing import Annotated, Any

from camtest.tasks import exec_ui
from camtest.tasks.exec import Directory
from egse.command import Range

UI_MODULE_DISPLAY_NAME = "1 - Images"

Cycle = Annotated[int, Range(0, 100_000)]


@exec_ui(display_name="Statistics")
def statistics(obsid: str, cycle: Cycle = 0, data_dir: Directory | None = None) -> Any:
    """Returns offset, noise and signal of each CCD side of one cycle.

    Args:
        obsid: test id or obsid in any form.
        cycle: which of the cycles with images, from 0.
        data_dir: data folder of the site; that of this site when left empty.
    """
    from camtest.analysis.images import image_files, image_statistics, read_cycle

    return image_statistics(read_cycle(image_files(obsid, data_dir)[cycle]))


@exec_ui(display_name="Focal plane", use_gui_app=True)
def focal_plane(obsid: str, cycle: Cycle = 0, data_dir: Directory | None = None) -> None:
    """Shows the four CCDs of one cycle.

    Args:
        obsid: test id or obsid in any form.
        cycle: which of the cycles with images, from 0.
        data_dir: data folder of the site; that of this site when left empty.
    """
    import matplotlib.pyplot as plt

    from camtest.analysis.images import image_files, plot_focal_plane, read_cycle

    plot_focal_plane(read_cycle(image_files(obsid, data_dir)[cycle]), title=f"{obsid}, cycle {cycle}")
    plt.show()
