"""The numbers and bars of the live view."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.text import Text

from .log import Entry
from .story import Story

LEVEL_CELLS = 11
QUIETEST_DBOV = -60
"""The left end of a level bar; the right end is 0 dBov."""
LOUD_DBOV = -15
TOO_LOUD_DBOV = -6
HALF_CELLS = {0: "", 1: "╸"}


@dataclass(slots=True)
class Row:
    """What is shown of one person."""

    name: str = ""
    talking: bool = False
    note: str = ""
    """Instead of a level: that they vanished or left; or beside the name: that they are muted."""
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
    for stream in statistics["streams"]:
        medium, _, direction = stream["identity"].partition(" ")
        if direction != "capture":
            continue
        row.rates_bps[medium] = stream["bit_rate_bps"]
        row.fraction_lost = _worst(row.fraction_lost, stream["far_fraction_lost"])
        row.jitter_s = _worst(row.jitter_s, stream["far_jitter_s"])
        row.round_trip_s = _worst(row.round_trip_s, stream["round_trip_s"])
        if medium == "audio":
            row.level_dbov = stream["level_dbov"]
        else:
            row.fps = stream["frame_rate"]
    return row


def person_row(statistics: Entry, person: Entry) -> Row:
    """Somebody else, as they arrive here."""
    row = Row(person["name"], person["talking"], "muted" if person["muted"] else "")
    measured = statistics["participants"][person["identity"]]
    row.level_dbov = measured["level_dbov"]
    row.fraction_lost, row.jitter_s = measured["fraction_lost"], measured["jitter_s"]
    row.round_trip_s = measured["round_trip_s"]
    for stream in statistics["streams"]:
        for substream in stream["substreams"]:
            if substream["participant"] == person["identity"]:
                medium = stream["identity"].partition(" ")[0]
                row.rates_bps[medium] = substream["bit_rate_bps"]
                row.fps = substream["frame_rate"] if medium == "video" else row.fps
    return row


def _worst(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def level_bar(level_dbov: int | None, muted: bool) -> Text:
    """How loud, as a bar that turns yellow and red towards its right end."""
    level = QUIETEST_DBOV if level_dbov is None else max(QUIETEST_DBOV, min(0, level_dbov))
    halves = round((1 - level / QUIETEST_DBOV) * LEVEL_CELLS * 2)
    colour = "green"
    if muted:
        colour = "bright_black"
    elif level > TOO_LOUD_DBOV:
        colour = "red"
    elif level > LOUD_DBOV:
        colour = "yellow"
    filled = "━" * (halves // 2) + HALF_CELLS[halves % 2]
    return Text.assemble((filled, colour), ("━" * (LEVEL_CELLS - len(filled)), "grey23"))


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
    bar = Text()
    for cell in range(width):
        at_s = (cell + 0.5) / width * story.duration_s
        colour = "green"
        if story.mute.start_s <= at_s < story.mute.end_s:
            colour = "yellow"
        elif story.outage.start_s <= at_s < story.outage.end_s:
            colour = "red"
        passed = at_s <= now_s
        bar.append("━" if passed else "─", colour if passed else f"dim {colour}")
    return bar
