"""Tasks around the configuration of a new camera, a tab of its own."""

from __future__ import annotations

UI_TAB_DISPLAY_NAME = "Configuration"
