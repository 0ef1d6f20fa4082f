"""What both halves of a media stream terminal share: their format, and when they have ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

from ..errors import ClosedError, ConfigurationError, InvalidDirectionError
from ..model import Direction, MediaType
from .base import Terminal, TerminalHost
from .queues import AudioFormat

if TYPE_CHECKING:
    from .media_capture import MediaStreamCapture
    from .media_render import MediaStreamRender


class MediaStreamTerminal(Terminal):
    """A terminal whose other end is the application (MSPI: media streaming terminal).

    With `Direction.CAPTURE` you get a `MediaStreamCapture` to write into, with
    `Direction.RENDER` a `MediaStreamRender` to read from.
    """

    terminal_class: ClassVar[str] = "media stream"
    _halves: ClassVar[dict[Direction, type[MediaStreamTerminal]]] = {}

    def __init_subclass__(cls, half: Direction | None = None) -> None:
        """`half`: the direction for which a `MediaStreamTerminal` is made as one of these."""
        if half is not None:
            cls._halves[half] = cls

    @overload
    def __new__(
        cls,
        media_type: MediaType,
        direction: Literal[Direction.CAPTURE],
        *,
        name: str = ...,
        rate_hz: int = ...,
        channels: int = ...,
        block_samples: int | None = ...,
        fps: float = ...,
    ) -> MediaStreamCapture: ...
    @overload
    def __new__(
        cls,
        media_type: MediaType,
        direction: Literal[Direction.RENDER],
        *,
        name: str = ...,
        rate_hz: int = ...,
        channels: int = ...,
        block_samples: int | None = ...,
        arrays: bool = ...,
    ) -> MediaStreamRender: ...
    @overload
    def __new__(
        cls,
        media_type: MediaType,
        direction: Direction,
        *,
        name: str = ...,
        rate_hz: int = ...,
        channels: int = ...,
        block_samples: int | None = ...,
    ) -> MediaStreamTerminal: ...
    def __new__(cls, media_type: MediaType, direction: Direction, **options: Any) -> Any:
        if cls is not MediaStreamTerminal:
            return super().__new__(cls)
        half = cls._halves.get(direction) if isinstance(direction, Direction) else None
        if half is None:
            raise InvalidDirectionError(
                f"a media stream terminal for {direction}: give Direction.CAPTURE or "
                "Direction.RENDER"
            )
        return super().__new__(half)

    _format: AudioFormat
    _changed: asyncio.Event
    """Set when a waiting reader or writer has to look again."""
    _taken_off = False

    @property
    def format(self) -> AudioFormat | None:
        """What the application writes or reads, for good; None for pictures."""
        return self._format if self.media_type is MediaType.AUDIO else None

    def attach(self, host: TerminalHost) -> None:
        """As for every terminal; media can be written or read from now on."""
        super().attach(host)
        self._taken_off = False

    def detach(self, host: TerminalHost) -> None:
        """As for every terminal; who waits for media, or for room, is told that it is over."""
        was_selected = self.in_use
        super().detach(host)
        if was_selected and not self.in_use:
            self._taken_off = True
            self._changed.set()

    def close(self) -> None:
        """No more is sent or arrives; what is queued can still be read."""
        super().close()
        self._changed.set()

    def _check_format(self, rate_hz: int, channels: int, block_samples: int | None) -> AudioFormat:
        if block_samples is not None and self.media_type is not MediaType.AUDIO:
            raise ConfigurationError("pictures have no block_samples; leave it out")
        return AudioFormat(rate_hz, channels, block_samples).check()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"{self.identity} is closed; create a new terminal")
