"""Sound that arrives: everybody who is heard is mixed for the stream's terminals.

Every substream is pulled each 20 ms; all that are not muted are mixed, and each goes to its own
terminals besides.
"""

from __future__ import annotations

from .engine.rtp_wire import RtpPacket
from .model import AUDIO_FRAME_S, MediaType
from .pipelines.audio_receiver import AudioReceiver
from .pipelines.mixing import mix
from .places import Claim, Rank
from .receivers import Receivers
from .render_base import RenderStream
from .rtp_streams import StreamOwner
from .substreams import SubStream
from .terminals.base import Samples
from .ticker import AUDIO_TICKS


class AudioRenderStream(RenderStream):
    """Mixes everybody who is heard."""

    receivers: Receivers[AudioReceiver]
    _every = AUDIO_TICKS
    _warm_in_pause = True

    def __init__(self, owner: StreamOwner) -> None:
        super().__init__(owner, MediaType.AUDIO)
        self.receivers = Receivers(self._make_receiver, self.report_stream_failure)

    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        super().packet_arrived(packet, now)
        if packet.level is not None:
            self._owner.roster.source_level(packet.source, packet.level, now)  # type: ignore[arg-type]
        if packet.csrc_levels and self._channel is not None:
            members = self._channel.session.sources
            for ssrc, level in zip(packet.csrcs, packet.csrc_levels, strict=True):
                if ssrc in members:
                    self._owner.roster.source_level(members[ssrc], level, now)
        self._owner.ticker.packet_came(self, now)

    def _make_receiver(self, substream: SubStream) -> AudioReceiver:
        assert self._agreed is not None  # the stream runs
        return AudioReceiver(self._agreed.receive)

    def _rendered(self, now: float) -> list[SubStream]:
        self._crowded = False
        here = bool(self._usable())
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
        due = now + AUDIO_FRAME_S
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
