"""More people than can be decoded: who is, what the others cost, and that it does not flap."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from senses import AUDIO, VIDEO
from stream_lab import LOUD, Lab, Window, decoders

from ipconf.events import StreamFailed, SubStreamEvent
from ipconf.model import CallSettings, GoneReason
from ipconf.streams.render import RenderStream

CROWD = 200


def crowd(lab: Lab, count: int = CROWD, *, level: int | None = 90) -> list:
    return [lab.join(f"p{number}", level=level) for number in range(count)]


def decoded(lab: Lab) -> set[str]:
    return {s.participant.identity for s, _ in lab.stream.receivers.items()}


def test_a_flood_of_sources_gets_few_decoders() -> None:
    lab = Lab(AUDIO)
    lab.windows(1)
    lab.connect()
    crowd(lab, 500)
    lab.run(1.0)
    stats = lab.stream.stats()
    assert CallSettings().max_decoded_sources == 32
    assert len(lab.stream.receivers) == stats.decoders == 32
    assert len(stats.substreams) == 500
    assert stats.undecoded == stats.packets - sum(
        share.packets for share in stats.substreams if share.decoded
    )


def test_sources_beyond_all_limits_are_only_counted() -> None:
    lab = Lab(AUDIO)
    lab.windows(1)
    lab.connect()
    senders = crowd(lab, 520)
    lab.run(0.1)
    assert len(lab.stream.substreams) == 512
    assert lab.stream.refused == lab.stream.stats().refused == sum(
        sender.source.packets for sender in senders[512:]
    )  # fmt: skip


def test_who_begins_to_talk_is_heard_soon() -> None:
    lab = Lab(AUDIO, max_decoded_sources=4)
    lab.windows(1)
    lab.connect()
    people = crowd(lab, 40)
    lab.run(3)
    assert decoded(lab) == {"p0", "p1", "p2", "p3"}
    lab.told()
    people[30].level = LOUD
    lab.run(0.2)
    assert "p30" in decoded(lab)
    assert lab.told(SubStreamEvent) == [("SubStreamUnmapped", "p0"), ("SubStreamMapped", "p30")]
    assert lab.stream.stats().decoders == 4


def test_more_talkers_than_decoders_do_not_flap() -> None:
    lab = Lab(AUDIO, max_decoded_sources=4)
    lab.windows(1)
    lab.connect()
    people = crowd(lab, 12)
    for person in people:
        person.level = LOUD
    lab.run(5)
    lab.told()
    lab.run(30)
    assert lab.told(SubStreamEvent) == []


def test_who_tells_no_level_is_listened_to_in_turn() -> None:
    lab = Lab(AUDIO, max_decoded_sources=2)
    lab.windows(1)
    lab.connect()
    crowd(lab, 6, level=None)
    heard = set[str]()
    for _ in range(100):
        lab.run(0.1)
        assert len(lab.stream.receivers) <= 2
        heard |= decoded(lab)
    assert heard == {f"p{number}" for number in range(6)}


def test_who_has_stopped_sending_makes_place() -> None:
    lab = Lab(AUDIO, max_decoded_sources=2)
    lab.windows(1)
    lab.connect()
    people = crowd(lab, 3)
    lab.run(3)
    people[0].sends = False
    lab.run(3)
    assert decoded(lab) == {"p1", "p2"}


def test_who_has_a_terminal_of_their_own_is_decoded_first() -> None:
    lab = Lab(AUDIO, max_decoded_sources=2)
    lab.windows(1)
    lab.connect()
    people = crowd(lab, 5)
    lab.run(0.1)
    for person in people[:2]:
        person.level = LOUD
    lab.run(1)
    own = Window(AUDIO)
    people[4].substream.select_terminal(own)
    lab.run(1)
    assert "p4" in decoded(lab) and own.got and len(lab.stream.receivers) == 2


def test_windows_are_bounded_too() -> None:
    with decoders():
        lab = Lab(VIDEO, max_decoded_sources=3)
        lab.connect()
        windows = lab.windows(5)
        crowd(lab, 8)
        lab.run(1)
        for window in windows:
            window.got.clear()  # before all had come, windows that nobody needed showed the first
        lab.run(1)
        assert len(lab.stream.receivers) == 3
        assert sum(bool(window.got) for window in windows) == 3


def test_who_is_pinned_is_decoded_first() -> None:
    with decoders():
        lab = Lab(VIDEO, max_decoded_sources=1)
        lab.connect()
        lab.windows(2)
        people = crowd(lab, 3)
        people[0].level = LOUD
        lab.run(1)
        assert decoded(lab) == {"p0"}
        lab.control.pin(people[2].person)
        assert decoded(lab) == set() and people[2].substream in lab.stream._decoded
        lab.run(1)
        assert decoded(lab) == {"p2"}


@pytest.mark.parametrize("medium", [AUDIO, VIDEO], ids=["audio", "video"])
def test_hundreds_who_leave_at_once_cost_one_look(medium: object) -> None:
    look = RenderStream._map
    with decoders(), patch.object(RenderStream, "_map", autospec=True, side_effect=look) as looks:
        lab = Lab(medium)
        lab.windows(4)
        lab.connect()
        people = crowd(lab, 400)
        lab.run(1.0)
        looks.reset_mock()
        for person in people:
            del lab.channel.session.sources[person.source.ssrc]
            person.leave()
        assert looks.call_count <= 1
        lab.run(0.2)
        assert not lab.stream.substreams and not len(lab.stream.receivers)


@pytest.mark.parametrize("medium", [AUDIO, VIDEO], ids=["audio", "video"])
def test_nothing_is_left_of_people_who_come_and_go(medium: object) -> None:
    with decoders():
        lab = Lab(medium, max_decoded_sources=4)
        lab.windows(4)
        lab.connect()
        for turn in range(30):
            people = crowd(lab, 10)
            lab.run(0.1)
            for person in people:
                del lab.channel.session.sources[person.source.ssrc]
                person.leave(GoneReason.BYE if turn % 2 else GoneReason.TIMEOUT)
        lab.run(0.1)
        stream = lab.stream
        assert not stream.substreams and not len(stream.receivers) and not stream.active
        assert not stream._decoders.held and not stream._decoders._left and not stream._decoded
        assert lab.told(StreamFailed) == []
        assert stream.stats().packets == 30 * 10 * 5 + 30 * 10
