"""The settings of a TGF4000 generator: what each command takes, and what it is after a reset.

Most of them only have to be stored and given back. A choice is a tuple of words, a number has limits; settings of the
instrument are kept once, all others for each channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ON_OFF: Final = ("ON", "OFF")
ANY: Final = (-1e12, 1e12)
POSITIVE: Final = (0.0, 1e12)


@dataclass(frozen=True)
class Setting:
    """A setting.

    Attributes:
        default: after a reset.
        words: what it takes besides numbers; empty: numbers only.
        limits: of a number; None: words only.
        shared: one for the whole instrument.
    """

    default: str
    words: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    shared: bool = False


def _words(*words: str, shared: bool = False) -> Setting:
    return Setting(words[0], words, None, shared)


def _number(default: str, limits: tuple[float, float] = ANY, shared: bool = False) -> Setting:
    return Setting(default, (), limits, shared)


WAVES: Final = (
    "SINE", "SQUARE", "RAMP", "RAMPUP", "RAMPDOWN", "TRIANG", "PULSE", "NOISE", "ARB",
    "PRBSPN7", "PRBSPN9", "PRBSPN11", "PRBSPN15", "PRBSPN20", "PRBSPN23", "PRBSPN29", "PRBSPN31",
)  # fmt: skip
SHAPES: Final = (
    "DC", "SINC", "HAVERSINE", "CARDIAC", "EXPRISE", "LOGRISE", "EXPFALL", "LOGFALL", "GAUSSIAN", "LORENTZ",
    "DLORENTZ", "TRIANG", "ARB1", "ARB2", "ARB3", "ARB4",
)  # fmt: skip

_STORED_NUMBERS: Final = (
    "PULSFREQ", "PULSPER", "PULSWID", "PULSEDGE", "PULSRISE", "PULSFALL", "PULSDLY", "PRBSBITRATE",
    "MODAMDEPTH", "MODAMFREQ", "MODAMSCDEPTH", "MODAMSCFREQ", "MODFMDEV", "MODFMFREQ", "MODPMDEV", "MODPMFREQ",
    "MODASKFREQ", "MODASKRATE", "MODFSKFREQ", "MODFSKRATE", "MODSUMLEVEL", "MODSUMFREQ", "MODBPSKPHASE",
    "MODBPSKRATE", "MODPWMDEV", "MODPWMFREQ", "MODHOPFREQ", "MODHOPTIME", "SWPTIME", "SWPBEGFREQ", "SWPENDFREQ",
    "SWPCNTFREQ", "SWPSPNFREQ", "SWPTRGPER", "BSTCOUNT", "BSTPER", "BSTPHASE", "BSTTRGPER", "ARBDCOFFS",
)  # fmt: skip
_STORED_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "MODAMSRC": ("INT", "EXT"),
    "MODFMSRC": ("INT", "EXT"),
    "MODPMSRC": ("INT", "EXT"),
    "MODASKSRC": ("INT", "EXT"),
    "MODFSKSRC": ("INT", "EXT"),
    "MODSUMSRC": ("INT", "EXT"),
    "MODBPSKSRC": ("INT", "EXT"),
    "MODPWMSRC": ("INT", "EXT"),
    "MODPOLASK": ("POS", "NEG"),
    "MODPOLFSK": ("POS", "NEG"),
    "MODPOLBPSK": ("POS", "NEG"),
    "SWPTRGSRC": ("INT", "EXT", "MAN"),
    "SWPTRGSLP": ("POS", "NEG"),
    "SWPMODE": ("CONT", "TRIG"),
    "BSTTRGSRC": ("INT", "EXT", "MAN"),
    "BSTTRGSLP": ("POS", "NEG"),
}

SETTINGS: Final[dict[str, Setting]] = {
    "WAVE": Setting("SINE", WAVES),
    "FREQ": _number("10000", (1e-6, 160e6)),
    "AMPL": _number("2", (0.0, 20.0)),
    "AMPLRNG": _words("AUTO", "HOLD"),
    "DCOFFS": _number("0", (-10.0, 10.0)),
    "SQRSYMM": _number("50", (0.0, 100.0)),
    "RMPSYMM": _number("50", (0.0, 100.0)),
    "PULSSYMM": _number("50", (0.0, 100.0)),
    "PHASE": _number("0", (-360.0, 360.0)),
    "ZLOAD": Setting("OPEN", ("OPEN",), (50.0, 10e3)),
    "SYNCOUT": Setting("OFF", ON_OFF),
    "SYNCTYPE": _words("AUTO", "NORMAL", "CARRIER", "TRIGGER", "OFF"),
    "CHN2CONFIG": _words("MAINOUT", "SYNCOUT", shared=True),
    "ARBLOAD": Setting("DC", SHAPES),
    "ARBFILTER": _words("NORMAL", "STEP"),
    "MOD": _words("OFF", "AM", "AMSC", "FM", "PM", "ASK", "FSK", "SUM", "BPSK", "PWM"),
    "SWP": Setting("OFF", ON_OFF),
    "SWPTYPE": _words("LINUP", "LINDN", "LOGUP", "LOGDN"),
    "BST": _words("OFF", "NCYC", "GATED", "INFINITE"),
    "CNTRSWT": Setting("OFF", ON_OFF, None, True),
    "CNTRCPLNG": _words("AC", "DC", shared=True),
    "CNTRTYPE": _words("FREQUENCY", "PERIOD", "WIDTH", "NWIDTH", "DUTY", shared=True),
    "FRQCPLSWT": Setting("OFF", ON_OFF, None, True),
    "AMPLCPLNG": Setting("OFF", ON_OFF, None, True),
    "TRACKING": _words("OFF", "EQUAL", "INVERT", shared=True),
    "CLKSRC": _words("INT", "EXT", shared=True),
    "BEEPMODE": Setting("ON", (*ON_OFF, "WARN", "ERROR"), None, True),
    "*ESE": _number("0", (0, 255), shared=True),
    "*SRE": _number("0", (0, 255), shared=True),
    "*PRE": _number("0", (0, 65535), shared=True),
    **{name: _number("0") for name in _STORED_NUMBERS},
    **{name: _words(*words) for name, words in _STORED_WORDS.items()},
}
