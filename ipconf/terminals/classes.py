"""What a class of terminals tells about itself, and the classes of this package."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError
from ..model import Direction, MediaType
from .base import Terminal
from .files import ClipPlayer, FilePlayback, FileRecorder, PayloadRecorder
from .memory import MediaStreamTerminal
from .pictures import TestPictureTerminal
from .tones import NullTerminal, ToneTerminal

VIDEO = "video"
"""The category of terminals for pictures (MSPI: the superclasses of pluggable terminals)."""
STREAMING = "streaming"
"""The category of terminals whose media come from, or go to, code."""
FILE = "file"
"""The category of terminals for files."""


@dataclass(frozen=True, slots=True)
class TerminalClass:
    """A kind of terminal that can be made on demand (MSPI: ITPluggableTerminalClassInfo)."""

    name: str
    media_types: frozenset[MediaType]
    directions: frozenset[Direction]
    make: Callable[..., Terminal]
    """Called as `make(media_type, direction, **options)` with a medium and direction from above."""
    superclass: str = STREAMING
    """Its category: "video", "streaming", "file" or one of your own."""
    company: str = ""
    """Who made it."""
    version: str = ""

    def __post_init__(self) -> None:
        if not (self.name and self.media_types and self.directions):
            raise ConfigurationError(
                f"terminal class {self.name!r}: give a name, at least one medium and a direction"
            )


def _fixed(make: Callable[..., Terminal]) -> Callable[..., Terminal]:
    """For classes with one medium and direction, which their constructors do not ask for."""
    return lambda media_type, direction, **options: make(**options)


def _sink(media_type: MediaType, direction: Direction, **options: Any) -> Terminal:
    return NullTerminal(media_type, **options)


_SOUND = frozenset({MediaType.AUDIO})
_PICTURES = frozenset({MediaType.VIDEO})
_TRACKS = frozenset({MediaType.MULTITRACK})
_CAPTURE = frozenset({Direction.CAPTURE})
_RENDER = frozenset({Direction.RENDER})

BUILT_IN = (
    TerminalClass(
        MediaStreamTerminal.terminal_class,
        _SOUND | _PICTURES,
        _CAPTURE | _RENDER,
        MediaStreamTerminal,
    ),
    TerminalClass(NullTerminal.terminal_class, _SOUND | _PICTURES, _RENDER, _sink),
    TerminalClass(ToneTerminal.terminal_class, _SOUND, _CAPTURE, _fixed(ToneTerminal)),
    TerminalClass(
        TestPictureTerminal.terminal_class, _PICTURES, _CAPTURE, _fixed(TestPictureTerminal), VIDEO
    ),
    TerminalClass(ClipPlayer.terminal_class, _SOUND, _CAPTURE, _fixed(ClipPlayer), FILE),
    TerminalClass(FilePlayback.terminal_class, _TRACKS, _CAPTURE, _fixed(FilePlayback), FILE),
    TerminalClass(FileRecorder.terminal_class, _TRACKS, _RENDER, _fixed(FileRecorder), FILE),
    TerminalClass(PayloadRecorder.terminal_class, _TRACKS, _RENDER, _fixed(PayloadRecorder), FILE),
)
"""The classes that every registry starts with."""
