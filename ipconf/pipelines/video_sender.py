"""From captured pictures to RTP payloads, encoded elsewhere, the newest picture first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import av

from ..codecs.base import VideoEncoder
from ..codecs.registry import create_video_encoder
from ..engine.session_config import PayloadFormat
from .video_receiver import Submit

_TIMESTAMP_MASK = (1 << 32) - 1


class EncodedVideo(NamedTuple):
    """One picture to send."""

    payloads: list[bytes]
    """In order; the last one wants the marker bit."""
    timestamp: int
    """32-bit RTP timestamp."""
    key_frame: bool


class VideoSender:
    """Encodes the pictures of one capture stream, one at a time.

    `on_encoded(picture)` is called on the loop's thread, in order. `timestamp` is the RTP timestamp
    at `now` = 0, best a random one.
    """

    def __init__(
        self,
        payload_format: PayloadFormat,
        bitrate_bps: int,
        submit: Submit,
        on_encoded: Callable[[EncodedVideo], None],
        timestamp: int = 0,
    ) -> None:
        self._format = payload_format
        self._encoder: VideoEncoder | None = create_video_encoder(payload_format, bitrate_bps)
        self._submit = submit
        self._on_encoded = on_encoded
        self._offset = timestamp
        self._waiting: tuple[av.VideoFrame, int] | None = None
        self._busy = False
        self._closed = False
        self._key_frame_wanted = False
        self.bitrate_bps = bitrate_bps
        """Target bit rate; may be set at any time."""
        self.encoded = 0
        """Pictures encoded."""
        self.replaced = 0
        """Pictures that a newer one took the place of before their turn came."""
        self.encode_errors = 0

    def encode(self, frame: av.VideoFrame, now: float) -> None:
        """Encode a picture captured at `now`; it may be replaced by the next one before."""
        if self._closed:
            return
        timestamp = (self._offset + round(now * self._format.clock_rate)) & _TIMESTAMP_MASK
        if self._busy:
            if self._waiting is not None:
                self.replaced += 1
            self._waiting = (frame, timestamp)
            return
        self._start(frame, timestamp)

    def request_key_frame(self) -> None:
        """Make the next picture to be encoded a key frame."""
        self._key_frame_wanted = True

    def close(self) -> None:
        """Call `on_encoded` no more."""
        self._closed = True
        self._waiting = None

    def _start(self, frame: av.VideoFrame, timestamp: int) -> None:
        self._busy = True
        encoder = self._encoder
        if encoder is None:
            encoder = self._encoder = create_video_encoder(self._format, self.bitrate_bps)
        key_frame, self._key_frame_wanted = self._key_frame_wanted, False
        bitrate_bps = self.bitrate_bps

        def work() -> EncodedVideo:
            encoder.bitrate_bps = bitrate_bps
            payloads, is_key_frame = encoder.encode(frame, key_frame)
            return EncodedVideo(payloads, timestamp, is_key_frame)

        def done(result: EncodedVideo | Exception) -> None:
            self._finish(result, key_frame)

        self._submit(work, done)

    def _finish(self, result: EncodedVideo | Exception, key_frame: bool) -> None:
        self._busy = False
        if self._closed:
            return
        if isinstance(result, Exception):
            self.encode_errors += 1
            self._encoder = None
        elif result.payloads:
            self.encoded += 1
            self._on_encoded(result)
        if key_frame and (isinstance(result, Exception) or not result.key_frame):
            self._key_frame_wanted = True
        if self._waiting is not None and not self._busy:
            (frame, waiting_timestamp), self._waiting = self._waiting, None
            self._start(frame, waiting_timestamp)
