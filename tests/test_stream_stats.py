"""What streams, substreams and people tell in numbers, also about what is over."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from call_ends import Ends, loopback
from peers import scenario, together
from senses import ALICE, AUDIO, BOB, CAPTURE, RENDER, VIDEO
from stream_lab import PCMU, Lab, decoders

from ipconf.model import CallState, Cause, GoneReason
from ipconf.stats import CallStats, call_stats
from ipconf.streams.making import make_capture_stream
from ipconf.terminals.tones import ToneTerminal
from ipconf.transports.base import TransportCounters


@scenario()
async def test_a_stream_tells_what_the_call_tells() -> None:
    async with loopback() as (tsp, x, y):
        alice, bob = Ends(x, 440, ALICE), Ends(y, 880, BOB)
        await tsp.connect(pair=(x, y))
        await together(alice.gets(880, BOB), bob.gets(440, ALICE))
        assert [stream.stats() for stream in x.streams] == list(x.stats().streams)
        for medium in (AUDIO, VIDEO):
            (share,) = x.stream(medium, RENDER).substreams
            told = share.stats()
            assert x.stream(medium, RENDER).stats().substreams == (told,)
            assert told.identity == share.identity
            assert told.participant == x.participants[0].identity
            assert told.packets > 0 and told.decoded > 0
        assert x.stream(AUDIO, CAPTURE).stats().level_dbov < 0


def test_a_person_s_numbers_are_of_sound_and_pictures() -> None:
    with decoders():
        lab = Lab(VIDEO)
        lab.windows(1)
        lab.connect()
        ann = lab.join("ann")
        lab.run(3.05)
        stats = ann.person.stats()
        share = ann.substream.stats()
        assert share.frame_rate == stats.frame_rate == pytest.approx(50, abs=1)
        assert stats.bit_rate_bps == share.bit_rate_bps == pytest.approx(50 * 31 * 8, rel=0.1)
        assert stats.concealed_s == 0
    lab = Lab(AUDIO)
    lab.windows(1)
    lab.connect()
    ann = lab.join("ann")
    lab.run(2)
    ann.sends = False
    lab.run(1)  # no packet, no gap: there is one when the next packet comes
    ann.sends = True
    lab.run(2)
    stats = ann.person.stats()
    assert stats.frame_rate == 0  # which is of pictures
    assert stats.concealed_s == ann.substream.stats().concealed_s > 0
    assert stats.bit_rate_bps == pytest.approx(64_000, rel=0.1)


def test_counts_of_an_arriving_stream_include_who_has_left() -> None:
    lab = Lab(AUDIO)
    lab.windows(1)
    lab.connect()
    ann, bob = lab.join("ann"), lab.join("bob")
    lab.run(2)
    before = lab.stream.stats()
    ann.leave()
    bob.leave(GoneReason.TIMEOUT)
    lab.stream.disconnect(Cause.REMOTE_REQUEST)
    after = lab.stream.stats()
    assert (after.packets, after.octets, after.frames) == (
        before.packets,
        before.octets,
        before.frames,
    )
    assert before.frames > 150 and not after.running and after.bit_rate_bps == 0


def test_counts_survive_a_pause_and_a_stop() -> None:
    lab = Lab(AUDIO)
    lab.windows(1)
    lab.connect()
    ann = lab.join("ann")
    lab.run(2)
    before = ann.substream.stats().decoded
    lab.stream.stop()
    assert ann.substream.stats().decoded == before
    lab.stream.start()
    lab.run(1)
    assert before < ann.substream.stats().decoded <= before + 50


def test_counts_of_a_sent_stream_go_on_over_connections() -> None:
    lab = Lab(AUDIO)
    stream = make_capture_stream(lab, AUDIO)
    stream.select_terminal(ToneTerminal(440))
    for _ in range(2):
        source = SimpleNamespace(packets=0, octets=0, in_step=0, reports={}, settle=lambda: None)

        def send(*packet: object, source: SimpleNamespace = source, **more: object) -> None:
            source.packets += 1
            source.octets += 160

        session = SimpleNamespace(local=lambda mid, source=source: source)
        channel = SimpleNamespace(session=session, send=send)
        stream.connect(channel, SimpleNamespace(mid="0", send=PCMU, riding=()))
        lab.run(1)
        stream.disconnect(Cause.REMOTE_REQUEST)
    stats = stream.stats()
    assert stats.packets == stats.frames == pytest.approx(100, abs=2)
    assert stats.octets == 160 * stats.packets and stats.bit_rate_bps == 0


def test_what_is_told_after_the_end() -> None:
    lab = Lab(AUDIO)
    lab.windows(1)
    lab.connect()
    ann = lab.join("ann")
    lab.run(1)
    last = CallStats(
        state=CallState.CONNECTED,
        transports=(TransportCounters(sent=7),),
        sessions=({"rtp_received": 50},),
        streams=(lab.stream.stats(),),
        participants={"ann": ann.person.stats()},
    )
    ann.leave()
    lab.stream.disconnect(Cause.LOCAL_REQUEST)
    told = call_stats(CallState.DISCONNECTED, (), [lab.stream], lab.roster, last)
    assert told.state is CallState.DISCONNECTED
    assert (told.transports, told.sessions) == (last.transports, last.sessions)
    assert told.participants["ann"].packets == last.streams[0].packets == told.streams[0].packets
    assert not told.streams[0].running and not told.streams[0].active
