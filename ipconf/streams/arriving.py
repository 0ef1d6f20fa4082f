"""The media sections of an arriving stream, each with the transport that it comes over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.reception import RemoteSource
from ..engine.session_config import PayloadFormat

if TYPE_CHECKING:
    from ..calls.channel import Channel
    from ..terminals.packets import PacketSink
    from ..transports.negotiation import Agreed


class ArrivingSections:
    """Found by a source of theirs; one whose section is not known is taken for the first's."""

    def __init__(self) -> None:
        self._by_mid: dict[str | None, tuple[Channel, Agreed]] = {}

    def add(self, channel: Channel, agreed: Agreed) -> None:
        """One more."""
        self._by_mid[agreed.mid] = (channel, agreed)

    def clear(self) -> None:
        """There are none any more."""
        self._by_mid.clear()

    def channel_of(self, source: RemoteSource | None) -> Channel | None:
        """What its packets come over, None when nothing does any more."""
        section = self._of(source)
        return section and section[0]

    def formats_of(self, source: RemoteSource | None) -> tuple[PayloadFormat, ...]:
        """What may come from it."""
        section = self._of(source)
        return section[1].receive if section else ()

    def content_of(self, source: RemoteSource | None) -> str:
        """What the far end says that it shows there (RFC 4796), "" if it does not."""
        section = self._of(source)
        return section[1].content if section else ""

    def tell(self, sink: PacketSink) -> None:
        """Tell a terminal that takes packets of all of them."""
        for _, agreed in self._by_mid.values():
            sink.section(agreed.mid, agreed.receive, agreed.content)

    def _of(self, source: RemoteSource | None) -> tuple[Channel, Agreed] | None:
        first = next(iter(self._by_mid.values()), None)
        return self._by_mid.get(source.mid, first) if source is not None else first
