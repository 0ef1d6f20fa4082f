"""Which terminals a provider has and which it can make (MSPI: ITTerminalSupport)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from ..errors import (
    ConfigurationError,
    InvalidDirectionError,
    InvalidMediaTypeError,
    InvalidTerminalClassError,
)
from ..model import Direction, MediaType
from .base import Terminal
from .files import ClipPlayer
from .memory import MediaStreamTerminal
from .pictures import TestPictureTerminal
from .tones import NullTerminal, ToneTerminal


@dataclass(frozen=True, slots=True)
class TerminalClass:
    """A kind of terminal that can be made on demand."""

    name: str
    media_types: frozenset[MediaType]
    directions: frozenset[Direction]
    make: Callable[..., Terminal]
    """Called as `make(media_type, direction, **options)` with a medium and direction from above."""


def _fixed(make: Callable[..., Terminal]) -> Callable[..., Terminal]:
    """For classes with one medium and direction, which their constructors do not ask for."""
    return lambda media_type, direction, **options: make(**options)


def _sink(media_type: MediaType, direction: Direction, **options: Any) -> Terminal:
    return NullTerminal(media_type, **options)


_AUDIO = frozenset({MediaType.AUDIO})
_VIDEO = frozenset({MediaType.VIDEO})
_CAPTURE = frozenset({Direction.CAPTURE})
_RENDER = frozenset({Direction.RENDER})

BUILT_IN = (
    TerminalClass(
        MediaStreamTerminal.terminal_class,
        _AUDIO | _VIDEO,
        _CAPTURE | _RENDER,
        MediaStreamTerminal,
    ),
    TerminalClass(NullTerminal.terminal_class, _AUDIO | _VIDEO, _RENDER, _sink),
    TerminalClass(ToneTerminal.terminal_class, _AUDIO, _CAPTURE, _fixed(ToneTerminal)),
    TerminalClass(
        TestPictureTerminal.terminal_class, _VIDEO, _CAPTURE, _fixed(TestPictureTerminal)
    ),
    TerminalClass(ClipPlayer.terminal_class, _AUDIO, _CAPTURE, _fixed(ClipPlayer)),
)
"""The classes that every registry starts with."""


class TerminalRegistry:
    """The terminals of one provider: what is there for good, and classes to make others from."""

    def __init__(self, static: Iterable[Terminal] = ()) -> None:
        self._static = tuple(static)
        if len(set(self._static)) < len(self._static):
            raise ConfigurationError("a static terminal is listed twice: list each one once")
        self._classes = {each.name: each for each in BUILT_IN}
        self._created: WeakSet[Terminal] = WeakSet()

    @property
    def static(self) -> tuple[Terminal, ...]:
        """The devices of this machine that the provider was given, in order of preference."""
        return self._static

    def classes(self, media_type: MediaType | None = None) -> tuple[str, ...]:
        """Names for `create`, of one medium or of all."""
        return tuple(
            each.name
            for each in self._classes.values()
            if media_type is None or media_type in each.media_types
        )

    def register(self, terminal_class: TerminalClass) -> None:
        """Offer another class; ConfigurationError when the name is taken."""
        if terminal_class.name in self._classes:
            raise ConfigurationError(
                f"a terminal class {terminal_class.name!r} exists already: choose another name"
            )
        self._classes[terminal_class.name] = terminal_class

    def create(
        self, terminal_class: str, media_type: MediaType, direction: Direction, **options: Any
    ) -> Terminal:
        """A new terminal; `options` are the keyword arguments of the class.

        Raises InvalidTerminalClassError, InvalidMediaTypeError or InvalidDirectionError with the
        choices there are.
        """
        found = self._classes.get(terminal_class)
        if found is None:
            raise InvalidTerminalClassError(
                f"no terminal class {terminal_class!r}: there are {', '.join(self._classes)}"
            )
        if media_type not in found.media_types:
            raise InvalidMediaTypeError(
                f"{terminal_class!r} terminals carry {_names(found.media_types)}, not {media_type}"
            )
        if direction not in found.directions:
            raise InvalidDirectionError(
                f"{terminal_class!r} terminals are for {_names(found.directions)}, not {direction}"
            )
        terminal = found.make(media_type, direction, **options)
        self._created.add(terminal)
        return terminal

    def default_static(self, media_type: MediaType, direction: Direction) -> Terminal | None:
        """The preferred device of that kind, or None; a bidirectional one serves both ways."""
        for terminal in self._static:
            if terminal.media_type is media_type and terminal.direction in (
                direction,
                Direction.BIDIRECTIONAL,
            ):
                return terminal
        return None

    async def close(self) -> None:
        """Close the static terminals and all that `create` made; wait until they are."""
        terminals = (*self._static, *self._created)
        for terminal in terminals:
            terminal.close()
        for terminal in terminals:
            await terminal.wait_closed()


def _names(values: Iterable[MediaType] | Iterable[Direction]) -> str:
    return " and ".join(sorted(value.value for value in values))
