"""Pictures from capture to packets and from packets to pictures, with a faked pool of workers."""

from collections import deque
from dataclasses import replace

import pytest
from video_lab import RTX, VP8, PacketMaker, encoded, picture, psnr_db

from ipconf.codecs.vp8_payload import Vp8Depacketizer
from ipconf.errors import MediaError
from ipconf.pipelines.video_receiver import MAX_BACKLOG, VideoReceiver
from ipconf.pipelines.video_sender import VideoSender


class Workers:
    """A pool that works when it is told to, one thing after the other."""

    def __init__(self):
        self.waiting = deque()
        self.most = 0

    def __call__(self, work, done):
        self.waiting.append((work, done))
        self.most = max(self.most, len(self.waiting))

    def run(self, count=1000):
        while self.waiting and count:
            work, done = self.waiting.popleft()
            try:
                result = work()
            except Exception as exc:
                result = exc
            done(result)
            count -= 1


def inline(work, done):
    """A pool that is done at once."""
    try:
        result = work()
    except Exception as exc:
        result = exc
    done(result)


class Screen:
    """Keeps what a receiver shows."""

    def __init__(self, submit=inline, formats=(VP8, RTX)):
        self.shown = []
        self.receiver = VideoReceiver(formats, submit, self.show)

    def show(self, frame, timestamp):
        self.shown.append((timestamp, frame))

    def push(self, packets, now=0.0):
        for packet in packets:
            self.receiver.push(packet, now)

    def numbers(self):
        """Which pictures, counted from the first timestamp of `PacketMaker`."""
        return [(timestamp - 9000) // 3000 for timestamp, _ in self.shown]


def packets_of(pictures):
    maker = PacketMaker()
    return [maker.frame(payloads) for payloads in pictures]


# -- receiving


def test_pictures_are_shown_in_order_with_their_timestamps():
    screen = Screen()
    for packets in packets_of(encoded(10)):
        screen.push(packets)
    assert screen.numbers() == list(range(10))
    assert all(psnr_db(frame, picture(n)) > 33 for n, (_, frame) in enumerate(screen.shown))
    assert screen.receiver.stats().decoded == 10
    assert not screen.receiver.needs_key_frame(1.0)


def test_one_picture_at_a_time_is_decoded():
    workers = Workers()
    screen = Screen(workers)
    for packets in packets_of(encoded(8)):
        screen.push(packets)
    assert workers.most == 1
    workers.run()
    assert workers.most == 1
    assert screen.numbers() == list(range(8))


def test_when_decoding_cannot_keep_up_it_goes_on_with_a_key_frame():
    workers = Workers()
    screen = Screen(workers)
    sent = packets_of(encoded(60, key_frames=(50,)))
    for packets in sent[:40]:
        screen.push(packets)
    workers.run()
    shown = screen.numbers()
    assert shown == [0]  # the one that was being decoded
    assert screen.receiver.stats().dropped >= MAX_BACKLOG
    assert screen.receiver.needs_key_frame(0.0)
    for packets in sent[40:]:
        screen.push(packets)
        workers.run()
    assert screen.numbers() == [0, *range(50, 60)]


def test_a_key_frame_makes_room_in_a_full_backlog():
    workers = Workers()
    screen = Screen(workers)
    key = MAX_BACKLOG + 1
    for packets in packets_of(encoded(key + 3, key_frames=(key,))):
        screen.push(packets)
    workers.run()
    assert screen.numbers() == [0, key, key + 1, key + 2]
    assert not screen.receiver.needs_key_frame(0.0)


def test_a_lost_packet_is_asked_for_if_that_was_negotiated():
    for formats, expected in (((VP8,), 1), ((replace(VP8, feedback=frozenset()),), 0)):
        screen = Screen(formats=formats)
        sent = packets_of(encoded(3))
        lost = sent[1].pop()
        for packets in sent:
            screen.push(packets)
        assert len(screen.receiver.missing(0.02)) == expected
        screen.push([lost], 0.03)
        assert screen.numbers() == [0, 1, 2]


def test_a_lost_picture_asks_for_a_key_frame_and_nothing_broken_is_shown():
    screen = Screen()
    sent = packets_of(encoded(20, key_frames=(12,)))
    sent[3].pop()
    for index, packets in enumerate(sent):
        screen.push(packets, index * 0.1)
        screen.receiver.needs_key_frame(index * 0.1)
    assert screen.numbers() == [0, 1, 2, *range(12, 20)]
    assert screen.receiver.stats().broken == 1


def undecodable_first(count, key_frames):
    """Packets of pictures of which the first ends right behind its start code."""
    pictures = encoded(count, key_frames)
    pictures[0] = [pictures[0][0][:4] + b"\x00\x00\x00\x9d\x01\x2a"]
    return packets_of(pictures)


def test_a_picture_that_cannot_be_decoded_asks_for_a_key_frame():
    screen = Screen()
    *sent, last = undecodable_first(12, key_frames=(11,))
    for packets in sent:
        screen.push(packets)
    assert screen.receiver.stats().decode_errors == 1
    assert screen.receiver.needs_key_frame(0.0)
    assert screen.numbers() == []
    screen.push(last)
    assert screen.numbers() == [11]
    assert not screen.receiver.needs_key_frame(1.0)


def test_after_an_error_what_waits_is_dropped_up_to_a_key_frame():
    workers = Workers()
    screen = Screen(workers)
    for packets in undecodable_first(10, key_frames=(6,)):
        screen.push(packets)
    workers.run()
    assert screen.numbers() == [6, 7, 8, 9]
    assert screen.receiver.stats().decode_errors == 1
    assert screen.receiver.stats().dropped == 5
    assert not screen.receiver.needs_key_frame(0.0)


def test_other_payload_types_are_ignored():
    screen = Screen()
    (packets,) = packets_of(encoded(1))
    for packet in packets:
        packet.payload_type = 50
    screen.push(packets)
    assert screen.shown == []
    assert not screen.receiver.needs_key_frame(0.0)


def test_after_close_nothing_is_shown():
    workers = Workers()
    screen = Screen(workers)
    sent = packets_of(encoded(4))
    for packets in sent[:3]:
        screen.push(packets)
    screen.receiver.close()
    screen.push(sent[3])
    workers.run()
    assert screen.shown == []
    assert not workers.waiting


def test_without_a_format_to_decode_there_is_no_receiver():
    with pytest.raises(MediaError):
        VideoReceiver((RTX,), inline, lambda frame, timestamp: None)


# -- sending


class Camera:
    """Keeps what a sender hands out."""

    def __init__(self, submit=inline, timestamp=0):
        self.sent = []
        self.sender = VideoSender(VP8, 500_000, submit, self.sent.append, timestamp)


def test_pictures_are_encoded_with_the_time_they_were_captured():
    camera = Camera(timestamp=1000)
    for index in range(5):
        camera.sender.encode(picture(index), index / 30)
    assert [p.timestamp for p in camera.sent] == [1000 + 3000 * n for n in range(5)]
    assert [p.key_frame for p in camera.sent] == [True] + [False] * 4
    assert camera.sender.encoded == 5


def test_timestamps_wrap_around():
    camera = Camera(timestamp=(1 << 32) - 3000)
    for index in range(2):
        camera.sender.encode(picture(index), index / 30)
    assert [p.timestamp for p in camera.sent] == [(1 << 32) - 3000, 0]


def test_what_is_sent_can_be_received():
    camera, screen, maker = Camera(), Screen(), PacketMaker()
    for index in range(10):
        camera.sender.encode(picture(index), index / 30)
    for encoded_picture in camera.sent:
        screen.push(maker.frame(encoded_picture.payloads))
    assert screen.numbers() == list(range(10))
    assert all(psnr_db(frame, picture(n)) > 33 for n, (_, frame) in enumerate(screen.shown))


def test_one_picture_is_encoded_and_the_newest_waits():
    workers = Workers()
    camera = Camera(workers)
    for index in range(6):
        camera.sender.encode(picture(index), index / 30)
    assert len(workers.waiting) == 1
    workers.run()
    assert [p.timestamp for p in camera.sent] == [0, 15_000]
    assert camera.sender.replaced == 4
    assert workers.most == 1


def test_a_key_frame_comes_when_it_is_asked_for_and_only_once():
    camera = Camera()
    for index in range(6):
        if index == 3:
            camera.sender.request_key_frame()
        camera.sender.encode(picture(index), index / 30)
    assert [p.key_frame for p in camera.sent] == [True, False, False, True, False, False]


def test_a_request_during_encoding_holds_for_the_next_picture():
    workers = Workers()
    camera = Camera(workers)
    for index in range(3):
        camera.sender.encode(picture(index), index / 30)
        camera.sender.request_key_frame()
        workers.run()
    assert [p.key_frame for p in camera.sent] == [True, True, True]


def test_the_bit_rate_follows_the_setting():
    camera = Camera()
    sizes = {}
    for bps in (2_000_000, 300_000):
        camera.sender.bitrate_bps = bps
        del camera.sent[:]
        for index in range(60):
            camera.sender.encode(picture(index, 640, 360), index / 30)
        sizes[bps] = sum(len(payload) for p in camera.sent for payload in p.payloads)
    assert sizes[300_000] < sizes[2_000_000] / 2


def test_an_error_is_counted_and_the_next_picture_is_a_key_frame():
    camera = Camera()
    camera.sender.encode(picture(0), 0.0)
    camera.sender.encode(picture(0, 20_000, 2), 0.1)
    camera.sender.encode(picture(1), 0.2)
    assert camera.sender.encode_errors == 1
    assert [p.key_frame for p in camera.sent] == [True, True]


def test_a_request_that_met_an_error_is_kept():
    camera = Camera()
    camera.sender.encode(picture(0), 0.0)
    camera.sender.request_key_frame()
    camera.sender.encode(picture(0, 20_000, 2), 0.1)
    camera.sender.encode(picture(1), 0.2)
    camera.sender.encode(picture(2), 0.3)
    assert [p.key_frame for p in camera.sent][1] is True


def test_after_close_nothing_is_sent():
    workers = Workers()
    camera = Camera(workers)
    camera.sender.encode(picture(0), 0.0)
    camera.sender.encode(picture(1), 0.1)
    camera.sender.close()
    camera.sender.encode(picture(2), 0.2)
    workers.run()
    assert camera.sent == []
    assert not workers.waiting


def test_payloads_of_the_sender_are_vp8():
    camera = Camera()
    camera.sender.encode(picture(0), 0.0)
    depacketizer = Vp8Depacketizer()
    payloads = camera.sent[0].payloads
    assert depacketizer.is_key_frame(payloads[0])
    assert [depacketizer.is_start(p) for p in payloads] == [True] + [False] * (len(payloads) - 1)


def test_without_a_codec_there_is_no_sender():
    with pytest.raises(MediaError):
        VideoSender(RTX, 500_000, inline, lambda picture: None)
