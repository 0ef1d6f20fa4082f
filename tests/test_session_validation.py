"""Which packets a session believes in (RFC 3550 section 6.2.1, appendix A.1) and where they go."""

import random

import pytest
from sessions import (
    AUDIO,
    EXTENSIONS,
    OPUS,
    RTX,
    VIDEO,
    VP8,
    hear,
    media,
    of_type,
    rtp,
    sdes,
    session,
)

from ipconf.engine.outputs import SourceDescribed, SourceGone, SourceHeard
from ipconf.engine.reception import MAX_DROPOUT, MAX_MISORDER
from ipconf.engine.rtcp_wire import ReceiverReport, SenderReport, compose, compose_compound
from ipconf.engine.rtp_wire import RtpPacket, compose_extension
from ipconf.engine.session import PayloadFormat, Section
from ipconf.errors import ClosedError, ConfigurationError
from ipconf.model import MediaType, SdesType


def test_two_packets_in_sequence_make_a_source_and_both_are_delivered() -> None:
    ours = session()
    assert ours.receive(rtp(7, 100), 1.0) == []
    assert not ours.sources
    assert ours.stats.unvalidated == 1
    heard, first, second = ours.receive(rtp(7, 101), 1.02)
    source = ours.sources[7]
    assert heard == SourceHeard(source)
    assert [first.sequence, second.sequence] == [100, 101]
    assert [first.arrival, second.arrival] == [1.0, 1.02]
    assert first.source is second.source is source
    assert (source.medium, source.mid, source.clock_rate) == (MediaType.AUDIO, "a", 48000)
    assert not source.contributing
    assert ours.stats.unvalidated == 0


def test_packets_out_of_sequence_do_not_make_a_source() -> None:
    ours = session()
    for sequence in (1, 500, 3, 900, 7, 5):
        assert ours.receive(rtp(7, sequence), 1.0) == []
    assert not ours.sources
    assert ours.stats.unvalidated == 6


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.5])
def test_each_packet_is_delivered_once_in_whatever_order(loss: float) -> None:
    rng = random.Random(round(loss * 100))
    ours = session()
    hear(ours, 7, 1.0, 64_000)
    got, sent = set[int](), 64_001
    for _ in range(3000):
        sent += 1 if rng.random() >= loss else rng.randrange(1, 9)
        (packet,) = of_type(ours.receive(rtp(7, sent), 2.0), RtpPacket)
        assert packet.extended == sent
        got.add(sent)
        if rng.random() < 0.02:
            late = max(64_000 + 2, sent - rng.choice([0, 1, 5, 50, MAX_MISORDER - 1]))
            expected = [] if late in got else [late & 0xFFFF]
            assert media(ours.receive(rtp(7, late), 2.0)) == expected
            got.add(late)
    assert ours.sources[7].expected == sent - 64_000 + 1


def test_all_that_was_held_is_delivered_in_order() -> None:
    ours = session()
    outputs = [*ours.receive(rtp(7, 12), 1.0), *ours.receive(rtp(7, 10), 1.0)]
    assert outputs == []
    outputs = [*ours.receive(rtp(7, 14), 1.0), *ours.receive(rtp(7, 15), 1.0)]
    assert media(outputs) == [10, 12, 14, 15]
    assert (ours.sources[7].expected, ours.sources[7].packets) == (6, 4)


def test_two_packets_from_two_addresses_do_not_make_a_source() -> None:
    ours = session()
    for sequence in range(10):
        assert not ours.receive(rtp(7, sequence), 1.0, f"address {sequence % 2}")
    assert not ours.sources


def test_a_packet_that_the_first_two_overtook_counts_as_sent() -> None:
    ours = session()
    hear(ours, 7, 1.0, sequence=10)
    (late,) = ours.receive(rtp(7, 9), 1.1)
    assert late.extended == 9
    assert (ours.sources[7].expected, ours.sources[7].lost) == (3, 0)


def test_a_held_packet_from_elsewhere_in_the_sequence_is_dropped() -> None:
    ours = session()
    outputs = hear(ours, 7, 1.0, sequence=40000, count=1) + hear(ours, 7, 1.0, sequence=10)
    assert media(outputs) == [10, 11]
    assert ours.stats.unvalidated == 1


def test_extended_sequence_numbers_survive_the_wrap_around() -> None:
    ours = session()
    outputs = hear(ours, 7, 1.0, sequence=65534, count=4)
    packets = of_type(outputs, RtpPacket)
    assert [p.sequence for p in packets] == [65534, 65535, 0, 1]
    assert [p.extended for p in packets] == [65534, 65535, 65536, 65537]
    assert ours.sources[7].expected == 4


def test_reordered_packets_are_delivered_with_their_own_number() -> None:
    ours = session()
    hear(ours, 7, 1.0, sequence=65534, count=2)
    (later,) = ours.receive(rtp(7, 1), 1.1)
    (late,) = ours.receive(rtp(7, 0), 1.1)
    assert (later.extended, late.extended) == (65537, 65536)
    assert ours.sources[7].lost == 0


