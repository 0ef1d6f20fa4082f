"""Pictures that arrive: each terminal shows one person.

The terminals of the stream are windows for the people who have none of their own; where there are
fewer of them than people, `windows` says who is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import av

from ..engine.assembly import AssembledFrame
from ..engine.places import Claim, Rank
from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..engine.windows import Windows
from ..model import GoneReason, MediaType
from ..pipelines.video_receiver import VideoReceiver
from ..rtp_streams import StreamOwner
from ..terminals.payloads import Payload
from .audio_render import AudioRenderStream
from .contributors import Contributors
from .layers import Layers
from .receivers import Receivers
from .render import MEDIA_TIMEOUT_S, RenderStream
from .substreams import SubStream

if TYPE_CHECKING:
    from ..calls.channel import Channel

FLOW_TICKS = 10
"""The roster is told every 100 ms whose video flows."""


class VideoRenderStream(RenderStream):
    """Shows people in windows; `query(Windows)` tells who is in which, and pins."""

    receivers: Receivers[VideoReceiver]

    def __init__(self, owner: StreamOwner) -> None:
        super().__init__(owner, MediaType.VIDEO)
        self.receivers = Receivers(self._make_receiver, self.report_stream_failure)
        self._contributors = Contributors()
        self._layers = Layers()
        self._windows = Windows(self, self._map, owner.roster.may_return)
        self._offer_interface(Windows, self._windows)

    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        if self._contributors.names(packet):
            self._see_who(packet, now)
        take = self._passed.get(packet.source)  # type: ignore[arg-type]
        if take is not None:
            take(packet, now)
        else:
            super().packet_arrived(packet, now)

    def _see_who(self, packet: RtpPacket, now: float) -> None:
        """A mixer shows somebody else from this packet on, or nobody any more."""
        channel = self._sections.channel_of(packet.source)
        members = channel.session.sources if channel is not None else {}
        if self._contributors.note(packet, members, now):
            self._owner_changed(packet.source, now)

    def _owner_changed(self, source: RemoteSource | None, now: float) -> None:
        substream = self._seating.by_source.get(source)  # type: ignore[arg-type]
        if substream is not None:
            self._seating.tell(substream, now)
            if substream in self._decoded or substream in self._recorded:
                self._owner.roster.substream_mapped(substream, now)
            self._people_changed(now)

    def source_gone(self, source: RemoteSource, reason: GoneReason) -> None:
        left = self._contributors.forget(source)
        if source in self._layers:
            heir = self._layers.forget(source)
            if heir is not None:
                self._hand_over(source, heir, self._owner.now())
            if source not in self._seating.by_source:
                self._forget_packets(source)
        super().source_gone(source, reason)
        for other in left:
            self._owner_changed(other, self._owner.now())

    def _is_spare(self, source: RemoteSource) -> bool:
        return source.rid is not None and self._layers.is_spare(source)

    def _spares(self) -> Iterator[RemoteSource]:
        return self._layers.spares

    def measure(self, now: float) -> None:
        for source, heir in self._layers.moves(now):
            self._hand_over(source, heir, now)
        super().measure(now)

    def _hand_over(self, source: RemoteSource, heir: RemoteSource, now: float) -> None:
        """Show another layer of the same picture in place of one."""
        substream = self.substream_of(source)
        if substream is not None:  # else there were too many
            self._past_frames += substream.decoded
            self._seating.hand_over(source, heir, now)
            self._map()
            if substream in self._decoded or substream in self._recorded:
                self.request_key_frame(heir)

    def request_key_frame(self, source: RemoteSource) -> None:
        """Ask the sender of a source for a key frame, as often as the session allows."""
        if channel := self._sections.channel_of(source):
            channel.request_key_frame(source.ssrc, self._owner.now())

    def request_resend(self, source: RemoteSource, sequences: Iterable[int]) -> None:
        """Ask the sender of a source for packets that are missing, by 16-bit numbers."""
        if channel := self._sections.channel_of(source):
            channel.request_resend(source.ssrc, sequences, self._owner.now())

    def limit_bitrate(self, sources: Iterable[RemoteSource], bps: int) -> None:
        """Ask the sender of sources for no more than so many bit/s of all together."""
        by_channel: dict[Channel, list[int]] = {}
        for source in sources:
            if channel := self._sections.channel_of(source):
                by_channel.setdefault(channel, []).append(source.ssrc)
        for channel, ssrcs in by_channel.items():
            channel.limit_bitrate(ssrcs, bps, self._owner.now())

    def whose(self, source: RemoteSource | None) -> RemoteSource | None:
        return self._contributors.of(source)

    def _make_receiver(self, substream: SubStream) -> VideoReceiver:
        formats = self._sections.formats_of(substream.source)

        def show(frame: av.VideoFrame, timestamp: int) -> None:
            self._show(substream, frame, timestamp)

        def record(payload_format: PayloadFormat, frame: AssembledFrame) -> None:
            self._record(substream, payload_format, frame)

        receiver = VideoReceiver(formats, self._owner.submit, show, record)
        receiver.decoding = substream in self._decoded
        return receiver

    def _retire(self) -> None:
        for substream, receiver in self.receivers.items():
            if substream not in self._decoded and substream not in self._recorded:
                self.receivers.drop(substream)
            receiver.decoding = substream in self._decoded

    def _count_decoders(self) -> int:
        return sum(receiver.decoding for _, receiver in self.receivers.items())

    def _rendered(self, now: float) -> list[SubStream]:
        people = [s for s in self._seating.by_source.values() if s.running]
        windows = self._renderers()
        waiting = [s for s in people if windows and not s.usable_terminals]
        talk = super()._rank  # pins are for the windows to know
        self._windows.settle(windows, {s: talk(s, now) for s in waiting}, now)
        fewest = 1 if any(window.records for window in windows) else len(windows)
        self._crowded = 0 < fewest < len(waiting)
        shown = set(self._windows.shown.values())
        return [s for s in people if s.usable_terminals or s in shown]

    def _rank(self, substream: SubStream, now: float) -> Rank:
        if self._windows.is_pinned(substream.participant):
            return Rank(Claim.CHOSEN)
        return super()._rank(substream, now)

    def _show(self, substream: SubStream, frame: av.VideoFrame, timestamp: int) -> None:
        """Render a decoded picture when it is due; `timestamp` is its RTP timestamp."""
        receiver = self.receivers.get(substream)
        if receiver is None or not self._running or not substream.enabled:
            return
        now = self._owner.now()
        receiver.held.put(frame, timestamp, self._due(substream, timestamp, now, new=True), now)
        self._release_due(substream, receiver, now)

    def _due(self, substream: SubStream, timestamp: int, now: float, *, new: bool) -> float:
        """When the sound of that picture is heard; now if there is none, or nobody tells."""
        for stream, sound, captured_at in self._sound_of(substream, timestamp):
            due = stream.due_with_sound(sound, captured_at, now, new=new)
            if due is not None:
                return due
        return now

    def _sound_of(
        self, substream: SubStream, timestamp: int
    ) -> Iterator[tuple[AudioRenderStream, SubStream, float]]:
        """Where a person's sound is, and when that picture was captured; nothing if nobody tells.

        The time is on the sender's clock. The sound of whom a mixer shows is in the mixer's.
        """
        source = substream.source
        person = self._owner.roster.participant_of(source)
        captured_at = source.wallclock(timestamp) if source is not None else None
        if captured_at is not None and person is not None:
            for sound in person.substreams:
                if isinstance(sound.stream, AudioRenderStream):
                    yield sound.stream, sound, captured_at

    def _record(
        self, substream: SubStream, payload_format: PayloadFormat, frame: AssembledFrame
    ) -> None:
        """Give an encoded picture to those who take them so, if they have the ones before it."""
        receiver = self.receivers.get(substream)
        if receiver is None:
            return
        wanted = substream.payload_terminals if self._running and substream.enabled else []
        takers = receiver.payloads.takers(wanted, frame.key_frame)
        if wanted:
            due = receiver.payloads.due(frame, self._due_recorded(substream, frame))
            payload = Payload(
                frame.data, payload_format, frame.timestamp, key_frame=frame.key_frame
            )
            for terminal in takers:
                self._write_payload(terminal, payload, due)

    def _due_recorded(self, substream: SubStream, frame: AssembledFrame) -> float | None:
        """When the sound of that picture is due that is recorded with it, if there is some."""
        for stream, sound, captured_at in self._sound_of(substream, frame.timestamp):
            due = stream.recorded_with_sound(sound, captured_at, frame.arrival)
            if due is not None:
                return due
        return None

    def _release_due(self, substream: SubStream, receiver: VideoReceiver, now: float) -> None:
        for frame, due in receiver.held.take(now):
            if not substream.enabled:
                continue  # muted meanwhile
            for terminal in substream.usable_terminals:
                self._write(substream, terminal, frame, due)
            for terminal, shown in self._windows.shown.items():
                if shown is substream:
                    self._write(self, terminal, frame, due)

    def _tell_flow(self, now: float) -> None:
        for source in (*self._seating.by_source, *self._layers.spares):
            whose, last_rtp = self.whose(source), source.last_rtp
            if whose is not None and last_rtp is not None and now - last_rtp < MEDIA_TIMEOUT_S:
                self._owner.roster.source_media(whose, last_rtp)

    def _tick(self, now: float, number: int) -> None:
        self._watch(now, number)
        if self._channel is None:
            return
        if number % FLOW_TICKS == 0:
            self._tell_flow(now)
        for substream, receiver in self.receivers.items():
            source = substream.source
            assert source is not None  # who is decoded sends
            if receiver.held:
                due = self._due(substream, receiver.held.next_timestamp, now, new=False)
                receiver.held.retime(due, now)
                self._release_due(substream, receiver, now)
            missing = receiver.missing(now)
            if missing:
                self.request_resend(source, missing)
            if receiver.needs_key_frame(now):
                self.request_key_frame(source)
