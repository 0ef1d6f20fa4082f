"""Streams that arrive: one substream per source, decoded only where somebody renders it.

Sound: every substream is pulled each 20 ms, all that are not muted are mixed for the stream's
terminals, and each goes to its own terminals besides. Pictures: a terminal shows one substream;
those of the stream are given to the substreams that have none, the oldest first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import av

from .capture_streams import mix
from .engine.reception import RemoteSource
from .engine.rtp_wire import RtpPacket
from .errors import MediaError
from .model import AUDIO_FRAME_S, Cause, Direction, GoneReason, MediaType
from .pipelines.audio_receiver import AudioReceiver
from .pipelines.video_receiver import VideoReceiver
from .rtp_streams import Stream, StreamOwner, SubStream
from .runnable import Runnable, Wish
from .terminals.base import Samples, Terminal
from .ticker import AUDIO_TICKS

MEDIA_TIMEOUT_S = 5.0
"""Without a packet for so long a stream is inactive, for MEDIA_TIMEOUT, until one comes."""
ENDED_BECAUSE = {
    GoneReason.TIMEOUT: Cause.MEDIA_TIMEOUT,
    GoneReason.CLOSED: Cause.LOCAL_REQUEST,
}
"""The cause of a stream's end by what became of its last source; else the far end ended it."""
MAX_SUBSTREAMS = 512
"""Sources rendered at the same time on one stream; more are counted, not decoded."""


class RenderStream(Stream):
    """What audio and video have in common on their way in."""

    _every = 1  # ticks between calls of `_tick`

    def __init__(self, owner: StreamOwner, media_type: MediaType) -> None:
        super().__init__(owner, media_type, Direction.RENDER)
        self._substreams: dict[RemoteSource, SubStream] = {}
        self._last_packet = 0.0
        self.refused = 0
        """Packets of sources that were one too many."""

    @property
    def substreams(self) -> tuple[SubStream, ...]:
        return tuple(self._substreams.values())

    def substream_of(self, source: RemoteSource) -> SubStream | None:
        """The substream that carries a source, if it has sent anything yet."""
        return self._substreams.get(source)

    def measure(self, now: float) -> None:
        for substream in self._substreams.values():
            substream.meter.sample(substream.source.octets, self.decoded(substream), now)

    @abstractmethod
    def decoded(self, substream: SubStream) -> int:
        """Payloads of sound or pictures decoded of a substream."""

    # -- from the channel

    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        """Take a packet that the session has validated; called for each one."""
        source = packet.source
        substream = self._substreams.get(source)  # type: ignore[arg-type]
        if substream is None:
            if not packet.payload:
                return  # a probe is no media yet
            substream = self._add(source, now)  # type: ignore[arg-type]
            if substream is None:
                return
        self._last_packet = now
        if self._running:
            if not self._active:
                self._set_active()
            self._push(substream, packet, now)

    def source_gone(self, source: RemoteSource, reason: GoneReason) -> None:
        """A source is no more: its substream ends."""
        substream = self._substreams.pop(source, None)
        if substream is None:
            return
        self._forget(substream)
        now = self._owner.now()
        self._owner.roster.substream_unmapped(substream, now)
        self._owner.roster.substream_removed(substream, now)
        substream.close()
        if not self._substreams:
            timeout = reason is GoneReason.TIMEOUT
            self._cause = Cause.MEDIA_RECOVERED if timeout else Cause.REMOTE_REQUEST
            self._set_inactive(ENDED_BECAUSE.get(reason, Cause.REMOTE_REQUEST))
        self._map()

    def _add(self, source: RemoteSource, now: float) -> SubStream | None:
        if len(self._substreams) >= MAX_SUBSTREAMS:
            self.refused += 1
            return None
        substream = SubStream(self, self._owner, source, self._substream_changed)
        substream.meter.sample(0, 0, now)
        self._substreams[source] = substream
        self._owner.roster.substream_added(substream, now)
        if self._channel is not None:
            self._settle(Cause.REMOTE_REQUEST)
            self._map()
        return substream

    # -- rules

    def _wanted(self) -> bool:
        if self._wish is not Wish.RUN:
            return False
        return bool(self._usable()) or any(s.usable_terminals for s in self._substreams.values())

    def _settle(self, cause: Cause) -> None:
        super()._settle(cause)
        self._map()

    def _substream_changed(self, substream: SubStream) -> None:
        if not substream.running:
            self._forget(substream)
        self._settle(Cause.LOCAL_REQUEST)

    def _begin(self) -> None:
        self._last_packet = self._owner.now()
        if self._cause is Cause.LOCAL_REQUEST and not self._substreams:
            self._cause = Cause.REMOTE_REQUEST  # we are ready; it is the far end that begins
        self._owner.ticker.add(self._tick, self._every)

    def _end(self) -> None:
        self._owner.ticker.remove(self._tick)

    def _release(self) -> None:
        for substream in self._substreams.values():
            self._forget(substream)

    def _watch_timeout(self, now: float) -> None:
        if self._active and now - self._last_packet > MEDIA_TIMEOUT_S:
            self._cause = Cause.MEDIA_RECOVERED
            self._set_inactive(Cause.MEDIA_TIMEOUT)

    def _write(
        self, host: Runnable, terminal: Terminal, media: Samples | av.VideoFrame, at: float
    ) -> None:
        try:
            terminal.render(host, media, at)  # type: ignore[attr-defined]
        except Exception as exc:  # a terminal is anybody's code; its fault stays its own
            terminal.fail(exc)

    def _mapped(self, rendered: dict[SubStream, bool]) -> None:
        """Tell the roster who is rendered; those who no longer are first."""
        now = self._owner.now()
        for substream, shown in rendered.items():
            if not shown:
                self._owner.roster.substream_unmapped(substream, now)
        for substream, shown in rendered.items():
            if shown:
                self._owner.roster.substream_mapped(substream, now)

    @abstractmethod
    def _push(self, substream: SubStream, packet: RtpPacket, now: float) -> None: ...

    @abstractmethod
    def _forget(self, substream: SubStream) -> None:
        """Give up what decodes a substream."""

    @abstractmethod
    def _map(self) -> None:
        """Find out again who is rendered where, and tell it."""

    @abstractmethod
    def _tick(self, now: float, number: int) -> None: ...


