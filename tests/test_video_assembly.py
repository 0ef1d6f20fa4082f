"""Pictures from packets: only whole and decodable ones, and what is done about the others."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from video_lab import PacketMaker, vp8_payload

from ipconf.codecs.vp8_payload import Vp8Depacketizer
from ipconf.engine.assembly import KEY_FRAME_RETRY_S, MAX_PACKETS, VideoAssembler
from ipconf.engine.repair import GIVE_UP_S, GIVE_UP_UNREPAIRED_S, MIN_RETRY_S, REORDER_S
from ipconf.engine.rtp_wire import RtpPacket


def make(repairable=True):
    return VideoAssembler(Vp8Depacketizer(), repairable)


def push(assembler, packets, now=0.0):
    """The numbers of the pictures that became complete."""
    return [number(f) for packet in packets for f in assembler.push(packet, now)]


def number(frame):
    """The number that `vp8_payload` has put into the first packet."""
    return int.from_bytes(frame.data[6:10], "big")


def frames(maker, begin, end, key=(0,), count=3):
    """The packets of pictures, a list for each."""
    return [maker.fake(n, count=count, key=n in key) for n in range(begin, end)]


def test_pictures_come_out_whole_and_in_order():
    assembler, maker = make(), PacketMaker()
    sent = frames(maker, 0, 10)
    complete = [f for packets in sent for packet in packets for f in assembler.push(packet, 1.5)]
    assert [number(f) for f in complete] == list(range(10))
    assert [f.key_frame for f in complete] == [True] + [False] * 9
    assert [f.timestamp for f in complete] == [9000 + 3000 * n for n in range(10)]
    assert {f.arrival for f in complete} == {1.5}
    for frame, packets in zip(complete, sent, strict=True):
        assert frame.data == b"".join(packet.payload[1:] for packet in packets)
    assert not assembler.needs_key_frame(2.0)
    assert assembler.missing(2.0) == []
    assert assembler.held == assembler.broken == assembler.late == assembler.duplicates == 0


def test_a_picture_is_complete_with_its_marker():
    assembler = make()
    *begin, last = PacketMaker().fake(0, count=5, key=True)
    assert push(assembler, begin) == []
    assert push(assembler, [last]) == [0]


def test_without_markers_the_next_timestamp_ends_a_picture():
    assembler, maker = make(), PacketMaker()
    sent = [
        maker.frame([vp8_payload(n, key=n == 0), vp8_payload(n, first=False)], marker=False)
        for n in range(5)
    ]
    assert [push(assembler, packets) for packets in sent] == [[], [0], [1], [2], [3]]


def test_nothing_comes_out_before_the_first_key_frame():
    assembler, maker = make(), PacketMaker()
    got = [push(assembler, packets) for packets in frames(maker, 0, 8, key=(5,))]
    assert got == [[], [], [], [], [], [5], [6], [7]]


@pytest.mark.parametrize("sequence", [100, 65_530, 65_535, 0])
def test_sequence_numbers_wrap_around(sequence):
    assembler, maker = make(), PacketMaker(sequence, timestamp=(1 << 32) - 6000)
    assert push(assembler, sum(frames(maker, 0, 50), [])) == list(range(50))


def test_reordered_packets_are_put_in_order():
    rng = random.Random(1)
    assembler, maker = make(), PacketMaker(65_500)
    packets = sum(frames(maker, 0, 40, count=4), [])
    for begin in range(4, len(packets) - 5, 5):
        part = packets[begin : begin + 5]
        rng.shuffle(part)
        packets[begin : begin + 5] = part
    assert push(assembler, packets) == list(range(40))
    assert assembler.missing(0.0) == []


def test_the_packets_of_the_first_key_frame_may_come_in_any_order():
    assembler, maker = make(), PacketMaker()
    packets = sum(frames(maker, 0, 2, count=3), [])
    assert push(assembler, [packets[i] for i in (2, 4, 1, 5, 3, 0)]) == [0, 1]


def test_duplicates_are_counted_and_change_nothing():
    assembler, maker = make(), PacketMaker()
    packets = sum(frames(maker, 0, 5), [])
    doubled = [packet for packet in packets for _ in range(2)]
    assert push(assembler, doubled) == list(range(5))
    assert assembler.duplicates + assembler.late == len(packets)


def lose_one(assembler, maker, lost=1):
    """Pictures 0..4, of which one packet of picture 2 is missing; returns that packet."""
    sent = frames(maker, 0, 5)
    missing = sent[2].pop(lost)
    assert push(assembler, sum(sent, [])) == [0, 1]
    return missing


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_packet_is_asked_for_and_repairs_everything(lost):
    assembler, maker = make(), PacketMaker()
    packet = lose_one(assembler, maker, lost)
    assert assembler.missing(0.0) == []  # it may only be late
    assert assembler.missing(REORDER_S) == [packet.sequence]
    assert not assembler.needs_key_frame(0.05)
    assert push(assembler, [packet], 0.06) == [2, 3, 4]
    assert assembler.missing(1.0) == []
    assert not assembler.needs_key_frame(1.0)
    assert assembler.broken == 0


def test_sequence_numbers_asked_for_have_16_bits():
    assembler, maker = make(), PacketMaker(65_532)
    sent = sum(frames(maker, 0, 4), [])
    push(assembler, sent[:3] + sent[5:])
    assert assembler.missing(REORDER_S) == [65_535, 0]


@pytest.mark.parametrize(("round_trip_s", "wait_s"), [(None, 0.1), (0.01, MIN_RETRY_S), (0.2, 0.2)])
def test_it_is_asked_for_again_after_a_round_trip(round_trip_s, wait_s):
    assembler, maker = make(), PacketMaker()
    lose_one(assembler, maker)
    asked = [t for t in range(400) if assembler.missing(t / 1000, round_trip_s)]
    assert asked[0] == 10
    waits = [b - a for a, b in zip(asked, asked[1:], strict=False)]
    assert waits
    assert set(waits) <= {round(wait_s * 1000), round(wait_s * 1000) + 1}


def test_without_repair_nothing_is_asked_for_but_a_key_frame_soon():
    assembler, maker = make(repairable=False), PacketMaker()
    lose_one(assembler, maker)
    assert assembler.missing(GIVE_UP_UNREPAIRED_S) == []
    assert not assembler.needs_key_frame(GIVE_UP_UNREPAIRED_S)
    assert assembler.needs_key_frame(GIVE_UP_UNREPAIRED_S + 0.01)


def test_when_repair_comes_too_late_a_key_frame_is_asked_for_until_it_comes():
    assembler, maker = make(), PacketMaker()
    packet = lose_one(assembler, maker)
    assert not assembler.needs_key_frame(GIVE_UP_S)
    now = GIVE_UP_S + 0.01
    assert assembler.needs_key_frame(now)
    assert assembler.broken == 1
    assert push(assembler, [packet], now) == []
    asked = []
    for index in range(5, 65):
        now += 1 / 30
        assert push(assembler, maker.fake(index), now) == []
        if assembler.needs_key_frame(now):
            asked.append(now)
    assert len(asked) == pytest.approx(2.0 / KEY_FRAME_RETRY_S, abs=1)
    assert push(assembler, maker.fake(65, key=True), now) == [65]
    assert push(assembler, maker.fake(66), now) == [66]
    assert not assembler.needs_key_frame(now + 1)
    assert assembler.missing(now + 1) == []


def test_a_source_that_sends_nothing_is_not_asked():
    assembler, maker = make(), PacketMaker()
    assert not assembler.needs_key_frame(0.0)
    push(assembler, maker.fake(0))
    assert assembler.needs_key_frame(0.0)
    assert not any(assembler.needs_key_frame(t / 10) for t in range(100))


def test_a_key_frame_behind_a_gap_is_taken_at_once():
    assembler, maker = make(), PacketMaker()
    packet = lose_one(assembler, maker)
    assert push(assembler, maker.fake(5, key=True)) == [5]
    assert assembler.missing(REORDER_S) == []
    assert push(assembler, [packet]) == []
    assert assembler.late == 1
    assert push(assembler, maker.fake(6)) == [6]


def test_a_gap_in_the_key_frame_is_repaired_too():
    assembler, maker = make(), PacketMaker()
    packets = maker.fake(0, count=6, key=True)
    assert push(assembler, packets[:2] + packets[4:]) == []
    assert not assembler.needs_key_frame(0.0)
    assert assembler.missing(REORDER_S) == [packets[2].sequence, packets[3].sequence]
    assert push(assembler, packets[2:4]) == [0]


def test_a_loss_too_large_to_repair_asks_for_a_key_frame_at_once():
    assembler, maker = make(), PacketMaker()
    push(assembler, maker.fake(0, key=True))
    maker.sequence += 1000
    assert push(assembler, maker.fake(1)) == []
    assert assembler.missing(REORDER_S) == []
    assert assembler.needs_key_frame(0.0)


def test_a_restart_with_other_sequence_numbers_begins_with_a_key_frame():
    assembler, maker = make(), PacketMaker()
    push(assembler, sum(frames(maker, 0, 5), []))
    maker.sequence += 30_000
    assert push(assembler, maker.fake(5)) == []
    assert assembler.needs_key_frame(0.0)
    assert push(assembler, maker.fake(6, key=True)) == [6]
    maker.sequence -= 20_000
    assert push(assembler, maker.fake(7, key=True)) == [7]


@pytest.mark.parametrize("corrupt", [b"\x80", b"\x90\x80\x80", b"\x10"])
def test_a_malformed_payload_breaks_its_picture_and_those_after_it(corrupt):
    assembler, maker = make(), PacketMaker()
    sent = frames(maker, 0, 6, key=(0, 4))
    sent[2][1].payload = corrupt
    assert push(assembler, sum(sent, [])) == [0, 1, 4, 5]
    assert assembler.broken == 1


def test_a_picture_that_does_not_begin_with_its_beginning_is_broken():
    assembler, maker = make(), PacketMaker()
    push(assembler, maker.fake(0, key=True))
    assert push(assembler, maker.frame([vp8_payload(1, first=False)])) == []
    assert assembler.needs_key_frame(0.0)


def test_packets_without_payload_only_fill_their_place():
    assembler, maker = make(), PacketMaker()
    sent = frames(maker, 0, 4)
    packets = []
    for index, picture in enumerate(sent):
        for packet in picture:
            packet.sequence = 200 + len(packets)
            packets.append(packet)
        # Probes follow a picture and bear its timestamp.
        probe = RtpPacket(96, 200 + len(packets), picture[-1].timestamp, 5, b"", index == 1)
        packets.append(probe)
    assert push(assembler, packets) == [0, 1, 2, 3]
    assert assembler.missing(1.0) == []


def test_after_a_failed_decoding_only_a_key_frame_is_handed_on():
    assembler, maker = make(), PacketMaker()
    push(assembler, sum(frames(maker, 0, 3), []))
    assembler.require_key_frame()
    assert assembler.needs_key_frame(0.0)
    assert push(assembler, maker.fake(3)) == []
    assert push(assembler, maker.fake(4, key=True)) == [4]


def test_what_was_handed_on_is_not_handed_on_again():
    assembler, maker = make(), PacketMaker()
    sent = frames(maker, 0, 4)
    push(assembler, sum(sent, []))
    assembler.require_key_frame()
    assert push(assembler, sum(sent, [])) == []
    assert assembler.late == 12
    assert assembler.needs_key_frame(0.0)


def test_a_picture_that_never_ends_stays_bounded():
    assembler, maker = make(), PacketMaker()
    packets = maker.fake(0, count=2 * MAX_PACKETS + 50, key=True)
    assert push(assembler, packets[:-1]) == []
    assert assembler.held <= MAX_PACKETS
    assert assembler.needs_key_frame(0.0)
    assert push(assembler, maker.fake(1, key=True)) == [1]


def assert_decodable(numbers, keys):
    """Each picture is a key frame, or follows the one before it without a gap."""
    for before, after in zip([None, *numbers], numbers, strict=False):
        assert after in keys or before == after - 1


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_whatever_happens_on_the_way_only_decodable_pictures_come_out(data):
    rng = random.Random(data.draw(st.integers(0, 1 << 30)))
    loss, swap = data.draw(st.sampled_from([0.0, 0.02, 0.2])), data.draw(st.integers(0, 6))
    repair = data.draw(st.sampled_from([None, 0.02, 0.2, 0.6]))
    keys = {0} | {n for n in range(1, 60) if rng.random() < 0.1}
    maker = PacketMaker(rng.randrange(1 << 16))
    order = []
    for n in range(60):
        for packet in maker.fake(n, count=rng.randrange(1, 6), key=n in keys):
            at = n / 30 + swap / 100 * rng.random()
            order.append((at, packet))
            if rng.random() < 0.05:
                order.append((at + 0.01, packet))
    by_sequence = {packet.sequence: packet for _, packet in order}
    first = order[0][1].timestamp  # the first picture arrives, so that there is a beginning
    kept = [o for o in order if rng.random() >= loss or o[1].timestamp == first]
    arrivals = sorted(kept, key=lambda o: o[0])
    assembler, numbers, resent = make(repair is not None), [], []
    for now in (t / 100 for t in range(320)):
        due = [p for at, p in arrivals if at <= now] + [p for at, p in resent if at <= now]
        arrivals = [a for a in arrivals if a[0] > now]
        resent = [r for r in resent if r[0] > now]
        for packet in due:
            numbers += [number(f) for f in assembler.push(packet, now)]
        for sequence in assembler.missing(now, repair):
            resent.append((now + (repair or 0), by_sequence[sequence]))
        assembler.needs_key_frame(now)
    assert numbers == sorted(set(numbers))
    assert_decodable(numbers, keys)
    if (loss == 0.0 and swap <= 4) or (loss < 0.1 and repair == 0.02 and swap <= 2):
        assert len(numbers) >= 30  # key frames may overtake some


ANY_PACKET = st.builds(
    RtpPacket,
    st.just(96),
    st.integers(0, 0xFFFF) | st.integers(0, 30),
    st.sampled_from([0, 3000, 6000, 0xFFFFFFFF]),
    st.just(5),
    st.binary(max_size=12)
    | st.builds(vp8_payload, st.just(1), key=st.booleans(), first=st.booleans()),
    st.booleans(),
)


@given(st.lists(ANY_PACKET | st.floats(0, 2) | st.just("require"), max_size=150))
@settings(deadline=None)
def test_whatever_packets_come_nothing_raises(steps):
    assembler, now = make(), 0.0
    for step in steps:
        if isinstance(step, RtpPacket):
            for frame in assembler.push(step, now):
                assert frame.data
        elif step == "require":
            assembler.require_key_frame()
        else:
            now += step
        assert len(assembler.missing(now)) <= 256
        assembler.needs_key_frame(now)
    assert assembler.held <= len(steps)
