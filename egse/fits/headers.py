"""Headers of the FITS cubes (ICD of the storage formats, sections 9.2 to 9.4)."""

from __future__ import annotations

from itertools import pairwise

from egse.fee import CYCLE_TIMES, order_codes, readout_time
from egse.fee.geometry import COLUMNS
from egse.fee.timing import internal_period
from egse.fits.camera import CameraFacts
from egse.fits.cards import Cards
from egse.fits.plan import CubePlan, Exposure
from egse.h5 import parse_file_name
from egse.h5.reader import get_file, get_mode
from egse.storage.naming import utc_text
from egse.version import VERSION

LEVEL = 2
NOMINAL_CYCLE_TIME = 25.0


def date_obs(timestamp: float) -> str:
    """Formats a Unix time [s] as FITS dates are, in UTC: `YYYY-mm-ddTHH:MM:SS.mmm`."""
    return utc_text(timestamp).removesuffix("+0000")


def primary_header(plan: CubePlan, camera: CameraFacts, site: str, obsid: str) -> Cards:
    """Returns the primary header of a cube.

    Args:
        plan: its exposures.
        camera: what the Setup says.
        site: site id.
        obsid: full obsid.
    """
    first, fields = plan.first, plan.first.attributes
    order = [camera.bin_to_id[code] for code in order_codes(fields["ccd_readout_order"])]
    header = Cards()
    header["SIMPLE"] = (True, "conforms to FITS standard")
    header["BITPIX"] = (8, "array data type")
    header["NAXIS"] = (0, "number of array dimensions")
    header["EXTEND"] = True
    header["LEVEL"] = (LEVEL, "cubes")
    header["V_START"] = (fields["v_start"], "first row transmitted")
    header["V_END"] = (fields["v_end"], "last row transmitted")
    header["H_END"] = (fields["h_end"], "last column transmitted")
    header["HIERARCH ROWS_FINAL_DUMP"] = (fields["n_final_dump"], "rows dumped after readout")
    header["TELESCOP"] = "PLATO"
    header["INSTRUME"] = (camera.camera_id or "unknown", "camera")
    header["SITENAME"] = (site, "test site")
    if camera.setup_id is not None:
        header["SETUP"] = (camera.setup_id, "Setup id")
    header["HIERARCH CCD_READOUT_ORDER"] = str(order)
    header["HIERARCH CYCLETIME"] = (cycle_time(plan), "image cycle time [s]")
    header["READTIME"] = (
        round(readout_time(fields["v_start"], fields["v_end"]), 4),
        "readout time of a CCD side [s]",
    )
    header["OBSID"] = (obsid, "observation")
    with get_file(first.path) as file:
        mode = get_mode(file)
    if mode:
        header["RUNMODE"] = (mode, "operations or simulator")
    header["DATE-OBS"] = (date_obs(first.timestamp), "first exposure in the file")
    header["TIMESYS"] = "UTC"
    header["CGSE"] = (VERSION, "version of the CGSE")
    header["NCYCLES"] = (plan.cycles, "readout cycles in the file")
    header["LOSTFRM"] = (plan.lost_frames, "readouts of these cycles without images")
    header["LOSTCYC"] = (lost_cycles(plan), "cycles between them that are not in the file")
    header["RAWFIRST"] = (first.path.name, "first raw file")
    header["RAWLAST"] = (plan.exposures[-1].path.name, "last raw file")
    return header


def cycle_time(plan: CubePlan) -> float:
    """Returns the image cycle time [s]: of the register in internal sync, else nominal or as seen in the timestamps."""
    fields = plan.first.attributes
    if fields.get("sync_sel"):
        return internal_period(fields["int_sync_period"])
    starts = sorted({exposure.path: exposure.timestamp for exposure in reversed(plan.exposures)}.values())
    spacing = min((b - a for a, b in pairwise(starts)), default=NOMINAL_CYCLE_TIME)
    return next((time for time in CYCLE_TIMES if abs(time - spacing) < 1.0), NOMINAL_CYCLE_TIME)


def lost_cycles(plan: CubePlan) -> int:
    """Returns how many cycles are missing between the first and the last one: by the numbers of the files, by their times, or by the
    FEE's counter of readouts, whichever tells of more."""
    firsts = list({exposure.path: exposure for exposure in reversed(plan.exposures)}.values())[::-1]
    period = cycle_time(plan)
    readouts = 1 if plan.first.attributes.get("sync_sel") else 4
    lost = 0
    for one, two in pairwise(firsts):
        names = parse_file_name(one.path.name), parse_file_name(two.path.name)
        by_time = round((two.timestamp - one.timestamp) / period) - 1
        same_day = names[0] and names[1] and names[0][:2] == names[1][:2]
        by_number = names[1][2] - names[0][2] - 1 if names[0] and names[1] and same_day else 0
        counted = (two.cycle_counter - one.cycle_counter) & 0xFFFF
        by_counter = counted // readouts - 1 if counted < 0x8000 else 0  # else the FEE has been restarted
        lost += max(0, by_time, by_number, by_counter)
    return lost


