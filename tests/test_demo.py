"""The demo: one real run, and a verdict that notices whatever is not as it should be."""

import io
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from rich.console import Console

from ipconf.cli import main
from ipconf.demo.expected import chains, talk_faults
from ipconf.demo.log import DemoLog, PartyLog
from ipconf.demo.party import printable
from ipconf.demo.recordings import Sound, correlation
from ipconf.demo.sentences import CLASS_WIDTH, event_line, phrase
from ipconf.demo.story import ALICE, BOB, MIN_DURATION_S, NEW_NAME, ROLES, Story
from ipconf.demo.summary import print_summary
from ipconf.demo.verdict import Check, check_events, check_recording, judge
from ipconf.demo.view import LiveView
from ipconf.model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES
from ipconf.terminals.muxing import MediaWriter
from ipconf.terminals.pictures import TestPictureTerminal

DURATION_S = 20
TALK = {"LocalTalking", "LocalSilent", "ParticipantActive", "ParticipantInactive"}


class Run(NamedTuple):
    """What the program left behind."""

    exit_code: int
    output: str
    report: dict


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("demo")
    report = folder / "report.json"
    command = [
        sys.executable, "-m", "ipconf", "demo", "--headless", "--duration", str(DURATION_S),
        "--json", str(report), "--record", str(folder),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert not done.stderr
    return Run(done.returncode, done.stdout, json.loads(report.read_text()))


@pytest.fixture
def log(run) -> DemoLog:
    """The log of the real run, to be doctored."""
    return DemoLog.from_json(json.dumps(run.report))


def failed(checks: list[Check]) -> set[str]:
    return {check.question for check in checks if not check.passed}


def index_of(party: PartyLog, kind: str, **fields: object) -> int:
    return next(
        index
        for index, event in enumerate(party.events)
        if event["event"] == kind and all(event[key] == value for key, value in fields.items())
    )


# -- the real run


def test_run_passes(run):
    assert run.report["checks"]
    assert [fault for check in run.report["checks"] for fault in check["faults"]] == []
    assert run.report["passed"] is True
    assert run.exit_code == 0
    assert "PASSED" in run.output


def test_run_prints_events_aligned(run):
    lines = [line for line in run.output.splitlines() if " Participant" in line]
    assert {line.index("Participant") for line in lines} == {13}
    for sentence in (
        " joined",
        f"their name is “{NEW_NAME}”",
        f"{NEW_NAME} vanished without a word",
        f"{NEW_NAME} is back",
        f"{NEW_NAME} left (bye): “the train has arrived”",
    ):
        assert sentence in run.output


def test_run_leaves_files_that_play(run):
    for role in ROLES:
        path = Path(run.report["parties"][role.key]["recording"])
        with av.open(str(path)) as container:
            assert abs(container.duration / av.time_base - DURATION_S) < 1
            assert [stream.type for stream in container.streams] == ["audio", "video"]


def test_run_reports_statistics(run):
    for role in ROLES:
        statistics = run.report["parties"][role.key]["statistics"]
        assert statistics["state"] == "connected"
        assert statistics["name"] == (NEW_NAME if role is BOB else ALICE.name)
        assert [person["name"] for person in statistics["people"]] == [
            NEW_NAME if role is ALICE else ALICE.name
        ]
        assert all(stream["bit_rate_bps"] > 0 for stream in statistics["streams"])


# -- events that are not as they should be


def test_every_event_that_is_missing_or_doubled_is_noticed(log):
    for party in log.parties.values():
        events = party.events
        for index, event in enumerate(events):
            if event["event"] in TALK | {"FileTerminalEvent"}:
                continue
            if event["event"] == "ParticipantInfoChanged" and "name" not in event["changed"]:
                continue
            party.events = events[:index] + events[index + 1 :]
            assert failed(check_events(log, party)) == {"All events in order"}, event
            party.events = events[: index + 1] + events[index:]
            assert failed(check_events(log, party)) == {"All events in order"}, event
        party.events = events


@pytest.mark.parametrize("kind", sorted(TALK))
def test_talk_that_does_not_take_turns_is_noticed(log, kind):
    party = log.parties["bob"]
    del party.events[index_of(party, kind)]
    assert failed(check_events(log, party)) == {"Talk noticed"}


def test_a_log_without_talk_is_noticed(log):
    party = log.parties["alice"]
    party.events = [event for event in party.events if event["event"] not in TALK]
    assert len(talk_faults(log.story, party.events)) == 4


@pytest.mark.parametrize(
    ("kind", "at_s"),
    [
        ("ParticipantTimedOut", 8.0),  # the outage begins at 7.15 s
        ("ParticipantRecovered", 14.0),
        ("ParticipantLeft", 18.0),
    ],
)
def test_an_event_at_the_wrong_time_is_noticed(log, kind, at_s):
    party = log.parties["alice"]
    party.events[index_of(party, kind)]["at"] = at_s
    (fault,) = (fault for check in check_events(log, party) for fault in check.faults)
    assert f"came at {at_s:.1f} s" in fault


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("ParticipantLeft", {"text": "goodbye"}),
        ("ParticipantLeft", {"reason": "timeout"}),
        ("ParticipantInfoChanged", {"name": "Mallory"}),
        ("StreamInactive", {"cause": "local_request"}),
    ],
)
def test_an_event_with_other_contents_is_noticed(log, kind, change):
    party = log.parties["alice"]
    party.events[index_of(party, kind)].update(change)
    assert failed(check_events(log, party)) == {"All events in order"}


