"""Who is in the mosaic that the hub recorded, by the colours in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np

from ...errors import MediaError
from ...model import MediaType
from ...terminals.convert import plane_rows
from ..recordings import opened
from ..verdict import LENGTH_TOLERANCE_S, Check
from .cameras import colour_of
from .log import ConferenceLog
from .matrix import names_of
from .scenes import PAUSE_S, Person, Phase
from .script import HUB_KEY

SIZE = (640, 360)
LOOK_AFTER_S = PAUSE_S / 2
"""After a line: when it is looked who is in the picture. Who is off is gone after 1.5 s."""
COLOUR_TOLERANCE = 8
"""Of U and V; the portrait of who is not seen is paler than that."""
SHARE = 0.2
"""Of an equal part of the picture: who has so much is in it."""


def check_mosaic(log: ConferenceLog, path: Path) -> Check:
    """Whether it lasts as long as it should, and those are in it whose cameras are on."""
    question = "Mosaic complete"
    try:
        faults = tuple(_faults(log, path))
    except MediaError as exc:
        faults = (str(exc),)
    return Check(HUB_KEY, question, f"in {len(log.script.phases)} phases", faults)


def _faults(log: ConferenceLog, path: Path) -> Iterator[str]:
    began_s = next((e["at"] for e in log.hub.events if e["event"] == "RecordingStarted"), 0.0)
    times = [phase.span.end_s + LOOK_AFTER_S - began_s for phase in log.script.phases]
    lengths, pictures = _read(path, times)
    expected_s = log.script.duration_s - began_s
    for medium, length_s in lengths.items():
        if abs(length_s - expected_s) > LENGTH_TOLERANCE_S:
            yield f"its {medium.value} ends at {length_s:.1f} s, not at {expected_s:.1f} s"
    for phase, picture in zip(log.script.phases, pictures, strict=True):
        seen = seen_in(picture, log.script.people) if picture is not None else frozenset()
        expected = frozenset(log.script.people) - phase.unseen
        if seen != expected:
            yield f"{_when(phase)}: it shows {names_of(seen)} instead of {names_of(expected)}"


def _when(phase: Phase) -> str:
    return f"{phase.title}, {phase.span.end_s + LOOK_AFTER_S:.1f} s"


def seen_in(frame: av.VideoFrame, people: tuple[Person, ...]) -> frozenset[Person]:
    """Whose colours are in a picture."""
    u, v = (plane_rows(plane)[:, : plane.width].astype(np.int16) for plane in frame.planes[1:])
    least = SHARE / len(people)
    return frozenset(
        person
        for person in people
        for wanted in (colour_of(person.number),)
        if np.mean(np.maximum(abs(u - wanted[0]), abs(v - wanted[1])) <= COLOUR_TOLERANCE) >= least
    )


def _read(
    path: Path, times: Iterable[float]
) -> tuple[dict[MediaType, float], list[av.VideoFrame | None]]:
    """How long its sound and its pictures last, and which picture is seen at each of these times.

    Raises MediaError where it cannot be read.
    """
    lengths = {MediaType.AUDIO: 0.0, MediaType.VIDEO: 0.0}
    due = list(times)
    latest: list[av.VideoFrame | None] = [None] * len(due)
    with opened(path) as container:
        if not (container.streams.audio and container.streams.video):
            raise MediaError(f"there is no sound, or no picture, in {path}")
        for frame in container.decode(audio=0, video=0):
            if isinstance(frame, av.AudioFrame):
                lengths[MediaType.AUDIO] = frame.time or 0.0
            elif isinstance(frame, av.VideoFrame):
                at_s = lengths[MediaType.VIDEO] = frame.time or 0.0
                latest = [frame if at_s <= at else old for at, old in zip(due, latest, strict=True)]
    return lengths, latest
