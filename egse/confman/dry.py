"""The configuration manager of a dry run: reads Setups from their files, changes nothing, has no observation."""

from __future__ import annotations

from typing import Any

from egse.confman.control_token import DryControlCommands
from egse.confman.desk import DryDesk
from egse.confman.interface import ConfigurationManagerInterface
from egse.confman.observations import ObservationError
from egse.confman.repository import SetupFile, SetupRepository
from egse.setup import NoSetupError, SetupError
from egse.setup.conf import last_setup_id


class DryRunConfigurationManager(DryDesk, DryControlCommands, ConfigurationManagerInterface):
    """Answers as the configuration manager of this site would, from the same files.

    Args:
        repository: the Setups.
    """

    def __init__(self, repository: SetupRepository) -> None:
        self._repository = repository
        self._loaded = last_setup_id()

    def start_observation(
        self,
        run_id: str,
        function: str,
        description: str,
        supervised: bool,
        lease: float,
        details: dict[str, Any],
        origin: str = "",
    ) -> dict[str, Any]:
        raise ObservationError("a dry run takes no obsid")

    def end_observation(self, run_id: str, status: str, reason: str = "", by: str = "") -> dict[str, Any]:
        raise ObservationError("a dry run has no observation")

    def renew_lease(self, run_id: str) -> float:
        raise ObservationError("a dry run has no observation")

    def get_observation(self) -> dict[str, Any] | None:
        return None

    def get_obsid(self) -> str | None:
        return None

    def find_observation(self, run_id: str) -> dict[str, Any] | None:
        return None

    def list_observations(self, last: int | None = None) -> list[dict[str, Any]]:
        return []

    def _read(self, setup_id: int | None) -> SetupFile:
        wanted = self._loaded if setup_id is None else setup_id
        if wanted is None:
            raise NoSetupError("no Setup is loaded; load one with `cm_cs load-setup ID`")
        return self._repository.read(wanted)

    def load_setup(self, setup_id: int) -> dict[str, Any]:
        setup = self._read(setup_id)
        self._loaded = setup.setup_id
        return setup.as_dict()

    def get_setup(self, setup_id: int | None = None) -> dict[str, Any]:
        return self._read(setup_id).as_dict()

    def submit_setup(self, yaml: str, description: str, author: str = "") -> dict[str, Any]:
        raise SetupError("a dry run submits no Setup")

    def list_setups(self, filters: dict[str, Any]) -> list[list[Any]]:
        return self._repository.find(filters)

    def check_setups(self) -> list[dict[str, Any]]:
        return [finding.as_dict() for finding in self._repository.findings()]

    def sync_setups(self, start: bool = True) -> dict[str, Any]:
        raise SetupError("a dry run pushes nothing")

    def get_site_id(self) -> str:
        return self._repository.site_id
