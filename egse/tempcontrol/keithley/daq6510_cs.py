"""The DAQ6510 control server: `daq6510_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.tempcontrol.keithley.daq6510 import SETTINGS, make_controller
from egse.tempcontrol.keithley.interface import DAQ6510Interface
from egse.tempcontrol.keithley.protocol import DAQ6510Protocol

APP = ControlServerApp(
    name="daq6510_cs",
    settings=SETTINGS,
    title="Keithley DAQ6510 data acquisition",
    interface=DAQ6510Interface,
    controller=make_controller,
    protocol=DAQ6510Protocol,
    proxy="egse.tempcontrol.keithley.daq6510:DAQ6510Proxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
