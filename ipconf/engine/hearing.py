"""Who hears whom in a conference: gains, listener by speaker, and the rules above them.

What a listener hears of a voice is the product of the gain of that voice for all and the gain that
the two have between them; each is 1 unless somebody set it. Zero it is where a voice is muted or on
hold, where the listener is deafened or on hold, where the two are in different rooms, and where a
voice whispers to others.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Protocol

from ..errors import ConfigurationError

MAX_GAIN = 4.0
"""12 dB louder than it came; more would only be limited."""


class Heard(Protocol):
    """A voice: whose it is, and through which leg it comes. Either can be given a gain."""

    @property
    def leg(self) -> Hashable: ...
    @property
    def attendee(self) -> Hashable | None: ...


class Hearing:
    """The gains of one conference. Listeners are legs, speakers are legs or people."""

    def __init__(self) -> None:
        self._gains: dict[Hashable, float] = {}
        self._between: dict[Hashable, dict[Hashable, float]] = {}
        self._muted: set[Hashable] = set()
        self._silent: set[Hashable] = set()
        self._deaf: set[Hashable] = set()
        self._held: set[Hashable] = set()
        self._whispers: dict[Hashable, frozenset[Hashable]] = {}
        self._rooms: dict[Hashable, str] = {}
        self._everywhere: set[Hashable] = set()
        self._moves: dict[Hashable, str] = {}  # from where, until they are there
        self.version = 0
        """Counts what may have changed what somebody hears, apart from loudness for all."""

    # -- settings

    def set_gain(self, gain: float, speaker: Hashable, listener: Hashable | None = None) -> None:
        """How loud a speaker is, 0 (not at all) to 4 (12 dB more), for one listener or for all.

        1 forgets it. ConfigurationError for other values.
        """
        if not 0 <= gain <= MAX_GAIN:
            raise ConfigurationError(f"a gain of {gain!r}: give 0 (silent) to {MAX_GAIN:g}")
        gains = self._gains if listener is None else self._between.setdefault(listener, {})
        if gain == 1:
            gains.pop(speaker, None)
        else:
            gains[speaker] = float(gain)
        if listener is not None:
            self.version += 1
            if not gains:
                del self._between[listener]

    def gain(self, speaker: Hashable, listener: Hashable | None = None) -> float:
        """What `set_gain` has set; 1 where it has not."""
        gains = self._gains if listener is None else self._between.get(listener, {})
        return gains.get(speaker, 1.0)

    def mute(self, speaker: Hashable, muted: bool = True) -> None:
        """Let nobody hear a speaker."""
        _switch(self._muted, speaker, muted)

    def silence(self, leg: Hashable, silenced: bool = True) -> None:
        """Let nobody hear a leg that has no say; apart from `mute`, which others may take back."""
        _switch(self._silent, leg, silenced)

    def deafen(self, listener: Hashable, deaf: bool = True) -> None:
        """Let a listener hear nobody."""
        _switch(self._deaf, listener, deaf)
        self.version += 1

    def hold(self, leg: Hashable, held: bool = True) -> None:
        """Let a leg hear nobody, and nobody hear it."""
        _switch(self._held, leg, held)
        self.version += 1

    def whisper(self, speaker: Hashable, listeners: Iterable[Hashable] | None) -> None:
        """Let only these hear a speaker; None: everybody again."""
        if listeners is None:
            self._whispers.pop(speaker, None)
        else:
            self._whispers[speaker] = frozenset(listeners)
        self.version += 1

    def move(self, leg: Hashable, room: str) -> None:
        """Put a leg into a side room, "" for the main one: it hears those in it, and they it.

        Until `arrive` it is still where it was, to fade out there.
        """
        self._moves.setdefault(leg, self.room(leg))
        if room:
            self._rooms[leg] = room
        else:
            self._rooms.pop(leg, None)
        self.version += 1

    def arrive(self) -> tuple[Hashable, ...]:
        """Let those who were moved be there from now on, and no longer where they were: who."""
        moved = tuple(self._moves)
        if moved:
            self._moves.clear()
            self.version += 1
        return moved

    def broadcast(self, speaker: Hashable, everywhere: bool = True) -> None:
        """Let a speaker be heard in all rooms."""
        _switch(self._everywhere, speaker, everywhere)

    def forget(self, key: Hashable) -> None:
        """A leg or person is gone: nothing that was set for them is kept."""
        self.version += 1
        for gains in (self._gains, self._between, self._whispers, self._rooms, self._moves):
            gains.pop(key, None)
        for kept in (self._muted, self._silent, self._deaf, self._held, self._everywhere):
            kept.discard(key)
        for listener, between in list(self._between.items()):
            between.pop(key, None)
            if not between:
                del self._between[listener]
        for speaker, listeners in self._whispers.items():
            self._whispers[speaker] = listeners - {key}

    # -- questions

    def is_muted(self, speaker: Hashable) -> bool:
        """Whether `mute` holds for that leg or person itself."""
        return speaker in self._muted

    def is_deaf(self, listener: Hashable) -> bool:
        """Whether `deafen` holds for the leg."""
        return listener in self._deaf

    def is_held(self, leg: Hashable) -> bool:
        """Whether `hold` holds for the leg."""
        return leg in self._held

    def room(self, leg: Hashable) -> str:
        """Where a leg was put; "" is the main room."""
        return self._rooms.get(leg, "")

    def place(self, leg: Hashable) -> str:
        """The room that a leg is heard in, and hears, now."""
        return self._moves[leg] if leg in self._moves else self._rooms.get(leg, "")

    def is_moving(self, leg: Hashable) -> bool:
        """Whether a leg was moved, and is not there yet."""
        return leg in self._moves

    @property
    def quiets(self) -> bool:
        """Whether there is anybody whom nobody hears: else no `loudness` is 0 but by a gain."""
        return bool(self._muted or self._silent or self._held or self._gains or self._moves)

    def loudness(self, voice: Heard) -> float:
        """The gain of a voice for all."""
        leg, person = voice.leg, voice.attendee
        if leg in self._held or leg in self._silent or leg in self._moves:
            return 0.0
        if leg in self._muted or person in self._muted:
            return 0.0
        gains = self._gains
        return gains.get(leg, 1.0) * gains.get(person, 1.0) if gains else 1.0

    def is_in(self, voice: Heard, room: str) -> bool:
        """Whether a voice is heard in that room, by somebody at least."""
        if voice.leg in self._everywhere or voice.attendee in self._everywhere:
            return True
        return self.place(voice.leg) == room

    def meet(self, viewer: Hashable, leg: Hashable, person: Hashable | None) -> bool:
        """Whether a leg is where somebody on another leg is, or they are in all rooms."""
        if leg in self._held or viewer in self._held:
            return False
        if leg in self._everywhere or person in self._everywhere:
            return True
        return self.place(leg) == self.place(viewer)

    def whispers(self, voice: Heard) -> bool:
        """Whether only some hear the voice."""
        return voice.leg in self._whispers or voice.attendee in self._whispers

    def is_plain(self, listener: Hashable) -> bool:
        """Whether a listener hears everything in the room as all plain listeners do."""
        return (
            listener not in self._between
            and listener not in self._deaf
            and listener not in self._held
            and listener not in self._moves
            and not any(listener in listeners for listeners in self._whispers.values())
        )

    def between(self, voice: Heard, listener: Hashable) -> float:
        """The gain that a voice and a listener in one room have between them."""
        if voice.leg == listener or listener in self._deaf or listener in self._held:
            return 0.0
        if listener in self._moves:
            return 0.0
        for key in (voice.leg, voice.attendee):
            chosen = self._whispers.get(key)
            if chosen is not None and listener not in chosen:
                return 0.0
        gains = self._between.get(listener)
        if gains is None:
            return 1.0
        return gains.get(voice.leg, 1.0) * gains.get(voice.attendee, 1.0)


def _switch(members: set[Hashable], key: Hashable, on: bool) -> None:
    if on:
        members.add(key)
    else:
        members.discard(key)
