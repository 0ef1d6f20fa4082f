"""The switch of pictures: one camera that never stops, whatever is behind it."""

import random
import struct
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessions import RTX
from video_lab import picture, psnr_db

from ipconf.codecs.vp8 import Vp8Decoder, Vp8Encoder
from ipconf.codecs.vp8_payload import Vp8Depacketizer
from ipconf.engine.assembly import VideoAssembler
from ipconf.engine.picture_marks import PictureFormat, PictureMarks
from ipconf.engine.rtp_wire import (
    ABS_SEND_TIME_URI,
    MID_URI,
    HeaderExtensions,
    RtpPacket,
    parse_rtp,
)
from ipconf.engine.sent_packets import HISTORY_PACKETS, RESEND_SPACING_S
from ipconf.engine.session import PayloadFormat, RtpSession, Section, SessionConfig
from ipconf.engine.switching import MIN_STEP, KeyFrameRequests, Slot
from ipconf.errors import ClosedError, ConfigurationError, WireError
from ipconf.model import MediaType, SdesType

VP8, H264 = PictureFormat("vp8"), PictureFormat("h264", 1)
SENT = {VP8: 100, H264: 102}
ARRIVING = {96: VP8, 98: H264}
EXTENSIONS = HeaderExtensions({MID_URI: 2, ABS_SEND_TIME_URI: 3})
FRAME_TICKS = 3000
TAG = struct.Struct("!III")
KEY_HEAD = b"\x10\x00\x00\x9d\x01\x2a"


def sending(extensions: HeaderExtensions = EXTENSIONS, rtx: bool = True) -> RtpSession:
    """A session with one section of pictures."""
    formats = [PayloadFormat(100, "VP8", 90000), PayloadFormat(102, "H264", 90000)]
    if rtx:
        formats.append(PayloadFormat(RTX, "rtx", 90000, apt=100))
    section = Section("v", MediaType.VIDEO, tuple(formats))
    config = SessionConfig((section,), extensions, {SdesType.CNAME: "mixer"})
    return RtpSession(config, random.Random(5), 0.0)


class Camera:
    """Somebody who sends pictures; what is in a packet can be told from its last bytes."""

    def __init__(
        self,
        name: int = 1,
        codec: str = "vp8",
        id_bits: int = 15,
        tl0: bool = True,
        seed: int = 0,
        extended: int | None = None,
    ) -> None:
        rng = random.Random(f"{name} {seed}")
        self.name = name
        self.rng = rng
        self.codec = codec
        self.id_bits = id_bits
        self.has_tl0 = tl0
        self.ssrc = rng.getrandbits(32)
        self.extended = rng.getrandbits(16) if extended is None else extended
        self.timestamp = rng.getrandbits(32)
        self.picture_id = rng.getrandbits(15)
        self.tl0 = rng.getrandbits(8)
        self.number = 0
        self.marks = PictureMarks(ARRIVING)

    def packet(self, payload: bytes, marker: bool = False, padding: int = 0) -> RtpPacket:
        payload_type = 96 if self.codec == "vp8" else 98
        packet = RtpPacket(
            payload_type, self.extended & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc, payload,
            marker, (), padding,
        )  # fmt: skip
        packet.extended = self.extended
        self.extended += 1
        return packet

    def probe(self) -> RtpPacket:
        return self.packet(b"", padding=200)

    def frame(self, key: bool = False, count: int = 3, step: int = FRAME_TICKS) -> list[RtpPacket]:
        """The packets of the next picture."""
        self.timestamp += step
        self.number += 1
        self.picture_id += 1
        self.tl0 += 1
        make = self._vp8 if self.codec == "vp8" else self._h264
        payloads = [make(key, i, count) + self._tag(i) for i in range(count)]
        return [self.packet(p, i == count - 1) for i, p in enumerate(payloads)]

    def _tag(self, index: int) -> bytes:
        return TAG.pack(self.name, self.number, index)

    def _vp8(self, key: bool, index: int, count: int) -> bytes:
        content = KEY_HEAD if key and not index else b"\x11\x00\x00\x00\x00\x00"
        first = 0x80 if index else 0x90
        flags = (0x80 if self.id_bits else 0) | (0x60 if self.has_tl0 else 0)
        if not flags:
            return bytes((first & 0x7F,)) + content
        head = bytes((first, flags))
        if self.id_bits == 15:
            head += (self.picture_id & 0x7FFF | 0x8000).to_bytes(2, "big")
        elif self.id_bits:
            head += bytes((self.picture_id & 0x7F,))
        if self.has_tl0:
            head += bytes((self.tl0 & 0xFF, 0x20))
        return head + content

    def _h264(self, key: bool, index: int, count: int) -> bytes:
        if not key:
            return b"\x41\x80" if not index else b"\x41\x08"
        if index < 2 and count > 2:
            return (b"\x67\x42", b"\x68\xce")[index]
        return b"\x65\x80" if index in (0, 2) else b"\x65\x08"


