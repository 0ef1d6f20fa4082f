"""Whose pictures a mixer's source shows, packet by packet, on a virtual clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from senses import VIDEO
from stream_lab import Lab, Sender, decoders
from video_lab import vp8_payload

from ipconf.engine.reception import RemoteSource
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.events import SubStreamEvent
from ipconf.model import GoneReason, SdesType
from ipconf.streams.contributors import CHANGE_SPACING_S

A_WHILE_S = 2 * CHANGE_SPACING_S


@pytest.fixture
def lab() -> Iterator[Lab]:
    with decoders():
        yield Lab()


def member(lab: Lab, ssrc: int, cname: str) -> RemoteSource:
    """Somebody whom the mixer describes."""
    source = RemoteSource(ssrc, lab.now(), contributing=True)
    source.items[SdesType.CNAME] = cname
    lab.channel.session.sources[ssrc] = source
    lab.roster.source_heard(source, lab.now())
    return source


class Slot(Sender):
    """A source of a mixer, which sends only what `show` makes."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, "mixer", level=None)

    def send(self) -> None:
        """Nothing by itself."""


def show(slot: Slot, *csrcs: int, late: bool = False) -> str | None:
    """Send a picture with these contributors; who is on the substream then."""
    lab, source = slot.lab, slot.source
    slot._sequence += 1
    slot._timestamp += 3000
    packet = RtpPacket(
        lab.formats[0].payload_type, slot._sequence, slot._timestamp, source.ssrc,
        vp8_payload(7, key=True), True,
    )  # fmt: skip
    packet.source, packet.csrcs, packet.extended = source, csrcs, slot._sequence
    source.last_rtp = lab.now()
    source.highest = slot._sequence + late
    lab.stream.packet_arrived(packet, lab.now())
    return shown(slot)


def shown(sender: Sender) -> str | None:
    person = sender.substream.participant
    return person and person.identity


def test_a_source_that_names_nobody_shows_its_own(lab: Lab) -> None:
    sender = lab.join("ann", level=None)
    lab.windows(1)
    lab.connect()
    lab.run(0.1)
    assert shown(sender) == "ann" and sender.substream.whose is sender.source


def test_nobody_is_announced_as_the_mixer_first(lab: Lab) -> None:
    ann, sender = member(lab, 1, "ann"), Slot(lab)
    lab.connect()
    lab.windows(1)
    lab.told()
    assert show(sender, 1) == "ann" and sender.substream.whose is ann
    assert lab.told(SubStreamEvent) == [("NewSubStream", "ann"), ("SubStreamMapped", "ann")]
    assert ann.medium is VIDEO


def test_who_is_shown_changes_no_more_often_than_anybody_could_see(lab: Lab) -> None:
    member(lab, 1, "ann"), member(lab, 2, "ben")
    sender = Slot(lab)
    lab.connect()
    assert show(sender, 1) == "ann"
    for _ in range(100):
        assert show(sender, 2) == show(sender, 1) == "ann"
    lab.run(A_WHILE_S)
    assert show(sender, 2) == "ben"
    lab.told()
    for _ in range(100):
        show(sender, 1), show(sender)
    assert lab.told(SubStreamEvent) == [] and shown(sender) == "ben"


def test_packets_of_an_earlier_moment_say_nothing(lab: Lab) -> None:
    member(lab, 1, "ann"), member(lab, 2, "ben")
    sender = Slot(lab)
    lab.connect()
    assert show(sender, 1) == "ann"
    lab.run(A_WHILE_S)
    assert show(sender, 2, late=True) == "ann"
    assert show(sender, late=True) == "ann"
    assert show(sender, 2) == "ben"


def test_who_is_not_known_yet_is_nobody_until_they_are(lab: Lab) -> None:
    sender = Slot(lab)
    lab.connect()
    member(lab, 1, "ann")
    assert show(sender, 1) == "ann"
    lab.run(A_WHILE_S)
    assert show(sender, 2) is None
    lab.run(A_WHILE_S)
    member(lab, 2, "ben")
    assert show(sender, 2) == "ben"


def test_who_leaves_is_shown_no_more(lab: Lab) -> None:
    ann, sender = member(lab, 1, "ann"), Slot(lab)
    lab.connect()
    lab.windows(1)
    show(sender, 1)
    lab.told()
    del lab.channel.session.sources[1]
    lab.stream.source_gone(ann, GoneReason.BYE)
    lab.roster.source_gone(ann, GoneReason.BYE, "", lab.now())
    assert shown(sender) is None
    assert lab.told(SubStreamEvent) == [("SubStreamUnmapped", "ann"), ("SubStreamRemoved", "ann")]
    again = member(lab, 1, "ann")
    lab.run(A_WHILE_S)
    assert show(sender, 1) == "ann" and sender.substream.whose is again


def test_a_source_that_is_gone_is_forgotten(lab: Lab) -> None:
    member(lab, 1, "ann")
    sender = Slot(lab)
    lab.connect()
    show(sender, 1)
    sender.leave()
    assert lab.stream.whose(sender.source) is sender.source
    assert lab.stream.substreams == ()
    (ann,) = lab.roster.participants
    assert ann.identity == "ann" and ann.substreams == ()


def test_a_pin_follows_the_person_from_source_to_source(lab: Lab) -> None:
    member(lab, 1, "ann"), member(lab, 2, "ben")
    one, other = Slot(lab), Slot(lab)
    (window,) = lab.windows(1)
    lab.connect()
    show(one, 1), show(other, 2)
    lab.control.pin(lab.roster.find("ann"))  # type: ignore[arg-type]
    assert lab.stream._windows.shown == {window: one.substream}  # type: ignore[attr-defined]
    lab.run(A_WHILE_S)
    show(one, 2), show(other, 1)
    lab.run(A_WHILE_S)
    assert lab.stream._windows.shown == {window: other.substream}  # type: ignore[attr-defined]


def test_a_mute_is_the_persons(lab: Lab) -> None:
    member(lab, 1, "ann"), member(lab, 2, "ben")
    sender = Slot(lab)
    (window,) = lab.windows(1)
    lab.connect()
    show(sender, 1)
    ann = sender.substream.participant
    assert ann is not None
    ann.set_enabled(lab.stream, False)
    window.got.clear()
    show(sender, 1)
    assert window.got == []
    lab.run(A_WHILE_S)
    show(sender, 2)
    assert window.got == [7]
