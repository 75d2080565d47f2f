"""A file that changes as a whole, whenever the process that changes it dies."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from egse.storage.persistence import redo
from egse.storage.persistence.redo import PAGE, RedoFile


class DeadError(BaseException):
    """The process is killed here."""


def whole(path: Path) -> bytes:
    with RedoFile(path) as file:
        return file.read()


def change(file: RedoFile, generator: random.Random) -> None:
    for _ in range(4):
        file.seek(generator.randrange(5 * PAGE))
        file.write(generator.randbytes(generator.randrange(1, 2 * PAGE)))


def test_it_behaves_as_a_plain_file(tmp_path: Path) -> None:
    generator = random.Random(1)
    ours, plain = RedoFile(tmp_path / "a"), (tmp_path / "b").open("w+b")
    for _ in range(300):
        action = generator.choice(["write", "write", "read", "truncate", "commit"])
        at, size = generator.randrange(3 * PAGE), generator.randrange(2 * PAGE)
        if action == "write":
            data = generator.randbytes(size)
            for file in (ours, plain):
                file.seek(at)
                file.write(data)
        elif action == "read":
            for file in (ours, plain):
                file.seek(at)
            assert ours.read(size) == plain.read(size)
        elif action == "commit":
            ours.commit()
            plain.flush()
            assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    ours.close()
    plain.close()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("step", range(40))
def test_killed_at_any_write_the_file_is_the_old_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    path = tmp_path / "a"
    generator = random.Random(2)
    with RedoFile(path) as file:
        change(file, generator)
        file.commit()
    old = path.read_bytes()
    left = step

    def write_at(descriptor: int, data: bytes, offset: int) -> None:
        nonlocal left
        if left <= 0:
            os.pwrite(descriptor, data[: len(data) // 2], offset)
            raise DeadError
        left -= 1
        os.pwrite(descriptor, data, offset)

    file = RedoFile(path)
    change(file, generator)
    file.seek(0)
    new = file.read()
    monkeypatch.setattr(redo, "_write_at", write_at)
    try:
        file.commit()
        survived = True
    except DeadError:
        survived = False
    monkeypatch.undo()
    os.close(file._fd)
    found = whole(path)
    if survived:
        assert found == new
    else:
        assert found == new or found[: len(old)] == old


def test_a_commit_that_finds_no_room_leaves_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old" * 3000)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with RedoFile(path) as file:
        file.write(b"new" * 6000)
        monkeypatch.setattr(redo, "_write_at", full)
        with pytest.raises(OSError, match="No space"):
            file.commit()
        assert path.read_bytes() == b"old" * 3000
        file.discard()
        monkeypatch.undo()
        file.seek(0)
        assert file.read() == b"old" * 3000
