"""Tracks that come while the file is being written, gaps, and the index of who is where."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from payload_lab import H264, OPUS, PCMU, file_codecs, file_packets, pictures, sounds
from recording_lab import packet_times, tone_hz
from senses import AUDIO, VIDEO
from terminal_lab import file_frames, file_length_s, file_names

from ipconf import Payload
from ipconf.errors import MediaError
from ipconf.hub.recording_index import MAX_SEGMENTS, IndexedTrack, RecordingIndex
from ipconf.terminals.matroska import ENTRY_BYTES, MAX_TRACKS, MatroskaFile, MatroskaTrack
from ipconf.terminals.payload_growing import GrowingTrack, GrowingWriter, Moment, Page
from ipconf.terminals.payload_muxing import Numbered

OPUS_TRACK = MatroskaTrack("A_OPUS", "somebody", b"", rate_hz=48_000, channels=2)


def put(writer: GrowingWriter, track: GrowingTrack, payloads: list[Payload], at: float) -> None:
    """Write payloads to a track, from that position on."""
    for number, payload in enumerate(payloads):
        position_s = at + payload.timestamp / payload.format.clock_rate
        writer.write(Numbered(payload, number, track.medium), position_s, track)


def test_a_track_comes_later(tmp_path: Path) -> None:
    """When the file has long begun; what is in it is what came, where it was."""
    path = tmp_path / "meeting.mkv"
    writer = GrowingWriter(path)
    early, late = GrowingTrack(AUDIO, "Ann"), GrowingTrack(AUDIO, "Bo")
    camera, screen = GrowingTrack(VIDEO, "Bo"), GrowingTrack(VIDEO, "Cy")
    heard, others, seen, slides = sounds(6.0), sounds(3.0, hz=700), pictures(2.0), pictures(1, H264)
    put(writer, early, heard[:200], 0.0)
    put(writer, late, others, 4.0)
    put(writer, early, heard[200:], 0.0)
    put(writer, camera, seen, 4.5)
    put(writer, screen, slides, 8.0)
    writer.close()
    assert writer.ignored == 0
    assert [track.number for track in (early, late, camera, screen)] == [1, 2, 3, 4]
    assert file_names(path) == ["Ann", "Bo", "Bo", "Cy"]
    assert file_codecs(path) == ["opus", "opus", "vp8", "h264"]
    for number, payloads in ((0, heard), (1, others), (2, seen)):
        assert file_packets(path, number) == [payload.data for payload in payloads]
    assert [packet_times(path, n)[0] for n in (1, 2, 3, 4)] == [0.0, 4.0, 4.5, 8.0]
    assert tone_hz(path, 2, 4.5, 6.5) == pytest.approx(700, abs=2)
    assert len(file_frames(path, 0)) == len(seen) and len(file_frames(path, 1)) == len(slides)
    assert file_length_s(path) == pytest.approx(9.0, abs=0.1)


class Witnessed(FileIO):
    """A file of which all states are kept."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.states: list[bytes] = []

    def write(self, data: Any) -> int:
        written = super().write(data)
        at = self.tell()
        self.seek(0)
        self.states.append(self.readall())
        self.seek(at)
        return written


def test_the_file_plays_at_every_moment_at_which_a_track_comes(tmp_path: Path) -> None:
    """Whatever was written last: a crash may come between any two writes."""
    file = Witnessed(tmp_path / "meeting.mkv")
    matroska = MatroskaFile(file, "matroska", room=8)
    first = matroska.add(OPUS_TRACK)
    for n in range(200):
        matroska.write(first, b"\xf8\xff\xfe", n * 20, 20, True)
    before = len(file.states)
    for _ in range(3):
        matroska.add(OPUS_TRACK)
    assert len(file.states) == before + 6
    copy = tmp_path / "state.mkv"
    counts = []
    for state in file.states[before - 1 :]:
        copy.write_bytes(state)
        with av.open(str(copy)) as container:
            counts.append(len(container.streams))
            assert sum(packet.size > 0 for packet in container.demux()) > 100
    assert counts == [1, 1, 2, 2, 3, 3, 4]
    file.close()


def test_there_is_room_for_many_tracks_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "meeting.mkv"
    with FileIO(path, "w") as file:
        matroska = MatroskaFile(file, "matroska", room=MAX_TRACKS)
        for n in range(MAX_TRACKS):
            title = f"{n} " + "ü" * 200
            number = matroska.add(MatroskaTrack("V_VP8", title, bytes(50), size=(640, 360)))
            for k in range(100):
                matroska.write(number, b"picture", n * 2000 + k * 20, 20, key=True)
        with pytest.raises(MediaError, match="no room"):
            matroska.add(OPUS_TRACK)
        matroska.close()
    names = file_names(path)
    assert len(names) == MAX_TRACKS
    assert all(name.startswith(f"{n} üü") for n, name in enumerate(names))
    assert len(file_packets(path, MAX_TRACKS - 1)) == 100


