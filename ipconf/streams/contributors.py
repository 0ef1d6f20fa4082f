"""Whose pictures a mixer sends under an SSRC of its own (RFC 7667 section 3.6.2).

Such a mixer has a few sources, and shows on each whoever is to be seen: it names them as the
contributing source of each packet (RFC 3550 section 5.1). A source that has never named one shows
its own pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..engine.reception import RemoteSource
from ..engine.rtp_wire import RtpPacket
from ..model import MediaType

CHANGE_SPACING_S = 0.1
"""One source shows somebody else no more often, whatever its packets say."""


class Contributors:
    """Who is shown on sources that have named somebody."""

    def __init__(self) -> None:
        self._shown: dict[RemoteSource, RemoteSource | None] = {}
        self._named: dict[RemoteSource, tuple[int, ...]] = {}  # what was looked up already
        self._changed_at: dict[RemoteSource, float] = {}

    def of(self, source: RemoteSource | None) -> RemoteSource | None:
        """Whose pictures a source shows: its own, a contributing source's, or nobody's."""
        return self._shown.get(source, source) if source is not None else None

    def names(self, packet: RtpPacket) -> bool:
        """Whether a packet says something else than those before: the question for each one."""
        named = packet.csrcs
        if not named and not self._shown:
            return False
        return named != self._named.get(packet.source, ())  # type: ignore[arg-type]

    def note(self, packet: RtpPacket, members: Mapping[int, RemoteSource], now: float) -> bool:
        """Take over what such a packet says; whether somebody else is shown from now on.

        `members` are the sources of the session. A source's packets that are late, or come as a
        retransmission, say nothing of now; only its very first, of which a session gives several at
        once, are believed in any case.
        """
        source = packet.source
        assert source is not None  # the session has filled it in
        if packet.extended != source.highest and source in self._shown:
            return False
        shown = members.get(packet.csrcs[0]) if packet.csrcs else None
        before = self.of(source)
        if shown is not before:
            if now < self._changed_at.get(source, -math.inf) + CHANGE_SPACING_S:
                return False
            self._changed_at[source] = now
        if shown is not None or not packet.csrcs:  # else it is not let in yet: look again
            self._named[source] = packet.csrcs
        self._shown[source] = shown
        if shown is not None and shown.medium is None and shown.contributing:
            shown.medium = MediaType.VIDEO
        return shown is not before

    def forget(self, gone: RemoteSource) -> list[RemoteSource]:
        """A source is no more; the sources that have shown its pictures show nobody's now."""
        self._shown.pop(gone, None)
        self._named.pop(gone, None)
        self._changed_at.pop(gone, None)
        left = [source for source, shown in self._shown.items() if shown is gone]
        for source in left:
            self._shown[source] = None
            self._named.pop(source, None)
        return left
