"""Codecs that fail: one event, bounded cost, and nobody else is disturbed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from unittest.mock import patch

import av
import numpy as np
import pytest
from senses import ALICE, AUDIO, CAPTURE, VIDEO, PictureTerminal
from stream_lab import PCMU, FakeDecoder, Lab, NoDecoder, Window, decoders, loudness
from video_lab import VP8, vp8_payload

from ipconf.engine.rtp_wire import RtpPacket
from ipconf.errors import MediaError
from ipconf.events import CallMediaEvent, StreamFailed
from ipconf.model import Cause, MediaType
from ipconf.pipelines.video_receiver import VideoReceiver
from ipconf.pipelines.video_sender import VideoSender
from ipconf.streams.capture import CaptureStream
from ipconf.streams.making import make_capture_stream
from ipconf.terminals.base import Samples
from ipconf.terminals.tones import ToneTerminal

FAILED = ("StreamFailed", Cause.CONNECT_FAIL)
BROKEN = ("StreamFailed", Cause.UNKNOWN)


class Attempts:
    """Makes what a codec factory makes, or fails, and counts."""

    def __init__(self, make: Callable[[], object] | None) -> None:
        self.make = make
        self.count = 0

    def __call__(self, *args: object) -> object:
        self.count += 1
        if self.make is None:
            raise MediaError("no codec to be had")
        return self.make()


# -- arriving


@pytest.mark.parametrize("medium", [AUDIO, VIDEO], ids=["audio", "video"])
def test_no_decoder_for_anybody_is_told_once(medium: MediaType) -> None:
    """Whoever comes, every receiver fails in the same way."""
    lab = Lab(medium)
    lab.windows(3)
    lab.connect()
    made = "audio_render.AudioReceiver" if medium is AUDIO else "video_render.VideoReceiver"
    with patch(f"ipconf.streams.{made}", Attempts(None)) as attempts:
        for name in ("ann", "bob", "cat"):
            lab.join(name)
        lab.run(10)
        assert lab.told(StreamFailed) == [FAILED]
        assert 3 * 9 <= attempts.count <= 3 * 11  # once a second for each of them
        # Something else is agreed on: that is news again.
        lab.connect()
        lab.run(1)
        assert lab.told(StreamFailed) == [FAILED]


def test_one_who_cannot_be_decoded_disturbs_nobody() -> None:
    class Picky(FakeDecoder):
        def decode(self, data: bytes) -> list[int]:
            (number,) = super().decode(data)
            if number == 1:
                raise MediaError("this one is damaged")
            return [number]

    with decoders(lambda payload_format: Picky()):
        lab = Lab(VIDEO)
        lab.connect()
        ann, bob = lab.join("ann"), lab.join("bob", payload=vp8_payload(1, key=True))
        windows = Window(), Window()
        ann.substream.select_terminal(windows[0])
        bob.substream.select_terminal(windows[1])
        lab.run(5)
        assert lab.told(StreamFailed) == [BROKEN]
        assert len(windows[0].got) > 200 and not windows[1].got
        assert lab.stream.active
        # He sends something else: it is tried again without being asked to.
        bob.payload = None
        lab.run(2)
        assert len(windows[1].got) > 40
        assert lab.told(StreamFailed) == []


def test_a_decoder_that_fails_on_everything_costs_little() -> None:
    made = Attempts(NoDecoder)
    with decoders(made):
        lab = Lab(VIDEO)
        lab.windows(1)
        lab.connect()
        lab.join("ann")
        lab.run(10)
    assert lab.told(StreamFailed) == [BROKEN]
    assert made.count <= 10 * 6  # five pictures, then a second of rest; 500 came


def test_a_decoder_that_cannot_be_made_is_tried_again() -> None:
    made = Attempts(None)
    shown: list[object] = []
    with decoders(made):
        receiver = VideoReceiver((VP8,), _at_once, lambda frame, timestamp: shown.append(frame))
        lab = Lab(VIDEO)
        packets = [_packet(number) for number in range(3)]
        receiver.push(packets[0], lab.now())
        assert not shown and receiver.stats().decode_errors == 1
        made.make = FakeDecoder
        receiver.push(packets[1], lab.now())
        receiver.push(packets[2], lab.now())
    assert shown == [1, 2] and receiver.failure is None


def test_sound_that_never_decodes_is_given_up_for_a_while() -> None:
    lab = Lab(AUDIO)
    (ear,) = lab.windows(1)
    lab.connect()
    lab.join("ann", payload=bytes(range(160)))

    class Deaf:
        """Fails on everything but one person's payload."""

        channels, comforting = 1, False
        tried = 0

        def decode(self, payload: bytes) -> Samples:
            Deaf.tried += 1
            raise MediaError("noise")

        def conceal(self, samples: int) -> Samples:
            return np.zeros((samples, 1), np.int16)

    with patch("ipconf.pipelines.audio_formats.create_audio_decoder", lambda fmt: Deaf()):
        lab.run(1)
        bob = lab.join("bob")
        lab.run(19)
    assert lab.told(StreamFailed) == [BROKEN]
    assert Deaf.tried < 2 * 20 * 50 * 0.6  # half of the time it is at rest
    lab.run(2.5)
    assert lab.stream.receivers.get(bob.substream).decoded > 0
    assert ear.got
    loudness(ear)