class AudioRenderStream(RenderStream):
    """Mixes everybody who is heard."""

    _every = AUDIO_TICKS

    def __init__(self, owner: StreamOwner) -> None:
        super().__init__(owner, MediaType.AUDIO)
        self.receivers: dict[SubStream, AudioReceiver] = {}

    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        super().packet_arrived(packet, now)
        if packet.level is not None:
            self._owner.roster.source_level(packet.source, packet.level, now)  # type: ignore[arg-type]
        if packet.csrc_levels and self._channel is not None:
            members = self._channel.session.sources
            for ssrc, level in zip(packet.csrcs, packet.csrc_levels, strict=True):
                if ssrc in members:
                    self._owner.roster.source_level(members[ssrc], level, now)

    def decoded(self, substream: SubStream) -> int:
        receiver = self.receivers.get(substream)
        return receiver.stats().decoded if receiver is not None else 0

    def _push(self, substream: SubStream, packet: RtpPacket, now: float) -> None:
        receiver = self.receivers.get(substream)
        if receiver is None:
            if not self._hears(substream) or self._agreed is None:
                return
            try:
                receiver = self.receivers[substream] = AudioReceiver(self._agreed.receive)
            except MediaError as exc:
                self.report_stream_failure(exc)
                return
        receiver.push(packet, now)

    def _forget(self, substream: SubStream) -> None:
        self.receivers.pop(substream, None)

    def _hears(self, substream: SubStream) -> bool:
        return substream.running and bool(self._usable() or substream.usable_terminals)

    def _map(self) -> None:
        self._mapped({s: self._running and self._hears(s) for s in self._substreams.values()})

    def _tick(self, now: float, number: int) -> None:
        self._watch_timeout(now)
        heard: list[Samples] = []
        due = now + AUDIO_FRAME_S
        roster = self._owner.roster
        for substream, receiver in tuple(self.receivers.items()):
            try:
                samples = receiver.pull(now)
            except Exception as exc:  # one person's sound must not silence the others
                del self.receivers[substream]
                self.report_stream_failure(exc)
                continue
            if samples is None:
                continue
            source = substream.source
            if source.level is None:  # no extension that tells it (RFC 6464)
                roster.source_level(source, receiver.level, now)
            if not roster.is_enabled(source, self):
                continue
            heard.append(samples)
            for terminal in substream.usable_terminals:
                self._write(substream, terminal, samples, due)
        if not heard:
            return
        block = heard[0] if len(heard) == 1 else mix(heard)
        for terminal in self._usable():
            self._write(self, terminal, block, due)


