"""Voices: the sources of sound in a conference, awake only while they are worth mixing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from ..codecs.base import AudioDecoder
from ..codecs.registry import create_audio_decoder, has_codec
from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..engine.speakers import SILENT_LEVEL, level_of
from ..errors import MediaError
from ..model import AUDIO_FRAME_SAMPLES
from ..pipelines.audio_receiver import AudioReceiver
from ..terminals.base import CaptureTerminal, Samples, Terminal
from ..terminals.faults import as_error
from ..ticker import FAULTS

if TYPE_CHECKING:
    from .legs import Leg
    from .people import Attendee

KEPT_PACKETS = 3
"""Of who sleeps: with them the beginning of a word is still there when it is noticed."""
PROBE_PERIOD = 5
"""Of a voice that sleeps and tells no level one packet in five is decoded to find it."""
CHEAP_CODECS = frozenset({"pcmu", "pcma", "l16"})
"""Decoding all packets of these costs no more than probing some."""

Failed = Callable[[Terminal, Exception], None]

_numbers = count(1)
_RISE = np.linspace(0, 1, AUDIO_FRAME_SAMPLES, dtype=np.float32)[:, np.newaxis]


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
        """The next 20 ms of it, (960, 1 or 2), as loud as `gain`; None while there is nothing.

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
        louder = samples * (before + (gain - before) * _RISE)
        block: Samples = np.clip(np.rint(louder), -32768, 32767).astype(np.int16)
        return block

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
    def _next(self, now: float) -> Samples | None:
        """The next 20 ms as they came."""


class RemoteVoice(Voice):
    """A source whose packets arrive on a call."""

    def __init__(self, leg: Leg, source: RemoteSource, formats: tuple[PayloadFormat, ...]) -> None:
        super().__init__(leg)
        self.source = source
        self._tell_level = leg.conference.bridge.level
        self._formats = formats
        self._by_type = {f.payload_type: f for f in formats if has_codec(f)}
        self._receiver: AudioReceiver | None = None
        self._recent: deque[RtpPacket] = deque(maxlen=KEPT_PACKETS)
        self._probers: dict[int, AudioDecoder] = {}
        self._until_probe = 0

    def take(self, packet: RtpPacket, now: float) -> None:
        """A packet of it has come; of most it is only told how loud it is."""
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
    def tells_no_level(self) -> bool:
        return self.source.level is None

    def wake(self, now: float) -> None:
        if self._receiver is None:
            try:
                self._receiver = AudioReceiver(self._formats)
            except MediaError:
                self.failed += 1
                return
            for packet in self._recent:
                self._receiver.push(packet, packet.arrival)
            self._recent.clear()
        self.awake = True

    def sleep(self) -> None:
        self._receiver = None
        self.awake = False
        self._gain = 0.0

    def _next(self, now: float) -> Samples | None:
        if self._receiver is None:
            return None
        try:
            samples = self._receiver.pull(now)
        except Exception:  # one person's sound must not silence the others
            self.failed += 1
            self.sleep()
            return None
        if samples is not None and self.source.level is None:
            self.level = level_of(samples)
        return samples


class LocalVoice(Voice):
    """What a terminal on this machine says."""

    def __init__(self, leg: Leg, terminal: CaptureTerminal, failed: Failed) -> None:
        super().__init__(leg)
        self.awake = True
        self._terminal = terminal
        self._failed = failed

    @property
    def tells_no_level(self) -> bool:
        return True

    def wake(self, now: float) -> None:
        """It always is."""

    def sleep(self) -> None:
        """It never does."""

    def _next(self, now: float) -> Samples | None:
        try:
            samples = self._terminal.capture(now)
        except FAULTS as exc:  # a terminal is anybody's code; its fault stays its own
            self._failed(self._terminal, as_error(self._terminal, exc))
            samples = None
        if not isinstance(samples, np.ndarray):
            self.level = SILENT_LEVEL
            return None
        self.level = level_of(samples)
        return samples
