"""STUN and TURN servers as guests are told them, with passwords that do not hold for long."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable

from pydantic import Field

from ..model import IceServer, Settings

LIFETIME_S = 12 * 3600
"""So long a password can be used for a new connection; those that there are go on after it."""


class TurnServer(Settings):
    """A TURN server that takes every password made with a secret which it shares with us.

    The user name is when that ends, in unix seconds, and whose it is; the password is
    base64(HMAC-SHA1(secret, user name)), as in draft-uberti-behave-turn-rest-00 section 2.2.
    """

    url: str
    """"turn:host:port?transport=udp" or "turns:host:port" (RFC 7065)."""
    secret: str = Field(min_length=1, repr=False)
    """What the server calls so: coturn's `static-auth-secret`."""

    def with_password(self, now: float) -> IceServer:
        """The server with a name and a password of somebody's own; `now` is in unix seconds."""
        user = f"{int(now) + LIFETIME_S}:{secrets.token_hex(8)}"
        signature = hmac.digest(self.secret.encode(), user.encode(), hashlib.sha1)
        password = base64.b64encode(signature).decode()
        return IceServer(url=self.url, username=user, credential=password)


def with_passwords(servers: Iterable[IceServer | TurnServer]) -> tuple[IceServer, ...]:
    """Servers as one client may know them from now on."""
    now = time.time()
    return tuple(
        server.with_password(now) if isinstance(server, TurnServer) else server
        for server in servers
    )
