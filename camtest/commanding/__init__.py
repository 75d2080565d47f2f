"""Building blocks and functions that command the camera and its test equipment, by subsystem.

* `aeu`: power and synchronisation of the camera;
* `dpu`: the camera: N-FEE modes, readouts, synchronisation with the readout cycle;
* `filter_wheel`: filter wheels that are not behind an OGSE;
* `ogse`: lamp and attenuation;
* `power_meter`: power of the source;
* `shutter`: the slow shutter of the source;
* `tempcontrol`: temperature controllers;
* `utilities`: waiting, and checks of services and devices.

Whatever changes the state of the system is a building block; questions are plain functions.
"""
