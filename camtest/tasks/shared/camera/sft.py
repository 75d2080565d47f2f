"""Analysis of the short functional test: housekeeping against its limits, offsets and readout noise of the images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from camtest.tasks.exec import Directory, exec_ui

if TYPE_CHECKING:
    import pandas as pd

PRODUCERS = ("AEU-CRIO", "N-FEE-HK")
LINES = ("CCD", "CLK", "AN1", "AN2", "AN3", "DIG")


@exec_ui(display_name="SFT Analysis", use_gui_app=True)
def sft_analysis(
    obsid: int,
    data_dir: Directory | None = None,
    output_dir: Directory | None = None,
    verbose: bool = True,
    showplots: bool = False,
) -> str:
    """Analyses a short functional test: voltages and currents against the limits of the TM dictionary, images by half CCD.

    Writes `sft_analysis_<camera>_<test id>_...`: pictures of voltages and currents and of the last image, the limits, and
    offsets and noise. There are no limits for offsets and noise: these are for the eye.

    Args:
        obsid: test id.
        data_dir: data folder of the site; that of this site when left empty.
        output_dir: where the files go; the working folder when left empty.
        verbose: print the tables.
        showplots: show the pictures.

    Returns:
        What to do next.
    """
    import matplotlib.pyplot as plt

    from egse.archive import Observation

    name = Observation(obsid, data_dir).name
    folder = Path(output_dir or Path.cwd())
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"sft_analysis_{name.camera or 'unknown'}_{name.test}"
    limits = check_housekeeping(obsid, data_dir, stem)
    statistics = measure_images(obsid, data_dir, stem)
    if verbose:
        for table in (limits, statistics):
            print(table.to_string(index=False))  # noqa: T201 (asked for)
    if showplots:
        plt.show()
    plt.close("all")
    return verdict(limits)


def verdict(limits: pd.DataFrame) -> str:
    """Returns what the housekeeping says, in the words of the operations reference, section 7.1."""
    wrong = list(limits["name"][limits["status"] == "OUT"])
    if wrong:
        return f"HK: STOP for analysis, out of limits: {', '.join(wrong)}"
    if not (limits["status"] == "ok").any():
        return "HK: STOP for analysis, no parameter has both samples and limits"
    return "HK: all OK, you can PROCEED if the other part is OK (offsets and noise of the images, by eye)"


def check_housekeeping(obsid: int, location: Path | None, stem: Path) -> pd.DataFrame:
    """Writes limits and plots of the housekeeping; returns each parameter with its limits."""
    from camtest.analysis.housekeeping import plot_housekeeping, read_housekeeping
    from camtest.analysis.limits import check_limits

    limits = check_limits(obsid, PRODUCERS, location=location)
    Path(f"{stem}_HK_checks.txt").write_text(f"{limits.to_string(index=False)}\n{verdict(limits)}\n")
    crio = read_housekeeping(obsid, PRODUCERS[0], location)
    for quantity, unit in (("V", "V"), ("I", "A")):
        names = [name for line in LINES if (name := f"GAEU_{quantity}_{line}_NFEE") in crio.columns]
        title = f"{obsid} {PRODUCERS[0]}, {quantity}"
        figure: Any = plot_housekeeping(crio, names, unit=unit, title=title)
        figure.savefig(f"{stem}_HK_AEU-CRIO_{quantity}.png")
    return limits


def measure_images(obsid: int, location: Path | None, stem: Path) -> pd.DataFrame:
    """Writes the last image and its statistics; returns these: offset, noise and signal of each half CCD."""
    from camtest.analysis.images import image_files, image_statistics, plot_focal_plane, read_cycle

    images = read_cycle(image_files(obsid, location)[-1])
    statistics = image_statistics(images)
    Path(f"{stem}_img_checks_offsets_ron_mean.txt").write_text(f"{statistics.to_string(index=False)}\n")
    plot_focal_plane(images, title=f"{obsid}, last cycle").savefig(f"{stem}_img_raw.png")
    return statistics
