from enum import IntEnum

import rich

from gui_executor.exec import exec_task, exec_ui
from gui_executor.utypes import Callback, DropdownList, FixedList, ListList, VariableName


class Digit(IntEnum):
    ZERO = 0
    ONE = 1
    TWO = 2


def failing():
    raise OSError("the device is away")


@exec_task()
def list_of_lists(x_list: ListList([int, str, bool], [900, "CSL"])):
    rich.print("x_list = ", x_list)
    return x_list


@exec_task()
def coordinates(where: FixedList([float, float], name="lat, long")):
    return where


@exec_task()
def filters(names: DropdownList(["none", "bias", "dark"], defaults=["bias", "dark"], name="Image filters")):
    return names


@exec_ui()
def callbacks(
    digit: Callback(lambda: Digit, name="digit", default=lambda: Digit.TWO),
    camera: Callback(lambda: ["achel", "duvel"]),
    flag: Callback(lambda: True),
    number: Callback(lambda: 7),
):
    return digit, camera, flag, number


@exec_ui()
def away(camera: Callback(failing)):
    return camera


@exec_ui()
def process(model: VariableName("ldo_model"), name: str = "LDO -> CSL"):
    return f"{name}: {model}"


@exec_ui(immediate_run=True)
def process_at_once(model: VariableName("ldo_model"), /):
    return model
