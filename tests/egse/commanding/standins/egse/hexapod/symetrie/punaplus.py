"""Stand-in for the PUNA hexapod with the Alpha+ controller; it is used without a control server only."""

from egse.hexapod.symetrie.puna import PunaController


class PunaPlusController(PunaController):
    proxy_class = ""
