"""Calibration of the N-FEE's housekeeping, against the tables of IEC 60751."""

from __future__ import annotations

import pytest

from egse.fee.calibration import CalibrationError, HKCalibration, callendar_van_dusen

EN60751 = {"A": 3.9083e-3, "B": -5.775e-7, "C": -4.183e-12}


@pytest.mark.parametrize(
    ("ohm", "celsius"),
    [
        (18.52, -200.0),
        (39.72, -150.0),
        (60.26, -100.0),
        (80.31, -50.0),
        (100.0, 0.0),
        (138.51, 100.0),
        (212.05, 300.0),
    ],
)
def test_table_of_pt100(ohm: float, celsius: float) -> None:
    assert callendar_van_dusen(ohm / 100, 3.9083e-3, -5.775e-7, -4.183e-12) == pytest.approx(
        celsius, abs=0.02
    )


def test_no_temperature_for_a_broken_sensor() -> None:
    assert callendar_van_dusen(1e6, 3.9083e-3, -5.775e-7, -4.183e-12) is None
    assert callendar_van_dusen(-0.5, 3.9083e-3, -5.775e-7, -4.183e-12) is None


def test_kinds_of_calibration() -> None:
    calibration = HKCalibration(
        {
            "temperatures": {
                "CCD1_TS": {"r0": 100, "coefficients": "EN60751", "gain": 0.01, "offset": 5.0},
                "TSENSE_A": {"gain": 0.5, "offset": -3},
                "PRT1": {"r0": None, "coefficients": "EN60751", "gain": 1, "offset": 0},
            },
            "voltages": {"VCCD": {"polynomial": [1, 0.5, 0.25]}, "VICLK": {"gain": None, "offset": None}},
        },
        {"EN60751": EN60751},
    )
    assert calibration.calibrate("CCD1_TS", 9500) == pytest.approx(0.0, abs=1e-9)
    assert calibration.calibrate("TSENSE_A", 100) == 47.0
    assert calibration.calibrate("VCCD", 2) == 3.0
    assert [calibration.calibrate(name, 1) for name in ("PRT1", "VICLK", "NO_SUCH")] == [None] * 3
    assert (len(calibration), "VCCD" in calibration, "VICLK" in calibration) == (3, True, False)


@pytest.mark.parametrize(
    "spec",
    [
        3,
        {"gain": "x", "offset": 1},
        {"r0": 100, "coefficients": "ITS", "gain": 1, "offset": 0},
        {"polynomial": ["x"]},
    ],
)
def test_what_is_not_valid_is_named(spec: object) -> None:
    with pytest.raises(CalibrationError, match="VCCD"):
        HKCalibration({"voltages": {"VCCD": spec}}, {"EN60751": EN60751})
