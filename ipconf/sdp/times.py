"""When a conference takes place: t=, r= and z= lines (RFC 8866 sections 5.9 to 5.11).

Times in descriptions are seconds since 1900 (NTP's count), which here does not wrap in 2036;
whatever else has to do with time in this package counts from 1970.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from ..settings import Settings

NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900 to 1970."""
MAX_SECONDS = (1 << 40) - 1
"""Some 34 000 years."""
MAX_LINES = 128
"""Repeats, offsets and adjustments of one time."""

NtpSeconds = Annotated[int, Field(ge=0, le=MAX_SECONDS)]
Seconds = Annotated[int, Field(ge=0, le=MAX_SECONDS)]
SignedSeconds = Annotated[int, Field(ge=-MAX_SECONDS, le=MAX_SECONDS)]


def ntp_of(unix_s: float) -> int:
    """That instant in NTP's count."""
    return int(unix_s) + NTP_EPOCH_S


class Repeat(Settings):
    """Every so often from the start on (r=): `interval` 604800, `offsets` 0 and 90000 is each
    Monday, and Tuesday an hour later, if the start is a Monday."""

    interval: int = Field(ge=1, le=MAX_SECONDS)
    """Seconds from one time to the next."""
    duration: Seconds
    """How long it lasts each time."""
    offsets: tuple[Seconds, ...] = Field(default=(0,), min_length=1, max_length=MAX_LINES)
    """Seconds after the start of each interval."""

    def _covers(self, elapsed: float) -> bool:
        """Whether it takes place so many seconds after the first start."""
        return any(
            elapsed >= offset and (elapsed - offset) % self.interval < self.duration
            for offset in self.offsets
        )


class ZoneAdjustment(Settings):
    """Daylight saving time (z=): from an instant on, repeats are shifted by that much."""

    time: NtpSeconds
    shift: SignedSeconds
    """Seconds; negative is earlier. The next adjustment takes its place, and is not added."""


class Timing(Settings):
    """One t= line with its repeats (MSPI: ITTime)."""

    start: NtpSeconds = 0
    """Seconds since 1900; 0 with a stop of 0 means always."""
    stop: NtpSeconds = 0
    """Seconds since 1900; 0 means without end."""
    repeats: tuple[Repeat, ...] = Field(default=(), max_length=MAX_LINES)
    """None means from start to stop in one go."""
    adjustments: tuple[ZoneAdjustment, ...] = Field(default=(), max_length=MAX_LINES)
    """Of the repeats, in the order of their times."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if 0 < self.stop < self.start:
            raise ValueError("the stop lies before the start")
        times = [adjustment.time for adjustment in self.adjustments]
        if times != sorted(times):
            raise ValueError("the adjustments of time zones are not in the order of their times")
        return self

    @classmethod
    def between(cls, start_unix_s: float, stop_unix_s: float | None = None) -> Timing:
        """From one instant, as of `time.time()`, to another; None is without end."""
        return cls(
            start=ntp_of(start_unix_s), stop=0 if stop_unix_s is None else ntp_of(stop_unix_s)
        )

    @property
    def starts_at(self) -> float | None:
        """Seconds since 1970; None if it has always begun."""
        return float(self.start - NTP_EPOCH_S) if self.start else None

    @property
    def ends_at(self) -> float | None:
        """Seconds since 1970; None if it has no end."""
        return float(self.stop - NTP_EPOCH_S) if self.stop else None

    def is_active(self, unix_s: float) -> bool:
        """Whether the conference takes place at that instant, as of `time.time()`."""
        now = unix_s + NTP_EPOCH_S
        if now < self.start or (self.stop and now >= self.stop):
            return False
        if not self.repeats:
            return True
        shift = 0
        for adjustment in self.adjustments:
            if now >= adjustment.time:
                shift = adjustment.shift
        return any(repeat._covers(now - shift - self.start) for repeat in self.repeats)
