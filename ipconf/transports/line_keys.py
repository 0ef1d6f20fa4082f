"""Keys of SRTP in offers and answers (RFC 4568), line by line. Sans-IO.

What a description tells is the key of what its writer sends. aiortc's grammar passes over a=crypto,
so it is read from the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiortc.sdp import grouplines

from ..sdp.keys import Crypto, first_usable, new_crypto, read_crypto
from .srtp import suites

MAX_CRYPTO_LINES = 16
"""Of one m-line; more are not looked at."""
_CRYPTO = "a=crypto:"

LineKey = Callable[[int, str], tuple[Crypto | None, str | None]]
"""The far end's key of an m-line, by index and profile; else why the line cannot be used, if so."""


def cryptos_of(text: str) -> list[list[str]]:
    """The values of a=crypto of each m-line of a description that was read."""
    _, lines = grouplines(text)
    return [
        [line.removeprefix(_CRYPTO) for line in section if line.startswith(_CRYPTO)][
            :MAX_CRYPTO_LINES
        ]
        for section in lines
    ]


def is_secure(profile: str) -> bool:
    """Whether the profile of a line wants keys (RFC 4568 section 7)."""
    return "SAVP" in profile


def keys_of_offer(lines: Sequence[Sequence[str]], *, required: bool) -> LineKey:
    """Of each line the first key that we can use; without any, RTP/AVP is as plain as it says,
    unless a key is `required`.
    """

    def find(index: int, profile: str) -> tuple[Crypto | None, str | None]:
        crypto, reason = first_usable(lines[index], suites())
        if crypto is not None or not (required or is_secure(profile)):
            return crypto, None
        if is_secure(profile):
            return None, f"the profile is {profile}, and {reason or 'no a=crypto tells the key'}"
        return None, f"this call encrypts, and {reason or 'there is no a=crypto'}"

    return find


def keys_of_answer(lines: Sequence[Sequence[str]], offered: Sequence[Sequence[Crypto]]) -> LineKey:
    """Of each line the key with which it takes up one that we have offered there, if we have.

    It must be another than ours (RFC 4568 section 7.1.2): packets of both directions would be
    encrypted alike where they have an SSRC and number in common.
    """
    ours = {crypto.key for line in offered for crypto in line}

    def find(index: int, profile: str) -> tuple[Crypto | None, str | None]:
        if not offered[index]:
            problem = f"it answers with {profile}, and no key was offered"
            return None, problem if is_secure(profile) else None
        for value in lines[index]:
            try:
                crypto = read_crypto(value)
            except ValueError as exc:
                return None, f"its answer cannot be used: {exc}"
            if crypto.key in ours:
                return None, "it answers with our own key; each end must have its own (RFC 4568)"
            if any((o.tag, o.suite) == (crypto.tag, crypto.suite) for o in offered[index]):
                return crypto, None
        return None, "it answers without a key (a=crypto) of those kinds that were offered"

    return find


def fresh_for_offer() -> tuple[Crypto, ...]:
    """Keys of our own, one for each suite that we have, best first."""
    return tuple(new_crypto(suite, tag) for tag, suite in enumerate(suites(), start=1))
