from __future__ import annotations

from pathlib import Path

import pytest

from egse import bits, resource
from egse.resource import ResourceError, add_resource_root, get_resource
from egse.rmap.crc import rmap_crc


def test_single_bits() -> None:
    assert bits.set_bit(0b1000, 0) == 0b1001
    assert bits.clear_bit(0b1001, 0) == 0b1000
    assert bits.toggle_bit(0b1001, 3) == 0b0001
    assert bits.set_bits(0, 2, 5) == 0b11100
    assert bits.clear_bits(0xFF, 2, 5) == 0b11100011
    assert bits.bit_set(0b101, 0, 2)
    assert not bits.bit_set(0b101, 0, 1)


def test_fields() -> None:
    assert bits.get_field(0xABCD, 4, 8) == 0xBC
    assert bits.set_field(0xABCD, 4, 8, 0x11) == 0xA11D
    assert bits.bit_mask(3, 3) == 0
    assert (bits.twos_complement(0xFFFF, 16), bits.twos_complement(0x7FFF, 16)) == (-1, 32767)
    with pytest.raises(ValueError, match="300 does not fit into 8 bits"):
        bits.set_field(0, 0, 8, 300)
    with pytest.raises(ValueError, match="no number of 0 bits"):
        bits.twos_complement(5, 0)
    with pytest.raises(ValueError, match="no bits from 3 to 2"):
        bits.bit_mask(3, 2)


def test_texts() -> None:
    assert bits.beautify_binary(2**14 + 2**9) == "01000010 00000000"
    assert bits.beautify_binary(5, sep="_", group=4, prefix="0b", size=12) == "0b0000_0000_0101"
    assert bits.beautify_hex(b"\x01\xff") == "01 FF"
    assert bits.beautify_hex(0x1ABCD, prefix="0x", sep="", size=8) == "0x0001ABCD"
    assert bits.hex_dump(b"ABC\x00" * 5, width=16).splitlines() == [
        "00000000  41 42 43 00 41 42 43 00 41 42 43 00 41 42 43 00  |ABC.ABC.ABC.ABC.|",
        "00000010  41 42 43 00                                      |ABC.|",
    ]
    assert bits.beautify_hex(bytearray(b"\x01\xff")) == bits.beautify_hex(memoryview(b"\x01\xff")) == "01 FF"
    with pytest.raises(ValueError, match="-1 is negative"):
        bits.beautify_binary(-1)
    for beautify in (bits.beautify_binary, bits.beautify_hex):
        with pytest.raises(ValueError, match="at least one digit, not 0"):
            beautify(5, group=0)


@pytest.mark.parametrize(
    ("size", "base", "text"),
    [
        (0, 2, "0 bytes"),
        (1023, 2, "1023 bytes"),
        (1024, 2, "1.000 KiB"),
        (833754240, 2, "795.130 MiB"),
        (576_000_000_000, 10, "576.000 GB"),
        (5e18, 10, "5000.000 PB"),
    ],
)
def test_humanize_bytes(size: float, base: int, text: str) -> None:
    assert bits.humanize_bytes(size, base) == text


def test_humanize_bytes_refuses_other_bases() -> None:
    with pytest.raises(ValueError, match="2 or 10"):
        bits.humanize_bytes(1, 3)


def test_check_values_of_the_checksums() -> None:
    assert bits.crc16_ccitt(b"123456789") == 0x29B1
    assert bits.crc32(b"123456789") == 0xCBF43926


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(resource, "_ROOTS", dict(resource._ROOTS))
    folder = tmp_path / "icons"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.svg").write_text("<svg/>")
    (folder / "sub" / "b1.png").write_text("x")
    (folder / "sub" / "b2.png").write_text("x")
    (tmp_path / "secret").write_text("x")
    add_resource_root("test-icons", folder)
    return folder


def test_resources(root: Path) -> None:
    assert get_resource(":/test-icons/a.svg") == root / "a.svg"
    assert get_resource(":/test-icons") == root
    assert get_resource(":/test-icons/sub/*1.png") == root / "sub" / "b1.png"
    add_resource_root("test-icons", root)


@pytest.mark.parametrize(
    ("locator", "problem"),
    [
        ("test-icons/a.svg", "expected ':/ROOT/FILE'"),
        (":/test-icns/a.svg", "no resource root 'test-icns', did you mean 'test-icons'"),
        (":/test-icons/x.svg", "there is no such file"),
        (":/test-icons/sub/*.png", "2 files fit"),
        (":/test-icons/../secret", "leads out of"),
    ],
)
def test_no_resource(root: Path, locator: str, problem: str) -> None:
    with pytest.raises(ResourceError, match=problem):
        get_resource(locator)


def test_bad_roots(root: Path) -> None:
    with pytest.raises(ResourceError, match="there is no folder"):
        add_resource_root("x", root / "nothing")
    with pytest.raises(ValueError, match="no name"):
        add_resource_root("a/b", root)
    with pytest.raises(ValueError, match="is already"):
        add_resource_root("test-icons", root / "sub")


CHECK_VALUES = {
    "crc8": 0xF4,
    "crc8-rohc": 0xD0,
    "crc16-ccitt": 0x29B1,
    "crc16-xmodem": 0x31C3,
    "crc16-modbus": 0x4B37,
    "crc16-kermit": 0x2189,
    "crc32": 0xCBF43926,
    "crc32c": 0xE3069283,
    "adler32": 0x091E01DE,
    "sum8": 0xDD,
    "xor8": 0x31,
}


def test_checksums_by_name_give_their_check_values() -> None:
    assert {name: bits.checksum(name, b"123456789") for name in CHECK_VALUES} == CHECK_VALUES
    command = bytes([0xFE, 0x01, 0x4C, 0, 0x67, 0, 0, 0, 0xA0, 0, 0, 0, 0, 0, 0x10])
    assert bits.checksum("crc8-rmap", command) == rmap_crc(command)
    assert {*CHECK_VALUES, "crc8-rmap"} == set(bits.CHECKSUMS)
    assert bits.xor8(b"") == bits.sum8(b"") == 0
    with pytest.raises(ValueError, match=r"unknown checksum 'crc16-modbuss'.*crc16-modbus"):
        bits.checksum("crc16-modbuss", b"")


def test_resource_roots() -> None:
    roots = resource.resource_roots()
    assert get_resource(":/data") == roots["data"]
    assert all(get_resource(f":/{name}").is_dir() for name in roots)


def test_a_package_may_have_the_roots_of_the_manual(root: Path) -> None:
    with pytest.raises(ResourceError, match=r"no resource root 'icons'.*add_resource_root"):
        get_resource(":/icons")
    add_resource_root("icons", root)
    assert get_resource(":/icons/a.svg") == root / "a.svg"
