"""The benchmarks run; what they measure is not judged here."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ipconf.load.run import Outcome, Task

ROOT = Path(__file__).parent.parent
FOLDERS = ("plugins", "transports", "events", "loggers")
"""Where Janus looks for modules."""


@pytest.fixture
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks are no part of the package."""
    monkeypatch.syspath_prepend(ROOT)


def test_the_session_benchmark_prints_its_table() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", "session"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "RtpSession.receive of an RTP packet" in result.stdout


@pytest.mark.usefixtures("on_path")
def test_conferences_are_judged_by_the_median_of_their_runs() -> None:
    from benchmarks.bench_conference import GROWTH, Case, Run, rows_of
    from benchmarks.machine import Machine
    from benchmarks.report import Place

    outcome = Outcome(
        set_up_s=1.0, set_up_cpu_s=0.004, idle=0.0001, cpu=0.2, callers_cpu=0.1, waited=0.02,
        memory_bytes=90_000.0, rates=(50.0,), lost=0, late_s=(0.001,), latencies_s=(0.03,),
        failures=(),
    )  # fmt: skip
    runs = [Run(replace(outcome, cpu=cpu), Machine(0.5, 240.0, 8.5)) for cpu in (0.9, 0.3, 0.2)]
    case = Case(Task(200, 3, uvloop=True), 0.35, told=True)
    rows = rows_of(case, runs, judged=True)
    assert (rows[0].measured, rows[0].met) == (0.3, True)
    assert "load 0.5, 0.5, 0.5; an encode 240, 240, 240 us; a datagram 8.5," in rows[0].note
    assert rows[0].place == Place(GROWTH, "200", "plain RTP, uvloop")
    assert [round(row.measured, 3) for row in rows[1:]] == [1.0, 30.0, 90.0, 4.0, 0.1]
    assert [row.met for row in rows_of(case, runs, judged=False)] == [None]


@pytest.mark.usefixtures("on_path")
def test_the_page_says_of_each_goal_whether_it_was_met() -> None:
    from benchmarks.machine import Machine
    from benchmarks.report import Place, Plan, Row
    from benchmarks.results import SHORT, compose

    rows = [
        Row("quick", 1.0, "ms", 2.0),
        Row("slow", 3.0, "ms", 2.0, "a | b"),
        Row("rival", None, "x", 0.7, "not installed"),
        Row("grown", 0.25, "core", 0.3, place=Place("Growth", "100", "plain")),
        Row("small", 0.1, "core", None, place=Place("Growth", "50", "plain")),
        Row("secured", 0.2, "core", None, place=Place("Growth", "50", "DTLS")),
    ]
    machine = Machine(0.25, 240.0, 8.5)
    page = compose(rows, ["calls: it\nbroke"], Plan(), "--full", machine, "growth.png")
    text = "\n".join(page)
    assert "**2 of 3 goals are met.** Not met: slow (3 ms, goal 2 ms). Not measured: rival." in page
    assert "| quick | 1 ms | 2 ms | met |  |" in page
    assert "| slow | 3 ms | 2 ms | **not met** | a / b |" in page
    assert "| rival | - | 0.7 x | not measured | not installed |" in page
    table = page.index("## Growth")
    assert page[table + 2 : table + 6] == [
        "| | plain | DTLS |",
        "|---|---|---|",
        "| 50 | 0.1 core | 0.2 core |",
        "| 100 | 0.25 core (goal 0.3 core) |  |",
    ]
    assert "* calls: it broke" in page
    assert "`python -m benchmarks --full`" in text
    assert "8.5 us of CPU for a sendto and a recvfrom" in text
    assert "(growth.png)" in text
    assert SHORT not in page
    assert SHORT in compose(rows, [], Plan(quick=True), "--quick", machine, None)


@pytest.mark.usefixtures("on_path")
def test_the_picture_has_the_points_of_the_growth_and_their_goals() -> None:
    from benchmarks.bench_conference import GROWTH
    from benchmarks.picture import floor_cores, goals_of, lines_of
    from benchmarks.report import Place, Row

    rows = [
        Row("200", 0.3, "core", 0.35, place=Place(GROWTH, "200", "plain")),
        Row("50", 0.1, "core", None, place=Place(GROWTH, "50", "plain")),
        Row("else", 4.5, "PESQ", 1.0, place=Place("speech", "opus", "plain")),
    ]
    assert lines_of(rows) == {"plain": [(50, 0.1), (200, 0.3)]}
    assert goals_of(rows) == {"plain": [(200, 0.35)]}
    assert floor_cores(200, 10.0) == pytest.approx(0.1)  # 10 000 pairs a second


