"""What the others' SDES items say of them (RFC 3550 section 6.5)."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import SDES_CONTROLS, SdesType
from .reception import MAX_PRIVATE_ITEMS, RemoteSource
from .rtcp_wire import SdesItem

_TEXT_ITEMS: dict[int, SdesType] = {int(t): t for t in SdesType if t is not SdesType.PRIV}


def take_items(source: RemoteSource, items: Sequence[SdesItem]) -> tuple[SdesType, ...]:
    """Note what items say of a source; returns which kinds have changed.

    An empty text takes an item back; a CNAME is never empty.
    """
    changed: list[SdesType] = []
    known = source.items
    for item in items:
        text = item.text.translate(SDES_CONTROLS)
        kind = _TEXT_ITEMS.get(item.type)
        if kind is None:
            if item.type == SdesType.PRIV and _take_private(source, item.prefix, text):
                changed.append(SdesType.PRIV)
        elif known.get(kind, "") != text:
            if text:
                known[kind] = text
            elif kind is SdesType.CNAME:
                continue
            else:
                del known[kind]
            changed.append(kind)
    return tuple(dict.fromkeys(changed))


def _take_private(source: RemoteSource, prefix: str, text: str) -> bool:
    private = source.private
    prefix = prefix.translate(SDES_CONTROLS)
    if private.get(prefix, "") == text or (
        prefix not in private and len(private) >= MAX_PRIVATE_ITEMS
    ):
        return False
    source.private = {p: told for p, told in {**private, prefix: text}.items() if told}
    return True
