"""The table of formats that are offered and understood, and how to make their codecs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ..engine.session_config import PayloadFormat
from ..errors import MediaError
from ..model import AUDIO_RATE_HZ, DEFAULT_PTIME_MS, VIDEO_CLOCK_HZ, CallSettings, MediaType
from . import comfort_noise, g711, g722, l16
from .base import (
    DEFAULT_WISHES,
    AudioDecoder,
    AudioEncoder,
    AudioWishes,
    VideoDecoder,
    VideoDepacketizer,
    VideoEncoder,
)
from .g722 import G722Decoder, G722Encoder
from .h264 import H264Decoder, H264Encoder
from .h264_payload import H264Depacketizer
from .h264_profile import ASYMMETRY, MODE, PROFILE, mode_of, parameter_sets, profile_of
from .opus import create_opus_decoder, create_opus_encoder
from .opus_packet import packet_samples
from .opus_settings import OpusEffort, opus_channels, opus_settings
from .packet_time import fitting_ptime_ms
from .vp8 import Vp8Decoder, Vp8Encoder
from .vp8_payload import Vp8Depacketizer

VIDEO_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "goog-remb"})
"""What we send and obey for video (RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb)."""
WAVEFORM_PTIMES_MS = range(10, 190, 10)
"""Packets of G.711 and G.722; the longest has 1440 bytes."""
MAX_PACKET_SAMPLES = AUDIO_RATE_HZ * 400 // 1000
"""No packet of sound plays longer; what seems to is no sound."""


def _audio(payload_type: int, name: str, clock_rate: int, channels: int = 1) -> PayloadFormat:
    return PayloadFormat(payload_type, name, clock_rate, channels)


def _video(
    payload_type: int, name: str, parameters: Mapping[str, str] | None = None
) -> tuple[PayloadFormat, ...]:
    """A format and its retransmissions, which have the next number (RFC 4588)."""
    apt = {"apt": str(payload_type)}
    return (
        PayloadFormat(payload_type, name, VIDEO_CLOCK_HZ, 1, parameters or {}, VIDEO_FEEDBACK),
        PayloadFormat(payload_type + 1, "rtx", VIDEO_CLOCK_HZ, 1, apt, apt=payload_type),
    )


def _h264(payload_type: int, profile: str, mode: str) -> tuple[PayloadFormat, ...]:
    return _video(payload_type, "H264", {ASYMMETRY: "1", MODE: mode, PROFILE: profile})


CODEC_FORMATS: dict[str, tuple[PayloadFormat, ...]] = {
    # Always 2 channels on the wire, whatever is inside (RFC 7587 section 7).
    "opus": (PayloadFormat(111, "opus", AUDIO_RATE_HZ, 2, {"minptime": "10"}),),
    "G722": (_audio(9, "G722", 8_000),),
    "PCMU": (_audio(0, "PCMU", 8_000),),
    "PCMA": (_audio(8, "PCMA", 8_000),),
    "L16": (
        _audio(112, "L16", AUDIO_RATE_HZ),
        _audio(113, "L16", AUDIO_RATE_HZ, 2),
        _audio(11, "L16", 44_100),
        _audio(10, "L16", 44_100, 2),
    ),
    "VP8": _video(96, "VP8"),
    # Constrained baseline, baseline, and the mode of those who cannot put units together.
    "H264": _h264(102, "42e01f", "1") + _h264(104, "42001f", "1") + _h264(106, "42e01f", "0"),
}
"""The formats of each codec of `CallSettings`, best first; payload types are static ones (RFC 3551
section 6) or the usual ones of browsers."""
COMFORT_NOISE = _audio(13, "CN", comfort_noise.RATE_HZ)
"""Goes with all codecs that have the same clock."""
TELEPHONE_EVENTS = (
    PayloadFormat(110, "telephone-event", AUDIO_RATE_HZ, parameters={"0-16": ""}),
    PayloadFormat(101, "telephone-event", 8_000, parameters={"0-16": ""}),
)
"""One for each clock that codecs have (RFC 4733): the digits, and the flash of the hook."""


def offered_formats(medium: MediaType, settings: CallSettings) -> tuple[PayloadFormat, ...]:
    """What a call with these settings offers and accepts for a medium, best first."""
    if medium is MediaType.VIDEO:
        return sum((CODEC_FORMATS[name] for name in settings.video_codecs), ())
    codecs = [
        replace(fmt, parameters={**fmt.parameters, **_asked(fmt, settings)})
        for name in settings.audio_codecs
        for fmt in CODEC_FORMATS[name]
    ]
    riding = [f for f in (COMFORT_NOISE, *TELEPHONE_EVENTS) if _shares_clock(f, codecs)]
    return (*codecs, *riding)


def _asked(fmt: PayloadFormat, settings: CallSettings) -> dict[str, str]:
    """What we ask the far end for, in sending us this format."""
    ptime_ms = settings.ptime_ms
    asked = {"ptime": str(ptime_ms)} if ptime_ms != DEFAULT_PTIME_MS else {}
    if fmt.name == "opus":
        if settings.opus_fec:
            asked["useinbandfec"] = "1"
        if settings.opus_stereo:
            asked |= {"stereo": "1", "sprop-stereo": "1"}
        if settings.opus_dtx:
            asked["usedtx"] = "1"
    return asked


def _shares_clock(fmt: PayloadFormat, codecs: list[PayloadFormat]) -> bool:
    return any(codec.clock_rate == fmt.clock_rate for codec in codecs)


FORMATS: dict[MediaType, tuple[PayloadFormat, ...]] = {
    medium: offered_formats(medium, CallSettings(audio_codecs=("opus",), video_codecs=("VP8",)))
    for medium in (MediaType.AUDIO, MediaType.VIDEO)
}
"""The formats of Opus and VP8 alone: what two ends of ours end up with."""


def has_codec(payload_format: PayloadFormat) -> bool:
    """Whether packets of the format are media that can be encoded and decoded here."""
    rate, channels = payload_format.clock_rate, payload_format.channels
    match payload_format.name.lower():
        case "opus":
            return rate == AUDIO_RATE_HZ
        case "pcmu" | "pcma" | "g722":
            return rate == g711.RATE_HZ and channels == 1
        case "l16":
            return rate in l16.RATES_HZ and channels in (1, 2)
        case "vp8":
            return rate == VIDEO_CLOCK_HZ
        case "h264":
            said = payload_format.parameters
            known = mode_of(said) is not None and profile_of(said) is not None
            return rate == VIDEO_CLOCK_HZ and known
    return False


def is_comfort_noise(payload_format: PayloadFormat) -> bool:
    """Whether packets of the format describe noise, which can be decoded but is no codec."""
    same_clock = payload_format.clock_rate == COMFORT_NOISE.clock_rate
    return same_clock and payload_format.name.upper() == COMFORT_NOISE.name


def sound_rate_hz(formats: Iterable[PayloadFormat]) -> int:
    """The lowest rate of sound at which nothing is lost of any of the formats; 8 kHz for none."""
    rates = {"pcmu": g711.RATE_HZ, "pcma": g711.RATE_HZ, "g722": g722.RATE_HZ}
    known = [rates.get(f.name.lower(), AUDIO_RATE_HZ) for f in formats if has_codec(f)]
    return max(known, default=g711.RATE_HZ)


def create_audio_encoder(
    payload_format: PayloadFormat,
    bitrate_bps: int,
    wishes: AudioWishes = DEFAULT_WISHES,
    effort: OpusEffort | None = None,
) -> AudioEncoder:
    """An encoder for a format with the far end's parameters; MediaError if there is none.

    For Opus it is an `OpusEncoder`; an `effort`, with its own bit rate, goes before `bitrate_bps`.
    """
    _require(payload_format, MediaType.AUDIO)
    name = payload_format.name.upper()
    if name == "OPUS":
        settings = opus_settings(payload_format, wishes)
        channels = opus_channels(payload_format, wishes)
        return create_opus_encoder(channels, bitrate_bps, settings=settings, effort=effort)
    if name == "L16":
        rate, channels = payload_format.clock_rate, payload_format.channels
        ptime_ms = fitting_ptime_ms(payload_format, wishes.ptime_ms, l16.PTIMES_MS)
        return l16.L16Encoder(rate, channels, l16.fitting_samples(rate, channels, ptime_ms))
    ptime_ms = fitting_ptime_ms(payload_format, wishes.ptime_ms, WAVEFORM_PTIMES_MS)
    samples = ptime_ms * AUDIO_RATE_HZ // 1000
    return G722Encoder(samples) if name == "G722" else g711.G711Encoder(name, samples)


def create_audio_decoder(payload_format: PayloadFormat) -> AudioDecoder:
    """A decoder for a format with our own parameters; MediaError if there is none.

    Opus is decoded to mono unless stereo=1 was agreed on (RFC 7587 section 6.1).
    """
    if is_comfort_noise(payload_format):
        return comfort_noise.ComfortNoiseDecoder()
    _require(payload_format, MediaType.AUDIO)
    name = payload_format.name.upper()
    if name == "OPUS":
        return create_opus_decoder(opus_channels(payload_format, DEFAULT_WISHES))
    if name == "L16":
        return l16.L16Decoder(payload_format.clock_rate, payload_format.channels)
    return G722Decoder() if name == "G722" else g711.G711Decoder(name)


def packet_duration(payload_format: PayloadFormat) -> Callable[[bytes], int]:
    """A function: how many samples of 48 kHz a payload plays, 0 if it cannot be the format."""
    if is_comfort_noise(payload_format):
        return lambda payload: comfort_noise.PACKET_SAMPLES if payload else 0
    _require(payload_format, MediaType.AUDIO)
    if payload_format.name.lower() == "opus":
        return packet_samples
    sample_bytes = 1
    if payload_format.name.upper() == "L16":
        sample_bytes = l16.SAMPLE_BYTES * payload_format.channels
    rate = payload_format.clock_rate

    def duration(payload: bytes) -> int:
        ticks, rest = divmod(len(payload), sample_bytes)
        samples = ticks * AUDIO_RATE_HZ // rate
        return samples if not rest and samples <= MAX_PACKET_SAMPLES else 0

    return duration


def create_video_encoder(payload_format: PayloadFormat, bitrate_bps: int) -> VideoEncoder:
    """A picture encoder for a format with the far end's parameters; MediaError if none."""
    _require(payload_format, MediaType.VIDEO)
    if payload_format.name.upper() == "H264":
        return H264Encoder(payload_format, bitrate_bps)
    return Vp8Encoder(bitrate_bps)


def create_video_decoder(payload_format: PayloadFormat) -> VideoDecoder:
    """A picture decoder; MediaError if there is none for the format."""
    _require(payload_format, MediaType.VIDEO)
    if payload_format.name.upper() == "H264":
        return H264Decoder(parameter_sets(payload_format.parameters))
    return Vp8Decoder()


def depacketizer_of(payload_format: PayloadFormat) -> VideoDepacketizer:
    """How pictures of the format lie in packets; MediaError if unknown."""
    _require(payload_format, MediaType.VIDEO)
    return H264Depacketizer() if payload_format.name.upper() == "H264" else Vp8Depacketizer()


def _require(payload_format: PayloadFormat, medium: MediaType) -> None:
    is_video = payload_format.clock_rate == VIDEO_CLOCK_HZ
    if not has_codec(payload_format) or is_video is not (medium is MediaType.VIDEO):
        raise MediaError(
            f"no {medium.value} codec for {payload_format.name}/{payload_format.clock_rate} here: "
            f"negotiate one of {', '.join(CODEC_FORMATS)}"
        )
