"""The building blocks, executed by the real Controllers on their models, on virtual time."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from camtest import Abort, GlobalState, building_block, generate_command_sequence
from camtest.commanding import dpu, ogse, utilities
from camtest.core.blocks import BuildingBlockError
from camtest.core.dryrun import DryRun
from camtest.core.exec import ObservationError, definition_of
from camtest.state import install_dry_run
from egse.command import CommandError
from egse.fee import n_fee_mode
from egse.setup import Setup
from egse.site.layout import SiteLayout

ORDER = [1, 2, 3, 4]
CYCLE = 25.0
IMAGES: dict[str, Any] = {
    "num_cycles": 1,
    "row_start": 0,
    "row_end": 99,
    "rows_final_dump": 0,
    "ccd_order": ORDER,
    "ccd_side": "BOTH",
}
BLOCKS = [
    function
    for module in (dpu, ogse, utilities)
    for function in vars(module).values()
    if getattr(function, "BUILDING_BLOCK_FUNC", False) and function.__module__ == module.__name__
]


@pytest.fixture(autouse=True)
def _setup(site: SiteLayout) -> None:
    (path,) = site.conf.glob("SETUP_*.yaml")
    GlobalState.setup = Setup.from_yaml_file(path)


@pytest.fixture
def dry(_setup: None) -> DryRun:
    """A dry run in which blocks can be called one after the other."""
    dry_run = DryRun(GlobalState.setup, supervised=True)
    install_dry_run(dry_run)
    return dry_run


@pytest.fixture
def in_dump_mode(dry: DryRun) -> DryRun:
    dpu.n_fee_to_standby_mode()
    dpu.n_fee_to_dump_mode()
    return dry


def commanded(dry_run: DryRun, *names: str) -> list[tuple[str, dict[str, Any]]]:
    return [(entry.name, entry.arguments) for entry in dry_run.sequence.commands if entry.name in names]


# Rules ---------------------------------------------------------------------------------------------------------------


def test_there_are_blocks_for_camera_and_light() -> None:
    names = {function.__name__ for function in BLOCKS}
    assert names >= {
        *("n_fee_to_on_mode", "n_fee_to_standby_mode", "n_fee_to_dump_mode"),
        *("n_cam_full_ccd", "n_cam_full_standard", "n_cam_partial_ccd", "n_cam_acquire_and_dump"),
        *("ogse_swon", "ogse_swoff", "set_attenuation"),
    }


@pytest.mark.parametrize("function", BLOCKS, ids=lambda function: function.__name__)
def test_every_block_is_documented_and_typed(function: Callable[..., Any]) -> None:
    definition = definition_of(function)
    documentation = inspect.getdoc(function)
    assert documentation
    assert set(get_type_hints(function)) == {*definition.names, "return"}
    for name in definition.names:
        assert f"{name}:" in documentation


@pytest.mark.parametrize("function", BLOCKS, ids=lambda function: function.__name__)
def test_no_block_runs_outside_an_observation(function: Callable[..., Any]) -> None:
    with pytest.raises(ObservationError, match="inside an observation only"):
        function()


def test_arguments_are_given_by_name_all_of_them_and_in_range(dry: DryRun) -> None:
    with pytest.raises(BuildingBlockError, match="keyword"):
        ogse.set_attenuation(0.5)
    with pytest.raises(BuildingBlockError, match="factor"):
        ogse.set_attenuation()
    with pytest.raises(CommandError, match="factor"):
        ogse.set_attenuation(factor=1.5)
    with pytest.raises(CommandError, match="ccd_side"):
        dpu.n_cam_full_standard(num_cycles=1, ccd_side="G")
    with pytest.raises(CommandError, match=r"`ccd_order` must be in \[1, 4\], got \[0, 1, 2, 3\]"):
        dpu.n_cam_partial_ccd(**{**IMAGES, "ccd_order": [0, 1, 2, 3]})
    assert len(dry.sequence) == 0, "nothing was commanded"


# Modes of the camera -------------------------------------------------------------------------------------------------


def test_modes_are_in_effect_when_their_block_returns(dry: DryRun) -> None:
    assert dpu.n_fee_is_on_mode()
    dpu.n_fee_to_standby_mode()
    assert dpu.n_fee_is_standby_mode()
    assert dry.elapsed <= 2 * CYCLE
    dpu.n_fee_to_dump_mode()
    assert dpu.n_fee_is_dump_mode()
    assert dpu.n_fee_get_mode() is n_fee_mode.FULL_IMAGE_MODE
    dpu.n_fee_to_standby_mode()
    assert dpu.n_fee_is_standby_mode()
    dpu.n_fee_to_on_mode()
    assert dpu.n_fee_is_on_mode()


def test_switch_on_steps_with_fpga_defaults(dry: DryRun, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dpu.fpga_default_changes() == [], "the simulated camera wakes up with the values of brigand"
    dpu.n_fee_set_fpga_defaults()
    assert commanded(dry, "n_fee_set_register_values") == []
    others = {
        "sensor_sel": 3,
        "r_cfg1": 7,
        "ccd2_vrd_config": 3685,
    }  # as in a switch-on (FEE operations, section 6)
    dpu.dpu().n_fee_set_register_values(others)
    changes = dpu.fpga_default_changes()
    assert {change.name: change.old for change in changes} == others
    table = dpu.format_changes(changes).splitlines()
    assert len(table) == 4
    assert "reg_18_config, reg_19_config" in next(line for line in table if "ccd2_vrd_config" in line)
    asked: list[tuple[str, bool | None]] = []
    with monkeypatch.context() as patched:
        patched.setattr(dpu, "confirm", lambda question, default=None: asked.append((question, default)))
        with pytest.raises(Abort, match="nothing was written"):
            dpu.n_fee_set_fpga_defaults()
    ((question, default),) = asked
    assert question.startswith(dpu.format_changes(changes))
    assert default is True
    assert len(commanded(dry, "n_fee_set_register_values")) == 1
    dpu.n_fee_set_fpga_defaults()
    written = commanded(dry, "n_fee_set_register_values")[-1][1]["values"]
    assert (written["sensor_sel"], written["r_cfg1"]) == (1, 9)
    assert dpu.fpga_default_changes() == []
    dpu.n_cam_to_standby_mode()
    assert dpu.n_fee_is_standby_mode()
    with pytest.raises(Abort, match="STANDBY_MODE: its FPGA defaults are written in ON mode only"):
        dpu.n_fee_set_fpga_defaults()
    dpu.n_cam_to_dump_mode()
    assert dpu.n_fee_is_dump_mode()
    dpu.n_cam_to_standby_mode()
    dpu.n_cam_to_on_mode()
    assert dpu.n_fee_is_on_mode()


def test_a_camera_without_fpga_defaults(dry: DryRun) -> None:
    assert GlobalState.setup is not None
    setup = GlobalState.setup.copy()
    del setup.camera.fee["fpga_defaults"]
    GlobalState.setup = setup
    with pytest.raises(Abort, match=r"no camera\.fee\.fpga_defaults"):
        dpu.fpga_default_changes()
    setup.camera.fee.fpga_defaults = {"registers": {"reg_0_config": "none"}}
    with pytest.raises(Abort, match="does not fit"):
        dpu.fpga_default_changes()


def test_dump_from_on_is_refused_with_the_way_out(dry: DryRun) -> None:
    with pytest.raises(Abort, match=r"ON mode.*call n_fee_to_standby_mode first"):
        dpu.n_fee_to_dump_mode()
    assert commanded(dry, "n_fee_set_dump_mode") == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"row_start": 100}, r"row_end \(99\) lies below row_start \(100\)"),
        ({"ccd_order": [1, 2]}, r"four pulses, got \[1, 2\]"),
        ({}, "ON mode and cannot take images"),
    ],
)
def test_images_that_cannot_be_taken(dry: DryRun, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(Abort, match=message):
        dpu.n_cam_partial_ccd(**IMAGES | changed)
    assert commanded(dry, "n_fee_set_full_image_mode") == []


@pytest.mark.parametrize(
    ("block", "arguments", "sent"),
    [
        (
            dpu.n_cam_full_ccd,
            {"num_cycles": 2, "ccd_order": [2, 2, 2, 2], "ccd_side": "E", "rows_overscan": 15},
            {"num_cycles": 2, "row_end": 4524, "ccd_order": [2, 2, 2, 2], "ccd_side": "E"},
        ),
        (dpu.n_cam_full_standard, {"num_cycles": 0, "ccd_side": "F"}, {"num_cycles": 0, "row_end": 4539, "ccd_side": "F"}),
        (
            dpu.n_cam_partial_ccd,
            IMAGES | {"row_start": 50, "rows_final_dump": 4510},
            {"row_start": 50, "row_end": 99, "rows_final_dump": 4510},
        ),
    ],
)  # fmt: skip
def test_a_readout_is_commanded_once_and_in_effect_afterwards(
    in_dump_mode: DryRun, block: Callable[..., Any], arguments: dict[str, Any], sent: dict[str, Any]
) -> None:
    block(**arguments)
    assert commanded(in_dump_mode, "n_fee_set_full_image_mode") == [
        ("n_fee_set_full_image_mode", IMAGES | {"row_start": 0, **sent})
    ]
    assert dpu.n_fee_get_mode() is n_fee_mode.FULL_IMAGE_MODE
    assert not dpu.n_fee_is_dump_mode()
    assert dpu.dpu().n_fee_get_register_value("v_end") == sent["row_end"]


@pytest.mark.parametrize("num_cycles", [1, 3])
def test_acquire_and_dump_takes_its_cycles_and_ends_in_dump(in_dump_mode: DryRun, num_cycles: int) -> None:
    start, cycles = in_dump_mode.elapsed, dpu.dpu().get_cycle_count()
    dpu.n_cam_acquire_and_dump(**IMAGES | {"num_cycles": num_cycles})
    assert dpu.n_fee_is_dump_mode()
    assert dpu.dpu().get_cycle_count() == cycles + num_cycles + 1
    assert num_cycles * CYCLE < in_dump_mode.elapsed - start < (num_cycles + 1.5) * CYCLE


def test_waiting_for_cycles(in_dump_mode: DryRun) -> None:
    start = dpu.dpu().get_cycle_count()
    dpu.wait_cycles(0)
    assert dpu.dpu().get_cycle_count() == start
    dpu.wait_cycles(3)
    assert dpu.dpu().get_cycle_count() == start + 3
    elapsed = in_dump_mode.elapsed
    frame, extra = dpu.on_long_pulse_do(lambda x, y: (dpu.dpu().n_fee_get_frame_number(), x + y), 2, y=3)
    assert (frame, extra) == (0, 5)
    assert 0 < in_dump_mode.elapsed - elapsed < 1.1 * CYCLE
    assert dpu.camera_is_simulated()


# Light ---------------------------------------------------------------------------------------------------------------


def test_the_source_is_switched_on_dark_and_off(dry: DryRun) -> None:
    ogse.set_attenuation(factor=1.0)
    ogse.ogse_swon()
    assert ogse.lamp_is_on()
    state = ogse.get_attenuation()
    assert (state["att_moving"], state["att_factor"]) == (False, 0.0)
    ogse.set_attenuation(factor=0.1)
    assert ogse.get_attenuation()["att_factor"] == pytest.approx(0.1, abs=0.01)
    ogse.ogse_swoff()
    assert not ogse.lamp_is_on()
    assert ogse.get_attenuation()["att_factor"] == 0.0
    switched = commanded(dry, "power_on", "operate_on", "operate_off", "power_off")
    assert [name for name, _ in switched] == ["power_on", "operate_on", "operate_off", "power_off"]


def test_an_open_interlock_aborts_before_anything_is_switched(
    dry: DryRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_door(definition: Any) -> Callable[..., Any]:
        original = dry.call

        def call(proxy: Any, command: Any, arguments: dict[str, Any]) -> Any:
            return "interlock: OPEN" if command.name == definition else original(proxy, command, arguments)

        return call

    monkeypatch.setattr(dry, "call", open_door("get_interlock"))
    with pytest.raises(Abort, match="interlock of the OGSE is open: close the door"):
        ogse.ogse_swon()
    assert commanded(dry, "power_on", "operate_on", "att_set_level_index") == []


def test_one_level_up_and_down(dry: DryRun) -> None:
    ogse.set_attenuation(factor=0.1)
    index = ogse.get_attenuation()["att_index"]
    ogse.att_level_up()
    assert ogse.get_attenuation()["att_index"] == index + 1
    ogse.att_level_down()
    assert ogse.get_attenuation()["att_index"] == index


# Sequences -----------------------------------------------------------------------------------------------------------


@building_block
def light_and_image(factor: float) -> None:
    """Blocks call blocks."""
    ogse.set_attenuation(factor=factor)
    dpu.n_fee_to_standby_mode()


def test_the_sequence_names_the_block_of_each_command() -> None:
    sequence = generate_command_sequence(light_and_image, factor=0.5)
    blocks = {entry.name: entry.block for entry in sequence.commands}
    assert blocks["att_set_level_factor"] == "set_attenuation"
    assert blocks["n_fee_set_standby_mode"] == "n_fee_to_standby_mode"
    assert [entry.name for entry in sequence.blocks] == [
        "light_and_image",
        "set_attenuation",
        "n_fee_to_standby_mode",
    ]
    assert not GlobalState.dry_run