def test_a_packet_that_blows_up_a_receiver_is_no_exception() -> None:
    lab = Lab(AUDIO)
    lab.windows(1)
    lab.connect()
    with patch("ipconf.streams.audio_render.AudioReceiver.push", side_effect=ValueError("a bug")):
        lab.join("ann")
        lab.run(5)
    assert lab.told(StreamFailed) == [BROKEN]


# -- sent


def _at_once(work: Callable[[], object], done: Callable[[object], None]) -> None:
    try:
        result = work()
    except Exception as exc:
        result = exc
    done(result)


def _packet(number: int) -> RtpPacket:
    payload = vp8_payload(number, key=True)
    return RtpPacket(VP8.payload_type, number, number * 3000, 5, payload, True)


class Outlet:
    """The channel of a sent stream: counts what goes out."""

    def __init__(self) -> None:
        self.sent = 0
        source = SimpleNamespace(packets=0, octets=0, reports={})
        self.session = SimpleNamespace(local=lambda mid: source)

    def send(self, *packet: object, **extensions: object) -> None:
        self.sent += 1


def sending(lab: Lab) -> tuple[CaptureStream, Outlet]:
    medium = lab.stream.media_type
    stream, outlet = make_capture_stream(lab, medium), Outlet()
    terminal = ToneTerminal(440) if medium is AUDIO else PictureTerminal(ALICE)
    stream.select_terminal(terminal)
    send = PCMU if medium is AUDIO else VP8
    stream.connect(outlet, SimpleNamespace(mid="0", send=send, riding=()))
    return stream, outlet


ENCODERS = {
    AUDIO: "ipconf.pipelines.audio_sender.create_audio_encoder",
    VIDEO: "ipconf.pipelines.video_sender.create_video_encoder",
}


class NoEncoder:
    """Encodes nothing."""

    channels, frame_samples, bitrate_bps, comforting = 1, 960, 1, False

    def encode(self, *media: object) -> object:
        raise MediaError("the encoder is out of order")


@pytest.mark.parametrize("medium", [AUDIO, VIDEO], ids=["audio", "video"])
def test_an_encoder_that_breaks_is_told_once_and_tried_again(medium: MediaType) -> None:
    lab = Lab(medium)
    stream, outlet = sending(lab)
    lab.run(2)
    assert lab.told(CallMediaEvent) == [("StreamActive", Cause.LOCAL_REQUEST)]
    made = Attempts(NoEncoder)
    with patch(ENCODERS[medium], made):
        stream.stop()
        stream.start()
        lab.told()
        lab.run(10)
        assert lab.told(CallMediaEvent) == [BROKEN]
        assert not stream.active and stream.running
        assert made.count <= 10 * 6
    before = outlet.sent
    lab.run(3)
    assert outlet.sent > before and stream.active
    assert lab.told(CallMediaEvent) == [("StreamActive", Cause.MEDIA_RECOVERED)]


def test_an_encoder_that_breaks_while_it_sends_ends_the_flow() -> None:
    lab = Lab(AUDIO)
    stream, _ = sending(lab)
    lab.run(2)
    lab.told()
    with patch.object(stream._sender, "push", side_effect=MediaError("it broke")):
        lab.run(0.1)
        assert lab.told(CallMediaEvent) == [BROKEN, ("StreamInactive", Cause.UNKNOWN)]
    lab.run(2)
    assert lab.told(CallMediaEvent) == [("StreamActive", Cause.MEDIA_RECOVERED)]


def test_an_encoder_that_cannot_be_made_fails_the_start() -> None:
    lab = Lab(AUDIO)
    with patch(ENCODERS[AUDIO], Attempts(None)):
        stream, _ = sending(lab)
        assert lab.told(CallMediaEvent) == [FAILED] and not stream.running
        stream.stop()
        stream.start()
        assert lab.told(CallMediaEvent) == [("StreamFailed", Cause.LOCAL_REQUEST)]
    stream.stop()
    stream.start()
    lab.run(1)
    assert lab.told(CallMediaEvent) == [("StreamActive", Cause.LOCAL_REQUEST)]
    assert stream.direction is CAPTURE and stream.name == "audio capture"


def test_a_video_sender_is_not_stuck_by_an_encoder_that_cannot_be_made() -> None:
    pictures: list[object] = []
    sender = VideoSender(VP8, 100_000, _at_once, pictures.append)
    frame = av.VideoFrame(64, 64, "yuv420p")
    made = Attempts(NoEncoder)
    sender._encoder = NoEncoder()
    with patch(ENCODERS[VIDEO], made):
        sender.encode(frame, 0.0)
        made.make = None
        for number in range(1, 6):
            sender.encode(frame, number / 25)
        assert sender.encode_errors == 6 and isinstance(sender.failure, MediaError)
    sender.encode(frame, 1.0)
    assert len(pictures) == 1 and sender.failure is None