class Seen(NamedTuple):
    """A packet as a viewer has it."""

    packet: RtpPacket
    camera: int
    number: int
    index: int


class Viewer:
    """A slot with a session of its own, and what went out."""

    def __init__(self, **values: object) -> None:
        self.session = sending(**values)  # type: ignore[arg-type]
        self.local = self.session.local("v")
        self.slot = Slot(self.local, SENT)
        self.datagrams: list[bytes] = []
        self.seen: list[Seen] = []

    def take(self, camera: Camera, packet: RtpPacket, now: float) -> Seen | None:
        """Mark, forward and look at a packet."""
        mark = camera.marks.read(packet)
        if mark is None:
            return None
        datagram = self.slot.forward(camera, packet, mark, now)
        if datagram is None:
            return None
        out = parse_rtp(datagram, EXTENSIONS)
        assert out.ssrc == self.local.ssrc
        tag = TAG.unpack(out.payload[-TAG.size :]) if out.payload else (0, 0, 0)
        self.datagrams.append(datagram)
        self.seen.append(Seen(out, *tag))
        return self.seen[-1]

    def take_all(self, camera: Camera, packets: list[RtpPacket], now: float) -> list[Seen]:
        taken = [self.take(camera, packet, now) for packet in packets]
        return [seen for seen in taken if seen is not None]


def vp8_ids(payload: bytes) -> tuple[int | None, int | None]:
    """Picture id and TL0PICIDX; written anew here, so that it does not share faults."""
    if not payload[0] & 0x80:
        return None, None
    rest = list(payload[2:])
    picture_id = tl0 = None
    if payload[1] & 0x80:
        assert rest[0] & 0x80, "picture ids go out with 15 bits"
        picture_id = (rest.pop(0) & 0x7F) << 8 | rest.pop(0)
    if payload[1] & 0x40:
        tl0 = rest.pop(0)
    return picture_id, tl0


def numbers(seen: list[Seen]) -> list[int]:
    return [s.packet.sequence for s in seen]


def assert_gapless(sequences: list[int]) -> None:
    assert all((b - a) & 0xFFFF == 1 for a, b in pairwise(sequences))


# -- switching


def test_nothing_goes_out_before_a_key_frame() -> None:
    viewer, camera = Viewer(), Camera()
    viewer.slot.show(camera, (7,))
    assert viewer.slot.wants_key_frame
    assert viewer.take_all(camera, camera.frame(), 1.0) == []
    seen = viewer.take_all(camera, camera.frame(key=True), 1.1)
    assert [s.index for s in seen] == [0, 1, 2]
    assert [s.packet.csrcs for s in seen] == [(7,)] * 3
    assert [s.packet.marker for s in seen] == [False, False, True]
    assert seen[0].packet.payload_type == 100
    assert not viewer.slot.wants_key_frame
    assert viewer.slot.switches == 1


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_the_present_one_goes_on_until_the_new_one_begins(codec: str) -> None:
    viewer, old, new = Viewer(), Camera(1, codec), Camera(2, codec)
    viewer.slot.show(old, (11,))
    viewer.take_all(old, old.frame(key=True), 1.0)
    viewer.slot.show(new, (22,))
    assert viewer.slot.shown is old
    assert viewer.slot.wants_key_frame
    tail = old.frame()
    assert len(viewer.take_all(old, tail[:2], 1.033)) == 2
    assert viewer.take_all(new, new.frame(), 1.034) == []
    viewer.take_all(new, new.frame(key=True), 1.04)
    assert viewer.take(old, tail[2], 1.041) is None
    viewer.take_all(old, old.frame(), 1.066)
    viewer.take_all(new, new.frame(), 1.073)
    assert [s.camera for s in viewer.seen] == [1] * 5 + [2] * 6
    assert [s.packet.csrcs for s in viewer.seen] == [(11,)] * 5 + [(22,)] * 6
    assert [s.index for s in viewer.seen[5:8]] == [0, 1, 2]
    assert_gapless(numbers(viewer.seen))


def test_who_comes_back_while_still_shown_needs_no_key_frame() -> None:
    viewer, one, other = Viewer(), Camera(1), Camera(2)
    viewer.slot.show(one)
    viewer.take_all(one, one.frame(key=True), 1.0)
    viewer.slot.show(other)
    viewer.slot.show(one, (5,))
    assert not viewer.slot.wants_key_frame
    assert len(viewer.take_all(one, one.frame(), 1.033)) == 3
    assert viewer.seen[-1].packet.csrcs == (5,)
    assert viewer.take_all(other, other.frame(key=True), 1.034) == []


