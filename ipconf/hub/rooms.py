"""What the legs in one room hear in one tick: rows of gains, and a mix for each distinct one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..engine.hearing import Hearing
from ..model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ..pipelines.mix_minus import Mix, Room, mix_minus
from ..terminals.base import Samples
from .leg_outlets import Said
from .legs import Leg
from .voices import Voice

MAX_NAMED = 15
"""CSRCs of one packet (RFC 3550 section 5.1)."""

Row = tuple[tuple[int, float], ...]
"""Gains by the voices' numbers, where they are not 1."""
Held = dict[tuple[str, Row], float]
"""The limiter's gains at the end of a tick, by room and row."""
Sound = tuple[Voice, Samples]


class Mixed(NamedTuple):
    """20 ms that some legs hear."""

    room: str
    row: Row
    change: tuple[Row, Row] | None
    """Whose mix changes in this tick to one that others hear already: from which row to which."""
    legs: list[Leg]
    block: Samples
    said: Said


class RoomTick:
    """One tick of one room; `awake` are all voices there that are decoded, `sounds` what came.

    Sounds are of `rate_hz`, and so are the mixes.
    """

    def __init__(
        self,
        room: str,
        awake: Sequence[Voice],
        sounds: Sequence[Sound],
        talking: frozenset[Voice],
        hearing: Hearing,
        rate_hz: int = AUDIO_RATE_HZ,
    ) -> None:
        self._room = room
        self._samples = rate_hz * AUDIO_FRAME_SAMPLES // AUDIO_RATE_HZ
        self._awake = awake
        self._hearing = hearing
        self._blocks = [block for _, block in sounds]
        self._index = {voice.number: place for place, (voice, _) in enumerate(sounds)}
        # Numbers, CSRCs and levels of who may be named, the loudest first; each once.
        people = {csrc: v for v, _ in sounds if v in talking for csrc in v.csrcs}
        loudest = sorted(people.items(), key=lambda pair: pair[1].level)
        self._people = [(v.number, csrc, v.level) for csrc, v in loudest]
        self._loudest = {number for number, _, _ in self._people[:MAX_NAMED]}
        self._said: dict[Row, Said] = {}
        self.held: Held = {}
        """What the limiter holds at the end."""

    @property
    def heard(self) -> frozenset[int]:
        """The numbers of the voices whose sound is in this tick."""
        return frozenset(self._index)

    def mix(
        self,
        listeners: Iterable[Leg],
        heard: frozenset[int],
        held: Mapping[tuple[str, Row], float],
        memory: Room,
    ) -> list[Mixed]:
        """Group the listeners by what they hear, and mix that for each group.

        `heard` are the voices of the tick before, `held` what the limiter held at its end.
        """
        room, now_held = self._room, self.held
        groups: dict[tuple[Row, Row], list[Leg]] = {}
        mixes: list[Mix] = []
        for leg, after in self._rows(listeners):
            former = leg.row
            if former == after:
                before = after = former  # one object, which is compared in no time
            else:
                leg.row, before = after, self._carried(former, after, heard)
            pair = before, after
            group = groups.get(pair)
            if group is not None:
                group.append(leg)
                continue
            groups[pair] = [leg]
            gain = held.get((room, after)) or held.get((room, former or ()), 1.0)
            placed = self._placed(after)
            mixes.append(Mix(placed if before is after else self._placed(before), placed, gain))
        channels = max((block.shape[1] for block in self._blocks), default=1)
        blocks, gains = mix_minus(self._blocks, mixes, channels, memory, self._samples)
        mixed = []
        for (pair, legs), block, gain in zip(groups.items(), blocks, gains, strict=True):
            before, after = pair
            now_held[room, after] = gain
            joins = before is not after and before != after and (after, after) in groups
            change = pair if joins else None
            mixed.append(Mixed(room, after, change, legs, block, self._named(after)))
        return mixed

    def _rows(self, listeners: Iterable[Leg]) -> Iterable[tuple[Leg, Row]]:
        # Rows go by who is awake, not by whose sound is there in this very tick: what a leg hears
        # is encoded by the same encoder all the time it talks.
        hearing, awake = self._hearing, self._awake
        common = tuple((v.number, 0.0) for v in awake if hearing.whispers(v))
        own: dict[Leg, Row] = {}
        for voice in awake:
            own[voice.leg] = (*own.get(voice.leg, ()), (voice.number, 0.0))
        for leg in listeners:
            if not hearing.is_plain(leg):
                gains = ((v.number, hearing.between(v, leg)) for v in awake)
                yield leg, tuple(pair for pair in gains if pair[1] != 1.0)
            elif leg in own:
                yield leg, (tuple(dict((*common, *own[leg])).items()) if common else own[leg])
            else:
                yield leg, common

    def _carried(self, former: Row | None, after: Row, heard: frozenset[int]) -> Row:
        """The gains at the beginning of the tick: as they were, for voices that were there."""
        if former is None:  # it comes now
            return tuple((number, 0.0) for number in dict.fromkeys((*self._index, *dict(after))))
        old, new = dict(former), dict(after)
        numbers = dict.fromkeys((*self._index, *new))
        gains = ((n, old.get(n, 1.0) if n in heard else new.get(n, 1.0)) for n in numbers)
        return tuple(pair for pair in gains if pair[1] != 1.0)

    def _placed(self, row: Row) -> tuple[tuple[int, float], ...]:
        index = self._index
        if len(row) == 1:  # its own voice, as nearly always
            ((number, gain),) = row
            return ((index[number], gain),) if number in index else ()
        return tuple((index[number], gain) for number, gain in row if number in index)

    def _named(self, row: Row) -> Said:
        """Who is in the mix: the loudest of those who talk, as far as there is room."""
        if len(row) == 1 and row[0][0] not in self._loudest:
            row = ()  # there is no room for its own voice anyway
        said = self._said.get(row)
        if said is None:
            absent = {number for number, gain in row if not gain}
            chosen = [named for named in self._people if named[0] not in absent][:MAX_NAMED]
            _, csrcs, levels = zip(*chosen, strict=True) if chosen else ((), (), ())
            said = self._said[row] = Said(csrcs, levels)
        return said
