"""The audio bridge: one tick every 20 ms in which all legs of a conference meet.

    voices that talk ── pull ──> blocks ── one mix per distinct row of gains ── one encoder each
                                                       └── per leg: header, CSRCs, SRTP, send

A row is what differs, for a listener, from hearing everybody as they are: its own voice, gains it
has chosen, who whispers to others. Most listeners share one row, and so one mix and one payload.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from ..engine.dominance import DominantSpeaker
from ..engine.hearing import Hearing
from ..engine.speakers import SILENT_LEVEL
from ..errors import UsageError
from ..model import AUDIO_FRAME_SAMPLES
from ..pipelines.mix_minus import Mix, Room, mix_minus
from ..terminals.base import Samples
from ..ticker import AUDIO_TICKS
from .encoders import EncoderPool
from .legs import CallLeg, Leg, LegOutlet, LocalLeg, Said, Tails
from .voices import Voice

MAX_NAMED = 15
"""CSRCs of one packet (RFC 3550 section 5.1)."""
LOUD_LEVEL = 40
"""What is as loud as -40 dBov is heard, whatever it is: steady sounds are no speech, but music,
tones and engines may be what somebody wants heard. Softer ones are, if they are speech."""
LOUD_HOLD_S = 0.6
"""So long after it was loud."""
ADAPT_TICKS = 100
"""How hard encoders try is decided anew once a second."""
REST_AFTER_TICKS = 150
"""After 1.5 s in which nobody talks a room is sent nothing any more ..."""
REST_TICKS = 40
"""... but a packet in 0.4 s, as Opus does in its pauses, to keep ways through firewalls open."""

_SILENCE = np.zeros((AUDIO_FRAME_SAMPLES, 1), np.int16)

Row = tuple[tuple[int, float], ...]
"""Gains by the voices' numbers, where they are not 1."""
Sound = tuple[Voice, Samples]


class AudioBridge:
    """Mixes the legs of one conference."""

    def __init__(self, hearing: Hearing, speakers: DominantSpeaker, max_talkers: int) -> None:
        self._hearing = hearing
        self._speakers = speakers
        self._max_talkers = max_talkers
        self._awake: dict[Voice, None] = {}
        self._loud_at: dict[Voice, float] = {}
        self._talking: frozenset[Voice] = frozenset()
        self._held: dict[tuple[str, Row], float] = {}
        self._heard: dict[str, frozenset[int]] = {}  # voices of the latest tick, by room
        self._sounded: dict[str, int] = {}  # the latest tick in which there was sound, by room
        self._memory = Room()
        self._measured: tuple[float, float] | None = None
        self.encoders = EncoderPool()
        self.mixes = 0
        """Distinct mixes of the latest tick."""

    @property
    def talking(self) -> frozenset[Voice]:
        """Who was heard to talk in the latest tick."""
        return self._talking

    def level(self, voice: Voice, level: int, now: float) -> None:
        """How loud a voice is, 0 (loudest) .. 127, by a packet or a block of it."""
        if self._hearing.quiets and not self._hearing.loudness(voice):
            level = SILENT_LEVEL  # nobody hears it: it has no floor to take
        self._speakers.level(voice, level, now)
        if level <= LOUD_LEVEL:
            self._loud_at[voice] = now

    def forget(self, voice: Voice) -> None:
        """A voice is no more."""
        self._speakers.forget(voice)
        self._loud_at.pop(voice, None)

    def tick(self, legs: Iterable[Leg], now: float, due: float, number: int) -> None:
        """Let everybody hear the next 20 ms, due at `due`."""
        sounds = self._sounds(legs, now)
        rooms: dict[str, list[Leg]] = {}
        for leg in legs:
            if leg.hears:
                rooms.setdefault(self._hearing.room(leg), []).append(leg)
        held, heard = self._held, self._heard
        self._held, self._heard, self.mixes = {}, {}, 0
        for room, listeners in rooms.items():
            there = [s for s in sounds if self._hearing.is_in(s[0], room)]
            if there:
                self._sounded[room] = number
            elif self._rests(room, number):
                _rest(listeners, due)
                continue
            # Who has just been put to sleep fades out in this tick, and is not to hear that either.
            awake = dict.fromkeys((*(v for v, _ in there), *self._awake))
            here = [voice for voice in awake if self._hearing.is_in(voice, room)]
            tick = _RoomTick(self, room, here, there, now, due, number)
            tick.run(listeners, heard.get(room, frozenset()), held)
        if number % ADAPT_TICKS == 0:
            self._sounded = {r: n for r, n in self._sounded.items() if r in rooms}
            self.encoders.adapt(self.mixes, self._spare(now), number)

    def _rests(self, room: str, number: int) -> bool:
        """Whether nothing is sent into a room now, because nobody has talked there for a while."""
        quiet = number - self._sounded.setdefault(room, number)
        return quiet > REST_AFTER_TICKS and quiet % REST_TICKS >= AUDIO_TICKS

    def _spare(self, now: float) -> float:
        """The share of a core that this process has left since it was asked last."""
        used, since = time.process_time(), self._measured
        self._measured = (used, now)
        if since is None or now <= since[1]:
            return 1.0
        return max(0.0, 1 - (used - since[0]) / (now - since[1]))

    def _sounds(self, legs: Iterable[Leg], now: float) -> list[Sound]:
        """A block of everybody who is worth hearing; who no longer is fades out."""
        hearing = self._hearing
        for voice, loud_at in tuple(self._loud_at.items()):
            if now - loud_at > LOUD_HOLD_S:
                del self._loud_at[voice]
        speech = [v for v in self._speakers.talkers(now) if isinstance(v, Voice)]
        talking = dict.fromkeys((*speech, *self._loud_at))
        wanted: dict[Voice, float] = {}
        for voice in talking:
            gain = hearing.loudness(voice)
            if gain and len(wanted) < self._max_talkers:
                wanted[voice] = gain
                if not voice.awake:
                    voice.wake(now)
                self._awake[voice] = None
        self._talking = frozenset(wanted)
        for leg in legs:
            if isinstance(leg, LocalLeg):
                for voice in leg.voices.values():
                    wanted[voice] = hearing.loudness(voice)
                    self._awake[voice] = None
        sounds = []
        for voice in tuple(self._awake):
            samples = voice.pull(wanted.get(voice, 0.0), now) if voice.awake else None
            if samples is not None:
                sounds.append((voice, samples))
                if voice.tells_no_level and voice in wanted:
                    self.level(voice, voice.level, now)
            if voice not in wanted:
                voice.sleep()
                del self._awake[voice]
        return sounds


