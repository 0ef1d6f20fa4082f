"""`ipconf announce` and `ipconf listen`: their options, and what they print."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import time
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import IpconfError
from ..programs import ending, in_flags, read_input, wait_until
from ..sdp import ConferenceDescription, parse_description
from ..sdp.parsing import MAX_DESCRIPTION_BYTES
from .bandwidth import SapSettings
from .heard import News, SapNews
from .saved import SavedDescriptions
from .scopes import GLOBAL_GROUP, SAP_PORT, TTLS, announcement_group
from .sockets import address_on
from .udp import SapPort

if TYPE_CHECKING:
    from argparse import _SubParsersAction

MAX_TTL = 255
MIN_INTERVAL_S = 1.0
DEFAULT_INTERVAL_S = 300.0


def add_announce(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; `run_announce` is what it does."""
    scopes = ", ".join(f"{ttl} {scope.value}" for scope, ttl in TTLS.items())
    parser = commands.add_parser(
        "announce",
        help="announce a conference by SAP",
        description="Announces the conference that a file describes until it is over, or you stop "
        "it with Ctrl-C; then it is withdrawn. Whoever listens finds it, as with ipconf listen.",
    )
    parser.add_argument("file", metavar="FILE", help='the SDP file; "-" is the input')
    parser.add_argument(
        "--interface", required=True, metavar="NAME",
        help="the network where it is announced, as eth0 or by this machine's address there",
    )  # fmt: skip
    parser.add_argument(
        "--ttl", type=int, default=1, metavar="N",
        help=f"how far: {scopes} (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--for", type=float, dest="seconds", metavar="SECONDS", help="how long")
    parser.add_argument(
        "--interval", type=float, default=DEFAULT_INTERVAL_S, metavar="SECONDS",
        help="between two announcements, on average; shorter than %(default)g s only on networks "
        "of your own",
    )  # fmt: skip
    parser.set_defaults(run=run_announce, parser=parser)


def add_listen(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; `run_listen` is what it does."""
    parser = commands.add_parser(
        "listen",
        help="list the conferences that others announce",
        description="Prints what is announced by SAP, changed, withdrawn, over or no longer heard. "
        "Announcements come every five minutes or less often. Ends on Ctrl-C.",
    )
    parser.add_argument(
        "--interface", metavar="NAME",
        help="the network to listen on, as eth0 (which is IPv4) or by this machine's address "
        "there; without it, the one by which multicast would leave",
    )  # fmt: skip
    parser.add_argument(
        "--save", type=Path, metavar="DIR",
        help="write each description there, as a file that ipconf join takes, and print its name; "
        "the file of one that is withdrawn, over or no longer heard is removed, and what is there "
        "when this ends stays",
    )  # fmt: skip
    parser.add_argument("--for", type=float, dest="seconds", metavar="SECONDS", help="how long")
    parser.set_defaults(run=run_listen, parser=parser)


def run_announce(options: argparse.Namespace) -> int:
    """Announce until it is time to stop; returns the exit code."""
    _check_seconds(options)
    if not 0 <= options.ttl <= MAX_TTL:
        options.parser.error(f"--ttl {options.ttl}: give 0 to {MAX_TTL}")
    if not options.interval >= MIN_INTERVAL_S:
        options.parser.error(f"--interval {options.interval:g}: give {MIN_INTERVAL_S:g} or more")
    try:
        description = parse_description(read_input(options.file, MAX_DESCRIPTION_BYTES + 1))
        asyncio.run(_announce(description, options))
    except (OSError, IpconfError) as exc:
        return _failed("announce", exc)
    return 0


async def _announce(description: ConferenceDescription, options: argparse.Namespace) -> None:
    ended, settings = ending(), SapSettings(min_interval_s=options.interval)
    where = next(iter(description.groups), None)
    version = _version_of(options.interface) if where is None else ip_address(where).version
    interface = str(address_on(options.interface, version))
    group = announcement_group(where or interface)
    async with SapPort(interface, groups=(group,), settings=settings) as port:
        port.announce(description, ttl=options.ttl, group=group)
        if port.unsent:
            _say("nothing could be sent: is there a route for multicast? It is tried again.")
        _say(f"announcing {_summary(description)}, on {group} from {interface}")
        limits = (options.seconds, description.ends_at and description.ends_at - time.time())
        await wait_until(ended, min((limit for limit in limits if limit is not None), default=None))


def run_listen(options: argparse.Namespace) -> int:
    """Print what is heard until it is time to stop; returns the exit code."""
    _check_seconds(options)
    try:
        saved = None if options.save is None else SavedDescriptions(options.save)
        asyncio.run(_listen(options.interface, saved, options.seconds))
    except (OSError, IpconfError) as exc:
        return _failed("listen", exc)
    return 0


async def _listen(
    given: str | None, saved: SavedDescriptions | None, seconds: float | None
) -> None:
    ended = ending()
    interface = _usual_interface() if given is None else given
    interface = str(address_on(interface, _version_of(interface)))
    async with SapPort(interface, on_news=partial(_print_news, saved)) as port:
        _say(f"listening on {interface} to {', '.join(map(str, port.groups))}")
        await wait_until(ended, seconds)
        _say(f"{len(port.listener.conferences)} conferences are announced")


def _print_news(saved: SavedDescriptions | None, news: SapNews) -> None:
    heard = news.conference
    _say(f"{news.what.value:8} {_summary(heard.description)}, by {heard.sender}")
    if saved is None:
        return
    try:
        if news.what in (News.HEARD, News.CHANGED):
            _say(f"         saved as {saved.put(heard)}")
        else:
            saved.remove(heard)
    except OSError as exc:
        print(f"ipconf listen: {in_flags(exc)}", file=sys.stderr)


def _version_of(interface: str) -> int:
    """The version of IP of an address; 4 for the name of an interface."""
    return 6 if ":" in interface else 4


def _summary(description: ConferenceDescription) -> str:
    media = ", ".join(f"{media.medium} {media.port}" for media in description.media)
    where = ", ".join(description.groups) or "no group"
    name = "".join(sign if sign.isprintable() else "?" for sign in description.name)
    return f"“{name}” at {where} ({media or 'no media'})"


def _say(text: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {text}", flush=True)


def _failed(command: str, exc: Exception) -> int:
    print(f"ipconf {command}: {in_flags(exc)}", file=sys.stderr)
    return 2


def _check_seconds(options: argparse.Namespace) -> None:
    if options.seconds is not None and not options.seconds > 0:
        options.parser.error(f"--for {options.seconds:g}: give a number of seconds above 0")


def _usual_interface() -> str:
    """The address from which multicast would leave; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((str(GLOBAL_GROUP), SAP_PORT))
        return str(probe.getsockname()[0])
