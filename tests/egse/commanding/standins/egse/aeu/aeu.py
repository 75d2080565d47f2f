"""Stand-in for the power supplies of the AEU test EGSE."""

from egse.proxy import DynamicProxy


class PSUProxy(DynamicProxy):
    def __init__(self, number: int) -> None:
        self.settings_name = f"PSU{number} Control Server"
        self.server_name = f"PSU{number}"
        super().__init__()
