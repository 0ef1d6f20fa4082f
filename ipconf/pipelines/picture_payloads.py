"""Encoded pictures of one source on their way to terminals that take them as they are."""

from __future__ import annotations

from collections.abc import Sequence

from ..engine.assembly import AssembledFrame
from ..engine.rtp_wire import RtpPacket
from ..model import VIDEO_CLOCK_HZ
from ..terminals.payloads import PayloadTerminal
from .steady_times import SteadyTimes


class PicturePayloads:
    """Knows when pictures are due, and who can use them: each follows the one before it."""

    def __init__(self) -> None:
        self._times = SteadyTimes(VIDEO_CLOCK_HZ)
        self._count = 0
        self._due = 0.0
        self._following: set[PayloadTerminal] = set()
        self._left_out: list[PayloadTerminal] = []

    @property
    def needs_key_frame(self) -> bool:
        """Whether somebody waits for one."""
        following = self._following
        return bool(self._left_out) or any(each.needs_key_frame for each in following)

    def takers(
        self, terminals: Sequence[PayloadTerminal], key_frame: bool
    ) -> list[PayloadTerminal]:
        """Who of all that want the next picture can use it; the others wait for a key frame."""
        before = self._following
        takers = [
            each for each in terminals if key_frame or each in before and not each.needs_key_frame
        ]
        self._following = set(takers)
        self._left_out = [each for each in terminals if each not in self._following]
        return takers

    def due(self, frame: AssembledFrame, with_sound: float | None) -> float:
        """When a picture is due: with its sound, if that is known; never before another one."""
        self._count = (self._count + 1) & 0xFFFF
        stamp = RtpPacket(0, self._count, frame.timestamp, 0, b"")
        steady = self._times.due(stamp, frame.arrival)
        due = with_sound if with_sound is not None else steady
        self._due = max(self._due, frame.arrival if due is None else due)
        return self._due
