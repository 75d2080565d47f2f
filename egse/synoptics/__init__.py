"""The synoptics: temperatures, source and source position under names that are the same at every test house.

Devices hand in their housekeeping (manual, section 5.6.5), the synoptics manager `syn_cs` translates the names with the
TM dictionary and stores rows in `SYN-HK`.

    with SynopticsManagerProxy() as synoptics:
        synoptics.store_common_synoptics(hk)
        synoptics.store_th_synoptics(hk)

    self.synoptics = SynopticsForwarder("ogse_cs")      # the same two methods, for the housekeeping of a control server
"""

from egse.synoptics.forwarder import SynopticsForwarder
from egse.synoptics.interface import SynopticsError, SynopticsManagerInterface, SynopticsManagerProxy

__all__ = ["SynopticsError", "SynopticsForwarder", "SynopticsManagerInterface", "SynopticsManagerProxy"]