def test_a_repeated_packet_is_dropped_but_counts_as_received() -> None:
    ours = session()
    hear(ours, 7, 1.0, sequence=10, count=4)
    for sequence in (13, 10):
        assert ours.receive(rtp(7, sequence), 1.1) == []
    source = ours.sources[7]
    assert (source.duplicates, ours.stats.duplicates) == (2, 2)
    assert (source.expected, source.packets, source.lost) == (4, 6, -2)


def test_a_gap_below_the_dropout_limit_is_loss() -> None:
    ours = session()
    hear(ours, 7, 1.0, sequence=1)
    assert media(ours.receive(rtp(7, 2 + MAX_DROPOUT - 1), 1.1)) == [2 + MAX_DROPOUT - 1]
    assert ours.sources[7].lost == MAX_DROPOUT - 2


def test_a_jump_needs_a_second_packet_and_starts_anew() -> None:
    ours = session()
    hear(ours, 7, 1.0, sequence=1, count=10)
    assert ours.receive(rtp(7, 30000), 1.3) == []
    assert ours.stats.discarded == 1
    first, second = ours.receive(rtp(7, 30001), 1.32)
    source = ours.sources[7]
    assert (first.sequence, second.sequence) == (30000, 30001)
    assert first.extended == 65536 + 30000
    assert (source.expected, source.packets, source.lost) == (12, 12, 0)
    assert ours.stats.discarded == 0


def test_a_jump_backwards_starts_anew_too() -> None:
    ours = session()
    hear(ours, 7, 1.0, sequence=1000, count=2)
    backwards = 1001 - MAX_MISORDER - 1
    assert ours.receive(rtp(7, backwards), 1.1) == []
    assert media(ours.receive(rtp(7, backwards + 1), 1.1)) == [backwards, backwards + 1]


def test_one_stray_packet_changes_nothing() -> None:
    ours = session()
    hear(ours, 7, 1.0, sequence=1, count=3)
    assert ours.receive(rtp(7, 40000), 1.1) == []
    assert media(hear(ours, 7, 1.1, sequence=4, count=2)) == [4, 5]
    assert (ours.sources[7].expected, ours.stats.discarded) == (5, 1)


def test_packets_without_payload_are_probes() -> None:
    ours = session()
    hear(ours, 7, 1.0, sequence=1)
    padded = bytearray(rtp(7, 3, payload=bytes(3) + b"\x04"))
    padded[0] |= 0x20
    probes = [*ours.receive(bytes(padded), 1.1), *ours.receive(rtp(7, 4, payload=b""), 1.1)]
    assert [(p.sequence, p.payload) for p in probes] == [(3, b""), (4, b"")]
    assert ours.stats.probes == 2
    assert (ours.sources[7].packets, ours.sources[7].lost) == (4, 0)


def test_probes_alone_make_nobody() -> None:
    ours = session()
    for sequence in range(1, 20):
        assert ours.receive(rtp(7, sequence, payload=b""), 1.0) == []
    assert not ours.sources
    assert ours.stats.probes == 19


def test_an_unknown_payload_type_makes_no_source() -> None:
    ours = session()
    assert hear(ours, 7, 1.0, payload_type=55) == []
    assert not ours.sources
    assert ours.stats.unknown_payload_type == 2


def test_an_unknown_payload_type_of_a_known_source_is_dropped() -> None:
    ours = session()
    hear(ours, 7, 1.0)
    assert hear(ours, 7, 1.1, sequence=3, payload_type=55) == []
    assert ours.stats.unknown_payload_type == 2
    assert ours.sources[7].packets == 2


def test_the_section_comes_from_the_packet_then_the_ssrc_then_the_payload_type() -> None:
    both = (
        Section("one", MediaType.AUDIO, AUDIO.formats),
        Section("two", MediaType.AUDIO, AUDIO.formats, ssrcs={5: "", 6: ""}),
    )
    ours = session(sections=both)
    mid_two = compose_extension(EXTENSIONS, mid="two")
    mid_one = compose_extension(EXTENSIONS, mid="one")
    hear(ours, 4, 1.0)
    hear(ours, 5, 1.0)
    hear(ours, 6, 1.0, extension=mid_one)
    hear(ours, 8, 1.0, extension=mid_two)
    assert [ours.sources[n].mid for n in (4, 5, 6, 8)] == ["one", "two", "one", "two"]


def test_a_source_remembers_its_section_and_may_move() -> None:
    both = (
        Section("one", MediaType.AUDIO, AUDIO.formats),
        Section("two", MediaType.AUDIO, AUDIO.formats),
    )
    ours = session(sections=both)
    ours.receive(rtp(7, 1, extension=compose_extension(EXTENSIONS, mid="two")), 1.0)
    hear(ours, 7, 1.02, sequence=2, count=3)
    assert ours.sources[7].mid == "two"
    hear(ours, 7, 1.1, sequence=5, count=1, extension=compose_extension(EXTENSIONS, mid="one"))
    hear(ours, 7, 1.1, sequence=6, count=1)
    assert ours.sources[7].mid == "one"
    assert ours.sources[7].packets == 6


