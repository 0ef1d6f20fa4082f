"""Streams that send: they poll their terminals, encode, and hand packets to their channel."""

from __future__ import annotations

import math
import secrets
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import av
import numpy as np

from .codecs.base import AudioWishes
from .codecs.registry import is_comfort_noise
from .engine.local_source import LocalSource
from .engine.speakers import level_of
from .errors import MediaError
from .model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, Cause, Direction, MediaType
from .pipelines.audio_sender import AudioSender
from .pipelines.video_sender import EncodedVideo, VideoSender
from .rtp_streams import Stream, StreamOwner
from .runnable import Wish
from .terminals.base import CaptureTerminal, Samples
from .ticker import AUDIO_TICKS

if TYPE_CHECKING:
    from .transports.negotiation import Agreed

KEY_FRAME_SPACING_S = 0.4
"""Key frames are not made more often, however often receivers ask: they cost ten others."""
MIN_VIDEO_BITRATE_BPS = 50_000
"""No picture is worth sending below that, whatever a receiver estimates."""
VOICE_LEVEL = 45
"""Louder than -45 dBov sets the voice flag of the level extension (RFC 6464 section 3)."""
KEY_FRAME_REQUESTS = frozenset({"nack pli", "ccm fir"})
"""Feedback by which a far end can ask for a key frame (RFC 4585, RFC 5104)."""
UNASKED_KEY_FRAME_S = 2.0
"""A far end that cannot ask gets a key frame so often, or it would wait for one for ever."""


class CaptureStream(Stream):
    """What audio and video have in common on their way out."""

    def __init__(self, owner: StreamOwner, media_type: MediaType) -> None:
        super().__init__(owner, media_type, Direction.CAPTURE)
        self.sent_frames = 0
        """Blocks of sound or pictures that were sent."""
        self._media_time = secrets.randbits(32)
        """RTP timestamp at `now` = 0, the same for every sender of the stream's life."""

    @property
    def local_source(self) -> LocalSource | None:
        """Our source in the RTP session, while there is one."""
        if self._channel is None or self._agreed is None:
            return None
        return self._channel.session.local(self._agreed.mid)

    def measure(self, now: float) -> None:
        source = self.local_source
        if source is not None:
            self.meter.sample(source.octets, self.sent_frames, now)

    def _read(self, terminal: CaptureTerminal, now: float) -> Samples | av.VideoFrame | None:
        try:
            media = terminal.capture(now)
            if isinstance(media, np.ndarray) and not _is_block(media):
                raise MediaError(
                    f"{terminal.identity} gave an array of shape {media.shape} and type "
                    f"{media.dtype}; read() gives int16 of shape (960, 1 or 2), or None"
                )
            return media
        except Exception as exc:  # a terminal is anybody's code; its fault stays its own
            self.terminal_failed(terminal, exc)
            return None

    def _captures(self) -> list[CaptureTerminal]:
        return [t for t in self._usable() if isinstance(t, CaptureTerminal)]

    def key_frame_requested(self) -> None:
        """A receiver needs a picture that stands for itself; sound has no such thing."""

    @abstractmethod
    def bitrate_limited(self, bps: int) -> None:
        """A receiver says that no more than `bps` bit/s get through."""


