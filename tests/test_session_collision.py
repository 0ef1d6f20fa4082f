"""Two with one SSRC, and our own packets coming back (RFC 3550 section 8.2)."""

import random

from sessions import (
    AUDIO,
    OPUS,
    RTX,
    VIDEO,
    VP8,
    config,
    hear,
    media,
    of_type,
    rtp,
    sdes,
    sent,
    session,
)

from ipconf.engine.local_sources import CHANGE_SPACING_S, MAX_CONFLICTS
from ipconf.engine.members import ORIGIN_QUIET_S
from ipconf.engine.outputs import LocalSsrcChanged, SourceHeard, Transmit
from ipconf.engine.rtcp_wire import (
    Goodbye,
    ReceiverReport,
    SenderReport,
    SourceDescription,
    compose,
    compose_compound,
)
from ipconf.engine.session import RtpSession


def our_packets(ours: RtpSession, count: int = 5) -> list[bytes]:
    return [ours.send("a", OPUS, turn * 960, b"x", turn * 0.02) for turn in range(count)]


def test_somebody_with_our_ssrc_gets_it_and_we_say_bye_for_it() -> None:
    ours = session()
    our_packets(ours)
    old = ours.local("a").ssrc
    outputs = ours.receive(rtp(old, 9), 1.0, "elsewhere")
    (change,) = of_type(outputs, LocalSsrcChanged)
    assert change.old == old
    assert change.new == ours.local("a").ssrc != old
    (farewell,) = sent(outputs)
    assert [type(p) for p in farewell] == [ReceiverReport, SourceDescription, Goodbye]
    assert farewell[-1].ssrcs == (old,)
    assert ours.stats.collisions == 1


def test_after_a_collision_the_other_party_is_a_source() -> None:
    ours = session()
    old = ours.local("a").ssrc
    ours.receive(rtp(old, 9), 1.0, "elsewhere")
    (heard, *packets) = ours.receive(rtp(old, 10), 1.02, "elsewhere")
    assert heard == SourceHeard(ours.sources[old])
    assert media(packets) == [9, 10]


def test_after_a_collision_we_start_over() -> None:
    ours = session()
    our_packets(ours)
    ours.receive(rtp(ours.local("a").ssrc, 9), 1.0, "elsewhere")
    local = ours.local("a")
    assert (local.packets, local.octets, local.last_sent, local.reports) == (0, 0, None, {})


def test_a_new_ssrc_is_nobody_elses() -> None:
    ours = session()
    for ssrc in range(1, 100):
        hear(ours, ssrc, 1.0)
    ours.receive(rtp(ours.local("a").ssrc, 9), 2.0, "elsewhere")
    assert ours.local("a").ssrc not in ours.sources


def test_our_ssrcs_are_different_from_one_another() -> None:
    class Stuck(random.Random):
        """Draws every number of 32 bits three times, the first time 0."""

        drawn = -1

        def getrandbits(self, k: int) -> int:
            self.drawn += 1
            return self.drawn // 3 if k == 32 else super().getrandbits(k)

    ours = RtpSession(config(sections=(AUDIO, VIDEO)), Stuck(1), 0.0)
    ssrcs = {ours.local("a").ssrc, ours.local("v").ssrc, ours.local("v").rtx_ssrc}
    assert len(ssrcs) == 3
    assert not ssrcs & {0, None}


def test_our_own_media_coming_back_is_an_echo() -> None:
    ours = session()
    ssrc = ours.local("a").ssrc
    for packet in our_packets(ours):
        assert ours.receive(packet, 1.0, "loop") == []
    assert (ours.stats.own_ssrc, ours.stats.collisions) == (5, 0)
    assert ours.local("a").ssrc == ssrc
    assert not ours.sources


def test_our_own_reports_coming_back_are_an_echo() -> None:
    ours = session()
    our_packets(ours)
    for output in ours.handle_timer(ours.next_deadline()):
        assert isinstance(output, Transmit)
        assert ours.receive(output.datagram, 5.0, "loop") == []
    assert (ours.stats.own_ssrc, ours.stats.collisions) == (1, 0)


def test_our_own_goodbye_coming_back_is_an_echo() -> None:
    ours = session()
    assert ours.receive(compose(Goodbye((ours.local("a").ssrc,), "who?")), 1.0) == []
    assert ours.stats.own_ssrc == 1
    assert not ours.left


def test_a_report_repacked_by_a_translator_is_an_echo_by_its_cname() -> None:
    ours = session(cname="us")
    ssrc = ours.local("a").ssrc
    repacked = compose_compound([SenderReport(ssrc, 1, 2, 3, 4), sdes(ssrc, (1, "us"))])
    assert ours.receive(repacked, 1.0, "translator") == []
    assert ours.stats.own_ssrc == 2  # as a reporter and as a description
    assert ours.stats.collisions == 0


def test_another_cname_under_our_ssrc_is_a_collision() -> None:
    ours = session(cname="us")
    old = ours.local("a").ssrc
    theirs = compose_compound([ReceiverReport(old, ()), sdes(old, (1, "them"))])
    outputs = ours.receive(theirs, 1.0, "elsewhere")
    assert of_type(outputs, LocalSsrcChanged)[0].old == old
    assert of_type(outputs, SourceHeard) == [SourceHeard(ours.sources[old])]


def test_a_report_without_name_under_our_ssrc_is_a_collision() -> None:
    ours = session()
    old = ours.local("a").ssrc
    outputs = ours.receive(compose(ReceiverReport(old, ())), 1.0, "elsewhere")
    assert of_type(outputs, LocalSsrcChanged)[0].old == old


