"""What audio and video have in common on their way out: they poll terminals, and may fail."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import av
import numpy as np

from ..engine.local_source import LocalSource
from ..errors import InvalidTerminalError, MediaError
from ..model import Cause, Direction, MediaType
from ..rtp_streams import Stream, StreamOwner
from ..stats import StreamStats
from ..terminals.base import CaptureTerminal, Samples, Terminal
from ..terminals.faults import as_error
from ..terminals.packets import PacketSource
from ..ticker import FAULTS
from .failures import Failures
from .outlets import StreamOutlet

if TYPE_CHECKING:
    from ..calls.channel import Channel
    from ..transports.negotiation import Agreed


class CaptureStream(Stream):
    """What audio and video have in common on their way out."""

    _advice: ClassVar[str]
    """What a terminal has to give, in words."""

    def __init__(self, owner: StreamOwner, media_type: MediaType) -> None:
        super().__init__(owner, media_type, Direction.CAPTURE)
        self.sent_frames = 0
        """Blocks of sound or pictures that were sent."""
        self._past_packets = self._past_octets = 0
        self._failures = Failures(self.report_stream_failure)
        self._media_time = secrets.randbits(32)
        """RTP timestamp at `now` = 0, the same for every sender of the stream's life."""
        self._further: dict[str, tuple[Channel, Agreed]] = {}  # sections besides the first, by mid
        self._outlets: dict[str, StreamOutlet] = {}  # of the terminal that sends payloads, by mid

    @property
    def local_source(self) -> LocalSource | None:
        """Our source in the RTP session, while there is one."""
        if self._channel is None or self._agreed is None:
            return None
        return self._channel.session.local(self._agreed.mid)

    @property
    def local_sources(self) -> list[LocalSource]:
        """Those of all sections."""
        further = [channel.session.local(mid) for mid, (channel, _) in self._further.items()]
        sources = further if self.local_source is None else [self.local_source, *further]
        for source in sources:
            source.settle()
        return sources

    @property
    def _frames(self) -> int:
        return self.sent_frames + sum(source.in_step for source in self.local_sources)

    def add_section(self, channel: Channel, agreed: Agreed) -> None:
        self._further[agreed.mid] = (channel, agreed)
        self._serve_source()

    def disconnect(self, cause: Cause) -> None:
        for source in self.local_sources:
            self.sent_frames += source.in_step
            self._past_packets += source.packets
            self._past_octets += source.octets
        self._further.clear()
        super().disconnect(cause)

    def measure(self, now: float) -> None:
        octets = self._past_octets + sum(source.octets for source in self.local_sources)
        if self.local_source is not None:
            self.meter.sample(octets, self._frames, now)

    def stats(self) -> StreamStats:
        sources = self.local_sources
        reports = [report for source in sources for report in source.reports.values()]
        report = max(reports, key=lambda r: r.at, default=None)
        return StreamStats(
            identity=self.identity,
            media_type=self.media_type.value,
            direction=self.direction.value,
            running=self.running,
            active=self.active,
            packets=self._past_packets + sum(source.packets for source in sources),
            octets=self._past_octets + sum(source.octets for source in sources),
            frames=self._frames,
            bit_rate_bps=self.meter.bit_rate_bps if sources else 0.0,
            frame_rate=self.meter.frame_rate if sources else 0.0,
            level_dbov=self._level_dbov(),
            far_fraction_lost=report.fraction_lost if report else None,
            far_jitter_s=report.jitter_s if report else None,
            round_trip_s=report.round_trip_s if report else None,
        )

    def _level_dbov(self) -> int | None:
        """How loud we are; None for pictures."""
        return None

    def _read(self, terminal: CaptureTerminal, now: float) -> Samples | av.VideoFrame | None:
        try:
            media = terminal.capture(now)
            if media is not None and not self._takes(media):
                raise MediaError(f"{terminal.identity} gave {_what(media)}; {self._advice}")
            return media
        except FAULTS as exc:  # a terminal is anybody's code; its fault stays its own
            self.terminal_failed(terminal, as_error(terminal, exc))
            return None

    @abstractmethod
    def _takes(self, media: object) -> bool:
        """Whether it is what terminals of this medium give."""

    def _take(self, terminal: Terminal) -> None:
        mixed = (*self._terminals, terminal)
        if len(mixed) > 1 and any(isinstance(t, PacketSource) for t in mixed):
            raise InvalidTerminalError(
                f"{terminal.identity} cannot be on {self.identity} besides "
                f"{self._terminals[0].identity}: where payloads come encoded, nothing is mixed in"
            )
        super()._take(terminal)

    def _settle(self, cause: Cause, failure: Cause = Cause.LOCAL_REQUEST) -> None:
        super()._settle(cause, failure)
        self._serve_source()

    def _serve_source(self) -> None:
        """Begin and end with a terminal that sends payloads, after every change."""
        channel, agreed = self._channel, self._agreed
        sources = [t for t in self._usable() if isinstance(t, PacketSource)]
        if not sources or not self._running or channel is None or agreed is None:
            self._outlets.clear()
            for terminal in sources:
                terminal.end()
            return
        (terminal,) = sources  # where payloads come encoded, nothing is mixed in
        if terminal.outlet is None:
            self._outlets.clear()
            terminal.begin(self._outlet(channel, agreed))
        for further in sorted(self._further.values(), key=lambda section: section[1].index):
            if further[1].mid not in self._outlets:
                terminal.extend(self._outlet(*further))

    def _outlet(self, channel: Channel, agreed: Agreed) -> StreamOutlet:
        settings, begins = self._owner.settings, self._media_time
        outlet = StreamOutlet(channel, agreed, settings, begins, self._sent)
        self._outlets[agreed.mid] = outlet
        return outlet

    def _captures(self) -> list[CaptureTerminal]:
        return [t for t in self._usable() if isinstance(t, CaptureTerminal)]

    def _codec_failed(self, error: Exception, now: float) -> None:
        """Nothing can be sent: tell it once, and try anew in a second."""
        self._failures.failed(self, error, now, Cause.UNKNOWN)
        self._set_inactive(Cause.UNKNOWN)
        self._cause = Cause.MEDIA_RECOVERED
        self._release()

    def _sent(self) -> None:
        """Something was encoded and has gone out."""
        self.sent_frames += 1
        if not self._active:
            self._failures.worked(self)
            self._set_active()

    def key_frame_requested(self, mid: str) -> None:
        """A receiver of that section needs a picture that stands for itself."""
        if outlet := self._outlets.get(mid):
            outlet.on_key_frame_request()
        elif self._agreed is not None and mid == self._agreed.mid:
            self._want_key_frame()

    def ssrc_changed(self, mid: str) -> None:
        """Our source in that section has another SSRC from now on."""
        if outlet := self._outlets.get(mid):
            outlet.on_new_ssrc()

    def bitrate_limited(self, mid: str, bps: int, ssrcs: tuple[int, ...]) -> None:
        """A receiver of that section says that no more than `bps` bit/s get through on all of these
        SSRCs of ours together.
        """
        if outlet := self._outlets.get(mid):
            outlet.on_bitrate(bps, ssrcs)
        elif self._agreed is not None and mid == self._agreed.mid:
            self._limit_bitrate(bps)

    def _want_key_frame(self) -> None:
        """Encode a picture that stands for itself soon; sound has no such thing."""

    @abstractmethod
    def _limit_bitrate(self, bps: int) -> None:
        """Encode no more than that."""


def _what(media: object) -> str:
    """What a terminal gave, in words."""
    if isinstance(media, np.ndarray):
        return f"an array of shape {media.shape} and type {media.dtype}"
    return f"an object of type {type(media).__name__}"
