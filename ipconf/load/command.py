"""`ipconf load`: its options, and what it prints."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from .processes import Broken
from .run import CODECS, Task, describe, perform
from .sounds import MAX_TALKERS

if TYPE_CHECKING:
    from argparse import _SubParsersAction

DEFAULT_LEGS = 50
DEFAULT_TALKERS = 3
DEFAULT_DURATION_S = 10.0
MAX_LEGS = 900
"""A socket each, of the 1024 files that a process may usually have open."""
MIN_DURATION_S, MAX_DURATION_S = 2.0, 3600.0
"""What is listened to in the end are the latest two seconds."""
MAX_LOSS_PERCENT = 20.0


def add_load(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; `run_load` is what it does."""
    parser = commands.add_parser(
        "load",
        help="measure a conference of many legs on this machine",
        description="A conference in one process gets calls from another, all on this machine. "
        "Some legs say a tone, the others send quiet noise, each 50 packets a second with audio "
        "levels. Prints what the hub's process takes, and what the legs got. Exits with 0 only if "
        "every leg got every packet that was not lost on purpose, and the talkers were heard.",
    )
    parser.add_argument(
        "--legs", type=int, default=DEFAULT_LEGS, metavar="N",
        help=f"calls in the conference, 1 to {MAX_LEGS} (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--talkers", type=int, default=DEFAULT_TALKERS, metavar="K",
        help=f"how many of them talk, 1 to {MAX_TALKERS} (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--codec", choices=CODECS, default="opus", help="of all legs (%(default)s)")
    parser.add_argument(
        "--transport", choices=("rtp", "webrtc"), default="rtp",
        help="plain RTP, or ICE with DTLS-SRTP (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--shared-port", action="store_true",
        help="let the hub have one UDP port for all legs, rather than one for each",
    )  # fmt: skip
    parser.add_argument(
        "--loss", type=float, default=0.0, metavar="PERCENT",
        help="share of the packets of media that each leg loses, each way, up to "
        f"{MAX_LOSS_PERCENT:g} (%(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--duration", type=float, default=DEFAULT_DURATION_S, metavar="SECONDS",
        help=f"how long is measured, {MIN_DURATION_S:g} to {MAX_DURATION_S:g} (%(default)g)",
    )  # fmt: skip
    parser.set_defaults(run=run_load, parser=parser)


def run_load(options: argparse.Namespace) -> int:
    """Carry the load, print what came of it; returns the exit code."""
    _check(options)
    task = Task(
        legs=options.legs,
        talkers=options.talkers,
        codec=options.codec,
        transport=options.transport,
        shared_port=options.shared_port,
        loss_percent=options.loss,
        duration_s=options.duration,
    )
    try:
        outcome = asyncio.run(perform(task))
    except Broken as exc:
        print(f"ipconf load: {exc}", file=sys.stderr)
        return 1
    print("\n".join(describe(task, outcome)))
    return 1 if outcome.failures else 0


def _check(options: argparse.Namespace) -> None:
    """Exit and say what is wrong, if something is."""
    limits = {
        "legs": (1, MAX_LEGS),
        "talkers": (1, min(options.legs, MAX_TALKERS)),
        "loss": (0, MAX_LOSS_PERCENT),
        "duration": (MIN_DURATION_S, MAX_DURATION_S),
    }
    for name, (least, most) in limits.items():
        if not least <= getattr(options, name) <= most:
            value = f"{getattr(options, name):g}"
            options.parser.error(f"--{name} {value}: give {least:g} to {most:g}")
