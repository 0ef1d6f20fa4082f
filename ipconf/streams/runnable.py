"""What streams and substreams have in common: terminals, and start, pause and stop."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from ..errors import (
    ClosedError,
    InvalidTerminalError,
    MaxTerminalsError,
    MediaError,
    NoTerminalSelectedError,
    NotStoppedError,
)
from ..events import TerminalEvent
from ..model import Cause, Direction, MediaType
from ..private_ifaces import InterfaceHost
from ..terminals.base import CaptureTerminal, RenderTerminal, Terminal
from ..terminals.faults import give_back, take
from ..terminals.packets import PacketSink, PacketSource
from ..terminals.payloads import PayloadTerminal

RENDERERS = (RenderTerminal, PayloadTerminal, PacketSink)
CAPTURERS = (CaptureTerminal, PacketSource)
"""What can be selected on streams of either direction."""


class RateMeter:
    """Turns growing counts of octets and frames into rates over the time between samples."""

    __slots__ = ("_at", "_frames", "_octets", "bit_rate_bps", "frame_rate")

    def __init__(self) -> None:
        self.bit_rate_bps = 0.0
        self.frame_rate = 0.0
        self._at: float | None = None
        self._octets = self._frames = 0

    def sample(self, octets: int, frames: int, now: float) -> None:
        """Take the counts as they are at `now`; call it about once a second."""
        if self._at is not None and now > self._at:
            elapsed_s = now - self._at
            self.bit_rate_bps = max(0, octets - self._octets) * 8 / elapsed_s
            self.frame_rate = max(0, frames - self._frames) / elapsed_s
        self._at, self._octets, self._frames = now, octets, frames


class Wish(enum.Enum):
    """What the application last asked of a stream or substream."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"


def check_terminal(terminal: Terminal) -> None:
    """InvalidTerminalError for what is none, such as a class of terminals."""
    if not isinstance(terminal, Terminal):
        raise InvalidTerminalError(
            f"{terminal!r} is no terminal; make one, or request_terminal() gives you one"
        )


