"""Sound that arrives: everybody who is heard is mixed for the stream's terminals.

Every substream is pulled each 20 ms; all that are not muted are mixed, and each goes to its own
terminals besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.lip_sync import MEMORY_S, Pace, due_at
from ..engine.places import Claim, Rank
from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..engine.speakers import TALK_LEVEL, levels_of
from ..model import AUDIO_FRAME_S, GoneReason, MediaType
from ..pipelines.audio_payloads import AudioPayloads
from ..pipelines.audio_receiver import AudioReceiver
from ..pipelines.mixing import mix
from ..rtp_streams import StreamOwner
from ..terminals.base import Samples
from ..ticker import AUDIO_TICKS
from .heard_digits import HeardDigits
from .receivers import Receivers
from .render import RenderStream
from .substreams import SubStream

if TYPE_CHECKING:
    from ..calls.channel import Channel
    from ..transports.negotiation import Agreed


class AudioRenderStream(RenderStream):
    """Mixes everybody who is heard."""

    receivers: Receivers[AudioReceiver]
    _every = AUDIO_TICKS
    _warm_in_pause = True

    def __init__(self, owner: StreamOwner) -> None:
        super().__init__(owner, MediaType.AUDIO)
        self.receivers = Receivers(self._make_receiver, self.report_stream_failure)
        self._pace = Pace()
        self.recorders = Receivers(self._make_recorder, self.report_stream_failure)
        self.digits = HeardDigits(owner, self.substream_of)

    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        take = self._passed.get(packet.source)  # type: ignore[arg-type]
        if take is not None:
            take(packet, now)
        else:
            super().packet_arrived(packet, now)
        if packet.payload_type in self.digits.payload_types:
            self.digits.take(packet, now)
            return
        level = packet.level
        if level is not None and level <= TALK_LEVEL:  # the end of talk is found without levels
            self._owner.roster.source_level(packet.source, level, now)  # type: ignore[arg-type]
        if packet.csrc_levels:
            self._tell_levels(packet, now)
        if take is None and self._ticks == AUDIO_TICKS:
            self._owner.ticker.packet_came(self, now)

    def _tell_levels(self, packet: RtpPacket, now: float) -> None:
        """Tell how loud those are that are in a mix (RFC 6465)."""
        if self._channel is not None:
            members = self._channel.session.sources
            for ssrc, level in zip(packet.csrcs, packet.csrc_levels, strict=True):
                if ssrc in members:
                    self._owner.roster.source_level(members[ssrc], level, now)

    def _make_receiver(self, substream: SubStream) -> AudioReceiver:
        assert self._agreed is not None  # the stream runs
        return AudioReceiver(self._agreed.receive)

    def _make_recorder(self, substream: SubStream) -> AudioPayloads:
        assert self._agreed is not None  # the stream runs
        return AudioPayloads(self._agreed.receive)

    def connect(self, channel: Channel, agreed: Agreed) -> None:
        self.recorders.renew()
        self.digits.renew(agreed.receive)
        super().connect(channel, agreed)

    def source_gone(self, source: RemoteSource, reason: GoneReason) -> None:
        self.digits.forget(source)
        super().source_gone(source, reason)

    def forget(self, substream: SubStream) -> None:
        super().forget(substream)
        self.recorders.forget(substream)

    def _retire(self) -> None:
        super()._retire()
        for substream, _ in self.recorders.items():
            if substream not in self._recorded:
                self.recorders.drop(substream)

    def _push(self, substream: SubStream, packet: RtpPacket, now: float) -> None:
        if substream in self._recorded:
            self.recorders.push(substream, packet, now)  # first: it leaves the packet as it is
        if substream in self._decoded:
            self.receivers.push(substream, packet, now)

    def recorded_with_sound(
        self, substream: SubStream, captured_at: float, now: float
    ) -> float | None:
        """As `due_with_sound`, for sound that is not decoded."""
        recorder, source = self.recorders.get(substream), substream.source
        if recorder is None or source is None or recorder.latest is None:
            return None
        timestamp, due = recorder.latest
        recorded_at = source.wallclock(timestamp)
        return None if recorded_at is None else due_at(captured_at, due - recorded_at, now)

    def due_with_sound(
        self, substream: SubStream, captured_at: float, now: float, *, new: bool
    ) -> float | None:
        """When sound of that instant, on the sender's clock, is heard; None if it is not.

        With `new` a picture of that person and instant has just become ready: if that is too late,
        the sound of later ones waits. In a pause it is when sound would be heard.
        """
        receiver, source = self.receivers.get(substream), substream.source
        if receiver is None or source is None or source.last_rtp is None:
            return None
        if not self._running or not substream.enabled or now - source.last_rtp > MEMORY_S:
            return None
        pulled_at = self._pace.due  # the next block: when the one before it is to be heard
        timestamp = receiver.next_timestamp(pulled_at)
        recorded_at = None if timestamp is None else source.wallclock(timestamp)
        if recorded_at is None:
            return None
        due = due_at(captured_at, pulled_at + AUDIO_FRAME_S - recorded_at, now)
        if due is not None and new:
            receiver.picture_ready(now - due, pulled_at, now)
        return due

    def _rendered(self, now: float) -> list[SubStream]:
        self._crowded = False
        here = bool(self._renderers())
        return [
            substream
            for substream in self._seating.by_source.values()
            if substream.running and (here or substream.usable_terminals)
        ]

    def _rank(self, substream: SubStream, now: float) -> Rank:
        rank = super()._rank(substream, now)
        source = substream.source
        tells = source is not None and source.level is not None  # by the extension (RFC 6464)
        if rank.claim is Claim.SILENT and not tells and self.receivers.get(substream) is None:
            return Rank(Claim.UNKNOWN)
        return rank

    def _tick(self, now: float, number: int) -> None:
        self._watch(now, number)
        heard: list[Samples] = []
        untold: list[tuple[RemoteSource, Samples]] = []
        due = self._pace.tick(now)
        roster = self._owner.roster
        for substream, receiver in self.receivers.items():
            try:
                samples = receiver.pull(now)
            except Exception as exc:  # one person's sound must not silence the others
                self.receivers.fail(substream, exc, now)
                continue
            source = substream.source
            if samples is None or source is None:
                continue
            if source.level is None:  # no extension that tells it (RFC 6464)
                untold.append((source, samples))
            if not roster.is_enabled(source, self):
                continue
            samples.setflags(write=False)  # all who are given it see the same
            heard.append(samples)
            for terminal in substream.usable_terminals:
                self._write(substream, terminal, samples, due)
        if untold:
            levels = levels_of([samples for _, samples in untold])
            for (source, _), level in zip(untold, levels, strict=True):
                roster.source_level(source, level, now)
        if self._recorded:
            self._record(now)
        if not heard:
            return
        block = heard[0] if len(heard) == 1 else mix(heard)
        block.setflags(write=False)
        for terminal in self._renderers():
            self._write(self, terminal, block, due)

    def _record(self, now: float) -> None:
        """Give payloads to those who take them; what a muted person says is lost."""
        for substream, recorder in self.recorders.items():
            payloads = recorder.pull(now)
            if payloads and substream.enabled:
                for terminal in substream.payload_terminals:
                    for payload, due in payloads:
                        self._write_payload(terminal, payload, due)
