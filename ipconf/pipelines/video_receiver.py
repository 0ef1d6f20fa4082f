"""From the RTP packets of one video source to pictures, decoded elsewhere and in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import av

from ..codecs.base import VideoDecoder
from ..codecs.registry import create_video_decoder, depacketizer_of, has_codec
from ..engine.assembly import AssembledFrame, VideoAssembler
from ..engine.lip_sync import HeldPictures
from ..engine.rtp_wire import RtpPacket
from ..engine.session_config import PayloadFormat
from ..errors import MediaError
from .picture_payloads import PicturePayloads

MAX_BACKLOG = 15
"""Pictures waiting to be decoded, half a second of them; more are dropped to a key frame."""

FAILING_PICTURES = 5
"""So many pictures in succession that cannot be decoded are no accident: each is a key frame."""

_SEQUENCE_MASK = (1 << 16) - 1
_HALF = 1 << 15

T = TypeVar("T")


class Submit(Protocol):
    """Runs `work` on a worker thread, then `done` with its result or exception on the loop's."""

    def __call__(self, work: Callable[[], T], done: Callable[[T | Exception], None], /) -> None: ...


@dataclass(slots=True)
class VideoReceiverStats:
    """What one source's pictures went through."""

    decoded: int = 0
    """Pictures."""
    decode_errors: int = 0
    dropped: int = 0
    """Pictures skipped because decoding could not keep up, or behind a broken one."""
    broken: int = 0
    """Times that pictures were given up because packets were missing or malformed."""
    late: int = 0
    """Packets that came when their picture was done or given up."""
    duplicates: int = 0


