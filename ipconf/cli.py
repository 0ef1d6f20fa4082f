"""The command line: one command for each program."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path

from rich.console import Console

from . import __version__
from .bridge.command import add_bridge
from .demo.conference.script import MAX_PARTIES
from .demo.meeting import MEETING_PARTIES
from .demo.show import Show, make_show
from .demo.story import MAX_LOSS_PERCENT
from .directory.commands import add_announce, add_listen
from .errors import IpconfError
from .gateway.command import add_gateway
from .join.command import add_join
from .load.command import add_load

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended: 128 and the number of the signal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # rather a question mark than no demo
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _demo(options: argparse.Namespace) -> int:
    console = _Console(highlight=False)
    live = console.is_terminal and not console.is_dumb_terminal and not options.headless
    if options.meeting or (live and options.parties is None and not options.terminal):
        code = _meet(options, console)
        if code is not None:
            return code
    options.parties = options.parties or 2
    try:
        show = make_show(
            options.parties, options.duration, options.loss, options.record, video=options.video
        )
    except ValueError as exc:
        options.parser.error(str(exc))
    try:
        _prepare(show, options.json)
    except OSError as exc:
        print(f"ipconf demo: cannot write there: {exc}", file=sys.stderr)
        return 2
    try:
        asyncio.run(show.play(console, live=live))
    except KeyboardInterrupt:
        show.print_files(console)
        console.print("Stopped.")
        _write(options.json, show, False)
        return INTERRUPTED
    with console.status("Listening to the recordings ..."):
        passed = show.judge()
    _write(options.json, show, passed)
    show.print_summary(console)
    return 0 if passed else 1


def _meet(options: argparse.Namespace, console: Console) -> int | None:
    """Hold the meeting for browsers; None where nobody asked for it and it cannot be held."""
    try:
        from .demo.meeting.run import play
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("ipconf"):
            raise
        if not options.meeting:
            return None
        print(
            "a meeting takes the extra `web`: pip install '.[web]' in a checkout", file=sys.stderr
        )
        return 2
    parties = options.parties or MEETING_PARTIES
    work = play(console, parties, options.duration, options.record, browse=not options.headless)
    try:
        return asyncio.run(work)
    except (ValueError, IpconfError) as exc:
        print(f"ipconf demo: {exc}", file=sys.stderr)
        return 2


class _Console(Console):
    """A console for a show that goes on when nobody reads it any more (`| head`)."""

    def on_broken_pipe(self) -> None:
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()  # from now on everything goes nowhere


def _prepare(show: Show, report: Path | None) -> None:
    """See to it that everything can be written, and that nothing of another run is judged."""
    for recording in show.recordings:
        recording.parent.mkdir(parents=True, exist_ok=True)
        recording.unlink(missing_ok=True)
    if report is not None:
        report.open("a").close()


def _write(report: Path | None, show: Show, passed: bool) -> None:
    if report is not None:
        values = {"program": f"ipconf {__version__}", "passed": passed, **show.report()}
        report.write_text(json.dumps(values, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ipconf", description="IP conferencing over RTP.")
    parser.add_argument("--version", action="version", version=f"ipconf {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="two parties, or a conference, in processes of their own, and you watch",
        description="Two parties in two processes call each other, or three and more meet in a "
        "hub, over ICE and DTLS-SRTP. Exits with 0 only if everybody heard and saw exactly whom "
        "they should, and every expected event came.",
    )
    demo.add_argument(
        "--parties", type=int, metavar="N",
        help=f"how many there are: 2 for a call (without a browser that is so if nothing is said), "
        f"3 to {MAX_PARTIES} for a conference; in a meeting {MEETING_PARTIES} if nothing is said",
    )  # fmt: skip
    demo.add_argument(
        "--duration", type=_number, metavar="SECONDS",
        help="how long it lasts, within limits that depend on the parties (30 for two)",
    )  # fmt: skip
    demo.add_argument(
        "--loss", type=_loss, default=0.0, metavar="PERCENT",
        help="share of all datagrams that Bob's network loses, in a conference everybody's, each "
        f"way, up to {MAX_LOSS_PERCENT:g} (%(default)g)",
    )  # fmt: skip
    demo.add_argument(
        "--no-video", action="store_false", dest="video", help="a conference of sound alone"
    )
    demo.add_argument(
        "--record", type=Path, default=Path("recordings", f"{datetime.now():%Y-%m-%d-%H%M%S}"),
        metavar="DIR", help="where the recordings go (recordings/ and the time)",
    )  # fmt: skip
    demo.add_argument(
        "--meeting", action="store_true",
        help="people talk in turns until Ctrl-C, or for the --duration, and you join them from a "
        "browser: what `ipconf demo` alone does in a terminal, if ipconf[web] is installed",
    )  # fmt: skip
    demo.add_argument(
        "--terminal", action="store_true", help="two parties, live in the terminal, and no browser"
    )
    demo.add_argument(
        "--headless", action="store_true", help="print events line by line, as without a terminal"
    )
    demo.add_argument(
        "--json", type=Path, metavar="FILE", help="write all events, statistics and checks there"
    )
    demo.set_defaults(run=_demo, parser=demo)
    add_load(commands)
    add_join(commands)
    add_gateway(commands)
    add_bridge(commands)
    add_announce(commands)
    add_listen(commands)
    return parser


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
