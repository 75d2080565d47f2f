"""A bias, dark and flat series of the simulator gives back what was put into its detector, within 2 %."""

from __future__ import annotations

import numpy as np
import pytest

from camtest.analysis import dark_current, photon_transfer, read_noise
from egse.fee.frame import Frame, plan_chunks
from egse.fee.geometry import FrameLayout
from egse.fee.image import Detector
from egse.fee.light import Exposure
from egse.fee.scene import StarField
from egse.h5 import SideImage, sides_in_frame

LAYOUT = FrameLayout(100, 169)
FIELDS = {"v_start": 100, "v_end": 169, "h_end": 2294, "sensor_sel": 3}
GAIN, READ_NOISE, FULL_WELL, DARK = 21.0, 38.0, 800_000.0, 12.0


def detector(**changes: float | bool) -> Detector:
    figures = {
        "gain": GAIN,
        "read_noise": READ_NOISE,
        "full_well": FULL_WELL,
        "dark_current": DARK,
        **changes,
    }
    return Detector(StarField(stars=0), seed=5, background=2000.0, **figures)  # type: ignore[arg-type]


def take(
    camera: Detector,
    seconds: float,
    light: float,
    layout: FrameLayout = LAYOUT,
    fields: dict[str, int] = FIELDS,
) -> list[SideImage]:
    """One readout of CCD 2, both sides, from the packets of the simulator."""
    frame = Frame(layout, 5, 1, 7, Exposure(1, 9, seconds, light), camera)
    packets = [
        np.frombuffer(packet, np.uint8) for chunk in plan_chunks(layout) for packet in frame.packets(chunk)
    ]
    return sides_in_frame(packets, fields)


def test_read_noise_from_biases() -> None:
    camera = detector()
    table = read_noise([image for _ in range(3) for image in take(camera, 0.0, 0.0)], gain=GAIN)
    assert table["side"].tolist() == ["E", "F"]
    assert table["offset"].tolist() == pytest.approx([1000, 1020], abs=0.2)
    assert table["noise_e"].tolist() == pytest.approx([READ_NOISE] * 2, rel=0.02)


def test_dark_current_from_darks() -> None:
    camera = detector()
    times = [0.1, 20.0, 60.0, 200.0]
    images, exposures = [], []
    for time in times:
        for image in take(camera, time, 0.0):
            images.append(image)
            exposures.append(time)
    table = dark_current(images, exposures, GAIN)
    assert table["dark_current"].tolist() == pytest.approx([DARK] * 2, rel=0.02)
    with pytest.raises(ValueError, match="one exposure time only"):
        dark_current(images[:2], exposures[:2], GAIN)


def test_gain_and_full_well_from_flats() -> None:
    camera = detector()
    levels = [0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.2]
    pairs = [
        pair
        for level in levels
        for pair in zip(take(camera, 20.0, level), take(camera, 20.0, level), strict=True)
    ]
    for result in photon_transfer(pairs):
        assert result.gain == pytest.approx(GAIN, rel=0.02)
        assert result.full_well == pytest.approx(FULL_WELL, rel=0.02)
        assert result.read_noise == pytest.approx(
            READ_NOISE, rel=0.4
        )  # the line at zero light; biases tell it better
    below = photon_transfer(pairs[: 2 * 8])
    assert all(np.isnan(result.full_well) for result in below)
    with pytest.raises(ValueError, match="too few"):
        photon_transfer(pairs[:2])
    with pytest.raises(ValueError, match="no pair"):
        photon_transfer([(pairs[0][0], pairs[1][0])])


def test_adc_saturation() -> None:
    camera = detector(full_well=5e6, gain=10.0)
    assert all((image.image == 65535).all() for image in take(camera, 100.0, 1.0))


def test_smear_and_charge_transfer() -> None:
    """Smear grows with the row; the charge that is left behind comes with the first overscan rows."""
    layout, fields = FrameLayout(4480, 4519), {**FIELDS, "v_start": 4480, "v_end": 4519}
    plain = take(detector(), 10.0, 0.5, layout, fields)[0]
    smeared = take(detector(smear=True), 10.0, 0.5, layout, fields)[0]
    row_time = 110e-6 + 2295 * 0.34e-6
    expected = 2000.0 * 0.5 * 4495 * row_time
    assert smeared.image.mean(dtype=float) - plain.image.mean(dtype=float) == pytest.approx(
        expected, rel=0.02
    )
    assert smeared.parallel_overscan.mean() - 1000 == pytest.approx(2000.0 * 0.5 * 4510 * row_time, rel=0.02)
    trailing = take(detector(cti=1e-5), 10.0, 0.5, layout, fields)[0]
    flat = 2000.0 * 0.5 * 10 + DARK * 10 / GAIN
    assert trailing.parallel_overscan[0].mean() - 1000 == pytest.approx(flat * 1e-5 * 4510, rel=0.02)
    assert trailing.parallel_overscan[1].mean() - 1000 == pytest.approx(
        flat * (1e-5 * 4510) ** 2 * 0, abs=1.0
    )
