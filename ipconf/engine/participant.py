"""A remote person as applications see them: a view of the roster's record.

It reads everything and sets nothing but the local mutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import InvalidStateError, InvalidStreamError, NoItemError, NotSupportedError
from ..model import MediaType, SdesType, check_sdes_type, name_of

if TYPE_CHECKING:
    from ..rtp_streams import Stream
    from ..streams.substreams import SubStream
    from .person import Person, SourceEntry
    from .reception import RemoteSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantStats:
    """How a person's media arrives here, over all their sources together."""

    packets: int
    octets: int
    """Payload bytes, without headers."""
    lost: int
    """Packets lost since each source was first heard; negative with duplicates (RFC 3550 A.3)."""
    fraction_lost: float
    """0..1, of the last report interval, of the worst source."""
    jitter_s: float
    """Interarrival jitter of the worst source (RFC 3550 section 6.4.1)."""
    round_trip_s: float | None
    """The longest known; None until a report came back."""
    level_dbov: int | None
    """The loudest source, 0 (loudest) .. -127; None where no level is known."""
    concealed_s: float = 0.0
    """Sound that was missing and replaced, on the substreams they are on."""
    bit_rate_bps: float = 0.0
    """Of their sound and pictures together."""
    frame_rate: float = 0.0
    """Pictures decoded per second, of the source that shows most."""


class Participant:
    """A remote person of a call (MSPI: ITParticipant).

    The object stays the same for the whole stay, and over a timeout that ends in
    `ParticipantRecovered`. After they left it keeps what was known, without sources.
    """

    __slots__ = ("_person",)

    def __init__(self, person: Person) -> None:
        self._person = person

    def __repr__(self) -> str:
        return f"<Participant {self.identity!r} {self.name!r}>"

    @property
    def identity(self) -> str:
        """The CNAME, or "ssrc 1234abcd" while it is unknown."""
        return self._person.cname or self._person.unnamed

    @property
    def cname(self) -> str | None:
        """The canonical name that all sources of this person share; None while unknown."""
        return self._person.cname

    @property
    def name(self) -> str:
        """A name to display: NAME if announced, else the identity."""
        return self._person.items.get(SdesType.NAME) or self.identity

    def info(self, kind: SdesType) -> str:
        """An identity item as announced, at most 255 bytes; `NoItemError` where it was not."""
        check_sdes_type(kind)
        text = self.cname if kind is SdesType.CNAME else self._person.items.get(kind)
        if not text:
            hint = "; PRIV items are in `private`" if kind is SdesType.PRIV else ""
            raise NoItemError(f"{self.identity} has not announced {kind.name}{hint}")
        return text

    @property
    def items(self) -> Mapping[SdesType, str]:
        """All they have announced but CNAME and PRIV, by kind."""
        return MappingProxyType(self._person.items)

    @property
    def private(self) -> Mapping[str, str]:
        """PRIV items, text by prefix, at most 16 (RFC 3550 section 6.5.8)."""
        return MappingProxyType(self._person.private)

    @property
    def sources(self) -> tuple[RemoteSource, ...]:
        """Their sources in all sessions, oldest first; empty once they are gone."""
        return tuple(entry.source for entry in self._person.entries)

    @property
    def media_types(self) -> frozenset[MediaType]:
        """The media they have sent, themselves or through a mixer."""
        return frozenset(
            source.medium
            for source in self.sources
            if source.medium is not None and (source.contributing or source.last_rtp is not None)
        )

    @property
    def substreams(self) -> tuple[SubStream, ...]:
        """The substreams they are on."""
        return tuple(share.substream for share in self._person.shares())

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Our streams that they contribute to, themselves or through a mixer; none twice."""
        own = [share.substream.stream for share in self._person.shares()]
        return tuple(dict.fromkeys(own + [stream for stream, _ in self._person.mixes()]))

    def is_enabled(self, stream: Stream) -> bool:
        """Whether they are rendered on that stream: False after `set_enabled(stream, False)`.

        Of someone who is gone it tells what holds on their return. `InvalidStreamError` for a
        stream that they do not contribute to.
        """
        if self.present and stream not in self.streams:
            raise self._not_on(stream)
        return stream not in self._person.muted

    def set_enabled(self, stream: Stream, enabled: bool) -> None:
        """Mute (False) or unmute this person on one of our render streams, here only.

        The choice outlives a timeout. `InvalidStreamError` for a stream that they do not
        contribute to, `NotSupportedError` where somebody else mixed the stream,
        `InvalidStateError` once they are gone (MSPI: put_Status).
        """
        if not self.present:
            raise InvalidStateError(f"{self.name} is not in the call: wait until they return")
        if all(share.substream.stream is not stream for share in self._person.shares()):
            for mixed, mixer in self._person.mixes():
                if mixed is stream:
                    raise NotSupportedError(
                        f"{self.name} arrives in the mix of {_name_of(mixer)}: mute them there"
                    )
            raise self._not_on(stream)
        if enabled:
            self._person.muted -= {stream}
        else:
            self._person.muted |= {stream}

    def _not_on(self, stream: Stream) -> InvalidStreamError:
        return InvalidStreamError(
            f"{self.name} does not contribute to {name_of(stream)}: take one of their `streams`"
        )

    @property
    def present(self) -> bool:
        """Whether they are in the call now."""
        return self._person.left_at is None

    @property
    def talking(self) -> bool:
        """Whether they talk now; for someone with video only: whether media flows."""
        return self._person.active

    @property
    def joined_at(self) -> float:
        """When the present or last stay began, in seconds of the provider's clock."""
        return self._person.joined_at

    @property
    def left_at(self) -> float | None:
        """When they left or timed out; None while they are present."""
        return self._person.left_at

    def stats(self) -> ParticipantStats:
        """How their media arrives; zeros once they are gone."""
        sources = self.sources
        trips = [s.round_trip_s for s in sources if s.round_trip_s is not None]
        levels = [s.level for s in sources if s.level is not None]
        shares = [(s.media_type, s.stats()) for s in self.substreams]
        frame_rates = [share.frame_rate for medium, share in shares if medium is MediaType.VIDEO]
        return ParticipantStats(
            packets=sum(s.packets for s in sources),
            octets=sum(s.octets for s in sources),
            lost=sum(s.lost for s in sources),
            fraction_lost=max((s.fraction_lost for s in sources), default=0.0),
            jitter_s=max((s.jitter_s for s in sources), default=0.0),
            round_trip_s=max(trips, default=None),
            level_dbov=-min(levels) if levels else None,
            concealed_s=sum(share.concealed_s for _, share in shares),
            bit_rate_bps=sum(share.bit_rate_bps for _, share in shares),
            frame_rate=max(frame_rates, default=0.0),
        )


def _name_of(mixer: SourceEntry) -> str:
    return mixer.person.participant.name if mixer.person else mixer.source.identity
