"""What the programs that take part in groups have in common on the command line."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Iterable
from ipaddress import ip_address

from ..directory.sockets import address_on
from ..errors import DescriptionError
from ..model import CallSettings, LoopbackMode
from ..programs import ports_of, read_input
from ..sdp import ConferenceDescription, parse_description

LOOPBACK_HELP = (
    "none: others on this machine do not hear you (but on lo they always do); selective: they do"
)


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
        "--loopback", choices=[mode.value for mode in modes], default=LoopbackMode.SELECTIVE.value,
        help=f"{loopback_help} (%(default)s)",
    )  # fmt: skip


def check_seconds(options: argparse.Namespace) -> None:
    """Refuse times in which nothing can happen."""
    if options.seconds is not None and not options.seconds > 0:
        options.parser.error(f"--for {options.seconds:g}: give more than 0 seconds")


def group_settings(options: argparse.Namespace, udp_ports: str | None = None) -> CallSettings:
    """How the call in the group connects; ConfigurationError for values that are none.

    Towards a single far end its own address is that of the interface, where that is given as one.
    """
    settings = CallSettings(
        transport="rtp",
        multicast_interface=options.interface,
        multicast_ttl=options.ttl,
        port_range=None if udp_ports is None else ports_of(udp_ports),
    )
    try:
        return settings.replace(rtp_address=ip_address(options.interface or ""))
    except ValueError:  # the name of one
        return settings


def check_interface(options: argparse.Namespace, description: ConferenceDescription) -> None:
    """ConfigurationError for an interface that is none of this machine, or has no address of the
    version of IP of a group of the description.
    """
    if options.interface is not None:
        for version in sorted({ip_address(group).version for group in description.groups}):
            address_on(options.interface, version)


def read_description(name: str) -> ConferenceDescription:
    """The description in a file; OSError, or DescriptionError with the file's name and the line."""
    data = read_input(name)
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
