"""Whose sources are that have no CNAME, where all that the far end sends is one person's."""

from __future__ import annotations

from collections.abc import Iterable

from ..model import SdesType
from .outputs import Output, SourceDescribed
from .reception import RemoteSource


class Naming:
    """Gives a source that is known to have no CNAME that of the one person on its transport.

    As long as nobody is named it waits; where several are named, nobody knows whose it is. What is
    given once stays until the source tells a CNAME of its own.
    """

    def __init__(self, one_person: bool, announced: Iterable[str]) -> None:
        """`announced` are the CNAMEs that a description tells."""
        self._cname = ""
        self._clear = one_person
        self._waiting: dict[RemoteSource, None] = {}
        for cname in announced:
            self._learn(cname)

    def named(self, source: RemoteSource, outputs: list[Output]) -> None:
        """That source has told its CNAME; whoever waits for one may have it now."""
        if source.contributing or not self._clear:
            return  # a mixer speaks for others, who are not the one that sends
        self._waiting.pop(source, None)
        self._learn(source.items.get(SdesType.CNAME, ""))
        for other in tuple(self._waiting):
            self.unnamed(other, outputs)

    def unnamed(self, source: RemoteSource, outputs: list[Output]) -> None:
        """That source has no CNAME, and there is a reason not to wait for it."""
        if not self._clear or source.contributing or source.items.get(SdesType.CNAME):
            return
        if self._cname:
            self._waiting.pop(source, None)
            source.items[SdesType.CNAME] = self._cname
            outputs.append(SourceDescribed(source, (SdesType.CNAME,)))
        else:
            self._waiting[source] = None

    def forget(self, source: RemoteSource) -> None:
        """That source is gone."""
        self._waiting.pop(source, None)

    def _learn(self, cname: str) -> None:
        if cname and self._cname and cname != self._cname:
            self._clear = False
            self._waiting.clear()
        self._cname = self._cname or cname
