"""The Common-EGSE: commanding, core services, camera link, devices and archive, without a screen.

Nothing here knows about test scripts or Jupyter: those live in `camtest`, which stands on this package.
"""
