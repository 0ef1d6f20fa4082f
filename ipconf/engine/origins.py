"""The addresses that the members of a session send from."""

from __future__ import annotations

from collections.abc import Hashable

from .reception import Origin, RemoteSource


class Origins:
    """Answers at once whether somebody sends from an address, however many members there are."""

    __slots__ = ("_uses",)

    def __init__(self) -> None:
        self._uses: dict[Hashable, int] = {}

    def __contains__(self, origin: Hashable) -> bool:
        return origin in self._uses

    def set_rtp(self, source: RemoteSource, origin: Hashable) -> None:
        """From now on the source's RTP comes from there."""
        if source.rtp_origin != origin:
            self._leave(source.rtp_origin)
            source.rtp_origin = origin
            self._uses[origin] = self._uses.get(origin, 0) + 1

    def set_rtcp(self, source: RemoteSource, origin: Hashable) -> None:
        """The same of its RTCP."""
        if source.rtcp_origin != origin:
            self._leave(source.rtcp_origin)
            source.rtcp_origin = origin
            self._uses[origin] = self._uses.get(origin, 0) + 1

    def forget(self, source: RemoteSource) -> None:
        """The source is gone."""
        self._leave(source.rtp_origin)
        self._leave(source.rtcp_origin)

    def _leave(self, origin: Hashable) -> None:
        if origin is Origin.UNKNOWN:
            return
        uses = self._uses.pop(origin) - 1
        if uses:
            self._uses[origin] = uses
