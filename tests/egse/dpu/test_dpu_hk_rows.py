"""Rows of N-FEE-HK: raw and calibrated, as the loaded Setup says."""

from __future__ import annotations

from egse.dpu.hk_rows import HousekeepingRows
from egse.fee.hk import load_hk_map
from egse.setup import Setup
from egse.tmdict import template_dictionary


def setup(gain: float) -> Setup:
    return Setup({"camera": {"fee": {"calibration": {"voltages": {"VCCD": {"gain": gain, "offset": 0.0}}}}}})


def test_rows_follow_the_setup() -> None:
    loaded = {"stamp": 1, "setup": setup(0.5)}
    rows = HousekeepingRows(lambda: loaded["stamp"], lambda: loaded["setup"], camera="fm")
    area = load_hk_map("fm").encode({"NFEE_VCCD": 100, "NFEE_FRAMECOUNTER": 7})
    row = rows(area)
    assert (row["NFEE_VCCD"], row["NFEE_VCCD_CAL"], row["NFEE_FRAMECOUNTER"], row["NFEE_CCD1_TS_CAL"]) == (
        100,
        50.0,
        7,
        None,
    )
    loaded.update(stamp=2, setup=setup(0.25))
    assert rows(bytes(10) + area)["NFEE_VCCD_CAL"] == 25.0
    loaded.update(stamp=3, setup=Setup({"camera": {"fee": {"calibration": "none"}}}))
    assert rows(area)["NFEE_VCCD_CAL"] == 25.0
    known = {parameter.name for parameter in template_dictionary().of("N-FEE-HK")}
    assert set(row) == known


def test_rows_while_nobody_knows_the_setup() -> None:
    def away() -> Setup:
        raise ConnectionError("cm_cs does not answer")

    rows = HousekeepingRows(lambda: 1, away, camera="fm")
    assert rows(bytes(144))["NFEE_VCCD_CAL"] is None
