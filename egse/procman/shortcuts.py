"""Commands of the process manager for programs with names of their own (manual, section 5.4)."""

from __future__ import annotations

from egse.procman.interface import ProcessManagerInterface, ServerStatus


class ProgramCommands(ProcessManagerInterface):
    """Starts and stops the programs that belong to no device, by way of `start_cs` and `shut_down_cs`."""

    def start_fitsgen(self) -> ServerStatus:
        return self.start_cs("fitsgen")

    def stop_fitsgen(self) -> ServerStatus:
        return self.shut_down_cs("fitsgen")

    def start_fov_hk(self) -> ServerStatus:
        return self.start_cs("fov_hk")

    def stop_fov_hk(self) -> ServerStatus:
        return self.shut_down_cs("fov_hk")

    def start_n_fee_hk(self) -> ServerStatus:
        return self.start_cs("n_fee_hk")

    def stop_n_fee_hk(self) -> ServerStatus:
        return self.shut_down_cs("n_fee_hk")