def test_nobody_is_shown_at_once() -> None:
    viewer, one, other = Viewer(), Camera(1), Camera(2)
    viewer.slot.show(one)
    viewer.take_all(one, one.frame(key=True), 1.0)
    viewer.slot.show(None)
    assert not viewer.slot.wants_key_frame
    assert viewer.take_all(one, one.frame(key=True), 1.033) == []
    viewer.slot.show(one)
    viewer.take_all(one, one.frame(key=True), 1.066)
    viewer.slot.show(other, keep=False)
    assert viewer.slot.shown is None
    assert viewer.take_all(one, one.frame(), 1.1) == []
    viewer.take_all(other, other.frame(key=True), 1.1)
    assert_gapless(numbers(viewer.seen))


def test_a_source_that_is_gone_is_forgotten() -> None:
    viewer, one, other = Viewer(), Camera(1), Camera(2)
    viewer.slot.show(one)
    viewer.take_all(one, one.frame(key=True), 1.0)
    viewer.slot.show(other)
    viewer.slot.forget(one)
    assert (viewer.slot.shown, viewer.slot.wanted) == (None, other)
    viewer.slot.forget(other)
    assert viewer.slot.wanted is None
    assert not viewer.slot.wants_key_frame


def test_between_codecs() -> None:
    viewer, one, other = Viewer(), Camera(1), Camera(2, "h264")
    for camera in (one, other, one):
        viewer.slot.show(camera)
        viewer.take_all(camera, camera.frame(key=True), 1.0)
    assert [s.packet.payload_type for s in viewer.seen] == [100] * 3 + [102] * 3 + [100] * 3
    assert_gapless(numbers(viewer.seen))


def test_a_format_the_slot_does_not_have_is_counted_and_not_asked_for() -> None:
    camera = Camera()
    viewer = Viewer()
    viewer.slot = Slot(viewer.local, {VP8: 100})
    viewer.slot.show(camera)
    viewer.take_all(camera, camera.frame(key=True), 1.0)
    camera.codec = "h264"  # in mid-stream
    assert viewer.take_all(camera, camera.frame(key=True), 1.033) == []
    assert viewer.slot.mismatched == 3
    assert not viewer.slot.wants_key_frame
    camera.codec = "vp8"
    assert viewer.take_all(camera, camera.frame(), 1.066) == []
    assert viewer.slot.wants_key_frame
    assert len(viewer.take_all(camera, camera.frame(key=True), 1.1)) == 3


@pytest.mark.parametrize("what", ["ssrc", "sequence"])
def test_a_source_that_begins_anew_needs_a_key_frame(what: str) -> None:
    viewer, camera = Viewer(), Camera()
    viewer.slot.show(camera)
    viewer.take_all(camera, camera.frame(key=True), 1.0)
    if what == "ssrc":
        camera.ssrc ^= 1
    else:
        camera.extended += 50_000
    camera.timestamp += 10_000_000
    camera.picture_id += 1234
    assert viewer.take_all(camera, camera.frame(), 1.033) == []
    assert viewer.slot.shown is None
    assert viewer.slot.wants_key_frame
    viewer.take_all(camera, camera.frame(key=True), 1.066)
    assert_gapless(numbers(viewer.seen))
    ids = [vp8_ids(s.packet.payload)[0] for s in viewer.seen]
    assert ids == [ids[0]] * 3 + [ids[0] + 1] * 3  # type: ignore[operator]
    assert viewer.seen[3].packet.timestamp - viewer.seen[0].packet.timestamp == 90 * 66


# -- timestamps


@pytest.mark.parametrize(
    ("pause_s", "ticks"), [(0.5, 45_000), (0.001, MIN_STEP), (3600, 90 * 3_600_000)]
)
def test_timestamps_go_on_as_time_does(pause_s: float, ticks: int) -> None:
    viewer, old, new = Viewer(), Camera(1), Camera(2)
    viewer.slot.show(old)
    viewer.take_all(old, old.frame(key=True), 1.0)
    viewer.slot.show(new)
    viewer.take_all(new, new.frame(key=True), 1.0 + pause_s)
    before, after = viewer.seen[0].packet.timestamp, viewer.seen[-1].packet.timestamp
    assert (after - before) & 0xFFFFFFFF == ticks


def test_sender_reports_follow_the_first_packet_of_a_picture() -> None:
    viewer, camera = Viewer(), Camera()
    viewer.slot.show(camera)
    first, second, third = camera.frame(key=True)
    viewer.take(camera, first, 1.0)
    viewer.take_all(camera, [third, second], 1.02)
    assert viewer.local.media_time(1.0) == viewer.seen[0].packet.timestamp
    assert (viewer.local.packets, viewer.local.last_sent) == (3, 1.02)
    assert viewer.local.octets == sum(len(s.packet.payload) for s in viewer.seen)


# -- losses


