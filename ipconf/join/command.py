"""`ipconf join`: its options, and what is wrong with them."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, DescriptionError, IpconfError
from ..model import Identity, LoopbackMode
from ..programs import check_record, in_flags
from .options import (
    LOOPBACK_HELP,
    add_group_options,
    check_interface,
    check_seconds,
    group_settings,
    login,
    read_description,
)
from .run import SENDS, Visit, take_part

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_join(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; `run_join` is what it does."""
    parser = commands.add_parser(
        "join",
        help="take part in a conference by its description, over multicast or plain RTP",
        description="Joins the conference that an SDP file describes, with no server, and prints "
        "who comes, who goes and who talks, until Ctrl-C. Where the description names a single "
        "address (c=) and no group, that is who it sends to, from a port of its own, where it "
        "hears what comes back: a telephone or another program that is told this port. Exits "
        "with 0, with 1 if something failed, as the recording, and with 2 if an option is wrong.",
    )
    parser.add_argument(
        "--name", default=None, help="what the others call you (the name of your login)"
    )
    add_group_options(
        parser,
        LoopbackMode,
        LOOPBACK_HELP + "; full: you hear yourself as well",
    )
    parser.add_argument("--send", choices=SENDS, default="none", help="sound to send (%(default)s)")
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write what is heard and seen there, as x.mkv"
    )
    parser.add_argument(
        "--udp-ports", metavar="LOW-HIGH",
        help="where the description names a single address: UDP ports to listen on (any)",
    )  # fmt: skip
    parser.set_defaults(run=run_join, parser=parser)


def run_join(options: argparse.Namespace) -> int:
    """Take part and print who is there; returns the exit code."""
    check_seconds(options)
    try:
        visit = _visit(options)
    except (OSError, ConfigurationError, DescriptionError) as exc:
        print(f"ipconf join: {in_flags(exc)}", file=sys.stderr)
        return 2
    try:
        is_complete = asyncio.run(take_part(visit, lambda line: print(line, flush=True)))
    except IpconfError as exc:
        print(f"ipconf join: {in_flags(exc)}", file=sys.stderr)
        return 1
    return 0 if is_complete else 1


def _visit(options: argparse.Namespace) -> Visit:
    description = read_description(options.description)
    settings = group_settings(options, options.udp_ports)
    check_interface(options, description)
    check_record(options.record)
    return Visit(
        description=description,
        identity=Identity(name=login() if options.name is None else options.name),
        settings=settings,
        send=options.send,
        loopback=LoopbackMode(options.loopback),
        seconds=options.seconds,
        record=options.record,
    )
