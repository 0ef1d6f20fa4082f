"""How natural speech still is behind each bridge: PESQ of a clip that came from leg to leg.

    leg: encode (VOIP, complexity 10) ──> the bridge: decode, mix, encode ──> leg: decode, compare

A few legs, all but one silent. For our hub also by bit rate and codec, with one mix for all and
with so many that it spends less on each.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

from ipconf.codecs.registry import CODEC_FORMATS
from ipconf.load.run import CODECS, Task
from ipconf.model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES
from ipconf.pipelines.effort import MANY_MIXES

from . import speech
from .hubs import (
    AIORTC,
    COMPARED,
    JANUS,
    OURS,
    AiortcHub,
    Hub,
    MakeHub,
    OwnHub,
    callers_of,
    connect,
)
from .janus import Janus
from .janus_files import find_janus
from .report import Broken, Place, Plan, Row, attempt

LEGS = 4
MANY_LEGS = MANY_MIXES + 4
"""As many mixes: nobody hears what another one hears."""
LEG_BITRATE_BPS = 64_000
BITRATES_BPS = (24_000, 32_000, 64_000, 96_000)
LOST_SHARE = 0.05
"""With more packets missing it is not the codec that is judged."""
TABLE = "Speech quality behind our hub (PESQ-WB), by codec of both legs"


@dataclass(frozen=True, slots=True)
class Quality:
    """How speech came through."""

    pesq: float
    bitrate_bps: float
    """Of the payloads that came."""


@dataclass(frozen=True, slots=True)
class Talk:
    """What is said, in what conference."""

    what: str
    task: Task
    hub: MakeHub | None = None
    """None for ours."""
    bitrate_bps: int = LEG_BITRATE_BPS
    """Of Opus, by the leg; the hub is asked for no more."""
    place: Place | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Of the calls at both ends."""
        return {**self.task.settings, "audio_bitrate_bps": self.bitrate_bps}

    def make_hub(self) -> AbstractAsyncContextManager[Hub]:
        """The hub; ours has a mix for each listener where there are many."""
        if self.hub is not None:
            return self.hub()
        return OwnHub(self.settings, self.task.legs, spreads=self.task.legs == MANY_LEGS)


def _behind(who: str, transport: str, hub: MakeHub | None) -> Talk:
    what = f"speech behind {who}, from a leg of Opus at {LEG_BITRATE_BPS // 1000} kbit/s"
    task = Task(LEGS, 1, transport=transport)
    return Talk(what, task, hub, place=Place(COMPARED, who, "speech (PESQ-WB)"))


SYSTEMS = (
    _behind(OURS, "rtp", None),
    _behind(JANUS, "rtp", Janus),
    _behind(AIORTC, "webrtc", AiortcHub),
)


async def _judge(talk: Talk) -> Quality:
    """Let a leg talk to another one through that hub; Broken if that is not all that happened."""
    callers = callers_of("benchmarks.subject_speakers")
    async with talk.make_hub() as hub, callers:
        await connect(hub, callers, talk.task.legs, talk.settings)
        said = await callers.ask("say", bitrate_bps=talk.bitrate_bps)
    payloads = [base64.b64decode(text) for text in said]
    sent = len(speech.spoken()) / AUDIO_FRAME_SAMPLES
    if len(payloads) < (1 - LOST_SHARE) * sent:
        raise Broken(f"of {sent:.0f} packets {len(payloads)} came: nothing can be said of speech")
    heard = speech.decode(payloads, CODEC_FORMATS[CODECS[talk.task.codec]][0])
    return Quality(speech.score(heard), 8 * mean(map(len, payloads)) / AUDIO_FRAME_S)


async def run(plan: Plan) -> AsyncIterator[Row]:
    """The systems one after the other, then the table of ours; what is broken is left out."""
    if not speech.can_judge():
        yield Row("speech quality (PESQ-WB)", None, "PESQ", None, speech.ABSENT)
        return
    failures = []
    for talk in (*SYSTEMS, *([] if plan.quick else _table(plan.full))):
        if talk.hub is Janus and find_janus() is None:
            yield Row(talk.what, None, "PESQ", None, Janus.ABSENT)
            continue
        try:
            yield _row(talk, await attempt(partial(_judge, talk)))
        except Broken as exc:
            failures.append(f"{talk.what}: {exc}")
    if failures:
        raise Broken("; ".join(failures))


def _row(talk: Talk, quality: Quality) -> Row:
    note = f"{quality.bitrate_bps / 1000:.0f} kbit/s to the listener; {speech.source()}"
    return Row(talk.what, quality.pesq, "PESQ", None, note, talk.place)


def _table(full: bool) -> list[Talk]:
    """By codec and bit rate, with one mix for all listeners and with one for each.

    How hard the hub tries with many mixes changes Opus alone; others have both only if `full`.
    """
    lines = [(f"Opus {bps // 1000} kbit/s", "opus", bps) for bps in BITRATES_BPS]
    lines += [(CODECS[name], name, LEG_BITRATE_BPS) for name in ("g722", "pcmu", "pcma")]
    talks = []
    for line, codec, bitrate_bps in lines:
        for column, legs in (("one mix", LEGS), (f"{MANY_LEGS} mixes", MANY_LEGS)):
            if full or codec == "opus" or legs == LEGS:
                what = f"speech behind ours, {line}, {column}"
                place = Place(TABLE, line, column)
                talks.append(Talk(what, Task(legs, 1, codec=codec), None, bitrate_bps, place))
    return talks
