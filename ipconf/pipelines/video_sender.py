"""From captured pictures to RTP payloads, encoded elsewhere, the newest picture first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import av

from ..codecs.base import VideoEncoder
from ..codecs.registry import create_video_encoder
from ..engine.session_config import PayloadFormat
from .video_receiver import Submit

FAILING_PICTURES = 5
"""So many pictures in succession that cannot be encoded are no accident."""

_TIMESTAMP_MASK = (1 << 32) - 1


class EncodedVideo(NamedTuple):
    """One picture to send."""

    payloads: list[bytes]
    """In order; the last one wants the marker bit."""
    timestamp: int
    """32-bit RTP timestamp."""
    captured_at: float
    """The instant that it stands for."""
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
        self._waiting: tuple[av.VideoFrame, float] | None = None
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
        self._errors_in_a_row = 0
        self._last_error: Exception | None = None

    @property
    def failure(self) -> Exception | None:
        """Why no picture at all can be encoded."""
        return self._last_error if self._errors_in_a_row >= FAILING_PICTURES else None

    def encode(self, frame: av.VideoFrame, now: float) -> None:
        """Encode a picture captured at `now`; it may be replaced by the next one before."""
        if self._closed:
            return
        if self._busy:
            if self._waiting is not None:
                self.replaced += 1
            self._waiting = (frame, now)
            return
        self._start(frame, now)

    def request_key_frame(self) -> None:
        """Make the next picture to be encoded a key frame."""
        self._key_frame_wanted = True

    def close(self) -> None:
        """Call `on_encoded` no more."""
        self._closed = True
        self._waiting = None

    def _start(self, frame: av.VideoFrame, captured_at: float) -> None:
        self._busy = True
        ticks = self._offset + round(captured_at * self._format.clock_rate)
        timestamp = ticks & _TIMESTAMP_MASK
        encoder = self._encoder
        key_frame, self._key_frame_wanted = self._key_frame_wanted, False
        bitrate_bps = self.bitrate_bps

        def work() -> tuple[VideoEncoder, EncodedVideo]:
            used = encoder or create_video_encoder(self._format, bitrate_bps)
            used.bitrate_bps = bitrate_bps
            payloads, is_key_frame = used.encode(frame, key_frame)
            return used, EncodedVideo(payloads, timestamp, captured_at, is_key_frame)

        def done(result: tuple[VideoEncoder, EncodedVideo] | Exception) -> None:
            self._finish(result, key_frame)

        self._submit(work, done)

    def _finish(
        self, result: tuple[VideoEncoder, EncodedVideo] | Exception, key_frame: bool
    ) -> None:
        self._busy = False
        if self._closed:
            return
        made_key_frame = False
        if isinstance(result, Exception):
            self.encode_errors += 1
            self._errors_in_a_row += 1
            self._last_error = result
            self._encoder = None
        else:
            self._encoder, picture = result
            self._errors_in_a_row = 0
            made_key_frame = picture.key_frame
            if picture.payloads:
                self.encoded += 1
                self._on_encoded(picture)
        if key_frame and not made_key_frame:
            self._key_frame_wanted = True
        if self._waiting is not None and not self._busy:
            (frame, captured_at), self._waiting = self._waiting, None
            self._start(frame, captured_at)
