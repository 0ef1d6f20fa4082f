"""`python -m benchmarks [--quick|--full] [--only NAME]`: measure, print the table.

`--results FILE` writes a page of it, with tables and a picture; `--json FILE` the bare numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from . import (
    bench_audio,
    bench_calls,
    bench_conference,
    bench_delay,
    bench_groups,
    bench_media,
    bench_quality,
    bench_recording,
    bench_rivals,
    bench_session,
    bench_transport,
    bench_video,
    bench_web,
)
from .report import Broken, Plan, Row, show, write
from .results import write_results

BENCHMARKS: dict[str, Callable[[Plan], AsyncIterator[Row]]] = {
    "session": bench_session.run,
    "media": bench_media.run,
    "recording": bench_recording.run,
    "receive": bench_audio.run_receive,
    "send": bench_audio.run_send,
    "transport": bench_transport.run,
    "delay": bench_delay.run,
    "calls": bench_calls.run,
    "conference": bench_conference.run,
    "rivals": bench_rivals.run,
    "quality": bench_quality.run,
    "video": bench_video.run,
    "web": bench_web.run,
    "groups": bench_groups.run,
}
"""In this order; the names are those of `--only`."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="one short run of each: no evidence")
    extent.add_argument("--full", action="store_true", help="conferences of all sizes as well")
    parser.add_argument(
        "--only",
        action="append",
        choices=BENCHMARKS,
        metavar="NAME",
        help=f"may be repeated; one of {', '.join(BENCHMARKS)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there as well")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="write a page there, as benchmarks/RESULTS.md"
    )
    return parser.parse_args()


def _what(arguments: argparse.Namespace) -> str:
    """The options that say what is measured; where it is written is nobody's business."""
    extent = ["--quick"] if arguments.quick else ["--full"] if arguments.full else []
    return " ".join([*extent, *(f"--only {name}" for name in arguments.only or ())])


async def _run(names: list[str], plan: Plan) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    failures: list[str] = []
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        try:
            async for row in BENCHMARKS[name](plan):
                rows.append(row)
        except Broken as exc:
            failures.append(f"{name}: {exc}")
    return rows, failures


def main() -> int:
    """Exit status 1 if something did not work; a goal that was missed is no error."""
    arguments = _arguments()
    plan = Plan(quick=arguments.quick, full=arguments.full)
    rows, failures = asyncio.run(_run(arguments.only or list(BENCHMARKS), plan))
    show(rows)
    if arguments.json is not None:
        write(rows, arguments.json)
    if arguments.results is not None:
        write_results(rows, failures, plan, _what(arguments), arguments.results)
    for failure in failures:
        print(f"BROKEN {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
