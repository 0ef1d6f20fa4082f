"""What the programs have in common: their end, their input, and errors in the words of flags."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from pydantic import ValidationError

from .errors import ConfigurationError, TransportError
from .terminals.file_formats import FORMATS, format_of
from .transports.binding import bind_udp

SETTING_FLAGS = {
    "multicast_interface": "--interface",
    "multicast_ttl": "--ttl",
    "port_range": "--udp-ports",
    "ice_addresses": "--ice-addresses",
    "public_addresses": "--public-address",
    "name": "--name",
}
"""The flags of settings."""
_WRONG = {
    "less_than_equal": "give at most {le}",
    "greater_than_equal": "give at least {ge}",
    "string_too_short": "give a name or an address",
    "string_too_long": "that is too long",
    "ip_any_address": "that is no IP address",
}
"""What is wrong with a value, by pydantic's name for it."""


def ending() -> asyncio.Event:
    """Set by Ctrl-C or SIGTERM, so that the program ends in good order; a second one ends it at
    once.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def end() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
        ended.set()

    with suppress(NotImplementedError):  # on Windows
        for number in signals:
            loop.add_signal_handler(number, end)
    return ended


async def wait_until(ended: asyncio.Event, seconds: float | None) -> None:
    """Let the time pass, or None: any; until somebody ends the program."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()


def read_input(name: str, limit: int = -1) -> bytes:
    """What is in the file, or for "-" comes in, up to `limit` bytes; OSError if that fails."""
    if name == "-":
        return sys.stdin.buffer.read(limit)
    with Path(name).open("rb") as file:
        return file.read(limit)


def in_flags(exc: Exception) -> str:
    """The sentence of an error, with flags for the names of settings."""
    cause = exc.__context__
    if isinstance(exc, ConfigurationError) and isinstance(cause, ValidationError):
        return "; ".join(_wrong(dict(error)) for error in cause.errors())
    if isinstance(exc, OSError) and exc.strerror and exc.filename:
        return f"{exc.filename}: {exc.strerror}"
    said = str(exc)
    for name, flag in SETTING_FLAGS.items():
        if "_" in name:
            said = said.replace(name, flag)
    return said


def _wrong(error: Mapping[str, object]) -> str:
    """What is wrong with one setting."""
    where, context = error["loc"], error.get("ctx")
    name = str(where[0]) if isinstance(where, tuple) and where else ""
    said = str(error["msg"]).removeprefix("Value error, ")
    sentence = _WRONG.get(str(error["type"]))
    if sentence is not None:
        values = context if isinstance(context, Mapping) else {}
        said = f"{error['input']}: {sentence.format(**values)}"
    flag = SETTING_FLAGS.get(name, name)
    return f"{flag}{' ' if sentence else ': '}{said}" if flag else said


def ports_of(text: str) -> tuple[int, int]:
    """The two ports of --udp-ports; ConfigurationError if they are none."""
    low, _, high = text.partition("-")
    try:
        return int(low), int(high)
    except ValueError:
        raise ConfigurationError(f"--udp-ports {text}: give two ports, as 40000-40100") from None


def check_record(path: Path | None) -> None:
    """ConfigurationError for a file that --record cannot write because of how its name ends."""
    if path is not None:
        try:
            format_of(path, FORMATS)
        except ConfigurationError as exc:
            raise ConfigurationError(f"--record {exc}") from None


def check_addresses(addresses: Iterable[str], option: str) -> None:
    """ConfigurationError, with the option, for an address that this machine has not.

    What is a name, and no address, is passed over.
    """
    for address in addresses:
        try:
            ip_address(address)
        except ValueError:
            continue
        try:
            bind_udp(address, None).close()
        except TransportError as exc:
            raise ConfigurationError(f"{option}: {exc}") from None
