"""A source may change its format in mid-stream: what comes is decoded as what it says it is."""

from dataclasses import replace

import numpy as np
import pytest
from audio_lab import BLOCK, RATE, level_db, listen, pitch_hz, ticks, tone
from codec_lab import longest_step
from hypothesis import given, settings
from hypothesis import strategies as st
from video_lab import PacketMaker, picture, psnr_db

from ipconf.codecs.registry import CODEC_FORMATS, COMFORT_NOISE, create_video_encoder
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.pipelines.audio_receiver import AudioReceiver
from ipconf.pipelines.audio_sender import AudioSender
from ipconf.pipelines.media_clock import MediaClock
from ipconf.pipelines.video_receiver import VideoReceiver

OPUS, G722, PCMU, PCMA = (CODEC_FORMATS[name][0] for name in ("opus", "G722", "PCMU", "PCMA"))
L16_44 = CODEC_FORMATS["L16"][2]
VP8, H264, H264_WHOLE = (CODEC_FORMATS["VP8"][0], *CODEC_FORMATS["H264"][0:5:4])
VOICE_HZ = 200.0
STEEPEST = 8000 * 2 * np.pi * VOICE_HZ / RATE


# -- sound


def in_turn(formats, seconds_each=1.0, sequence=65_000):
    """Packets of a tone that goes on while its format changes; each clock begins anywhere."""
    sound = tone(seconds_each * len(formats), VOICE_HZ)
    begins = {8_000: 123, 44_100: 1 << 31, 48_000: (1 << 32) - 1000}
    arrivals, at = [], 0
    for payload_format in formats:
        rate = payload_format.clock_rate
        sender = AudioSender(payload_format, 48_000, begins[rate] + at * rate // RATE)
        for _ in range(round(seconds_each * 50)):
            for out in sender.push(sound[at : at + BLOCK]):
                packet = RtpPacket(
                    out.payload_type, sequence & 0xFFFF, out.timestamp, 7, out.payload
                )
                arrivals.append((at / RATE, packet))
                sequence += 1
            at += BLOCK
    return arrivals


@pytest.mark.parametrize(
    "formats",
    [
        (PCMU, PCMA, G722, PCMU),  # one clock
        (OPUS, PCMU, OPUS, G722),  # two
        (G722, OPUS, L16_44, PCMA),  # three
    ],
)
def test_sound_goes_on_through_changes_of_format(formats):
    arrivals = in_turn(formats)
    receiver = AudioReceiver((*formats, COMFORT_NOISE))
    played = listen(receiver, arrivals, ticks(0, 3.9))
    stats = receiver.stats()
    assert stats.decode_errors == stats.discarded == 0
    assert stats.late <= 2 and stats.concealed_s <= 0.06
    assert all(block is not None for block in played.blocks[5:])
    heard = np.concatenate(played.blocks[5:])
    assert pitch_hz(heard) == pytest.approx(VOICE_HZ, abs=1)
    for begin in range(0, len(heard) - RATE // 2, RATE // 2):
        part = heard[begin : begin + RATE // 2]
        assert level_db(part) == pytest.approx(level_db(tone(1, VOICE_HZ)), abs=1)
    assert played.worst_delay(0.2, 3.9) <= 0.08
    assert longest_step(heard) < 2.5 * STEEPEST


def test_a_pause_before_the_change_stays_one():
    arrivals = in_turn((OPUS, PCMU))
    moved = [(at + (2.0 if packet.payload_type == 0 else 0.0), packet) for at, packet in arrivals]
    receiver = AudioReceiver((OPUS, PCMU))
    played = listen(receiver, moved, ticks(0, 3.9))
    assert receiver.stats().concealed_s <= 0.02
    assert sum(block is None for block in played.blocks[60:150]) > 80
    assert played.delay_at(3.9) <= 0.08


def test_a_late_packet_of_the_old_format_changes_nothing():
    arrivals = in_turn((OPUS, PCMU), sequence=100)
    at, straggler = arrivals.pop(40)
    arrivals.append((1.3, straggler))
    receiver = AudioReceiver((OPUS, PCMU))
    listen(receiver, sorted(arrivals, key=lambda arrival: arrival[0]), ticks(0, 1.9))
    assert receiver.stats().concealed_s == pytest.approx(0.02, abs=0.021)
    assert receiver.stats().decoded >= 90


def test_a_format_that_comes_back_goes_on_where_it_was():
    """G.722 adapts to the sound: a decoder that began anew would be out of step."""
    sender = AudioSender(G722, 0)
    sound = tone(2.0, VOICE_HZ)
    packets = [
        RtpPacket(9, index, out.timestamp, 7, out.payload)
        for index, out in enumerate(sender.push(sound))
    ]
    for index in range(50, 100):
        packets[index].sequence += 1
        packets[index].timestamp += 160
    packets.insert(50, RtpPacket(0, 50, 50 * 160, 7, bytes([0xFF]) * 160))
    receiver = AudioReceiver((G722, PCMU))
    arrivals = [(0.02 * packet.sequence, packet) for packet in packets]
    heard = np.concatenate(listen(receiver, arrivals, ticks(0, 1.9)).blocks[60:])
    assert level_db(heard) == pytest.approx(level_db(sound), abs=0.3)
    assert longest_step(heard) < 1.3 * STEEPEST


RATES = st.sampled_from([8_000, 16_000, 44_100, 48_000])


@given(
    st.lists(
        st.tuples(RATES, st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.floats(0, 0.1)),
        max_size=30,
    )
)
def test_the_clock_takes_anything(packets):
    clock, now = MediaClock(), 0.0
    for rate, sequence, timestamp, later in packets:
        now += later
        place = clock.place(RtpPacket(0, sequence, timestamp, 7, b"x"), rate, 960, now)
        assert place is None or 0 <= place < 1 << 32


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_the_clock_wraps_around_with_the_timestamps(rate_hz):
    clock = MediaClock()
    step = rate_hz // 50
    places = []
    for index in range(-10, 30):
        packet = RtpPacket(0, index & 0xFFFF, index * step & 0xFFFFFFFF, 7, b"x")
        places.append(clock.place(packet, rate_hz, 960, 1 + index * 0.02))
    gaps = {(later - place) & 0xFFFFFFFF for place, later in zip(places, places[1:], strict=False)}
    assert gaps == {960}


# -- pictures


def inline(work, done):
    try:
        result = work()
    except Exception as exc:
        result = exc
    done(result)


class Screen:
    def __init__(self, *formats, submit=inline):
        self.shown = []
        self.receiver = VideoReceiver(formats, submit, lambda frame, at: self.shown.append(frame))

    def push(self, packets, now=0.0):
        for packet in packets:
            self.receiver.push(packet, now)


def pictures(maker, payload_format, first, count):
    """The packets of each of these pictures, in that format."""
    encoder = create_video_encoder(payload_format, 1_000_000)
    made = []
    for index in range(first, first + count):
        packets = maker.frame(encoder.encode(picture(index), False)[0])
        for packet in packets:
            packet.payload_type = payload_format.payload_type
        made.append(packets)
    return made


FORMATS = (VP8, H264, H264_WHOLE)


@pytest.mark.parametrize("order", [(VP8, H264), (H264, VP8), (H264_WHOLE, H264, VP8, H264_WHOLE)])
def test_pictures_go_on_through_changes_of_format(order):
    screen, maker = Screen(*FORMATS), PacketMaker(sequence=65_530)
    for turn, payload_format in enumerate(order):
        for packets in pictures(maker, payload_format, 10 * turn, 10):
            screen.push(packets)
    assert len(screen.shown) == 10 * len(order)
    for index, frame in enumerate(screen.shown):
        assert psnr_db(frame, picture(index)) > 33
    stats = screen.receiver.stats()
    assert stats.decode_errors == stats.broken == stats.dropped == 0
    assert not screen.receiver.needs_key_frame(1.0)


def test_old_packets_do_not_change_the_format_back():
    screen, maker = Screen(*FORMATS), PacketMaker()
    old, new = pictures(maker, VP8, 0, 5), pictures(maker, H264, 5, 5)
    straggler = old[-1].pop()
    for packets in (*old, *new[:3], [straggler], *new[3:]):
        screen.push(packets)
    assert len(screen.shown) == 4 + 5
    assert screen.receiver.stats().late == 1
    assert screen.receiver.stats().decode_errors == 0


def test_what_is_lost_at_the_change_asks_for_a_key_frame():
    screen, maker = Screen(*FORMATS), PacketMaker()
    old, new = pictures(maker, VP8, 0, 3), pictures(maker, H264, 3, 5)
    for packets in (*old, *new[1:]):
        screen.push(packets)
    assert len(screen.shown) == 3
    assert screen.receiver.needs_key_frame(0.1)
    again = pictures(maker, H264, 8, 2)
    for packets in again:
        screen.push(packets)
    assert len(screen.shown) == 5


def test_parts_of_a_key_frame_in_any_order_are_one_picture():
    for payload_format in (H264, H264_WHOLE):
        screen, maker = Screen(*FORMATS), PacketMaker()
        first, second = pictures(maker, payload_format, 0, 2)
        screen.push([first[0], *reversed(first[1:]), *second])
        assert len(screen.shown) == 2


def test_what_waits_for_its_turn_keeps_its_format():
    waiting = []
    screen = Screen(*FORMATS, submit=lambda work, done: waiting.append((work, done)))
    maker = PacketMaker()
    for packets in (*pictures(maker, VP8, 0, 3), *pictures(maker, H264, 3, 3)):
        screen.push(packets)
    while waiting:
        work, done = waiting.pop(0)
        done(work())
    assert len(screen.shown) == 6
    assert screen.receiver.stats().decode_errors == 0


REAL = [p for f in FORMATS for p in create_video_encoder(f, 500_000).encode(picture(0), True)[0]]
PAYLOADS = st.binary(max_size=30) | st.sampled_from(REAL)


@given(
    st.lists(
        st.tuples(st.sampled_from([f.payload_type for f in FORMATS]), st.integers(0, 20),
                  st.integers(0, 5), st.booleans(), PAYLOADS),
        max_size=25,
    )
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_any_packets_of_any_formats_do_no_harm(packets):
    screen = Screen(*FORMATS)
    for index, (number, sequence, stamp, marker, payload) in enumerate(packets):
        screen.push([RtpPacket(number, sequence, 3000 * stamp, 7, payload, marker)], index * 0.01)
        screen.receiver.missing(index * 0.01)
        screen.receiver.needs_key_frame(index * 0.01)


AUDIO_FORMATS = (OPUS, G722, PCMU, PCMA, L16_44, COMFORT_NOISE)


@given(
    st.lists(
        st.tuples(st.sampled_from([f.payload_type for f in AUDIO_FORMATS]), st.integers(0, 40),
                  st.integers(0, 0xFFFFFFFF) | st.integers(0, 40).map(lambda n: n * 160),
                  st.binary(max_size=200)),
        max_size=40,
    )
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_any_sound_of_any_formats_does_no_harm(packets):
    receiver = AudioReceiver(AUDIO_FORMATS)
    for index, (number, sequence, timestamp, payload) in enumerate(packets):
        receiver.push(RtpPacket(number, sequence, timestamp, 7, payload), index * 0.02)
        block = receiver.pull(index * 0.02)
        assert block is None or (block.dtype == np.int16 and block.shape == (BLOCK, 1))
    assert replace(receiver.stats()).delay_s < 10
