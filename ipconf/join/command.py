"""`ipconf join`: its options, and what is wrong with them."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, DescriptionError, IpconfError
from ..model import CallSettings, Identity, LoopbackMode
from ..sdp import ConferenceDescription, parse_description
from .run import SENDS, Visit, take_part

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_join(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; `run_join` is what it does."""
    parser = commands.add_parser(
        "join",
        help="take part in a conference by its description, over multicast or plain RTP",
        description="Joins the conference that an SDP file describes, with no server, and prints "
        "who comes, who goes and who talks, until Ctrl-C.",
    )
    parser.add_argument("description", metavar="FILE", help='the SDP file; "-" is the input')
    parser.add_argument(
        "--name", default=None, help="what the others call you (the name of your login)"
    )
    parser.add_argument(
        "--interface", metavar="NAME",
        help="the network to use, as eth0 or by an address there (what the routes say)",
    )  # fmt: skip
    parser.add_argument("--send", choices=SENDS, default="none", help="sound to send (%(default)s)")
    parser.add_argument(
        "--for", type=float, dest="seconds", metavar="SECONDS", help="leave after that time"
    )
    modes = [mode.value for mode in LoopbackMode]
    parser.add_argument(
        "--loopback", choices=modes, default=LoopbackMode.NONE.value,
        help="what this machine hears of what you send: nothing, everything (you hear yourself), "
        "or selective: what others here send, but not you (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write what is heard and seen there, as x.mkv"
    )
    parser.set_defaults(run=run_join, parser=parser)


def run_join(options: argparse.Namespace) -> int:
    """Take part and print who is there; returns the exit code."""
    if options.seconds is not None and not options.seconds > 0:
        options.parser.error(f"--for {options.seconds:g}: give more than 0 seconds")
    try:
        visit = Visit(
            description=_read(options.description),
            identity=Identity(name=_login() if options.name is None else options.name),
            settings=CallSettings(transport="rtp", multicast_interface=options.interface),
            send=options.send,
            loopback=LoopbackMode(options.loopback),
            seconds=options.seconds,
            record=options.record,
        )
    except (OSError, ConfigurationError, DescriptionError) as exc:
        print(f"ipconf join: {exc}", file=sys.stderr)
        return 2
    try:
        asyncio.run(take_part(visit, lambda line: print(line, flush=True)))
    except IpconfError as exc:
        print(f"ipconf join: {exc}", file=sys.stderr)
        return 1
    return 0


def _read(name: str) -> ConferenceDescription:
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    try:
        return parse_description(data)
    except DescriptionError as exc:
        raise DescriptionError(f"{name}: {exc}", exc.line_number, exc.line) from None


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # of a user who has no name
        return ""
