"""Telephones that speak too early, or not as others do: RTCP before the answer, alone, or APP."""

from __future__ import annotations

import asyncio
import re
from contextlib import closing

import pytest
from call_ends import EventLog, provider
from peers import LIMIT_S, LOCALHOST, PLAIN, eventually, scenario
from senses import AUDIO
from sessions import sdes
from transport_lab import Stranger

from ipconf import Call, GoneReason, MediaServiceProvider
from ipconf.engine.rtcp_wire import App, Goodbye, ReceiverReport, compose, compose_compound
from ipconf.engine.rtp_wire import compose_rtp
from ipconf.events import NewParticipant, ParticipantLeft, TspData
from ipconf.tsp_data import Connect, Description

SSRC = 0x77
PING = compose(App(0, SSRC, "PING", b"PING"))
REPORT = compose_compound([ReceiverReport(SSRC), sdes(SSRC, (1, "phone@here"), (2, "Phone"))])

ANSWER = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {rtp} RTP/AVP 0
a=rtcp:{rtcp}
"""


class Phone:
    """Two sockets, and what they know of our offer."""

    def __init__(self) -> None:
        self.media, self.reports = Stranger(), Stranger()
        self.offer = ""

    def __enter__(self) -> Phone:
        return self

    def __exit__(self, *exc: object) -> None:
        self.media.socket.close()
        self.reports.socket.close()

    async def called_by(self, msp: MediaServiceProvider, call: Call) -> None:
        """Get our offer, and be silent for now."""
        with closing(msp.events(TspData)) as posted:
            call.receive_tsp_data(Connect())
            async with asyncio.timeout(LIMIT_S):
                said = (await posted.wait_for(TspData)).data
        assert isinstance(said, Description)
        self.offer = said.sdp

    @property
    def port(self) -> int:
        found = re.search(r"m=audio (\d+) ", self.offer)
        assert found is not None
        return int(found[1])

    def reports_to_us(self, *datagrams: bytes) -> None:
        self.reports.send((LOCALHOST, self.port + 1), *datagrams)

    def sends(self, *numbers: int) -> None:
        packets = (compose_rtp(0, n, n * 160, SSRC, bytes([255] * 160)) for n in numbers)
        self.media.send((LOCALHOST, self.port), *packets)

    async def answers(self, call: Call) -> None:
        ports = {"rtp": self.media.address[1], "rtcp": self.reports.address[1]}
        call.receive_tsp_data(Description(type="answer", sdp=ANSWER.format(**ports)))
        await call.wait_connected()


@scenario()
async def test_a_name_that_comes_before_the_answer_is_known_after_it() -> None:
    async with provider("Us", PLAIN) as msp:
        call = msp.create_call({AUDIO})
        log = EventLog(call)
        with Phone() as phone:
            await phone.called_by(msp, call)
            phone.reports_to_us(PING, REPORT)
            phone.sends(1, 2)
            await asyncio.sleep(0.05)
            assert not call.participants
            await phone.answers(call)
            came = await log.until(NewParticipant)
            assert came.participant is not None and came.participant.name == "Phone"
            (channel,) = call._media.channels
            await eventually(lambda: channel.session.sources[SSRC].packets == 2)


@scenario()
async def test_reports_alone_make_somebody_who_can_leave() -> None:
    """Its goodbye has no report before it, as of one telephone that there is."""
    async with provider("Us", PLAIN) as msp:
        call = msp.create_call({AUDIO})
        log = EventLog(call)
        with Phone() as phone:
            await phone.called_by(msp, call)
            await phone.answers(call)
            phone.reports_to_us(REPORT)
            await log.until(NewParticipant)
            phone.reports_to_us(compose_compound([Goodbye((SSRC,), "Adjo")]))
            left = await log.until(ParticipantLeft)
            assert (left.reason, left.text) == (GoneReason.BYE, "Adjo")


@pytest.mark.parametrize("early", [True, False])
@scenario()
async def test_a_packet_of_another_kind_alone_is_nobody_and_spoils_nothing(early: bool) -> None:
    async with provider("Us", PLAIN) as msp:
        call = msp.create_call({AUDIO})
        log = EventLog(call)
        with Phone() as phone:
            await phone.called_by(msp, call)
            if not early:
                await phone.answers(call)
            phone.reports_to_us(PING, PING, PING)
            if early:
                await phone.answers(call)
            (channel,) = call._media.channels
            await eventually(lambda: channel.transport.counters.received == 3)
            assert not channel.session.sources and not call.participants
            phone.reports_to_us(REPORT)
            await log.until(NewParticipant)
            phone.sends(1, 2, 3)
            await eventually(lambda: channel.session.sources[SSRC].packets == 3)
            assert not channel.session.stats.malformed