@pytest.mark.usefixtures("on_path")
def test_janus_gets_one_plugin_and_stays_on_this_machine(tmp_path: Path) -> None:
    from benchmarks.janus_files import PLUGIN, TRANSPORT, find_janus, write_files

    program, modules = tmp_path / "bin" / "janus", tmp_path / "lib" / "any" / "janus"
    program.parent.mkdir()
    program.touch()
    assert find_janus(str(program)) is None  # without its modules
    for kind, names in (("plugins", (PLUGIN, "other.so")), ("transports", (TRANSPORT, "web.so"))):
        (modules / kind).mkdir(parents=True)
        for name in names:
            (modules / kind / name).touch()
    installed = find_janus(str(program))
    assert installed is not None
    folder = tmp_path / "run"
    folder.mkdir()
    command = write_files(installed, folder)

    assert command[0] == str(program)
    assert command[-1] == str(folder)
    there = {kind: sorted(p.name for p in (folder / kind).iterdir()) for kind in FOLDERS}
    assert there == {"plugins": [PLUGIN], "transports": [TRANSPORT], "events": [], "loggers": []}
    assert (folder / "plugins" / PLUGIN).exists()
    main, socket, room = (
        (folder / f"{name}.jcfg").read_text()
        for name in ("janus", "janus.transport.pfunix", "janus.plugin.audiobridge")
    )
    assert f'transports_folder = "{folder}/transports"' in main
    assert f'path = "{folder}/api"' in socket
    for said in (
        'local_ip = "127.0.0.1"',
        "sampling_rate = 48000",
        "default_bitrate = 32000",
        "allow_rtp_participants = true",
        "audiolevel_ext = false",
    ):
        assert said in room


@pytest.mark.usefixtures("on_path")
@pytest.mark.parametrize(("limit", "found"), [(0, 0), (3, 2), (15, 14), (19, 18), (200, 64)])
def test_the_most_legs_are_found_in_a_few_steps(limit: int, found: int) -> None:
    from benchmarks.bench_rivals import find_most

    asked: list[int] = []

    async def carries(legs: int) -> bool:
        asked.append(legs)
        return legs <= limit

    most = asyncio.run(find_most(carries, 4, 64))
    assert most == found
    assert len(asked) <= 9


@pytest.mark.usefixtures("on_path")
def test_speech_that_did_not_come_evenly_is_not_judged() -> None:
    pytest.importorskip("pesq")
    from benchmarks import speech
    from benchmarks.report import Broken

    said = speech.spoken()
    assert speech.score(said) > 4.6
    with pytest.raises(Broken, match="gaps or was stretched, by up to 20 ms"):
        speech.score(np.delete(said, slice(300_000, 300_960), axis=0))
    with pytest.raises(Broken, match="only 1.0 s"):
        speech.score(said[:48_000])


@pytest.mark.usefixtures("on_path")
@pytest.mark.parametrize("installed", [True, False])
def test_without_janus_the_rows_say_so_and_all_else_goes_on(
    monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    from benchmarks import bench_rivals
    from benchmarks.janus import Janus
    from benchmarks.machine import Machine
    from benchmarks.report import Plan, Row

    async def turn(make: object, task: Task) -> bench_rivals.Turn:
        return bench_rivals.Turn(0.8 if make is Janus else 0.4, Machine(0.5, 240.0, 8.5))

    monkeypatch.setattr(bench_rivals, "find_janus", lambda: "there" if installed else None)
    monkeypatch.setattr(bench_rivals, "_turn", turn)

    async def measure() -> list[Row]:
        return [row async for row in bench_rivals.run(Plan())]

    ours, theirs, ratio, *listeners, most, _, _ = asyncio.run(measure())
    assert (ours.measured, ours.met) == (0.4, True)
    assert most.measured == bench_rivals.MOST_LEGS
    assert len(listeners) == 3 * len(bench_rivals.LISTENERS)
    if installed:
        assert (theirs.measured, ratio.measured, ratio.met) == (0.8, 0.5, True)
    else:
        assert (theirs.measured, ratio.measured, ratio.met) == (None, None, None)
        assert "apt-get install janus" in theirs.note
        assert "apt-get install janus" in ratio.note
