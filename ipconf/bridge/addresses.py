"""By which addresses and names this machine is reached."""

from __future__ import annotations

import contextlib
import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from .settings import BridgeSettings

FAR_AWAY = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses for documentation (RFC 5737, RFC 3849): the way there is the way out of here. A UDP
socket that is connected sends nothing."""


def own_addresses() -> list[str]:
    """Addresses that others on the network use for this machine; none without a network."""
    found = []
    for family, target in FAR_AWAY:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            found.append(str(probe.getsockname()[0]))
    return found


def names_of(settings: BridgeSettings) -> list[str]:
    """Names and addresses that a certificate is for: whatever guests may have typed."""
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname(), *own_addresses()]
    if not _is_any(settings.host):
        names.append(settings.host)
    if settings.public_url is not None:
        names.append(urlsplit(settings.public_url).hostname or "")
    if settings.public_address is not None:
        names.append(str(settings.public_address))
    return sorted({name for name in names if name})


def site_of(settings: BridgeSettings, port: int) -> str:
    """The site that links lead to: `public_url`, or one made of the host and the port."""
    if settings.public_url is not None:
        return settings.public_url
    host = settings.host
    if _is_any(host):
        host = next(iter(own_addresses()), "localhost")
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.tls else 'http'}://{shown}:{port}"


def _is_any(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
