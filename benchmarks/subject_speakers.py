"""The process of the far ends when quality is judged: the first leg says what is recorded.

The second leg keeps all that comes; whoever else is there is silent, and listens.
`python -m benchmarks.subject_speakers [--uvloop]`; see `children`.
"""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from typing import Any

import numpy as np

from ipconf.codecs.opus_settings import OpusApplication, OpusEffort
from ipconf.codecs.registry import create_audio_encoder
from ipconf.engine.session_config import PayloadFormat
from ipconf.engine.speakers import SILENT_LEVEL, levels_of
from ipconf.load.callers import Callers
from ipconf.model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES

from .children import serve
from .speech import Samples, spoken

LEG_COMPLEXITY = 10
"""What leaves a leg is as good as can be: what is lost is lost in the bridge."""
KEPT_PACKETS = 3000


class Speakers(Callers):
    """Legs in the order of their offers."""

    def __init__(self) -> None:
        super().__init__()
        self.commands = {**self.commands, "say": self.say}

    async def offer(self, count: int, settings: dict[str, Any]) -> list[str]:
        """As in `Callers`; each leg asks for Opus of no more bits than it sends."""
        limit = f";maxaveragebitrate={settings['audio_bitrate_bps']}\r\na=rtpmap:110"
        offers = await super().offer(count, settings)
        return [offer.replace("\r\na=rtpmap:110", limit) for offer in offers]

    async def say(self, bitrate_bps: int) -> list[str]:
        """Say it all, coded with so many bits; what came to the second leg, in base64."""
        fmt = self._legs[0].format
        said = spoken()
        voice = _encode(said, fmt, bitrate_bps)
        silence = _encode(np.zeros_like(said), fmt, bitrate_bps)
        levels = levels_of(_blocks(said))
        speaker, listener = self._legs[:2]
        listener.kept = deque(maxlen=KEPT_PACKETS)
        loop = asyncio.get_running_loop()
        due = loop.time()
        for number, (payload, level) in enumerate(zip(voice, levels, strict=True)):
            due += AUDIO_FRAME_S
            await asyncio.sleep(due - loop.time())
            speaker.level = level
            speaker.send(speaker.packet(payload))
            for leg in self._legs[1:]:
                leg.level = SILENT_LEVEL
                leg.send(leg.packet(silence[number]))
        return [base64.b64encode(packet.payload).decode() for packet in listener.kept]


def _encode(sound: Samples, fmt: PayloadFormat, bitrate_bps: int) -> list[bytes]:
    effort = OpusEffort(bitrate_bps, OpusApplication.VOIP, LEG_COMPLEXITY, loss_percent=0)
    encoder = create_audio_encoder(fmt, bitrate_bps, effort=effort)
    return [encoder.encode(block) or b"" for block in _blocks(sound)]


def _blocks(sound: Samples) -> list[Samples]:
    return [
        sound[start : start + AUDIO_FRAME_SAMPLES]
        for start in range(0, len(sound), AUDIO_FRAME_SAMPLES)
    ]


if __name__ == "__main__":
    serve(lambda: Speakers().commands)
