"""The audio and the video of a media file that is being written, each without gaps.

Positions are seconds from the start of the file.
"""

from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from ..model import AUDIO_RATE_HZ
from .base import Samples
from .convert import plane_rows, with_channels

JITTER_SAMPLES = AUDIO_RATE_HZ // 25
"""Blocks whose time is off by less than 40 ms are put together without a gap."""
OFFSET_SAMPLES = AUDIO_RATE_HZ * 15 // 1000
"""What lies further from its times than this on average is moved there: pictures go by theirs."""
OFFSET_BLOCKS = 25
"""That is an average over so many blocks."""
HOLD_SAMPLES = AUDIO_RATE_HZ // 5
"""So much is kept back for sources that are up to 200 ms behind others of their track."""
SILENCE_SAMPLES = AUDIO_RATE_HZ
"""Gaps are filled in pieces of at most one second."""
AUDIO_RATE_BPS = 64_000
"""For each channel."""
VIDEO_RATE_BPS = 1_000_000
VIDEO_RATE_FPS = 30
"""What the encoder plans its bits for; frames come when they come."""
KEY_FRAME_INTERVAL = 60
"""Frames between key frames: how exactly a player can seek, two seconds at 30 per second."""
MILLISECONDS = Fraction(1, 1000)
HOLD_MS = 500
"""A picture that stands still is written again after this time."""
LAST_FRAME_MS = 33
"""How long the last picture of a file is shown."""
BLACK, GREY = 16, 128
"""Luma and chroma of black (ITU-R BT.601, video range)."""


