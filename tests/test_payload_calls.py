"""Recording people of calls as they came: no codec works, and what the network does is no harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from call_ends import Ends, EventLog, loopback
from payload_lab import OPUS, VP8, complete, file_codecs, sounds
from peers import eventually, scenario, webrtc
from senses import ALICE, AUDIO, CAPTURE, RENDER, VIDEO, is_picture
from stream_lab import Lab, Window, decoders
from terminal_lab import (
    file_audio,
    file_frames,
    file_length_s,
    luma_of,
    pitch_hz,
    rms,
)
from test_file_calls import CLAPS, SETTLED_S, SYNC_S, Camera, Hands, Microphone, beginnings
from video_lab import FPS, STEP, picture, psnr_db

from ipconf import Call, NetworkImpairment, Payload, PayloadRecorder, PayloadTerminal
from ipconf.codecs.vp8 import Vp8Decoder, Vp8Encoder
from ipconf.engine.reception import RemoteSource
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.errors import InvalidTerminalError
from ipconf.events import FileState, FileTerminalEvent, TerminalFailed
from ipconf.model import MediaType, SdesType
from ipconf.pipelines.audio_payloads import PATIENCE_S, AudioPayloads
from ipconf.streams.substreams import SubStream

GOOD_DB = 30.0


class Taker(PayloadTerminal):
    """Keeps the payloads that it is given, and fails when told to."""

    def __init__(self, medium: MediaType) -> None:
        super().__init__("taker", medium, RENDER)
        self.got: list[tuple[Payload, float]] = []
        self.broken = False

    def write_payload(self, payload: Payload, at: float) -> None:
        if self.broken:
            raise OSError("the tape is torn")
        self.got.append((payload, at))


def record(call: Call, recorder: PayloadRecorder) -> None:
    """Select tracks for whoever comes."""
    for medium in (AUDIO, VIDEO):
        call.stream(medium, RENDER).create_substream().select_terminal(
            recorder.create_track(medium, "Alice")
        )


@pytest.mark.parametrize(
    ("ending", "video", "audio"), [("webm", "VP8", "opus"), ("mkv", "H264", "PCMU")]
)
@scenario()
async def test_a_flash_and_a_beep_are_together(
    tmp_path: Path, ending: str, video: str, audio: str
) -> None:
    path, hands = tmp_path / f"alice.{ending}", Hands()
    async with loopback(webrtc(video_codecs=(video,), audio_codecs=(audio,))) as (tsp, x, y):
        x.stream(AUDIO, CAPTURE).select_terminal(Microphone(hands))
        x.stream(VIDEO, CAPTURE).select_terminal(Camera(hands))
        recorder = PayloadRecorder(path)
        record(y, recorder)
        recorder.start()
        log = EventLog(y)
        await tsp.connect(pair=(x, y))
        await eventually(lambda: hands.claps >= CLAPS, "there are some claps")
        assert y.stream(VIDEO, RENDER).stats().decoders == 0
        assert all(share.decoded == 0 for s in y.stats().streams for share in s.substreams)
        recorder.stop()
        await log.until(FileTerminalEvent, lambda event: event.state is FileState.IDLE)
        await complete(recorder)
    codecs = {"VP8": "vp8", "H264": "h264", "opus": "opus", "PCMU": "pcm_mulaw"}
    assert file_codecs(path) == [codecs[audio], codecs[video]]
    assert file_length_s(path) == pytest.approx(CLAPS, abs=0.3)
    loud = np.flatnonzero(np.abs(file_audio(path)[:, 0]) > 3_000) / 48_000
    bright = [frame.time for frame in file_frames(path) if luma_of(frame).mean() > 130]
    beeps, flashes = beginnings(list(loud)), beginnings(bright)
    assert len(beeps) == len(flashes) == CLAPS
    apart = [beep - flash for beep, flash in zip(beeps, flashes, strict=True) if flash > SETTLED_S]
    assert len(apart) >= 2 and np.abs(apart).max() < SYNC_S


@scenario()
async def test_a_bad_network(tmp_path: Path) -> None:
    """A tenth is lost: the file decodes to its end, the tone keeps its time, pictures are right."""
    path = tmp_path / "alice.webm"
    async with loopback() as (tsp, x, y):
        Ends(x, 440, ALICE)
        recorder = PayloadRecorder(path)
        record(y, recorder)
        recorder.start()
        await tsp.connect(pair=(x, y))
        heard = y.stream(AUDIO, RENDER)
        await eventually(lambda: heard.stats().packets > 25, "sound comes")
        x.query(NetworkImpairment).set_loss(10, seed=7)
        await eventually(lambda: heard.stats().packets > 150, "some of it is lost")
        lost = sum(share.lost for share in heard.stats().substreams)
        await complete(recorder)
    assert lost > 3
    sound, frames = file_audio(path), file_frames(path)
    assert pitch_hz(sound[24_000:]) == pytest.approx(440, abs=2)
    assert len(sound) / 48_000 > (145 + lost) * 0.02
    assert all(is_picture(frame, ALICE) for frame in frames)
    assert len(frames) > 25 and frames[-1].time > len(sound) / 48_000 - 0.5


@scenario()
async def test_who_hears_and_who_records(tmp_path: Path) -> None:
    """Alice is heard, seen and recorded; while she is muted she is nothing of it."""
    path = tmp_path / "alice.webm"
    async with loopback() as (tsp, x, y):
        Ends(x, 440, ALICE)
        bob, recorder = Ends(y), PayloadRecorder(path)
        record(y, recorder)
        recorder.start()
        await tsp.connect(pair=(x, y))
        await bob.gets(440, ALICE)
        (alice,) = y.participants
        for medium in (AUDIO, VIDEO):
            alice.set_enabled(y.stream(medium, RENDER), False)
        heard = y.stream(AUDIO, RENDER)
        before = heard.stats().packets
        await eventually(lambda: heard.stats().packets > before + 75, "she talks in vain")
        for medium in (AUDIO, VIDEO):
            alice.set_enabled(y.stream(medium, RENDER), True)
        await bob.gets(440, ALICE)
        await complete(recorder)
    sound, times = file_audio(path), [frame.time for frame in file_frames(path)]
    blocks = [rms(sound[n : n + 4800]) for n in range(0, len(sound) - 4800, 4800)]
    silent = np.flatnonzero(np.array(blocks) < 20)
    assert 12 <= len(silent) <= 18 and np.all(np.diff(silent) == 1)
    assert max(np.diff(times)) == pytest.approx(len(silent) / 10, abs=0.35)
    assert blocks[1] > 1000 < blocks[-1]


def test_pictures_are_lost() -> None:
    """Nothing is asked to be sent again: every picture in the file is as it was sent."""
    with film_lab() as film:
        taker = Taker(VIDEO)
        film.substream.select_terminal(taker)
        film.play(2.0, lose=lambda packet: packet.sequence % 23 == 5)
        numbers = [payload.timestamp // STEP for payload, _ in taker.got]
        assert len(numbers) < 60 and film.key_frames > 1
        begins = [n for before, n in zip([-1, *numbers], numbers, strict=False) if n != before + 1]
        keys = {payload.timestamp // STEP for payload, _ in taker.got if payload.key_frame}
        assert begins and set(begins) <= keys
        decoded = decode([payload for payload, _ in taker.got])
        for number, frame in zip(numbers, decoded, strict=True):
            assert psnr_db(frame, picture(number)) > GOOD_DB
        steps = np.diff([at for _, at in taker.got]) / np.diff(numbers)
        assert steps == pytest.approx(np.full(len(steps), 1 / FPS), abs=0.001)


def test_decoding_begins_and_ends_while_it_is_recorded() -> None:
    """A window comes: it waits for a key frame, which is asked for, and nobody else notices."""
    with film_lab() as film:
        taker = Taker(VIDEO)
        film.substream.select_terminal(taker)
        film.play(0.5)
        assert len(taker.got) == 15 and film.lab.stream.stats().decoders == 0
        window = Window()
        film.lab.stream.select_terminal(window)
        asked = film.key_frames
        film.play(0.5)
        assert film.key_frames == asked + 1 and len(taker.got) == 30
        assert 10 < len(window.got) <= 15 and film.lab.stream.stats().decoders == 1
        film.lab.stream.unselect_terminal(window)
        shown = len(window.got)
        film.play(0.5)
        assert len(window.got) == shown and len(taker.got) == 45
        assert film.lab.stream.stats().decoders == 0


def test_each_begins_with_a_key_frame() -> None:
    with film_lab() as film:
        first, second = Taker(VIDEO), Taker(VIDEO)
        film.substream.select_terminal(first)
        film.play(0.5)
        film.substream.select_terminal(second)
        film.play(0.5)
        assert len(first.got) == 30 and 10 < len(second.got) < 15
        assert second.got[0][0].key_frame and film.key_frames == 2


def test_after_a_mute_pictures_begin_anew() -> None:
    """Those before can be decoded only with what was not recorded."""
    with film_lab() as film:
        taker = Taker(VIDEO)
        film.substream.select_terminal(taker)
        film.play(0.5)
        person = film.substream.participant
        assert person is not None
        person.set_enabled(film.lab.stream, False)
        film.play(0.5)
        assert len(taker.got) == 15 and film.key_frames == 1
        person.set_enabled(film.lab.stream, True)
        film.play(0.5)
        assert 25 < len(taker.got) < 30 and film.key_frames == 2
        assert taker.got[15][0].key_frame


def test_a_terminal_that_fails_is_left_out() -> None:
    with film_lab() as film:
        good, bad = Taker(VIDEO), Taker(VIDEO)
        film.substream.select_terminal(bad)
        film.substream.select_terminal(good)
        bad.broken = True
        film.play(0.5)
        assert len(good.got) == 15
        assert [
            event.terminal for event in film.lab.events if isinstance(event, TerminalFailed)
        ] == [bad]


@scenario()
async def test_payloads_are_for_substreams_alone(tmp_path: Path) -> None:
    recorder = PayloadRecorder(tmp_path / "alice.webm")
    async with loopback() as (_, x, y):
        for medium in (AUDIO, VIDEO):
            stream = y.stream(medium, RENDER)
            with pytest.raises(InvalidTerminalError, match="select it on the substream of that"):
                stream.select_terminal(recorder.create_track(medium))
            with pytest.raises(InvalidTerminalError, match="takes a terminal for"):
                x.stream(medium, CAPTURE).select_terminal(recorder.create_track(medium))
        with pytest.raises(InvalidTerminalError, match="takes what one person sends"):
            y.select_terminal(recorder)
        assert not recorder.in_use


def test_sound_in_order() -> None:
    """One is late, one comes twice, one is lost: for that it is waited, and the times stay."""
    payloads = sounds(2.0)
    order = [*range(10), 11, 12, 10, 12, *range(13, 30), *range(31, 100)]
    receiver, got = AudioPayloads((OPUS,)), []
    for n in order:
        packet = RtpPacket(OPUS.payload_type, n + 65_530 & 0xFFFF, n * 960, 5, payloads[n].data)
        now = 50.0 + n * 0.02
        receiver.push(packet, now)
        if 31 <= n < 31 + PATIENCE_S / 0.02:
            assert len(got) == 30  # it is waited for number 30
        got += receiver.pull(now)
    numbers = [payload.timestamp // 960 for payload, _ in got]
    assert numbers == [n for n in range(100) if n != 30]
    assert [at for _, at in got] == pytest.approx([50.0 + n * 0.02 for n in numbers])
    assert [payload.data for payload, _ in got] == [payloads[n].data for n in numbers]


class Film:
    """Somebody who sends pictures, each a key frame that is asked for, into a stream."""

    def __init__(self) -> None:
        self.lab = Lab(VIDEO)
        self.substream: SubStream = self.lab.stream.create_substream()
        self.lab.connect()
        self._source = RemoteSource(5, self.lab.now())
        self._source.medium, self._source.items[SdesType.CNAME] = VIDEO, "them"
        self.lab.channel.session.sources[5] = self._source
        self.lab.roster.source_heard(self._source, self.lab.now())
        self._encoder = Vp8Encoder(2_000_000)
        self._number = self._sequence = 0
        self.key_frames = 0

    def play(
        self, seconds: float, lose: Callable[[RtpPacket], bool] = lambda packet: False
    ) -> None:
        """Send so much, but for what the network loses."""
        for _ in range(round(seconds * FPS)):
            wanted = self._number == 0 or bool(self.lab.key_frames)
            self.lab.key_frames.clear()
            payloads, key = self._encoder.encode(picture(self._number), wanted)
            self.key_frames += key
            for payload in payloads:
                packet = RtpPacket(
                    VP8.payload_type, self._sequence, self._number * STEP, 5, payload,
                    payload is payloads[-1],
                )  # fmt: skip
                packet.source = self._source
                self._sequence += 1
                if not lose(packet):
                    self.lab.stream.packet_arrived(packet, self.lab.now())
            self._number += 1
            self.lab.run(1 / FPS)


@contextmanager
def film_lab() -> Iterator[Film]:
    """A film whose pictures are not really decoded."""
    with decoders():
        yield Film()


def decode(payloads: list[Payload]) -> list[av.VideoFrame]:
    """What a decoder makes of pictures."""
    decoder = Vp8Decoder()
    return [frame for payload in payloads for frame in decoder.decode(payload.data)]
