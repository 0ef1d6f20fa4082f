"""The benchmarks run; what they measure is not judged here."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ipconf.load.run import Outcome, Task

ROOT = Path(__file__).parent.parent


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


def test_conferences_are_judged_by_the_median_of_their_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.bench_conference import Case, Run, rows_of

    outcome = Outcome(
        set_up_s=1.0, set_up_cpu_s=0.004, idle=0.0001, cpu=0.2, callers_cpu=0.1, waited=0.02,
        memory_bytes=90_000.0, rates=(50.0,), lost=0, late_s=(0.001,), latencies_s=(0.03,),
        failures=(),
    )  # fmt: skip
    runs = [Run(replace(outcome, cpu=cpu), 0.5, 240.0) for cpu in (0.9, 0.3, 0.2)]
    case = Case(Task(200, 3, uvloop=True), 0.35, told=True)
    rows = rows_of(case, runs, judged=True)
    assert (rows[0].measured, rows[0].met) == (0.3, True)
    assert "load 0.5, 0.5, 0.5" in rows[0].note
    assert [round(row.measured, 3) for row in rows[1:]] == [1.0, 30.0, 90.0, 4.0, 0.1]
    assert [row.met for row in rows_of(case, runs, judged=False)] == [None]
