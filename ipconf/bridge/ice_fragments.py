"""Fragments of SDP in which ICE candidates trickle (RFC 8840, RFC 9725 section 4.3). Sans-IO.

a=ice-ufrag:EsAw                    whose candidates these are
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
m=audio 9 RTP/AVP 0                 a pseudo m-line: only its a=mid counts
a=mid:0
a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host
a=end-of-candidates
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .refusals import Refused

MAX_CANDIDATES = 100
"""Of one fragment; with more it is refused."""
MAX_FRAGMENT_BYTES = 50_000
"""A hundred candidates take some 12 000."""

_LINE = re.compile(r"[a-z]=.*")
_CREDENTIAL = re.compile(r"[A-Za-z0-9+/]{4,256}")
"""Of ufrag and password alike: ice-char (RFC 8839 section 5.4)."""


@dataclass(frozen=True, slots=True)
class IceFragment:
    """What a client tells of its ICE."""

    ufrags: frozenset[str]
    """The user name fragments that it names; none where it leaves them out."""
    candidates: tuple[tuple[str, str | None], ...]
    """Each with its mid, None for all lines; an empty one says that those were all."""


def read_fragment(text: str) -> IceFragment:
    """Read a fragment; Refused (400) says what is wrong with it.

    Attributes that are not about ICE are passed over, as are candidates that make no sense: those
    are for whoever tries them (RFC 9725 section 4.3.2).
    """
    lines = [line for line in text.splitlines() if line.strip()]
    for line in lines:
        if not _LINE.fullmatch(line):
            raise _malformed(f"{line[:80]!r} is no line of SDP")
    ufrags = frozenset(_credentials(lines, "a=ice-ufrag:"))
    passwords = [*_credentials(lines, "a=ice-pwd:")]
    if ufrags and not passwords:
        raise _malformed("a=ice-ufrag stands there without an a=ice-pwd")
    candidates = tuple(_candidates(lines))
    if not ufrags and not candidates:
        raise _malformed("it has neither candidates nor credentials")
    if len(candidates) > MAX_CANDIDATES:
        raise _malformed(f"it has {len(candidates)} candidates; send at most {MAX_CANDIDATES}")
    return IceFragment(ufrags, candidates)


def ufrags_of(sdp: str) -> frozenset[str]:
    """The user name fragments of a description."""
    return frozenset(
        line.removeprefix("a=ice-ufrag:").strip()
        for line in sdp.splitlines()
        if line.startswith("a=ice-ufrag:")
    )


def _credentials(lines: list[str], name: str) -> Iterator[str]:
    for line in lines:
        if line.startswith(name):
            value = line.removeprefix(name).strip()
            if not _CREDENTIAL.fullmatch(value):
                raise _malformed(f"{line[:80]!r} is no ICE credential")
            yield value


def _candidates(lines: list[str]) -> Iterator[tuple[str, str | None]]:
    mids: list[str | None] = [None]  # before the first m-line it is for all
    for line in lines:
        if line.startswith("m="):
            mids.append(None)
        elif line.startswith("a=mid:"):
            mids[-1] = line.removeprefix("a=mid:").strip()
        elif line.startswith("a=candidate:"):
            yield line.removeprefix("a=").strip(), mids[-1]
        elif line.strip() == "a=end-of-candidates":
            yield "", mids[-1]


def _malformed(problem: str) -> Refused:
    return Refused(400, "bad-fragment", f"the fragment cannot be read: {problem}")