def test_a_loop_that_looks_like_a_collision_changes_the_ssrc_once_only() -> None:
    ours = session()
    first = ours.local("a").ssrc
    ours.receive(rtp(first, 9), 1.0, "loop")
    second = ours.local("a").ssrc
    for turn in range(20):
        assert ours.receive(rtp(second, 50 + turn), 3.0 + turn, "loop") == []
    assert ours.local("a").ssrc == second != first
    assert (ours.stats.collisions, ours.stats.own_ssrc) == (1, 20)


def test_a_conflicting_address_is_forgotten_after_ten_intervals() -> None:
    ours = session()
    ours.receive(rtp(ours.local("a").ssrc, 9), 1.0, "elsewhere")
    while (now := ours.next_deadline()) < 70.0:
        ours.handle_timer(now)
    second = ours.local("a").ssrc
    ours.receive(rtp(second, 9), 70.0, "elsewhere")
    assert ours.local("a").ssrc != second


def test_strangers_cannot_make_us_change_faster_than_the_spacing() -> None:
    ours = session()
    for turn in range(100):
        ours.receive(rtp(ours.local("a").ssrc, 9), 1.0 + turn * 0.01, f"stranger {turn}")
    assert ours.stats.collisions == 1
    ours.receive(rtp(ours.local("a").ssrc, 9), 1.0 + CHANGE_SPACING_S, "another")
    assert ours.stats.collisions == 2


def test_many_conflicts_do_not_grow_without_bound() -> None:
    ours = session()
    for turn in range(2 * MAX_CONFLICTS):
        ours.receive(rtp(ours.local("a").ssrc, 9), 1.0 + turn * CHANGE_SPACING_S, turn)
    assert ours.stats.collisions == 2 * MAX_CONFLICTS
    # The first address is forgotten and counts as new.
    ours.receive(rtp(ours.local("a").ssrc, 9), 2.0 + 2 * MAX_CONFLICTS, 0)
    assert ours.stats.collisions == 2 * MAX_CONFLICTS + 1


def test_our_retransmissions_coming_back_are_an_echo() -> None:
    ours = session(sections=(AUDIO, VIDEO))
    rtx_ssrc = ours.local("v").rtx_ssrc
    assert rtx_ssrc is not None
    sequence = ours.local("v").sequence
    ours.send("v", VP8, 0, b"frame", 1.0)
    repeat = ours.resend("v", sequence, 1.1)
    assert repeat is not None
    assert ours.receive(repeat, 1.2, "loop") == []
    assert hear(ours, rtx_ssrc, 1.3, payload_type=RTX) == []
    assert (ours.stats.own_ssrc, ours.stats.collisions) == (3, 0)


def test_a_collision_with_our_retransmission_ssrc_changes_both() -> None:
    ours = session(sections=(VIDEO,))
    old, old_rtx = ours.local("v").ssrc, ours.local("v").rtx_ssrc
    assert old_rtx is not None
    theirs = compose_compound([ReceiverReport(old_rtx, ()), sdes(old_rtx, (1, "them"))])
    outputs = ours.receive(theirs, 1.0, "elsewhere")
    assert of_type(outputs, LocalSsrcChanged) == [LocalSsrcChanged(old, ours.local("v").ssrc)]
    assert ours.local("v").rtx_ssrc != old_rtx
    assert set(ours.sources) == {old_rtx}


def test_of_two_others_with_one_ssrc_the_first_is_heard() -> None:
    ours = session()
    for turn in range(50):
        now = 1.0 + turn * 0.02
        assert media(ours.receive(rtp(7, 100 + turn), now, "first")) in (
            [],
            [100 + turn],
            [100, 101],
        )
        if turn > 1:
            assert ours.receive(rtp(7, 900 + turn), now, "second") == []
    assert ours.stats.foreign_collisions == 48
    assert ours.sources[7].packets == 50


def test_the_second_is_heard_once_the_first_is_silent() -> None:
    ours = session()
    for turn in range(2):
        ours.receive(rtp(7, 100 + turn), 1.0, "first")
    assert ours.receive(rtp(7, 102), 0.9 + ORIGIN_QUIET_S, "moved") == []
    (packet,) = ours.receive(rtp(7, 103), 1.1 + ORIGIN_QUIET_S, "moved")
    assert packet.sequence == 103
    assert ours.receive(rtp(7, 104), 1.2 + ORIGIN_QUIET_S, "first") == []


def test_a_goodbye_from_another_address_is_not_believed() -> None:
    ours = session()
    report = compose_compound([ReceiverReport(7, ()), sdes(7, (1, "them"))])
    ours.receive(report, 1.0, "first")
    assert ours.receive(compose(Goodbye((7,))), 1.1, "second") == []
    assert set(ours.sources) == {7}
    assert ours.stats.foreign_collisions == 1


def test_media_and_reports_may_have_different_addresses() -> None:
    ours = session()
    for turn in range(2):
        ours.receive(rtp(7, 100 + turn), 1.0, ("them", 5004))
    ours.receive(compose_compound([ReceiverReport(7, ()), sdes(7, (1, "x"))]), 1.1, ("them", 5005))
    assert media(ours.receive(rtp(7, 102), 1.2, ("them", 5004))) == [102]
    assert ours.stats.foreign_collisions == 0


def test_our_ssrc_among_the_contributors_of_a_mix_is_only_counted() -> None:
    ours = session()
    own = ours.local("a").ssrc
    outputs = hear(ours, 7, 1.0, csrcs=(own, 71))
    assert media(outputs) == [1, 2]
    assert set(ours.sources) == {7, 71}
    assert ours.local("a").ssrc == own
    assert ours.stats.own_ssrc == 2
