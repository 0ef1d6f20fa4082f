"""Ourselves, as the others see us: the items that we announce (RFC 3550 section 6.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ..errors import NoItemError, NotSupportedError
from ..model import IDENTITY_FIELDS, Identity, SdesType, check_sdes_type


class LocalParticipant:
    """Ourselves, as the others see us (MSPI: ITLocalParticipant).

    `changed` is called after every real change, to have the new items announced.
    """

    def __init__(
        self, identity: Identity, changed: Callable[[LocalParticipant], None] | None = None
    ) -> None:
        self._identity = identity
        self._changed = changed

    def __repr__(self) -> str:
        return f"<LocalParticipant {self.identity!r} {self.name!r}>"

    @property
    def identity(self) -> str:
        """Our CNAME."""
        return self._identity.cname

    @property
    def name(self) -> str:
        """Our display name; the CNAME where none is set."""
        return self._identity.name or self._identity.cname

    @property
    def items(self) -> dict[SdesType, str]:
        """What we announce, by type, without PRIV."""
        return self._identity.items()

    @property
    def private(self) -> Mapping[str, str]:
        """The PRIV items we announce, text by prefix."""
        return MappingProxyType(self._identity.private)

    def info(self, kind: SdesType) -> str:
        """One item that we announce; `NoItemError` where none is set."""
        check_sdes_type(kind)
        text = self.items.get(kind)
        if text is None:
            hint = "; PRIV items are in `private`" if kind is SdesType.PRIV else ""
            raise NoItemError(f"we announce no {kind.name}{hint}")
        return text

    def set(self, kind: SdesType, text: str) -> None:
        """Announce another text, at most 255 bytes of UTF-8 (`ConfigurationError`); "" for none.

        `NotSupportedError` for the CNAME, which is what makes our sources one person, and for
        PRIV, which `set_private` sets.
        """
        check_sdes_type(kind)
        if kind is SdesType.CNAME:
            raise NotSupportedError("a CNAME holds for a provider's life: set it in its settings")
        if kind is SdesType.PRIV:
            raise NotSupportedError("a PRIV item needs a prefix: use set_private()")
        self._replace(self._identity.replace(**{IDENTITY_FIELDS[kind]: text}))

    def set_private(self, prefix: str, text: str | None) -> None:
        """Announce a PRIV item (RFC 3550 section 6.5.8), or with None no longer."""
        items = {**self._identity.private, prefix: text}
        kept = {prefix: text for prefix, text in items.items() if text is not None}
        self._replace(self._identity.replace(private=kept))

    def _replace(self, identity: Identity) -> None:
        if identity == self._identity:
            return
        self._identity = identity
        if self._changed is not None:
            self._changed(self)
