"""What all calls of a provider have sent and received, also those that are over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from functools import partial
from weakref import finalize

from ..model import CallSettings, Identity
from ..msp import MediaServiceProvider
from ..transports.base import SignalledTransport, TransportCounters

NAMES = [field.name for field in fields(TransportCounters)]


class Traffic:
    """Adds up the counters of transports; those of one that is gone are kept as a sum."""

    def __init__(self) -> None:
        self._gone = TransportCounters()
        self._live: dict[int, TransportCounters] = {}

    def watch(self, transport: SignalledTransport) -> None:
        """Count what goes over this one from now on."""
        counters = transport.counters
        self._live[id(counters)] = counters
        finalize(transport, partial(self._keep, id(counters))).atexit = False

    def total(self) -> TransportCounters:
        """The sum of all there are and were."""
        return _sum([self._gone, *self._live.values()])

    def _keep(self, number: int) -> None:
        self._gone = _sum([self._gone, self._live.pop(number)])


def _sum(counters: Iterable[TransportCounters]) -> TransportCounters:
    told = list(counters)
    return TransportCounters(**{name: sum(getattr(c, name) for c in told) for name in NAMES})


class CountingProvider(MediaServiceProvider):
    """A provider that knows the traffic of all its calls."""

    def __init__(
        self, identity: Identity | None = None, settings: CallSettings | None = None
    ) -> None:
        super().__init__(identity, settings)
        self.traffic = Traffic()

    def make_transport(self, settings: CallSettings) -> SignalledTransport:
        """The stock transport, watched."""
        transport = super().make_transport(settings)
        self.traffic.watch(transport)
        return transport
