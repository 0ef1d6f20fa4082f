"""The audio bridge: one tick every 20 ms in which all legs of a conference meet.

    voices that talk ── pull ──> blocks ── one mix per distinct row of gains ── one encoder each
                                                       └── per leg: header, CSRCs, SRTP, send

A row is what differs, for a listener, from hearing everybody as they are: its own voice, gains it
has chosen, who whispers to others. Most listeners share one row, and so one mix and one payload.
"""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Iterable

import numpy as np

from ..engine.dominance import DominantSpeaker
from ..engine.hearing import Hearing
from ..engine.speakers import SILENT_LEVEL
from ..model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ..pipelines.mix_minus import Room
from ..terminals.base import Samples
from ..ticker import AUDIO_TICKS
from .audiences import Audiences
from .call_legs import CallLeg
from .encoders import EncoderPool, Job
from .leg_outlets import Said, Tails
from .legs import Leg
from .local_legs import LocalLeg
from .rooms import Held, Mixed, RoomTick, Sound
from .voices import Voice

LOUD_LEVEL = 40
"""What is as loud as -40 dBov is heard, whatever it is: steady sounds are no speech, but music,
tones and engines may be what somebody wants heard."""
SOFT_LEVEL = 55
"""From here on it is heard if it stands out of the person's noise: words often begin softly, and
what is speech for certain is well within the word."""
LOUD_HOLD_S = 0.6
"""So long after it was loud."""
ADAPT_TICKS = 100
"""How hard encoders try is decided anew once a second."""
REST_AFTER_TICKS = 150
"""After 1.5 s in which nobody talks a room is sent nothing any more ..."""
REST_TICKS = 100
"""... but a packet in a second, to keep ways through firewalls open, and streams active."""

_SILENCE = np.zeros((AUDIO_FRAME_SAMPLES, 1), np.int16)


