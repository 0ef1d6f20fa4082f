"""The command line: `ipconf demo`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path

from rich.console import Console

from . import __version__
from .demo.director import Director
from .demo.headless import LinePrinter
from .demo.log import DemoLog
from .demo.story import (
    DEFAULT_DURATION_S,
    MAX_DURATION_S,
    MAX_LOSS_PERCENT,
    MIN_DURATION_S,
    Story,
)
from .demo.summary import print_files, print_summary
from .demo.verdict import Check, judge
from .demo.view import LiveView

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended: 128 and the number of the signal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # rather a question mark than no demo
    options = _parser().parse_args(arguments)
    log = DemoLog.empty(Story(options.duration, options.loss), options.record)
    try:
        _prepare(log, options.json)
    except OSError as exc:
        print(f"ipconf demo: cannot write there: {exc}", file=sys.stderr)
        return 2
    console = _Console(highlight=False)
    try:
        asyncio.run(_play(console, log, options.headless))
    except KeyboardInterrupt:
        print_files(console, log)
        console.print("Stopped.")
        _write(options.json, log, False, [])
        return INTERRUPTED
    with console.status("Listening to the recordings ..."):
        checks = judge(log)
    passed = all(check.passed for check in checks)
    _write(options.json, log, passed, checks)
    print_summary(console, log, checks)
    return 0 if passed else 1


class _Console(Console):
    """A console for a show that goes on when nobody reads it any more (`| head`)."""

    def on_broken_pipe(self) -> None:
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()  # from now on everything goes nowhere


async def _play(console: Console, log: DemoLog, headless: bool) -> None:
    lines = headless or not console.is_terminal or console.is_dumb_terminal
    async with LinePrinter(console) if lines else LiveView(console, log) as audience:
        await Director(log, audience).play()


def _prepare(log: DemoLog, report: Path | None) -> None:
    """See to it that everything can be written, and that nothing of another run is judged."""
    for party in log.parties.values():
        party.recording.parent.mkdir(parents=True, exist_ok=True)
        party.recording.unlink(missing_ok=True)
    if report is not None:
        report.open("a").close()


def _write(report: Path | None, log: DemoLog, passed: bool, checks: Sequence[Check]) -> None:
    if report is None:
        return
    values = {
        "program": f"ipconf {__version__}",
        "passed": passed,
        "checks": [{"passed": check.passed, **asdict(check)} for check in checks],
    }
    report.write_text(json.dumps(values | log.to_json(), indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ipconf", description="IP conferencing over RTP.")
    parser.add_argument("--version", action="version", version=f"ipconf {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="two parties in two processes call each other, and you watch",
        description="Two parties in two processes call each other over ICE and DTLS-SRTP. Exits "
        "with 0 only if each heard and saw the other and every expected event came.",
    )
    demo.add_argument(
        "--duration", type=_duration, default=DEFAULT_DURATION_S, metavar="SECONDS",
        help=f"how long the call lasts, {MIN_DURATION_S:g} to {MAX_DURATION_S:g} (%(default)g)",
    )  # fmt: skip
    demo.add_argument(
        "--loss", type=_loss, default=0.0, metavar="PERCENT",
        help="share of all datagrams that Bob's network loses, each way, up to "
        f"{MAX_LOSS_PERCENT:g} (%(default)g)",
    )  # fmt: skip
    demo.add_argument(
        "--record", type=Path, default=Path("recordings", f"{datetime.now():%Y-%m-%d-%H%M%S}"),
        metavar="DIR", help="where the recordings go (recordings/ and the time)",
    )  # fmt: skip
    demo.add_argument(
        "--headless", action="store_true", help="print events line by line, as without a terminal"
    )
    demo.add_argument(
        "--json", type=Path, metavar="FILE", help="write all events, statistics and checks there"
    )
    return parser


def _duration(text: str) -> float:
    seconds = _number(text)
    if not MIN_DURATION_S <= seconds <= MAX_DURATION_S:
        raise argparse.ArgumentTypeError(
            f"{text} seconds: everything that happens takes {MIN_DURATION_S:g} s or more; "
            f"give {MIN_DURATION_S:g} to {MAX_DURATION_S:g}"
        )
    return seconds


def _loss(text: str) -> float:
    percent = _number(text)
    if not 0 <= percent <= MAX_LOSS_PERCENT:
        raise argparse.ArgumentTypeError(
            f"{text} per cent: give 0 to {MAX_LOSS_PERCENT:g}; with more the parties may not even "
            "find each other"
        )
    return percent


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{text}” is no number") from None
