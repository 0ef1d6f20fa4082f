"""How an H.264 picture lies in RTP packets (RFC 6184), modes 0 and 1: NAL units whole, together
(STAP-A) or in pieces (FU-A). Decoders get the units with start codes between them (Annex B).
"""

from __future__ import annotations

from ..errors import WireError
from .base import MAX_PAYLOAD_BYTES

# The first byte of a NAL unit, and of each payload (RFC 6184 section 1.3):
#
#      0 1 2 3 4 5 6 7
#     +-+-+-+-+-+-+-+-+
#     |F|NRI|  type   |  F=1: broken; NRI: how badly it is needed
#     +-+-+-+-+-+-+-+-+
_FORBIDDEN = 0x80
_NRI_MASK = 0x60
_TYPE_MASK = 0x1F
_SLICE, _IDR_SLICE, _SEI, _SPS, _DELIMITER = 1, 5, 6, 7, 9
_LARGEST_UNIT_TYPE = 23
_STAP_A = 24
_FU_A = 28

# The second byte of a FU-A (section 5.8); the rest is a piece of the unit without its first byte:
#
#     +-+-+-+-+-+-+-+-+
#     |S|E|R|  type   |  S=1: first piece; E=1: last piece; the unit's own type
#     +-+-+-+-+-+-+-+-+
_FU_START = 0x80
_FU_END = 0x40
_FU_HEADER_BYTES = 2

_FIRST_MACROBLOCK = 0x80
"""Behind a slice's first byte: a one says that it begins with macroblock 0 (ue(v) of 0)."""
_START_CODE = b"\x00\x00\x00\x01"
_SHORT_START_CODE = b"\x00\x00\x01"
_SIZE_BYTES = 2
_UNNEEDED = frozenset({_SEI, _DELIMITER})
"""Units that our decoders and everybody's do without."""


class H264Depacketizer:
    """Reads H.264 payloads; without state."""

    __slots__ = ()

    def depayload(self, payload: bytes) -> bytes:
        """The units, or the piece of one, in Annex B form; WireError if that is malformed."""
        if not payload or payload[0] & _FORBIDDEN:
            raise WireError("an H.264 payload is empty or says that it is broken")
        kind = payload[0] & _TYPE_MASK
        if 0 < kind <= _LARGEST_UNIT_TYPE:
            return _START_CODE + payload
        if kind == _STAP_A:
            return b"".join([_START_CODE + unit for unit in _aggregated(payload)])
        if kind == _FU_A:
            return _fragment(payload)
        raise WireError(f"H.264 payloads of type {kind} are for modes that were not negotiated")

    def is_start(self, payload: bytes) -> bool:
        """Whether a picture can begin with the payload: not a later slice, nor a later piece."""
        units = _units_begun(payload)
        return bool(units) and (units[0][0] not in (_SLICE, _IDR_SLICE) or units[0][1])

    def is_key_frame(self, payload: bytes) -> bool:
        """Whether it begins a picture that needs no other one: an SPS or IDR slice is in it."""
        return self.is_start(payload) and any(
            kind in (_SPS, _IDR_SLICE) for kind, _ in _units_begun(payload)
        )


def _units_begun(payload: bytes) -> list[tuple[int, bool]]:
    """The type of each unit that begins in the payload, and whether it begins the picture."""
    if len(payload) < 2 or payload[0] & _FORBIDDEN:
        return []
    kind = payload[0] & _TYPE_MASK
    if 0 < kind <= _LARGEST_UNIT_TYPE:
        return [(kind, bool(payload[1] & _FIRST_MACROBLOCK))]
    try:
        if kind == _FU_A:
            begun = _fragment(payload)[len(_START_CODE) :] if payload[1] & _FU_START else b""
            units = [begun[:2]] if begun else []
        else:
            units = _aggregated(payload) if kind == _STAP_A else []
    except WireError:
        return []
    return [(u[0] & _TYPE_MASK, len(u) > 1 and bool(u[1] & _FIRST_MACROBLOCK)) for u in units]


