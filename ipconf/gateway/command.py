"""`ipconf gateway`: its options, and what is wrong with them."""

from __future__ import annotations

import argparse
import asyncio
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import ConfigurationError, DescriptionError, IpconfError
from ..join.options import (
    LOOPBACK_HELP,
    add_group_options,
    check_interface,
    check_seconds,
    group_settings,
    read_description,
)
from ..model import CallSettings, Identity, LoopbackMode
from ..programs import check_addresses, check_record, in_flags, ports_of
from .run import Opening, keep_open

if TYPE_CHECKING:
    from argparse import _SubParsersAction

LISTEN = "127.0.0.1:5077"
NAME = "Gateway"
MAX_GUESTS = 16
MAX_SLOTS = 15
"""A call has 16 sections of video, and one is for the guest's own camera."""


def add_gateway(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; `run_gateway` is what it does."""
    parser = commands.add_parser(
        "gateway",
        help="let guests over WebRTC into a conference that a description describes",
        description="Joins the conference that an SDP file describes, takes calls over WebRTC, "
        "whose signalling is a message of JSON a line over TCP, and lets all of them hear and see "
        "one another. Prints who comes, who goes and who talks, until Ctrl-C. Exits with 0, with 1 "
        "if something failed, and with 2 if an option is wrong.",
    )
    add_group_options(
        parser,
        (LoopbackMode.NONE, LoopbackMode.SELECTIVE),
        LOOPBACK_HELP,
    )
    parser.add_argument("--name", default=NAME, help="what the group calls it (%(default)s)")
    parser.add_argument(
        "--listen", default=LISTEN, metavar="HOST:PORT",
        help="where guests call; port 0 is any free one; who reaches it is let in (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--max-guests", type=int, default=MAX_GUESTS, metavar="N",
        help="guests at the same time; more are told that it is full (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--ice-addresses", metavar="ADDRESS,...",
        help="local addresses for the media of guests (every one but loopback, or only loopback "
        "where --listen is that)",
    )  # fmt: skip
    parser.add_argument(
        "--public-address", metavar="ADDRESS",
        help="address by which guests reach this machine where its own are translated (NAT 1:1)",
    )  # fmt: skip
    parser.add_argument(
        "--udp-ports", metavar="LOW-HIGH", help="UDP ports for the media of guests (any)"
    )
    parser.add_argument(
        "--video-slots", type=int, default=9, metavar="N",
        help="how many others a guest sees at the same time, who offers so many (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write what all hear and see there, as x.mkv"
    )
    parser.set_defaults(run=run_gateway, parser=parser)


def run_gateway(options: argparse.Namespace) -> int:
    """Serve until a signal, and print who is there; returns the exit code."""
    check_seconds(options)
    try:
        opening = _opening(options)
    except (OSError, ConfigurationError, DescriptionError) as exc:
        print(f"ipconf gateway: {in_flags(exc)}", file=sys.stderr)
        return 2
    try:
        is_complete = asyncio.run(keep_open(opening, lambda line: print(line, flush=True)))
    except IpconfError as exc:
        print(f"ipconf gateway: {in_flags(exc)}", file=sys.stderr)
        return 1
    return 0 if is_complete else 1


def _opening(options: argparse.Namespace) -> Opening:
    host, port = _address(options.listen)
    if options.max_guests < 1:
        raise ConfigurationError(f"--max-guests {options.max_guests}: give at least 1")
    if not 1 <= options.video_slots <= MAX_SLOTS:
        raise ConfigurationError(f"--video-slots {options.video_slots}: give 1 to {MAX_SLOTS}")
    check_addresses((host,), "--listen")
    check_record(options.record)
    description = read_description(options.description)
    group = group_settings(options)
    check_interface(options, description)
    return Opening(
        description=description,
        identity=Identity(name=options.name),
        group=group,
        guests=_guest_settings(options, host),
        loopback=LoopbackMode(options.loopback),
        host=host,
        port=port,
        max_guests=options.max_guests,
        seconds=options.seconds,
        record=options.record,
    )


def _guest_settings(options: argparse.Namespace, host: str) -> CallSettings:
    given = None if options.ice_addresses is None else _parts(options.ice_addresses)
    if given == ():
        raise ConfigurationError("--ice-addresses: give at least one address")
    settings = CallSettings(
        ice_addresses=_loopback(host) if given is None else given,
        public_addresses=() if options.public_address is None else options.public_address,
        port_range=None if options.udp_ports is None else ports_of(options.udp_ports),
        video_sections=options.video_slots + 1,
    )
    check_addresses(given or (), "--ice-addresses")
    return settings


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _address(text: str) -> tuple[str, int]:
    """Host and port; an address of IPv6 stands in brackets."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.netloc != text or "@" in text:
        raise ConfigurationError(f"--listen {text}: give HOST:PORT, as 127.0.0.1:5077 or [::1]:0")
    return host, port


def _loopback(host: str) -> tuple[str, ...] | None:
    """Loopback where guests call there alone: then their media are for nobody else."""
    if host == "localhost":
        return ("127.0.0.1",)
    try:
        return (host,) if ip_address(host).is_loopback else None
    except ValueError:  # a name
        return None
