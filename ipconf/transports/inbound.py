"""SRTP of any number of sources under one key of the far end's, or of a group.

libsrtp looks through the sources of a session one by one, and through all of them for what is made
up. So there are many sessions here: sources whose SSRC ends alike have the same one.
"""

from __future__ import annotations

from math import inf

from ..sdp.keys import Crypto
from .srtp import Srtp, keyed

MAX_SOURCES = 20_480
"""Sources that libsrtp keeps state of, each a few hundred bytes. If newcomers find no room, those
are forgotten that were silent longest; should they come back, they are newcomers as well."""
FORGOTTEN_AT_ONCE = 16
"""One in so many of them, so that they are looked through rarely."""


class Source:
    """When RTP and RTCP of somebody verified last."""

    __slots__ = ("media", "reports")

    def __init__(self) -> None:
        self.media = self.reports = -inf

    @property
    def latest(self) -> float:
        """When either did."""
        return max(self.media, self.reports)


class Inbound:
    """Opens what was sealed with one key."""

    __slots__ = ("crypto", "forged", "sources", "_sessions")

    def __init__(self, crypto: Crypto) -> None:
        self.crypto = crypto
        self.forged = False
        """Whether what was not opened last did not verify; else it came before, or is too old."""
        self.sources: dict[bytes, Source] = {}
        """Who has verified, by packed SSRC."""
        self._sessions: dict[int, Srtp] = {}  # by the last octet of the SSRC

    def open(self, data: bytes, ssrc: bytes, rtcp: bool, now: float) -> bytes | None:
        """What is in a datagram; None if it does not verify, or came before."""
        session = self._sessions.get(ssrc[3])
        if session is None:
            session = self._sessions[ssrc[3]] = keyed(self.crypto, outbound=False)
        plain = session.unprotect(data)
        if plain is None:
            self.forged = session.forged
            return None
        source = self.sources.get(ssrc)
        if source is None:
            if len(self.sources) >= MAX_SOURCES:
                self._forget_silent()
            source = self.sources[ssrc] = Source()
        if rtcp:
            source.reports = now
        else:
            source.media = now
        return plain

    def _forget_silent(self) -> None:
        sources = self.sources
        by_silence = sorted(sources, key=lambda ssrc: sources[ssrc].latest)
        for ssrc in by_silence[: 1 + MAX_SOURCES // FORGOTTEN_AT_ONCE]:
            self._sessions[ssrc[3]].forget(ssrc)
            del sources[ssrc]


class LineMemory:
    """What opens the lines of a call, over its negotiations.

    A far end that keeps its key goes on counting how often its numbers wrap (RFC 4568 section
    7.1.4); no packet says it, so who begins anew does not understand it any more.
    """

    def __init__(self) -> None:
        self._lines: dict[int, Inbound] = {}

    def of(self, index: int, crypto: Crypto) -> Inbound:
        """For the m-line `index`, now that its far end has that key: that of before if it had."""
        known = self._lines.get(index)
        if known is None or (known.crypto.suite, known.crypto.key) != (crypto.suite, crypto.key):
            known = self._lines[index] = Inbound(crypto)
        return known
