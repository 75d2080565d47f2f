"""The dummy control server: `dummy_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.dummy.driver import SETTINGS, make_controller
from egse.dummy.interface import DummyInterface
from egse.dummy.protocol import DummyProtocol

APP = ControlServerApp(
    name="dummy_cs",
    settings=SETTINGS,
    title="Dummy device",
    interface=DummyInterface,
    controller=make_controller,
    protocol=DummyProtocol,
    proxy="egse.dummy:DummyProxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
