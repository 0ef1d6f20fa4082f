"""The demo of a conference: real runs, and a verdict that notices whoever is heard or not heard."""

import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from rich.console import Console

from ipconf.cli import main
from ipconf.demo.conference import director
from ipconf.demo.conference.listening import AUDIBLE_RMS, RATE_HZ, explain, said_by, spectra
from ipconf.demo.conference.log import ConferenceLog, PersonLog, SideLog
from ipconf.demo.conference.matrix import HEARD, MAX_REST, UNHEARD
from ipconf.demo.conference.mosaic import check_mosaic
from ipconf.demo.conference.scenes import PAUSE_S, Phase
from ipconf.demo.conference.script import (
    GOODBYE,
    MAX_PARTIES,
    MIN_LINE_S,
    MIN_PARTIES,
    REASON,
    Script,
)
from ipconf.demo.conference.sentences import conference_phrase, event_line
from ipconf.demo.conference.summary import print_summary
from ipconf.demo.conference.verdict import (
    Verdict,
    check_hub,
    check_person,
    check_recording,
    check_sights,
    judge,
)
from ipconf.demo.conference.view import ConferenceView
from ipconf.demo.sentences import CLASS_WIDTH
from ipconf.demo.verdict import Check

DURATION_S = 26
TALK = {
    "AttendeeTalking", "AttendeeSilent", "ParticipantActive", "ParticipantInactive",
    "DominantSpeakerChanged",
}  # fmt: skip
CHAINED = {
    "LegAdded", "LegRemoved", "AttendeeJoined", "AttendeeLeft", "ConferenceEnded",
    "NewParticipant", "ParticipantLeft", "ParticipantTimedOut", "ParticipantRecovered",
    "CallStateChanged", "RecordingStarted", "RecordingStopped",
}  # fmt: skip
DEAF_HUB = """
from ipconf.demo.conference import hub
from ipconf.engine.hearing import Hearing

from ipconf.hub.video_controls import VideoControls

Hearing.mute = lambda self, speaker, muted=True: None
VideoControls.pin = lambda self, who, viewer: None
hub.main()
"""
"""A hub that says that somebody is muted, and lets them be heard; and forgets who is pinned."""


