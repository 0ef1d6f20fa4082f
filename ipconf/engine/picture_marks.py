"""What a switch of pictures must know of a payload, read once for all who are sent it.

VP8 (RFC 7741) and H.264 (RFC 6184, modes 0 and 1). Nothing is decoded and nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple

from .picture_sizes import VP8_HEIGHT_AT, h264_height, vp8_height
from .rtp_wire import RtpPacket

NEW_RUN_STEP = 3000
"""A larger step of a source's sequence numbers is a new beginning (RFC 3550 appendix A.1)."""
LONG_PICTURE_ID = 0x8000
"""Marks a picture id of 15 bits (RFC 7741 section 4.2)."""


class PictureFormat(NamedTuple):
    """What a receiver must have negotiated to be sent pictures of a source."""

    codec: str
    """"vp8" or "h264"; of other codecs there are no marks."""
    variant: Hashable = None
    """What else must be the same at both ends, as the packetization mode of H.264."""


class PictureMark:
    """One packet, as a switch sees it."""

    __slots__ = ("body", "format", "height", "key_frame", "lead", "picture_id", "run", "tl0")

    def __init__(self, format: PictureFormat, run: int, body: bytes) -> None:
        self.format = format
        self.run = run
        """Changes where what follows has nothing to do with what was before: a source that begins
        anew, or with another format."""
        self.key_frame = False
        """Whether a key frame begins here of which nothing came before: a switch may be made."""
        self.height = 0
        """Of a key frame: lines of its picture; 0: unknown."""
        self.body = body
        """The payload behind the ids that are rewritten, if any: what is the same for everybody."""
        self.lead = 0
        """The two bytes before these ids (never 0); 0 where there are none."""
        self.picture_id = -1
        """VP8: without wrap-around, to be written with 15 bits; -1: there is none."""
        self.tl0 = -1
        """VP8: TL0PICIDX, 8 bits; -1: there is none."""


_Reader = Callable[["PictureMarks", PictureMark, RtpPacket, int], bool]


