"""Stand-in for section 6.1.1 of the manual: one factory for several hexapods."""

from typing import Any

from egse.device import DeviceFactoryInterface
from egse.hexapod.symetrie.puna import PunaController, PunaProxy
from egse.hexapod.symetrie.punaplus import PunaPlusController
from egse.hexapod.symetrie.zonda import ZondaController
from egse.settings import Settings

__all__ = ["ControllerFactory", "PunaProxy"]

PUNA_SETTINGS = Settings.load("PUNA Hexapod Controllers")


class ControllerFactory(DeviceFactoryInterface):
    """Creates the Controller that matches device name and identifier."""

    def create(self, device_name: str, *, device_id: str | None = None, **_ignored: Any) -> Any:
        if "puna" in device_name.lower():
            if not device_id.startswith("H_"):
                device_id = f"H_{device_id}"

            hostname = PUNA_SETTINGS[device_id]["HOSTNAME"]
            port = PUNA_SETTINGS[device_id]["PORT"]
            controller_type = PUNA_SETTINGS[device_id]["TYPE"]

            if controller_type == "ALPHA":
                return PunaController(hostname=hostname, port=port)
            elif controller_type == "ALPHA_PLUS":
                return PunaPlusController(hostname=hostname, port=port)
            else:
                raise ValueError(
                    f"Unknown controller_type ({controller_type}) for {device_name} at {device_id}"
                )

        elif "zonda" in device_name.lower():
            return ZondaController()

        else:
            raise ValueError(f"Unknown device name: {device_name}")
