"""The camera: on, off, short functional test, its part of the Setup."""

from __future__ import annotations

from camtest.tasks.shared.camera.camera import switch_off_camera, switch_on_camera
from camtest.tasks.shared.camera.information import copy_camera_information
from camtest.tasks.shared.camera.sft import sft_analysis

UI_MODULE_DISPLAY_NAME = "4 - Camera"

__all__ = ["copy_camera_information", "sft_analysis", "switch_off_camera", "switch_on_camera"]