def _rest(listeners: Iterable[Leg], due: float) -> None:
    for leg in listeners:
        if isinstance(leg, CallLeg):
            leg.outlet.resting = True
        elif isinstance(leg, LocalLeg):
            leg.hear(_SILENCE.copy(), due)


class _RoomTick:
    """One tick of one room."""

    def __init__(
        self,
        bridge: AudioBridge,
        room: str,
        awake: Sequence[Voice],
        sounds: Sequence[Sound],
        now: float,
        due: float,
        number: int,
    ) -> None:
        talking = bridge.talking
        self._bridge = bridge
        self._hearing = bridge._hearing
        self._room = room
        self._awake = awake
        self._blocks = [block for _, block in sounds]
        self._index = {voice.number: place for place, (voice, _) in enumerate(sounds)}
        # Numbers, CSRCs and levels of who is named, the loudest first; each once.
        people = {v.attendee: v for v, _ in sounds if v.attendee is not None and v in talking}
        loudest = sorted(people.items(), key=lambda pair: pair[1].level)
        self._people = [(v.number, person.csrc, v.level) for person, v in loudest]
        self._now, self._due, self._number = now, due, number
        bridge._heard[room] = frozenset(self._index)

    def run(
        self, listeners: Sequence[Leg], heard: frozenset[int], held: dict[tuple[str, Row], float]
    ) -> None:
        """Group the listeners by what they hear, mix each once, and let them hear it.

        `heard` has the voices of the tick before, `held` the limiter's gains at its end.
        """
        groups: dict[tuple[Row, Row], list[Leg]] = {}
        rows: list[tuple[str, Row]] = []  # the row before of the first of each group
        for leg, after in self._rows(listeners):
            former, leg.row = leg.row, after
            before = after if former == after else self._carried(former, after, heard)
            group = groups.get((before, after))
            if group is None:
                group = groups[before, after] = []
                rows.append((self._room, former or ()))
            group.append(leg)
        mixes = [
            Mix(
                self._placed(before),
                self._placed(after),
                held.get((self._room, after), held.get(former, 1.0)),
            )
            for (before, after), former in zip(groups, rows, strict=True)
        ]
        channels = max((block.shape[1] for block in self._blocks), default=1)
        blocks, gains = mix_minus(self._blocks, mixes, channels, self._bridge._memory)
        for ((before, after), legs), block, gain in zip(groups.items(), blocks, gains, strict=True):
            self._bridge._held[self._room, after] = gain
            # Who comes to a mix that others hear already is given an encoder of their own while it
            # changes, and one tick longer: then both have encoded the same, and nothing is heard.
            joins = before != after and (after, after) in groups
            self._deliver(legs, block, after, (before, after) if joins else None)
        self._bridge.mixes += len(groups)

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
        return tuple((index[number], gain) for number, gain in row if number in index)

    def _deliver(self, legs: Sequence[Leg], block: Samples, row: Row, change: object) -> None:
        said = self._named(row)
        encodings: dict[tuple[object, object], list[CallLeg]] = {}
        for leg in legs:
            if isinstance(leg, CallLeg):
                outlet = leg.outlet
                if change is not None:
                    outlet.moving = (change, self._number + AUDIO_TICKS)
                elif outlet.moving is not None and self._number > outlet.moving[1]:
                    outlet.moving = None
                moving = None if outlet.moving is None else outlet.moving[0]
                which = outlet if outlet.apart else outlet.encoding
                encodings.setdefault((which, moving), []).append(leg)
            elif isinstance(leg, LocalLeg):
                leg.hear(block, self._due)
        begins = self._number // AUDIO_TICKS * AUDIO_FRAME_SAMPLES
        for (encoding, moving), hearers in encodings.items():
            # Packets that do not end with the tick are for one leg alone.
            apart = isinstance(encoding, LegOutlet)
            who = encoding if apart else (self._room, moving or row, encoding)
            packets = self._bridge.encoders.encode(who, hearers, block, self._number, begins)
            for leg in hearers:
                leg.outlet.heard.append(block)
            for packet in packets:
                tails: Tails = {}
                for leg in hearers:
                    try:
                        leg.outlet.send(packet, said, tails, self._now)
                    except UsageError:
                        continue  # the call is saying goodbye

    def _named(self, row: Row) -> Said:
        """Who is in the mix: the loudest of those who talk, as far as there is room."""
        absent = {number for number, gain in row if not gain}
        there = (named for named in self._people if named[0] not in absent)
        chosen = list(islice(there, MAX_NAMED))
        return Said(tuple(csrc for _, csrc, _ in chosen), tuple(level for _, _, level in chosen))
