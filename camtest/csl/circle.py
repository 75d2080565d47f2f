"""Images of the source on a circle around the optical axis."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from camtest.commanding import fov_scans
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task
from camtest.tasks.exec import Directory
from camtest.tasks.types import ListList
from egse.storage.naming import ObservationName, parse_obsid

UI_MODULE_DISPLAY_NAME = "2 - Circle around optical axis"

command = block_task(
    fov_scans.circle,
    "Command",
    description="Circle around the optical axis",
    theta=8.3,
    num_positions=8,
    first_phi=22.5,
    num_cycles=1,
    half_height=100,
)


@exec_ui(display_name="Reduce")
def reduce(obsid: str, reduced_dir: Directory, data_dir: Directory | None = None) -> Path:
    """Measures the spots of an observation and writes them as CSV.

    Args:
        obsid: test id or obsid in any form.
        reduced_dir: where to write.
        data_dir: data folder of the site; that of this site when left empty.

    Returns:
        The file.
    """
    from camtest.analysis.scans import reduce_spots

    return reduce_spots(obsid, reduced_dir, data_dir)


@exec_ui(display_name="Analyse", use_gui_app=True)
def analyse(
    obsids: ListList([int, str, str], [900, "CSL", "CSL EM Final"]),  # type: ignore[valid-type]
    reduced_dir: Directory,
    save: bool = False,
    output_dir: Directory | None = None,
    verbose: bool = False,
) -> Any:
    """Shows widths and places of the spots of reduced circles.

    Args:
        obsids: a row for each circle: test id, site, and the text that stands above the figure.
        reduced_dir: where `Reduce` wrote.
        save: write the figure into `output_dir`.
        output_dir: where the figure goes; `reduced_dir` when left empty.
        verbose: print the table as well.
    """
    import matplotlib.pyplot as plt

    from camtest.analysis.scans import plot_circle, read_reduced

    names = reduced_names(obsids, reduced_dir)
    table = read_reduced(list(names), reduced_dir).replace({"obsid": names})
    figure = plot_circle(table)
    figure.suptitle(", ".join(names.values()))
    if save:
        figure.savefig((output_dir or reduced_dir) / f"circle_{'_'.join(names)}.png")
    plt.show()
    return table if verbose else None


def reduced_names(rows: Sequence[Sequence[Any]], folder: Path) -> dict[str, str]:
    """Returns the obsid under which each row was reduced, and its label.

    `Reduce` takes an obsid in any form and names its file by it; the one of test id and site counts first.

    Args:
        rows: test id, site and label; without a label the obsid is one.
        folder: where `Reduce` wrote.

    Raises:
        LookupError: when one has not been reduced.
    """
    found: dict[str, str] = {}
    for test_id, site_id, label in rows:
        name = ObservationName(int(test_id), site_id or None)
        obsid = _reduced_as(name, folder)
        found[obsid] = label or obsid
    return found


def _reduced_as(name: ObservationName, folder: Path) -> str:
    if (folder / f"spots_{name.prefix}.csv").is_file():
        return name.prefix
    for path in sorted(folder.glob("spots_*.csv")):
        obsid = path.stem.removeprefix("spots_")
        with suppress(ValueError):
            other = parse_obsid(obsid)
            if other.test_id == name.test_id and other.site_id in (None, name.site_id):
                return obsid
    raise LookupError(f"{name.prefix} has not been reduced: there is no spots_{name.prefix}.csv in {folder}")
