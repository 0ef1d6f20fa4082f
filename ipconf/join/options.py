"""What the programs that take part in groups have in common on the command line."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from ..errors import DescriptionError
from ..model import CallSettings, LoopbackMode
from ..sdp import ConferenceDescription, parse_description


def add_group_options(
    parser: argparse.ArgumentParser, modes: Iterable[LoopbackMode], loopback_help: str
) -> None:
    """Which group, where, how far, for how long; `modes` are those of --loopback on offer."""
    parser.add_argument("description", metavar="FILE", help='the SDP file; "-" is the input')
    parser.add_argument(
        "--interface", metavar="NAME",
        help="the network to use, as eth0 or by an address there (what the routes say)",
    )  # fmt: skip
    parser.add_argument(
        "--ttl", type=int, metavar="N",
        help="routers that may be passed, plus one; 0 stays on this machine (what the file says)",
    )  # fmt: skip
    parser.add_argument(
        "--for", type=float, dest="seconds", metavar="SECONDS", help="leave after that time"
    )
    parser.add_argument(
        "--loopback", choices=[mode.value for mode in modes], default=LoopbackMode.NONE.value,
        help=f"{loopback_help} (%(default)s)",
    )  # fmt: skip


def check_seconds(options: argparse.Namespace) -> None:
    """Refuse times in which nothing can happen."""
    if options.seconds is not None and not options.seconds > 0:
        options.parser.error(f"--for {options.seconds:g}: give more than 0 seconds")


def group_settings(options: argparse.Namespace) -> CallSettings:
    """How the call in the group connects; ConfigurationError for values that are none.

    Towards a single far end its own address is that of the interface, where that is given as one.
    """
    settings = CallSettings(
        transport="rtp", multicast_interface=options.interface, multicast_ttl=options.ttl
    )
    try:
        return settings.replace(rtp_address=ip_address(options.interface or ""))
    except ValueError:  # the name of one
        return settings


def read_description(name: str) -> ConferenceDescription:
    """The description in a file; OSError, or DescriptionError with the file's name and the line."""
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    try:
        return parse_description(data)
    except DescriptionError as exc:
        raise DescriptionError(f"{name}: {exc}", exc.line_number, exc.line) from None


def login() -> str:
    """The name of whoever runs the program; "" of a user who has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
