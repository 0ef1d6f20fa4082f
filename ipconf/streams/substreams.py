"""One person's share of an arriving stream (MSPI: ITSubStream).

The provider makes a substream for each source that sends media; it ends with its source. An
application may create further ones, which are empty until somebody is mapped onto them, and empty
again when they leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..engine.reception import RemoteSource
from ..events import TerminalEvent
from ..model import Cause, Direction
from ..participants import Participant
from ..stats import SubStreamStats
from ..terminals.base import Terminal
from ..terminals.payloads import PayloadTerminal
from .runnable import RateMeter, Runnable, Wish

if TYPE_CHECKING:
    from ..rtp_streams import StreamOwner
    from .render import RenderStream


class SubStream(Runnable):
    """One person's share of an arriving stream; `created` if the application made it."""

    direction = Direction.RENDER
    takes_payloads = True

    def __init__(self, stream: RenderStream, identity: str, *, created: bool = False) -> None:
        super().__init__()
        self.stream = stream
        self.media_type = stream.media_type
        self.identity = identity
        self.created = created
        self.source: RemoteSource | None = None
        """Who sends it; None while nobody is on it."""
        self.meter = RateMeter()
        self._decoded = 0
        self._concealed_s = 0.0

    @property
    def owner(self) -> StreamOwner:
        """The call that it belongs to."""
        return self.stream.owner

    @property
    def whose(self) -> RemoteSource | None:
        """The source of whoever is heard or seen; None for nobody.

        It is another one than `source` where a mixer sends somebody's pictures.
        """
        return self.stream.whose(self.source)

    @property
    def participant(self) -> Participant | None:
        """Whose share it is; None while nobody is on it, or the person is not known yet.

        Where a mixer names a contributing source of its pictures, it is that person.
        """
        return self.owner.roster.participant_of(self.whose)

    @property
    def content(self) -> str:
        """What the far end says that it shows there, "slides" or another word of RFC 4796.

        "" if it says nothing, and while nobody is on it.
        """
        return self.stream.content_of(self.source) if self.source is not None else ""

    @property
    def running(self) -> bool:
        """Whether this person is rendered, if the stream runs and a terminal is there."""
        return self._wish is Wish.RUN and not self._closed

    @property
    def usable_terminals(self) -> list[Terminal]:
        """The terminals of this substream that want decoded media, and have not failed."""
        if not self._terminals:
            return []  # most have none
        return [t for t in self._usable() if not isinstance(t, PayloadTerminal)]

    @property
    def payload_terminals(self) -> list[PayloadTerminal]:
        """Those that want payloads, likewise."""
        return [t for t in self._usable() if isinstance(t, PayloadTerminal)]

    @property
    def has_terminal(self) -> bool:
        """Whether there is a terminal of either kind that works."""
        return bool(self._usable())

    @property
    def enabled(self) -> bool:
        """Whether the person is not muted on this stream (`Participant.set_enabled`)."""
        whose = self.whose
        return whose is None or self.owner.roster.is_enabled(whose, self.stream)

    @property
    def decoded(self) -> int:
        """Payloads of sound or pictures decoded."""
        receiver = self.stream.receivers.get(self)
        return self._decoded + (receiver.decoded if receiver else 0)

    def stats(self) -> SubStreamStats:
        """How this person's media arrives; zeros while nobody is on it."""
        source, person = self.source, self.participant
        receiver = self.stream.receivers.get(self)
        return SubStreamStats(
            identity=self.identity,
            participant=person.identity if person else None,
            packets=source.packets if source else 0,
            octets=source.octets if source else 0,
            lost=source.lost if source else 0,
            fraction_lost=source.fraction_lost if source else 0.0,
            jitter_s=source.jitter_s if source else 0.0,
            round_trip_s=source.round_trip_s if source else None,
            level_dbov=None if source is None or source.level is None else -source.level,
            decoded=self.decoded,
            concealed_s=self._concealed_s + (receiver.concealed_s if receiver else 0.0),
            delay_s=receiver.delay_s if receiver else 0.0,
            bit_rate_bps=self.meter.bit_rate_bps,
            frame_rate=self.meter.frame_rate,
        )

    # -- from the stream

    def carry(self, source: RemoteSource | None, now: float) -> None:
        """Somebody is mapped onto it; None: they have gone."""
        self.source = source
        self.meter = RateMeter()
        self._decoded, self._concealed_s = 0, 0.0
        self.measure(now)

    def keep_counts(self, decoded: int, concealed_s: float) -> None:
        """Remember what a receiver has counted that is given up."""
        self._decoded += decoded
        self._concealed_s += concealed_s

    def measure(self, now: float) -> None:
        """Sample the rate meter."""
        if self.source is not None:
            self.meter.sample(self.source.octets, self.decoded, now)

    def close(self) -> None:
        """It is no more: give the terminals back."""
        self._closed = True
        for terminal in self.terminals:
            self._give(terminal)

    # -- rules

    def _may_start(self) -> bool:
        return bool(self._terminals or self.stream.terminals)

    def _settle(self, cause: Cause) -> None:
        self.stream.substream_changed(self)

    def report_failure(self, terminal: Terminal, error: Exception, cause: Cause) -> None:
        self.stream.report_failure(terminal, error, cause)

    def terminal_failed(self, terminal: Terminal, error: Exception) -> None:
        if terminal not in self._failed:
            self._failed.add(terminal)
            self.stream.report_failure(terminal, error, Cause.BAD_DEVICE)
            self.stream.substream_changed(self)

    def terminal_event(self, kind: type[TerminalEvent], **fields: Any) -> None:
        self.owner.post(kind, **fields)
