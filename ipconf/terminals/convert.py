"""Every conversion between what applications have and what the package uses.

Inside: audio int16, (samples, channels), 48 kHz, one or two channels; video yuv420p. Mono becomes
stereo by copying and stereo becomes mono by averaging, so that a voice keeps its loudness;
floats are full scale at 1.0 and saturate. What cannot be converted is a UsageError.
"""

from collections.abc import Callable
from typing import Any

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from ..errors import ConfigurationError, UsageError
from ..model import AUDIO_RATE_HZ
from .base import Samples

MIN_RATE_HZ = 8_000
"""Telephone audio; nothing slower is in use."""
MAX_RATE_HZ = 192_000
"""Studio audio; nothing faster is in use."""
MAX_BLOCK_S = 60
"""Longest audio in one array; more is not live media."""
MAX_PICTURE_SIDE = 4096
"""Largest width or height of a picture in pixels."""
FULL_SCALE = 32768.0
"""A float of 1.0 in int16 steps."""


def check_rate(rate_hz: int) -> int:
    """The rate as int, or a ConfigurationError."""
    if not isinstance(rate_hz, int | np.integer) or not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise ConfigurationError(
            f"{rate_hz!r} is no sampling rate to use here; "
            f"give a whole number of Hz from {MIN_RATE_HZ} to {MAX_RATE_HZ}"
        )
    return int(rate_hz)


def check_channels(channels: int) -> int:
    """The number itself if it is 1 or 2, or a ConfigurationError."""
    if channels not in (1, 2):
        raise ConfigurationError(f"{channels!r} channels: audio here has 1 or 2")
    return channels


def to_int16(samples: NDArray[Any]) -> Samples:
    """The samples as int16: floats scaled by 32768, saturating; NaN becomes silence."""
    if samples.dtype == np.int16:
        return samples
    if samples.dtype.kind != "f":
        raise UsageError(f"audio of type {samples.dtype}: give int16 or float32")
    finite = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    saturated: Samples = np.clip(np.rint(finite * FULL_SCALE), -32768, 32767).astype(np.int16)
    return saturated


def check_audio(array: NDArray[Any], rate_hz: int) -> None:
    """A UsageError unless the shape is (n,) or (n, 1 or 2) and 0 < n <= 60 s."""
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] not in (1, 2)):
        raise UsageError(
            f"audio of shape {array.shape}: give (samples,) or (samples, channels) "
            "with 1 or 2 channels"
        )
    if len(array) == 0:
        raise UsageError("audio without samples: give at least one")
    if len(array) > MAX_BLOCK_S * rate_hz:
        raise UsageError(
            f"{len(array)} samples at {rate_hz} Hz are more than {MAX_BLOCK_S} s: "
            "give them in shorter pieces"
        )


def to_samples(array: NDArray[Any], rate_hz: int) -> Samples:
    """An application's array, (n,) or (n, channels), as int16 of shape (n, channels)."""
    check_audio(array, rate_hz)
    return np.ascontiguousarray(to_int16(array.reshape(len(array), -1)))


def with_channels(samples: Samples, channels: int) -> Samples:
    """The samples with one or two channels: copied up, averaged down."""
    if samples.shape[1] == channels:
        return samples
    if channels == 2:
        return np.repeat(samples, 2, axis=1)
    # The sum of two int16 needs 17 bits; an arithmetic shift halves it without overflow.
    total = samples[:, 0].astype(np.int32) + samples[:, 1]
    return (total >> 1).astype(np.int16)[:, np.newaxis]


_FROM_SAMPLE_FORMAT: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "u8": lambda a: (a.astype(np.int16) - 128) << 8,
    "s16": lambda a: a,
    "s32": lambda a: (a >> 16).astype(np.int16),
    "flt": lambda a: a,
    "dbl": lambda a: a,
}


def frame_samples(frame: av.AudioFrame) -> Samples:
    """An audio frame's samples as int16 of shape (n, channels), at the frame's own rate."""
    packed = frame.format.packed.name
    if packed not in _FROM_SAMPLE_FORMAT:
        raise UsageError(f"an audio frame of format {frame.format.name}: give s16 or flt")
    array: NDArray[Any] = frame.to_ndarray()
    array = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
    return to_samples(_FROM_SAMPLE_FORMAT[packed](array), check_rate(frame.sample_rate))