def test_a_lost_bye_is_forgiven_only_where_the_network_loses(log):
    party = log.parties["alice"]
    party.events[index_of(party, "ParticipantLeft")]["text"] = ""
    assert failed(check_events(log, party)) == {"All events in order"}
    log.story = Story(log.story.duration_s, loss_percent=5)
    assert failed(check_events(log, party)) == set()


def test_failures_are_noticed(log):
    party = log.parties["bob"]
    failure = {"at": 3.0, "stream": "audio render", "error": "MediaError: no decoder"}
    party.events.insert(20, {"event": "TerminalFailed", **failure})
    assert failed(check_events(log, party)) == {"All events in order"}
    del party.events[20]
    party.complaints = ["Task exception was never retrieved"]
    party.finished = None
    assert failed(check_events(log, party)) == {"No inner errors", "Played to the end"}


# -- recordings that are not as they should be


def remake(
    log: DemoLog,
    folder: Path,
    *,
    voice: Path | None,
    gaps: bool = True,
    picture: str = BOB.name,
    still: bool = False,
) -> PartyLog:
    """Give Alice a recording as it might have been made; all files begin with the story."""
    for party in log.parties.values():
        for event in party.events:
            if event["event"] == "FileTerminalEvent":
                event["at"] = 0.0
    alice = log.parties["alice"]
    alice.recording = folder / alice.recording.name
    silences = log.story.silent_for(ALICE) if gaps else ()
    outage = log.story.outage
    blocks = looped(voice) if voice else itertools.repeat(np.zeros((960, 1), np.int16))
    terminal = TestPictureTerminal(picture, 320, 180, fps=15)
    shown: av.VideoFrame | None = None
    writer = MediaWriter(alice.recording)
    for tick in range(round(log.story.duration_s / AUDIO_FRAME_S)):
        at_s, block = tick * AUDIO_FRAME_S, next(blocks)
        if not any(span.start_s <= at_s < span.end_s for span in silences):
            writer.write(block, at_s)
        frame = terminal.read(at_s)
        if frame is not None and not outage.start_s <= at_s < outage.end_s:
            shown = frame if shown is None or not still else shown
            writer.write(shown, at_s)
    writer.close()
    return alice


def looped(path: Path) -> Iterator[np.ndarray]:
    """A clip over and over in blocks of 20 ms."""
    resampler = av.AudioResampler("s16", "mono", 48_000)
    with av.open(str(path)) as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    position = 0
    while True:
        places = np.arange(position, position + AUDIO_FRAME_SAMPLES) % len(samples)
        yield samples[places].reshape(-1, 1)
        position += AUDIO_FRAME_SAMPLES


def test_a_recording_as_it_should_be_passes(log, tmp_path):
    party = remake(log, tmp_path, voice=BOB.clip)
    assert failed(check_recording(log, party)) == set()


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ({"voice": None}, {"Heard the other"}),
        ({"voice": ALICE.clip}, {"Heard the other"}),
        ({"voice": BOB.clip, "gaps": False}, {"Silence in between"}),
        ({"voice": BOB.clip, "picture": "Alice"}, {"Saw the other"}),
        ({"voice": BOB.clip, "picture": "Mallory"}, {"Saw the other"}),
        ({"voice": BOB.clip, "still": True}, {"Pictures moved"}),
    ],
    ids=["nothing heard", "own voice", "no silence", "own picture", "stranger", "still picture"],
)
def test_a_recording_with_the_wrong_contents_is_noticed(log, tmp_path, what, expected):
    party = remake(log, tmp_path, **what)
    # How late something is that was not heard means nothing.
    assert failed(check_recording(log, party)) - {"Heard in time"} == expected


