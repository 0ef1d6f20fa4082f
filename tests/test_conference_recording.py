"""Recordings of conferences with real calls: what is in them, control, crashes and full disks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from payload_lab import PCMU, sounds
from peers import eventually, scenario, webrtc
from recording_lab import (
    Gathering,
    gathering,
    index_of,
    packet_times,
    recorded,
    sound_of,
    tone_hz,
    track_of,
)
from senses import ALICE, AUDIO, BLUE, BOB, CAPTURE, RED, RENDER, is_picture
from terminal_lab import file_frames, file_length_s, file_names, file_tracks

from ipconf.errors import ConfigurationError, InvalidStateError, MediaError
from ipconf.events import (
    FileState,
    RecordingEvent,
    RecordingFailed,
    RecordingIncomplete,
    RecordingPaused,
    RecordingStarted,
    RecordingStopped,
)
from ipconf.hub import recording_tracks
from ipconf.hub.people import Role
from ipconf.hub.recording import ConferenceRecording
from ipconf.hub.recording_kinds import RecordingKind, record
from ipconf.hub.recording_stage import Stage
from ipconf.model import AUDIO_RATE_HZ
from ipconf.pipelines.mosaic import grid

EVERY_KIND = list(RecordingKind)
ANN_HZ, BOB_HZ, CY_HZ = 440.0, 700.0, 1000.0


def kinds_told(events: Any) -> list[type[RecordingEvent]]:
    """The events that have come."""
    return [type(event) for event in events._unread]


async def complete(recording: ConferenceRecording) -> None:
    """Stop it; nothing went wrong."""
    recording.stop()
    await recording.wait_complete()
    assert recording.error is None and recording.dropped == 0


@scenario()
async def test_everybody_has_tracks_of_their_own(tmp_path: Path) -> None:
    """Who comes later begins later, on the same clock; what is on a track is theirs alone."""
    path = tmp_path / "weekly.mkv"
    async with gathering() as there:
        await there.join("Ann", ANN_HZ, ALICE)
        recording = record(there.conference, path, RecordingKind.TRACKS)
        await recorded(recording, 1.5)
        before = recording.position_s
        await there.join("Bob", BOB_HZ, BOB)
        await recorded(recording, 2.0)
        await complete(recording)
    index = index_of(path)
    assert index["version"] == 1 and index["subject"] == "Weekly" and index["complete"]
    assert index["length_s"] == pytest.approx(recording.position_s, abs=0.01)
    assert file_names(path) == [track["name"] for track in index["tracks"]]
    assert sorted(file_tracks(path)) == ["audio", "audio", "video", "video"]
    for name, hz, shown in (("Ann", ANN_HZ, ALICE), ("Bob", BOB_HZ, BOB)):
        (sound,), (camera,) = track_of(path, name, "audio"), track_of(path, name, "video")
        assert (sound["codec"], camera["codec"], camera["content"]) == ("opus", "vp8", "camera")
        begin, end = sound["segments"][0]
        assert packet_times(path, sound["number"])[0] == pytest.approx(begin, abs=0.05)
        assert tone_hz(path, sound["number"], begin + 0.3, end - 0.1) == pytest.approx(hz, abs=4)
        with av.open(str(path)) as container:
            frames = list(container.decode(container.streams[camera["number"] - 1]))
        assert len(frames) > 10 and all(is_picture(frame, shown) for frame in frames[2:])
        assert end == pytest.approx(recording.position_s, abs=0.7)
    (late,) = track_of(path, "Bob", "audio")
    assert late["segments"][0][0] >= before
    assert late["people"] and late["people"] != track_of(path, "Ann", "audio")[0]["people"]


@scenario()
async def test_who_returns_goes_on_on_their_track(tmp_path: Path) -> None:
    path = tmp_path / "weekly.mkv"
    async with gathering() as there:
        await there.join("Ann", ANN_HZ)
        bob = await there.join("Bob", BOB_HZ, BOB)
        recording = record(there.conference, path, RecordingKind.TRACKS)
        await recorded(recording, 1.0)
        await there.leave(bob)
        left_at = recording.position_s
        await recorded(recording, 2.5)
        await there.join("Bob", CY_HZ, BOB)
        await recorded(recording, 1.5)
        await complete(recording)
    (sound,), (camera,) = track_of(path, "Bob", "audio"), track_of(path, "Bob", "video")
    for track in (sound, camera):
        (_, end), (again, _) = track["segments"]
        assert end == pytest.approx(left_at, abs=0.5) and again > left_at + 2.4
        times = np.array(packet_times(path, track["number"]))
        assert not ((times > end + 0.05) & (times < again - 0.05)).any(), "there is a gap"
        assert len(track["people"]) == 2
    number, ((_, end), (again, _)) = sound["number"], sound["segments"]
    assert tone_hz(path, number, 0.3, end) == pytest.approx(BOB_HZ, abs=4)
    assert tone_hz(path, number, again + 0.3, again + 1.2) == pytest.approx(CY_HZ, abs=4)
    assert len(track_of(path, "Ann", "audio")[0]["segments"]) == 1


@scenario()
async def test_another_codec_has_another_track(tmp_path: Path) -> None:
    path = tmp_path / "weekly.mkv"
    async with gathering(webrtc()) as there:
        ann = await there.join("Ann", ANN_HZ)
        recording = record(there.conference, path, RecordingKind.TRACKS)
        await recorded(recording, 1.2)
        await ann.speak("PCMU")
        await recorded(recording, 1.5)
        await complete(recording)
    first, second = track_of(path, "Ann", "audio")
    assert (first["codec"], second["codec"]) == ("opus", "pcmu")
    assert second["segments"][0][0] >= first["segments"][-1][1] - 0.1
    begin, end = second["segments"][0]
    found = tone_hz(path, second["number"], begin + 0.3, end - 0.1, 8_000)
    assert found == pytest.approx(ANN_HZ, abs=8)


@scenario()
async def test_a_source_that_changes_its_codec_again_and_again(tmp_path: Path) -> None:
    """It has a track for each of them, however often."""
    path = tmp_path / "weekly.mkv"
    async with gathering() as there:
        ann = await there.join("Ann", ANN_HZ)
        recording = record(there.conference, path, RecordingKind.TRACKS)
        await recorded(recording, 0.5)
        ann.call.stream(AUDIO, CAPTURE).stop()
        await recorded(recording, 0.2)
        (substream,) = ann.far.stream(AUDIO, RENDER).substreams
        (track,) = substream.payload_terminals
        begin = there.conference.now()
        for n, (opus, pcmu) in enumerate(zip(sounds(1.0), sounds(1.0, PCMU), strict=True)):
            track.write_payload(pcmu if n // 10 % 2 else opus, begin + n * 0.02)
        await complete(recording)
    opus_track, pcmu_track = track_of(path, "Ann", "audio")
    assert (opus_track["codec"], pcmu_track["codec"]) == ("opus", "pcmu")
    times = packet_times(path, pcmu_track["number"])
    assert times[-1] - times[0] == pytest.approx(0.6, abs=0.01), "silence up to the end"
    assert file_tracks(path) == ["audio"] * 2


@scenario()
async def test_what_was_said_is_soon_in_the_file(tmp_path: Path) -> None:
    """Also of somebody who is alone, of whom not much comes."""
    path = tmp_path / "weekly.mkv"
    async with gathering() as there:
        await there.join("Ann", ANN_HZ)
        recording = record(there.conference, path, RecordingKind.TRACKS)
        await recorded(recording, 3.5)
        assert packet_times(path, 1)[-1] > recording.position_s - 2.2
        assert index_of(path)["tracks"][0]["segments"][-1][1] > recording.position_s - 1.7
        await complete(recording)


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
@scenario()
async def test_a_mosaic_shows_and_plays_everybody(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"weekly.{ending}"
    async with gathering() as there:
        ann = await there.join("Ann", ANN_HZ, (RED, RED))
        await there.join("Bob", BOB_HZ, (BLUE, BLUE))
        recording = record(there.conference, path)
        await recorded(recording, 2.0)
        ann.hide()
        hidden_at = recording.position_s
        await recorded(recording, 2.8)
        await complete(recording)
        assert there.names == {"Ann", "Bob"} and len(there.conference.legs) == 2
    frames = file_frames(path)
    assert {(frame.width, frame.height) for frame in frames} == {(640, 360)}
    assert len(frames) <= 15.5 * file_length_s(path) + 2
    ann_at, bob_at = grid(2, 640, 360)

    def shown(at_s: float) -> list[bool]:
        """Whether Ann is seen, and Bob, in their places."""
        frame = max((f for f in frames if f.time <= at_s), key=lambda f: f.time)
        y, u, v = (np.asarray(plane).reshape(-1, plane.line_size) for plane in frame.planes)
        seen = []
        for place, colour in ((ann_at, RED), (bob_at, BLUE)):
            area = (slice(place.top + 20, place.top + 90), slice(place.left + 20, place.left + 280))
            half = tuple(slice(part.start // 2, part.stop // 2) for part in area)
            mean = [y[area].mean(), u[half].mean(), v[half].mean()]
            seen.append(bool(np.abs(np.subtract(mean, colour)).max() < 15))
        return seen

    assert shown(hidden_at - 0.3) == [True, True]
    assert shown(file_length_s(path) - 0.2) == [False, True], "a camera that is off is told"
    with av.open(str(path)) as container:
        number = container.streams.audio[0].index + 1
    wave = np.concatenate([sound for at, sound in sound_of(path, number) if 1 < at < 4])
    spectrum = np.abs(np.fft.rfft(wave.astype(float), AUDIO_RATE_HZ))
    loudest = sorted(int(hz) for hz in np.argsort(spectrum)[-40:])
    assert all(any(abs(hz - tone) < 6 for hz in loudest) for tone in (ANN_HZ, BOB_HZ))


@scenario()
async def test_listeners_are_not_recorded_until_they_may_speak(tmp_path: Path) -> None:
    async with gathering() as there:
        await there.join("Ann", ANN_HZ, (RED, RED))
        await there.join("Bob", BOB_HZ, (BLUE, BLUE))
        bob = floor_of(there, "Bob")
        there.conference.set_role(bob, Role.LISTENER)
        stage = Stage(there.conference, 4)
        tracks = record(there.conference, tmp_path / "tracks.mkv", RecordingKind.TRACKS)

        def seen() -> dict[str, bool]:
            """Who is on the stage, and whether with a picture."""
            stage.look(there.conference.now())
            tiles = stage.tiles(there.conference.now())
            return {tile.name: tile.picture is not None for tile in tiles}

        await eventually(lambda: seen() == {"Ann": True})
        await recorded(tracks, 1.0)
        assert seen() == {"Ann": True}
        there.conference.set_role(bob, Role.SPEAKER)
        let_speak_at = tracks.position_s
        await eventually(lambda: seen() == {"Ann": True, "Bob": True})
        await recorded(tracks, 1.0)
        there.conference.set_role(bob, Role.LISTENER)
        assert seen() == {"Ann": True}
        await recorded(tracks, 0.5)
        silent_at = tracks.position_s
        await recorded(tracks, 1.0)
        stage.end()
        await complete(tracks)
    for medium in ("audio", "video"):
        (track,) = track_of(tmp_path / "tracks.mkv", "Bob", medium)
        assert let_speak_at - 0.1 < track["segments"][0][0]
        assert track["segments"][-1][1] < silent_at + 0.1


@scenario()
async def test_who_has_the_floor_is_seen_whole(tmp_path: Path) -> None:
    path = tmp_path / "weekly.webm"
    async with gathering() as there:
        ann = await there.join("Ann", ANN_HZ, ALICE)
        recording = record(there.conference, path, RecordingKind.SPEAKER, size=(320, 192), fps=10)
        await recorded(recording, 1.5)
        await there.join("Bob", BOB_HZ, BOB)
        ann.hide()
        there.conference._set_dominant(floor_of(there, "Bob"))
        await recorded(recording, 2.0)
        await complete(recording)
    frames = file_frames(path)
    middle = [frame.reformat(format="yuv444p").to_ndarray()[:, 30:150] for frame in frames]

    def is_left(plane: Any, colour: Any) -> bool:
        mean = plane[:, :, 20:140].mean(axis=(1, 2))
        return bool(np.abs(np.subtract(mean, colour)).max() < 15)

    seen = ["".join(k for k, c in (("a", RED), ("b", BLUE)) if is_left(p, c)) for p in middle]
    order = "".join(seen)
    assert "a" in order and "b" in order and "ba" not in order and order.endswith("b")


def floor_of(there: Gathering, name: str) -> Any:
    return next(person for person in there.conference.attendees if person.name == name)


@pytest.mark.parametrize("ending", ["wav", "ogg"])
@scenario()
async def test_sound_alone(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"weekly.{ending}"
    async with gathering() as there:
        await there.join("Ann", ANN_HZ, ALICE)
        recording = record(there.conference, path)
        await recorded(recording, 1.5)
        await complete(recording)
    assert file_tracks(path) == ["audio"]
    assert tone_hz(path, 1, 0.4, 1.3) == pytest.approx(ANN_HZ, abs=4)


@pytest.mark.parametrize("kind", EVERY_KIND)
@scenario()
async def test_a_pause_is_not_in_the_file(tmp_path: Path, kind: RecordingKind) -> None:
    path = tmp_path / "weekly.mkv"
    async with gathering() as there:
        await there.join("Ann", ANN_HZ, ALICE)
        events = there.conference.events(RecordingEvent)
        recording = record(there.conference, path, kind)
        await recorded(recording, 1.2)
        recording.pause()
        recording.pause()
        assert recording.state is FileState.PAUSED
        at = recording.position_s
        resume_at = there.conference.now() + 1.5
        await eventually(lambda: there.conference.now() >= resume_at)
        assert recording.position_s == at
        recording.start()
        recording.start()
        await recorded(recording, 1.2)
        await complete(recording)
        recording.stop()
        with pytest.raises(InvalidStateError, match="over"):
            recording.start()
        assert kinds_told(events) == [
            RecordingStarted,
            RecordingPaused,
            RecordingStarted,
            RecordingStopped,
        ]
    assert recording.position_s == pytest.approx(2.4, abs=0.3)
    assert file_length_s(path) == pytest.approx(recording.position_s, abs=0.4)
    for number in (1, 2):
        times = packet_times(path, number)
        assert times == sorted(times) and max(np.diff(times)) < 0.7
    if kind is RecordingKind.TRACKS:
        (pause,) = index_of(path)["pauses"]
        assert pause["at_s"] == pytest.approx(at, abs=0.01)
        assert pause["for_s"] == pytest.approx(1.5, abs=0.1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("kind", EVERY_KIND)
@scenario()
async def test_a_full_disk_ends_the_recording_and_nothing_else(
    tmp_path: Path, kind: RecordingKind
) -> None:
    path = tmp_path / "full.mkv"
    path.symlink_to("/dev/full")
    async with gathering() as there:
        ann = await there.join("Ann", ANN_HZ, ALICE)
        bob = await there.join("Bob", BOB_HZ, BOB)
        events = there.conference.events(RecordingEvent)
        recording = record(there.conference, path, kind)
        good = record(there.conference, tmp_path / "good.mkv", kind)
        failed = await events.wait_for(RecordingFailed)
        assert failed.recording is recording and isinstance(failed.error, MediaError)
        assert recording.error is failed.error and "No space" in str(failed.error)
        assert recording.state is FileState.IDLE
        await recording.wait_complete()
        recording.stop()
        await ann.witness.hears(BOB_HZ)
        await bob.witness.hears(ANN_HZ)
        await recorded(good, 0.5)
        await complete(good)
        assert kinds_told(events) == [RecordingStopped], "of the other one"
    assert {"audio", "video"} == set(file_tracks(tmp_path / "good.mkv"))


@pytest.mark.parametrize("kind", EVERY_KIND)
@scenario()
async def test_it_ends_with_the_conference(tmp_path: Path, kind: RecordingKind) -> None:
    path = tmp_path / "weekly.mkv"
    async with gathering() as there:
        await there.join("Ann", ANN_HZ, ALICE)
        recording = record(there.conference, path, kind)
        await recorded(recording, 1.2)
        await there.conference.end()
        await eventually(lambda: recording.state is FileState.IDLE, "it has ended")
        await recording.wait_complete()
        with pytest.raises(InvalidStateError):
            record(there.conference, tmp_path / "other.mkv", kind)
    assert file_length_s(path) == pytest.approx(1.3, abs=0.6)


@scenario()
async def test_nobody_is_recorded_who_is_not_there(tmp_path: Path) -> None:
    """A conference without people, and one that everybody has left."""
    path, other = tmp_path / "empty.mkv", tmp_path / "left.mkv"
    async with gathering() as there:
        async with record(there.conference, path, RecordingKind.TRACKS) as first:
            await recorded(first, 0.5)
        ann = await there.join("Ann", ANN_HZ)
        recording = record(there.conference, other)
        await recorded(recording, 1.0)
        await there.leave(ann)
        left_at = recording.position_s
        await recorded(recording, 4.5)
        assert max(packet_times(other, 1)) > left_at + 0.8, "the file goes on"
        await complete(recording)
    assert index_of(path)["tracks"] == [] and index_of(path)["complete"]
    assert file_length_s(other) == pytest.approx(recording.position_s, abs=0.3)


@scenario()
async def test_who_has_no_place_in_the_file_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_tracks, "MAX_TRACKS", 2)
    path = tmp_path / "weekly.mkv"
    async with gathering() as there:
        events = there.conference.events(RecordingIncomplete)
        recording = record(there.conference, path, RecordingKind.TRACKS)
        for name, hz in (("Ann", ANN_HZ), ("Bob", BOB_HZ), ("Cy", CY_HZ)):
            await there.join(name, hz)
            await recorded(recording, 0.7)
        await complete(recording)
        (told,) = events._unread
        assert told.name == "Cy" and "2 tracks" in str(told.error)
    assert file_names(path) == ["Ann", "Bob"]
    assert index_of(path)["missing"] == ["Cy: weekly.mkv has all 2 tracks"]


@scenario()
async def test_what_a_webm_cannot_hold_is_told(tmp_path: Path) -> None:
    path = tmp_path / "weekly.webm"
    async with gathering(webrtc()) as there:
        events = there.conference.events(RecordingIncomplete)
        ann = await there.join("Ann", ANN_HZ, ALICE)
        await ann.speak("PCMU")
        recording = record(there.conference, path, RecordingKind.TRACKS)
        await recorded(recording, 1.2)
        await complete(recording)
        assert [str(event.error) for event in events._unread] == ["weekly.webm cannot hold pcmu"]
    assert file_tracks(path) == ["video"]


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@scenario()
async def test_misuse(tmp_path: Path) -> None:
    async with gathering() as there:
        made: list[Callable[[], object]] = [
            lambda: record(there.conference, tmp_path / "a.txt"),
            lambda: record(there.conference, tmp_path / "a.ogg", RecordingKind.TRACKS),
            lambda: record(there.conference, tmp_path / "a.mkv", size=(0, 2)),
            lambda: record(there.conference, tmp_path / "a.mkv", size=(641, 360)),
            lambda: record(there.conference, tmp_path / "a.mkv", fps=0),
        ]
        for misuse in made:
            with pytest.raises(ConfigurationError):
                misuse()
        for kind in EVERY_KIND:
            with pytest.raises(MediaError):
                record(there.conference, tmp_path / "none" / "a.mkv", kind)
        assert there.conference.legs == ()
    assert files_in(tmp_path) == []


CRASH = """
import asyncio, sys
from pathlib import Path
from recording_lab import gathering, recorded
from senses import ALICE, BOB
from ipconf.hub.recording_kinds import RecordingKind, record