def test_an_unknown_section_name_falls_back_to_the_payload_type() -> None:
    ours = session()
    hear(ours, 7, 1.0, extension=compose_extension(EXTENSIONS, mid="nobody knows"))
    assert ours.sources[7].mid == "a"


def test_a_signalled_source_has_its_name_but_is_validated_all_the_same() -> None:
    ours = session(sections=(Section("a", MediaType.AUDIO, AUDIO.formats, ssrcs={7: "them"}),))
    assert hear(ours, 7, 1.0, count=1) == []
    hear(ours, 7, 1.02, sequence=2, count=1)
    assert ours.sources[7].items == {SdesType.CNAME: "them"}


def test_a_cname_makes_a_source_without_media() -> None:
    ours = session()
    datagram = compose_compound([ReceiverReport(7, ()), sdes(7, (1, "them"), (2, "Them"))])
    (heard,) = ours.receive(datagram, 1.0)
    source = ours.sources[7]
    assert heard == SourceHeard(source)
    assert source.items == {SdesType.CNAME: "them", SdesType.NAME: "Them"}
    assert (source.medium, source.last_rtp, source.contributing) == (None, None, False)
    outputs = hear(ours, 7, 1.1)
    assert media(outputs) == [1, 2]
    assert not of_type(outputs, SourceHeard)
    assert source.medium is MediaType.AUDIO


def test_two_reports_make_a_source_without_a_name() -> None:
    ours = session()
    assert ours.receive(compose(ReceiverReport(7, ())), 1.0) == []
    (heard,) = ours.receive(compose(SenderReport(7, 1 << 60, 5, 1, 1)), 2.0)
    assert heard == SourceHeard(ours.sources[7])
    assert ours.sources[7].last_sr == (1 << 60, 5, 2.0)


def test_reports_without_a_name_beside_a_real_source_are_nobody_new() -> None:
    ours = session()
    ours.receive(compose_compound([ReceiverReport(7, ()), sdes(7, (1, "them"))]), 1.0)
    for turn in range(5):
        ours.receive(compose(ReceiverReport(1, ())), 1.0 + turn)
    assert set(ours.sources) == {7}


def test_an_empty_cname_makes_no_source() -> None:
    ours = session()
    assert ours.receive(compose_compound([ReceiverReport(7, ()), sdes(7, (1, ""))]), 1.0) == []


def test_contributors_are_members_and_carry_levels() -> None:
    ours = session()
    levels = compose_extension(EXTENSIONS, csrc_levels=(20, 90))
    outputs = hear(ours, 7, 1.0, csrcs=(71, 72), extension=levels)
    assert [o.source.ssrc for o in of_type(outputs, SourceHeard)] == [7, 71, 72]
    assert [ours.sources[n].contributing for n in (7, 71, 72)] == [False, True, True]
    assert [ours.sources[n].level for n in (71, 72)] == [20, 90]
    (described,) = ours.receive(compose(sdes(71, (1, "guest"))), 1.5)
    assert described == SourceDescribed(ours.sources[71], (SdesType.CNAME,))
    assert ours.sources[71].contributing


def test_a_source_described_by_a_mixer_is_contributing_until_it_speaks_itself() -> None:
    ours = session()
    ours.receive(compose_compound([ReceiverReport(7, ()), sdes(71, (1, "guest"))]), 1.0)
    assert ours.sources[71].contributing
    hear(ours, 71, 2.0)
    assert not ours.sources[71].contributing


def test_a_source_that_turns_out_to_be_retransmissions_is_withdrawn() -> None:
    ours = session(sections=(VIDEO,))
    hear(ours, 7, 1.0, payload_type=VP8)
    ours.receive(compose_compound([ReceiverReport(9, ()), sdes(9, (1, "them"))]), 1.0)
    outputs = ours.receive(rtp(9, 50, payload=b"\0\x00again", payload_type=RTX), 1.1)
    (gone,) = of_type(outputs, SourceGone)
    assert gone.source.ssrc == 9
    assert set(ours.sources) == {7}


def test_other_clock_rate_resets_jitter_only() -> None:
    formats = (PayloadFormat(OPUS, "opus", 48000, 2), PayloadFormat(0, "PCMU", 8000))
    ours = session(sections=(Section("a", MediaType.AUDIO, formats),))
    hear(ours, 7, 1.0, count=5)
    hear(ours, 7, 1.1, sequence=6, payload_type=0, timestamp=123)
    source = ours.sources[7]
    assert (source.clock_rate, source.packets, source.lost) == (8000, 7, 0)


@pytest.mark.parametrize(
    "broken",
    [{"sections": ()}, {"bandwidth_bps": 0}, {"min_interval_s": 0}, {"identity": {}}],
)
def test_a_configuration_that_cannot_work_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        session(**broken)


def test_sending_what_was_not_negotiated_is_refused() -> None:
    ours = session()
    with pytest.raises(ConfigurationError, match="no payload type 55"):
        ours.send("a", 55, 0, b"x", 1.0)
    with pytest.raises(ConfigurationError, match="no section 'z'; it has a"):
        ours.local("z")
    ours.leave("", 1.0)
    with pytest.raises(ClosedError):
        ours.send("a", OPUS, 0, b"x", 1.0)
