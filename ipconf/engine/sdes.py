"""Which SDES items go into the next report (RFC 3550 sections 6.3.9 and 6.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..errors import ConfigurationError
from ..model import MAX_SDES_BYTES, SdesType
from .rtcp_wire import SdesItem, pack_item

NAME_EVERY = 2
"""NAME goes into every second report; the others share what is between (RFC 3550 6.3.9)."""
CHANGE_REPEATS = 2
"""Reports that carry an item that is new or changed, before it joins the rotation."""
_ITEM_HEADER_OCTETS = 2

ItemKey = tuple[SdesType, str]
"""An item by its kind and, for PRIV, its prefix."""
CNAME_KEY: ItemKey = (SdesType.CNAME, "")
NAME_KEY: ItemKey = (SdesType.NAME, "")


def checked_texts(items: Mapping[SdesType, str], private: Mapping[str, str]) -> dict[ItemKey, str]:
    """The items of one person that say something, in one table.

    `ConfigurationError` without a CNAME, or when a text is too long for an SDES item.
    """
    texts: dict[ItemKey, str] = {(kind, ""): text for kind, text in items.items() if text}
    texts.update({(SdesType.PRIV, p): text for p, text in private.items() if text})
    if CNAME_KEY not in texts:
        raise ConfigurationError("an identity needs a CNAME; generate one (RFC 7022)")
    for (kind, prefix), text in texts.items():
        if item_octets(kind, prefix, text) > MAX_SDES_BYTES + _ITEM_HEADER_OCTETS:
            raise ConfigurationError(
                f"the {kind.name} item {text[:20]!r}... is too long; "
                f"all of it must fit {MAX_SDES_BYTES} bytes of UTF-8"
            )
    return texts


def is_rare(key: ItemKey) -> bool:
    """Whether an item has to share its turns with others (RFC 3550 section 6.3.9)."""
    return key[0] not in (SdesType.CNAME, SdesType.NAME)


class SdesSchedule:
    """The items of one person, packed once, and when each is said next.

    CNAME goes into every report.
    """

    def __init__(self, items: Mapping[SdesType, str], private: Mapping[str, str]) -> None:
        self._texts: dict[ItemKey, str] = {}
        self._packed: dict[ItemKey, bytes] = {}
        self._urgent: dict[ItemKey, int] = {}
        self._rotation: list[ItemKey] = []
        self._reports = 0
        self._turn = 0
        self.change(items, private)

    @property
    def cname(self) -> str:
        """The canonical name."""
        return self._texts[CNAME_KEY]

    @property
    def packed_cname(self) -> bytes:
        """It as an item."""
        return self._packed[CNAME_KEY]

    def change(self, items: Mapping[SdesType, str], private: Mapping[str, str]) -> bool:
        """Say these items from now on; whether anything is new. New ones go first.

        An item that is no longer there is said to be empty. `ConfigurationError` without a CNAME,
        or when a text is too long for an SDES item.
        """
        texts = checked_texts(items, private)
        old = {key: text for key, text in self._texts.items() if text}
        changed = [key for key in {**old, **texts} if old.get(key) != texts.get(key)]
        self._texts = {**dict.fromkeys((k for k in changed if k not in texts), ""), **texts}
        self._packed = {key: pack(key, text) for key, text in self._texts.items()}
        for key in changed:
            self._urgent[key] = CHANGE_REPEATS
        self._rotation = [k for k in texts if is_rare(k)]
        return bool(changed)

    def next_items(self, room_octets: int) -> bytes:
        """The items of the next report, packed: CNAME, what changed, then whose turn it is.

        CNAME is there whatever it takes; others as far as they fit `room_octets`.
        """
        packed = self._packed
        room = room_octets - len(packed[CNAME_KEY])
        chosen = {CNAME_KEY: packed[CNAME_KEY]}
        for key in list(self._urgent):
            item = packed.get(key) or pack(key, "")
            room_after = room if key in chosen else room - len(item)
            if room_after < 0:
                continue
            room = room_after
            chosen[key] = item
            self._urgent[key] -= 1
            if not self._urgent[key]:
                del self._urgent[key]
        for key in self._due():
            if len(packed[key]) <= room:
                chosen[key] = packed[key]
        return b"".join(chosen.values())

    def _due(self) -> Iterator[ItemKey]:
        self._reports += 1
        if self._reports % NAME_EVERY == 0:
            if NAME_KEY in self._texts:
                yield NAME_KEY
        elif self._rotation:
            yield self._rotation[self._turn % len(self._rotation)]
            self._turn += 1


def pack(key: ItemKey, text: str) -> bytes:
    """An item as it stands in a chunk."""
    return pack_item(SdesItem(int(key[0]), text, key[1]))


def item_octets(kind: SdesType, prefix: str, text: str) -> int:
    """What an item takes in a chunk."""
    octets = _ITEM_HEADER_OCTETS + len(text.encode())
    if kind is SdesType.PRIV:
        octets += 1 + len(prefix.encode())
    return octets
