"""The table of formats that are offered and understood, and how to make their codecs."""

from __future__ import annotations

from ..engine.session_config import PayloadFormat
from ..errors import MediaError
from ..model import AUDIO_RATE_HZ, VIDEO_CLOCK_HZ, MediaType
from .base import AudioDecoder, AudioEncoder, VideoDecoder, VideoDepacketizer, VideoEncoder
from .opus import create_opus_decoder, create_opus_encoder
from .vp8 import Vp8Decoder, Vp8Encoder
from .vp8_payload import Vp8Depacketizer

VIDEO_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "goog-remb"})
"""What we send and obey for video (RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb)."""

FORMATS: dict[MediaType, tuple[PayloadFormat, ...]] = {
    MediaType.AUDIO: (
        PayloadFormat(
            111,
            "opus",
            AUDIO_RATE_HZ,
            channels=2,  # always 2 on the wire, whatever is inside (RFC 7587 section 7)
            parameters={"minptime": "10", "useinbandfec": "1"},
        ),
        PayloadFormat(110, "telephone-event", AUDIO_RATE_HZ, parameters={"0-15": ""}),
    ),
    MediaType.VIDEO: (
        PayloadFormat(96, "VP8", VIDEO_CLOCK_HZ, feedback=VIDEO_FEEDBACK),
        PayloadFormat(97, "rtx", VIDEO_CLOCK_HZ, parameters={"apt": "96"}, apt=96),
    ),
}
"""What we offer, best first; payload types are the usual ones of browsers."""

_CODECS = {"opus": AUDIO_RATE_HZ, "vp8": VIDEO_CLOCK_HZ}
"""What there are codecs for, and the only RTP clock each is used with."""


def has_codec(payload_format: PayloadFormat) -> bool:
    """Whether packets of the format are media that can be encoded and decoded here."""
    return _CODECS.get(payload_format.name.lower()) == payload_format.clock_rate


def create_audio_encoder(payload_format: PayloadFormat, bitrate_bps: int) -> AudioEncoder:
    """An encoder as the far end wishes it (fmtp stereo=1: two channels); MediaError if none."""
    _require(payload_format, "opus")
    return create_opus_encoder(_opus_channels(payload_format), bitrate_bps)


def create_audio_decoder(payload_format: PayloadFormat) -> AudioDecoder:
    """A decoder; mono unless stereo=1 was agreed on (RFC 7587 section 6.1); MediaError if none."""
    _require(payload_format, "opus")
    return create_opus_decoder(_opus_channels(payload_format))


def create_video_encoder(payload_format: PayloadFormat, bitrate_bps: int) -> VideoEncoder:
    """A picture encoder; MediaError if there is none for the format."""
    _require(payload_format, "vp8")
    return Vp8Encoder(bitrate_bps)


def create_video_decoder(payload_format: PayloadFormat) -> VideoDecoder:
    """A picture decoder; MediaError if there is none for the format."""
    _require(payload_format, "vp8")
    return Vp8Decoder()


def depacketizer_of(payload_format: PayloadFormat) -> VideoDepacketizer:
    """How pictures of the format lie in packets; MediaError if unknown."""
    _require(payload_format, "vp8")
    return Vp8Depacketizer()


def _opus_channels(payload_format: PayloadFormat) -> int:
    return 2 if payload_format.parameters.get("stereo") == "1" else 1


def _require(payload_format: PayloadFormat, name: str) -> None:
    if payload_format.name.lower() != name or not has_codec(payload_format):
        raise MediaError(
            f"no codec for {payload_format.name}/{payload_format.clock_rate} here: negotiate {name}"
        )
