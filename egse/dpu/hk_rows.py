"""Rows of N-FEE-HK: raw values, and calibrated ones as the loaded Setup says."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from egse.dpu.maps import FEEMaps
from egse.fee import HKMap, HKMapError, camera_model, decode_hk, load_hk_map
from egse.fee.calibration import SUFFIX, CalibrationError, HKCalibration
from egse.setup import SetupError, get_setup

LOGGER = logging.getLogger(__name__)

RETRY_INTERVAL = 10.0
"""The Setup is asked for again after so long [s] when it could not be had."""
ANALOGUE = 128
"""The first bytes of the housekeeping are analogue values of 16 bits."""
DIGITS = 6


class HousekeepingRows:
    """Decodes the housekeeping of the N-FEE.

    Every row has the same columns: all parameters of the housekeeping map, raw (`NFEE_CCD1_TS`), and after them all analogue
    ones calibrated (`NFEE_CCD1_TS_CAL`), empty where the Setup has no calibration.

    Args:
        stamp: what changes when another Setup is loaded.
        fetch: gets the loaded Setup.
        camera: "em", "pfm" or "fm": the housekeeping map while the Setup has none.
    """

    def __init__(
        self,
        stamp: Callable[[], object] = lambda: None,
        fetch: Callable[[], Mapping[str, Any]] = get_setup,
        camera: str | None = None,
    ) -> None:
        self._stamp = stamp
        self._fetch = fetch
        self._camera = camera or camera_model()
        self._map: HKMap = load_hk_map(self._camera)
        self._calibration = HKCalibration()
        self._loaded: object = self  # no stamp is this
        self._asked = float("-inf")

    def __call__(self, area: bytes) -> dict[str, Any]:
        """Returns one row, without timestamp.

        Args:
            area: 144 bytes, or the packet of 154.

        Raises:
            HKMapError: when they do not fit.
        """
        self._follow_setup()
        row: dict[str, Any] = dict(decode_hk(area, self._map))
        for name, field in self._map.fields.items():
            if field.offset < ANALOGUE:
                value = self._calibration.calibrate(field.original, row[name])
                row[name + SUFFIX] = None if value is None else round(value, DIGITS)
        return row

    def _follow_setup(self) -> None:
        stamp = self._stamp()
        if stamp == self._loaded or time.monotonic() < self._asked + RETRY_INTERVAL:
            return
        self._asked = time.monotonic()
        try:
            setup = self._fetch()
        except (ConnectionError, TimeoutError, SetupError, OSError) as exc:
            LOGGER.warning("the calibration of the N-FEE housekeeping is not known yet: %s", exc)
            return
        self._loaded = stamp
        self._asked = float("-inf")
        try:
            self._take(setup)
        except (CalibrationError, HKMapError) as exc:
            LOGGER.error("the N-FEE housekeeping stays as it is: %s", exc)

    def _take(self, setup: Mapping[str, Any]) -> None:
        calibration = HKCalibration.from_setup(setup)
        self._map = FEEMaps.of(setup, self._camera).hk_map
        self._calibration = calibration
        LOGGER.info("N-FEE housekeeping: %d parameters are calibrated", len(calibration))
