"""From the RTP packets of one source to 20 ms blocks of sound, at a steady pace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..codecs.resampling import RateConverter
from ..engine.delay import TELEPHONE, Targets
from ..engine.jitter import AudioJitterBuffer, Playout
from ..engine.lip_sync import HoldBack
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..engine.speakers import level_of
from ..errors import MediaError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from .audio_formats import AudioFormats
from .scaling_rules import Balance, ScalingRules, longest_cut
from .time_scaling import STRETCHABLE_S, shrink, stretch

QUIET_LEVEL = 50
"""-50 dBov and less is between the words."""
LATE_S = 0.030
"""A block that is pulled so long after the one before is pulled by a program that is short of time:
it is not given more to do, and what becomes too long is skipped."""
FAILING_PAYLOADS = 50
"""So many payloads in succession that make no sound, a second of them, are no accident."""

_NOTHING = np.empty((0, 1), np.int16)


@dataclass(frozen=True, slots=True)
class AudioReceiverStats:
    """What one source's sound has gone through since the beginning; times are seconds."""

    decoded: int
    """Payloads decoded."""
    decode_errors: int
    """Payloads that were no sound."""
    concealed_s: float
    """Sound that was lost, late or no sound, and replaced."""
    shrunk_s: float
    stretched_s: float
    late: int
    """Packets that came after their time."""
    duplicates: int
    discarded: int
    """Packets that were unplayable, off the timeline, too many, or skipped to catch up."""
    delay_s: float
    """How much later sound is played than the fastest packets would allow, now."""
    target_s: float
    """How much the jitter of late asks for."""


