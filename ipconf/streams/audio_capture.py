"""Sound that is sent: the terminals are mixed, encoded, and told whether somebody talks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..codecs.base import AudioWishes
from ..codecs.registry import is_comfort_noise
from ..engine.lip_sync import Pace
from ..engine.speakers import level_of
from ..model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, Cause, MediaType
from ..pipelines.audio_sender import AudioSender
from ..pipelines.mixing import mix
from ..rtp_streams import StreamOwner
from ..terminals.base import Samples
from ..ticker import AUDIO_TICKS
from .capture import CaptureStream
from .outlets import StreamOutlet
from .runnable import Wish
from .sent_digits import SentDigits

if TYPE_CHECKING:
    from ..calls.channel import Channel
    from ..transports.negotiation import Agreed

VOICE_LEVEL = 45
"""Louder than -45 dBov sets the voice flag of the level extension (RFC 6464 section 3)."""


class AudioCaptureStream(CaptureStream):
    """Mixes its terminals, tells who listens to us that we talk, encodes and sends.

    A paused stream goes on reading its terminals, so that LocalTalking can tell a muted person
    that nobody hears them; a stopped one does not.
    """

    _advice = "read() gives int16 of shape (960, 1 or 2), or None"

    def __init__(self, owner: StreamOwner) -> None:
        super().__init__(owner, MediaType.AUDIO)
        self._sender: AudioSender | None = None
        self._next_at = 0.0
        self._pace = Pace()
        self._listening = False
        self.digits = SentDigits(self, owner)
        """While it is busy, the sound that is read is not sent."""
        self.level = 127
        """Of the latest block read from the terminals, 0 (loudest) .. 127."""

    def _settle(self, cause: Cause, failure: Cause = Cause.LOCAL_REQUEST) -> None:
        super()._settle(cause, failure)
        self.digits.settle()
        self._listen()

    def _listen(self) -> None:
        """Tick while there is a terminal to read, or digits to send."""
        here = self._channel is not None and self._wish is not Wish.STOP
        listen = self.digits.busy or (here and bool(self._captures()))
        if listen and not self._listening:
            self._owner.ticker.add(self._tick, AUDIO_TICKS)
        elif self._listening and not listen:
            self._owner.ticker.remove(self._tick)
        self._listening = listen

    @property
    def way(self) -> tuple[Channel, Agreed] | None:
        """Where its packets go out; None where nothing does."""
        if self._channel is None or self._agreed is None:
            return None
        return self._channel, self._agreed

    @property
    def stopped(self) -> bool:
        """Whether the application stopped it."""
        return self._wish is Wish.STOP

    def timestamp_at(self, at: float) -> int:
        """The RTP timestamp of sound that would begin now, at `at`; while there is a way.

        It goes on where the latest packet was, whoever sent it.
        """
        if self._sender is not None and self._running:
            return self._sender.next_timestamp
        source, agreed = self.local_source, self._agreed
        assert source is not None and agreed is not None  # there is a way
        source.settle()
        if source.last_sent is not None:
            return source.media_time(at)
        return self._media_time + int(at * agreed.send.clock_rate)

    def make_way(self) -> None:
        """Let telephone events go out in place of what is sent otherwise."""
        for outlet in self._outlets.values():
            outlet.take()
        self._listen()

    def take_way_back(self, timestamp: int | None) -> None:
        """They are out; sound goes on at that RTP timestamp, or later."""
        if timestamp is not None and self._sender is not None and self._sender.reach(timestamp):
            self._next_at = self._owner.now()
        for outlet in self._outlets.values():
            outlet.give_back()
        self._listen()

    def _outlet(self, channel: Channel, agreed: Agreed) -> StreamOutlet:
        outlet = super()._outlet(channel, agreed)
        if self.digits.busy:
            outlet.take()
        return outlet

    def _begin(self) -> None:
        assert self._agreed is not None
        now = self._owner.now()
        if not self._captures():
            return  # what is sent comes encoded
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
        began_at = self._pace.tick(now) - AUDIO_FRAME_S
        self.digits.tick(began_at, now)
        mixed: Samples | None = None
        for terminal in self._captures():
            samples = self._read(terminal, now)
            if isinstance(samples, np.ndarray):
                mixed = samples if mixed is None else mix([mixed, samples])
        if mixed is None:
            return
        sent_level = self._send(mixed, began_at, now) if self._running else None
        self.level = level_of(mixed) if sent_level is None else sent_level
        self._owner.roster.local_level(self.level, now)

    def _takes(self, media: object) -> bool:
        return (
            isinstance(media, np.ndarray)
            and media.dtype == np.int16
            and media.shape in ((AUDIO_FRAME_SAMPLES, 1), (AUDIO_FRAME_SAMPLES, 2))
        )

    def _send(self, samples: Samples, began_at: float, now: float) -> int | None:
        """Send what is complete; the level of it, which need not be computed twice.

        The samples began at `began_at`, by the even pace of sound, whenever they were read.
        """
        channel, agreed = self._channel, self._agreed
        if channel is None or agreed is None or self._failures.blocks(self, now):
            return None
        try:
            if self._sender is None:  # the one before has failed
                self._sender = self._make_sender(agreed, now)
            if self.digits.busy:
                self._sender.skip(len(samples))
                return None
            packets = self._sender.push(samples)
        except Exception as exc:
            self._codec_failed(exc, now)
            return None
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
                captured_at=began_at + packet.begins / AUDIO_RATE_HZ,
            )
            self._sent()
        return packets[-1].level if packets else None

    def _level_dbov(self) -> int:
        return -self.level

    def _limit_bitrate(self, bps: int) -> None:
        """Video gives way to sound, never the other way round."""
