"""SAP packets as bytes, and the groups that they go to."""

from __future__ import annotations

import zlib
from contextlib import suppress
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdp_lab import tea

from ipconf.directory.sap_wire import (
    MAX_INFLATED_BYTES,
    SapPacket,
    hash_of,
    parse_packet,
    write_packet,
)
from ipconf.directory.scopes import Scope, announcement_group, scope_of
from ipconf.errors import WireError
from ipconf.sdp import write_description

TEXT = write_description(tea()).encode()
IPV4, IPV6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")
HEAD = bytes((0x20, 0, 0x12, 0x34, 192, 0, 2, 1))


def test_a_packet_byte_by_byte() -> None:
    packet = SapPacket(IPV4, 0x1234, TEXT)
    assert write_packet(packet) == HEAD + b"application/sdp\0" + TEXT
    assert parse_packet(HEAD + TEXT) == packet
    deletion = SapPacket(IPV6, 1, b"o=x", is_deletion=True)
    data = bytes((0x34, 0, 0, 1)) + IPV6.packed
    assert write_packet(deletion) == data + b"application/sdp\0o=x"
    assert parse_packet(data + b"o=x") == deletion


@pytest.mark.parametrize("source", [IPV4, IPV6])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("is_deletion", [False, True])
def test_what_is_written_is_read(source: object, compress: bool, is_deletion: bool) -> None:
    packet = SapPacket(source, hash_of(TEXT), TEXT, is_deletion)  # type: ignore[arg-type]
    assert parse_packet(write_packet(packet, compress=compress)) == packet


def test_authentication_data_are_skipped() -> None:
    signed = bytes((0x20, 2)) + HEAD[2:] + b"8 bytes!" + TEXT
    assert parse_packet(signed) == SapPacket(IPV4, 0x1234, TEXT)


def test_compressed_payloads_with_their_type_inside_or_before() -> None:
    compressed = bytes((0x21,)) + HEAD[1:]
    typed = b"application/sdp\0"
    for body in (
        zlib.compress(TEXT),
        zlib.compress(typed + TEXT),
        typed + zlib.compress(TEXT),
    ):
        assert parse_packet(compressed + body).payload == TEXT
    bomb = zlib.compress(b"v=0" + bytes(10 * MAX_INFLATED_BYTES))
    for bad, message in (
        (bomb, "more than 16384 bytes"),
        (typed + bomb, "more than"),
        (TEXT, "marked as compressed"),
        (zlib.compress(TEXT)[:-5], "type|compressed"),
    ):
        with pytest.raises(WireError, match=message):
            parse_packet(compressed + bad)


def test_encrypted_payloads_are_not_looked_at() -> None:
    packet = parse_packet(bytes((0x22,)) + HEAD[1:] + b"secret")
    assert (packet.is_encrypted, packet.payload) == (True, b"secret")
    assert parse_packet(write_packet(packet)) == packet


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD[:7],
        HEAD,
        b"\0" + HEAD[1:] + TEXT,
        b"\x30" + HEAD[1:],
        bytes((0x20, 255)) + HEAD[2:] + TEXT,
        HEAD + b"no type",
        HEAD + b"\xff/x\0v=0",
    ],
)
def test_malformed_packets_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_packet(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 31), st.booleans())
def test_no_bytes_do_worse_than_an_error(body: bytes, flags: int, is_zlib: bool) -> None:
    with suppress(WireError):
        packet = parse_packet(
            bytes((0x20 | flags,)) + HEAD[1:] + (zlib.compress(body) if is_zlib else body)
        )
        assert len(packet.payload) <= len(body) + 20


def test_a_hash_is_never_zero() -> None:
    assert all(0 < hash_of(bytes((i, j))) < 1 << 16 for i in range(256) for j in range(256))


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("224.2.130.1", "224.2.127.254"),
        ("239.255.12.40", "239.255.255.255"),
        ("239.193.1.1", "239.195.255.255"),
        ("239.1.1.1", "224.2.127.254"),
        ("224.0.0.77", "224.0.0.255"),
        ("192.0.2.1", "224.2.127.254"),
        ("ff15::8000:1", "ff05::2:7ffe"),
        ("ff0e::1", "ff0e::2:7ffe"),
        ("ff32:40:2001:db8::1", "ff02::2:7ffe"),
        ("2001:db8::1", "ff02::2:7ffe"),
    ],
)
def test_where_a_conference_is_announced(address: str, group: str) -> None:
    assert announcement_group(address) == ip_address(group)


def test_scopes_by_time_to_live() -> None:
    assert [scope.ttl for scope in Scope] == [1, 15, 63, 127]
    assert [scope_of(ttl) for ttl in (0, 1, 2, 15, 16, 63, 64, 127, 255)] == [
        *(Scope.LOCAL, Scope.LOCAL, Scope.SITE, Scope.SITE),
        *(Scope.REGION, Scope.REGION, Scope.WORLD, Scope.WORLD, Scope.WORLD),
    ]
