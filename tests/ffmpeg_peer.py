"""A far end that is not ours: FFmpeg's RTP muxer and demuxer, through PyAV, over plain RTP.

PyAV blocks, so each works in a thread; all waiting in there is bounded, and `stop` ends it.
"""

from __future__ import annotations

import asyncio
import fractions
import io
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any, Self

import av
import numpy as np
from peers import LIMIT_S, LOCALHOST
from senses import AUDIO, VIDEO, Picture, Witness, paint

from ipconf import MediaType
from ipconf.model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ipconf.terminals.tones import ToneTerminal

PAYLOAD_TYPES = {AUDIO: 111, VIDEO: 96}
FORMATS = {AUDIO: "opus/48000/2", VIDEO: "VP8/90000"}
FPS = 25
FINISH_S = 3.0
"""How long FFmpeg may take to notice that it shall end."""


def free_ports() -> int:
    """An even port that is free on this machine like the one after it."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((LOCALHOST, 0))
            port = probe.getsockname()[1] & ~1
        pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        try:
            for offset, sock in enumerate(pair):
                sock.bind((LOCALHOST, port + offset))
        except OSError:
            continue
        else:
            return port
        finally:
            for sock in pair:
                sock.close()
    raise AssertionError("no free pair of ports")


def describe(ports: dict[MediaType, int], *attributes: str) -> str:
    """A description in FFmpeg's name: it listens on these ports, and sends the usual formats.

    Each line gets the attributes.
    """
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=FFmpeg", "c=IN IP4 127.0.0.1", "t=0 0"]
    for medium, port in ports.items():
        number = PAYLOAD_TYPES[medium]
        lines.append(f"m={medium.value} {port} RTP/AVP {number}")
        lines.append(f"a=rtpmap:{number} {FORMATS[medium]}")
        lines += [f"a={attribute}" for attribute in attributes]
    return "".join(f"{line}\r\n" for line in lines)


def port_of(sdp: str, medium: MediaType) -> int:
    """Where a description wants that medium."""
    found = re.search(rf"m={medium.value} (\d+) ", sdp)
    assert found is not None
    return int(found[1])


class _Worker:
    """Runs `_work` in a thread from entering to leaving `async with`."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(asyncio.to_thread(self._work))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End it, and raise what went wrong in there."""
        self._stop.set()
        await self.ended()

    async def ended(self) -> None:
        """Return when it has come to its end by itself."""
        async with asyncio.timeout(FINISH_S):
            await self._task

    def _work(self) -> None:
        raise AssertionError("a worker has something to do")


class Muxer(_Worker):
    """FFmpeg as sender of a tone or a picture.

    With `cname` it sends SDES, with `bye` a BYE at the end, with `mux` all to one port.
    """

    def __init__(
        self,
        content: float | Picture,
        port: int,
        *,
        cname: str = "",
        bye: bool = False,
        mux: bool = False,
        ssrc: int | None = None,
    ) -> None:
        super().__init__()
        self._content = content
        self._url = f"rtp://{LOCALHOST}:{port}" + (f"?rtcpport={port}" if mux else "")
        medium = VIDEO if isinstance(content, tuple) else AUDIO
        self._options = {"payload_type": str(PAYLOAD_TYPES[medium])}
        if cname:
            self._options["cname"] = cname
        if bye:
            self._options["rtpflags"] = "send_bye"
        if ssrc is not None:
            self._options["ssrc"] = str(ssrc)

    def _work(self) -> None:
        with closing(av.open(self._url, "w", format="rtp", options=self._options)) as out:
            stream, frames, interval_s = (
                _sound(out, self._content)
                if isinstance(self._content, float)
                else _pictures(out, self._content)
            )
            due = time.monotonic()
            for frame in frames:
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    break
                out.mux(stream.encode(frame))
                due += interval_s
            out.mux(stream.encode(None))


def _sound(out: Any, hz: float) -> tuple[Any, Iterator[av.AudioFrame], float]:
    stream = out.add_stream("libopus", rate=AUDIO_RATE_HZ, layout="stereo", format="s16")

    def frames() -> Iterator[av.AudioFrame]:
        tone, pts = ToneTerminal(hz, channels=2), 0
        while (samples := tone.read(0.0)) is not None:
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "stereo")
            frame.sample_rate, frame.pts = AUDIO_RATE_HZ, pts
            frame.time_base = fractions.Fraction(1, AUDIO_RATE_HZ)
            pts += AUDIO_FRAME_SAMPLES
            yield frame

    return stream, frames(), AUDIO_FRAME_SAMPLES / AUDIO_RATE_HZ


def _pictures(out: Any, picture: Picture) -> tuple[Any, Iterator[av.VideoFrame], float]:
    # Nobody can ask FFmpeg for a key frame: it makes some by itself.
    options = {"deadline": "realtime", "cpu-used": "8", "g": str(FPS // 2), "lag-in-frames": "0"}
    stream = out.add_stream("libvpx", rate=FPS, options=options)
    first = paint(picture)
    stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"

    def frames() -> Iterator[av.VideoFrame]:
        pts = 0
        while True:
            frame = paint(picture)
            frame.pts, frame.time_base = pts, fractions.Fraction(1, FPS)
            pts += 1
            yield frame

    return stream, frames(), 1 / FPS


class Demuxer(_Worker, Witness):
    """FFmpeg as receiver of what our description says; it listens on `ports` of its own.

    It knows one format a line, so it gets to see only those that its own description names.
    """

    def __init__(self, sdp: str, ports: dict[MediaType, int]) -> None:
        _Worker.__init__(self)
        Witness.__init__(self)
        for medium, port in ports.items():
            line = f"m={medium.value} {port} RTP/AVP {PAYLOAD_TYPES[medium]}\r\n"
            sdp = re.sub(rf"m={medium.value} .*\r\n", line, sdp)
        known = "|".join(str(number) for number in PAYLOAD_TYPES.values())
        self._sdp = re.sub(rf"a=(rtcp:|(rtpmap|fmtp|rtcp-fb):(?!({known}) )).*\r\n", "", sdp)
        self._options = {"protocol_whitelist": "rtp,udp", "analyzeduration": "0", "probesize": "32"}
        self._loop = asyncio.get_running_loop()

    def _work(self) -> None:
        text = io.BytesIO(self._sdp.encode())
        options, timeouts = self._options, (LIMIT_S, FINISH_S / 2)
        with av.open(text, format="sdp", options=options, timeout=timeouts) as container:
            # What is in the way of a key frame is no error here.
            for packet in container.demux():
                if self._stop.is_set():
                    return
                with suppress(av.error.InvalidDataError):
                    for frame in packet.decode():
                        self._keep(frame)

    def _keep(self, frame: Any) -> None:
        if isinstance(frame, av.AudioFrame):
            samples = frame.to_ndarray()
            assert frame.format.name == "fltp" and frame.sample_rate == AUDIO_RATE_HZ
            whole = np.rint(samples.T * 32767).astype(np.int16)
            self._loop.call_soon_threadsafe(self.heard.put_nowait, whole)
        else:
            self._loop.call_soon_threadsafe(self.seen.put_nowait, frame)
