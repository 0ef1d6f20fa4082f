"""What a call can tell about itself in numbers: snapshots, frozen, plain values.

Rates are averages over the last second or so; times are seconds, levels are dBov (0 is the loudest,
-127 silence), loss is a fraction of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .model import CallState
from .participants import ParticipantStats, Roster
from .transports.base import TransportCounters

if TYPE_CHECKING:
    from .calls.channel import Channel
    from .rtp_streams import Stream


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
    """What the jitter buffer adds; of pictures, how long the latest waits for its sound."""
    bit_rate_bps: float = 0.0
    frame_rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStats:
    """One stream; `substreams` only where it arrives.

    Counts go on over all connections of the call; those of an arriving stream include people who
    have left.
    """

    identity: str
    media_type: str
    """"audio" or "video"."""
    direction: str
    """"capture" (it is sent) or "render" (it arrives)."""
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
    decoders: int = 0
    """Sources that are decoded now, at most `max_decoded_sources`."""
    undecoded: int = 0
    """Packets of people who were not rendered, for want of a terminal or a decoder."""
    refused: int = 0
    """Packets of sources for which there was no substream."""
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
    state: CallState,
    channels: Iterable[Channel],
    streams: Iterable[Stream],
    roster: Roster,
    last: CallStats | None = None,
) -> CallStats:
    """The snapshot that `Call.stats` returns.

    Once there are no channels any more, transports, sessions and people are those of `last`, taken
    just before; streams know their totals themselves.
    """
    channels = tuple(channels)
    told = tuple(stream.stats() for stream in streams)
    if not channels and last is not None:
        return replace(last, state=state, streams=told)
    return CallStats(
        state=state,
        transports=tuple(replace(channel.transport.counters) for channel in channels),
        sessions=tuple(channel.session.stats.as_dict() for channel in channels),
        streams=told,
        participants={p.identity: p.stats() for p in roster.participants},
        refused_people=roster.refused,
    )
