"""Register map, housekeeping map and CCD numbers of the Setup."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from egse.dpu import DPUProxy
from egse.dpu.maps import FEEMaps
from egse.fee import EM_NUMBERING, FM_NUMBERING, load_hk_map
from egse.proxy import command_context
from egse.reg import RegisterMap, RegisterMapError, load_layout
from egse.reg.maps import REGISTER_MAP_FILES
from egse.setup import Setup, load_setup, submit_setup
from egse.setup.stamp import SetupStamp
from egse.setupwatch import OtherSetupError
from egse.yamlfile import read_yaml

EM_TABLES = {"ccd_bin_to_id": [3, 4, 1, 2], "default_ccd_readout_order": 0x4E}


def test_what_the_setup_gives_is_used() -> None:
    content = read_yaml(REGISTER_MAP_FILES["em"])
    fee = {"register_map": {**content, "name": "special"}, "ccd_numbering": EM_TABLES}
    maps = FEEMaps.of({"camera": {"fee": fee}}, "fm")
    assert maps.layout.name == "special"
    assert maps.numbering == EM_NUMBERING
    assert maps.hk_map == load_hk_map("fm")
    travelled = FEEMaps.from_plain(msgspec.json.decode(msgspec.json.encode(maps.as_plain())))
    assert travelled == maps


def test_without_a_setup_the_camera_model_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, numbering, model in (("True", EM_NUMBERING, "em"), ("False", FM_NUMBERING, "fm")):
        monkeypatch.setenv("PLATO_CAMERA_IS_EM", value)
        for setup in (None, {}, {"camera": {}}, {"camera": {"fee": {"type": "N-FEE"}}}):
            maps = FEEMaps.of(setup)
            assert (maps.numbering, maps.layout) == (numbering, load_layout(model))


@pytest.mark.parametrize(
    "fee", [{"register_map": {"size": 4}}, {"ccd_numbering": {"ccd_bin_to_id": [1, 1, 2, 3]}}]
)
def test_maps_that_make_no_sense_are_refused(fee: dict[str, Any]) -> None:
    with pytest.raises((RegisterMapError, ValueError)):
        FEEMaps.of({"camera": {"fee": fee}}, "fm")


def test_new_maps_are_used_from_the_next_slot(bench: Any) -> None:
    bench.run(3.0)
    em = FEEMaps.of(None, "em")
    bench.state.use_maps(RegisterMap("N-FEE", em.layout), em.numbering)
    bench.run(7.0)
    assert bench.state.known
    assert bench.core.status()["ccd_order"] == [3, 4, 1, 2]
    assert bench.core.status()["counters"]["fee_restarts"] == 0


@pytest.fixture
def first_setup(in_sandbox: Any) -> Iterator[Setup]:
    setup = load_setup()
    yield setup
    load_setup(setup.get_id())


@pytest.mark.system
def test_the_dpu_follows_the_loaded_setup(first_setup: Setup) -> None:
    def order() -> list[int]:
        result: list[int] = dpu.get_status_summary()["ccd_order"]
        return result

    def wait_for(wanted: list[int]) -> None:
        deadline = time.monotonic() + 90
        while order() != wanted:
            assert time.monotonic() < deadline, order()

    with DPUProxy() as dpu:
        wait_for([1, 2, 3, 4])
        changed = first_setup.copy()
        changed.camera.fee.ccd_numbering = EM_TABLES
        submitted = submit_setup(changed, "CCDs connected as in the engineering model")
        wait_for([3, 4, 1, 2])
        with (
            command_context(setup=str(SetupStamp.of(first_setup))),
            pytest.raises(OtherSetupError, match="issued under Setup"),
        ):
            dpu.n_fee_set_register_values({"conv_dly": 15})
        with command_context(setup=str(SetupStamp.of(submitted))):
            assert dpu.n_fee_set_register_values({"conv_dly": 15})
        load_setup(first_setup.get_id())
        wait_for([1, 2, 3, 4])