def test_gaps_stay_gaps_and_are_filled_by_who_comes_late() -> None:
    viewer, camera = Viewer(), Camera()
    viewer.slot.show(camera)
    packets = camera.frame(key=True) + camera.frame()
    late = packets.pop(2)
    viewer.take_all(camera, packets, 1.0)
    steps = [(n - numbers(viewer.seen)[0]) & 0xFFFF for n in numbers(viewer.seen)]
    assert steps == [0, 1, 3, 4, 5]
    filled = viewer.take(camera, late, 1.05)
    assert filled is not None
    assert (filled.packet.sequence - viewer.seen[0].packet.sequence) & 0xFFFF == 2
    assert filled.packet.timestamp == viewer.seen[0].packet.timestamp
    assert viewer.take(camera, late, 1.06) is None  # once
    assert viewer.take(camera, packets[-1], 1.06) is None
    assert viewer.slot.dropped == 2


def test_what_is_from_before_the_switch_is_not_sent() -> None:
    viewer, camera = Viewer(), Camera()
    early = camera.frame()
    camera.marks.read(early[0])
    viewer.slot.show(camera)
    viewer.take_all(camera, camera.frame(key=True), 1.0)
    assert viewer.take_all(camera, early[1:], 1.01) == []


def test_a_key_frame_whose_first_packet_comes_late_is_not_begun_with() -> None:
    viewer, camera = Viewer(), Camera()
    viewer.slot.show(camera)
    packets = camera.frame(key=True)
    assert viewer.take_all(camera, [*packets[1:], packets[0]], 1.0) == []
    assert viewer.slot.wants_key_frame


def test_a_malformed_packet_is_left_out_as_if_it_were_lost() -> None:
    viewer, camera = Viewer(), Camera()
    viewer.slot.show(camera)
    packets = camera.frame(key=True, count=4)
    packets[1].payload = b"\x80\x80"
    viewer.take_all(camera, packets, 1.0)
    first = viewer.seen[0].packet.sequence
    assert [(n - first) & 0xFFFF for n in numbers(viewer.seen)] == [0, 2, 3]
    assert camera.marks.malformed == 1


def test_probes_leave_no_gap() -> None:
    viewer, camera = Viewer(), Camera()
    viewer.slot.show(camera)
    packets = camera.frame(key=True) + [camera.probe(), camera.probe()] + camera.frame()
    viewer.take_all(camera, packets, 1.0)
    assert len(viewer.seen) == 6
    assert_gapless(numbers(viewer.seen))


def test_who_comes_late_has_a_place_before_probes() -> None:
    viewer, camera = Viewer(), Camera()
    viewer.slot.show(camera)
    packets = camera.frame(key=True) + [camera.probe()] + camera.frame()
    late = packets.pop(1)
    viewer.take_all(camera, packets, 1.0)
    filled = viewer.take(camera, late, 1.05)
    assert filled is not None
    assert (filled.packet.sequence - viewer.seen[0].packet.sequence) & 0xFFFF == 1
    assert sorted((n - numbers(viewer.seen)[0]) & 0xFFFF for n in numbers(viewer.seen)) == [
        0, 1, 2, 3, 4, 5,
    ]  # fmt: skip


def test_a_flood_of_probes_is_bounded_and_mixes_nothing_up() -> None:
    viewer, camera = Viewer(), Camera()
    viewer.slot.show(camera)
    packets = camera.frame(key=True)
    late = packets.pop(1)
    viewer.take_all(camera, packets, 1.0)
    viewer.take_all(camera, [camera.probe() for _ in range(300)], 1.0)
    assert viewer.take(camera, late, 1.01) is None
    viewer.take_all(camera, camera.frame(), 1.033)
    assert len(viewer.slot._swallowed) <= 64


# -- picture ids


@pytest.mark.parametrize("bits", [(15, 15), (7, 15), (15, 7), (7, 7)])
def test_picture_ids_go_on(bits: tuple[int, int]) -> None:
    viewer = Viewer()
    cameras = [Camera(1, id_bits=bits[0]), Camera(2, id_bits=bits[1])]
    for turn in range(4):
        camera = cameras[turn % 2]
        viewer.slot.show(camera)
        for number in range(200):
            viewer.take_all(camera, camera.frame(number == 0, count=2), turn * 9 + number / 30)
    ids = [vp8_ids(s.packet.payload) for s in viewer.seen][::2]
    assert len(ids) == 800
    assert [i[0] for i in ids] == list(range(ids[0][0], ids[0][0] + 800))  # type: ignore[arg-type]
    assert all(b[1] == (a[1] + 1) & 0xFF for a, b in pairwise(ids))  # type: ignore[operator]


def test_what_has_no_ids_gets_none() -> None:
    viewer = Viewer()
    viewer.slot.show(plain := Camera(1, id_bits=0, tl0=False))
    packets = plain.frame(key=True)
    viewer.take_all(plain, packets, 1.0)
    assert [s.packet.payload for s in viewer.seen] == [p.payload for p in packets]


def test_the_rest_of_the_payload_is_untouched() -> None:
    viewer = Viewer()
    viewer.slot.show(camera := Camera(1, id_bits=7))
    (packet,) = camera.frame(key=True, count=1)
    viewer.take(camera, packet, 1.0)
    out = viewer.seen[0].packet.payload
    assert out[:2] == packet.payload[:2]
    assert out[5:] == packet.payload[4:]  # one byte more of picture id, and another TL0PICIDX
    assert len(out) == len(packet.payload) + 1


