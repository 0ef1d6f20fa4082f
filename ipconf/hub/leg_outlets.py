"""Where the sound of a conference goes out on its calls, to one leg or to all who follow it."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from ..codecs.base import AudioWishes
from ..codecs.registry import sound_rate_hz
from ..engine.convoy import Convoy
from ..engine.local_source import SharedTail
from ..errors import UsageError
from ..model import Direction, MediaType
from ..pipelines.audio_sender import EncodedAudio
from ..terminals.base import Samples
from ..terminals.packets import Outlet, PacketSource
from ..ticker import AUDIO_TICKS

if TYPE_CHECKING:
    from .call_legs import CallLeg

PRIMING_BLOCKS = 2
"""What an encoder is primed with: 40 ms, after which a switch to it is not heard."""
Tails = dict[Hashable, SharedTail]
"""What of one packet can be the same for many, by what they have negotiated."""


_encodings: WeakValueDictionary[tuple[object, ...], Encoding] = WeakValueDictionary()


class Encoding:
    """How sound is encoded for some legs. Compared with each tick, so each there is once."""

    __slots__ = ("__weakref__",)

    @staticmethod
    def of(outlet: Outlet, wishes: AudioWishes) -> Encoding:
        """The one of such an outlet."""
        fmt = outlet.format
        parameters = tuple(sorted(fmt.parameters.items()))
        bitrate_bps = outlet.settings.audio_bitrate_bps
        what = (fmt.name.lower(), fmt.clock_rate, fmt.channels, parameters, wishes, bitrate_bps)
        return _encodings.setdefault(what, Encoding())


@dataclass(frozen=True, slots=True)
class Said:
    """Who is in a mix: at most 15 CSRCs (RFC 3550 section 5.1), and how loud each is."""

    csrcs: tuple[int, ...] = ()
    levels: tuple[int, ...] = ()
    """0 (loudest) .. 127, one for each (RFC 6465)."""


class LegOutlet(PacketSource):
    """Where the sound of the conference goes out on a call."""

    terminal_class = "conference outlet"

    def __init__(self, leg: CallLeg) -> None:
        super().__init__("conference outlet", MediaType.AUDIO, Direction.CAPTURE)
        self._leg = leg
        self.encoding: Encoding | None = None
        """Legs of the same one can be sent the same payloads; None before there is one."""
        self.wishes = AudioWishes()
        self.apart = False
        """Whether its packets do not end with the ticks, so that its encoders are its own."""
        self.heard: deque[Samples] = deque(maxlen=PRIMING_BLOCKS)
        """The latest blocks, with which a new encoder is primed."""
        self.moving: tuple[object, int] | None = None
        """The key of an encoder that is its own for a moment, and the last tick of that."""
        self.resting = True
        """Whether nothing was sent of late: the first packet after that is marked (RFC 3551)."""
        self.convoy = Convoy()
        """Sends what it is sent, here and to who follows."""
        self.followers: dict[CallLeg, Outlet] = {}
        """Legs that are sent just what this one is, and the ways to them."""
        self.lead: CallLeg | None = None
        """Whom it follows."""
        self.leads: Hashable = None
        """The kind of legs that may follow it."""
        self._sharing: Hashable = None

    def begin(self, outlet: Outlet) -> None:
        super().begin(outlet)
        settings = outlet.settings
        self.wishes = AudioWishes(
            ptime_ms=settings.ptime_ms,
            stereo=settings.opus_stereo,
            fec=settings.opus_fec,
            dtx=settings.opus_dtx,
        )
        self.encoding = Encoding.of(outlet, self.wishes)
        self.apart, self.resting, self._sharing = False, True, None
        self.heard.clear()
        self.moving = None
        self._leg.row = None
        outlet.on_new_ssrc = outlet.on_taken = self._go_alone
        self._leg.conference.bridge.need(self, sound_rate_hz((outlet.format,)))
        self._leg.conference.leg_connected(self._leg, outlet)

    def end(self) -> None:
        bridge = self._leg.conference.bridge
        bridge.audiences.part(self._leg)
        bridge.need(self, None)
        self.part()
        super().end()

    @property
    def loss(self) -> float:
        """Share of the packets that far ends say they lost of late, the worst of those it leads;
        0 if they say nothing.
        """
        ways = (*self.followers.values(), self.outlet)
        return max(0.0 if way is None else way.reported_loss for way in ways)

    def encoder_key(self, room: str, row: object, change: object, number: int) -> Hashable:
        """Which encoder is to be used in a tick for the mix of that row.

        Who comes to a mix that others hear already has an encoder of their own while it changes,
        and one tick longer: then both have encoded the same, and the switch is not heard. Packets
        that do not end with the tick are for one leg alone.
        """
        if change is not None:
            self.moving = (change, number + AUDIO_TICKS)
        elif self.moving is not None and number > self.moving[1]:
            self.moving = None
        if self.apart:
            return self
        return room, row if self.moving is None else self.moving[0], self.encoding

    def part(self) -> None:
        """Be sent nothing any more that others are; from the next packet on it is on its own."""
        if self.outlet is not None:
            self.outlet.part()

    def _go_alone(self) -> None:
        """Packets are its own again: with another SSRC until they need not name the section, or
        while digits are sent in their place.
        """
        self._leg.conference.bridge.audiences.part(self._leg)
        self.part()
        self._sharing = None

    # -- following

    @property
    def kind(self) -> Hashable:
        """Legs of one kind can be sent the same packets; None while it is like no other."""
        if self.outlet is None or self.apart or self.moving is not None or self._sharing is None:
            return None
        return self.encoding, self._sharing

    def is_like(self, other: LegOutlet) -> bool:
        """Whether one of its kind is just where it is itself."""
        return other.moving is None and self.resting is other.resting

    def follow(self, leg: CallLeg) -> None:
        """Let another leg be sent what this one is, from now on."""
        way = leg.outlet.outlet
        assert way is not None  # it hears
        way.join(self.convoy)
        self.followers[leg] = way

    def unfollow(self, leg: CallLeg) -> None:
        """It follows no more."""
        self.followers.pop(leg).part()

    def inherit(self, lead: LegOutlet) -> None:
        """Go on where a lead is."""
        self.heard = lead.heard.copy()
        self.moving, self.resting = lead.moving, lead.resting

    # -- sending

    def send(self, packet: EncodedAudio, said: Said, tails: Tails, now: float) -> None:
        """Send one packet of a mix here, and to all who follow.

        `tails` has what other legs were sent of the same packet.
        """
        way = self.outlet
        if way is None:
            return  # it ended while the others were sent to
        sharing = self._sharing
        if sharing is None:
            sharing = self._sharing = way.sharing
        marker, self.resting = self.resting, False
        if sharing is None:  # its first packets say more than the others
            with suppress(UsageError):  # the call is saying goodbye
                way.send(
                    packet.payload,
                    packet.timestamp,
                    now,
                    marker=marker,
                    level=packet.level,
                    csrcs=said.csrcs,
                    csrc_levels=said.levels,
                )
            return
        tail = tails.get(sharing)
        if tail is None:
            tail = way.tail(packet.payload, packet.level, said.csrcs, said.levels)
            tails[sharing] = tail
        way.join(self.convoy)
        self.convoy.send(tail, packet.timestamp, now, marker)
