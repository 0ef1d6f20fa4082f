"""`ipconf join`: its options, and what is wrong with them."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, DescriptionError, IpconfError
from ..model import Identity, LoopbackMode
from .options import add_group_options, check_seconds, group_settings, login, read_description
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
    parser.add_argument(
        "--name", default=None, help="what the others call you (the name of your login)"
    )
    add_group_options(
        parser,
        LoopbackMode,
        "what this machine hears of what you send: nothing, everything (you hear yourself), or "
        "selective: what others here send, but not you",
    )
    parser.add_argument("--send", choices=SENDS, default="none", help="sound to send (%(default)s)")
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write what is heard and seen there, as x.mkv"
    )
    parser.set_defaults(run=run_join, parser=parser)


def run_join(options: argparse.Namespace) -> int:
    """Take part and print who is there; returns the exit code."""
    check_seconds(options)
    try:
        visit = Visit(
            description=read_description(options.description),
            identity=Identity(name=login() if options.name is None else options.name),
            settings=group_settings(options),
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