class Run(NamedTuple):
    """What the program left behind."""

    exit_code: int
    output: str
    report: dict


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("conference")
    report = folder / "report.json"
    command = [
        sys.executable, "-m", "ipconf", "demo", "--parties", "3", "--headless",
        "--duration", str(DURATION_S), "--json", str(report), "--record", str(folder),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert not done.stderr
    return Run(done.returncode, done.stdout, json.loads(report.read_text()))


@pytest.fixture
def log(run) -> ConferenceLog:
    """The log of the real run, to be doctored."""
    return ConferenceLog.from_json(json.dumps(run.report))


def failed(checks: list[Check]) -> set[str]:
    return {check.question for check in checks if not check.passed}


def sides(log: ConferenceLog) -> list[SideLog]:
    return [log.hub, *log.people.values()]


def check_side(log: ConferenceLog, side: SideLog) -> list[Check]:
    return check_person(log, side) if isinstance(side, PersonLog) else check_hub(log)


def index_of(side: SideLog, kind: str, **fields: object) -> int:
    return next(
        index
        for index, event in enumerate(side.events)
        if event["event"] == kind and all(event[key] == value for key, value in fields.items())
    )


# -- the real runs


def test_run_passes(run):
    assert [fault for check in run.report["checks"] for fault in check["faults"]] == []
    assert run.report["passed"] is True
    assert run.exit_code == 0
    assert "PASSED" in run.output


def test_run_has_the_whole_matrix(run):
    by_phase: dict[str, list[dict]] = {}
    for cell in run.report["matrix"]:
        by_phase.setdefault(cell["phase"], []).append(cell["heard"])
    assert by_phase == {
        "Alice talks": [[], ["alice"], ["alice"]],
        "Bob talks": [["bob"], [], ["bob"]],
        "Carol talks": [["carol"], ["carol"], []],
        "Everybody talks at once": [["bob", "carol"], ["alice", "carol"], ["alice", "bob"]],
        "Bob is muted": [["carol"], ["carol"], []],
        "Carol is off": [[], ["alice"], []],
        "Bob speaks again": [["bob"], [], []],
        "Carol is back": [["carol"], ["alice", "carol"], ["alice"]],
        "Carol is removed": [[], ["alice"], []],
    }


def test_run_has_the_whole_matrix_of_sights(run):
    by_phase: dict[str, list[str]] = {}
    for cell in run.report["sights"]:
        by_phase.setdefault(cell["phase"], []).append("".join(who[0] for who in cell["seen"]))
    assert by_phase == {
        "Alice talks": ["bc", "a", "ab"],
        "Bob talks": ["bc", "a", "ab"],
        "Carol talks": ["bc", "c", "ab"],
        "Everybody talks at once": ["bc", "a", "ab"],
        "Bob is muted": ["bc", "a", "ab"],
        "Carol is off": ["b", "a", ""],
        "Bob speaks again": ["b", "", ""],
        "Carol is back": ["bc", "a", "ab"],
        "Carol is removed": ["b", "a", ""],
    }


def test_run_prints_what_happens(run):
    for sentence in (
        "▸ Alice talks",
        "Alice has the floor",
        "Bob may speak",
        "Carol vanished without a word",
        "Alice's camera is off",
        "Bob is shown Carol in slot",
        "What all heard and saw: ",
        "Hub is back",
        f"Hub left (bye): “{REASON}”",
        f"the conference is over: “{GOODBYE}”",
    ):
        assert sentence in run.output
    assert "✓ BC" in run.output


def test_run_leaves_a_file_for_each_leg(run):
    for key, side in run.report["people"].items():
        path = Path(side["recording"])
        assert path.name == f"{key}-heard.wav"
        with av.open(str(path)) as container:
            assert abs(container.duration / av.time_base - DURATION_S) < 2
    with av.open(run.report["mosaic"]) as container:
        assert {stream.type for stream in container.streams} == {"audio", "video"}
        assert abs(container.duration / av.time_base - DURATION_S) < 2


def test_run_reports_how_the_legs_were(run):
    assert set(run.report["legs"]) == {"alice", "bob", "carol"}
    for leg in run.report["legs"].values():
        assert leg["in_packets"] > 500
        assert leg["out_packets"] > 500
        assert leg["round_trip_s"] is not None


def test_a_hub_that_lets_the_muted_be_heard_and_forgets_pins_is_found_out(
    tmp_path, monkeypatch, capsys
):
    program = tmp_path / "deaf_hub.py"
    program.write_text(DEAF_HUB)
    report = tmp_path / "report.json"
    monkeypatch.setattr(director, "HUB_PROGRAM", (str(program),))
    arguments = ["--parties", "3", "--duration", str(DURATION_S), "--headless"]
    assert main(["demo", *arguments, "--record", str(tmp_path), "--json", str(report)]) == 1
    assert "FAILED" in capsys.readouterr().out
    values = json.loads(report.read_text())
    wrong = {(c["phase"], c["listener"], *c["heard"]) for c in values["matrix"] if not c["right"]}
    assert wrong == {
        ("Bob is muted", "alice", "bob", "carol"),
        ("Bob is muted", "carol", "bob"),
    }
    faults = [fault for check in values["checks"] for fault in check["faults"]]
    assert any("heard Bob, Carol instead of Carol" in fault for fault in faults)
    assert any("saw Carol instead of Alice" in fault for fault in faults)
    wrong = {(cell["phase"], cell["viewer"]) for cell in values["sights"] if not cell["right"]}
    assert ("Bob is muted", "bob") in wrong
    assert {viewer for _, viewer in wrong} == {"bob"}


def test_a_hub_that_falls_over_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(director, "HUB_PROGRAM", ("-c", "raise SystemExit('no strength')"))
    assert main(["demo", "--parties", "3", "--headless", "--record", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert "a process ended before the script did" in output
    assert "no strength" in output
    assert "FAILED" in output


# -- events that are not as they should be


def test_every_event_that_is_missing_or_doubled_is_noticed(log):
    for side in sides(log):
        events = side.events
        for index, event in enumerate(events):
            if event["event"] not in CHAINED:
                continue
            side.events = events[:index] + events[index + 1 :]
            assert "All events in order" in failed(check_side(log, side)), event
            side.events = events[: index + 1] + events[index:]
            assert "All events in order" in failed(check_side(log, side)), event
        side.events = events


def test_a_mute_that_nobody_was_told_of_is_noticed(log):
    del log.hub.events[index_of(log.hub, "AttendeeChanged", changed=["muted"])]
    assert failed(check_hub(log)) == {"All events in order"}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("AttendeeLeft", {"text": "goodbye"}),
        ("AttendeeLeft", {"reason": "bye"}),
        ("ConferenceEnded", {"reason": ""}),
    ],
)
def test_an_event_with_other_contents_is_noticed(log, kind, change):
    log.hub.events[index_of(log.hub, kind)].update(change)
    assert failed(check_hub(log)) == {"All events in order"}


def test_a_camera_that_nobody_was_told_of_is_noticed(log):
    for on in (True, False):
        doctored = ConferenceLog.from_json(json.dumps(log.to_json()))
        values = {"camera": on}
        del doctored.hub.events[index_of(doctored.hub, "AttendeeChanged", values=values)]
        assert failed(check_hub(doctored)) == {"All events in order"}


def test_refused_pictures_are_noticed(log):
    refusal = {"event": "PicturesRefused", "at": 3.0, "name": "Bob", "reason": "no codec"}
    log.hub.events.append(refusal)
    assert failed(check_hub(log)) == {"All events in order"}


def test_who_was_not_told_why_is_noticed(log):
    carol = log.people["carol"]
    carol.events[index_of(carol, "ParticipantLeft", about="hub")]["text"] = ""
    assert failed(check_person(log, carol)) == {"All events in order"}


@pytest.mark.parametrize(("kind", "at_s"), [("AttendeeLeft", 12.0), ("ConferenceEnded", 3.0)])
def test_an_event_at_the_wrong_time_is_noticed(log, kind, at_s):
    log.hub.events[index_of(log.hub, kind)]["at"] = at_s
    faults = [fault for check in check_hub(log) for fault in check.faults]
    assert any(f"came at {at_s:.1f} s" in fault for fault in faults)


def test_talk_of_who_is_muted_is_noticed(log):
    at_s = log.script.mute.start_s + PAUSE_S
    talks = {"event": "AttendeeTalking", "at": at_s, "person": "bob", "name": "Bob"}
    log.hub.events = sorted([*log.hub.events, talks], key=lambda event: event["at"])
    assert failed(check_hub(log)) == {"Talk noticed"}


def test_a_log_without_talk_is_noticed(log):
    for side in sides(log):
        side.events = [event for event in side.events if event["event"] not in TALK]
    assert failed(check_hub(log)) == {"Talk noticed", "Floor given"}
    assert failed(check_person(log, log.people["bob"])) == {"Talk noticed"}


def test_a_floor_that_is_not_the_talkers_is_noticed(log):
    del log.hub.events[index_of(log.hub, "DominantSpeakerChanged", person="bob")]
    assert "Floor given" in failed(check_hub(log))


def test_failures_are_noticed(log):
    log.failure = "the lights went out"
    log.complaints = ["Task exception was never retrieved"]
    log.people["bob"].finished = False
    assert failed(check_hub(log)) == {"Played to the end", "No inner errors"}


# -- recordings that are not as they should be


def test_swapped_recordings_are_noticed(log):
    alice, bob = log.people["alice"], log.people["bob"]
    alice.recording, bob.recording = bob.recording, alice.recording
    for side in (alice, bob):
        checks, cells = check_recording(log, side)
        assert "Heard whom they should" in failed(checks)
        assert sum(not cell.right for cell in cells) >= 4


def test_a_recording_of_a_stranger_is_noticed(log, tmp_path):
    """Somebody speaks out of turn, all the time, as loud as the others."""
    alice = log.people["alice"]
    samples, path = read(alice.recording), tmp_path / "alice.wav"
    samples += np.resize(said_by(5, 8.0), len(samples))
    write(path, samples)
    alice.recording = path
    _, cells = check_recording(log, alice)
    silent = [cell for cell in cells if not cell.phase.heard_by(cell.listener)]
    assert silent
    assert not any(cell.right for cell in silent)
    assert not any(replace(cell, doubtful=frozenset()).right for cell in silent)


def test_a_recording_that_is_missing_or_breaks_off_is_noticed(log, tmp_path):
    bob = log.people["bob"]
    whole = read(bob.recording)
    bob.recording = tmp_path / "bob.wav"
    write(bob.recording, whole[: len(whole) // 2])
    checks, cells = check_recording(log, bob)
    assert failed(checks) == {"Recording complete", "Heard whom they should"}
    assert cells[0].right
    assert not cells[-1].right
    bob.recording = tmp_path / "nothing.wav"
    (check,), cells = check_recording(log, bob)
    assert not check.passed
    assert "nothing.wav" in check.faults[0]
    assert not Verdict([check], cells).passed


# -- pictures that are not as they should be


def test_swapped_sights_are_noticed(log):
    alice, bob = log.people["alice"], log.people["bob"]
    alice.stretches, bob.stretches = bob.stretches, alice.stretches
    for side in (alice, bob):
        check, cells = check_sights(log, side)
        assert not check.passed
        assert sum(not cell.right for cell in cells) >= 4


def test_every_stretch_that_is_missing_is_noticed(log):
    spans = [phase.span for phase in log.script.phases]
    for side in log.people.values():
        stretches = side.stretches
        for index, stretch in enumerate(stretches):
            if not any(stretch.start_s < s.start_s and stretch.end_s > s.end_s for s in spans):
                continue
            side.stretches = stretches[:index] + stretches[index + 1 :]
            assert not check_sights(log, side)[0].passed, stretch
        side.stretches = stretches


@pytest.mark.parametrize(
    "wrong", [{"stale": 1}, {"misnamed": 9}, {"named": 0}, {"who": ""}, {"who": "carol"}]
)
def test_pictures_that_are_not_right_are_noticed(log, wrong):
    bob = log.people["bob"]
    longest = max(range(len(bob.stretches)), key=lambda n: bob.stretches[n].pictures)
    bob.stretches[longest] = replace(bob.stretches[longest], **wrong)
    assert not check_sights(log, bob)[0].passed


def test_a_mosaic_that_shows_others_or_breaks_off_is_noticed(log):
    assert log.mosaic is not None
    assert check_mosaic(log, log.mosaic).passed
    began = log.hub.events[index_of(log.hub, "RecordingStarted")]
    began["at"] -= 3.5  # so it seems to show everything so much earlier
    faults = check_mosaic(log, log.mosaic).faults
    assert any("it shows Alice, Bob instead of Alice, Bob, Carol" in fault for fault in faults)
    assert any("its video ends at" in fault for fault in faults)


def test_a_mosaic_that_is_none_is_noticed(log, tmp_path):
    assert "nothing.webm" in check_mosaic(log, tmp_path / "nothing.webm").faults[0]
    assert "no sound, or no picture" in check_mosaic(log, log.people["bob"].recording).faults[0]


def read(path: Path) -> np.ndarray:
    resampler = av.AudioResampler("s16", "mono", RATE_HZ)
    with av.open(str(path)) as container:
        frames = [*container.decode(audio=0), None]
        blocks = [block for frame in frames for block in resampler.resample(frame)]
    return np.concatenate([block.to_ndarray().reshape(-1) for block in blocks]).astype(float)


def write(path: Path, samples: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        whole = np.clip(samples, -32768, 32767).astype(np.int16)[np.newaxis]
        frame = av.AudioFrame.from_ndarray(whole, "s16", "mono")
        frame.sample_rate = RATE_HZ
        container.mux([*stream.encode(frame), *stream.encode(None)])


# -- who is in a sound


def mixed(parts: dict[int, float], length_s: float, delay_s: float = 0.1) -> np.ndarray:
    """These people at once, each with a gain and a little later than the one before."""
    sound = np.zeros(round((length_s + 0.7) * RATE_HZ))
    for place, (number, gain) in enumerate(parts.items()):
        said = said_by(number, length_s) * gain
        begin = round((delay_s + 0.04 * place) * RATE_HZ)
        sound[begin : begin + len(said)] += said
    return sound


@pytest.mark.parametrize("talkers", [(0,), (0, 1), (2, 6), (0, 1, 2, 3), (8, 9, 10, 11)])
def test_who_is_heard_is_told_from_who_is_not(talkers):
    said = [spectra(said_by(number, MIN_LINE_S)) for number in talkers]
    for absent in (None, *talkers):
        sound = mixed({n: 1.0 for n in talkers if n != absent}, MIN_LINE_S)
        if np.sqrt(np.square(sound).mean()) < AUDIBLE_RMS:
            continue
        found = explain(spectra(sound), said)
        for number, gain in zip(talkers, found.gains, strict=True):
            assert gain < UNHEARD if number == absent else gain > HEARD, (talkers, absent, found)
        assert found.rest < MAX_REST / 2


def test_gain_and_delay_are_measured():
    sound = spectra(mixed({3: 0.5}, 2.2, delay_s=0.2))
    found = explain(sound, [spectra(said_by(3, 2.2))])
    assert found.gains[0] == pytest.approx(0.5, abs=0.05)
    assert found.delays_s[0] == pytest.approx(0.2, abs=0.021)


def test_a_stranger_is_nobodys_sound():
    sound = spectra(mixed({5: 1.0}, 2.2))
    assert explain(sound, [spectra(said_by(0, 2.2))]).rest > MAX_REST


def test_all_voices_differ():
    for number in range(MAX_PARTIES):
        sound = spectra(mixed({number: 1.0}, 2.2))
        for other in set(range(MAX_PARTIES)) - {number}:
            found = explain(sound, [spectra(said_by(n, 2.2)) for n in (number, other)])
            assert found.gains[0] > HEARD
            assert found.gains[1] < UNHEARD


# -- what is shown


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 16), (170, 50)])
def test_the_live_view_fits_its_terminal(log, width, height):
    console = Console(width=width, height=height)
    view = ConferenceView(console, log)
    log.people["bob"].sees[1] = "carol"
    for phase in log.script.phases:
        view.phase_began(phase)
    for cue in log.script.cues:
        view.cue_came(cue)
    for event in log.hub.events[: index_of(log.hub, "AttendeeLeft") + 1]:
        view.event_came(log.hub, event)
    bob = log.people["bob"]
    for event in bob.events[: index_of(bob, "ParticipantActive") + 1]:
        view.event_came(bob, event)
    with console.capture() as capture:
        console.print(view)
    lines = capture.get().splitlines()
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    assert any("Carol" in line and "vanished" in line for line in lines)
    assert any("Bob" in line and "Alice" in line and "─" in line for line in lines)
    assert any("Bob" in line and " · C " in line for line in lines)
    assert any("jitter" in line for line in lines) == (width >= 80)


@pytest.mark.parametrize("width", [60, 80, 170])
def test_the_live_view_has_room_for_all_slots(width, tmp_path):
    log = ConferenceLog.empty(Script(5), tmp_path)
    log.people["bob"].sees = {0: "erin"}
    log.people["erin"].sees = {0: "carol", 1: "alice", 2: "dave"}
    console = Console(width=width, height=24)
    with console.capture() as capture:
        console.print(ConferenceView(console, log))
    lines = capture.get().splitlines()
    assert any("Bob" in line and " E · · " in line for line in lines)
    assert any("Erin" in line and " C A D " in line for line in lines)


def test_every_event_has_a_sentence(log):
    for side in sides(log):
        for event in side.events:
            text, _ = conference_phrase(event)
            assert "{" not in text
            assert len(event["event"]) <= CLASS_WIDTH
            assert event_line(side, event).plain.endswith(text)


def test_the_summary_says_what_failed(log):
    log.failure = "the lights went out"
    bob = log.people["bob"]
    shutil.copy(log.people["alice"].recording, bob.recording.with_name("copy.wav"))
    bob.recording = bob.recording.with_name("copy.wav")
    verdict = judge(log)
    assert not verdict.passed
    console = Console(width=100, record=True, file=io.StringIO())
    print_summary(console, log, verdict)
    text = console.export_text()
    assert "✗ Hub: Played to the end\n    the lights went out\n" in text
    assert "✗ Bob: Heard whom they should" in text
    assert "not A" in text
    assert "FAILED: 2 of 21 checks" in text


def test_the_summary_of_many_fits_its_terminal(tmp_path):
    log = ConferenceLog.empty(Script(MAX_PARTIES), tmp_path)
    console = Console(width=80, record=True, file=io.StringIO())
    print_summary(console, log, Verdict())
    text = console.export_text()
    for title in ("who heard whom", "who saw whom"):
        headings = [line.split()[3:] for line in text.splitlines() if title in line]
        assert len(headings) > 1
        assert sum(headings, []) == [person.name for person in log.script.people]
    assert text.count("Four talk at once   ") == text.count(" whom  ")


# -- the script and the command line


@pytest.mark.parametrize("parties", range(MIN_PARTIES, MAX_PARTIES + 1))
@pytest.mark.parametrize("which", ["shortest", "usual", "longest"])
def test_the_script_fits_its_duration(parties, which):
    usual = Script(parties)
    shortest, longest = usual.limits_s
    duration_s = {"shortest": shortest, "usual": usual.duration_s, "longest": longest}[which]
    script = Script(parties, duration_s)
    assert script.duration_s == pytest.approx(duration_s, abs=0.05)
    times = [cue.at_s for cue in script.cues]
    assert times == sorted(times)
    spans = [phase.span for phase in script.phases]
    for before, after in zip(spans, spans[1:], strict=False):
        assert after.start_s - before.end_s >= PAUSE_S - 1e-6
    assert spans[-1].end_s < times[-1] < script.duration_s
    for person in script.people:
        assert len(script.lines_of(person)) >= 1


def test_without_video_nothing_is_told_of_pictures(tmp_path):
    script = Script(4, video=False)
    with_video = Script(4)
    assert script.duration_s == with_video.duration_s
    assert {cue.order["order"] for cue in script.cues} == {
        "mute", "vanish", "return", "remove", "end",
    }  # fmt: skip
    assert {cue.order["order"] for cue in with_video.cues} > {"camera", "watch", "record"}
    log = ConferenceLog.from_json(json.dumps(ConferenceLog.empty(script, tmp_path).to_json()))
    assert log.script.slots == 0
    assert log.mosaic is None
    verdict = judge(log)
    assert not verdict.sights
    assert "Mosaic complete" not in {check.question for check in verdict.checks}


def test_cameras_take_no_more_of_many_people_than_of_a_few():
    assert [Script(n).fps for n in (3, 6, 8, 12)] == [10.0, 10.0, 7.5, 5.0]
    assert [Script(n).slots for n in (3, 4, 12)] == [2, 3, 3]


def test_who_hears_whom_by_right():
    script = Script(4)
    alice, bob, carol, dave = script.people
    phases: dict[str, Phase] = {phase.title: phase for phase in script.phases}
    assert phases["Bob is muted"].heard_by(alice) == {carol}
    assert phases["Bob is muted"].heard_by(bob) == {carol}
    assert phases["Bob is muted"].heard_by(carol) == set()
    assert phases["Carol is off"].heard_by(carol) == set()
    assert phases["Carol is off"].heard_by(bob) == {alice}
    assert phases["Bob speaks again"].heard_by(alice) == {bob}
    assert phases["Dave is removed"].heard_by(bob) == {alice}
    assert phases["Dave is removed"].heard_by(dave) == set()
    assert phases["Everybody talks at once"].heard_by(dave) == {alice, bob, carol}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--parties", "1"], "two or more"),
        (["--parties", "2", "--no-video"], "3 or more without video"),
        (["--parties", "13"], "3 to 12"),
        (["--parties", "many"], "invalid int"),
        (["--parties", "3", "--duration", "5"], "give 26 to 99"),
        (["--parties", "4", "--duration", "nan"], "give 28 to 110"),
    ],
)
def test_the_command_line_refuses_with_a_sentence(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as refusal:
        main(["demo", *arguments])
    assert refusal.value.code == 2
    assert sentence in capsys.readouterr().err
