"""Invitations: tokens that say who may come into which room as what, signed by a secret.

A token is base64url(JSON) "." base64url(HMAC-SHA256 of what is before the point). It is for whoever
has it, until it expires; a new secret takes back all of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..hub.people import Role
from .refusals import Refused

SECRET_BYTES = 32
MAX_TOKEN_CHARACTERS = 1000
ROLES = {"guest": Role.SPEAKER, "moderator": Role.MODERATOR, "viewer": Role.LISTENER}
"""What roles are called by people and in tokens."""
NAME_OF_ROLE = {role: name for name, role in ROLES.items()}


class Invitations:
    """Makes and reads tokens; `secret` has at least 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise ConfigurationError(
                f"a secret of {len(secret)} bytes can be guessed: give {SECRET_BYTES} random ones"
            )
        self._secret = secret

    def invite(self, room: str, role: Role, expires_at: float | None = None) -> str:
        """A token for this room and role; `expires_at` is in unix seconds, None is never."""
        payload: dict[str, Any] = {"room": room, "role": NAME_OF_ROLE[role]}
        if expires_at is not None:
            payload["exp"] = int(expires_at)
        text = _encoded(json.dumps(payload, separators=(",", ":")).encode())
        return f"{text}.{_encoded(self._signature(text))}"

    def read(self, token: str, room: str, now: float) -> Role:
        """The role that `token` gives in `room` at `now` (unix seconds).

        Raises Refused: for an expired one, which only its holder can know, and with one text for
        all else that can be wrong.
        """
        payload = self._payload(token)
        role = ROLES.get(payload.get("role", ""))
        if role is None or payload.get("room") != room:
            raise _bad()
        if "exp" in payload and now >= payload["exp"]:
            raise Refused(403, "bad-token", "This invitation has expired: ask for a new one.")
        return role

    def _payload(self, token: str) -> dict[str, Any]:
        """What a token says, if it is ours."""
        text, _, signature = token.partition(".")
        # Compared as bytes: text with other than ASCII characters would raise.
        told, ours = signature.encode(errors="replace"), _encoded(self._signature(text))
        if len(token) > MAX_TOKEN_CHARACTERS or not hmac.compare_digest(told, ours.encode()):
            raise _bad()
        try:
            payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
        except (ValueError, binascii.Error):  # signed by the secret, but no invitation
            raise _bad() from None
        return payload

    def _signature(self, text: str) -> bytes:
        return hmac.digest(self._secret, text.encode(errors="replace"), hashlib.sha256)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bad() -> Refused:
    return Refused(403, "bad-token", "This invitation is not valid for this room.")


def load_secret(state_dir: Path | None) -> bytes:
    """The secret in this directory, made if there is none; without a directory, one for now.

    Raises ConfigurationError where it cannot be read or written, or is no secret.
    """
    if state_dir is None:
        return secrets.token_bytes(SECRET_BYTES)
    path = state_dir / "secret"
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, secrets.token_bytes(SECRET_BYTES))
        secret = path.read_bytes()
    except OSError as exc:
        raise ConfigurationError(f"the secret cannot be kept in state_dir: {exc}") from None
    return _checked(secret, path)


def kept_secret(state_dir: Path) -> bytes:
    """The secret that a server has made in this directory; nothing is made.

    Raises ConfigurationError where there is none, it cannot be read, or is no secret.
    """
    path = state_dir / "secret"
    try:
        return _checked(path.read_bytes(), path)
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(
            f"state_dir {state_dir} has no secret: start the server with that state_dir first, or "
            "look at the spelling"
        ) from None
    except OSError as exc:
        raise ConfigurationError(f"the secret in state_dir cannot be read: {exc}") from None


def _checked(secret: bytes, path: Path) -> bytes:
    if len(secret) < SECRET_BYTES:
        raise ConfigurationError(f"{path} is no secret of a bridge: remove it to get a new one")
    return secret


def write_private(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Write a file that only we may read; one that is there stays, unless it is to be replaced.

    It appears whole or not at all, also where two do so at the same time. Raises OSError.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        elif not path.exists():
            path.hardlink_to(draft)
    except FileExistsError:
        pass  # somebody else was first, and theirs is as good
    finally:
        draft.unlink(missing_ok=True)
