"""The application's own terminals: writing with back-pressure, reading with bounded queues."""

from __future__ import annotations

import asyncio

import av
import numpy as np
import pytest
from terminal_lab import BLOCK, Host, luma_of, pitch_hz, rms, sine, solid_frame

from ipconf.errors import (
    ClosedError,
    ConfigurationError,
    InvalidDirectionError,
    InvalidMediaTypeError,
    TerminalInUseError,
    UsageError,
)
from ipconf.model import Direction, MediaType
from ipconf.terminals.base import CaptureTerminal, RenderTerminal
from ipconf.terminals.memory import MediaStreamCapture, MediaStreamRender, MediaStreamTerminal


def microphone(**options: int) -> MediaStreamCapture:
    return MediaStreamTerminal(MediaType.AUDIO, Direction.CAPTURE, **options)


def speaker(**options: int) -> MediaStreamRender:
    return MediaStreamTerminal(MediaType.AUDIO, Direction.RENDER, **options)


def test_one_name_makes_both_kinds() -> None:
    for medium in (MediaType.AUDIO, MediaType.VIDEO):
        capture = MediaStreamTerminal(medium, Direction.CAPTURE)
        render = MediaStreamTerminal(medium, Direction.RENDER)
        assert isinstance(capture, CaptureTerminal) and not isinstance(capture, RenderTerminal)
        assert isinstance(render, RenderTerminal) and not isinstance(render, CaptureTerminal)
        assert capture.direction is Direction.CAPTURE and render.direction is Direction.RENDER
        assert capture.media_type is render.media_type is medium
        assert capture.identity != render.identity


def test_wrong_kinds_and_options_are_refused() -> None:
    with pytest.raises(InvalidDirectionError, match=r"Direction\.CAPTURE or"):
        MediaStreamTerminal(MediaType.AUDIO, Direction.BIDIRECTIONAL)  # type: ignore[call-overload]
    with pytest.raises(InvalidMediaTypeError, match="give MediaType.AUDIO"):
        MediaStreamTerminal("audio", Direction.CAPTURE)  # type: ignore[call-overload]
    for no_direction in ("capture", None, []):
        with pytest.raises(InvalidDirectionError, match=r"Direction\.CAPTURE or"):
            MediaStreamTerminal(MediaType.AUDIO, no_direction)  # type: ignore[call-overload]
    for options in ({"rate_hz": 10}, {"channels": 3}):
        with pytest.raises(ConfigurationError):
            microphone(**options)
        with pytest.raises(ConfigurationError):
            speaker(**options)
    with pytest.raises(ConfigurationError, match="frames per second"):
        MediaStreamTerminal(MediaType.VIDEO, Direction.CAPTURE, fps=0)


def test_a_terminal_is_on_one_stream_at_a_time() -> None:
    terminal, first, second = microphone(), Host(), Host()
    assert not terminal.in_use
    terminal.attach(first)
    assert terminal.in_use
    with pytest.raises(TerminalInUseError, match="unselect it there first"):
        terminal.attach(second)
    terminal.detach(second)
    assert terminal.in_use  # that one does not have it
    terminal.detach(first)
    terminal.attach(second)
    terminal.fail(RuntimeError("unplugged"))
    assert not first.failures and second.failures[0][0] is terminal
    terminal.detach(second)
    terminal.close()
    with pytest.raises(ClosedError, match="create a new terminal"):
        terminal.attach(first)


def test_what_is_written_is_sent_unchanged_in_blocks_of_20_ms() -> None:
    async def run() -> None:
        terminal = microphone()
        wave = sine(0.1)
        for part in np.split(wave, [100, 1000, 1001, 4000]):
            await terminal.write(part[:, 0])
        blocks = [terminal.read(n * 0.02) for n in range(5)]
        assert all(block is not None and block.shape == (BLOCK, 1) for block in blocks)
        assert np.array_equal(np.concatenate(blocks), wave)
        assert terminal.read(0.1) is None

    asyncio.run(run())


def test_an_array_may_be_used_again_at_once() -> None:
    async def run() -> None:
        terminal = microphone()
        wave = sine(0.02)
        original = wave.copy()
        await terminal.write(wave)
        wave[:] = 0
        assert np.array_equal(terminal.read(0.0), original)

    asyncio.run(run())


def test_a_rest_waits_one_tick_and_is_completed_with_silence() -> None:
    async def run() -> None:
        terminal = microphone()
        await terminal.write(sine(0.03)[:, 0])
        assert terminal.read(0.00) is not None
        assert terminal.read(0.02) is None
        rest = terminal.read(0.04)
        assert rest is not None and rms(rest[:480]) > 1000 and not rest[480:].any()
        assert terminal.read(0.06) is None
        await terminal.write(sine(0.01))
        assert terminal.read(0.08) is None
        await terminal.write(sine(0.01))  # in time: no silence in between
        assert rms(terminal.read(0.10)[480:]) > 1000

    asyncio.run(run())


