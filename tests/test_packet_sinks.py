"""Terminals that take packets as they come: whose, how, and what the stream still knows of them."""

from __future__ import annotations

from collections import Counter

import pytest
from senses import AUDIO, RENDER
from stream_lab import Lab, Sender, Window

from ipconf.engine.reception import RemoteSource
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.engine.session_config import PayloadFormat
from ipconf.events import (
    CallMediaEvent,
    ParticipantActive,
    ParticipantInactive,
)
from ipconf.model import Cause
from ipconf.terminals.packets import PacketSink, PacketTaker

REMOTE, TIMEOUT, RECOVERED = Cause.REMOTE_REQUEST, Cause.MEDIA_TIMEOUT, Cause.MEDIA_RECOVERED
A_SECOND = 50
"""Packets."""


class Sink(PacketSink):
    """Counts packets by their source, and how many of them came the quick way."""

    def __init__(self) -> None:
        super().__init__("sink", AUDIO, RENDER)
        self.taken: Counter[RemoteSource] = Counter()
        self.quick = 0
        self.running = False

    def begin(self, formats: tuple[PayloadFormat, ...]) -> None:
        self.running = True

    def end(self) -> None:
        self.running = False

    def packet_arrived(self, packet: RtpPacket, now: float) -> None:
        assert self.running and packet.source is not None
        self.taken[packet.source] += 1

    def taker(self, source: RemoteSource) -> PacketTaker:
        return self._take

    def _take(self, packet: RtpPacket, now: float) -> None:
        self.packet_arrived(packet, now)
        self.quick += 1

    def source_gone(self, source: RemoteSource) -> None:
        del self.taken[source]

    def took(self, sender: Sender) -> int:
        """How many packets of theirs it has taken since it was asked last."""
        count, self.taken[sender.source] = self.taken[sender.source], 0
        return count


@pytest.fixture
def lab() -> Lab:
    return Lab(AUDIO)


@pytest.fixture
def sink(lab: Lab) -> Sink:
    sink = Sink()
    lab.stream.select_terminal(sink)
    lab.connect()
    return sink


def test_all_packets_but_the_first_are_passed_on_at_once(lab: Lab, sink: Sink) -> None:
    ann, bob = lab.join("ann"), lab.join("bob")
    lab.run(0.99)
    assert sink.took(ann) == sink.took(bob) == A_SECOND
    assert 2 * A_SECOND - 4 <= sink.quick <= 2 * A_SECOND - 2
    stats = lab.stream.stats()
    assert (stats.packets, stats.undecoded, stats.decoders) == (2 * A_SECOND, 0, 0)


def test_two_sinks_get_the_same(lab: Lab, sink: Sink) -> None:
    other = Sink()
    ann = lab.join("ann")
    lab.run(0.5)
    lab.stream.select_terminal(other)
    sink.took(ann)
    lab.run(0.5)
    assert sink.took(ann) == other.took(ann) > 20
    lab.stream.unselect_terminal(sink)
    lab.run(0.5)
    assert sink.took(ann) == 0 < other.took(ann)


def test_who_is_decoded_meanwhile_is_passed_on_as_well(lab: Lab, sink: Sink) -> None:
    ann, bob = lab.join("ann"), lab.join("bob")
    lab.run(0.5)
    window = Window(AUDIO)
    ann.substream.select_terminal(window)
    sink.took(ann), sink.took(bob)
    lab.run(1.0)
    assert len(window.got) > 40 and lab.stream.stats().decoders == 1
    assert sink.took(ann) == sink.took(bob) == A_SECOND
    ann.substream.unselect_terminal(window)
    window.got.clear()
    lab.run(1.0)
    assert not window.got and sink.took(ann) == A_SECOND


def test_nothing_is_passed_on_in_a_pause(lab: Lab, sink: Sink) -> None:
    ann = lab.join("ann")
    lab.run(0.5)
    sink.took(ann)
    lab.stream.pause()
    lab.run(0.5)
    assert sink.took(ann) == 0 and not sink.running
    lab.stream.start()
    lab.run(0.5)
    assert sink.took(ann) > 20


def test_who_has_gone_is_not_passed_on(lab: Lab, sink: Sink) -> None:
    ann, bob = lab.join("ann"), lab.join("bob")
    lab.run(0.5)
    ann.leave()
    ann.send()  # somebody new, as far as the stream knows
    assert sink.took(ann) == 1 and sink.took(bob) > 20


def test_who_has_gone_from_a_crowd_is_not_passed_on() -> None:
    lab, sink = Lab(AUDIO, max_decoded_sources=1), Sink()
    lab.stream.select_terminal(sink)
    lab.windows(1)
    lab.connect()
    people = [lab.join(f"guest {number}") for number in range(4)]
    lab.run(1.01)
    for person in people[2:]:  # who are not decoded; the second right after the first
        person.leave()
        quick = sink.quick
        person.send()
        assert sink.quick == quick


def test_media_that_pause_are_a_timeout_though_nobody_looks_at_packets(
    lab: Lab, sink: Sink
) -> None:
    ann = lab.join("ann")
    lab.run(20.0)
    assert lab.told(CallMediaEvent) == [("StreamActive", REMOTE)]
    ann.sends = False
    lab.run(4.9)
    assert lab.told(CallMediaEvent) == []
    lab.run(0.3)
    assert lab.told(CallMediaEvent) == [("StreamInactive", TIMEOUT)]
    ann.sends = True
    lab.run(0.2)
    assert lab.told(CallMediaEvent) == [("StreamActive", RECOVERED)]
    assert sink.took(ann) > 20 * A_SECOND


def test_a_newcomer_does_not_end_what_flows(lab: Lab, sink: Sink) -> None:
    ann = lab.join("ann")
    lab.run(10.0)
    ann.sends = False
    lab.stream.create_substream()
    lab.stream.select_terminal(Sink())  # the stream looks at everything anew
    lab.run(0.2)
    assert lab.told(CallMediaEvent) == [("StreamActive", REMOTE)]


def test_talk_is_still_told(lab: Lab, sink: Sink) -> None:
    ann = lab.join("ann")
    lab.run(3.0)
    assert lab.told(ParticipantActive, ParticipantInactive) == []
    ann.talk(0.5)
    assert lab.told(ParticipantActive, ParticipantInactive) == [("ParticipantActive",)]
    lab.run(0.5)
    assert lab.told(ParticipantActive, ParticipantInactive) == []
    lab.run(0.3)
    assert lab.told(ParticipantActive, ParticipantInactive) == [("ParticipantInactive",)]
    assert sink.quick > 3 * A_SECOND
