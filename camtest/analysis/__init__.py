"""Quick-look analysis in notebooks: images, their statistics, housekeeping; from files alone, by obsid."""

from camtest.analysis.detector import PhotonTransfer, dark_current, photon_transfer, read_noise
from camtest.analysis.housekeeping import plot_housekeeping, read_housekeeping
from camtest.analysis.images import image_files, image_statistics, plot_focal_plane, raw_files, read_cycle
from camtest.analysis.limits import check_limits, stability

__all__ = [
    "PhotonTransfer",
    "check_limits",
    "dark_current",
    "image_files",
    "image_statistics",
    "photon_transfer",
    "plot_focal_plane",
    "plot_housekeeping",
    "raw_files",
    "read_cycle",
    "read_housekeeping",
    "read_noise",
    "stability",
]
