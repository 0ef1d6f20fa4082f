"""Two plain aiortc peers, a phone on plain RTP and an ipconf call over WebRTC in one conference."""

from __future__ import annotations

from contextlib import AsyncExitStack

import numpy as np
from aiortc.rtp import RtcpByePacket, RtcpPacket, RtcpSdesPacket
from aiortc_peer import AiortcPeer
from conference_lab import WINDOW_BLOCKS, Ear
from peers import PLAIN, eventually, scenario, webrtc
from senses import AUDIO, CAPTURE, RENDER

from ipconf import Conference, Identity, LoopbackTsp, MediaServiceProvider, ToneTerminal

TONES = {"one": 440.0, "two": 610.0, "phone": 780.0, "ours": 950.0}
LOUD_DBOV, ABSENT_DBOV = -23.0, -55.0
NAME = 2
"""SDES item type (RFC 3550 section 6.5.2)."""


class Stranger(AiortcPeer):
    """A plain peer, which keeps no roster: what it is told is read from its decrypted RTCP."""

    def __init__(self, hz: float) -> None:
        super().__init__(hz)
        self.told: dict[int, str] = {}
        self._blocks: list[np.ndarray] = []

    def listen(self) -> None:
        """Read RTCP from now on, before aiortc does."""
        transport = self.transceiver("audio").receiver.transport
        stock = transport._handle_rtcp_data

        async def look(data: bytes) -> None:
            for packet in RtcpPacket.parse(data):
                if isinstance(packet, RtcpSdesPacket):
                    for chunk in packet.chunks:
                        name = dict(chunk.items).get(NAME)
                        if name is not None:
                            self.told[chunk.ssrc] = name.decode()
                elif isinstance(packet, RtcpByePacket):
                    for ssrc in packet.sources:
                        self.told.pop(ssrc, None)
            await stock(data)

        transport._handle_rtcp_data = look

    @property
    def knows(self) -> set[str]:
        """The names it was told, but for the mixer's own."""
        return set(self.told.values()) - {"Hub"}

    def levels(self) -> dict[str, float]:
        """How loud it heard everybody of late."""
        ear = Ear()
        while not self.heard.empty():
            self._blocks.append(self.heard.get_nowait())
        self._blocks = self._blocks[-2 * WINDOW_BLOCKS :]
        for block in self._blocks[-WINDOW_BLOCKS:]:
            ear.write(block, 0.0)
        return _named(ear)


def _named(ear: Ear) -> dict[str, float]:
    found = ear.levels(TONES.values())
    return {name: found[hz] for name, hz in TONES.items()}


def _right(levels: dict[str, float], own: str, there: set[str]) -> bool:
    return all(
        level > LOUD_DBOV if name in there - {own} else level < ABSENT_DBOV
        for name, level in levels.items()
    )


async def _ours(
    stack: AsyncExitStack, hub: MediaServiceProvider, conference: Conference, name: str
) -> tuple[Ear, MediaServiceProvider]:
    settings = PLAIN if name == "phone" else webrtc()
    provider = MediaServiceProvider(Identity(name=name), settings)
    await stack.enter_async_context(provider)
    tsp = await stack.enter_async_context(LoopbackTsp(provider, hub))
    call, far = tsp.pair({AUDIO})
    far.settings = settings  # the phone's leg has no ICE
    ear = Ear()
    call.stream(AUDIO, CAPTURE).select_terminal(ToneTerminal(TONES[name]))
    call.stream(AUDIO, RENDER).select_terminal(ear)
    conference.add(far)
    await tsp.connect(pair=(call, far))
    return ear, provider


@scenario(limit_s=60)
async def test_all_hear_and_know_each_other() -> None:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(MediaServiceProvider(Identity(name="Hub"), webrtc()))
        conference = await stack.enter_async_context(hub.create_conference())
        strangers = {}
        for name in ("one", "two"):
            peer = strangers[name] = await stack.enter_async_context(Stranger(TONES[name]))
            call = hub.create_call({AUDIO})
            conference.add(call, name=name)
            await (peer.call_us if name == "one" else peer.answer_us)(hub, call)
            peer.listen()
        ears = {name: await _ours(stack, hub, conference, name) for name in ("phone", "ours")}
        everybody = set(TONES)
        await eventually(lambda: {p.name for p in conference.attendees} == everybody)
        for name, peer in strangers.items():
            await eventually(lambda p=peer, n=name: _right(p.levels(), n, everybody))
            await eventually(lambda p=peer, n=name: p.knows == everybody - {n})
        for name, (ear, provider) in ears.items():
            await eventually(lambda e=ear, n=name: _right(_named(e), n, everybody))
            (call,) = provider.calls
            await eventually(
                lambda c=call, n=name: {p.name for p in c.participants} - {"Hub"} == everybody - {n}
            )
        await strangers["two"].close()
        rest = everybody - {"two"}
        await eventually(lambda: {p.name for p in conference.attendees} == rest)
        await eventually(lambda: strangers["one"].knows == rest - {"one"})
        await eventually(lambda: _right(strangers["one"].levels(), "one", rest))
