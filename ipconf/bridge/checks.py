"""What a server finds out of its machine when it starts, rather than when the first guest comes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, TransportError
from ..transports.binding import bind_udp

if TYPE_CHECKING:
    from .settings import BridgeSettings


def check_machine(settings: BridgeSettings) -> None:
    """Make the directory of recordings, and look whether it and the addresses can be used.

    Raises ConfigurationError with the option and the reason.
    """
    if settings.recordings_dir is not None:
        _check_directory(settings.recordings_dir)
    _check_addresses(map(str, settings.ice_addresses or ()))


def _check_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=directory):
            pass
    except OSError as exc:
        reason = exc.strerror or exc
        raise ConfigurationError(
            f"recordings_dir {directory}: no file can be made there: {reason}"
        ) from None


def _check_addresses(addresses: Iterable[str]) -> None:
    for address in addresses:
        try:
            bind_udp(address, None).close()
        except TransportError as exc:
            raise ConfigurationError(f"ice_addresses: {exc}") from None