async def main():
    async with gathering() as there:
        await there.join("Ann", 440.0, ALICE)
        kinds = {"tracks.mkv": "TRACKS", "mosaic.webm": "MOSAIC", "speaker.mp4": "SPEAKER"}
        made = [record(there.conference, Path(sys.argv[1], n), RecordingKind[k])
                for n, k in kinds.items()]
        await recorded(made[0], 2.0)
        await there.join("Bob", 700.0, BOB)
        await recorded(made[0], 3.5)
        print("recorded", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_crash_leaves_files_that_play(tmp_path: Path) -> None:
    """The process is killed in mid-recording: at most the last two seconds are missing."""
    with subprocess.Popen(
        [sys.executable, "-c", CRASH, str(tmp_path)],
        cwd=Path(__file__).parent,
        env={"PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"recorded\n"
        process.kill()
    for name in ("tracks.mkv", "mosaic.webm", "speaker.mp4"):
        path = tmp_path / name
        with av.open(str(path)) as container:
            kinds = [stream.type for stream in container.streams]
        assert len(kinds) == (4 if name == "tracks.mkv" else 2), name
        for number in range(1, len(kinds) + 1):
            with av.open(str(path)) as container:
                last = [f.time for f in container.decode(container.streams[number - 1])][-1]
            assert last > 3.4, (name, number)
    path = tmp_path / "tracks.mkv"
    index = index_of(path)
    assert not index["complete"] and index["length_s"] > 3.4
    for name, hz in (("Ann", ANN_HZ), ("Bob", BOB_HZ)):
        (track,) = track_of(path, name, "audio")
        begin = track["segments"][0][0]
        assert tone_hz(path, track["number"], begin + 0.3, 4.0) == pytest.approx(hz, abs=5)