def test_other_rates_floats_stereo_and_av_frames_are_converted() -> None:
    async def run() -> None:
        terminal = microphone(rate_hz=16_000, channels=2)
        wave = sine(0.1, peak=16_384, rate_hz=16_000)
        await terminal.write(wave[:, 0].astype(np.float32) / 32_768)
        first = terminal.read(0.0)
        assert first.shape == (BLOCK, 2)
        middle = np.concatenate([terminal.read(0.02), terminal.read(0.04)])
        assert pitch_hz(middle) == pytest.approx(1000, abs=30)
        assert rms(middle) == pytest.approx(rms(wave), rel=0.02)

        frame = av.AudioFrame.from_ndarray(sine(0.04).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 48_000
        fresh = microphone(rate_hz=16_000)
        await fresh.write(frame)
        assert np.array_equal(fresh.read(0.0), sine(0.02))

    asyncio.run(run())


def test_a_writer_waits_while_200_ms_are_queued() -> None:
    async def run() -> None:
        terminal = microphone()
        writer = asyncio.create_task(terminal.write(sine(1.0)))
        read = []
        for tick in range(50):
            for _ in range(3):
                await asyncio.sleep(0)
            assert writer.done() == (tick >= 40)  # 50 blocks, 10 of them may wait
            read.append(terminal.read(tick * 0.02))
        assert np.array_equal(np.concatenate(read), sine(1.0))

    asyncio.run(run())


def test_write_nowait_drops_the_oldest_beyond_one_second() -> None:
    terminal = microphone()
    wave = sine(1.5, hz=3.0)
    terminal.write_nowait(wave)
    assert terminal.dropped == 25
    assert np.array_equal(terminal.read(0.0), wave[24_000 : 24_000 + BLOCK])
    terminal.write_nowait(sine(0.02))
    assert terminal.dropped == 25


def test_a_closed_microphone_is_silent_and_wakes_its_writer() -> None:
    async def run() -> None:
        terminal = microphone()
        writer = asyncio.create_task(terminal.write(sine(1.0)))
        await asyncio.sleep(0)
        terminal.close()
        terminal.close()
        with pytest.raises(ClosedError, match="create a new terminal"):
            await writer
        with pytest.raises(ClosedError):
            terminal.write_nowait(sine(0.02))
        assert terminal.read(0.0) is None
        await terminal.wait_closed()

    asyncio.run(run())


def test_a_writer_is_told_when_the_stream_gives_the_terminal_back() -> None:
    async def run() -> None:
        terminal, first, second = microphone(), Host(), Host()
        await terminal.write(sine(0.2))  # before it is selected: it can be sent later
        waits = asyncio.create_task(terminal.write(sine(0.02)))
        await asyncio.sleep(0)
        terminal.attach(first)
        terminal.detach(second)  # that one does not have it
        await asyncio.sleep(0)
        assert not waits.done()
        terminal.detach(first)
        with pytest.raises(ClosedError, match="on no stream any more; select it again"):
            await asyncio.wait_for(waits, 5)
        for block in range(10):
            terminal.read(block * 0.02)
        with pytest.raises(ClosedError, match="or write no more"):
            await terminal.write(sine(0.02))  # although there is room
        terminal.write_nowait(sine(0.02))
        terminal.attach(second)
        await terminal.write(sine(0.02))
        assert terminal.read(0.2) is not None and terminal.read(0.22) is not None

    asyncio.run(run())


def test_a_writer_does_not_notice_a_move_to_another_stream() -> None:
    async def run() -> None:
        terminal, first, second = microphone(), Host(), Host()
        terminal.attach(first)
        writer = asyncio.create_task(terminal.write(sine(0.3)))
        await asyncio.sleep(0)
        terminal.detach(first)
        terminal.attach(second)
        for block in range(15):
            assert writer.done() == (block >= 5)  # the other 10 blocks may wait
            assert terminal.read(block * 0.02) is not None
            for _ in range(3):
                await asyncio.sleep(0)
        await writer

    asyncio.run(run())


def test_a_shared_terminal_goes_on_until_the_last_stream_gives_it_back() -> None:
    async def run() -> None:
        out, back, first, second = microphone(), speaker(), Host(), Host()
        for terminal in (out, back):
            terminal.shared = True
            terminal.attach(first)
            terminal.attach(second)
        writer, reader = asyncio.create_task(out.write(sine(0.3))), asyncio.create_task(back.read())
        for host, over in ((first, False), (second, True)):
            out.detach(host)
            back.detach(host)
            for _ in range(3):
                await asyncio.sleep(0)
            assert (writer.done(), reader.done()) == (over, over)
        for task in (writer, reader):
            with pytest.raises(ClosedError):
                await asyncio.wait_for(task, 5)

    asyncio.run(run())


@pytest.mark.parametrize(
    "media", [np.zeros(0, np.int16), np.zeros((5, 5), np.int16), [0.0], b"\0\0", None]
)
def test_what_is_no_audio_is_refused_and_harms_nothing(media: object) -> None:
    async def run() -> None:
        terminal = microphone()
        with pytest.raises(UsageError):
            await terminal.write(media)
        with pytest.raises(UsageError):
            terminal.write_nowait(media)
        await terminal.write(sine(0.02))
        assert terminal.read(0.0) is not None

    asyncio.run(run())


def test_pictures_are_sent_at_the_rate_asked_for() -> None:
    async def run() -> None:
        camera = MediaStreamTerminal(MediaType.VIDEO, Direction.CAPTURE, fps=25)
        writer = asyncio.create_task(write_pictures(camera, 20))
        sent = []
        for poll in range(100):
            await asyncio.sleep(0)
            if (frame := camera.read(poll * 0.01)) is not None:
                sent.append((poll, int(luma_of(frame).mean())))
        await writer
        assert [poll for poll, _ in sent[:4]] == [0, 4, 8, 12]
        assert len(sent) == 20
        assert [luma for _, luma in sent] == sorted(luma for _, luma in sent)

    async def write_pictures(camera: MediaStreamCapture, count: int) -> None:
        for number in range(count):
            await camera.write(np.full((48, 64, 3), 10 * number, np.uint8))

    asyncio.run(run())


def test_write_nowait_keeps_the_latest_pictures() -> None:
    camera = MediaStreamTerminal(MediaType.VIDEO, Direction.CAPTURE)
    frames = [solid_frame(32, 32, 10 * n) for n in range(12)]
    for frame in frames:
        camera.write_nowait(frame)
    assert camera.dropped == 4
    assert camera.read(0.0) is frames[4]
    with pytest.raises(UsageError, match="no picture"):
        camera.write_nowait(b"jpeg")


def test_a_reader_gets_audio_as_asked() -> None:
    async def run() -> None:
        terminal = speaker(rate_hz=16_000, channels=1)
        wave = np.repeat(sine(0.4), 2, axis=1)
        for n, block in enumerate(np.split(wave, 20)):
            terminal.write(block, 5.0 + n * 0.02)
        terminal.close()
        parts = [samples async for samples in terminal]
        out = np.concatenate(parts)
        assert out.dtype == np.int16 and out.shape[1] == 1
        assert abs(len(out) - 6_400) < 100
        assert pitch_hz(out[1000:5000], 16_000) == pytest.approx(1000, abs=5)
        assert terminal.last_at == pytest.approx(5.38)

    asyncio.run(run())


def test_read_waits_and_read_nowait_does_not() -> None:
    async def run() -> None:
        terminal = speaker(channels=2)
        assert terminal.read_nowait() is None
        reader = asyncio.create_task(terminal.read())
        await asyncio.sleep(0)
        assert not reader.done()
        terminal.write(sine(0.02), 1.0)
        assert (await reader).shape == (BLOCK, 2)
        reader = asyncio.create_task(terminal.read())
        await asyncio.sleep(0)
        terminal.close()
        with pytest.raises(ClosedError, match="everything has been read"):
            await reader
        terminal.write(sine(0.02), 1.0)
        assert terminal.read_nowait() is None

    asyncio.run(run())


def test_what_nobody_reads_is_dropped_from_the_old_end() -> None:
    terminal = speaker()
    for n in range(60):
        terminal.write(np.full((BLOCK, 1), n, np.int16), n * 0.02)
    assert terminal.dropped == 10
    assert terminal.read_nowait()[0, 0] == 10
    window = MediaStreamTerminal(MediaType.VIDEO, Direction.RENDER)
    for n in range(10):
        window.write(solid_frame(32, 32, n), n / 30)
    assert window.dropped == 2 and window.last_at is None


def test_a_reader_gets_pictures_as_frames_or_arrays() -> None:
    frame = solid_frame(64, 48, 120)
    window = MediaStreamTerminal(MediaType.VIDEO, Direction.RENDER)
    window.write(frame, 0.0)
    assert window.read_nowait() is frame
    arrays = MediaStreamTerminal(MediaType.VIDEO, Direction.RENDER, arrays=True)
    arrays.write(frame, 0.5)
    picture = arrays.read_nowait()
    assert picture.shape == (48, 64, 3) and picture.dtype == np.uint8
    assert abs(int(picture[20, 20, 1]) - 120) <= 2
    assert arrays.last_at == 0.5


def test_reading_ends_when_the_stream_gives_the_terminal_back() -> None:
    async def run() -> None:
        terminal, first, second = speaker(), Host(), Host()
        early = asyncio.create_task(terminal.read())
        await asyncio.sleep(0)
        terminal.attach(first)
        terminal.detach(second)  # that one does not have it
        await asyncio.sleep(0)
        assert not early.done()  # before it is selected as well as after
        terminal.detach(first)
        with pytest.raises(ClosedError, match="on no stream any more"):
            await early
        terminal.attach(second)
        terminal.write(sine(0.02), 1.0)
        terminal.write(sine(0.02), 1.02)
        terminal.detach(second)
        assert len([block async for block in terminal]) == 2  # what was queued can be read

    asyncio.run(run())


def test_a_reader_does_not_notice_a_move_to_another_stream() -> None:
    async def run() -> None:
        terminal, first, second = speaker(), Host(), Host()
        terminal.attach(first)
        reader = asyncio.create_task(terminal.read())
        await asyncio.sleep(0)
        terminal.detach(first)
        terminal.attach(second)
        await asyncio.sleep(0)
        assert not reader.done()
        terminal.write(sine(0.02), 1.0)
        assert len(await reader) == BLOCK

    asyncio.run(run())


def test_the_last_block_is_completed_when_reading_ends() -> None:
    terminal, host = speaker(block_samples=2 * BLOCK), Host()
    terminal.attach(host)
    terminal.write(sine(0.02), 1.0)
    assert terminal.read_nowait() is None
    terminal.detach(host)
    assert len(terminal.read_nowait()) == 2 * BLOCK and terminal.read_nowait() is None


# --- a fixed format -------------------------------------------------------------------------------


def test_a_fixed_format_is_enforced_on_what_is_written() -> None:
    async def run() -> None:
        terminal = microphone(rate_hz=8_000, channels=2, block_samples=160)
        assert terminal.format == (8_000, 2, 160)
        await terminal.write(np.zeros((160, 2), np.int16))
        frame = av.AudioFrame(format="s16", layout="stereo", samples=160)
        frame.sample_rate = 8_000
        await terminal.write(frame)
        frame.sample_rate = 16_000
        for media in (
            np.zeros((161, 2), np.int16),
            np.zeros((80, 2), np.float32),
            np.zeros((160, 1), np.int16),
            np.zeros(160, np.int16),
            frame,
        ):
            with pytest.raises(UsageError, match="exactly 160 of 2 at 8000 Hz; give such blocks"):
                await terminal.write(media)
            with pytest.raises(UsageError, match="or make it without block_samples"):
                terminal.write_nowait(media)
        assert terminal.read(0.0).shape == (BLOCK, 2)

    asyncio.run(run())


def test_a_reader_gets_blocks_of_a_fixed_size() -> None:
    terminal = speaker(rate_hz=16_000, block_samples=512)
    assert terminal.format == (16_000, 1, 512)
    wave = sine(1.0, 500)
    for n in range(50):
        terminal.write(wave[n * BLOCK : (n + 1) * BLOCK], 10.02 + n * 0.02)
    blocks, times = [], []
    while (block := terminal.read_nowait()) is not None:
        blocks.append(block)
        times.append(terminal.last_at)
    assert {block.shape for block in blocks} == {(512, 1)} and len(blocks) == 31
    assert times == pytest.approx([10.02 + n * 0.032 for n in range(31)])
    sound = np.concatenate(blocks)
    assert pitch_hz(sound, 16_000) == pytest.approx(500, abs=2)
    # What is left is completed with silence when somebody talks after a pause, and at the end.
    terminal.write(wave[:BLOCK], 15.0)
    rest = terminal.read_nowait()
    assert rest.shape == (512, 1) and rest[:100].any() and not rest[200:].any()
    assert terminal.read_nowait() is None
    terminal.close()
    last = terminal.read_nowait()
    assert last.shape == (512, 1) and last[:300].any() and not last[330:].any()
    assert terminal.last_at == pytest.approx(15.0)
    assert terminal.read_nowait() is None


def test_blocks_have_their_limits() -> None:
    for samples in (0, -1, 48_001, 1.5):
        for make in (microphone, speaker):
            with pytest.raises(ConfigurationError, match="1 to 48000, or None"):
                make(block_samples=samples)
    with pytest.raises(ConfigurationError, match="pictures have no block_samples"):
        MediaStreamTerminal(MediaType.VIDEO, Direction.CAPTURE, block_samples=960)
    assert microphone().format == (48_000, 1, None)
    assert MediaStreamTerminal(MediaType.VIDEO, Direction.RENDER).format is None