class AudioTrack:
    """Audio that is put where it belongs: gaps become silence, several sources are mixed.

    What a source gives follows on without a gap where its times are off by no more than jitter.
    """

    def __init__(
        self, container: OutputContainer, metadata: dict[str, str], codec: str, channels: int
    ) -> None:
        self._container = container
        self._channels = channels
        self._layout = "mono" if channels == 1 else "stereo"
        stream = container.add_stream(codec, rate=AUDIO_RATE_HZ, layout=self._layout)
        self._stream = cast(AudioStream, stream)
        self._stream.metadata.update(metadata)
        self._stream.bit_rate = AUDIO_RATE_BPS * channels
        self._written = 0
        self._mix = np.zeros((0, channels), np.int32)
        """What follows, to which other sources may still add theirs."""
        self._ends: dict[object, int] = {}
        """The place up to which each source has given something."""
        self._offsets: dict[object, float] = {}
        """How much later than there its blocks are due, on average."""

    @property
    def end_s(self) -> float:
        """The position up to which there is audio."""
        return (self._written + len(self._mix)) / AUDIO_RATE_HZ

    def put(self, samples: Samples, at_s: float, source: object) -> bool:
        """Add samples (n, channels) due at `at_s`; False when they are all too late."""
        at = round(at_s * AUDIO_RATE_HZ)
        end = self._ends.get(source)
        if end is not None and at <= end + JITTER_SAMPLES:
            if end - at > JITTER_SAMPLES:
                samples = samples[end - at :]  # it has given that part already
                at = end
            else:
                offset = self._lasting_offset(source, at - end)
                samples, at = samples[max(0, -offset) :], end + max(0, offset)
        else:
            self._offsets.pop(source, None)
        if at < self._written:
            samples, at = samples[self._written - at :], self._written
        if not len(samples):
            return False
        if end is None:
            past = self._written - JITTER_SAMPLES
            self._ends = {each: end for each, end in self._ends.items() if end > past}
            self._offsets = {each: o for each, o in self._offsets.items() if each in self._ends}
        end = self._ends[source] = at + len(samples)
        self._write_up_to(min(at, end - HOLD_SAMPLES))  # first, lest a gap be mixed with nothing
        self._add(with_channels(samples, self._channels), at - self._written)
        self._write_up_to(end - HOLD_SAMPLES)
        return True

    def advance(self, to_s: float) -> None:
        """Wait for no source any longer up to that position."""
        self._write_up_to(round(to_s * AUDIO_RATE_HZ))

    def finish(self, end_s: float) -> None:
        """Fill up to the end of the file and give out what the encoder holds back."""
        self.advance(max(end_s, self.end_s))
        self._container.mux(self._stream.encode(None))

    def _lasting_offset(self, source: object, offset: int) -> int:
        """By how much to move what a source gives now, which is `offset` late; mostly 0."""
        before = self._offsets.get(source, 0.0)
        average = before + (offset - before) / OFFSET_BLOCKS
        if abs(average) < OFFSET_SAMPLES:
            self._offsets[source] = average
            return 0
        self._offsets[source] = 0.0
        return round(average)

    def _add(self, samples: Samples, offset: int) -> None:
        missing = offset + len(samples) - len(self._mix)
        if missing > 0:
            self._mix = np.concatenate((self._mix, np.zeros((missing, self._channels), np.int32)))
        self._mix[offset : offset + len(samples)] += samples

    def _write_up_to(self, end: int) -> None:
        while self._written < end:
            count = min(end - self._written, SILENCE_SAMPLES)
            block = np.zeros((count, self._channels), np.int16)
            ready, self._mix = self._mix[:count], self._mix[count:]
            block[: len(ready)] = np.clip(ready, -32768, 32767)
            self._encode(block)

    def _encode(self, samples: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(
            samples.reshape(1, -1), format="s16", layout=self._layout
        )
        frame.sample_rate = AUDIO_RATE_HZ
        frame.time_base = Fraction(1, AUDIO_RATE_HZ)
        frame.pts = self._written
        self._written += len(samples)
        self._container.mux(self._stream.encode(frame))


class VideoTrack:
    """Video of one size; pictures of other sizes are fitted in, missing ones held."""

    def __init__(
        self,
        container: OutputContainer,
        metadata: dict[str, str],
        codec: str,
        options: dict[str, str],
        size: tuple[int, int],
    ) -> None:
        self._container = container
        self._width, self._height = size
        stream = container.add_stream(codec, rate=VIDEO_RATE_FPS, options=options)
        self._stream = cast(VideoStream, stream)
        self._stream.metadata.update(metadata)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.bit_rate = VIDEO_RATE_BPS
        self._stream.gop_size = KEY_FRAME_INTERVAL
        self._stream.codec_context.time_base = MILLISECONDS
        # Encoder threads wait for one another by spinning: on busy cores that costs tenfold.
        self._stream.codec_context.thread_count = 1
        self._reformatter = VideoReformatter()
        self._shown = self._black()
        self._last_ms = -1

    @property
    def end_s(self) -> float:
        """The position up to which there is a picture."""
        return 0.0 if self._last_ms < 0 else (self._last_ms + LAST_FRAME_MS) / 1000

    def put(self, frame: av.VideoFrame, at_s: float) -> bool:
        """Show `frame` from `at_s` on; False when it is too late."""
        at_ms = max(0, round(at_s * 1000))
        if at_ms <= self._last_ms:
            return False
        if self._last_ms < 0 and at_ms < HOLD_MS:
            at_ms = 0  # rather the first picture a little early than a flash of black
        self.advance(at_ms / 1000)
        self._shown = self._fitted(frame)
        self._encode(at_ms)
        return True

    def advance(self, to_s: float) -> None:
        """Hold the picture, black at first, up to that position."""
        to_ms = round(to_s * 1000)
        if self._last_ms < 0 < to_ms:
            self._encode(0)
        while self._last_ms + HOLD_MS < to_ms:
            self._encode(self._last_ms + HOLD_MS)

    def finish(self, end_s: float) -> None:
        """Hold the picture up to the end of the file; give out what the encoder holds back."""
        self.advance(end_s)
        last_ms = round(end_s * 1000) - LAST_FRAME_MS
        if last_ms > self._last_ms:
            self._encode(last_ms)
        self._container.mux(self._stream.encode(None))

    def _encode(self, at_ms: int) -> None:
        self._shown.pts = at_ms
        self._shown.time_base = MILLISECONDS
        self._last_ms = at_ms
        self._container.mux(self._stream.encode(self._shown))

    def _black(self) -> av.VideoFrame:
        frame = av.VideoFrame(self._width, self._height, "yuv420p")
        for plane, value in zip(frame.planes, (BLACK, GREY, GREY), strict=True):
            plane_rows(plane)[:] = value
        return frame

    def _fitted(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A copy as large as fits with its proportions kept, centred on black.

        A copy in any case: the frame is not ours, and encoders want to be given time stamps.
        """
        scale = min(self._width / frame.width, self._height / frame.height)
        width = max(2, round(frame.width * scale) & ~1)
        height = max(2, round(frame.height * scale) & ~1)
        fitted = self._reformatter.reformat(frame, width, height, "yuv420p")
        canvas = self._black()
        left, top = (self._width - width) // 2 & ~1, (self._height - height) // 2 & ~1
        for number, (source, target) in enumerate(zip(fitted.planes, canvas.planes, strict=True)):
            shift = min(number, 1)  # the chroma planes have half the size
            x, y = left >> shift, top >> shift
            area = plane_rows(target)[y : y + source.height, x : x + source.width]
            area[:] = plane_rows(source)[:, : source.width]
        return canvas
