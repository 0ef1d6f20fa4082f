"""What payloads are written into: Matroska by ourselves, other files by FFmpeg."""

import io
import struct
from fractions import Fraction
from functools import partial
from io import FileIO
from typing import Protocol

import av
from av.stream import Stream

from ..codecs.h264_payload import split_units
from ..codecs.h264_profile import parameter_sets
from ..model import AUDIO_RATE_HZ
from .file_formats import PayloadFile
from .matroska import MatroskaFile, MatroskaTrack
from .payload_tracks import G711_RATE_HZ, G711Track, OpusTrack, PictureTrack, SoundTrack, Write
from .payloads import Payload

DEFAULT_SIZE = (640, 360)
"""Width and height where no picture has told them by the time the file must begin."""
SAMPLES = Fraction(1, AUDIO_RATE_HZ)

_OPUS_HEAD = struct.pack("<8sBBHIhB", b"OpusHead", 1, 2, 0, AUDIO_RATE_HZ, 0, 0)
"""RFC 7845 section 5.1: for both channels, which mono packets are decoded to as well."""
_G711_TAGS = {"pcma": 6, "pcmu": 7}
"""Of RIFF (RFC 2361)."""
_G711_CODECS = {"pcma": "pcm_alaw", "pcmu": "pcm_mulaw"}
_VP8_SIZE, _VP8_SIZE_MASK = struct.Struct("<HH"), 0x3FFF
_VP8_SIZE_AT = 6
"""Where a key frame tells its width and height (RFC 6386 section 9.1)."""
_UNIT_TYPE, _SPS, _PPS = 0x1F, 7, 8


class PayloadContainer(Protocol):
    """A file to whose tracks payloads are written."""

    def add_sound(self, name: str, title: str) -> SoundTrack:
        """A track for that format."""

    def add_pictures(self, name: str, title: str, first: Payload | None) -> PictureTrack:
        """A track whose first picture is that, if there is one."""

    def close(self) -> None:
        """Complete the file."""


def open_container(file: FileIO, kind: PayloadFile, room: int = 0) -> PayloadContainer:
    """A file of that kind, with room for so many tracks if some may come later."""
    return MatroskaContainer(file, kind, room) if kind.video else FfmpegContainer(file, kind)


class MatroskaContainer:
    """Matroska or WebM."""

    def __init__(self, file: FileIO, kind: PayloadFile, room: int = 0) -> None:
        self._file = MatroskaFile(file, kind.container, room)

    def add_sound(self, name: str, title: str) -> SoundTrack:
        """A track for Opus or G.711."""
        if name == "opus":
            opus = MatroskaTrack("A_OPUS", title, _OPUS_HEAD, rate_hz=AUDIO_RATE_HZ, channels=2)
            return OpusTrack(self._writer(opus))
        rate = G711_RATE_HZ
        private = struct.pack("<HHIIHHH", _G711_TAGS[name], 1, rate, rate, 1, 8, 0)
        g711 = MatroskaTrack("A_MS/ACM", title, private, rate_hz=rate)
        return G711Track(self._writer(g711), name)

    def add_pictures(self, name: str, title: str, first: Payload | None) -> PictureTrack:
        """A track for VP8 or H.264."""
        if name == "vp8":
            size = _vp8_size(first.data) if first else DEFAULT_SIZE
            track = MatroskaTrack("V_VP8", title, size=size)
            return PictureTrack(self._writer(track), lambda payload: payload.data)
        assert first is not None  # or it would be a track for VP8
        avc = MatroskaTrack("V_MPEG4/ISO/AVC", title, _avc_head(first), _h264_size(first))
        return PictureTrack(self._writer(avc), _avc_picture)

    def advance(self, to_s: float) -> None:
        """Nothing more will come for before that position, on any track."""
        self._file.advance(round(to_s * 1000))

    def close(self) -> None:
        """Complete the file."""
        self._file.close()

    def _writer(self, track: MatroskaTrack) -> Write:
        return partial(self._write, self._file.add(track))

    def _write(self, number: int, data: bytes, at_s: float, length_s: float, key: bool) -> None:
        self._file.write(number, data, round(at_s * 1000), round(length_s * 1000), key)


class FfmpegContainer:
    """A file for sound alone."""

    def __init__(self, file: FileIO, kind: PayloadFile) -> None:
        self._container = av.open(file, "w", format=kind.container, container_options=kind.options)

    def add_sound(self, name: str, title: str) -> SoundTrack:
        """A track for Opus or G.711."""
        # Only encoders know what the head of the file says; they encode nothing.
        opus = name == "opus"
        codec, rate = ("libopus", AUDIO_RATE_HZ) if opus else (_G711_CODECS[name], G711_RATE_HZ)
        stream = self._container.add_stream(codec, rate=rate, layout="stereo" if opus else "mono")
        stream.metadata["title"] = title
        write = partial(self._write, stream)
        return OpusTrack(write) if opus else G711Track(write, name)

    def add_pictures(self, name: str, title: str, first: Payload | None) -> PictureTrack:
        """Never: there is no room for pictures, and nobody can create such a track."""
        raise NotImplementedError

    def close(self) -> None:
        """Complete the file."""
        self._container.close()

    def _write(self, stream: Stream, data: bytes, at_s: float, length_s: float, key: bool) -> None:
        packet = av.Packet(data)
        packet.stream, packet.time_base, packet.is_keyframe = stream, SAMPLES, key
        packet.pts = packet.dts = round(at_s * AUDIO_RATE_HZ)
        packet.duration = round(length_s * AUDIO_RATE_HZ)
        self._container.mux(packet)


def begins(payload: Payload) -> bool:
    """Whether decoders can begin with a key frame: strangers may send anything."""
    if payload.format.name.lower() == "h264":
        return all(_parameter_sets(payload))
    return len(payload.data) >= _VP8_SIZE_AT + _VP8_SIZE.size


def _vp8_size(data: bytes) -> tuple[int, int]:
    width, height = (side & _VP8_SIZE_MASK for side in _VP8_SIZE.unpack_from(data, _VP8_SIZE_AT))
    return (width, height) if width and height else DEFAULT_SIZE


def _h264_size(payload: Payload) -> tuple[int, int]:
    data = parameter_sets(payload.format.parameters) + payload.data
    try:
        with av.open(io.BytesIO(data), format="h264") as container:
            stream = container.streams.video[0]
            return (stream.width, stream.height) if stream.width else DEFAULT_SIZE
    except (av.FFmpegError, IndexError):
        return DEFAULT_SIZE


def _parameter_sets(payload: Payload) -> tuple[bytes, bytes]:
    """The first SPS and PPS of a picture, or else of its format; b"" for what is missing."""
    units = split_units(payload.data + parameter_sets(payload.format.parameters))
    sps, pps = (
        next((u for u in units if u[0] & _UNIT_TYPE == kind and len(u) > 3), b"")
        for kind in (_SPS, _PPS)
    )
    return sps, pps


def _avc_head(payload: Payload) -> bytes:
    """The decoder's configuration (ISO/IEC 14496-15 section 5.3.3)."""
    sps, pps = _parameter_sets(payload)
    parts = [bytes((1, *sps[1:4], 0xFF, 0xE1)), len(sps).to_bytes(2, "big"), sps]
    return b"".join([*parts, b"\x01", len(pps).to_bytes(2, "big"), pps])


def _avc_picture(payload: Payload) -> bytes:
    units = split_units(payload.data)
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