class AudioReceiver:
    """Jitter buffer, decoders and re-blocking of one source, whose format may change at any time.

    `formats` are those of the section; only the ones with a codec here are decoded, and without
    any it is a MediaError. Blocks are of `rate_hz`, and have one channel, or two where the format
    has them (Opus: where it says stereo=1). `targets` are for the delay.
    """

    def __init__(
        self,
        formats: tuple[PayloadFormat, ...],
        targets: Targets = TELEPHONE,
        rate_hz: int = AUDIO_RATE_HZ,
    ) -> None:
        self._formats = AudioFormats(formats, rate_hz)
        self._buffer = AudioJitterBuffer(AUDIO_RATE_HZ, self._formats.duration, targets)
        self._set_rate(rate_hz)
        self._hold_back = HoldBack()
        self._held = _NOTHING
        self._playing = False
        self._rules = ScalingRules()
        self._pulled_at = 0.0
        self._decoded = self._decode_errors = 0
        self._errors_in_a_row = 0
        self._last_error: MediaError | None = None
        self._unreadable = self._shrunk = self._stretched = 0  # samples of 48 kHz

    @property
    def rate_hz(self) -> int:
        """Of the blocks, 48 kHz or what goes into it; may be set at any time.

        MediaError for a rate at which something would be lost of one of the formats.
        """
        return self._rate_hz

    @rate_hz.setter
    def rate_hz(self, value: int) -> None:
        if value == self._rate_hz:
            return
        self._formats.rate_hz = value
        if len(self._held):
            converter = RateConverter(self._rate_hz, value, self._held.shape[1])
            converter.settle(self._held[0])
            self._held = converter.convert(self._held)
        self._set_rate(value)

    def _set_rate(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._step = AUDIO_RATE_HZ // rate_hz  # samples of 48 kHz for each of ours
        self._frame_samples = AUDIO_FRAME_SAMPLES // self._step

    def push(self, packet: RtpPacket, now: float) -> None:
        """Take a packet of the source at the time it arrived; one without payload is a probe.

        Its timestamp is changed to one of 48 kHz.
        """
        if self._formats.place(packet, now):
            self._buffer.push(packet, now)
        else:
            self._buffer.skip(packet)

    def pull(self, now: float) -> NDArray[np.int16] | None:
        """The next 20 ms, (samples, channels); None while there is nothing to hear.

        Call it every 20 ms; late and skipped calls only cost delay, which is worked off.
        """
        if self._buffer.floor_s:
            self._buffer.floor_s = self._hold_back.floor_at(now)
        samples, size = self._held, self._frame_samples
        while len(samples) < size:
            more = self._next(now, (size - len(samples)) * self._step)
            if more is None:
                return self._end(samples)
            samples = _join(samples, more) if len(samples) else more
        late = now - self._pulled_at > LATE_S
        self._pulled_at = now
        samples = self._rescale(samples, now, late)
        self._playing = True
        if len(samples) == size:
            self._held = _NOTHING
            return samples
        self._held = samples[size:]
        return samples[:size]

    @property
    def decoded(self) -> int:
        """Payloads decoded."""
        return self._decoded

    @property
    def concealed_s(self) -> float:
        """Sound that was lost, late or no sound, and replaced."""
        return (self._buffer.concealed + self._unreadable) / AUDIO_RATE_HZ

    @property
    def delay_s(self) -> float:
        """How much later sound is played than the fastest packets would allow, now."""
        return self._buffer.delay_s + len(self._held) / self._rate_hz

    def next_timestamp(self, pulled_at: float) -> int | None:
        """The RTP timestamp with which the next block begins, which is pulled at that time.

        In a pause it is that of the sound which would be in it; None before any sound.
        """
        timestamp = self._buffer.timestamp_at(pulled_at)
        if timestamp is None:
            return None
        return self._formats.original(timestamp - len(self._held) * self._step)

    def picture_ready(self, late_s: float, pulled_at: float, now: float) -> None:
        """A picture of the same person came so late for its sound (negative: early).

        `pulled_at` is when the next block will be.
        """
        self._hold_back.add(self._buffer.margin_at(pulled_at) + late_s, now)
        self._buffer.floor_s = self._hold_back.floor_at(now)

    @property
    def failure(self) -> MediaError | None:
        """Why there is no sound at all, though payloads come."""
        return self._last_error if self._errors_in_a_row >= FAILING_PAYLOADS else None

    def close(self) -> None:
        """Nothing to give up: sound is decoded where it is pulled."""

    def stats(self) -> AudioReceiverStats:
        """The counts up to now."""
        buffer = self._buffer
        return AudioReceiverStats(
            decoded=self._decoded,
            decode_errors=self._decode_errors,
            concealed_s=self.concealed_s,
            shrunk_s=self._shrunk / AUDIO_RATE_HZ,
            stretched_s=self._stretched / AUDIO_RATE_HZ,
            late=buffer.late,
            duplicates=buffer.duplicates,
            discarded=buffer.discarded,
            delay_s=self.delay_s,
            target_s=buffer.target_s,
        )

    def _next(self, now: float, wanted: int) -> NDArray[np.int16] | None:
        """The sound that comes next, some of it or more than wanted; None: there is none.

        `wanted` is in samples of 48 kHz.
        """
        buffer = self._buffer
        answer = buffer.pull(now, wanted)
        if answer is Playout.EMPTY:
            return self._formats.comfort(-(-wanted // self._step))
        if answer is Playout.CONCEAL:
            return self._formats.conceal(-(-buffer.span // self._step), buffer.following)
        try:
            samples = self._formats.decode(answer)
            self._decoded += 1
            self._errors_in_a_row = 0
            return samples
        except MediaError as exc:
            self._decode_errors += 1
            self._errors_in_a_row += 1
            self._last_error = exc
            self._unreadable += buffer.span
            return self._formats.conceal(-(-buffer.span // self._step))

    def _end(self, samples: NDArray[np.int16]) -> NDArray[np.int16] | None:
        """Silence; before it a block that fades out, so that it does not begin with a click."""
        self._held = _NOTHING
        rest: NDArray[np.int16] | None = None
        if self._playing or len(samples):
            rest = self._formats.conceal(self._frame_samples - len(samples))
        if rest is None:
            return None
        self._playing = False
        last = _join(samples, rest)
        fall = np.linspace(1, 0, len(last), dtype=np.float32)[:, np.newaxis]
        block: NDArray[np.int16] = (last * fall).astype(np.int16)
        return block

    def _rescale(self, samples: NDArray[np.int16], now: float, late: bool) -> NDArray[np.int16]:
        """Shrink or stretch the sound if its delay has been wrong for some time."""
        surplus_s = self._buffer.surplus_s
        # Of longer packets something is held in any case, until the next one comes.
        even = self._buffer.span == AUDIO_FRAME_SAMPLES
        held_s = (len(samples) - self._frame_samples) / self._rate_hz if even else 0.0
        balance = self._rules.judge(surplus_s, held_s, self._buffer.playing, now)
        if balance is Balance.MUCH_TOO_LONG:
            self._buffer.catch_up(now)
        if balance is Balance.RIGHT or late or not self._rules.is_due(surplus_s):
            return samples
        return self._stretch(samples) if balance < 0 else self._shrink(samples, held_s, now)

    def _shrink(self, samples: NDArray[np.int16], held_s: float, now: float) -> NDArray[np.int16]:
        longest_s = longest_cut(self._buffer.surplus_s, held_s, level_of(samples) < QUIET_LEVEL)
        if not longest_s:
            self._rules.scaled()
            return samples
        while len(samples) < self._frame_samples + round(longest_s * self._rate_hz):
            more = self._next(now, AUDIO_FRAME_SAMPLES) if self._buffer.ready else None
            if more is None:
                return samples
            samples = _join(samples, more)
        shorter = shrink(samples, self._rate_hz, longest_s)
        self._rules.scaled()
        self._shrunk += (len(samples) - len(shorter)) * self._step
        return shorter

    def _stretch(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        if len(samples) < round(STRETCHABLE_S * self._rate_hz):
            return samples
        longer = stretch(samples, self._rate_hz)
        self._rules.scaled()
        self._stretched += (len(longer) - len(samples)) * self._step
        return longer


def _join(first: NDArray[np.int16], second: NDArray[np.int16]) -> NDArray[np.int16]:
    # Where a format of another number of channels takes over, what is left of the old one goes.
    if not len(first) or first.shape[1] != second.shape[1]:
        return second
    return np.concatenate((first, second))