class PictureMarks:
    """Reads the packets of one source, all of them and in the order they come.

    `formats` are those the source may send with, by payload type.
    """

    __slots__ = (
        "malformed",
        "unknown_format",
        "_formats",
        "_highest",
        "_key_timestamp",
        "_payload_type",
        "_picture_at",
        "_picture_id",
        "_run",
        "_ssrc",
        "_timestamp",
        "_whole",
    )

    def __init__(self, formats: Mapping[int, PictureFormat]) -> None:
        self._formats = {
            payload_type: (format, _READERS[format.codec])
            for payload_type, format in formats.items()
            if format.codec in _READERS
        }
        self.malformed = 0
        """Packets whose payload made no sense."""
        self.unknown_format = 0
        """Packets of a payload type that is not in `formats`, or of a codec without marks."""
        self._run = 0
        self._ssrc = self._payload_type = -1
        self._begin(0)

    def _begin(self, before: int) -> None:
        """What follows has nothing to do with what was; `before` is the number before it."""
        self._run += 1
        self._highest = before
        self._picture_id = -1  # of the newest packet that has one, which is _picture_at
        self._picture_at = before
        self._timestamp = -1  # of the newest packet
        self._key_timestamp = -1  # of the latest picture known to be a key frame
        self._whole = False  # nothing is missing of the newest picture, so far

    def read(self, packet: RtpPacket) -> PictureMark | None:
        """The mark of a packet with its `extended` number; None: nobody is to be sent it."""
        known = self._formats.get(packet.payload_type)
        if known is None:
            self.unknown_format += 1
            return None
        ahead = packet.extended - self._highest
        if (
            packet.payload_type != self._payload_type
            or packet.ssrc != self._ssrc
            or not -NEW_RUN_STEP < ahead < NEW_RUN_STEP
        ):
            self._payload_type, self._ssrc = packet.payload_type, packet.ssrc
            self._begin(packet.extended - 1)
            ahead = 1
        format, reader = known
        mark = PictureMark(format, self._run, packet.payload)
        if ahead > 0:
            self._highest = packet.extended
            if packet.timestamp != self._timestamp:
                self._timestamp = packet.timestamp
                self._whole = ahead == 1
            elif ahead > 1:
                self._whole = False
        if packet.payload and not reader(self, mark, packet, ahead):
            self.malformed += 1
            return None
        return mark

    #       0 1 2 3 4 5 6 7
    #      +-+-+-+-+-+-+-+-+
    #      |X|R|N|S|R| PID |  X=1: the next byte is there; S=1: a partition starts here
    #      +-+-+-+-+-+-+-+-+
    # X:   |I|L|T|K| RSV   |
    #      +-+-+-+-+-+-+-+-+
    # I:   |M| picture id  |  M=1: it has 15 bits, and there is one more byte
    #      +-+-+-+-+-+-+-+-+
    # L:   |   TL0PICIDX   |
    #      +-+-+-+-+-+-+-+-+
    # T/K: |TID|Y| KEYIDX  |
    #      +-+-+-+-+-+-+-+-+

    def _read_vp8(self, mark: PictureMark, packet: RtpPacket, ahead: int) -> bool:
        """Read a VP8 descriptor (RFC 7741 section 4.2); False: the payload ends within it."""
        payload = packet.payload
        first = payload[0]
        at, flags, value, mask = 1, 0, -1, 0
        try:
            if first & 0x80:
                flags = payload[1]
                at = 2
            if flags & 0x80:
                value, mask = payload[2], 0x7F
                at = 3
                if value & 0x80:
                    value, mask = (value & 0x7F) << 8 | payload[3], 0x7FFF
                    at = 4
            if flags & 0x40:
                mark.tl0 = payload[at]
                at += 1
            content = at + 1 if flags & 0x30 else at
            inter_frame = payload[content] & 0x01  # its header's first bit (RFC 6386 section 9.1)
        except IndexError:
            return False
        if flags & 0xC0:
            mark.lead = first << 8 | flags
            mark.body = payload[at:]
            if mask:
                mark.picture_id = self._unwrap(value, mask, packet.extended)
        if first & 0x17 == 0x10 and not inter_frame:  # S=1, PID=0: a picture begins
            mark.key_frame = ahead > 0 and payload[content + 3 : content + 6] == b"\x9d\x01\x2a"
            mark.height = vp8_height(payload[content : content + VP8_HEIGHT_AT + 2])
        return True

    def _unwrap(self, value: int, mask: int, extended: int) -> int:
        """The picture id without wrap-around: newer packets are of this picture or newer ones."""
        newest = self._picture_id
        if newest < 0:
            newest = value + mask + 1  # so that earlier ones are positive, too
        elif extended > self._picture_at:
            newest += (value - newest) & mask
        else:
            return max(newest - ((newest - value) & mask), 0)
        self._picture_id, self._picture_at = newest, extended
        return newest

    def _read_h264(self, mark: PictureMark, packet: RtpPacket, ahead: int) -> bool:
        """Read the heads of the units in it (RFC 6184 section 5); False: that is impossible."""
        kinds = _unit_kinds(packet.payload)
        if kinds is None:
            return False
        if ahead <= 0 or packet.timestamp == self._key_timestamp:
            return True  # only the first packet of a key frame is one to begin with
        # Without parameter sets it has to be sure that none of them is missing.
        if _SPS in kinds:
            mark.key_frame = True
            mark.height = h264_height(_parameter_set(packet.payload))
        elif _IDR_SLICE in kinds and self._whole:
            mark.key_frame = True
        if mark.key_frame or _IDR_SLICE in kinds:
            self._key_timestamp = packet.timestamp
        return True


_IDR_SLICE, _SPS = 5, 7
_STAP_A, _FU_A = 24, 28
_NO_KINDS: tuple[int, ...] = ()


def _unit_kinds(payload: bytes) -> tuple[int, ...] | None:
    """The types of the units that begin in an H.264 payload; None for a malformed one."""
    first = payload[0]
    kind = first & 0x1F
    if first & 0x80 or not kind or len(payload) < 2:
        return None
    if kind < _STAP_A:
        return (kind,)
    if kind == _FU_A:
        if len(payload) < 3 or payload[1] & 0xC0 == 0xC0:
            return None
        return (payload[1] & 0x1F,) if payload[1] & 0x80 else _NO_KINDS
    return _aggregated_kinds(payload) if kind == _STAP_A else None


def _aggregated_kinds(payload: bytes) -> tuple[int, ...] | None:
    """Of a STAP-A (RFC 6184 section 5.7.1): units, each behind two bytes with its size."""
    kinds = []
    at, end = 1, len(payload)
    while at < end:
        unit = at + 2
        if unit >= end:
            return None
        at = unit + (payload[unit - 2] << 8 | payload[unit - 1])
        if not unit < at <= end:
            return None
        kinds.append(payload[unit] & 0x1F)
    return tuple(kinds)


def _parameter_set(payload: bytes) -> bytes:
    """The SPS of a payload that has one whole: alone, or in a STAP-A; b"" for a fragment of one."""
    kind = payload[0] & 0x1F
    if kind == _SPS:
        return payload
    at = 1
    while kind == _STAP_A and at < len(payload):
        unit, at = at + 2, at + 2 + (payload[at] << 8 | payload[at + 1])
        if payload[unit] & 0x1F == _SPS:
            return payload[unit:at]
    return b""


_READERS: dict[str, _Reader] = {
    "vp8": PictureMarks._read_vp8,
    "h264": PictureMarks._read_h264,
}
