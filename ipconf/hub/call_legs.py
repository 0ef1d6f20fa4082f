"""Call legs: two terminals on a call, by which its sound enters a conference and leaves it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..codecs.registry import sound_rate_hz
from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..engine.skimming import Skimmer, Skimming
from ..model import Direction, MediaType, SdesType
from ..stats import CallStats
from ..terminals.base import Terminal
from ..terminals.packets import PacketSink, PacketTaker
from .leg_outlets import LegOutlet
from .legs import Leg, longest_quiet
from .loops import LoopGuard
from .people import Attendee, Role
from .stats import PictureStats
from .video_feeds import Feed
from .video_legs import VideoInlet, VideoOutlet
from .voices import RemoteVoice, Voice

if TYPE_CHECKING:
    from ..call import Call
    from ..conference import Conference

MAX_VOICES = 64
"""Sources of sound on one leg at a time; more are not heard."""


class CallLeg(Leg):
    """A call that is in a conference."""

    def __init__(
        self, conference: Conference, call: Call, identity: str, name: str, role: Role
    ) -> None:
        super().__init__(conference, identity, name, role)
        self.call = call
        self.one_person = False
        """Whether who comes back on another transport is the same person, whatever their CNAME."""
        self.contributors: dict[int, Attendee] = {}
        """Who is there through a mixer, by their CSRC there."""
        self.loops = LoopGuard(self)
        self.inlet = LegInlet(self)
        self.outlet = LegOutlet(self)
        self.video_inlet: VideoInlet | None = None
        self.video_outlet: VideoOutlet | None = None
        if MediaType.VIDEO in call.media_types:
            self.video_inlet, self.video_outlet = VideoInlet(self), VideoOutlet(self)

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What its far end shows: cameras and screens."""
        return () if self.video_inlet is None else tuple(self.video_inlet.feeds)

    @property
    def is_group(self) -> bool:
        """Whether its far end are the members of a group, who are known from what they say."""
        return self.call.description is not None

    @property
    def is_shared(self) -> bool:
        return self.is_group or (super().is_shared and not self.one_person)

    @property
    def senders(self) -> Iterator[RemoteSource]:
        """Who sends media there, each under an SSRC of their own."""
        for source in self.voices:
            if isinstance(source, RemoteSource):
                yield source
        for feed in self.feeds:
            yield feed.source

    def knows(self, ssrc: int) -> bool:
        """Whether somebody there has that SSRC, and was heard of without a mixer."""
        return any(not source.contributing for source in self.call.sources_of(ssrc))

    def is_somebody_elses(self, ssrc: int, cname: str | None) -> bool:
        """Whether somebody there has that SSRC, themselves or, under another CNAME, behind a mixer.

        Else it is the same one, who has come round: a loop shows by the number.
        """
        for source in self.call.sources_of(ssrc):
            theirs = source.items.get(SdesType.CNAME)
            if not source.contributing or (cname and theirs and theirs != cname):
                return True
        return False

    @property
    def own_ssrcs(self) -> frozenset[int]:
        """Ours there."""
        return frozenset() if self.outlet.outlet is None else frozenset(self.outlet.outlet.ssrcs)

    @property
    def sound_bps(self) -> float:
        """The bit rate of what it is sent of sound, of the last second or so."""
        return self.call.stream(MediaType.AUDIO, Direction.CAPTURE).stats().bit_rate_bps

    def records(self, source: RemoteSource) -> bool:
        """Whether a terminal of this machine takes those pictures, too: a recording's, say."""
        stream = self.call.stream(MediaType.VIDEO, Direction.RENDER)
        return any(s.source is source and s.has_terminal for s in stream.substreams)

    @property
    def hears(self) -> bool:
        return self.outlet.outlet is not None

    @property
    def looped(self) -> int:
        return self.loops.dropped

    def _call_stats(self) -> CallStats:
        return self.call.stats()

    def _picture_stats(self) -> PictureStats | None:
        if self.video_outlet is None:
            return None
        now = self.conference.now()
        view = self.conference.video.view_of(self)
        return view.stats(tuple(feed.stats(now) for feed in self.feeds), now)

    def attach(self) -> None:
        """Take the media of the call: what it sends goes to all, what all send to it.

        Raises as `Stream.select_terminal` does.
        """
        try:
            for terminal in self._terminals:
                stream = self.call.stream(terminal.media_type, terminal.direction)
                stream.select_terminal(terminal)
        except Exception:
            self.detach()
            raise

    def detach(self) -> None:
        """Give the call back as it was."""
        for terminal in self._terminals:
            if terminal.in_use:
                self.call.unselect_terminal(terminal)

    @property
    def _terminals(self) -> list[Terminal]:
        video = (self.video_inlet, self.video_outlet)
        return [self.inlet, self.outlet, *(each for each in video if each is not None)]


class LegInlet(PacketSink):
    """Where the sound of a call enters the conference."""

    terminal_class = "conference inlet"

    def __init__(self, leg: CallLeg) -> None:
        super().__init__("conference inlet", MediaType.AUDIO, Direction.RENDER)
        self._leg = leg
        self._bridge = leg.conference.bridge
        self._formats: tuple[PayloadFormat, ...] = ()

    def begin(self, formats: tuple[PayloadFormat, ...]) -> None:
        self._formats = formats
        self._bridge.need(self, sound_rate_hz(formats))

    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        voice = self._leg.voices.get(packet.source)
        if voice is None:
            voice = self._admit(packet.source, now)
            if voice is None:
                return
        voice.take(packet, now)  # type: ignore[attr-defined]

    def taker(self, source: RemoteSource) -> PacketTaker:
        voice = self._leg.voices.get(source)
        return voice.take if isinstance(voice, RemoteVoice) else self.packet_arrived

    def skimmer(self, source: RemoteSource, skimming: Skimming) -> Skimmer | None:
        voice = self._leg.voices.get(source)
        if not isinstance(voice, RemoteVoice):
            return None
        voice.skimming = skimming
        return voice

    def _admit(self, source: RemoteSource | None, now: float) -> Voice | None:
        leg = self._leg
        if source is None or (len(leg.voices) >= MAX_VOICES and not self._make_room(now)):
            leg.refused += 1
            return None
        voice = leg.voices[source] = RemoteVoice(leg, source, self._formats)
        voice.attendee = leg.conference.attendee_of(leg, source)
        return voice

    def _make_room(self, now: float) -> bool:
        """Do without somebody who has sent nothing for some time; False: there is nobody."""
        voices = self._leg.voices.values()
        asleep = {v.source: v for v in voices if isinstance(v, RemoteVoice) and not v.awake}
        quiet = longest_quiet(asleep, now)
        if quiet is None:
            return False
        del self._leg.voices[quiet]
        self._bridge.forget(asleep[quiet])
        asleep[quiet].retire()
        return True

    def source_gone(self, source: RemoteSource) -> None:
        self._leg.loops.forget(source)
        voice = self._leg.voices.pop(source, None)
        if voice is not None:
            self._bridge.forget(voice)

    def end(self) -> None:
        for source in tuple(self._leg.voices):
            self.source_gone(source)  # type: ignore[arg-type]
        self._bridge.need(self, None)
