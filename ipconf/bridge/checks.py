"""What a server finds out of its machine when it starts, rather than when the first guest comes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, TransportError
from ..programs import check_addresses
from ..transports.binding import bind_udp
from .addresses import own_addresses

if TYPE_CHECKING:
    from .settings import BridgeSettings


def check_machine(settings: BridgeSettings) -> None:
    """Make the directory of recordings; look whether it, addresses and UDP ports can be used.

    Raises ConfigurationError with the option and the reason; TransportError where others have the
    ports.
    """
    if settings.recordings_dir is not None:
        _check_directory(settings.recordings_dir)
    check_addresses((settings.host,), "host")
    check_addresses(map(str, settings.ice_addresses or ()), "ice_addresses")
    _check_ports(settings)


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


def _check_ports(settings: BridgeSettings) -> None:
    """Look whether media can have the ports that are given: on each address that is given as well,
    or, where none is, on one of the machine's.
    """
    shared = settings.shared_port
    name, ports = (
        ("udp_ports", settings.udp_ports) if shared is None else ("shared_port", (shared, shared))
    )
    given = settings.call_settings().ice_addresses
    addresses = [str(address) for address in given] if given else own_addresses()
    problems = []
    for address in addresses if ports else ():
        try:
            bind_udp(address, ports, advice="choose others, or end what has them").close()
        except TransportError as exc:
            problems.append(f"{name}: {exc}")
    if problems and (given or len(problems) == len(addresses)):
        raise TransportError(problems[0])
