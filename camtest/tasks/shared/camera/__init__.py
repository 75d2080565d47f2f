"""Tasks around the camera: on, off, its N-FEE, its part of the Setup, the short functional test."""
