"""`ipconf bridge` and `ipconf bridge invite`: their options, and what they print."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import socket
import sys
import time
from collections.abc import Coroutine
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, IpconfError
from .options import add_options, read_settings

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from .server import Bridge
    from .settings import BridgeSettings

DEFAULT_ROOM = "lobby"
"""Whose links are printed where the file names no rooms."""
MISSING = (
    "ipconf bridge needs aiohttp and prometheus-client: pip install '.[web]' in a checkout has them"
)
MAX_HOURS = 10 * 366 * 24.0


def add_bridge(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; `run_bridge` and `run_invite` are what it does."""
    parser = commands.add_parser(
        "bridge",
        help="a server of rooms, for browsers and for WHIP and WHEP clients",
        description="Serves a page on which people meet in rooms, and takes WHIP and plays WHEP. "
        "`ipconf bridge invite ROOM` prints the link of an invitation. Ends on SIGTERM or Ctrl-C.",
    )
    add_options(parser)
    # No parser of argparse's under it: that takes the value of a misspelt flag for its name.
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="invite ...",
        help="print the link of an invitation: see ipconf bridge invite --help",
    )  # fmt: skip
    parser.set_defaults(run=_run_either, parser=parser)


def _run_either(options: argparse.Namespace) -> int:
    """Serve, or invite where that is said; returns the exit code."""
    command, parser = options.command, options.parser
    if not command:
        return run_bridge(options)
    if command[0] != "invite":
        parser.error(f"unrecognized arguments: {' '.join(command)}")
    return run_invite(_invite_parser(parser.prog).parse_args(command[1:], options))


def _invite_parser(prog: str) -> argparse.ArgumentParser:
    invite = argparse.ArgumentParser(
        prog=f"{prog} invite",
        description="Prints a link into a room that says who comes with it. It needs the "
        "state_dir of the server, where the secret is, and the server's public_url, or its host "
        "and port.",
    )
    invite.add_argument("room", metavar="ROOM", help="a room's name")
    invite.add_argument(
        "--role", choices=("guest", "moderator", "viewer"), default="guest",
        help="what they may do (%(default)s)",
    )  # fmt: skip
    invite.add_argument(
        "--hours", type=float, metavar="N", help="how long it holds (until there is a new secret)"
    )
    add_options(invite, "state_dir", "public_url", "host", "port", "tls_self_signed")
    return invite


def run_bridge(options: argparse.Namespace) -> int:
    """Serve until a signal; returns the exit code."""
    try:
        from .files import ask_for_files
        from .log import set_up_log
        from .server import Bridge
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("ipconf"):
            raise
        print(MISSING, file=sys.stderr)
        return 2
    try:
        settings = read_settings(options)
        set_up_log(settings.log_format, settings.log_level)
        ask_for_files()
        _run(_serve(Bridge, settings))
    except ConfigurationError as exc:
        return _wrong(exc)
    except IpconfError as exc:
        print(f"ipconf bridge: {exc}", file=sys.stderr)
        return 1
    return 0


def _run(main: Coroutine[None, None, None]) -> None:
    """Run it on uvloop where that is there: it carries more guests."""
    if find_spec("uvloop") is None:
        asyncio.run(main)
    else:
        import uvloop

        uvloop.run(main)


async def _serve(kind: type[Bridge], settings: BridgeSettings) -> None:
    async with kind(settings) as bridge:
        # All modules are there by now, for good. To look through them for garbage again and again
        # takes some 60 ms each time, in which no media go anywhere.
        gc.collect()
        gc.freeze()

        def ready() -> None:
            print("\n".join(welcome(bridge)), flush=True)
            notify("READY=1")

        await bridge.serve(ready)
        notify("STOPPING=1")
        print("Stopping ...", flush=True)


def welcome(bridge: Bridge) -> list[str]:
    """What is printed at the start: links, and what is to be compared."""
    from ..hub.people import Role

    lines = [f"Open {bridge.url}/ in a browser."]
    if "NOTIFY_SOCKET" in os.environ:  # a service, whose output many may read for a long time
        lines.append("Links with invitations are printed by `ipconf bridge invite`.")
    else:
        for room in bridge.settings.rooms or (DEFAULT_ROOM,):
            lines.append(f"Moderators of {room}: {bridge.link(room, Role.MODERATOR)}")
    if bridge.settings.tls_self_signed:
        lines.append(f"The certificate is our own; its SHA-256 is {bridge.fingerprint}")
    return lines


def notify(state: str) -> None:
    """Tell systemd, if it has started us and wants to know (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.sendto(state.encode(), address.replace("@", "\0", 1))


def run_invite(options: argparse.Namespace) -> int:
    """Print a link; returns the exit code."""
    from .addresses import site_of
    from .invitations import ROLES, Invitations, kept_secret
    from .settings import room_name

    try:
        settings = read_settings(options)
        if settings.state_dir is None:
            raise ConfigurationError(
                "--state-dir is missing: the invitation is signed with the secret that the server "
                "keeps there"
            )
        if options.hours is not None and not 0 < options.hours <= MAX_HOURS:
            raise ConfigurationError(f"--hours {options.hours:g}: give 0 to {MAX_HOURS:g}")
        if settings.port == 0 and settings.public_url is None:
            raise ConfigurationError("--port 0 leads nowhere: give --public-url")
        room = room_name(options.room)
        expires_at = None if options.hours is None else time.time() + options.hours * 3600
        invitations = Invitations(kept_secret(settings.state_dir))
        token = invitations.invite(room, ROLES[options.role], expires_at)
    except ValueError as exc:  # ConfigurationError is one
        return _wrong(exc)
    print(f"{site_of(settings, settings.port)}/{room}#{token}")
    return 0


def _wrong(exc: Exception) -> int:
    print(f"ipconf bridge: {exc}", file=sys.stderr)
    return 2
