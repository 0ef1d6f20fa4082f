"""The encoders of a conference's mixes: they change only when the effort is another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ipconf import CallSettings
from ipconf.codecs.base import AudioWishes
from ipconf.engine.session_config import PayloadFormat
from ipconf.hub.encoders import MixEncoder
from ipconf.pipelines.audio_sender import AudioSender


def _leg(**parameters: str) -> Any:
    opus = PayloadFormat(111, "opus", 48_000, 2, parameters)
    way = SimpleNamespace(format=opus, settings=CallSettings())
    outlet = SimpleNamespace(outlet=way, wishes=AudioWishes(), loss=0.0, heard=[])
    return SimpleNamespace(outlet=outlet)


def test_an_encoder_is_changed_only_when_the_effort_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leg = _leg(maxaveragebitrate="20000")
    encoder = MixEncoder([leg], mixes=1, spare=1.0, samples=0)
    changes = []
    stock = AudioSender.effort

    def change(sender: AudioSender, value: Any) -> None:
        changes.append(value)
        stock.fset(sender, value)  # type: ignore[misc]

    monkeypatch.setattr(AudioSender, "effort", property(stock.fget, change))
    for _ in range(5):
        encoder.adapt(mixes=1, spare=1.0)
    assert not changes
    leg.outlet.loss = 0.3
    encoder.adapt(mixes=1, spare=1.0)
    encoder.adapt(mixes=1, spare=1.0)
    assert len(changes) == 1 and changes[0].loss_percent > 0
