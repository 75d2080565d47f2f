import time
from enum import Enum, IntEnum
from pathlib import Path
from typing import List, Optional, Tuple

from gui_executor.exec import Directory, FileName, FilePath, exec_ui

UI_MODULE_DISPLAY_NAME = "1 - Lamp"

ICON_PATH = Path(__file__).parent.resolve() / "icons/"


class CameraName(IntEnum):
    FRONT_DOOR = 1
    GARDEN = 3


class Lamp(str, Enum):
    WHITE = "w"
    RED = "r"


@exec_ui(
    display_name="Switch ON",
    icons=(ICON_PATH / "lamp.svg", ICON_PATH / "lamp-selected.svg"),
    use_kernel=True,
)
def switch_on(power: float = 4.0, lamp: Lamp = Lamp.RED, camera: CameraName = CameraName.GARDEN):
    """Switches the lamp on."""
    print(f"{lamp.name} lamp at {power} W for {camera.name}", flush=True)
    return power * 2


@exec_ui(capture_response=("ra", "_", "dec"))
def get_radec(source):
    return 37.4, source, 89.2


@exec_ui(display_name="Files", file_filter={"path": "YAML Files (*.yaml *.yml)"})
def files(
    name: FileName, path: FilePath, location: Directory = Path("~/data"), flags: List[int] = None,
    pair: Tuple[int, str] = (1, "a"), opt: Optional[int] = None, plain=None, other: int = 5,
):
    return name, path, location, flags, pair, opt, plain, other


@exec_ui(input_request=("Continue [Y/n]",), use_script_app=True)
def ask_in_a_script(where: FilePath):
    response = input("Continue [Y/n] ")
    where.write_text(response)
    return response


@exec_ui(allow_kernel_interrupt=True, immediate_run=True)
def stop():
    print("stopped")


@exec_ui()
def wait_long(where: FilePath):
    where.write_text("waiting")
    try:
        for _ in range(600):
            time.sleep(0.1)
    finally:
        where.write_text("ended")
