"""The numbers and bars of the live view."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from rich.text import Text

from .log import Entry
from .sentences import display_name
from .story import Story

LEVEL_CELLS = 11
QUIETEST_DBOV = -60
"""The left end of a level bar; the right end is 0 dBov."""
LOUD_DBOV = -15
TOO_LOUD_DBOV = -6
FALL_DB = 3
"""How far a level falls from one drawing to the next, 24 dB a second."""
EMPTY = "bright_black"
Loss = tuple[float | None, int]
"""A fraction of one, where it is known, and the packets that it is about."""
NOTE_STYLES = {"vanished": "bold red"}


@dataclass(slots=True)
class Row:
    """What is shown of one person."""

    name: str = ""
    talking: bool = False
    note: str = ""
    """In the place of the level: that they are muted, vanished, or left."""
    level_dbov: int | None = None
    fraction_lost: float | None = None
    jitter_s: float | None = None
    round_trip_s: float | None = None
    rates_bps: dict[str, float] = field(default_factory=dict)
    """By medium."""
    fps: float = 0.0


def own_row(statistics: Entry, talking: bool) -> Row:
    """The party itself: what it sends, and how the far end says that it arrives."""
    row = Row(statistics["name"], talking)
    losses: list[Loss] = []
    for stream in statistics["streams"]:
        medium, _, direction = stream["identity"].partition(" ")
        if direction != "capture":
            continue
        row.rates_bps[medium] = stream["bit_rate_bps"]
        losses.append((stream["far_fraction_lost"], stream["packets"]))
        row.jitter_s = _worst(row.jitter_s, stream["far_jitter_s"])
        row.round_trip_s = _worst(row.round_trip_s, stream["round_trip_s"])
        if medium == "audio":
            row.level_dbov = stream["level_dbov"]
        else:
            row.fps = stream["frame_rate"]
    row.fraction_lost = _mean(losses)
    return row


def person_row(statistics: Entry, person: Entry) -> Row:
    """Somebody else, as they arrive here."""
    name = display_name(person["name"], person["identity"])
    row = Row(name, person["talking"], "muted" if person["muted"] else "")
    measured = statistics["participants"][person["identity"]]
    row.level_dbov = measured["level_dbov"]
    row.jitter_s, row.round_trip_s = measured["jitter_s"], measured["round_trip_s"]
    losses: list[Loss] = []
    for stream in statistics["streams"]:
        for substream in stream["substreams"]:
            if substream["participant"] == person["identity"]:
                medium = stream["identity"].partition(" ")[0]
                losses.append((substream["fraction_lost"], substream["packets"]))
                row.rates_bps[medium] = substream["bit_rate_bps"]
                row.fps = substream["frame_rate"] if medium == "video" else row.fps
    row.fraction_lost = _mean(losses)
    return row


def _mean(losses: list[Loss]) -> float | None:
    """Over all packets; the worst of a few sources would look worse than the network is."""
    known = [(fraction, packets) for fraction, packets in losses if fraction is not None]
    total = sum(packets for _, packets in known)
    return sum(fraction * packets for fraction, packets in known) / total if total else None


def _worst(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def level_bar(row: Row) -> Text:
    """How loud, as a bar that turns yellow and red towards its right end; grey without talk."""
    if row.note:
        return Text(row.note, NOTE_STYLES.get(row.note, "bold yellow"))
    level = QUIETEST_DBOV if row.level_dbov is None else max(QUIETEST_DBOV, min(0, row.level_dbov))
    halves = round((1 - level / QUIETEST_DBOV) * LEVEL_CELLS * 2)
    filled = "━" * (halves // 2) + "╸" * (halves % 2)
    colour = "red" if level > TOO_LOUD_DBOV else "yellow" if level > LOUD_DBOV else "green"
    rest = "─" * (LEVEL_CELLS - len(filled))
    return Text.assemble((filled, colour if row.talking else EMPTY), (rest, EMPTY))


def level_number(level_dbov: int | None) -> str:
    """A level in dBov; nothing for silence."""
    return "" if level_dbov is None or level_dbov <= QUIETEST_DBOV else str(level_dbov)


def per_cent(fraction: float | None) -> str:
    """A loss, "0.0%"."""
    return "" if fraction is None else f"{fraction * 100:.1f}%"


def milliseconds(seconds: float | None) -> str:
    """A short time, "0.4ms" or "25ms"."""
    if seconds is None:
        return ""
    ms = seconds * 1000
    return f"{ms:.1f}ms" if ms < 9.95 else f"{ms:.0f}ms"


def bit_rate(bps: float | None) -> str:
    """A rate in bit/s, "31k" or "1.2M"."""
    if bps is None:
        return ""
    return f"{bps / 1000:.0f}k" if bps < 999_500 else f"{bps / 1e6:.1f}M"


def timeline(story: Story, now_s: float, width: int) -> Text:
    """The whole story as a bar: what has passed is bright, the outage is red, the mute yellow."""

    def colour(at_s: float) -> str:
        if story.mute.start_s <= at_s < story.mute.end_s:
            return "yellow"
        return "red" if story.outage.start_s <= at_s < story.outage.end_s else "green"

    return progress(story.duration_s, now_s, width, colour)


def progress(duration_s: float, now_s: float, width: int, colour: Callable[[float], str]) -> Text:
    """A stretch of time as a bar, each second in its colour; what has passed is bright."""
    bar = Text()
    for cell in range(width):
        at_s = (cell + 0.5) / width * duration_s
        passed = at_s <= now_s
        bar.append("━" if passed else "─", colour(at_s) if passed else f"dim {colour(at_s)}")
    return bar


class Needles:
    """Levels that rise at once and fall slowly, as a needle does."""

    def __init__(self) -> None:
        self._levels: dict[Hashable, int] = {}

    def hold(self, key: Hashable, row: Row) -> Row:
        """The row with the level that its needle shows."""
        before = self._levels.get(key, QUIETEST_DBOV)
        level = QUIETEST_DBOV if row.level_dbov is None else row.level_dbov
        row.level_dbov = self._levels[key] = max(level, before - FALL_DB)
        return row