# -- marks


def key_frames(marks: PictureMarks, packets: list[RtpPacket]) -> list[bool]:
    return [(mark := marks.read(packet)) is not None and mark.key_frame for packet in packets]


def h264(*payloads: bytes, extended: int = 10, timestamp: int = 3000) -> list[RtpPacket]:
    packets = []
    for number, payload in enumerate(payloads):
        packet = RtpPacket(98, extended + number, timestamp, 1, payload)
        packet.extended = extended + number
        packets.append(packet)
    return packets


P_SLICE, SPS, PPS, IDR = b"\x41\x80\x00", b"\x67\x42\x00", b"\x68\xce\x00", b"\x65\x80\x00"
STAP = b"\x78" + b"".join(len(u).to_bytes(2, "big") + u for u in (SPS, PPS))


@pytest.mark.parametrize(
    ("payloads", "begins"),
    [
        ((SPS, PPS, IDR, IDR), [True, False, False, False]),
        ((IDR, b"\x65\x08\x00"), [True, False]),
        ((STAP, b"\x7c\x85\x80\x00", b"\x7c\x45\x00"), [True, False, False]),
        ((b"\x7c\x85\x80\x00", b"\x7c\x45\x00"), [True, False]),
        ((b"\x09\x10", SPS, IDR), [False, True, False]),
        ((b"\x06\x05\x01", IDR), [False, True]),
        ((P_SLICE, P_SLICE), [False, False]),
        ((b"\x7c\x81\x80\x00", b"\x7c\x41\x00"), [False, False]),
    ],
)  # fmt: skip
def test_where_a_key_frame_of_h264_begins(payloads: tuple[bytes, ...], begins: list[bool]) -> None:
    marks = PictureMarks(ARRIVING)
    assert key_frames(marks, h264(P_SLICE, extended=9, timestamp=0)) == [False]
    assert key_frames(marks, h264(*payloads)) == begins


def test_an_idr_slice_whose_parameter_sets_are_missing_is_not_begun_with() -> None:
    marks = PictureMarks(ARRIVING)
    key_frames(marks, h264(P_SLICE, extended=9, timestamp=0))
    assert key_frames(marks, h264(PPS, IDR, extended=11)) == [False, False]
    assert key_frames(marks, h264(IDR, extended=15, timestamp=6000)) == [False]
    assert key_frames(marks, h264(IDR, extended=16, timestamp=9000)) == [True]


