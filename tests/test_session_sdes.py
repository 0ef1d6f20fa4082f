"""Who people are: the eight SDES items, sent in turn, changed in mid-call (RFC 3550 6.3.9, 6.5)."""

import pytest
from sessions import AUDIO, VIDEO, hear, next_report, of_type, sdes, sent, session

from ipconf.engine.outputs import SourceDescribed, SourceHeard
from ipconf.engine.reception import MAX_PRIVATE_ITEMS
from ipconf.engine.rtcp_wire import (
    ReceiverReport,
    RtcpPacket,
    SdesItem,
    SourceDescription,
    compose,
    compose_compound,
)
from ipconf.engine.session import RtpSession, Section
from ipconf.errors import ConfigurationError
from ipconf.model import MediaType, SdesType

CNAME, NAME, EMAIL, PHONE, LOC, TOOL, NOTE, PRIV = SdesType
EVERYTHING = {
    CNAME: "us@host",
    NAME: "Ours Truly",
    EMAIL: "us@example.org",
    PHONE: "+49 30 1234",
    LOC: "Room 5, Zürich",
    TOOL: "ipconf",
    NOTE: "back at five",
}
PRIVATE = {"org.example.seat": "12", "org.example.badge": "red"}


def items(packets: list[RtcpPacket], ssrc: int) -> tuple[SdesItem, ...]:
    chunks = [c for p in of_type(packets, SourceDescription) for c in p.chunks if c.ssrc == ssrc]
    assert len(chunks) == 1
    return chunks[0].items


def said(ours: RtpSession, reports: int) -> list[dict[tuple[int, str], str]]:
    """The items of the next reports, by type and prefix."""
    ssrc = ours.local("a").ssrc
    return [
        {(i.type, i.prefix): i.text for i in items(next_report(ours)[1], ssrc)}
        for _ in range(reports)
    ]


def test_the_first_report_says_everything() -> None:
    ours = session(identity=EVERYTHING, private=PRIVATE)
    (first,) = said(ours, 1)
    expected = {(int(kind), ""): text for kind, text in EVERYTHING.items()}
    assert first == expected | {(8, prefix): text for prefix, text in PRIVATE.items()}


def test_all_eight_kinds_arrive_at_the_other_side() -> None:
    ours, theirs = session(identity=EVERYTHING, private=PRIVATE), session("them", 2)
    outputs = ours.handle_timer(ours.next_deadline())
    (heard,) = theirs.receive(outputs[0].datagram, 3.0)
    assert heard == SourceHeard(theirs.sources[ours.local("a").ssrc])
    assert heard.source.items == EVERYTHING
    assert heard.source.private == PRIVATE


def test_the_cname_is_in_every_report_and_the_name_in_every_second() -> None:
    ours = session(identity=EVERYTHING, private=PRIVATE)
    later = said(ours, 22)[2:]
    assert all(report[CNAME, ""] == "us@host" for report in later)
    assert [(NAME, "") in report for report in later] == [False, True] * 10


def test_the_other_items_take_turns() -> None:
    ours = session(identity=EVERYTHING, private=PRIVATE)
    later = said(ours, 2 + 28)[2:]
    others = [key for report in later for key in report if key[0] not in (CNAME, NAME)]
    assert sorted(set(others[:7])) == sorted(
        [(EMAIL, ""), (PHONE, ""), (LOC, ""), (TOOL, ""), (NOTE, "")]
        + [(PRIV, "org.example.seat"), (PRIV, "org.example.badge")]
    )
    assert others[:7] == others[7:14]
    assert all(len(report) == 2 for report in later)


def test_long_items_are_spread_over_reports_and_all_arrive() -> None:
    long = {kind: str(int(kind)) * 255 for kind in EVERYTHING}
    ours = session(identity=long, private={"p": "x" * 253}, sections=(AUDIO, VIDEO))
    theirs = session("them", 2)
    for _ in range(60):
        now = ours.next_deadline()
        for output in ours.handle_timer(now):
            assert len(output.datagram) <= 1200
            theirs.receive(output.datagram, now)
    for mid in "av":
        source = theirs.sources[ours.local(mid).ssrc]
        assert source.items == long
        assert source.private == {"p": "x" * 253}


def test_a_change_goes_out_at_once_and_is_repeated() -> None:
    ours = session(identity=EVERYTHING)
    said(ours, 6)
    now = ours.next_deadline() - 0.5
    (early,) = sent(ours.describe(EVERYTHING | {NOTE: "in a meeting"}, {}, now))
    assert SdesItem(int(NOTE), "in a meeting") in items(early, ours.local("a").ssrc)
    assert said(ours, 1)[0][NOTE, ""] == "in a meeting"


def test_saying_the_same_again_says_nothing() -> None:
    ours = session(identity=EVERYTHING, private=PRIVATE)
    assert ours.describe(EVERYTHING, PRIVATE, 1.0) == []


def test_a_change_arrives_as_one_event() -> None:
    ours, theirs = session(identity=EVERYTHING, private=PRIVATE), session("them", 2)
    now = ours.next_deadline()
    theirs.receive(ours.handle_timer(now)[0].datagram, now)
    changed = EVERYTHING | {NAME: "New Name", NOTE: "busy"}
    (early,) = ours.describe(changed, PRIVATE | {"org.example.seat": "13"}, now + 1)
    (described,) = theirs.receive(early.datagram, now + 1)
    source = theirs.sources[ours.local("a").ssrc]
    assert described == SourceDescribed(source, (NAME, NOTE, PRIV))
    assert (source.items, source.private["org.example.seat"]) == (changed, "13")
    assert theirs.receive(ours.handle_timer(ours.next_deadline())[0].datagram, now + 9) == []


