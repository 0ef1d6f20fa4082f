"""How often SAP announcements are repeated (RFC 2974 section 3.1)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..settings import Settings

Seconds = Annotated[float, Field(gt=0)]


class SapSettings(Settings):
    """How often announcements are sent, and how much is kept of others'. Times are seconds."""

    min_interval_s: Seconds = 300.0
    """Between two announcements of one conference at least, on average. Shorter ones are for tests,
    and for networks whose owner wants them."""
    bandwidth_bps: float = Field(default=4000.0, gt=0)
    """Of all announcements of a group together, everybody's."""
    compress: bool = False
    """Whether ours are compressed; not everybody can read that, FFmpeg for one."""
    min_lifetime_s: Seconds = 3600.0
    """What is no longer heard is kept for ten intervals, and no shorter than this."""
    max_entries: int = Field(default=1000, ge=1, le=100_000)
    """Conferences of others that are kept."""
    max_entries_per_sender: int = Field(default=100, ge=1)
    """Of them, from one address."""
    max_bytes: int = Field(default=2_000_000, ge=1000)
    """Of the texts of all together."""
    max_entry_bytes: int = Field(default=8192, ge=100)
    """Of one text; RFC 2974 asks for 1 kB."""
    max_packets_per_s: float = Field(default=200.0, ge=1)
    """Packets that are looked at."""
    max_parsed_per_s: float = Field(default=10.0, ge=1)
    """Texts that are read, because they are not known already."""


def base_interval(count: int, size: int, settings: SapSettings) -> float:
    """Seconds between announcements of `size` bytes, where a group has `count` of them."""
    return max(settings.min_interval_s, 8 * count * size / settings.bandwidth_bps)


def lifetime(count: int, size: int, settings: SapSettings) -> float:
    """Seconds after which an announcement that is not repeated is forgotten (section 4)."""
    return max(settings.min_lifetime_s, 10 * base_interval(count, size, settings))


class RateLimit:
    """So many a second, and as many at once."""

    def __init__(self, per_s: float) -> None:
        self._per_s = self._left = per_s
        self._since: float | None = None

    def allows(self, now: float) -> bool:
        """Whether one more may come now; it then counts."""
        if self._since is not None:
            self._left = min(self._per_s, self._left + (now - self._since) * self._per_s)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
