"""A task package as it is written for the Qt original: nothing here knows of this project's Tasks GUI."""
from pathlib import Path

from executor import ExternalCommand

HERE = Path(__file__).parent.resolve()

UI_TAB_ORDER = ["advanced"]


def oldstyle_ui():
    cmd = ExternalCommand(
        f"gui-executor --verbose --module-path oldstyle --kernel-name plato-test-scripts --single "
        f"--logo {HERE}/icons/lamp.svg --app-name 'Old style'",
        asynchronous=True,
    )
    cmd.start()
