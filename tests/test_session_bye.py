"""Leaving, coming back, and what may go wrong around it (RFC 3550 sections 6.3.4, 6.3.7, 6.6)."""

from sessions import AUDIO, OPUS, VIDEO, hear, media, next_report, of_type, rtp, sdes, sent, session

from ipconf.engine.members import BYE_LINGER_S
from ipconf.engine.outputs import SourceGone, SourceHeard
from ipconf.engine.rtcp_wire import (
    Goodbye,
    ReceiverReport,
    SourceDescription,
    compose,
    compose_compound,
)
from ipconf.model import GoneReason


def test_a_bye_removes_the_source_and_gives_the_reason() -> None:
    ours = session()
    hear(ours, 7, 1.0)
    source = ours.sources[7]
    (gone,) = ours.receive(compose(Goodbye((7,), "dinner is ready")), 2.0)
    assert gone == SourceGone(source, GoneReason.BYE, "dinner is ready")
    assert not ours.sources


def test_a_bye_may_name_several() -> None:
    ours = session()
    hear(ours, 7, 1.0, csrcs=(71, 72))
    outputs = ours.receive(compose(Goodbye((7, 71, 99, 72))), 2.0)
    assert [o.source.ssrc for o in outputs] == [7, 71, 72]


def test_a_bye_of_nobody_does_nothing() -> None:
    ours = session()
    assert ours.receive(compose(Goodbye((99,))), 1.0) == []


def test_who_only_comes_to_say_bye_was_never_there() -> None:
    ours = session()
    farewell = [ReceiverReport(7, ()), sdes(7, (1, "them")), Goodbye((7,), "wrong number")]
    assert ours.receive(compose_compound(farewell), 1.0) == []


def test_a_candidate_that_says_bye_is_forgotten() -> None:
    ours = session()
    ours.receive(rtp(7, 1), 1.0)
    ours.receive(compose(Goodbye((7,))), 1.1)
    assert ours.receive(rtp(7, 2), 1.2) == []


def test_packets_that_the_bye_overtook_do_not_bring_the_source_back() -> None:
    ours = session()
    hear(ours, 7, 1.0, count=5)
    ours.receive(compose(Goodbye((7,))), 1.1)
    assert hear(ours, 7, 1.1, sequence=6, count=10) == []
    report = compose_compound([ReceiverReport(7, ()), sdes(7, (1, "them"))])
    assert ours.receive(report, 1.2) == []
    assert not ours.sources
    assert ours.stats.discarded == 10


def test_a_return_after_bye_is_a_new_source() -> None:
    ours = session()
    hear(ours, 7, 1.0)
    first = ours.sources[7]
    ours.receive(compose(Goodbye((7,))), 1.1)
    outputs = hear(ours, 7, 1.1 + BYE_LINGER_S, sequence=3)
    assert of_type(outputs, SourceHeard) == [SourceHeard(ours.sources[7])]
    assert media(outputs) == [3, 4]
    assert ours.sources[7] is not first


def test_a_second_bye_after_a_return_counts_too() -> None:
    ours = session()
    for turn in range(3):
        hear(ours, 7, 1.0 + turn, sequence=100 * turn)
        (gone,) = ours.receive(compose(Goodbye((7,))), 1.1 + turn)
        assert isinstance(gone, SourceGone)


def test_our_bye_names_all_our_ssrcs_in_a_whole_compound() -> None:
    ours = session(sections=(AUDIO, VIDEO))
    ours.send("a", OPUS, 0, b"x", 1.0)
    (farewell,) = sent(ours.leave("good night", 2.0))
    assert [type(p) for p in farewell] == [ReceiverReport, SourceDescription, Goodbye]
    assert farewell[1].chunks[0].items[0].text == "us"
    assert farewell[2] == Goodbye((ours.local("a").ssrc, ours.local("v").ssrc), "good night")
    assert ours.left


def test_a_long_reason_is_cut_between_letters() -> None:
    ours = session()
    next_report(ours)
    (farewell,) = sent(ours.leave("ü" * 200, 9.0))
    assert farewell[-1].reason == "ü" * 127


def test_who_never_said_anything_leaves_silently() -> None:
    ours = session()
    hear(ours, 7, 0.1)
    assert ours.leave("bye", 0.2) == []
    assert ours.left


def test_leaving_twice_says_bye_once() -> None:
    ours = session()
    next_report(ours)
    assert len(ours.leave("bye", 9.0)) == 1
    assert ours.leave("bye", 9.0) == []


def test_after_leaving_nothing_happens_any_more() -> None:
    ours = session(sections=(VIDEO,))
    hear(ours, 7, 0.1, payload_type=96)
    next_report(ours)
    ours.leave("bye", 9.0)
    assert not ours.receive(rtp(7, 3, payload_type=96), 9.1)
    assert not ours.receive(compose(Goodbye((7,))), 9.1)
    assert ours.handle_timer(99.0) == []
    assert ours.request_key_frame(7, 9.1) == ours.request_resend(7, [3], 9.1) == []
    assert ours.describe({1: "other"}, {}, 9.1) == []
    assert ours.resend("v", 1, 9.1) is None
    assert ours.next_deadline() == float("inf")


def test_both_sides_of_a_bye_agree() -> None:
    ours, theirs = session("us", 1), session("them", 2)
    for turn in range(3):
        theirs.receive(ours.send("a", OPUS, turn * 960, b"x", 0.1), 0.1)
    (farewell,) = ours.leave("done", 1.0)
    (gone,) = theirs.receive(farewell.datagram, 1.1)
    assert (gone.source.ssrc, gone.text) == (ours.local("a").ssrc, "done")