@pytest.mark.parametrize(
    "payload",
    [b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\x80\x80\x80\x01", b"\x90\xf0\x01\x02\x03", b"\x10"],
)
def test_a_vp8_payload_that_ends_in_its_descriptor_is_malformed(payload: bytes) -> None:
    marks = PictureMarks(ARRIVING)
    assert marks.read(RtpPacket(96, 0, 0, 1, payload)) is None
    assert marks.malformed == 1


@pytest.mark.parametrize(
    "payload", [b"\x67", b"\xe7\x42", b"\x60\x00", b"\x7f\x00\x00", b"\x7c\xc5\x00", b"\x7c\x85",
                b"\x78\x00\x09\x67", b"\x78\x00\x00\x67\x00", b"\x78\x00"],
)  # fmt: skip
def test_an_h264_payload_that_makes_no_sense_is_malformed(payload: bytes) -> None:
    marks = PictureMarks(ARRIVING)
    assert marks.read(RtpPacket(98, 0, 0, 1, payload)) is None
    assert marks.malformed == 1


def test_payload_types_that_are_unknown_have_no_marks() -> None:
    marks = PictureMarks({96: VP8, 45: PictureFormat("av1")})
    assert marks.read(RtpPacket(97, 0, 0, 1, b"\x10\x00")) is None
    assert marks.read(RtpPacket(45, 0, 0, 1, b"\x10\x00")) is None
    assert (marks.malformed, marks.unknown_format) == (0, 2)


@given(st.data())
def test_nothing_that_arrives_raises(data: st.DataObject) -> None:
    viewer = Viewer()
    marks, feed = PictureMarks(ARRIVING), object()
    viewer.slot.show(feed)
    extended = 70_000
    sent: dict[int, bytes] = {}
    payloads = st.binary(max_size=12) | st.binary(max_size=9).map(lambda b: KEY_HEAD + b)
    for _ in range(data.draw(st.integers(1, 30))):
        extended += data.draw(st.integers(-3, 5) | st.integers(-70_000, 70_000))
        payload = data.draw(payloads)
        timestamp = data.draw(st.integers(0, 2**32 - 1))
        kind = data.draw(st.sampled_from((96, 98, 99)))
        packet = RtpPacket(kind, extended & 0xFFFF, timestamp, 1, payload)
        packet.extended = extended
        mark = marks.read(packet)
        datagram = mark and viewer.slot.forward(feed, packet, mark, 1.0)
        if datagram:
            out = parse_rtp(datagram, EXTENSIONS)
            assert sent.setdefault(out.sequence, datagram) is datagram


# -- what a session needs of it


def test_repeats_are_what_was_sent() -> None:
    viewer = Viewer()
    viewer.slot.show(camera := Camera(), (7,))
    viewer.take_all(camera, camera.frame(key=True), 1.0)
    original = viewer.seen[1].packet
    repeat = viewer.session.resend("v", original.sequence, 1.1)
    assert repeat is not None
    packet = parse_rtp(repeat, EXTENSIONS)
    assert (packet.payload_type, packet.ssrc) == (RTX, viewer.local.rtx_ssrc)
    assert packet.payload == original.sequence.to_bytes(2, "big") + original.payload
    assert viewer.session.resend("v", original.sequence, 1.1 + RESEND_SPACING_S / 2) is None


def test_without_rtx_a_repeat_is_the_very_datagram() -> None:
    viewer = Viewer(rtx=False)
    viewer.slot.show(camera := Camera(), (7, 8))
    viewer.take_all(camera, camera.frame(key=True), 1.0)
    for seen, datagram in zip(viewer.seen, viewer.datagrams, strict=True):
        assert viewer.session.resend("v", seen.packet.sequence, 2.0) == datagram


@pytest.mark.parametrize(
    "ids",
    [{}, {MID_URI: 2}, {MID_URI: 2, ABS_SEND_TIME_URI: 3}, {MID_URI: 2, ABS_SEND_TIME_URI: 20}],
)
def test_header_extensions_are_those_of_other_packets(ids: dict[str, int]) -> None:
    extensions = HeaderExtensions(ids)
    viewer = Viewer(extensions=extensions)
    viewer.slot.show(camera := Camera(), (7,))
    for number in range(12):
        viewer.take_all(camera, camera.frame(number == 0), 1.5)
    packets = [parse_rtp(d, extensions) for d in viewer.datagrams]
    named = 20 if MID_URI in ids else 0
    assert [p.mid for p in packets] == ["v"] * named + [None] * (36 - named)
    at = int(1.5 * 2**18) if ABS_SEND_TIME_URI in ids else None
    assert {p.abs_send_time for p in packets} == {at}
    assert {p.csrcs for p in packets} == {(7,)}
    assert bool(viewer.datagrams[-1][0] & 0x10) == (ABS_SEND_TIME_URI in ids)


@pytest.mark.parametrize("seed", range(4))
def test_an_ssrc_that_changes_goes_on(seed: int) -> None:
    viewer = Viewer()
    viewer.slot.show(camera := Camera())
    viewer.take_all(camera, camera.frame(key=True), 1.0)
    viewer.local.start(4711, 4712, random.Random(seed))  # draws a number before or behind ours
    viewer.take_all(camera, camera.frame(), 1.033)
    viewer.take_all(camera, camera.frame(), 1.066)
    assert_gapless(numbers(viewer.seen))
    assert viewer.local.packets == 6


def test_another_packet_in_the_same_place_is_repeated_at_once() -> None:
    viewer = Viewer()
    first = viewer.local.sequence
    for number in range(HISTORY_PACKETS):
        assert forward(viewer, first + number)
    assert viewer.session.resend("v", first, 1.0)
    assert forward(viewer, first + HISTORY_PACKETS)
    assert viewer.session.resend("v", (first + HISTORY_PACKETS) & 0xFFFF, 1.001)
    assert viewer.session.resend("v", first, 2.0) is None


def forward(viewer: Viewer, sequence: int) -> bytes | None:
    return viewer.local.forward(sequence & 0xFFFF, 100, 0, b"head", b"body", False, b"", 1.0)


def test_no_number_is_used_twice() -> None:
    viewer = Viewer()
    first = viewer.local.sequence
    assert forward(viewer, first)
    assert forward(viewer, first) is None
    assert forward(viewer, first + HISTORY_PACKETS)
    assert forward(viewer, first) is None  # nobody knows any more
    assert forward(viewer, first + 1)
    assert forward(viewer, first + 1) is None
    assert viewer.local.packets == viewer.session.stats.rtp_sent == 3
    assert viewer.local.sequence == (first + HISTORY_PACKETS + 1) & 0xFFFF


def test_too_late_to_know_is_not_sent() -> None:
    viewer = Viewer()
    viewer.slot.show(camera := Camera())
    packets = camera.frame(key=True)
    late = packets.pop(1)
    viewer.take_all(camera, packets, 1.0)
    while camera.extended < late.extended + HISTORY_PACKETS + 2:
        viewer.take_all(camera, camera.frame(), 2.0)
    assert viewer.take(camera, late, 3.0) is None


def test_after_the_goodbye_nothing_is_sent() -> None:
    viewer = Viewer()
    viewer.slot.show(camera := Camera())
    viewer.local.left = True
    with pytest.raises(ClosedError):
        viewer.take_all(camera, camera.frame(key=True), 1.0)


def test_what_applications_can_do_wrong() -> None:
    viewer = Viewer()
    with pytest.raises(ConfigurationError, match="99"):
        Slot(viewer.local, {VP8: 99})
    with pytest.raises(WireError):
        viewer.slot.show(object(), range(16))
    with pytest.raises(WireError):
        viewer.slot.show(object(), (2**32,))


# -- thousands of switches


class Link:
    """The way from a camera: packets are lost, overtaken and doubled."""

    def __init__(self, rng: random.Random, loss: float, late: float, twice: float) -> None:
        self._rng, self._loss, self._late, self._twice = rng, loss, late, twice
        self._waiting: list[tuple[int, RtpPacket]] = []

    def pass_on(self, packets: list[RtpPacket]) -> list[RtpPacket]:
        rng = self._rng
        out = []
        for packet in packets:
            if rng.random() >= self._loss:
                wait = rng.randrange(1, 12) if rng.random() < self._late else 0
                self._waiting.append((wait, packet))
                if rng.random() < self._twice:
                    self._waiting.append((wait + rng.randrange(5), packet))
            out += [p for wait, p in self._waiting if wait <= 0]
            self._waiting = [(wait - 1, p) for wait, p in self._waiting if wait > 0]
        return out


BAD_LINK = (0.03, 0.1, 0.03)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("link", "probes"), [((0.0, 0.0, 0.0), 0.1), (BAD_LINK, 0.0), (BAD_LINK, 0.1)]
)
def test_thousands_of_switches(seed: int, link: tuple[float, float, float], probes: float) -> None:
    rng = random.Random(seed)
    cameras = [
        Camera(1, id_bits=15, seed=seed),
        Camera(2, id_bits=7, seed=seed),
        Camera(3, id_bits=15, tl0=False, seed=seed, extended=65_000),
        Camera(4, "h264", seed=seed),
    ]
    links = [Link(rng, *link) for _ in cameras]
    viewer = Viewer()
    begun: list[int] = []  # indices in seen
    origin: list[tuple[int, int]] = []  # span and number at the source of all in seen
    now = 1.0
    while viewer.slot.switches < 700:
        now += rng.uniform(0.02, 0.05)
        if rng.random() < 0.4:
            viewer.slot.show(rng.choice([*cameras, *cameras, None]), (), keep=rng.random() < 0.9)
        for camera, way in zip(cameras, links, strict=True):
            key = viewer.slot.wanted is camera and viewer.slot.wants_key_frame
            packets = camera.frame(key and rng.random() < 0.7, count=rng.randrange(1, 6))
            if rng.random() < probes:
                packets.insert(rng.randrange(len(packets) + 1), camera.probe())
                first = camera.extended - len(packets)
                for number, packet in enumerate(packets, first):  # as they go out
                    packet.extended, packet.sequence = number, number & 0xFFFF
            for packet in way.pass_on(packets):
                switches = viewer.slot.switches
                seen = viewer.take(camera, packet, now)
                if viewer.slot.switches > switches:
                    assert seen is not None
                    begun.append(len(viewer.seen) - 1)
                if seen is not None:
                    origin.append((len(begun), packet.extended))
    check_numbers(viewer.seen, origin, lossless=link[0] == 0, probes=probes > 0)
    check_pictures(viewer.seen, [span for span, _ in origin])
    check_beginnings(viewer.seen, begun)


