"""The dominant speaker of a conference: who has the floor, not who is loudest at the moment.

The method is that of I. Volfin and I. Cohen, "Dominant speaker identification for multipoint
videoconferencing", Computer Speech & Language 27 (2013): each person's activity is scored on an
immediate, a medium and a long time scale, by the ratio of two likelihoods. In speech the parts of a
time are active at random, which makes their number binomial; in silence a number is the less likely
the larger it is, exponentially. Somebody takes the floor when the logarithms of the ratios of their
scores to the dominant speaker's pass a threshold on all three scales. So the floor changes in a
pause of who has it, and not for a loud noise.

What differs from the paper, and why:

* It counts active sub-bands of the spectrum for the immediate scale. A conference must not decode
  everybody for that, and has levels (RFC 6464): the height above the person's noise is counted.
* The probability of a number is that of it or less, as in a one-sided test. The density has its
  peak in the middle, by which louder speech would have less of a score.
* Compared with silence everything is speech. So that a cough in a silent room does not take the
  floor, it takes 0.7 s of activity within a second as well.
* Steady sound is noise, however loud (`speech_activity`).

Reaction times of the clips of the demo, as `tests/test_dominance.py` measures them:

=====================================================  ========
what happens                                           reaction
=====================================================  ========
Alice begins in silence                                0.82 s
Bob begins in silence                                  0.72 s
Alice begins 25 dB softer                              1.12 s
Bob begins 25 dB softer                                1.12 s
Alice begins in noise 15 dB below                      1.02 s
Bob begins in noise 15 dB below                        0.72 s
handover after a pause of 0.1 s, the quickest of 7     0.69 s
handover after a pause of 0.1 s, the slowest of 7      0.83 s
=====================================================  ========
"""

from __future__ import annotations

import math
from collections.abc import Hashable

from .speakers import TALK_HOLD_S
from .speech_activity import (
    BLOCK_SLOTS,
    HEIGHT_STEPS,
    LONG_BLOCKS,
    NOBODY,
    SLOTS_PER_S,
    Activity,
    SpeechActivity,
)

_DECISION_SLOTS = 5
"""Decided is every 0.1 s, the length of a block."""
_LEAST_BLOCKS = 7
"""On the long scale. Two coughs of 0.3 s, or "mhm, yes", are six at most."""
_LEAST_SCORE = 0.1
"""Scores have logarithms; all that is likelier to be silence than speech has this one."""
_IMMEDIATE_RATIO = 1.5
"""Who has the floor is down in the noise now: up to 3 steps, or 4 against more than 9."""
_MEDIUM_RATIO = 1.0
"""They have paused: 5 active slots against at most 2."""
_LONG_RATIO = 0.5
"""And talked clearly less: 7 active blocks against at most 4, 9 against 5."""


def _log_scores(size: int, rate: float) -> tuple[float, ...]:
    """The logarithm of the score of each count 0..`size`.

    Speech makes each of `size` parts active with probability 1/2. Silence makes a count e**`rate`
    less likely than the one before it.
    """
    logs = []
    for count in range(size + 1):
        speech = sum(math.comb(size, fewer) for fewer in range(count + 1)) / 2**size
        silence = (1 - math.exp(-rate)) * math.exp(-rate * count)
        logs.append(math.log(max(_LEAST_SCORE, math.log(speech / silence))))
    return tuple(logs)


_IMMEDIATE = _log_scores(HEIGHT_STEPS, 0.8)
"""The lower rate: noise is often some steps above its floor, but seldom active for a block."""
_MEDIUM = _log_scores(BLOCK_SLOTS, 2.0)
_LONG = _log_scores(LONG_BLOCKS, 2.0)


class DominantSpeaker:
    """Who has the floor, and who talks, by the levels of everybody's sound.

    Keys are any hashables but None. Levels are 0 (loudest) .. 127 for 0 .. -127 dBov (RFC 6464),
    one for each packet of 10 to 60 ms; `now` is in seconds. Who sends no levels never gets the
    floor. A person is remembered until `forget`, in a few hundred bytes.
    """

    __slots__ = ("_decided", "_dominant", "_people", "_recent")

    def __init__(self) -> None:
        self._people: dict[Hashable, SpeechActivity] = {}
        self._recent: dict[Hashable, SpeechActivity] = {}
        """Who may have been active within the last second: nobody else is looked at."""
        self._dominant: Hashable | None = None
        self._decided = -math.inf

    @property
    def dominant(self) -> Hashable | None:
        """Who has the floor, or in silence had it last; None before anybody, and if they left."""
        return self._dominant

    def level(self, key: Hashable, level: int, now: float) -> bool:
        """A level of somebody's sound: the hot path, which costs most for who talks.

        Whether it stands out of their noise.
        """
        try:
            person = self._people[key]
        except KeyError:
            person = self._people[key] = SpeechActivity(now)
        if not person.take(level, now):
            return False
        self._recent[key] = person
        return True

    def forget(self, key: Hashable) -> None:
        """Somebody left; whether they were ever heard does not matter."""
        self._people.pop(key, None)
        self._recent.pop(key, None)
        if key == self._dominant:
            self._dominant = None

    def decide(self, now: float) -> bool:
        """Find out who has the floor; True if that changed.

        To be called every 20 to 300 ms; what is called within 0.1 s of a decision does nothing.
        """
        slot = int(now * SLOTS_PER_S)
        if 0 <= slot - self._decided < _DECISION_SLOTS:
            return False
        self._decided = slot
        active = self._measure(now)
        holder = active.pop(self._dominant, NOBODY)
        rivals = [key for key, activity in active.items() if outdoes(activity, holder)]
        if not rivals:
            return False
        self._dominant = max(rivals, key=lambda key: _rank(active[key]))
        return True

    def talkers(self, now: float) -> list[Hashable]:
        """Who talks, most dominant first: the dominant speaker, then who talked most of late.

        Talk begins with 80 ms of sound and lasts over pauses of 0.6 s. Of those who talk alike
        who began first is first, so that a limit cuts off the same people each time.
        """
        ranks = {
            key: (key == self._dominant, _rank(person.measure(now)))
            for key, person in self._recent.items()
            if abs(now - person.talked_at) < TALK_HOLD_S
        }
        return sorted(ranks, key=ranks.__getitem__, reverse=True)

    def talked_at(self, key: Hashable) -> float:
        """When somebody talked last, to tell who talked last of those silent; -inf if never."""
        person = self._people.get(key)
        return -math.inf if person is None else person.talked_at

    def _measure(self, now: float) -> dict[Hashable, Activity]:
        """The activity of everybody active, the others being recent no more."""
        active = {}
        for key, person in tuple(self._recent.items()):
            activity = person.measure(now)
            if activity is NOBODY:
                del self._recent[key]
            else:
                active[key] = activity
        return active


def outdoes(rival: Activity, holder: Activity) -> bool:
    """Whether somebody may take the floor from who has it."""
    return (
        rival.long >= _LEAST_BLOCKS
        and _LONG[rival.long] - _LONG[holder.long] > _LONG_RATIO
        and _MEDIUM[rival.medium] - _MEDIUM[holder.medium] > _MEDIUM_RATIO
        and _IMMEDIATE[rival.immediate] - _IMMEDIATE[holder.immediate] > _IMMEDIATE_RATIO
    )


def _rank(activity: Activity) -> tuple[int, int, int]:
    return activity.long, activity.medium, activity.immediate
