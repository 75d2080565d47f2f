"""What was observed."""

from __future__ import annotations

from camtest.tasks import exec_ui
from camtest.tasks.exec import Directory

UI_MODULE_DISPLAY_NAME = "3 - Observations"


@exec_ui(display_name="Verify")
def verify_observation(obsid: str, data_dir: Directory | None = None) -> str:
    """Checks that nothing that was recorded was altered or removed.

    Args:
        obsid: test id or obsid in any form.
        data_dir: data folder of the site; that of this site when left empty.
    """
    from egse.archive import Observation
    from egse.archive.siteverification import verify_observation as check

    problems = check(Observation(obsid, data_dir))
    return "\n".join(map(str, problems)) or f"{obsid}: all files are as they were recorded"


@exec_ui(display_name="Files")
def files(obsid: str, data_dir: Directory | None = None) -> list[str]:
    """Returns the files of an observation.

    Args:
        obsid: test id or obsid in any form.
        data_dir: data folder of the site; that of this site when left empty.
    """
    from egse.archive import Observation

    observation = Observation(obsid, data_dir)
    return [str(path) for path in (*observation.files, *observation.raw_files)]