def test_swapped_recordings_are_noticed(log, tmp_path):
    alice, bob = log.parties.values()
    one, other = tmp_path / alice.recording.name, tmp_path / bob.recording.name
    shutil.copy(bob.recording, one)
    shutil.copy(alice.recording, other)
    alice.recording, bob.recording = one, other
    for party in log.parties.values():
        noticed = failed(check_recording(log, party))
        assert {"Heard the other", "Saw the other"} <= noticed


def test_a_recording_that_is_missing_or_breaks_off_is_noticed(log, tmp_path):
    party = log.parties["bob"]
    log.story = Story(log.story.duration_s + 5)
    assert "Recording complete" in failed(check_recording(log, party))
    party.recording = tmp_path / "nothing.mp4"
    (check,) = check_recording(log, party)
    assert not check.passed
    assert "nothing.mp4" in check.faults[0]


def test_an_unrelated_sound_has_nothing_in_common():
    rng = np.random.default_rng(1)
    clip = Sound(ALICE.clip)
    assert correlation(clip.loudness, clip.loudness) == pytest.approx(1)
    assert abs(correlation(clip.loudness, rng.random(len(clip.loudness)))) < 0.3
    assert correlation(clip.loudness, np.zeros_like(clip.loudness)) == 0


# -- what is shown


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 16), (170, 50)])
def test_the_live_view_fits_its_terminal(log, width, height):
    console = Console(width=width, height=height)
    view = LiveView(console, log)
    for scene in log.story.scenes:
        view.scene_began(scene)
    for event in log.parties["alice"].events:
        if event["event"] == "ParticipantLeft":
            break
        view.event_came(ALICE, event)
    with console.capture() as capture:
        console.print(view)
    lines = capture.get().splitlines()
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    assert sum("Bob o" in line for line in lines) >= 2
    assert sum("level" in line and "loss" in line and "video" in line for line in lines) >= 1
    assert any("jitter" in line for line in lines) == (width >= 80)


def test_the_live_view_tells_who_vanished(log):
    console = Console(width=80, height=24)
    view = LiveView(console, log)
    party = log.parties["alice"]
    view.event_came(ALICE, party.events[index_of(party, "ParticipantTimedOut")])
    with console.capture() as capture:
        console.print(view)
    assert "vanished" in capture.get()
    view.event_came(ALICE, party.events[index_of(party, "ParticipantRecovered")])
    with console.capture() as capture:
        console.print(view)
    assert "● Bob" in capture.get().replace("○", "●")


def test_every_event_has_a_sentence(log):
    for party in log.parties.values():
        for event in party.events:
            text, _ = phrase(event)
            assert text
            assert "{" not in text
            assert len(event["event"]) <= CLASS_WIDTH
            assert event_line(party.role, event).plain.endswith(text)


def test_the_summary_says_what_failed(log):
    log.failure = "the lights went out"
    console = Console(width=80, record=True, file=io.StringIO())
    checks = [check for party in log.parties.values() for check in check_events(log, party)]
    print_summary(console, log, checks)
    text = console.export_text()
    assert "✗ Alice: Played to the end\n    the lights went out\n" in text
    assert "FAILED: 2 of 8 checks" in text
    assert str(log.parties["bob"].recording) in text.replace("\n", "")


# -- the story and the command line


@pytest.mark.parametrize("duration_s", [MIN_DURATION_S, 30.0, 600.0])
def test_the_story_fits_its_duration(duration_s):
    story = Story(duration_s)
    times = [scene.at_s for scene in story.scenes]
    assert times == sorted(times)
    assert times[-1] == duration_s
    for role in ROLES:
        for span in (*story.heard_by(role), *story.silent_for(role), *story.seen):
            assert span.end_s - span.start_s >= 0.8
        for chain in chains(story, role):
            assert chain.faults([]) or not chain.steps


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--duration", "5"], "give 18 to 3600"),
        (["--duration", "nan"], "give 18 to 3600"),
        (["--loss", "99"], "give 0 to 20"),
        (["--loss", "much"], "is no number"),
    ],
)
def test_the_command_line_refuses_with_a_sentence(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as refusal:
        main(["demo", *arguments])
    assert refusal.value.code == 2
    assert sentence in capsys.readouterr().err


def test_the_command_line_refuses_a_folder_it_cannot_write(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", "--record", str(tmp_path / "file" / "folder")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_the_whole_verdict_is_the_sum_of_its_parts(log):
    assert [check.party for check in judge(log)] == ["alice"] * 10 + ["bob"] * 10


def test_a_strangers_name_cannot_act_on_the_terminal() -> None:
    assert printable("Bób 李 \x1b[2J\u202e\x07!") == "Bób 李 �[2J��!"
