"""A far end that is not ours: a plain aiortc `RTCPeerConnection` with a tone and a picture."""

from __future__ import annotations

import asyncio
import fractions
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Self

import av
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket
from peers import LIMIT_S, eventually
from senses import Picture, Witness, paint

from ipconf import Call, EventStream, MediaServiceProvider
from ipconf.events import TspData
from ipconf.model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ipconf.terminals.tones import ToneTerminal
from ipconf.tsp_data import Candidate, Connect, Description


class _Tone(MediaStreamTrack):
    """Sends what a `ToneTerminal` gives, 20 ms at a time."""

    kind = "audio"

    def __init__(self, hz: float) -> None:
        super().__init__()
        self._terminal = ToneTerminal(hz, channels=2)
        self._sent = 0
        self._begin = 0.0

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        self._begin = self._begin or loop.time()
        due = self._begin + self._sent * AUDIO_FRAME_SAMPLES / AUDIO_RATE_HZ
        await asyncio.sleep(max(0.0, due - loop.time()))
        samples = self._terminal.read(due)
        assert samples is not None
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = AUDIO_RATE_HZ
        frame.time_base = fractions.Fraction(1, AUDIO_RATE_HZ)
        frame.pts = self._sent * AUDIO_FRAME_SAMPLES
        self._sent += 1
        return frame


class _StillPicture(VideoStreamTrack):
    """Sends one picture 30 times a second."""

    def __init__(self, picture: Picture) -> None:
        super().__init__()
        self._picture = picture

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = paint(self._picture)
        frame.pts, frame.time_base = pts, time_base
        return frame


class AiortcPeer(Witness):
    """A plain `RTCPeerConnection` that sends those, and keeps what it gets; for `async with`.

    It has a transceiver for each of the `further` pictures. With several of one kind aiortc leaves
    all but the first on a transport that nobody connects, unless it bundles from the start.
    """

    def __init__(
        self,
        hz: float | None = None,
        picture: Picture | None = None,
        further: Sequence[Picture] = (),
    ) -> None:
        super().__init__()
        policy = RTCBundlePolicy.MAX_BUNDLE if further else RTCBundlePolicy.BALANCED
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=policy))
        self.key_frames = 0
        """Pictures that stood for themselves, of those that came since `inspect`."""
        self.repeats = 0
        """Retransmissions that came since then (RFC 4588)."""
        self._readers: list[asyncio.Task[None]] = []
        self.pc.on("track", self._track)
        if hz is not None:
            self.pc.addTrack(_Tone(hz))
        for sent in (*([] if picture is None else [picture]), *further):
            self.pc.addTrack(_StillPicture(sent))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave: its senders say BYE, then DTLS is closed."""
        await self.pc.close()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def transceiver(self, kind: str) -> RTCRtpTransceiver:
        """What sends and receives that medium."""
        return next(t for t in self.pc.getTransceivers() if t.kind == kind)

    def inspect(self) -> None:
        """Look at video packets from now on, before aiortc does."""
        receiver = self.transceiver("video").receiver
        stock = receiver._handle_rtp_packet

        async def look(packet: RtpPacket, arrival_time_ms: int) -> None:
            if packet.ssrc == self.repair_ssrc:
                self.repeats += 1
            elif packet.payload:
                start, picture = VpxPayloadDescriptor.parse(packet.payload)
                first = start.partition_start and start.partition_id == 0
                self.key_frames += bool(first and not picture[0] & 1)
            await stock(packet, arrival_time_ms)

        receiver._handle_rtp_packet = look

    @property
    def repair_ssrc(self) -> int:
        """Of the retransmissions that it is sent, as signalled."""
        lines = self.pc.remoteDescription.sdp.splitlines()
        return next(int(line.split()[-1]) for line in lines if "a=ssrc-group:FID" in line)

    def _track(self, track: MediaStreamTrack) -> None:
        self._readers.append(asyncio.create_task(self._read(track)))

    async def _read(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, av.VideoFrame):
                    self.seen.put_nowait(frame)
                else:
                    assert frame.sample_rate == AUDIO_RATE_HZ
                    channels = len(frame.layout.channels)
                    self.heard.put_nowait(frame.to_ndarray().reshape(-1, channels))

    # -- signalling

    async def call_us(
        self, msp: MediaServiceProvider, call: Call, *, bundles: bool = True, trickles: bool = False
    ) -> None:
        """Offer, have `call` answer, and wait until both are connected.

        Without `bundles` the offer names no bundle; with `trickles` its candidates come later.
        """
        with closing(msp.events(TspData)) as posted:
            await self.pc.setLocalDescription(await self.pc.createOffer())
            offer = self.pc.localDescription.sdp.splitlines(keepends=True)
            late = [line for line in offer if "candidate" in line] if trickles else []
            hidden = [*late, *(line for line in offer if "a=group:" in line and not bundles)]
            sdp = "".join(line for line in offer if line not in hidden)
            call.receive_tsp_data(Description(type="offer", sdp=sdp))
            await self._accept(await _description(posted, call))
            for line in late:
                text = line.removeprefix("a=").removeprefix("end-of-candidates").strip()
                call.receive_tsp_data(Candidate(candidate=text, mid="0"))
        await self._connected(call)

    async def answer_us(self, msp: MediaServiceProvider, call: Call) -> None:
        """Have `call` make an offer, answer it, and wait until both are connected."""
        with closing(msp.events(TspData)) as posted:
            call.receive_tsp_data(Connect())
            await self._accept(await _description(posted, call))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        call.receive_tsp_data(Description(type="answer", sdp=self.pc.localDescription.sdp))
        await self._connected(call)

    async def _accept(self, theirs: Description) -> None:
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp=theirs.sdp, type=theirs.type))

    async def _connected(self, call: Call) -> None:
        async with asyncio.timeout(LIMIT_S):
            await call.wait_connected()
        await eventually(lambda: self.pc.connectionState == "connected", "aiortc is connected")


async def _description(posted: EventStream[TspData], call: Call) -> Description:
    async with asyncio.timeout(LIMIT_S):
        async for event in posted:
            if event.call is call and isinstance(event.data, Description):
                return event.data
    raise AssertionError("the call posted no description")
