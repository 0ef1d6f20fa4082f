"""Local legs: terminals of this machine take part in a conference, without a network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..codecs.concealment import Concealer
from ..engine.speakers import SILENT_LEVEL, level_of
from ..errors import InvalidTerminalError, MediaError
from ..events import TerminalEvent
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ, Direction, MediaType
from ..terminals.base import CaptureTerminal, RenderTerminal, Samples, Terminal
from ..terminals.convert import with_channels
from ..terminals.faults import as_error, give_back, take
from ..ticker import FAULTS
from .legs import Leg
from .people import Role
from .voices import Voice

if TYPE_CHECKING:
    from ..conference import Conference


Failed = Callable[[Terminal, Exception], None]


class LocalVoice(Voice):
    """What a terminal on this machine says."""

    def __init__(self, leg: Leg, terminal: CaptureTerminal, failed: Failed) -> None:
        super().__init__(leg)
        self.awake = True
        self._terminal = terminal
        self._failed = failed
        self._latest: deque[Samples] = deque(maxlen=2)
        self._ended = False

    @property
    def tells_no_level(self) -> bool:
        return True

    def wake(self, now: float) -> None:
        """It always is."""

    def sleep(self) -> None:
        """It never does."""

    def end(self) -> None:
        self._ended = True

    def _next(self, now: float) -> Samples | None:
        if self._ended:
            return self._continued()
        try:
            samples = self._terminal.capture(now)
        except FAULTS as exc:  # a terminal is anybody's code; its fault stays its own
            self._failed(self._terminal, as_error(self._terminal, exc))
            samples = None
        if not isinstance(samples, np.ndarray):
            self.level = SILENT_LEVEL
            self._latest.clear()
            return None
        self.level = level_of(samples)
        self._latest.append(samples)
        return samples

    def _continued(self) -> Samples | None:
        """What the terminal might have said next, now that it is somebody else's."""
        if not self._latest:
            return None
        concealer = Concealer(AUDIO_RATE_HZ, self._latest[-1].shape[1])
        for samples in self._latest:
            concealer.received(with_channels(samples, self._latest[-1].shape[1]))
        self._latest.clear()
        return concealer.conceal(AUDIO_FRAME_SAMPLES)


class LocalLeg(Leg):
    """A leg without network: terminals of this machine take part in the conference.

    What is selected on it speaks, by `CaptureTerminal.read`, or hears what all others say, by
    `RenderTerminal.write`: a `MediaStreamTerminal` for a program's numpy arrays, a clip or a file
    to be played to all, a recorder.
    """

    def __init__(self, conference: Conference, identity: str, name: str, role: Role) -> None:
        super().__init__(conference, identity, name, role)
        self._ears: list[RenderTerminal] = []

    @property
    def owner(self) -> object:
        """The leg itself (terminals.base.TerminalHost)."""
        return self

    @property
    def hears(self) -> bool:
        return bool(self._ears)

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """What is selected on it."""
        mouths = [t for t in self.voices if isinstance(t, Terminal)]
        return tuple(dict.fromkeys([*mouths, *self._ears]))

    def select_terminal(self, terminal: Terminal) -> None:
        """Let a terminal for sound take part, to speak, to hear, or both.

        InvalidTerminalError for others, TerminalInUseError if somebody else has it, and MediaError
        if its device cannot be opened.
        """
        audio = isinstance(terminal, Terminal) and terminal.media_type is MediaType.AUDIO
        if not audio or not isinstance(terminal, CaptureTerminal | RenderTerminal):
            raise InvalidTerminalError(
                f"{getattr(terminal, 'identity', terminal)!r} is no terminal for sound that reads "
                "or writes; give one, or of a file with tracks the one for audio"
            )
        if terminal in self.terminals:
            raise InvalidTerminalError(f"{terminal.identity} is already on {self.identity}")
        error = take(terminal, self)
        if error is not None:
            raise MediaError(f"{terminal.identity} cannot be opened: {error}") from error
        if isinstance(terminal, RenderTerminal) and terminal.direction is not Direction.CAPTURE:
            self._ears.append(terminal)
        if isinstance(terminal, CaptureTerminal) and terminal.direction is not Direction.RENDER:
            voice = self.voices[terminal] = LocalVoice(self, terminal, self.terminal_failed)
            voice.attendee = self.attendees[0] if self.attendees else None

    def unselect_terminal(self, terminal: Terminal) -> None:
        """Take a terminal off; InvalidTerminalError if it is not on.

        One that fails meanwhile is taken off all the same; LegFailed tells it.
        """
        if terminal not in self.terminals:
            raise InvalidTerminalError(f"{terminal.identity} is not selected on {self.identity}")
        if terminal in self._ears:
            self._ears.remove(terminal)
        voice = self.voices.pop(terminal, None)
        if voice is not None:
            self.conference.bridge.forget(voice)
        error = give_back(terminal, self)
        if error is not None:
            self.conference.terminal_failed(self, terminal, error)

    def hear(self, samples: Samples, at: float) -> None:
        """Give 20 ms to all terminals that hear, due at `at`."""
        samples.flags.writeable = False  # several may keep it
        for ear in tuple(self._ears):
            try:
                ear.render(self, samples, at)
            except FAULTS as exc:  # a terminal is anybody's code
                self.terminal_failed(ear, as_error(ear, exc))

    def terminal_failed(self, terminal: Terminal, error: Exception) -> None:
        """A terminal does not work: it is taken off, and told (terminals.base.TerminalHost)."""
        if terminal in self.terminals:
            self.unselect_terminal(terminal)
            self.conference.terminal_failed(self, terminal, error)

    def terminal_event(self, kind: type[TerminalEvent], **fields: Any) -> None:
        """A terminal tells something (terminals.base.TerminalHost)."""
        self.conference.terminal_event(self, kind, **fields)

    def detach(self) -> None:
        """Give the terminals back."""
        for terminal in self.terminals:
            self.unselect_terminal(terminal)
