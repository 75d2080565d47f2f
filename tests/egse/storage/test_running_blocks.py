"""Which building blocks run, as the events of an observation tell."""

from __future__ import annotations

from typing import Any

from egse.storage.blocks import RunningBlocks


def event(kind: str, call: int, block: str = "ogse.on", pid: int = 7) -> dict[str, Any]:
    return {"event": kind, "pid": pid, "call": call, "block": block}


def test_blocks_begin_and_end() -> None:
    blocks = RunningBlocks()
    blocks.note([event("start", 1, "outer"), event("start", 2, "inner"), {"event": "cell-end"}])
    assert blocks.names() == ["outer", "inner"]
    blocks.note([event("failed", 2, "inner"), event("end", 9)])
    assert blocks.names() == ["outer"]
    blocks.note([event("start", 1, "other", pid=8), event("end", 1, "outer")])
    assert (blocks.names(), blocks.begun) == (["other"], 3)


def test_the_same_block_twice_is_named_once() -> None:
    blocks = RunningBlocks()
    blocks.note([event("start", 1), event("start", 2)])
    assert blocks.names() == ["ogse.on"]