def _aggregated(payload: bytes) -> list[bytes]:
    """The units of a STAP-A (section 5.7.1)."""
    units = []
    at = 1
    while at < len(payload):
        size = int.from_bytes(payload[at : at + _SIZE_BYTES], "big")
        at += _SIZE_BYTES
        unit = payload[at : at + size]
        if not size or len(unit) != size:
            raise WireError(f"a STAP-A of {len(payload)} bytes ends within a unit")
        units.append(unit)
        at += size
    if not units:
        raise WireError("a STAP-A holds no unit")
    return units


def _fragment(payload: bytes) -> bytes:
    """A piece of a unit, with the unit's first byte if it is the first (section 5.8)."""
    if len(payload) <= _FU_HEADER_BYTES:
        raise WireError(f"a FU-A of {len(payload)} bytes holds no piece of a unit")
    header = payload[1]
    kind = header & _TYPE_MASK
    if not 0 < kind <= _LARGEST_UNIT_TYPE or header & _FU_START and header & _FU_END:
        raise WireError("a FU-A is of no unit, or first and last piece in one")
    if not header & _FU_START:
        return payload[_FU_HEADER_BYTES:]
    first = bytes((payload[0] & _NRI_MASK | kind,))
    return _START_CODE + first + payload[_FU_HEADER_BYTES:]


def split_units(data: bytes) -> list[bytes]:
    """The NAL units of an encoded picture in Annex B form, without what nobody needs."""
    units = []
    begin = data.find(_SHORT_START_CODE)
    while begin >= 0:
        begin += len(_SHORT_START_CODE)
        end = data.find(_SHORT_START_CODE, begin)
        unit = data[begin : end if end >= 0 else len(data)].rstrip(b"\0")
        if unit and unit[0] & _TYPE_MASK not in _UNNEEDED:
            units.append(unit)
        begin = end
    return units


def has_key_frame(units: list[bytes]) -> bool:
    """Whether there is an IDR slice among the units."""
    return any(unit[0] & _TYPE_MASK == _IDR_SLICE for unit in units)


def packetize(units: list[bytes], mode: int) -> list[bytes]:
    """One picture as RTP payloads for packetization mode 0 or 1.

    In mode 1 small units that follow each other share a packet, and large ones are cut; in mode 0
    each unit is a packet of its own, as long as it is.
    """
    if mode == 0:
        return list(units)
    payloads: list[bytes] = []
    together: list[bytes] = []
    room = MAX_PAYLOAD_BYTES - 1
    for unit in units:
        if together and len(unit) + _SIZE_BYTES > room:
            payloads.append(_join(together))
            together, room = [], MAX_PAYLOAD_BYTES - 1
        if len(unit) + _SIZE_BYTES > room:
            payloads += _cut(unit)
        else:
            together.append(unit)
            room -= len(unit) + _SIZE_BYTES
    if together:
        payloads.append(_join(together))
    return payloads


def _join(units: list[bytes]) -> bytes:
    if len(units) == 1:
        return units[0]
    needed = max(unit[0] & _NRI_MASK for unit in units)
    parts = [len(unit).to_bytes(_SIZE_BYTES, "big") + unit for unit in units]
    return bytes((needed | _STAP_A,)) + b"".join(parts)


def _cut(unit: bytes) -> list[bytes]:
    if len(unit) <= MAX_PAYLOAD_BYTES:
        return [unit]
    body = unit[1:]
    indicator, kind = unit[0] & _NRI_MASK | _FU_A, unit[0] & _TYPE_MASK
    count = -(-len(body) // (MAX_PAYLOAD_BYTES - _FU_HEADER_BYTES))
    cuts = [index * len(body) // count for index in range(count)] + [len(body)]
    pieces = []
    for index in range(count):
        flags = (_FU_START if index == 0 else 0) | (_FU_END if index == count - 1 else 0)
        head = bytes((indicator, flags | kind))
        pieces.append(head + body[cuts[index] : cuts[index + 1]])
    return pieces
