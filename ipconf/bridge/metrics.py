"""What Prometheus is told: numbers alone, never the name of a room or of a guest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from .guests import Kind
from .lateness import Lateness

if TYPE_CHECKING:
    from .rooms import Rooms
    from .traffic import CountingProvider

PREFIX = "ipconf_bridge_"
DROPPED = ("unsent", "empty", "unknown", "unauthenticated", "refused", "flooded")
"""Fields of `TransportCounters`, which says what each is."""


Labelled = Mapping[Any, int]
"""Numbers by the values of their labels, a tuple."""


class Metrics(Collector):
    """Counts what happens, and reads from rooms and calls what they have counted."""

    def __init__(self, rooms: Rooms, msp: CountingProvider) -> None:
        self._rooms = rooms
        self._msp = msp
        self._joins: Counter[tuple[str, ...]] = Counter({(k,): 0 for k in get_args(Kind)})
        self._refusals: Counter[tuple[str, ...]] = Counter()
        self._answers: Counter[tuple[str, ...]] = Counter()
        self._lateness = Lateness()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        for stock in (ProcessCollector, PlatformCollector, GCCollector):
            stock(registry=self._registry)

    def close(self) -> None:
        """Measure no more."""
        self._lateness.close()

    def refused(self, code: str) -> None:
        """A client was refused something."""
        self._refusals[code,] += 1

    def joined(self, kind: Kind) -> None:
        """A guest came in."""
        self._joins[kind,] += 1

    def answered(self, route: str, status: int) -> None:
        """A request was answered; `route` has nothing of the path in it."""
        self._answers[route, str(status)] += 1

    def page(self) -> bytes:
        """All of it, in the format of `CONTENT_TYPE_LATEST`."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the registry would read all of it to know the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Everything as it is now."""
        yield from self._now()
        yield _counted("joins", "Guests who came in.", ("kind",), self._joins)
        yield _counted("refusals", "What clients were refused.", ("code",), self._refusals)
        yield _counted(
            "http_requests", "Requests that were answered.", ("route", "status"), self._answers
        )
        yield from self._traffic()
        skipped = self._msp.ticker.skipped
        help_text = "Ticks of 10 ms of media that were lost because the loop stood still."
        yield _counted("skipped_ticks", help_text, (), {(): skipped})
        yield HistogramMetricFamily(
            f"{PREFIX}loop_lateness_seconds",
            "How late a timer of the event loop came.",
            buckets=self._lateness.buckets(),
            sum_value=self._lateness.total_s,
        )

    def _now(self) -> Iterator[Metric]:
        rooms = self._rooms.rooms.values()
        conferences = [room.conference for room in rooms]
        people = [person for each in conferences for person in each.attendees]
        legs = sum(len(each.legs) for each in conferences)
        recorded = sum(len(each.recordings) for each in conferences)
        kinds = Counter(guest.kind for room in rooms for guest in room.guests)
        yield GaugeMetricFamily(f"{PREFIX}rooms", "Rooms that are there.", len(conferences))
        yield GaugeMetricFamily(f"{PREFIX}legs", "Legs of all conferences.", legs)
        yield GaugeMetricFamily(f"{PREFIX}people", "People in all rooms.", len(people))
        talking = sum(person.talking for person in people)
        yield GaugeMetricFamily(f"{PREFIX}talkers", "Those who talk just now.", talking)
        yield GaugeMetricFamily(f"{PREFIX}recordings", "Rooms being recorded.", recorded)
        guests = GaugeMetricFamily(f"{PREFIX}guests", "Guests by what they use.", labels=["kind"])
        for kind in get_args(Kind):
            guests.add_metric([kind], kinds[kind])
        yield guests

    def _traffic(self) -> Iterator[Metric]:
        told = self._msp.traffic.total()
        ways, lost = ("direction",), ("reason",)
        packets = {("in",): told.received, ("out",): told.sent}
        octets = {("in",): told.received_bytes, ("out",): told.sent_bytes}
        yield _counted("packets", "Datagrams of media, taken and sent.", ways, packets)
        yield _counted("packet_bytes", "What was in them.", ways, octets)
        dropped = {(reason,): getattr(told, reason) for reason in DROPPED}
        yield _counted("packets_dropped", "Datagrams thrown away.", lost, dropped)


def _counted(
    name: str, text: str, labels: tuple[str, ...], values: Labelled
) -> CounterMetricFamily:
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family