class AudioBridge:
    """Mixes the legs of one conference."""

    def __init__(self, hearing: Hearing, speakers: DominantSpeaker, max_talkers: int) -> None:
        self._hearing = hearing
        self._speakers = speakers
        self._max_talkers = max_talkers
        self._awake: dict[Voice, None] = {}
        self._loud_at: dict[Voice, float] = {}
        self._talking: frozenset[Voice] = frozenset()
        self._ending: set[Voice] = set()  # whose leg may be gone already
        self._held: Held = {}
        self._heard: dict[str, frozenset[int]] = {}  # voices of the latest tick, by room
        self._spoken_at = -math.inf  # the latest tick in which there was sound
        self._sounded: dict[str, int] = {}  # the same by room
        self._resting = False  # whether nothing was sent to anybody in the latest tick
        self._memory = Room()
        self._locals: dict[LocalLeg, None] = {}
        self._to_hear: list[tuple[LocalLeg, Samples]] = []  # in this tick
        self._rates: dict[Hashable, int] = {}
        self.rate_hz = AUDIO_RATE_HZ
        """Of the sound that is mixed: no more than any of the legs can make use of."""
        self.audiences = Audiences(hearing)
        self._measured: tuple[float, float] | None = None
        self.encoders = EncoderPool()
        self.mixes = 0
        """Distinct mixes of the latest tick."""

    @property
    def block_samples(self) -> int:
        """Of a block of 20 ms."""
        return self.rate_hz * AUDIO_FRAME_SAMPLES // AUDIO_RATE_HZ

    @property
    def talking(self) -> frozenset[Voice]:
        """Who was heard to talk in the latest tick."""
        return self._talking

    def level(self, voice: Voice, level: int, now: float) -> None:
        """How loud a voice is, 0 (loudest) .. 127, by a packet or a block of it."""
        if self._hearing.quiets and not self._hearing.loudness(voice):
            level = SILENT_LEVEL  # nobody hears it: it has no floor to take
        stands_out = self._speakers.level(voice, level, now)
        if level <= LOUD_LEVEL or (stands_out and level <= SOFT_LEVEL):
            self._loud_at[voice] = now

    def add(self, leg: Leg) -> None:
        """A leg has come."""
        self.audiences.add(leg)
        if isinstance(leg, LocalLeg):
            self._locals[leg] = None
            self.need(leg, AUDIO_RATE_HZ)

    def remove(self, leg: Leg) -> None:
        """A leg is no more."""
        self.audiences.remove(leg)
        if isinstance(leg, LocalLeg):
            del self._locals[leg]
            self.need(leg, None)

    def need(self, terminal: Hashable, rate_hz: int | None) -> None:
        """A leg's terminal has sound of that rate from now on; None: none any more."""
        if rate_hz is None:
            self._rates.pop(terminal, None)
        else:
            self._rates[terminal] = rate_hz

    def forget(self, voice: Voice) -> None:
        """A voice is no more: what is left of it fades out in the next tick."""
        self._speakers.forget(voice)
        self._loud_at.pop(voice, None)
        voice.end()
        if voice in self._awake:
            self._ending.add(voice)

    def tick(self, now: float, due: float, number: int) -> None:
        """Let everybody hear the next 20 ms, due at `due`."""
        rate_hz = max(self._rates.values(), default=AUDIO_RATE_HZ)
        if rate_hz > self.rate_hz or not self._ending:  # who ends fades out at the rate it had
            self.rate_hz = rate_hz
        self._to_hear.clear()
        sounds = self._sounds(now)
        self.encoders.begin_turn()
        if sounds:
            self._spoken_at = number
        if number - self._spoken_at > REST_AFTER_TICKS and self._pauses(number):
            self._rest(self._locals if self._resting else self.audiences.listeners())
            self._held, self._heard, self.mixes = {}, {}, 0
            self._resting = True
        else:
            self._resting = False
            mixes = self._mix(sounds, number)
            self.mixes = len(mixes)
            self._send(mixes, now, number)
            self.audiences.gather({voice.leg for voice in self._awake})
        self._ending.clear()
        for moved in self._hearing.arrive():
            if isinstance(moved, Leg):
                moved.row = None  # it comes to hear others: fade in
        if number % ADAPT_TICKS == 0:
            self.encoders.adapt(self.mixes, self._spare(now))
        for leg, block in tuple(self._to_hear):  # last: their terminals may do anything
            leg.hear(block, due)

    def _mix(self, sounds: list[Sound], number: int) -> list[Mixed]:
        """The mixes of all rooms, but for those in which nobody has talked for a while."""
        rooms: dict[str, list[Leg]] = {}
        for leg in self.audiences.listeners():
            rooms.setdefault(self._hearing.place(leg), []).append(leg)
        held, heard = self._held, self._heard
        self._held, self._heard = {}, {}
        mixes = []
        for room, listeners in rooms.items():
            last = heard.get(room, frozenset())
            there = [s for s in sounds if self._is_in(s[0], room, last)]
            if there:
                self._sounded[room] = number
            rests = number - self._sounded.get(room, -math.inf) > REST_AFTER_TICKS
            if rests and self._pauses(number):
                self._rest(listeners)
                continue
            # Who has just been put to sleep fades out in this tick, and is not to hear that either.
            awake = dict.fromkeys((*(v for v, _ in there), *self._awake))
            here = [voice for voice in awake if self._is_in(voice, room, last)]
            tick = RoomTick(room, here, there, self._talking, self._hearing, self.rate_hz)
            mixes += tick.mix(listeners, last, held, self._memory)
            self._held |= tick.held
            self._heard[room] = tick.heard
        if number % ADAPT_TICKS == 0:
            self._sounded = {r: n for r, n in self._sounded.items() if r in rooms}
        return mixes

    def _send(self, mixes: Iterable[Mixed], now: float, number: int) -> None:
        """Encode the mixes, each in the ways that its listeners need, and send them."""
        jobs: list[Job] = []
        said: list[Said] = []
        for mixed in mixes:
            more = self._jobs(mixed, number)
            jobs += more
            said += [mixed.said] * len(more)
        begins = number // AUDIO_TICKS * AUDIO_FRAME_SAMPLES
        encoded = self.encoders.encode_all(jobs, begins)
        for job, who, packets in zip(jobs, said, encoded, strict=True):
            for leg in job.legs:
                leg.outlet.heard.append(job.block)
            for packet in packets:
                tails: Tails = {}
                for leg in job.legs:
                    leg.outlet.send(packet, who, tails, now)

    def _pauses(self, number: int) -> bool:
        """Whether who rests is sent nothing in this tick; else it is time for a whole packet."""
        blocks = math.ceil(self.encoders.longest_s / AUDIO_FRAME_S)
        return number % REST_TICKS >= blocks * AUDIO_TICKS

    def _rest(self, listeners: Iterable[Leg]) -> None:
        """Let nobody hear anything; legs of this machine hear that."""
        for leg in listeners:
            if isinstance(leg, CallLeg):
                leg.outlet.resting = True
            elif isinstance(leg, LocalLeg):
                self._to_hear.append((leg, _SILENCE.copy()))

    def _is_in(self, voice: Voice, room: str, last: frozenset[int]) -> bool:
        """Whether a voice is heard in a room, in which these voices were heard in the last tick."""
        if voice in self._ending:
            return voice.number in last
        return self._hearing.is_in(voice, room)

    def _jobs(self, mixed: Mixed, number: int) -> list[Job]:
        """What is to be encoded so that the legs of a mix hear it; those here do in the end."""
        hearers: dict[Hashable, list[CallLeg]] = {}
        for leg in mixed.legs:
            if isinstance(leg, CallLeg):
                key = leg.outlet.encoder_key(mixed.room, mixed.row, mixed.change, number)
                hearers.setdefault(key, []).append(leg)
            elif isinstance(leg, LocalLeg):
                self._to_hear.append((leg, mixed.block))
        return [Job(key, legs, mixed.block) for key, legs in hearers.items()]

    def _spare(self, now: float) -> float:
        """The share of a core that this process has left since it was asked last."""
        used, since = time.process_time(), self._measured
        self._measured = (used, now)
        if since is None or now <= since[1]:
            return 1.0
        return max(0.0, 1 - (used - since[0]) / (now - since[1]))

    def _sounds(self, now: float) -> list[Sound]:
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
            stays = gain or hearing.is_moving(voice.leg)
            if stays and len(wanted) < self._max_talkers:
                wanted[voice] = gain
                if not voice.awake:
                    voice.wake(now)
                    self.audiences.part(voice.leg)
                self._awake[voice] = None
        self._talking = frozenset(wanted)
        for leg in self._locals:
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
