"""What a call can tell about itself in numbers: snapshots, frozen, plain values.

Rates are averages over the last second or so; times are seconds, levels are dBov (0 is the loudest,
-127 silence), loss is a fraction of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .capture_streams import AudioCaptureStream, CaptureStream
from .channel import Channel
from .model import CallState
from .participants import ParticipantStats, Roster
from .render_streams import AudioRenderStream, RenderStream
from .rtp_streams import Stream, SubStream
from .transports.base import TransportCounters


@dataclass(frozen=True, slots=True, kw_only=True)
class SubStreamStats:
    """How one source arrives and is rendered."""

    identity: str
    participant: str | None
    packets: int
    octets: int
    lost: int
    fraction_lost: float
    jitter_s: float
    round_trip_s: float | None
    level_dbov: int | None
    decoded: int = 0
    """Payloads of sound or pictures."""
    concealed_s: float = 0.0
    """Sound that was missing and replaced."""
    delay_s: float = 0.0
    """What the jitter buffer adds."""
    bit_rate_bps: float = 0.0
    frame_rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStats:
    """One stream; `substreams` only where it arrives."""

    identity: str
    running: bool
    active: bool
    packets: int
    octets: int
    frames: int
    """Blocks of sound or pictures, sent or decoded."""
    bit_rate_bps: float
    frame_rate: float
    level_dbov: int | None = None
    far_fraction_lost: float | None = None
    """Of what we send, as the far end reports it."""
    far_jitter_s: float | None = None
    round_trip_s: float | None = None
    substreams: tuple[SubStreamStats, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStats:
    """A whole call."""

    state: CallState
    transports: tuple[TransportCounters, ...]
    sessions: tuple[Mapping[str, int], ...]
    streams: tuple[StreamStats, ...]
    participants: Mapping[str, ParticipantStats] = field(default_factory=dict)
    """By identity."""
    refused_people: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values for a log."""
        return {**asdict(self), "state": self.state.value}


def call_stats(
    state: CallState, channels: Sequence[Channel], streams: Iterable[Stream], roster: Roster
) -> CallStats:
    """The snapshot that `Call.stats` returns."""
    return CallStats(
        state=state,
        transports=tuple(replace(channel.transport.counters) for channel in channels),
        sessions=tuple(channel.session.stats.as_dict() for channel in channels),
        streams=tuple(_stream_stats(stream) for stream in streams),
        participants={p.identity: p.stats() for p in roster.participants},
        refused_people=roster.refused,
    )


def _stream_stats(stream: Stream) -> StreamStats:
    if isinstance(stream, CaptureStream):
        return _sent_stats(stream)
    assert isinstance(stream, RenderStream)
    substreams = tuple(_substream_stats(stream, s) for s in stream.substreams)
    levels = [s.level_dbov for s in substreams if s.level_dbov is not None]
    return StreamStats(
        identity=stream.identity,
        running=stream.running,
        active=stream.active,
        packets=sum(s.packets for s in substreams),
        octets=sum(s.octets for s in substreams),
        frames=sum(s.decoded for s in substreams),
        bit_rate_bps=sum(s.bit_rate_bps for s in substreams),
        frame_rate=sum(s.frame_rate for s in substreams),
        level_dbov=max(levels, default=None),
        substreams=substreams,
    )


def _sent_stats(stream: CaptureStream) -> StreamStats:
    source = stream.local_source
    report = max(source.reports.values(), key=lambda r: r.at, default=None) if source else None
    return StreamStats(
        identity=stream.identity,
        running=stream.running,
        active=stream.active,
        packets=source.packets if source else 0,
        octets=source.octets if source else 0,
        frames=stream.sent_frames,
        bit_rate_bps=stream.meter.bit_rate_bps,
        frame_rate=stream.meter.frame_rate,
        level_dbov=-stream.level if isinstance(stream, AudioCaptureStream) else None,
        far_fraction_lost=report.fraction_lost if report else None,
        far_jitter_s=report.jitter_s if report else None,
        round_trip_s=report.round_trip_s if report else None,
    )


def _substream_stats(stream: RenderStream, substream: SubStream) -> SubStreamStats:
    source = substream.source
    person = substream.participant
    concealed_s = delay_s = 0.0
    if isinstance(stream, AudioRenderStream) and (audio := stream.receivers.get(substream)):
        sound = audio.stats()
        concealed_s, delay_s = sound.concealed_s, sound.delay_s
    return SubStreamStats(
        identity=substream.identity,
        participant=person.identity if person else None,
        packets=source.packets,
        octets=source.octets,
        lost=source.lost,
        fraction_lost=source.fraction_lost,
        jitter_s=source.jitter_s,
        round_trip_s=source.round_trip_s,
        level_dbov=None if source.level is None else -source.level,
        decoded=stream.decoded(substream),
        concealed_s=concealed_s,
        delay_s=delay_s,
        bit_rate_bps=substream.meter.bit_rate_bps,
        frame_rate=substream.meter.frame_rate,
    )
