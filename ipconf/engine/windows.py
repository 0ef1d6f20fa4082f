"""Who is shown in which of a stream's windows, when there are fewer of them than people.

Pinned people come first, in the order of their pinning; the rest of the windows go to who talked
last (`places`). A pin is about a person, not about a source: it holds while they pause, and over a
timeout from which they return. A recorder is no window: all recorders see the one person who would
have the only window. So do windows that nobody needs, because there are more of them than people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from ..errors import InvalidStateError, InvalidTerminalError, NoItemError
from ..model import name_of
from .places import Claim, Places, Rank

if TYPE_CHECKING:
    from ..participants import Participant
    from ..rtp_streams import Stream
    from ..streams.substreams import SubStream
    from ..terminals.base import Terminal


class Windows:
    """The windows of one arriving video stream; `changed` is called after every pin.

    `may_return` tells whether somebody who is not present may still come back as the same object.
    """

    def __init__(
        self,
        stream: Stream,
        changed: Callable[[], None],
        may_return: Callable[[Participant], bool],
    ) -> None:
        self._stream = stream
        self._changed = changed
        self._may_return = may_return
        self._places: Places[Terminal, SubStream] = Places()
        self._lead: Places[None, SubStream] = Places()
        self._followers: tuple[Terminal, ...] = ()  # who all see the one leader
        self._pins: dict[Participant, Terminal | None] = {}

    @property
    def shown(self) -> Mapping[Terminal, SubStream]:
        """Who is in which window now, and before which recorder."""
        leaders = self._lead.held.values()
        followed = {terminal: leader for terminal in self._followers for leader in leaders}
        return {**self._places.held, **followed}

    @property
    def pinned(self) -> tuple[Participant, ...]:
        """Who is pinned, in that order; someone who timed out stays so until they are forgotten."""
        self._forget()
        return tuple(self._pins)

    def is_pinned(self, participant: Participant | None) -> bool:
        """Whether a person keeps a window."""
        return participant in self._pins

    def pin(self, participant: Participant, terminal: Terminal | None = None) -> None:
        """Keep a person in a window, a certain one or any, whoever talks.

        Whoever was pinned to that window before is pinned to any, and so is this person while that
        window is not there. InvalidTerminalError for a terminal that is none of the stream's
        windows, InvalidStateError for somebody who is gone.
        """
        if not participant.present:
            raise InvalidStateError(f"{participant.name} is not in the call: pin who is there")
        if terminal is not None:
            if terminal not in self._stream.terminals or terminal.records:
                raise InvalidTerminalError(
                    f"{name_of(terminal)} is no window of {self._stream.identity}; select it there"
                )
            for other, theirs in self._pins.items():
                if theirs is terminal:
                    self._pins[other] = None
        self._pins[participant] = terminal
        self._changed()

    def unpin(self, participant: Participant) -> None:
        """Let a person lose the window to who talks; NoItemError if they are not pinned."""
        if participant not in self._pins:
            raise NoItemError(f"{participant.name} is not pinned")
        del self._pins[participant]
        self._changed()

    def settle(
        self, windows: Iterable[Terminal], ranks: Mapping[SubStream, Rank], now: float
    ) -> None:
        """Give these windows to these people, of whom `ranks` tells how they talk.

        What else somebody sends, a second camera, is shown where nobody needs the window.
        """
        self._forget()
        order = {participant: -number for number, participant in enumerate(self._pins)}
        fixed: dict[Terminal, SubStream] = {}
        ranked = dict(ranks)
        seen: set[Participant] = set()
        for substream in sorted(ranks, key=ranks.__getitem__, reverse=True):
            person = substream.participant
            if person is None:
                continue
            if person in seen:
                ranked[substream] = Rank(Claim.IDLE)
            elif person in order:
                ranked[substream] = Rank(Claim.CHOSEN, order[person])
                window = self._pins[person]
                if window is not None:
                    fixed[window] = substream
            seen.add(person)
        terminals = tuple(windows)
        self._places.settle([t for t in terminals if not t.records], ranked, now, fixed)
        self._followers = tuple(t for t in terminals if t not in self._places.held)
        self._lead.settle([None] if self._followers else [], ranked, now)

    def _forget(self) -> None:
        for participant in tuple(self._pins):
            if not self._may_return(participant):
                del self._pins[participant]