def test_what_is_too_large_for_its_place_is_refused(tmp_path: Path) -> None:
    with FileIO(tmp_path / "meeting.mkv", "w") as file:
        matroska = MatroskaFile(file, "matroska", room=4)
        with pytest.raises(MediaError, match="no room"):
            matroska.add(MatroskaTrack("A_OPUS", "", bytes(ENTRY_BYTES)))
        assert matroska.add(OPUS_TRACK) == 1


def test_without_reserved_room_tracks_come_first(tmp_path: Path) -> None:
    with FileIO(tmp_path / "meeting.mkv", "w") as file:
        matroska = MatroskaFile(file, "matroska")
        number = matroska.add(OPUS_TRACK)
        for n in range(200):
            matroska.write(number, b"\xf8\xff\xfe", n * 20, 20, True)
        with pytest.raises(MediaError, match="no room"):
            matroska.add(OPUS_TRACK)


@pytest.mark.parametrize("form", [OPUS, PCMU])
def test_a_pause_is_a_gap_and_a_loss_is_none(tmp_path: Path, form: Any) -> None:
    path = tmp_path / "meeting.mkv"
    writer, track = GrowingWriter(path), GrowingTrack(AUDIO, "Ann")
    heard = sounds(2.0, form)
    put(writer, track, heard[:20] + heard[25:60], 0.0)
    put(writer, track, heard[60:], 30.0)
    writer.close()
    times = packet_times(path, 1)
    steps = [after - before for before, after in pairwise(times)]
    assert sum(step > 0.13 for step in steps) == 1, "there is one gap: the loss is filled"
    assert max(steps) == pytest.approx(30.02, abs=0.13)
    assert times[0] == 0.0 and times[-1] == pytest.approx(31.98, abs=0.002)
    assert tone_hz(path, 1, 31.3, 31.9, form.clock_rate) == pytest.approx(1000, abs=10)


def test_time_that_passes_is_enough_for_what_came_to_be_written(tmp_path: Path) -> None:
    """When everybody is silent, what they said before is not kept back."""
    path = tmp_path / "meeting.mkv"
    writer, track = GrowingWriter(path), GrowingTrack(AUDIO, "Ann")
    put(writer, track, sounds(1.0), 0.0)
    assert path.stat().st_size == 0
    writer.write(Moment(), 2.2)
    assert len(file_packets(path)) == 50
    writer.close()


def test_a_webm_is_one(tmp_path: Path) -> None:
    path = tmp_path / "meeting.webm"
    writer = GrowingWriter(path)
    put(writer, GrowingTrack(VIDEO, "Ann"), pictures(3.0), 0.0)
    put(writer, GrowingTrack(AUDIO, "Ann"), sounds(3.0), 1.0)
    writer.close()
    assert file_codecs(path) == ["vp8", "opus"] and path.read_bytes()[:60].count(b"webm") == 1


def test_the_index_is_written_whole_and_knows_numbers(tmp_path: Path) -> None:
    writer = GrowingWriter(tmp_path / "meeting.mkv")
    track = GrowingTrack(AUDIO, "Ann")
    writer.write(Page({"track": track}, last=False), 0.0)
    assert json.loads(writer.index_path.read_text()) == {"track": None}
    put(writer, track, sounds(0.1), 0.0)
    writer.write(Page({"track": track, "name": "\ud800é"}, last=True), 0.0)
    assert json.loads(writer.index_path.read_text()) == {"track": None}
    writer.close()
    assert json.loads(writer.index_path.read_text()) == {"track": 1, "name": "?é"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["meeting.mkv", "meeting.mkv.json"]


def indexed() -> IndexedTrack:
    return IndexedTrack(GrowingTrack(AUDIO, "Ann"), "Ann", "ann@here", AUDIO, "opus", "")


def test_segments_are_joined_unless_there_is_a_gap() -> None:
    track = indexed()
    for at in (0.0, 0.02, 1.9, 5.0, 5.02):
        track.extend(at, at + 0.02)
    assert track.to_json()["segments"] == [[0.0, 1.92], [5.0, 5.04]]


def test_there_are_never_too_many_segments() -> None:
    track = indexed()
    for n in range(20 * MAX_SEGMENTS):
        track.extend(3.0 * n, 3.0 * n + 0.02)
        assert len(track.segments) <= MAX_SEGMENTS
    assert track.segments[0][0] == 0.0
    assert track.segments[-1][1] == pytest.approx(3.0 * (20 * MAX_SEGMENTS - 1) + 0.02)


def test_who_returns_goes_on_on_their_track() -> None:
    index = RecordingIndex("Weekly", "meeting.mkv", datetime.now(UTC), 3)
    claim = ("Ann", "ann@here", AUDIO, "opus", "")
    first = index.claim("one", *claim)
    second = index.claim("two", *claim)
    assert first is not None and second is not None and first is not second
    first.holder = None
    assert index.claim("three", *claim) is first
    assert index.claim("four", "Ann", "ann@here", AUDIO, "pcmu", "") not in (None, first, second)
    assert index.claim("five", "Ann", "ann@here", VIDEO, "vp8", "camera") is None, "it is full"
    second.holder = None
    assert index.claim("six", *claim) is second
