"""The yardstick: the least that a hub in Python does for listeners on plain RTP, in one file.

One tick: decode who talks, sum, encode one mix for each of them and one for all others, send. There
is no jitter buffer, no report, no statistics, nobody is known by name, and a lost packet is a gap.
`python -m benchmarks.subject_bare [--uvloop]`; see `children`.
"""

from __future__ import annotations

import asyncio
import ctypes
import re
import struct
from ctypes import c_int, c_int32, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ipconf.codecs.libopus import load
from ipconf.model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ

from .children import Commands, serve
from .gauges import hub_usage

Sound = NDArray[np.int32]

LOOPBACK = "127.0.0.1"
TALK_LEVEL = 50
"""What is as loud as -50 dBov is heard ..."""
HOLD_PACKETS = 10
"""... and so many packets after it."""
BITRATE_BPS, COMPLEXITY = 64_000, 5
PACKET_BYTES = 1500
_LOW_DELAY, _SET_BITRATE, _SET_COMPLEXITY = 2051, 4002, 4010  # opus_defines.h
_HEADER = struct.Struct("!BBHII")
_EXTENDED_BYTES = 20
"""Header, and an extension of one word."""
_PORT, _NUMBER = re.compile(r"m=audio (\d+)"), re.compile(r"a=rtpmap:(\d+) opus")
_LEVEL = re.compile(r"a=extmap:(\d+)\S* (urn:ietf:params:rtp-hdrext:ssrc-audio-level)")
_ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nt=0 0\r\nm=audio {port} RTP/AVP {number}\r\n"
    "c=IN IP4 {host}\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:{number} opus/48000/2\r\n"
    "a=extmap:{level[1]} {level[2]}\r\n"
)


class Leg(asyncio.DatagramProtocol):
    """A socket, the latest packet that came, and what a talker needs."""

    transport: asyncio.DatagramTransport

    def __init__(self, offer: str) -> None:
        found = _PORT.search(offer), _NUMBER.search(offer), _LEVEL.search(offer)
        if None in found:
            raise ValueError("the offer has no Opus with audio levels")
        port, number, self.level = found
        self.address = (LOOPBACK, int(port[1]))
        self.number = int(number[1])
        self.sequence = self.loud = 0
        self.latest: bytes | None = None
        self.decoder: c_void_p | None = None
        self.encoder: c_void_p | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if len(data) < _EXTENDED_BYTES or not data[0] & 0x10 or 192 <= data[1] <= 223:
            return
        _HEADER.unpack_from(data)
        if data[17] & 0x7F <= TALK_LEVEL:
            self.latest, self.loud = data[_EXTENDED_BYTES:], HOLD_PACKETS
        elif self.loud:
            self.loud -= 1

    @property
    def answer(self) -> str:
        """What to tell who offered."""
        port = self.transport.get_extra_info("sockname")[1]
        return _ANSWER.format(host=LOOPBACK, port=port, number=self.number, level=self.level)


class BareHub:
    """Legs in the order of their offers."""

    def __init__(self) -> None:
        library = load()
        assert library is not None, "libopus is missing"
        self._library = library
        self._legs: list[Leg] = []
        self._packet = ctypes.create_string_buffer(PACKET_BYTES)
        self._decoded = np.empty(AUDIO_FRAME_SAMPLES, np.int16)
        self._ticking: asyncio.Task[None] | None = None
        self.commands: Commands = {
            "answer": self.answer,
            "connected": self.connected,
            "measure": self.measure,
            "close": self.close,
        }

    async def answer(self, offers: list[str]) -> list[str]:
        """Let a leg join with each of these offers; the answers to them."""
        loop = asyncio.get_running_loop()
        answers = []
        for offer in offers:
            _, leg = await loop.create_datagram_endpoint(
                lambda offer=offer: Leg(offer), local_addr=(LOOPBACK, 0)
            )
            self._legs.append(leg)
            answers.append(leg.answer)
        return answers

    async def connected(self) -> None:
        """Send to all from now on."""
        self._shared = self._make_encoder()
        self._ticking = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due, timestamp = loop.time(), 0
        while True:
            due += AUDIO_FRAME_S
            timestamp = timestamp + AUDIO_FRAME_SAMPLES & 0xFFFFFFFF
            await asyncio.sleep(due - loop.time())
            self._tick(timestamp)

    def _tick(self, timestamp: int) -> None:
        talkers = [leg for leg in self._legs if leg.loud]
        sounds = [self._decode(leg) for leg in talkers]
        everybody = np.sum(sounds, axis=0) if sounds else np.zeros(AUDIO_FRAME_SAMPLES, np.int32)
        shared = self._encode(self._shared, everybody)
        own = {}
        for leg, sound in zip(talkers, sounds, strict=True):
            leg.encoder = leg.encoder or self._make_encoder()
            own[leg] = self._encode(leg.encoder, everybody - sound)
        for ssrc, leg in enumerate(self._legs, 1):
            leg.sequence = leg.sequence + 1 & 0xFFFF
            header = _HEADER.pack(0x80, leg.number, leg.sequence, timestamp, ssrc)
            leg.transport.sendto(header + own.get(leg, shared), leg.address)

    def _decode(self, leg: Leg) -> Sound:
        library = self._library
        if leg.decoder is None:
            error = c_int(0)
            leg.decoder = c_void_p(
                library.opus_decoder_create(AUDIO_RATE_HZ, 1, ctypes.byref(error))
            )
        packet, leg.latest = leg.latest, None
        size = len(packet) if packet else 0
        at = self._decoded.ctypes.data
        library.opus_decode(leg.decoder, packet, size, at, AUDIO_FRAME_SAMPLES, 0)
        return self._decoded.astype(np.int32)

    def _make_encoder(self) -> c_void_p:
        library, error = self._library, c_int(0)
        state = library.opus_encoder_create(AUDIO_RATE_HZ, 1, _LOW_DELAY, ctypes.byref(error))
        encoder = c_void_p(state)
        library.opus_encoder_ctl(encoder, _SET_BITRATE, c_int32(BITRATE_BPS))
        library.opus_encoder_ctl(encoder, _SET_COMPLEXITY, c_int32(COMPLEXITY))
        return encoder

    def _encode(self, encoder: c_void_p, mix: Sound) -> bytes:
        block = np.clip(mix, -32768, 32767).astype(np.int16)
        at = block.ctypes.data
        size = self._library.opus_encode(
            encoder, at, AUDIO_FRAME_SAMPLES, self._packet, PACKET_BYTES
        )
        return self._packet.raw[:size]

    async def measure(self, seconds: float) -> dict[str, Any]:
        """CPU seconds of that time, and seconds that passed."""
        return await hub_usage(self._ticking, seconds)

    async def close(self) -> None:
        """Send no more."""
        if self._ticking is not None:
            self._ticking.cancel()
        for leg in self._legs:
            leg.transport.close()


if __name__ == "__main__":
    serve(lambda: BareHub().commands)