class VideoReceiver:
    """Assembly and decoding of one source, whose format may change at any time.

    `on_frame(frame, rtp_timestamp)` is called on the loop's thread, in order; so is `on_payload`
    for each picture before it is decoded. One picture at a time is decoded. Ask `missing` and
    `needs_key_frame` every 10 to 20 ms and send what they say.
    """

    concealed_s = 0.0
    """No picture is replaced: the one before stays."""

    def __init__(
        self,
        formats: tuple[PayloadFormat, ...],
        submit: Submit,
        on_frame: Callable[[av.VideoFrame, int], None],
        on_payload: Callable[[PayloadFormat, AssembledFrame], None] | None = None,
    ) -> None:
        self._formats = {f.payload_type: f for f in formats if has_codec(f)}
        if not self._formats:
            raise MediaError("none of the formats of the section can be decoded here")
        self._format = next(iter(self._formats.values()))
        self._assembler = self._new_assembler()
        self._newest: int | None = None  # sequence number
        self._decoder: VideoDecoder | None = None
        self._decoder_format = self._format
        self._submit = submit
        self._on_frame = on_frame
        self._on_payload = on_payload
        self.payloads = PicturePayloads()
        """Who gets pictures that are not decoded, for whoever gives them out."""
        self._decoding = True
        self._skips = False  # to the next key frame, where decoding begins in the midst
        self.held: HeldPictures[av.VideoFrame] = HeldPictures()
        """Pictures that whoever got them wants to show later; gone with the receiver."""
        self._backlog: deque[tuple[PayloadFormat, AssembledFrame]] = deque()
        self._busy = False
        self._closed = False
        self._round_trip_s: float | None = None
        self._counts = VideoReceiverStats()
        self._errors_in_a_row = 0
        self._last_error: Exception | None = None

    def push(self, packet: RtpPacket, now: float) -> None:
        """Take a packet of the source at the time it arrived."""
        payload_format = self._formats.get(packet.payload_type)
        if payload_format is None or self._closed:
            return
        if packet.source is not None:
            self._round_trip_s = packet.source.round_trip_s
        newest = self._newest
        is_newer = newest is None or 0 < (packet.sequence - newest) & _SEQUENCE_MASK < _HALF
        if is_newer:
            self._newest = packet.sequence
        if payload_format is not self._format:
            if not is_newer:
                self._counts.late += 1  # from before the change
                return
            self._change(payload_format)
        for frame in self._assembler.push(packet, now):
            self._queue(frame)
        self._decode_next()

    def missing(self, now: float) -> list[int]:
        """Sequence numbers (16 bits) to ask the source for now."""
        return self._assembler.missing(now, self._round_trip_s)

    def needs_key_frame(self, now: float) -> bool:
        """Whether to ask the source for a key frame now."""
        return self._assembler.needs_key_frame(now, self._skips or self.payloads.needs_key_frame)

    @property
    def decoding(self) -> bool:
        """Whether pictures are decoded; it may be set at any time."""
        return self._decoding

    @decoding.setter
    def decoding(self, wanted: bool) -> None:
        if wanted is not self._decoding:
            self._decoding = self._skips = wanted
            self._backlog.clear()

    @property
    def decoded(self) -> int:
        """Pictures decoded."""
        return self._counts.decoded

    @property
    def delay_s(self) -> float:
        """How long the latest picture waits for its sound."""
        return self.held.delay_s

    @property
    def failure(self) -> Exception | None:
        """Why there are no pictures at all, though they come."""
        return self._last_error if self._errors_in_a_row >= FAILING_PICTURES else None

    def stats(self) -> VideoReceiverStats:
        """The counts up to now; the same object every time."""
        self._take_counts()
        return self._counts

    def close(self) -> None:
        """Call `on_frame` no more."""
        self._closed = True
        self._backlog.clear()
        self.held.clear()

    def _new_assembler(self) -> VideoAssembler:
        return VideoAssembler(depacketizer_of(self._format), "nack" in self._format.feedback)

    def _take_counts(self) -> None:
        """Move what the assembler has counted to the receiver's own counts."""
        counts, assembler = self._counts, self._assembler
        counts.broken += assembler.broken
        counts.late += assembler.late
        counts.duplicates += assembler.duplicates
        assembler.broken = assembler.late = assembler.duplicates = 0

    def _change(self, payload_format: PayloadFormat) -> None:
        """Go on with another format: what is not complete of the old one is given up."""
        self._take_counts()
        self._format = payload_format
        self._assembler = self._new_assembler()

    def _queue(self, frame: AssembledFrame) -> None:
        if self._on_payload is not None:
            self._on_payload(self._format, frame)
        if not self._decoding or (self._skips and not frame.key_frame):
            return
        self._skips = False
        backlog = self._backlog
        if len(backlog) >= MAX_BACKLOG:
            self._counts.dropped += len(backlog)
            backlog.clear()
            if not frame.key_frame:
                self._counts.dropped += 1
                self._skips = True
                return
        backlog.append((self._format, frame))

    def _decode_next(self) -> None:
        if self._busy or not self._backlog:
            return
        self._busy = True
        payload_format, frame = self._backlog.popleft()
        decoder = self._decoder if payload_format is self._decoder_format else None

        def work() -> tuple[VideoDecoder, list[av.VideoFrame]]:
            used = decoder or create_video_decoder(payload_format)
            return used, used.decode(frame.data)

        def done(result: tuple[VideoDecoder, list[av.VideoFrame]] | Exception) -> None:
            self._finish(result, payload_format, frame.timestamp)

        self._submit(work, done)

    def _finish(
        self,
        result: tuple[VideoDecoder, list[av.VideoFrame]] | Exception,
        payload_format: PayloadFormat,
        timestamp: int,
    ) -> None:
        self._busy = False
        if self._closed:
            return
        if isinstance(result, Exception):
            self._counts.decode_errors += 1
            self._errors_in_a_row += 1
            self._last_error = result
            self._start_over()
        else:
            self._decoder, pictures = result
            self._decoder_format = payload_format
            self._errors_in_a_row = 0
            self._counts.decoded += len(pictures)
            for picture in pictures:
                self._on_frame(picture, timestamp)
        self._decode_next()

    def _start_over(self) -> None:
        """After an error only a key frame, and for safety a new decoder, help."""
        self._decoder = None
        backlog = self._backlog
        while backlog and not backlog[0][1].key_frame:
            backlog.popleft()
            self._counts.dropped += 1
        if not backlog:
            self._assembler.require_key_frame()
