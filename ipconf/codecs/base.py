"""What the pipelines need of a codec, whatever library does the work.

A codec object belongs to one stream and is used by one thread at a time. Errors of the libraries
come out as `MediaError`; what cannot be read of a packet is a `WireError`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray

from ..errors import MediaError
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, DEFAULT_PTIME_MS

Samples = NDArray[np.int16]
"""Audio of shape (samples, channels), C-contiguous, 48 kHz where nothing else is said."""

MAX_PAYLOAD_BYTES = 1200
"""With headers, extensions and SRTP still below the 1280 bytes that IPv6 carries anywhere."""


@dataclass(frozen=True, slots=True)
class AudioWishes:
    """How this end would like to send sound; what the far end said of its format goes first."""

    ptime_ms: int = DEFAULT_PTIME_MS
    """Sound per packet."""
    stereo: bool = True
    """Opus: two channels where the far end asks for them."""
    fec: bool = True
    """Opus: redundancy where the far end asks for it."""
    dtx: bool = False
    """Opus: pauses in silence even where the far end does not ask for them."""


DEFAULT_WISHES = AudioWishes()
"""Whatever the far end asks for, in packets of the usual length."""


def _check_rate(value: int, possible: int) -> None:
    if value != possible:
        raise MediaError(f"this codec works at {possible} Hz, not at {value}")


class AudioEncoder(ABC):
    """Encodes sound of `rate_hz` in blocks of one packet each."""

    channels: int
    """What `encode` takes, 1 or 2."""
    frame_samples: int = AUDIO_FRAME_SAMPLES
    """How many samples of `rate_hz` `encode` takes."""

    @property
    def rate_hz(self) -> int:
        """Of what `encode` takes: 48 kHz, unless another one is set that the codec can work at."""
        return AUDIO_RATE_HZ

    @rate_hz.setter
    def rate_hz(self, value: int) -> None:
        _check_rate(value, AUDIO_RATE_HZ)

    @property
    @abstractmethod
    def bitrate_bps(self) -> int:
        """Target bit rate; may be set at any time, to no effect where the format has only one."""

    @bitrate_bps.setter
    @abstractmethod
    def bitrate_bps(self, value: int) -> None: ...

    @abstractmethod
    def encode(self, samples: Samples) -> bytes | None:
        """One payload for (frame_samples, channels); None: nothing need be sent (silence)."""

    @abstractmethod
    def prime(self, samples: Samples) -> None:
        """Take in the 20 ms that come before the first packet, as if they had been encoded.

        A listener who comes from another encoder with the same sound then hears no step.
        """

    def check(self, samples: Samples) -> None:
        """A MediaError unless the samples are what `encode` takes."""
        if samples.shape != (self.frame_samples, self.channels) or samples.dtype != np.int16:
            raise MediaError(
                f"give ({self.frame_samples}, {self.channels}) samples of int16 to encode, "
                f"not {samples.shape} of {samples.dtype}"
            )


class AudioDecoder(ABC):
    """Decodes the payloads of one source into sound of `rate_hz`."""

    channels: int
    """What `decode` returns, 1 or 2."""
    comforting: bool = False
    """Whether the far end is silent on purpose: `conceal` gives its noise until it is heard."""

    @property
    def rate_hz(self) -> int:
        """Of the sound: 48 kHz, unless another one is set that the codec's own goes into."""
        return AUDIO_RATE_HZ

    @rate_hz.setter
    def rate_hz(self, value: int) -> None:
        _check_rate(value, AUDIO_RATE_HZ)

    @abstractmethod
    def decode(self, payload: bytes) -> Samples:
        """The sound of one payload, (n, channels); MediaError if it is none of this codec."""

    @abstractmethod
    def conceal(self, samples: int) -> Samples:
        """A guess at `samples` samples that were lost, continuing what was decoded last."""

    def recover(self, following: bytes, samples: int) -> Samples:
        """As `conceal`, helped by the payload behind the loss if it repeats something of it."""
        return self.conceal(samples)


class VideoEncoder(ABC):
    """Encodes pictures into RTP payloads."""

    @property
    @abstractmethod
    def bitrate_bps(self) -> int:
        """Target bit rate; may be set at any time."""

    @bitrate_bps.setter
    @abstractmethod
    def bitrate_bps(self, value: int) -> None: ...

    @abstractmethod
    def encode(self, frame: av.VideoFrame, key_frame: bool) -> tuple[list[bytes], bool]:
        """The payloads of one picture and whether it is a key frame; asks for one if `key_frame`.

        The frame is not changed, so several encoders may share it. No payloads: the encoder left
        the picture out to hold its bit rate.
        """


class VideoDecoder(ABC):
    """Decodes assembled pictures of one source."""

    @abstractmethod
    def decode(self, data: bytes) -> list[av.VideoFrame]:
        """The picture, or none if it is not to be shown; MediaError if it makes no sense."""


class VideoDepacketizer(Protocol):
    """How a video format fills RTP packets; the functions hold no state."""

    def depayload(self, payload: bytes) -> bytes:
        """The payload without its descriptor; WireError if that is malformed."""

    def is_start(self, payload: bytes) -> bool:
        """Whether the payload is the first of a picture; False for what is malformed."""

    def is_key_frame(self, payload: bytes) -> bool:
        """Whether the payload is the first of a picture that needs no other picture."""
