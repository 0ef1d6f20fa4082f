"""One person that a mixer tells of: packets that are made once for all (RFC 3550 section 7)."""

from __future__ import annotations

from collections.abc import Hashable

from .rtcp_wire import describe_source
from .sdes import CNAME_KEY, NAME_EVERY, NAME_KEY, ItemKey, is_rare, pack

MAX_CHUNK_OCTETS = 560
"""Largest description of one person: a CNAME and another item of any length."""
MAX_TAKEN_BACK = 16
"""Items of one person that were taken back and are still said to be empty."""
LEFT = -1
"""Position of news that is none any more: its person has left."""
_CHUNK_FRAME_OCTETS = 8  # SSRC, terminator with padding


class ForwardedPerson:
    """One person: their SDES items, packed once for all sessions."""

    __slots__ = (
        "csrc",
        "leg",
        "news_at",
        "serial",
        "_in_full",
        "_rare",
        "_taken_back",
        "_texts",
        "_turns",
    )

    def __init__(self, csrc: int, leg: Hashable, serial: int) -> None:
        self.csrc = csrc
        self.leg = leg
        """Where they are: nobody there is told of them."""
        self.serial = serial
        """Rises with each who joins."""
        self.news_at = 0
        """Position of the latest news about them, or `LEFT`."""
        self._texts: dict[ItemKey, str] = {}
        self._taken_back: dict[ItemKey, str] = {}
        self._rare: list[ItemKey] = []
        self._in_full = b""
        self._turns: dict[int, bytes] = {}

    def change(self, texts: dict[ItemKey, str]) -> bool:
        """Say these items from now on, those that changed first; whether any did."""
        old = self._texts
        changed = [key for key in {**old, **texts} if old.get(key) != texts.get(key)]
        if not changed:
            return False
        for key in changed:
            self._taken_back.pop(key, None)
            if key not in texts:
                self._taken_back[key] = ""
        for key in list(self._taken_back)[:-MAX_TAKEN_BACK]:
            del self._taken_back[key]
        first = [key for key in changed if key in texts]
        self._texts = {CNAME_KEY: texts[CNAME_KEY], **{key: texts[key] for key in first}, **texts}
        self._rare = [key for key in (*self._texts, *self._taken_back) if is_rare(key)]
        self._in_full = b""
        self._turns.clear()
        return True

    def in_full(self) -> bytes:
        """An SDES packet with all items that fit, the latest first."""
        if not self._in_full:
            self._in_full = self._packet([CNAME_KEY, *self._taken_back, *self._texts])
        return self._in_full

    def in_turn(self, turn: int) -> bytes:
        """The SDES packet of the `turn`-th report: CNAME, and NAME or a rare item (6.3.9)."""
        rare = self._rare
        turn %= NAME_EVERY * max(len(rare), 1)
        packet = self._turns.get(turn)
        if packet is None:
            named = turn % NAME_EVERY == 0 or not rare
            packet = self._packet([CNAME_KEY, NAME_KEY if named else rare[turn // NAME_EVERY]])
            self._turns[turn] = packet
        return packet

    def _packet(self, keys: list[ItemKey]) -> bytes:
        room = MAX_CHUNK_OCTETS - _CHUNK_FRAME_OCTETS
        items = b""
        for key in dict.fromkeys(keys):
            text = self._texts.get(key)
            if text is None and key not in self._taken_back:
                continue  # they have no NAME
            item = pack(key, text or "")
            if len(items) + len(item) <= room:
                items += item
        return describe_source(self.csrc, items)