def unwrapped(values: list[int], bits: int) -> list[int]:
    """Without wrap-around, each as near as possible to the highest before."""
    half, full = 1 << bits - 1, 1 << bits
    out = [values[0]]
    highest = values[0]
    for value in values[1:]:
        out.append(highest + (value - highest + half) % full - half)
        highest = max(highest, out[-1])
    return out


def check_numbers(
    seen: list[Seen], origin: list[tuple[int, int]], lossless: bool, probes: bool
) -> None:
    """No number twice; each packet of a span in its place, each span right behind the other."""
    sequences = unwrapped(numbers(seen), 16)
    assert len(set(sequences)) == len(sequences)
    if lossless:
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    spans: dict[int, list[tuple[int, int]]] = {}
    for sequence, (span, extended) in zip(sequences, origin, strict=True):
        spans.setdefault(span, []).append((sequence, extended))
    for earlier, later in pairwise(spans.values()):
        assert max(earlier)[0] + 1 == min(later)[0] == later[0][0]
    for packets in spans.values():
        offsets = [sequence - extended for sequence, extended in sorted(packets)]
        assert offsets == sorted(offsets, reverse=True)  # probes take places away
        assert probes or len(set(offsets)) == 1


def check_pictures(seen: list[Seen], spans: list[int]) -> None:
    """One timestamp is one picture, later ones have later times and the next ids."""
    sequences = unwrapped(numbers(seen), 16)
    times = unwrapped([s.packet.timestamp for s in seen], 32)
    pictures: dict[int, tuple[int, int]] = {}  # span and number by timestamp
    ids: dict[int, int] = {}
    rows = sorted(zip(sequences, times, spans, range(len(seen)), strict=True))
    for _, time, span, index in rows:
        packet, number = seen[index].packet, seen[index].number
        if not packet.payload:
            continue
        assert time in pictures or not pictures or time > next(reversed(pictures))
        assert pictures.setdefault(time, (span, number)) == (span, number)
        picture_id = vp8_ids(packet.payload)[0] if packet.payload_type == 100 else None
        if picture_id is not None:
            assert ids.setdefault(time, picture_id) == picture_id
    for time, next_time in pairwise(sorted(ids)):
        (span, number), (next_span, next_number) = pictures[time], pictures[next_time]
        step = next_number - number if span == next_span else 1
        assert (ids[next_time] - ids[time]) & 0x7FFF == step


