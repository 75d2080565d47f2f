"""Stand-in for the ZONDA hexapod."""


class ZondaController:
    """Declares no interface: a Setup gives it as it is."""
