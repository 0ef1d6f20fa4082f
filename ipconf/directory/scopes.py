"""How far announcements go, and to which groups (RFC 2974 section 3, RFC 2365, RFC 7346)."""

from __future__ import annotations

import enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

SAP_PORT = 9875
GLOBAL_GROUP = IPv4Address("224.2.127.254")
"""Announcements of what has no scope of its own."""
SCOPED_NETWORKS = (IPv4Network("239.255.0.0/16"), IPv4Network("239.192.0.0/14"))
"""The local scope and that of an organisation: each has its highest address for announcements."""
LINK_NETWORK, LINK_GROUP = IPv4Network("224.0.0.0/24"), IPv4Address("224.0.0.255")
"""Groups that no router passes on; their highest address likewise."""
_IPV6_GROUPS = IPv6Network("ff00::/8")
_IPV6_SAP = 0x2_7FFE
_SCOPE_SHIFT = 112

Group = IPv4Address | IPv6Address


class Scope(enum.Enum):
    """How far a conference is advertised (MSPI: RND_ADVERTISING_SCOPE)."""

    LOCAL = "local"
    """On this network: no router."""
    SITE = "site"
    REGION = "region"
    WORLD = "world"

    @property
    def ttl(self) -> int:
        """Routers that an announcement may pass, and one more."""
        return TTLS[self]


TTLS = {Scope.LOCAL: 1, Scope.SITE: 15, Scope.REGION: 63, Scope.WORLD: 127}
"""Thresholds that routers at the edges of such areas have by custom (RFC 2365 section 8)."""


def scope_of(ttl: int) -> Scope:
    """The smallest scope that packets with this time to live do not leave."""
    return next((scope for scope, limit in TTLS.items() if ttl <= limit), Scope.WORLD)


def announcement_group(address: str | Group) -> Group:
    """Where a conference at this address is announced: within the same scope.

    Where IPv4 addresses have no scope, and for those that are no groups, it is the global group;
    in IPv6, for those that are no groups, that of the link.
    """
    group = ip_address(address)
    if isinstance(group, IPv6Address):
        scope = int(group) >> _SCOPE_SHIFT & 0xF if group in _IPV6_GROUPS else 2
        return IPv6Address(0xFF00 + scope << _SCOPE_SHIFT | _IPV6_SAP)
    if group in LINK_NETWORK:
        return LINK_GROUP
    for network in SCOPED_NETWORKS:
        if group in network:
            return network[-1]
    return GLOBAL_GROUP


LISTENED_IPV4: tuple[Group, ...] = (
    GLOBAL_GROUP,
    *(network[-1] for network in SCOPED_NETWORKS),
    LINK_GROUP,
)
"""What a listener joins unless it knows better."""
LISTENED_IPV6: tuple[Group, ...] = tuple(
    IPv6Address(f"ff0{scope}::2:7ffe") for scope in ("2", "5", "8", "e")
)
"""The same: link, site, organisation, world."""
