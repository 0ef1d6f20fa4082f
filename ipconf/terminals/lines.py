"""The sound and the pictures of a file that is being read, each on the file's time line.

Times are seconds from the beginning of the file. What its time stamps say is believed where it can
be true: they must grow, and not by more than a minute at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeAlias, cast

import av
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from ..errors import UsageError
from ..model import AUDIO_RATE_HZ
from .base import Samples
from .convert import PictureConverter, check_channels, frame_samples, with_channels

Decoded: TypeAlias = list[tuple[float, Samples | av.VideoFrame]]
"""Media with the times at which they begin."""

MIN_RATE_HZ = 1_000
"""Slower sound is no sound; a small file of it would become hours of silence."""
MAX_RATE_HZ = 768_000
"""Nothing faster is in use."""
MAX_JITTER_S = 0.02
"""Audio whose time stamp is off by less goes on without a gap."""
MAX_GAP_S = 60.0
"""A longer jump in the time stamps is a mistake and no gap."""
MAX_BROKEN_PACKETS = 50
"""So many in a row are passed over: a second of sound, two of pictures."""
USUAL_INTERVAL_S = 1 / 25
"""Between pictures, where neither time stamps nor the file tell."""


class Line(ABC):
    """What sound and pictures have in common; nothing before `start_s` is given out.

    `begin_s` is where the file's own time stamps begin.
    """

    def __init__(self, stream: AudioStream | VideoStream, begin_s: float, start_s: float) -> None:
        self.stream = stream
        self.has_ended = False
        """Whether everything has been given out."""
        self.end_s = start_s
        """Where that which was given out ends."""
        self._begin_s = begin_s
        self._start_s = start_s
        self._shift_s = 0.0
        """Added to the time stamps, to make up for their mistakes."""
        self._interrupted = False
        self._broken_in_a_row = 0

    def interrupt(self) -> None:
        """Packets are left out from here on."""
        self._interrupted = True

    def takes(self, packet: av.Packet[Any]) -> bool:
        """Whether decoding can go on with that packet; after an interruption it needs a key."""
        if self._interrupted and packet.is_keyframe:
            self.stream.codec_context.flush_buffers()
            self._interrupted = False
        return not self._interrupted

    def passes_over(self) -> bool:
        """A packet was broken: whether to go on with the next."""
        self._broken_in_a_row += 1
        return self._broken_in_a_row <= MAX_BROKEN_PACKETS

    @abstractmethod
    def decode(self, packet: av.Packet[Any]) -> Decoded:
        """What the packet holds."""

    @abstractmethod
    def finish(self) -> Decoded:
        """What is left at the end."""

    def _step(self, frame: av.AudioFrame | av.VideoFrame, since_s: float) -> float | None:
        """How long after `since_s` the frame begins by its time stamp, put right."""
        if frame.time is None:
            return None
        return frame.time - self._begin_s + self._shift_s - since_s


class AudioLine(Line):
    """Audio at 48 kHz with 1 or 2 channels; a gap in the file is a gap in the times."""

    def __init__(self, stream: AudioStream, begin_s: float, start_s: float, channels: int) -> None:
        super().__init__(stream, begin_s, start_s)
        self._channels = check_channels(channels)
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple[str, int, str] | None = None
        self._next_s: float | None = None
        self._run_s = 0.0
        self._run_samples = 0

    def decode(self, packet: av.Packet[Any]) -> Decoded:
        decoded: Decoded = []
        for frame in cast(list[av.AudioFrame], packet.decode()):
            if not frame.samples:
                continue
            self._broken_in_a_row = 0
            kind = (frame.format.name, frame.sample_rate, frame.layout.name)
            gap_s = self._gap_before(frame)
            if gap_s or kind != self._kind or self._resampler is None:
                decoded += self._end_run()
                assert self._next_s is not None
                self._run_s, self._run_samples = self._next_s, 0
                if not MIN_RATE_HZ <= frame.sample_rate <= MAX_RATE_HZ:
                    raise UsageError(f"its sound goes on with {frame.sample_rate} Hz")
                layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
                self._resampler = av.AudioResampler("s16", layout, AUDIO_RATE_HZ)
                self._kind = kind
            assert self._next_s is not None
            self._next_s += frame.samples / frame.sample_rate
            decoded += self._placed(self._resampler.resample(frame))
        return decoded

    def finish(self) -> Decoded:
        self.has_ended = True
        return self._end_run()

    def _gap_before(self, frame: av.AudioFrame) -> float:
        if self._next_s is None:
            self._next_s = self._step(frame, 0.0) or 0.0
            return 0.0
        gap_s = self._step(frame, self._next_s) or 0.0
        if abs(gap_s) <= MAX_JITTER_S:
            return 0.0
        if not 0 < gap_s < MAX_GAP_S:
            self._shift_s -= gap_s
            return 0.0
        self._next_s += gap_s
        return gap_s

    def _end_run(self) -> Decoded:
        if self._resampler is None:
            return []
        resampler, self._resampler = self._resampler, None
        return self._placed(resampler.resample(None))

    def _placed(self, frames: list[av.AudioFrame]) -> Decoded:
        decoded: Decoded = []
        for frame in frames:
            samples = with_channels(frame_samples(frame), self._channels)
            at_s = self._run_s + self._run_samples / AUDIO_RATE_HZ
            self._run_samples += len(samples)
            early = max(0, round((self._start_s - at_s) * AUDIO_RATE_HZ))
            if early < len(samples):
                decoded.append((at_s + early / AUDIO_RATE_HZ, samples[early:]))
                self.end_s = at_s + len(samples) / AUDIO_RATE_HZ
        return decoded


class VideoLine(Line):
    """Pictures in yuv420p, of which the last one before the start is the first one shown."""

    def __init__(self, stream: VideoStream, begin_s: float, start_s: float) -> None:
        super().__init__(stream, begin_s, start_s)
        self._converter = PictureConverter()
        rate = stream.average_rate
        self._interval_s = float(1 / rate) if rate else USUAL_INTERVAL_S
        self._last_s: float | None = None
        self._early: av.VideoFrame | None = None

    def decode(self, packet: av.Packet[Any]) -> Decoded:
        decoded: Decoded = []
        for frame in packet.decode():
            self._broken_in_a_row = 0
            at_s = self._last_s = self._time_of(frame)
            if at_s <= self._start_s:
                self._early = frame
            else:
                decoded += self._first()
                decoded.append((at_s, self._converter.to_frame(frame)))
                self.end_s = at_s + self._interval_s
        return decoded

    def finish(self) -> Decoded:
        self.has_ended = True
        return self._first()

    def _first(self) -> Decoded:
        if self._early is None:
            return []
        frame, self._early = self._early, None
        self.end_s = self._start_s + self._interval_s
        return [(self._start_s, self._converter.to_frame(frame))]

    def _time_of(self, frame: av.VideoFrame) -> float:
        if self._last_s is None:
            return self._step(frame, 0.0) or 0.0
        step_s = self._step(frame, self._last_s)
        if step_s is not None and 0 < step_s < MAX_GAP_S:
            return self._last_s + step_s
        if step_s is not None:
            self._shift_s += self._interval_s - step_s
        return self._last_s + self._interval_s