def to_array(media: NDArray[Any] | av.AudioFrame, rate_hz: int) -> tuple[NDArray[Any], int]:
    """Audio of either kind as a checked array and its rate; `rate_hz` is that of arrays."""
    if isinstance(media, av.AudioFrame):
        return frame_samples(media), media.sample_rate
    if not isinstance(media, np.ndarray):
        raise UsageError(f"{type(media).__name__} is no audio: give an array or av.AudioFrame")
    check_audio(media, rate_hz)
    return media, rate_hz


class Resampler:
    """Streaming rate conversion: the pieces put together sound as if converted in one."""

    def __init__(self, from_hz: int, to_hz: int, channels: int) -> None:
        self._from_hz = check_rate(from_hz)
        self._channels = check_channels(channels)
        self._layout = "mono" if channels == 1 else "stereo"
        self._swr = (
            None
            if from_hz == check_rate(to_hz)
            else av.AudioResampler(format="s16", layout=self._layout, rate=to_hz)
        )

    def convert(self, samples: Samples) -> Samples:
        """What is ready after `samples`; the filter holds back a few samples of its length."""
        if self._swr is None:
            return samples
        frame = av.AudioFrame.from_ndarray(
            samples.reshape(1, -1), format="s16", layout=self._layout
        )
        frame.sample_rate = self._from_hz
        return self._collect(self._swr.resample(frame))

    def flush(self) -> Samples:
        """The samples that were held back; nothing may be converted after that."""
        return self._collect([] if self._swr is None else self._swr.resample(None))

    def _collect(self, frames: list[av.AudioFrame]) -> Samples:
        parts: list[Samples] = [
            frame.to_ndarray().astype(np.int16, copy=False).reshape(-1, self._channels)
            for frame in frames
        ]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros((0, self._channels), np.int16)


class AudioConverter:
    """Turns whatever comes into int16 samples of one rate and one number of channels."""

    def __init__(self, to_hz: int = AUDIO_RATE_HZ, channels: int = 1) -> None:
        self.rate_hz = check_rate(to_hz)
        self.channels = check_channels(channels)
        self._from_hz = to_hz
        self._resampler = Resampler(to_hz, to_hz, channels)

    def convert(self, array: NDArray[Any], rate_hz: int) -> Samples:
        """The converted samples; `array` as in `to_samples`, its rate may change at any time."""
        if rate_hz != self._from_hz:
            self._resampler = Resampler(rate_hz, self.rate_hz, self.channels)
            self._from_hz = rate_hz
        return self._resampler.convert(with_channels(to_samples(array, rate_hz), self.channels))


class PictureConverter:
    """Turns pictures into yuv420p frames and back into RGB arrays."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()  # keeps its tables from frame to frame

    def to_frame(self, media: NDArray[np.uint8] | av.VideoFrame) -> av.VideoFrame:
        """A yuv420p frame of an RGB array (height, width, 3) or any frame; size unchanged."""
        if isinstance(media, np.ndarray):
            if media.ndim != 3 or media.shape[2] != 3 or media.dtype != np.uint8:
                raise UsageError(
                    f"a picture of shape {media.shape} and type {media.dtype}: "
                    "give RGB as uint8 (height, width, 3)"
                )
            _check_size(media.shape[1], media.shape[0])
            media = av.VideoFrame.from_ndarray(np.ascontiguousarray(media), format="rgb24")
        elif not isinstance(media, av.VideoFrame):
            raise UsageError(f"{type(media).__name__} is no picture: give an array or VideoFrame")
        _check_size(media.width, media.height)
        if media.format.name == "yuv420p":
            return media
        return self._reformatter.reformat(media, format="yuv420p")

    def to_rgb(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """The frame as RGB, uint8 (height, width, 3)."""
        rgb = self._reformatter.reformat(frame, format="rgb24").to_ndarray()
        return rgb.astype(np.uint8, copy=False)


def plane_rows(plane: VideoPlane) -> NDArray[np.uint8]:
    """The pixels of one plane of a frame to read or write, shape (height, bytes per row).

    A row may have padding after its `plane.width` pixels.
    """
    pixels: NDArray[np.uint8] = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]
    return pixels.reshape(plane.height, plane.line_size)


def _check_size(width: int, height: int) -> None:
    if not (0 < width <= MAX_PICTURE_SIDE and 0 < height <= MAX_PICTURE_SIDE):
        raise UsageError(
            f"a picture of {width}x{height}: each side has 1 to {MAX_PICTURE_SIDE} pixels"
        )
