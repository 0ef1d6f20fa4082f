"""How good a guest's connection is, in the numbers that pages show."""

from __future__ import annotations

from ..stats import CallStats

LIMITS = ((0.01, 0.2), (0.03, 0.4), (0.08, 0.7), (0.20, 1.5))
"""Loss, 0..1, and round trip in seconds, up to which a connection has 4, 3, 2 and 1 points."""


Quality = dict[str, float | None]


class QualityMeter:
    """Measures one call again and again; rates are of the time between two measurements."""

    def __init__(self) -> None:
        self.latest: Quality = {}
        """What was measured last."""
        self._before: tuple[float, int, int] | None = None

    def measure(self, stats: CallStats, now: float) -> Quality:
        """What there is to tell: loss 0..1, times in ms, kbit/s with all headers, 0 to 4 points.

        None is what nobody has told yet.
        """
        sent = sum(transport.sent_bytes for transport in stats.transports)
        received = sum(transport.received_bytes for transport in stats.transports)
        since, sent_before, received_before = self._before or (now, sent, received)
        self._before = (now, sent, received)
        people = stats.participants.values()
        loss_in = max((person.fraction_lost for person in people), default=None)
        jitter_s = max((person.jitter_s for person in people), default=None)
        told = [s.far_fraction_lost for s in stats.streams if s.far_fraction_lost is not None]
        loss_out = max(told, default=None)
        trips = [s.round_trip_s for s in stats.streams if s.round_trip_s is not None]
        round_trip_s = max(trips, default=None)
        self.latest = {
            "loss_in": _rounded(loss_in, 1, 4),
            "loss_out": _rounded(loss_out, 1, 4),
            "jitter_ms": _rounded(jitter_s, 1000, 1),
            "rtt_ms": _rounded(round_trip_s, 1000, 1),
            "kbps_in": _rate_kbps(received - received_before, now - since),
            "kbps_out": _rate_kbps(sent - sent_before, now - since),
            "score": score(max(loss_in or 0.0, loss_out or 0.0), round_trip_s or 0.0),
        }
        return self.latest


def score(loss: float, round_trip_s: float) -> int:
    """0 (hardly usable) to 4 (nothing is noticed)."""
    fits = [loss <= lost and round_trip_s <= trip_s for lost, trip_s in LIMITS]
    return 4 - fits.index(True) if True in fits else 0


def _rate_kbps(octets: int, duration_s: float) -> float:
    # A new transport counts anew.
    return round(max(octets, 0) * 8 / 1000 / duration_s, 1) if duration_s > 0 else 0.0


def _rounded(value: float | None, factor: float, digits: int) -> float | None:
    return None if value is None else round(value * factor, digits)
