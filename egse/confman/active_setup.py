"""Which Setup is loaded; it survives a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from egse.confman.repository import SetupFile, SetupRepository
from egse.decorators import fail_point
from egse.files import write_atomically
from egse.setup import NoSetupError, SetupError
from egse.setup.frozen import freeze_files
from egse.storage.naming import LAST_SETUP_ID

LOGGER = logging.getLogger(__name__)


class ActiveSetup:
    """The loaded Setup of a site.

    Args:
        repository: the Setups.
        site_folder: data folder of the site, where the id of the loaded Setup is kept.
    """

    def __init__(self, repository: SetupRepository, site_folder: Path) -> None:
        self.repository = repository
        self._id_file = site_folder / LAST_SETUP_ID
        self._on_change: list[Callable[[SetupFile], None]] = []
        self.current: SetupFile | None = self._last()

    def _last(self) -> SetupFile | None:
        try:
            return self.repository.read(int(self._id_file.read_text()))
        except FileNotFoundError:
            LOGGER.warning("no Setup is loaded yet; load one with `cm_cs load-setup ID`")
        except (ValueError, OSError, SetupError) as exc:
            LOGGER.error("the last loaded Setup cannot be loaded again: %s", exc)
        return None

    def on_change(self, callback: Callable[[SetupFile], None]) -> None:
        """Has `callback` called with every Setup that is loaded or submitted."""
        self._on_change.append(callback)

    def load(self, setup_id: int) -> SetupFile:
        """Makes a Setup the loaded one; raises SetupError when that is not possible."""
        return self._make_current(self.repository.read(setup_id))

    def submit(self, text: str, description: str, author: str) -> SetupFile:
        """Saves a new Setup and makes it the loaded one; raises SetupError when that is not possible."""
        setup = self._make_current(self.repository.submit(text, description, author))
        fail_point("cm.submit.after_load")
        return setup

    def _make_current(self, setup: SetupFile) -> SetupFile:
        try:
            write_atomically(self._id_file, f"{setup.setup_id}\n".encode(), mode=0o644)
        except OSError as exc:
            raise SetupError(
                f"Setup {setup.setup_id:05d} is there ({setup.path.name}) but not loaded, as {self._id_file} cannot be "
                f"written: {exc}; when that is repaired: cm_cs load-setup {setup.setup_id}"
            ) from exc
        self.current = setup
        LOGGER.info("Setup %05d is loaded", setup.setup_id)
        for callback in self._on_change:
            callback(setup)
        return setup

    def get(self, setup_id: int | None) -> SetupFile:
        """Returns a Setup, the loaded one for None.

        Raises:
            SetupError: when there is no such Setup; `NoSetupError` when none is loaded.
        """
        if setup_id is not None:
            return self.repository.read(setup_id)
        if self.current is None:
            raise NoSetupError("no Setup is loaded; load one with `cm_cs load-setup ID`")
        return self.current


def frozen_files(setup: SetupFile, root: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """Returns what an observation keeps of its Setup: the file itself and every file that it pulls in.

    Args:
        setup: the Setup.
        root: only files below this folder are taken.

    Returns:
        Content by name in the observation (without prefix), and that name by the reference, see `egse.setup.frozen`.
    """
    frozen = freeze_files(setup.content, setup.path, root)
    for problem in frozen.problems:
        LOGGER.warning("Setup %05d: not frozen: %s", setup.setup_id, problem)
    return {"setup.yaml": setup.text.encode(), **frozen.files}, frozen.names