class Runnable(InterfaceHost, ABC):
    """The part that streams and substreams share: terminals, and start, pause and stop."""

    media_type: MediaType
    direction: Direction
    identity: str
    max_terminals: int | None = None
    takes_payloads = False
    """Whether media are those of one person, so that terminals may have them undecoded."""

    def __init__(self, offered: Iterable[object] = ()) -> None:
        super().__init__(offered)
        self._terminals: list[Terminal] = []
        self._failed: set[Terminal] = set()
        self._wish = Wish.RUN
        self._closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity!r}>"

    @property
    def terminals(self) -> tuple[Terminal, ...]:
        """The terminals selected here, in the order of their selection (a snapshot)."""
        return tuple(self._terminals)

    def select_terminal(self, terminal: Terminal) -> None:
        """Put a terminal on; media flows by itself as soon as it can (MSPI: SelectTerminal).

        Raises InvalidTerminalError for the wrong medium or direction or a terminal that is on
        already, TerminalInUseError if another stream has it, MaxTerminalsError if there is no room,
        and MediaError if its device cannot be opened, which TerminalFailed tells as well.
        """
        self._take(terminal)
        self._settle(Cause.LOCAL_REQUEST)

    def hand_over(self, terminal: Terminal, to: Runnable) -> None:
        """Move a terminal of ours to another stream or substream, without a gap in between.

        Raises as `select_terminal` of `to` does; then the terminal stays here.
        """
        self._give(terminal)
        try:
            to._take(terminal)
        except Exception:
            self._take(terminal)
            raise
        self._settle(Cause.LOCAL_REQUEST)
        to._settle(Cause.LOCAL_REQUEST)

    def _take(self, terminal: Terminal) -> None:
        self._check_open()
        check_terminal(terminal)
        if terminal.media_type is MediaType.MULTITRACK:
            raise InvalidTerminalError(
                f"{terminal.identity} has tracks; select the one for {self.media_type.value} of "
                f"its `tracks` on {self.identity}"
            )
        renders = self.direction is Direction.RENDER
        wanted = RENDERERS if renders else CAPTURERS
        if terminal.media_type is not self.media_type or not isinstance(terminal, wanted):
            raise InvalidTerminalError(
                f"{terminal.identity} is for {terminal.media_type.value} "
                f"{terminal.direction.value}; {self.identity} takes a terminal for "
                f"{self.media_type.value} {self.direction.value}"
            )
        if isinstance(terminal, PayloadTerminal) and not self.takes_payloads:
            raise InvalidTerminalError(
                f"{terminal.identity} takes what one person sends, undecoded, and {self.identity} "
                "is everybody's; select it on the substream of that person"
            )
        if isinstance(terminal, PacketSink) and self.takes_payloads:
            raise InvalidTerminalError(
                f"{terminal.identity} takes everybody's packets, and {self.identity} is one "
                "person's; select it on the stream"
            )
        if terminal in self._terminals:
            raise InvalidTerminalError(f"{terminal.identity} is already on {self.identity}")
        if self.max_terminals is not None and len(self._terminals) >= self.max_terminals:
            raise MaxTerminalsError(
                f"{self.identity} takes {self.max_terminals} terminal; unselect "
                f"{self._terminals[-1].identity} first"
            )
        error = take(terminal, self)
        if error is not None:
            self.report_failure(terminal, error, Cause.CONNECT_FAIL)
            raise MediaError(f"{terminal.identity} cannot be opened: {error}") from error
        self._terminals.append(terminal)

    def unselect_terminal(self, terminal: Terminal) -> None:
        """Take a terminal off; with the last one media ceases (MSPI: UnselectTerminal).

        Raises InvalidTerminalError if it is not on this stream. A terminal that fails meanwhile is
        taken off all the same; TerminalFailed tells it.
        """
        self._give(terminal)
        self._settle(Cause.LOCAL_REQUEST)

    def _give(self, terminal: Terminal) -> None:
        check_terminal(terminal)
        if terminal not in self._terminals:
            raise InvalidTerminalError(f"{terminal.identity} is not selected on {self.identity}")
        self._terminals.remove(terminal)
        self._failed.discard(terminal)
        error = give_back(terminal, self)
        if error is not None:
            self.report_failure(terminal, error, Cause.BAD_DEVICE)

    def start(self) -> None:
        """Run again after `pause` or `stop`; a new stream needs no start (MSPI: StartStream).

        Terminals that have failed are given another try. Raises NotStoppedError if nothing stopped
        it, as on a new stream, and NoTerminalSelectedError without a terminal.
        """
        self._check_open()
        if self._wish is Wish.RUN:
            missing = "" if self._may_start() else "select a terminal; "
            raise NotStoppedError(
                f"{self.identity} was not paused or stopped: {missing}it starts by itself"
            )
        if not self._may_start():
            raise NoTerminalSelectedError(f"{self.identity} has no terminal; select one first")
        self._failed.clear()
        self._ask(Wish.RUN)

    def pause(self) -> None:
        """Let no media flow, but keep everything warm for a quick start (MSPI: PauseStream)."""
        self._check_open()
        self._ask(Wish.PAUSE)

    def stop(self) -> None:
        """Let no media flow and give up codecs and buffers (MSPI: StopStream)."""
        self._check_open()
        self._ask(Wish.STOP)

    def _may_start(self) -> bool:
        return bool(self._terminals)

    def _ask(self, wish: Wish) -> None:
        self._wish = wish
        self._settle(Cause.LOCAL_REQUEST)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"{self.identity} is gone; its call has ended or the person has left")

    def _usable(self) -> list[Terminal]:
        if not self._failed:
            return list(self._terminals)
        return [t for t in self._terminals if t not in self._failed]

    @abstractmethod
    def _settle(self, cause: Cause) -> None:
        """Make what is so agree with the rule at the top of this file."""

    @abstractmethod
    def report_failure(self, terminal: Terminal, error: Exception, cause: Cause) -> None:
        """Post TerminalFailed, and StreamFailed as well if no usable terminal is left.

        Nobody misses a terminal that fails while it is taken off: then TerminalFailed is all.
        """

    @abstractmethod
    def terminal_failed(self, terminal: Terminal, error: Exception) -> None:
        """A terminal reports that it does not work (terminals.base.TerminalHost)."""

    @property
    @abstractmethod
    def owner(self) -> object:
        """The call that it belongs to (terminals.base.TerminalHost)."""

    @abstractmethod
    def terminal_event(self, kind: type[TerminalEvent], **fields: Any) -> None:
        """A terminal raises an event (terminals.base.TerminalHost)."""
