"""`ipconf announce` and `ipconf listen`: their options, and what they print."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import IpconfError
from ..sdp import ConferenceDescription, parse_description
from ..sdp.parsing import MAX_DESCRIPTION_BYTES
from .bandwidth import SapSettings
from .heard import SapNews
from .scopes import GLOBAL_GROUP, SAP_PORT, TTLS, announcement_group
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
        "it; then it is withdrawn. Whoever listens finds it, as with ipconf listen.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.sdp", help="the description")
    parser.add_argument(
        "--interface", required=True, metavar="ADDRESS",
        help="address of this machine on the network where it is announced",
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
        "Announcements come every five minutes or less often.",
    )
    parser.add_argument(
        "--interface", metavar="ADDRESS",
        help="address of this machine on the network to listen on; without it, the one by which "
        "multicast would leave",
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
        with options.file.open("rb") as file:
            description = parse_description(file.read(MAX_DESCRIPTION_BYTES + 1))
        asyncio.run(_announce(description, options))
    except (OSError, IpconfError) as exc:
        return _failed("announce", exc)
    return 0


async def _announce(description: ConferenceDescription, options: argparse.Namespace) -> None:
    ended, settings = _end(), SapSettings(min_interval_s=options.interval)
    group = announcement_group(next(iter(description.groups), options.interface))
    async with SapPort(options.interface, groups=(group,), settings=settings) as port:
        port.announce(description, ttl=options.ttl, group=group)
        if port.unsent:
            _say("nothing could be sent: is there a route for multicast? It is tried again.")
        _say(f"announcing {_summary(description)}, on {group} from {options.interface}")
        limits = (options.seconds, description.ends_at and description.ends_at - time.time())
        await _wait(ended, min((limit for limit in limits if limit is not None), default=None))


def run_listen(options: argparse.Namespace) -> int:
    """Print what is heard until it is time to stop; returns the exit code."""
    _check_seconds(options)
    try:
        asyncio.run(_listen(options.interface or _usual_interface(), options.seconds))
    except (OSError, IpconfError) as exc:
        return _failed("listen", exc)
    return 0


async def _listen(interface: str, seconds: float | None) -> None:
    ended = _end()
    async with SapPort(interface, on_news=_print_news) as port:
        _say(f"listening on {interface} to {', '.join(map(str, port.groups))}")
        await _wait(ended, seconds)
        _say(f"{len(port.listener.conferences)} conferences are announced")


def _print_news(news: SapNews) -> None:
    heard = news.conference
    _say(f"{news.what.value:8} {_summary(heard.description)}, by {heard.sender}")


def _summary(description: ConferenceDescription) -> str:
    media = ", ".join(f"{media.medium} {media.port}" for media in description.media)
    where = ", ".join(description.groups) or "no group"
    name = "".join(sign if sign.isprintable() else "?" for sign in description.name)
    return f"“{name}” at {where} ({media or 'no media'})"


def _say(text: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {text}", flush=True)


def _failed(command: str, exc: Exception) -> int:
    print(f"ipconf {command}: {exc}", file=sys.stderr)
    return 2


def _check_seconds(options: argparse.Namespace) -> None:
    if options.seconds is not None and not options.seconds > 0:
        options.parser.error(f"--for {options.seconds:g}: give a number of seconds above 0")


def _end() -> asyncio.Event:
    """Set by a signal that ends the program, which then ends in good order."""
    ended = asyncio.Event()
    with suppress(NotImplementedError):  # of a loop without signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    return ended


async def _wait(ended: asyncio.Event, seconds: float | None) -> None:
    """Let the time pass; None is until somebody ends the program."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()


def _usual_interface() -> str:
    """The address from which multicast would leave; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((str(GLOBAL_GROUP), SAP_PORT))
        return str(probe.getsockname()[0])
