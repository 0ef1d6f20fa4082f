"""Addresses as far ends describe them: whether one can be sent to, and what none means."""

import ipaddress

from ..errors import NegotiationError
from .ports import Address


def is_nowhere(host: str | None) -> bool:
    """Whether that is the unspecified address: nothing is to be sent (RFC 3264 section 8.4)."""
    try:
        return ipaddress.ip_address(host or "").is_unspecified
    except ValueError:
        return False


def check_reachable(host: str, port: int, ours: str) -> None:
    """NegotiationError unless that can be sent to from our address.

    A name would block the loop while it is looked up, an impossible port close the socket.
    """
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        raise NegotiationError(f"the far end's address (c=) is {host!r}, not an IP") from None
    if parsed.version != ipaddress.ip_address(ours).version or parsed.is_unspecified:
        raise NegotiationError(f"the far end's address {host} cannot be reached from {ours}")
    if not 0 < port < 1 << 16:
        raise NegotiationError(f"the far end's port {port} is not in 1..65535")


def spelled(address: tuple[str, int]) -> Address:
    """The same as sockets spell it."""
    return str(ipaddress.ip_address(address[0])), address[1]
