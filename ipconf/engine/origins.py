"""The addresses that the members of a session send from."""

from __future__ import annotations

from collections.abc import Hashable

from .reception import Origin, RemoteSource


class Origins:
    """Answers at once who sends from an address, however many members there are."""

    __slots__ = ("_media_beside", "_uses")

    def __init__(self) -> None:
        self._uses: dict[Hashable, int] = {}
        self._media_beside: dict[Hashable, dict[Hashable, int]] = {}
        """Where the media come from of those whose RTCP comes from an address, and of how many."""

    def __contains__(self, origin: Hashable) -> bool:
        return origin in self._uses

    def set_rtp(self, source: RemoteSource, origin: Hashable) -> None:
        """From now on the source's RTP comes from there."""
        if source.rtp_origin != origin:
            self._part(source)
            self._leave(source.rtp_origin)
            source.rtp_origin = origin
            self._uses[origin] = self._uses.get(origin, 0) + 1
            self._pair(source)

    def set_rtcp(self, source: RemoteSource, origin: Hashable) -> None:
        """The same of its RTCP."""
        if source.rtcp_origin != origin:
            self._part(source)
            self._leave(source.rtcp_origin)
            source.rtcp_origin = origin
            self._uses[origin] = self._uses.get(origin, 0) + 1
            self._pair(source)

    def forget(self, source: RemoteSource) -> None:
        """The source is gone."""
        self._part(source)
        self._leave(source.rtp_origin)
        self._leave(source.rtcp_origin)

    def is_somebody_elses(self, rtcp_origin: Hashable, source: RemoteSource) -> bool:
        """Whether RTCP comes from there of somebody whose media comes from elsewhere than the
        source's; False before that sent any.
        """
        beside = self._media_beside.get(rtcp_origin)
        if not beside or source.rtp_origin is Origin.UNKNOWN:
            return False
        return len(beside) > 1 or source.rtp_origin not in beside

    def _pair(self, source: RemoteSource) -> None:
        if Origin.UNKNOWN not in (source.rtp_origin, source.rtcp_origin):
            beside = self._media_beside.setdefault(source.rtcp_origin, {})
            beside[source.rtp_origin] = beside.get(source.rtp_origin, 0) + 1

    def _part(self, source: RemoteSource) -> None:
        if Origin.UNKNOWN in (source.rtp_origin, source.rtcp_origin):
            return
        beside = self._media_beside[source.rtcp_origin]
        beside[source.rtp_origin] -= 1
        if not beside[source.rtp_origin]:
            del beside[source.rtp_origin]
            if not beside:
                del self._media_beside[source.rtcp_origin]

    def _leave(self, origin: Hashable) -> None:
        if origin is Origin.UNKNOWN:
            return
        uses = self._uses.pop(origin) - 1
        if uses:
            self._uses[origin] = uses
