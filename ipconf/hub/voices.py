"""Voices: the sources of sound in a conference, awake only while they are worth mixing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..codecs.base import AudioDecoder
from ..codecs.registry import create_audio_decoder, has_codec
from ..engine.delay import MIXER
from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..engine.skimming import Skimming, Timed
from ..engine.speakers import SILENT_LEVEL, level_of
from ..engine.telephone_events import is_telephone_event
from ..errors import MediaError
from ..pipelines.audio_receiver import AudioReceiver
from ..terminals.base import Samples

if TYPE_CHECKING:
    from .call_legs import CallLeg
    from .legs import Leg
    from .people import Attendee

KEPT_PACKETS = 3
"""Of who sleeps: with them the beginning of a word is still there when it is noticed."""
PROBE_PERIOD = 5
"""Of a voice that sleeps and tells no level one packet in five is decoded to find it."""
QUIET_LEVEL = 60
"""What is softer than -60 dBov is no talk, but tells of the noise that talk stands out of ..."""
UNTOLD_PACKETS = 2
"""... for which one level in three is enough (`engine/speech_activity.py` fills gaps of 60 ms)."""
CHEAP_CODECS = frozenset({"pcmu", "pcma", "l16"})
"""Decoding all packets of these costs no more than probing some."""

JITTERS = 4
"""Who wakes is played that many times their jitter (RFC 3550) later than the mixer's usual start:
lateness that is spread evenly is three of them."""
MAX_START_S = 0.060
"""... but not later than that; what it takes is found out while they talk."""

_numbers = count(1)


@lru_cache(maxsize=8)
def _rise(samples: int) -> NDArray[np.float32]:
    """From 0 to 1 within a block, (samples, 1)."""
    return np.linspace(0, 1, samples, dtype=np.float32)[:, np.newaxis]


class Voice(ABC):
    """A source of sound on a leg; `attendee` is who it belongs to, None while that is unknown."""

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self.attendee: Attendee | None = None
        self.number = next(_numbers)
        """Tells voices apart in the keys of mixes."""
        self.level = SILENT_LEVEL
        """The latest, 0 (loudest) .. 127."""
        self.awake = False
        self.failed = 0
        """Times its sound could not be decoded at all."""
        self._gain = 0.0  # at the end of the last block

    def pull(self, gain: float, now: float) -> Samples | None:
        """The next 20 ms of it, (samples, 1 or 2), as loud as `gain`; None while there is nothing.

        Where the gain changes, and where the voice begins, it goes there within the block.
        """
        samples = self._next(now)
        if samples is None:
            self._gain = 0.0
            return None
        before, self._gain = self._gain, gain
        if before == gain:
            if gain == 1.0:
                return samples
            before = gain
        louder = samples * (before + (gain - before) * _rise(len(samples)))
        block: Samples = np.clip(np.rint(louder), -32768, 32767).astype(np.int16)
        return block

    @property
    def people(self) -> tuple[Attendee, ...]:
        """Who is heard in it, as far as they are known."""
        return () if self.attendee is None else (self.attendee,)

    @property
    def csrcs(self) -> tuple[int, ...]:
        """What names them to others."""
        return () if self.attendee is None else (self.attendee.csrc,)

    @property
    @abstractmethod
    def tells_no_level(self) -> bool:
        """Whether its level is known only from its sound."""

    @abstractmethod
    def wake(self, now: float) -> None:
        """It will be pulled from now on."""

    @abstractmethod
    def sleep(self) -> None:
        """It will not be pulled for some time."""

    @abstractmethod
    def end(self) -> None:
        """Its leg is gone; it may be pulled once more, to fade out."""

    @abstractmethod
    def _next(self, now: float) -> Samples | None:
        """The next 20 ms as they came."""


class RemoteVoice(Voice):
    """A source whose packets arrive on a call."""

    quiet_level = QUIET_LEVEL

    leg: CallLeg

    def __init__(
        self, leg: CallLeg, source: RemoteSource, formats: tuple[PayloadFormat, ...]
    ) -> None:
        super().__init__(leg)
        self.source = source
        self._bridge = leg.conference.bridge
        self._tell_level = self._bridge.level
        self._formats = formats
        self._by_type = {f.payload_type: f for f in formats if has_codec(f)}
        self._events = frozenset(f.payload_type for f in formats if is_telephone_event(f))
        self._receiver: AudioReceiver | None = None
        self._recent: deque[RtpPacket | Timed] = deque(maxlen=KEPT_PACKETS)
        self.skimming: Skimming | None = None
        """Of the session that lets `skim` have packets while it sleeps."""
        self._loops = leg.loops
        self._looped = False
        self._retired = False
        self._mixed: tuple[int, ...] = ()  # CSRCs of the latest packet
        self._probers: dict[int, AudioDecoder] = {}
        self._until_probe = 0
        self._untold = 0

    def take(self, packet: RtpPacket, now: float) -> None:
        """A packet of it has come; of most it is only told how loud it is."""
        if self._retired:
            self.leg.inlet.packet_arrived(packet, now)
            return
        if packet.csrcs or self._looped:
            self._looped = self._loops.brings_back(packet, now)
            if self._looped:
                return
        self._mixed = packet.csrcs
        if packet.payload_type in self._events:
            self._take_event(packet, now)
            return
        if self._receiver is None:
            self._recent.append(packet)
        else:
            self._receiver.push(packet, now)
        level = packet.level
        if level is not None:
            self.level = level
            self._tell_level(self, level, now)
        elif self._receiver is None:  # else it is known when it is pulled
            self._until_probe -= 1
            if self._until_probe < 0:
                self._probe(packet, now)

    def _take_event(self, packet: RtpPacket, now: float) -> None:
        """A digit is no sound: what was said before it is no beginning of what comes after it."""
        if self._receiver is None:
            self._recent.clear()
        else:
            self._receiver.push(packet, now)

    def skim(self, run: Sequence[Timed], levels: Sequence[int]) -> None:
        """Packets of it have come while it sleeps, and tell how loud it is."""
        if self._retired:
            return
        self._recent.extend(run[-KEPT_PACKETS:])
        self.level = levels[-1]
        for (_, now), level in zip(run, levels, strict=True):
            if level > QUIET_LEVEL and self._untold < UNTOLD_PACKETS:
                self._untold += 1
            else:
                self._untold = 0
                self._tell_level(self, level, now)

    def _probe(self, packet: RtpPacket, now: float) -> None:
        """How loud a packet is by itself: of Opus its beginning is wrong, but not its level."""
        number = packet.payload_type
        payload_format = self._by_type.get(number)
        if payload_format is None or not packet.payload:
            return
        cheap = payload_format.name.lower() in CHEAP_CODECS
        self._until_probe = 0 if cheap else PROBE_PERIOD - 1
        try:
            if number not in self._probers:
                self._probers[number] = create_audio_decoder(payload_format)
            self.level = level_of(self._probers[number].decode(packet.payload))
        except MediaError:
            return
        self._tell_level(self, self.level, now)

    @property
    def people(self) -> tuple[Attendee, ...]:
        """Of a mixer those whom it names (RFC 3550 section 7.4)."""
        there = self.leg.contributors
        mixed = tuple(there[csrc] for csrc in self._mixed if csrc in there)
        return mixed or super().people

    @property
    def csrcs(self) -> tuple[int, ...]:
        people = self.people
        if people or not self.leg.is_group:
            return tuple(person.csrc for person in people)
        # Names come late in groups, and what nobody is named for is not noticed if it comes round.
        ssrc = self.source.ssrc
        return () if ssrc in self.leg.conference.told else (ssrc,)

    @property
    def tells_no_level(self) -> bool:
        return self.source.level is None

    def wake(self, now: float) -> None:
        if self._receiver is None:
            if self.skimming is not None:
                self.skimming.catch_up()
            try:
                targets = MIXER._replace(start_s=self._start_s)
                self._receiver = AudioReceiver(self._formats, targets, self._bridge.rate_hz)
            except MediaError:
                self.failed += 1
                return
            for kept in self._recent:
                packet = self._restored(kept)
                self._receiver.push(packet, packet.arrival)
            self._recent.clear()
        self.awake = True

    @property
    def _start_s(self) -> float:
        return min(MIXER.start_s + JITTERS * self.source.jitter_s, MAX_START_S)

    def _restored(self, kept: RtpPacket | Timed) -> RtpPacket:
        if isinstance(kept, RtpPacket):
            return kept
        assert self.skimming is not None  # who gave it to us
        datagram, arrival = kept
        return self.skimming.restore(datagram, self.source, arrival)

    def sleep(self) -> None:
        self._receiver = None
        self.awake = False
        self._gain = 0.0

    def retire(self) -> None:
        """Others need its place: of its next packet, which may still come here, a new one begins.

        Packets that are only skimmed would begin nothing: as if it were awake, there are none.
        """
        self._retired = self.awake = True

    def end(self) -> None:
        """Its packets end by themselves."""

    def _next(self, now: float) -> Samples | None:
        if self._receiver is None:
            return None
        try:
            self._receiver.rate_hz = self._bridge.rate_hz
            samples = self._receiver.pull(now)
            if samples is not None and len(samples) != self._bridge.block_samples:
                raise MediaError(f"{len(samples)} samples are no block")
        except Exception:  # one person's sound must not silence the others
            self.failed += 1
            self.sleep()
            return None
        if samples is not None and self.source.level is None:
            self.level = level_of(samples)
        return samples