def image_header(
    name: str, ccd: int, side: str, shape: tuple[int, int, int], first: Exposure, site: str, obsid: str
) -> Cards:
    """Returns the header that all image extensions have.

    Args:
        name: SPRE, SOVER, POVER or IMAGE.
        ccd: CCD number, 1..4.
        side: "E" or "F".
        shape: exposures, rows, columns.
        first: first exposure of this extension.
        site: site id.
        obsid: full obsid.
    """
    header = Cards()
    header["XTENSION"] = ("IMAGE", "image extension")
    header["BITPIX"] = (16, "array data type")
    header["NAXIS"] = (3, "number of array dimensions")
    for axis, length in enumerate(reversed(shape), start=1):
        header[f"NAXIS{axis}"] = length
    header["PCOUNT"] = 0
    header["GCOUNT"] = 1
    header["BSCALE"] = 1
    header["BZERO"] = (32768, "unsigned 16-bit integers")
    header["EXTNAME"] = f"{name}_{ccd}_{side}"
    header["CCD_ID"] = (ccd, "CCD number of the CGSE")
    header["SITENAME"] = (site, "test site")
    header["OBSID"] = (obsid, "observation")
    header["DATE-OBS"] = (date_obs(first.timestamp), "first exposure of this extension")
    header["BUNIT"] = "adu"
    header["LOSTROWS"] = (0, "rows that did not arrive (their pixels are 0)")
    header["CTYPE3"] = "TIMETAB"
    header["CUNIT3"] = "s"
    header["PS3_0"] = (f"WCS-TAB_{ccd}_{side}", "extension with the times")
    header["PS3_1"] = ("TIME", "its column")
    return header


def add_focal_length(header: Cards, camera: CameraFacts) -> None:
    """Adds what IMAGE and POVER have in common."""
    if camera.focal_length is not None:
        header["FOCALLEN"] = (camera.focal_length, "focal length [mm]")


def add_focal_plane(
    header: Cards, camera: CameraFacts, ccd: int, side: str, columns: int, row_start: int
) -> None:
    """Adds the coordinates in the focal plane (x, y in mm) that IMAGE has.

    CRPIX is the place of pixel (0, 0) of the CCD, counted as FITS does from 1: 1 - (first image column or row in the file).

    Args:
        header: of the IMAGE extension.
        camera: what the Setup says.
        ccd: CCD number, 1..4.
        side: "E" or "F".
        columns: image columns in the extension.
        row_start: first row transmitted.
    """
    angle, cos, sin = camera.rotation(ccd)
    pixel = camera.pixel_size
    first_column = COLUMNS - columns if side == camera.right_side else 0
    for axis in (1, 2):
        header[f"CTYPE{axis}"] = "LINEAR"
        header[f"CUNIT{axis}"] = "MM"
        header[f"CDELT{axis}"] = (pixel, "pixel size [mm]")
    header["CROTA2"] = (angle, "CCD orientation in the focal plane [deg]")
    header["CD1_1"], header["CD1_2"] = pixel * cos, -pixel * sin
    header["CD2_1"], header["CD2_2"] = pixel * sin, pixel * cos
    origin = camera.origin(ccd)
    if origin is not None:
        header["CRVAL1"] = (round(origin[0], 9), "focal-plane x of the CCD origin [mm]")
        header["CRVAL2"] = (round(origin[1], 9), "focal-plane y of the CCD origin [mm]")
    header["CRPIX1"] = (1 - first_column, "CCD origin relative to the image")
    header["CRPIX2"] = (1 - row_start, "CCD origin relative to the image")


def time_table_header(ccd: int, side: str, exposures: int) -> Cards:
    """Returns the header of a WCS-TAB extension: one column, TIME [s]."""
    header = Cards()
    header["XTENSION"] = ("BINTABLE", "binary table extension")
    header["BITPIX"] = 8
    header["NAXIS"] = 2
    header["NAXIS1"] = 8
    header["NAXIS2"] = exposures
    header["PCOUNT"] = 0
    header["GCOUNT"] = 1
    header["TFIELDS"] = 1
    header["TTYPE1"] = ("TIME", "since the first exposure in the file")
    header["TFORM1"] = "D"
    header["TUNIT1"] = "s"
    header["EXTNAME"] = f"WCS-TAB_{ccd}_{side}"
    return header