class AudioCaptureStream(CaptureStream):
    """Mixes its terminals, tells who listens to us that we talk, encodes and sends.

    A paused stream goes on reading its terminals, so that LocalTalking can tell a muted person
    that nobody hears them; a stopped one does not.
    """

    def __init__(self, owner: StreamOwner) -> None:
        super().__init__(owner, MediaType.AUDIO)
        self._sender: AudioSender | None = None
        self._next_at = 0.0
        self._listening = False
        self.level = 127
        """Of the latest block read from the terminals, 0 (loudest) .. 127."""

    def _settle(self, cause: Cause) -> None:
        super()._settle(cause)
        listen = self._wish is not Wish.STOP and bool(self._usable()) and self._channel is not None
        if listen and not self._listening:
            self._owner.ticker.add(self._tick, AUDIO_TICKS)
        elif self._listening and not listen:
            self._owner.ticker.remove(self._tick)
        self._listening = listen

    def _begin(self) -> None:
        assert self._agreed is not None
        now = self._owner.now()
        if self._sender is None:
            self._sender = self._make_sender(self._agreed, now)
        else:
            self._sender.skip(max(0, int((now - self._next_at) * AUDIO_RATE_HZ)))

    def _make_sender(self, agreed: Agreed, now: float) -> AudioSender:
        settings = self._owner.settings
        wishes = AudioWishes(
            ptime_ms=settings.ptime_ms,
            stereo=settings.opus_stereo,
            fec=settings.opus_fec,
            dtx=settings.opus_dtx,
        )
        noise = next((f for f in agreed.riding if is_comfort_noise(f)), None)
        return AudioSender(
            agreed.send,
            settings.audio_bitrate_bps,
            self._media_time + int(now * agreed.send.clock_rate),
            wishes=wishes,
            noise=noise if settings.silence_suppression else None,
        )

    def _end(self) -> None:
        self._next_at = self._owner.now()

    def _release(self) -> None:
        self._sender = None

    def _tick(self, now: float, number: int) -> None:
        mixed: Samples | None = None
        for terminal in self._captures():
            samples = self._read(terminal, now)
            if isinstance(samples, np.ndarray):
                mixed = samples if mixed is None else mix((mixed, samples))
        if mixed is None:
            return
        sent_level = self._send(mixed, now) if self._running else None
        self.level = level_of(mixed) if sent_level is None else sent_level
        self._owner.roster.local_level(self.level, now)

    def _send(self, samples: Samples, now: float) -> int | None:
        """Send what is complete; the level of it, which need not be computed twice."""
        channel, sender, agreed = self._channel, self._sender, self._agreed
        if channel is None or sender is None or agreed is None:
            return None
        packets = sender.push(samples)
        for packet in packets:
            channel.send(
                agreed.mid,
                packet.payload_type,
                packet.timestamp,
                packet.payload,
                now,
                marker=packet.marker,
                level=packet.level,
                voice=packet.level <= VOICE_LEVEL,
            )
            self.sent_frames += 1
        self._set_active()
        return packets[-1].level if packets else None

    def bitrate_limited(self, bps: int) -> None:
        """Video gives way to sound, never the other way round."""


class VideoCaptureStream(CaptureStream):
    """Encodes the pictures of one terminal in the pool and sends them."""

    max_terminals = 1

    def __init__(self, owner: StreamOwner) -> None:
        super().__init__(owner, MediaType.VIDEO)
        self._sender: VideoSender | None = None
        self._key_frame_at = self._key_frame_every_s = math.inf
        self._asked_at = -math.inf

    def _begin(self) -> None:
        assert self._agreed is not None
        if self._sender is None:
            self._sender = VideoSender(
                self._agreed.send,
                self._owner.settings.video_bitrate_bps,
                self._owner.submit,
                self._encoded,
                self._media_time,
            )
        self._sender.request_key_frame()
        can_ask = KEY_FRAME_REQUESTS & self._agreed.send.feedback
        self._key_frame_every_s = math.inf if can_ask else UNASKED_KEY_FRAME_S
        self._key_frame_at = self._owner.now() + self._key_frame_every_s
        self._owner.ticker.add(self._tick)

    def _end(self) -> None:
        self._owner.ticker.remove(self._tick)

    def _release(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def _tick(self, now: float, number: int) -> None:
        if now >= self._key_frame_at:
            self._key_frame_at = now + self._key_frame_every_s
            self.key_frame_requested()
        for terminal in self._captures():
            frame = self._read(terminal, now)
            if isinstance(frame, av.VideoFrame) and self._sender is not None:
                self._sender.encode(frame, now)

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
            )
        self.sent_frames += 1
        self._set_active()

    def key_frame_requested(self) -> None:
        now = self._owner.now()
        if self._sender is not None and now - self._asked_at >= KEY_FRAME_SPACING_S:
            self._asked_at = now
            self._sender.request_key_frame()

    def bitrate_limited(self, bps: int) -> None:
        if self._sender is not None:
            most = self._owner.settings.video_bitrate_bps
            self._sender.bitrate_bps = max(min(bps, most), MIN_VIDEO_BITRATE_BPS)


def _is_block(media: Samples) -> bool:
    shape = media.shape
    return (
        len(shape) == 2
        and shape[0] == AUDIO_FRAME_SAMPLES
        and 0 < shape[1] < 3
        and (media.dtype == np.int16)
    )


def mix(blocks: tuple[Samples, ...] | list[Samples]) -> Samples:
    """The sum of blocks of 20 ms, mono ones spread to stereo where others are; never wraps."""
    channels = max(block.shape[1] for block in blocks)
    total = np.zeros((AUDIO_FRAME_SAMPLES, channels), np.int32)
    for block in blocks:
        total[: len(block)] += block
    return np.clip(total, -32768, 32767).astype(np.int16)


def make_capture_stream(owner: StreamOwner, media_type: MediaType) -> CaptureStream:
    """The sending stream of a medium."""
    makers: dict[MediaType, Callable[[StreamOwner], CaptureStream]] = {
        MediaType.AUDIO: AudioCaptureStream,
        MediaType.VIDEO: VideoCaptureStream,
    }
    return makers[media_type](owner)
