"""The receivers of an arriving stream, one for each substream that is rendered.

A receiver is made when the first packet comes. One that fails is given up, and tried again a
second later; it is reported once (`failures`), and nobody else notices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ..engine.rtp_wire import RtpPacket
from ..model import Cause
from .failures import Failures, Report

if TYPE_CHECKING:
    from .substreams import SubStream


class Receiver(Protocol):
    """What decodes one source (`pipelines.AudioReceiver`, `pipelines.VideoReceiver`)."""

    @property
    def decoded(self) -> int:
        """Payloads of sound or pictures decoded up to now."""

    @property
    def concealed_s(self) -> float:
        """Sound that was missing and replaced; of pictures nothing is."""

    @property
    def delay_s(self) -> float:
        """How much later media is played than it could be."""

    @property
    def failure(self) -> Exception | None:
        """Why nothing has been decoded for a while, though media came."""

    def push(self, packet: RtpPacket, now: float) -> None:
        """Take a packet."""

    def close(self) -> None:
        """Give up what decodes."""


R = TypeVar("R", bound=Receiver)


class Receivers(Generic[R]):
    """Who decodes which substream; `make` makes a receiver, and may fail."""

    def __init__(self, make: Callable[[SubStream], R], report: Report) -> None:
        self._make = make
        self._made: dict[SubStream, R] = {}
        self._failures = Failures(report)

    def __len__(self) -> int:
        return len(self._made)

    def get(self, substream: SubStream) -> R | None:
        """The receiver of a substream, while there is one."""
        return self._made.get(substream)

    def items(self) -> tuple[tuple[SubStream, R], ...]:
        """Who is decoded now (a snapshot)."""
        return tuple(self._made.items())

    def push(self, substream: SubStream, packet: RtpPacket, now: float) -> None:
        """Hand a packet to the receiver of a substream, which is made if need be."""
        receiver = self._made.get(substream)
        if receiver is None:
            if self._failures.blocks(substream, now):
                return
            try:
                receiver = self._made[substream] = self._make(substream)
            except Exception as exc:
                self._failures.failed(substream, exc, now, Cause.CONNECT_FAIL)
                return
        try:
            receiver.push(packet, now)
        except Exception as exc:  # one person's media must not disturb the others'
            self.fail(substream, exc, now)

    def watch(self, now: float) -> None:
        """Give up receivers that decode nothing, and notice those that work again."""
        for substream, receiver in self.items():
            if receiver.failure is not None:
                self.fail(substream, receiver.failure, now)
        for who in self._failures.failing:
            found = self._made.get(who)  # type: ignore[call-overload]
            if found is not None and found.decoded:
                self._failures.worked(who)

    def fail(self, substream: SubStream, error: Exception, now: float) -> None:
        """A receiver does not work: give it up for a second."""
        self.drop(substream)
        self._failures.failed(substream, error, now, Cause.UNKNOWN)

    def drop(self, substream: SubStream) -> None:
        """Nobody wants to see or hear that substream now."""
        receiver = self._made.pop(substream, None)
        if receiver is not None:
            substream.keep_counts(receiver.decoded, receiver.concealed_s)
            receiver.close()

    def forget(self, substream: SubStream) -> None:
        """The substream carries somebody else from now on, or is no more."""
        self.drop(substream)
        self._failures.worked(substream)

    def renew(self) -> None:
        """Other formats are agreed on: what failed may work now."""
        for substream, _ in self.items():
            self.drop(substream)
        self._failures.clear()
