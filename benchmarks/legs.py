"""WebRTC legs of Opus, as all benchmarks of calls have them (`ipconf.load.legs`)."""

from __future__ import annotations

from ipconf.load import legs
from ipconf.model import CallSettings

SETTINGS = CallSettings.model_validate({"ice_addresses": ["127.0.0.1"]})
"""Everything here stays on this machine."""


class Leg(legs.Leg):
    """One audio leg."""

    def __init__(self, number: int) -> None:
        super().__init__(number, SETTINGS.replace(audio_codecs="opus"))