def check_beginnings(seen: list[Seen], begun: list[int]) -> None:
    """Each span begins with the first packet of a key frame."""
    for index in begun:
        payload = seen[index].packet.payload
        assert seen[index].index == 0
        if seen[index].packet.payload_type == 100:
            assert KEY_HEAD in payload
        else:
            assert payload[0] & 0x1F in (5, 7)


def test_a_decoder_sees_no_switch() -> None:
    viewer = Viewer()
    assembler, decoder = VideoAssembler(Vp8Depacketizer()), Vp8Decoder()
    cameras = [(Camera(n), Vp8Encoder(300_000)) for n in (1, 2)]
    shown = []
    for number in range(24):
        wanted = cameras[number // 6 % 2][0]
        if viewer.slot.wanted is not wanted:
            viewer.slot.show(wanted)
        for camera, encoder in cameras:
            key = viewer.slot.wanted is camera and viewer.slot.wants_key_frame
            image = picture(number + 100 * camera.name, 64, 48)
            camera.timestamp += FRAME_TICKS
            payloads, _ = encoder.encode(image, key and number % 6 == 2)
            for index, payload in enumerate(payloads):
                packet = camera.packet(payload, index == len(payloads) - 1)
                mark = camera.marks.read(packet)
                assert mark is not None
                datagram = viewer.slot.forward(camera, packet, mark, number / 30)
                if datagram is None:
                    continue
                out = parse_rtp(datagram, EXTENSIONS)
                for frame in assembler.push(out, number / 30):
                    (decoded,) = decoder.decode(frame.data)
                    assert psnr_db(decoded, image) > 30
                    shown.append(camera.name)
    assert assembler.broken == 0
    assert shown == [1] * 9 + [2] * 6 + [1] * 7 + [2] * 4


# -- key frame requests


def run_requests(
    requests: KeyFrameRequests, asks: list[float], end: float, answer_s: float | None
) -> list[float]:
    """When a source is asked, if it answers after `answer_s`."""
    sent: list[float] = []
    answer_at = None
    for step in range(round(end * 100)):
        now = step / 100
        if answer_at is not None and now >= answer_at:
            requests.came()
            answer_at = None
        asked = any(abs(at - now) < 1e-6 for at in asks) and requests.ask(now)
        if asked or requests.due(now):
            sent.append(now)
            if answer_s is not None and answer_at is None:
                answer_at = now + answer_s
    return sent


def test_the_first_request_goes_out_at_once() -> None:
    requests = KeyFrameRequests()
    assert requests.deadline == float("inf")
    assert not requests.due(5.0)
    assert requests.ask(5.0)
    assert requests.deadline == 5.5


def test_requests_are_repeated_until_a_key_frame_comes() -> None:
    assert run_requests(KeyFrameRequests(), [0.0], 4.0, None) == [0.0, 0.5, 1.5, 2.5, 3.5]
    assert run_requests(KeyFrameRequests(), [0.0], 4.0, 0.2) == [0.0]


def test_a_viewer_that_asks_all_the_time_costs_one_a_second() -> None:
    asks = [n / 100 for n in range(1000)]
    sent = run_requests(KeyFrameRequests(), asks, 10.0, 0.05)
    assert len(sent) == 10
    assert min(b - a for a, b in pairwise(sent)) >= 1.0


@pytest.mark.parametrize("join_at", [0.01, 0.2, 0.3, 0.7, 0.99])
def test_a_late_joiner_waits_no_longer_than_a_second_and_the_way(join_at: float) -> None:
    sent = run_requests(KeyFrameRequests(), [0.0, join_at], 3.0, 0.1)
    picture_at = next(at for at in sent if at + 0.1 > join_at) + 0.1
    assert picture_at - join_at <= 1.1


def test_who_waits_no_longer_is_not_asked_for() -> None:
    requests = KeyFrameRequests()
    assert requests.ask(0.0)
    requests.withdraw()
    assert requests.deadline == float("inf")
    assert not requests.due(9.0)
