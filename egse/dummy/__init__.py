"""The dummy device: the smallest complete device package, to copy from.

| module | holds |
| --- | --- |
| `interface` | the commands |
| `driver` | Controller and Proxy, the device's port, how a Controller is made |
| `protocol` | housekeeping, status, registration as a listener of the configuration manager |
| `model` | the simulated device |
| `dummy_cs` | the control server, `dummy_cs start [--simulator] | stop | status` |
| `dummy_sim` | the simulator as a process of its own |
"""

from egse.dummy.driver import DummyController, DummyEthernetInterface, DummyProxy
from egse.dummy.interface import DummyError, DummyInterface
from egse.dummy.model import DummyModel

__all__ = [
    "DummyController",
    "DummyError",
    "DummyEthernetInterface",
    "DummyInterface",
    "DummyModel",
    "DummyProxy",
]
