from __future__ import annotations

import enum
import json
import math

import numpy as np

from camtest.core.values import call_text, plain, recorded, to_json_bytes


class Side(enum.Enum):
    E = 1


class Model:
    pass


def test_complex_objects_become_their_class_name() -> None:
    assert plain(Model()) == f"{__name__}.Model"
    assert plain({"side": Side.E, "rows": (1, np.int64(2)), "data": b"\x01\x02"}) == {
        "side": "E",
        "rows": [1, 2],
        "data": "01 02",
    }
    assert plain(np.zeros((100, 20), np.uint16)) == "<array 100x20 uint16>"
    assert plain(math.nan) == "nan"


def test_what_is_recorded_is_what_a_json_line_has() -> None:
    values = {"side": Side.E, "both": [Side.E, 2.5], "model": Model(), "none": None}
    assert (
        recorded(values)
        == json.loads(to_json_bytes(values))
        == {
            "side": 1,
            "both": [1, 2.5],
            "model": f"{__name__}.Model",
            "none": None,
        }
    )


def test_call_text_is_one_line_with_every_value_in_quotes() -> None:
    text = call_text("take", {"n": 2, "side": Side.E, "note": 'say "hi"\nthere', "model": Model(), "t": None})
    assert text == (rf'take(n="2", side="E", note="say \"hi\"\nthere", model="{__name__}.Model", t="None")')


def test_json_line_of_anything() -> None:
    line = to_json_bytes({"model": Model(), "side": Side.E, "x": 1.5})
    assert json.loads(line)["model"] == f"{__name__}.Model"
    assert b"\n" not in line
