"""Far ends that are not ours, in any codec: plain aiortc, and FFmpeg over plain RTP."""

from __future__ import annotations

import fractions
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.mediastreams import MediaStreamError
from aiortc_peer import AiortcPeer
from ffmpeg_peer import FPS, Demuxer, Muxer
from numpy.typing import NDArray
from senses import Picture, paint

from ipconf.codecs.resampling import RateConverter
from ipconf.model import AUDIO_FRAME_S, AUDIO_RATE_HZ
from ipconf.terminals.tones import ToneTerminal


class Rates:
    """Converts what comes at any rate to 48 kHz, mono."""

    def __init__(self) -> None:
        self._converters: dict[int, RateConverter] = {}

    def convert(self, frame: av.AudioFrame) -> NDArray[np.int16]:
        array = frame.to_ndarray()
        array = array.T if frame.format.is_planar else array.reshape(-1, len(frame.layout.channels))
        if array.dtype.kind == "f":
            array = np.rint(array * 32767).astype(np.int16)
        rate = frame.sample_rate
        if rate not in self._converters:
            self._converters[rate] = RateConverter(rate, AUDIO_RATE_HZ, 1)
        return self._converters[rate].convert(np.ascontiguousarray(array[:, :1], np.int16))


class AnyCodecPeer(AiortcPeer):
    """A plain `RTCPeerConnection` that may decode to any rate."""

    def __init__(self, hz: float | None = None, picture: Picture | None = None) -> None:
        super().__init__(hz, picture)
        self._rates = Rates()

    def prefer(self, *names: str) -> None:
        """Offer or accept only these codecs, in that order."""
        for transceiver in self.pc.getTransceivers():
            known = RTCRtpSender.getCapabilities(transceiver.kind).codecs
            chosen = [c for name in names for c in known if c.mimeType.endswith(f"/{name}")]
            transceiver.setCodecPreferences(chosen)

    async def _read(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, av.VideoFrame):
                    self.seen.put_nowait(frame)
                else:
                    self.heard.put_nowait(self._rates.convert(frame))


@dataclass(frozen=True)
class Format:
    """A format as FFmpeg sends and describes it."""

    payload_type: int
    rtpmap: str
    encoder: str
    rate_hz: int = 0
    layout: str = "mono"
    fmtp: str = ""

    @property
    def medium(self) -> str:
        return "audio" if self.rate_hz else "video"

    def line(self, port: int, *attributes: str) -> str:
        """The m-line of somebody who listens there."""
        lines = [f"m={self.medium} {port} RTP/AVP {self.payload_type}"]
        lines.append(f"a=rtpmap:{self.payload_type} {self.rtpmap}")
        if self.fmtp:
            lines.append(f"a=fmtp:{self.payload_type} {self.fmtp}")
        lines += [f"a={attribute}" for attribute in attributes]
        return "".join(f"{line}\r\n" for line in lines)


HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=FFmpeg\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
FORMATS = {
    "opus": Format(111, "opus/48000/2", "libopus", 48_000, "stereo"),
    "G722": Format(9, "G722/8000", "g722", 16_000),
    "PCMU": Format(0, "PCMU/8000", "pcm_mulaw", 8_000),
    "PCMA": Format(8, "PCMA/8000", "pcm_alaw", 8_000),
    "L16": Format(11, "L16/44100", "pcm_s16be", 44_100),
    "L16 stereo": Format(10, "L16/44100/2", "pcm_s16be", 44_100, "stereo"),
    "VP8": Format(96, "VP8/90000", "libvpx"),
    "H264": Format(102, "H264/90000", "libx264",
                   fmtp="packetization-mode=1;profile-level-id=42e01f"),
    "H264 whole": Format(102, "H264/90000", "libx264", fmtp="profile-level-id=42e01f"),
}  # fmt: skip


class AnyCodecMuxer(Muxer):
    """FFmpeg as sender of a tone or a picture in any format."""

    def __init__(self, content: float | Picture, port: int, payload_format: Format) -> None:
        super().__init__(content, port, cname="ff@test")
        self._format = payload_format
        self._options["payload_type"] = str(payload_format.payload_type)
        if payload_format.fmtp and "packetization-mode=1" not in payload_format.fmtp:
            self._options["rtpflags"] = "h264_mode0"

    def _work(self) -> None:
        with closing(av.open(self._url, "w", format="rtp", options=self._options)) as out:
            made = self._sound(out) if self._format.rate_hz else self._pictures(out)
            stream, frames, interval_s = made
            due = time.monotonic()
            for frame in frames:
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    break
                out.mux(stream.encode(frame))
                due += interval_s

    def _sound(self, out: Any) -> tuple[Any, Iterator[av.AudioFrame], float]:
        rate, layout = self._format.rate_hz, self._format.layout
        channels = 2 if layout == "stereo" else 1
        stream = out.add_stream(self._format.encoder, rate=rate, layout=layout)
        if self._format.encoder == "libopus":
            stream.format = "s16"

        def frames() -> Iterator[av.AudioFrame]:
            tone, pts = ToneTerminal(self._content, channels=channels), 0
            converter = RateConverter(AUDIO_RATE_HZ, rate, channels)
            while (samples := tone.read(0.0)) is not None:
                block = converter.convert(samples)
                frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), "s16", layout)
                frame.sample_rate, frame.pts = rate, pts
                frame.time_base = fractions.Fraction(1, rate)
                pts += len(block)
                yield frame

        return stream, frames(), AUDIO_FRAME_S

    def _pictures(self, out: Any) -> tuple[Any, Iterator[av.VideoFrame], float]:
        # Nobody can ask FFmpeg for a key frame: it makes some by itself.
        options = {"g": str(FPS // 2)}
        if self._format.encoder == "libvpx":
            options |= {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        else:
            options |= {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
            if "rtpflags" in self._options:
                options["x264-params"] = "slice-max-size=1200"
        stream = out.add_stream(self._format.encoder, rate=FPS, options=options)
        first = paint(self._content)
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"

        def frames() -> Iterator[av.VideoFrame]:
            pts = 0
            while True:
                frame = paint(self._content)
                frame.pts, frame.time_base = pts, fractions.Fraction(1, FPS)
                pts += 1
                yield frame

        return stream, frames(), 1 / FPS


class AnyCodecDemuxer(Demuxer):
    """FFmpeg as receiver of what a description says, in any format."""

    def __init__(self, sdp: str) -> None:
        super().__init__(sdp, {})
        self._sdp = sdp
        self._rates = Rates()

    def _keep(self, frame: Any) -> None:
        if isinstance(frame, av.AudioFrame):
            whole = self._rates.convert(frame)
            self._loop.call_soon_threadsafe(self.heard.put_nowait, whole)
        else:
            self._loop.call_soon_threadsafe(self.seen.put_nowait, frame)