class VideoRenderStream(RenderStream):
    """Shows each terminal one person."""

    def __init__(self, owner: StreamOwner) -> None:
        super().__init__(owner, MediaType.VIDEO)
        self.receivers: dict[SubStream, VideoReceiver] = {}
        self._windows: dict[Terminal, SubStream] = {}

    def decoded(self, substream: SubStream) -> int:
        receiver = self.receivers.get(substream)
        return receiver.stats().decoded if receiver is not None else 0

    def _push(self, substream: SubStream, packet: RtpPacket, now: float) -> None:
        receiver = self.receivers.get(substream)
        if receiver is None:
            if not self._shown(substream) or self._agreed is None:
                return
            receiver = self._receiver(substream)
        receiver.push(packet, now)

    def _receiver(self, substream: SubStream) -> VideoReceiver:
        assert self._agreed is not None

        def show(frame: av.VideoFrame, timestamp: int) -> None:
            self._show(substream, frame)

        receiver = VideoReceiver(self._agreed.receive, self._owner.submit, show)
        self.receivers[substream] = receiver
        return receiver

    def _forget(self, substream: SubStream) -> None:
        receiver = self.receivers.pop(substream, None)
        if receiver is not None:
            receiver.close()

    def _shown(self, substream: SubStream) -> bool:
        windows = substream.usable_terminals or substream in self._windows.values()
        return substream.running and bool(windows)

    def _map(self) -> None:
        """Give the stream's terminals to substreams without one, keeping what stands."""
        free = self._usable()
        windows: dict[Terminal, SubStream] = {}
        waiting = [s for s in self._substreams.values() if s.running and not s.usable_terminals]
        for terminal, substream in self._windows.items():
            if terminal in free and substream in waiting:
                windows[terminal] = substream
                waiting.remove(substream)
                free.remove(terminal)
        windows.update(zip(free, waiting, strict=False))
        self._windows = windows
        shown = {s: self._running and self._shown(s) for s in self._substreams.values()}
        for substream, visible in shown.items():
            if not visible:
                self._forget(substream)
        self._mapped(shown)

    def _show(self, substream: SubStream, frame: av.VideoFrame) -> None:
        now = self._owner.now()
        if not self._running or not self._owner.roster.is_enabled(substream.source, self):
            return
        for terminal in substream.usable_terminals:
            self._write(substream, terminal, frame, now)
        for terminal, shown in tuple(self._windows.items()):
            if shown is substream:
                self._write(self, terminal, frame, now)

    def _tick(self, now: float, number: int) -> None:
        self._watch_timeout(now)
        channel = self._channel
        if channel is None:
            return
        for substream, receiver in tuple(self.receivers.items()):
            source = substream.source
            if source.last_rtp is not None and now - source.last_rtp < MEDIA_TIMEOUT_S:
                self._owner.roster.source_media(source, source.last_rtp)
            missing = receiver.missing(now)
            if missing:
                channel.request_resend(source.ssrc, missing, now)
            if receiver.needs_key_frame(now):
                channel.request_key_frame(source.ssrc, now)


def make_render_stream(owner: StreamOwner, media_type: MediaType) -> RenderStream:
    """The arriving stream of a medium."""
    makers: dict[MediaType, Callable[[StreamOwner], RenderStream]] = {
        MediaType.AUDIO: AudioRenderStream,
        MediaType.VIDEO: VideoRenderStream,
    }
    return makers[media_type](owner)