def test_an_item_taken_back_disappears_on_the_other_side() -> None:
    ours, theirs = session(identity=EVERYTHING, private=PRIVATE), session("them", 2)
    now = ours.next_deadline()
    theirs.receive(ours.handle_timer(now)[0].datagram, now)
    less = {kind: text for kind, text in EVERYTHING.items() if kind is not PHONE}
    (early,) = ours.describe(less, {}, now + 1)
    (described,) = theirs.receive(early.datagram, now + 1)
    source = theirs.sources[ours.local("a").ssrc]
    assert set(described.changed) == {PHONE, PRIV}
    assert (source.items, source.private) == (less, {})
    assert all((PHONE, "") not in report for report in said(ours, 20)[2:])


def test_a_late_newcomer_learns_everything_in_time() -> None:
    ours, theirs = session(identity=EVERYTHING, private=PRIVATE), session("them", 2)
    said(ours, 9)
    for _ in range(40):  # some of them are put off
        now = ours.next_deadline()
        for output in ours.handle_timer(now):
            theirs.receive(output.datagram, now)
    source = theirs.sources[ours.local("a").ssrc]
    assert (source.items, source.private) == (EVERYTHING, PRIVATE)


def test_every_ssrc_of_ours_is_described() -> None:
    ours = session(identity=EVERYTHING, sections=(AUDIO, VIDEO))
    _, packets = next_report(ours)
    assert all(len(p.chunks) == 1 for p in of_type(packets, SourceDescription))
    audio, video = (items(packets, ours.local(mid).ssrc) for mid in "av")
    assert audio == video


def test_described_only_when_something_changed() -> None:
    ours = session()
    hear(ours, 7, 0.1)
    first = compose(sdes(7, (CNAME, "them"), (NAME, "Them")))
    (described,) = ours.receive(first, 1.0)
    assert described.changed == (CNAME, NAME)
    assert ours.receive(first, 2.0) == []
    (described,) = ours.receive(compose(sdes(7, (CNAME, "them"), (NAME, "They"))), 3.0)
    assert described.changed == (NAME,)


def test_an_item_that_is_not_mentioned_stays() -> None:
    ours = session()
    ours.receive(compose(sdes(7, (CNAME, "them"), (NAME, "Them"))), 1.0)
    assert ours.receive(compose(sdes(7, (CNAME, "them"))), 2.0) == []
    assert ours.sources[7].items == {CNAME: "them", NAME: "Them"}


def test_an_empty_cname_changes_nothing() -> None:
    ours = session()
    ours.receive(compose(sdes(7, (CNAME, "them"))), 1.0)
    assert ours.receive(compose(sdes(7, (CNAME, ""))), 2.0) == []
    assert ours.sources[7].items == {CNAME: "them"}


def test_the_number_of_private_items_is_bounded() -> None:
    ours = session()
    flood = [(PRIV, "x", f"prefix {n}") for n in range(3 * MAX_PRIVATE_ITEMS)]
    ours.receive(compose(sdes(7, (CNAME, "them"), *flood)), 1.0)
    assert len(ours.sources[7].private) == MAX_PRIVATE_ITEMS
    ours.receive(compose(sdes(7, (CNAME, "them"), (PRIV, "new", "prefix 3"))), 2.0)
    assert ours.sources[7].private["prefix 3"] == "new"


def test_unknown_items_are_passed_over() -> None:
    ours = session()
    ours.receive(compose(sdes(7, (CNAME, "them"), (15, "mid"), (200, "?"))), 1.0)
    assert ours.sources[7].items == {CNAME: "them"}


@pytest.mark.parametrize(
    ("identity", "private"),
    [
        ({NAME: "no cname"}, {}),
        ({CNAME: "c", NOTE: "ü" * 128}, {}),
        ({CNAME: "c"}, {"p": "x" * 254}),
    ],
)
def test_a_description_that_cannot_be_said_is_refused(
    identity: dict[SdesType, str], private: dict[str, str]
) -> None:
    ours = session()
    with pytest.raises(ConfigurationError):
        ours.describe(identity, private, 1.0)
    assert said(ours, 1)[0][CNAME, ""] == "us"


def test_names_and_media_in_any_order_make_one_source() -> None:
    ours = session()
    hear(ours, 7, 0.1, count=1)
    ours.receive(compose_compound([ReceiverReport(7, ()), sdes(7, (CNAME, "them"))]), 0.2)
    outputs = hear(ours, 7, 0.3, sequence=2, count=1)
    assert not of_type(outputs, SourceHeard)
    assert ours.sources[7].packets == 2


@pytest.mark.parametrize(
    ("announced", "kept"),
    [
        ("them\r\nforged\x1b[0m\x00", "themforged[0m"),
        ("ä" * 300, "ä" * 127),
        ("x" * 254 + "ä", "x" * 254),
        ("lone \ud800", "lone ?"),
        ("\x00\x07", None),
    ],
)
def test_a_cname_from_a_description_is_kept_as_one_from_rtcp(announced, kept) -> None:
    section = Section("a", MediaType.AUDIO, AUDIO.formats, ssrcs={7: announced})
    ours = session(sections=(section,))
    hear(ours, 7, 0.1)
    assert ours.sources[7].items.get(CNAME) == kept


def test_control_characters_are_left_out_of_what_others_tell() -> None:
    ours = session()
    told = [(CNAME, "th\x00em"), (NAME, "Mal\x1b[2Jlory\r\n"), (PRIV, "4\x9b", "se\tat")]
    ours.receive(compose_compound([ReceiverReport(7, ()), sdes(7, *told)]), 0.1)
    source = ours.sources[7]
    assert source.items == {CNAME: "them", NAME: "Mal[2Jlory"}
    assert source.private == {"seat": "4"}
