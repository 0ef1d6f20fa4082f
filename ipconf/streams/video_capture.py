"""Pictures that are sent: those of one terminal, encoded in the pool, in the first section."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import av

from ..model import MediaType
from ..pipelines.video_sender import EncodedVideo, VideoSender
from ..rtp_streams import StreamOwner
from .capture import CaptureStream

if TYPE_CHECKING:
    from ..transports.negotiation import Agreed

KEY_FRAME_SPACING_S = 0.4
"""Key frames are not made more often, however often receivers ask: they cost ten others."""
MIN_VIDEO_BITRATE_BPS = 50_000
"""No picture is worth sending below that, whatever a receiver estimates."""
KEY_FRAME_REQUESTS = frozenset({"nack pli", "ccm fir"})
"""Feedback by which a far end can ask for a key frame (RFC 4585, RFC 5104)."""
UNASKED_KEY_FRAME_S = 2.0
"""A far end that cannot ask gets a key frame so often, or it would wait for one for ever."""


class VideoCaptureStream(CaptureStream):
    """Encodes the pictures of one terminal in the pool and sends them."""

    max_terminals = 1
    _advice = "give an av.VideoFrame or None"

    def __init__(self, owner: StreamOwner) -> None:
        super().__init__(owner, MediaType.VIDEO)
        self._sender: VideoSender | None = None
        self._key_frame_at = self._key_frame_every_s = math.inf
        self._asked_at = -math.inf

    def _begin(self) -> None:
        assert self._agreed is not None
        if not self._captures():
            return  # what is sent comes encoded
        if self._sender is None:
            self._sender = self._make_sender(self._agreed)
        self._sender.request_key_frame()
        can_ask = KEY_FRAME_REQUESTS & self._agreed.send.feedback
        self._key_frame_every_s = math.inf if can_ask else UNASKED_KEY_FRAME_S
        self._key_frame_at = self._owner.now() + self._key_frame_every_s
        self._owner.ticker.add(self._tick)

    def _make_sender(self, agreed: Agreed) -> VideoSender:
        return VideoSender(
            agreed.send,
            self._owner.settings.video_bitrate_bps,
            self._owner.submit,
            self._encoded,
            self._media_time,
        )

    def _end(self) -> None:
        self._owner.ticker.remove(self._tick)

    def _release(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def _tick(self, now: float, number: int) -> None:
        if now >= self._key_frame_at:
            self._key_frame_at = now + self._key_frame_every_s
            self._want_key_frame()
        for terminal in self._captures():
            frame = self._read(terminal, now)
            if isinstance(frame, av.VideoFrame):
                self._encode(frame, now)

    def _takes(self, media: object) -> bool:
        return isinstance(media, av.VideoFrame)

    def _encode(self, frame: av.VideoFrame, now: float) -> None:
        agreed = self._agreed
        if agreed is None or self._failures.blocks(self, now):
            return
        try:
            if self._sender is None:  # the one before has failed
                self._sender = self._make_sender(agreed)
            self._sender.encode(frame, now)
            failure = self._sender.failure
        except Exception as exc:
            failure = exc
        if failure is not None:
            self._codec_failed(failure, now)

    def _encoded(self, picture: EncodedVideo) -> None:
        channel, agreed = self._channel, self._agreed
        if not self._running or channel is None or agreed is None:
            return
        now = self._owner.now()
        last = len(picture.payloads) - 1
        for index, payload in enumerate(picture.payloads):
            channel.send(
                agreed.mid,
                agreed.send.payload_type,
                picture.timestamp,
                payload,
                now,
                marker=index == last,
                captured_at=picture.captured_at,
            )
        self._sent()

    def _want_key_frame(self) -> None:
        now = self._owner.now()
        if self._sender is not None and now - self._asked_at >= KEY_FRAME_SPACING_S:
            self._asked_at = now
            self._sender.request_key_frame()

    def _limit_bitrate(self, bps: int) -> None:
        if self._sender is not None:
            most = self._owner.settings.video_bitrate_bps
            self._sender.bitrate_bps = max(min(bps, most), MIN_VIDEO_BITRATE_BPS)
