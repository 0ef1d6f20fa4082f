"""Simulcast: of the layers of one picture the best that comes is on a substream (RFC 8853).

Layers are sources of one section with different RTP stream ids. Who is seen is one person, so the
others have no substream; a terminal that takes packets gets them all the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..engine.reception import RemoteSource
from .runnable import RateMeter

SILENT_S = 1.0
"""A layer without a packet for so long is switched off."""
BETTER = 1.5
"""Another layer takes the place of one that comes if it has so many times its bit rate ..."""
MIN_STAY_S = 2.0
"""... and that one has had it for so long: decoding begins anew with a key frame."""


class _Picture:
    """The layers of one picture, and which of them is on a substream."""

    def __init__(self, seated: RemoteSource) -> None:
        self.seated = seated
        self.moved_at = -math.inf
        self.meters: dict[RemoteSource, RateMeter] = {}

    def best(self, now: float) -> RemoteSource:
        """Who should be on the substream; the one who is, while there is no good reason."""
        rates = {
            source: meter.bit_rate_bps
            for source, meter in self.meters.items()
            if source.last_rtp is not None and now - source.last_rtp < SILENT_S
        }
        best = max(rates, key=rates.__getitem__, default=self.seated)
        if self.seated in rates:
            stays = now < self.moved_at + MIN_STAY_S
            if stays or rates[best] <= BETTER * rates[self.seated]:
                return self.seated
        return best


class Layers:
    """The layers of all pictures of an arriving stream."""

    def __init__(self) -> None:
        self._by_mid: dict[str | None, _Picture] = {}
        self._by_source: dict[RemoteSource, _Picture] = {}

    def __contains__(self, source: RemoteSource) -> bool:
        return source in self._by_source

    @property
    def spares(self) -> Iterator[RemoteSource]:
        """All that are on no substream."""
        return (source for source, p in self._by_source.items() if source is not p.seated)

    def is_spare(self, source: RemoteSource) -> bool:
        """Whether another layer of its picture is on a substream; the first one that comes is."""
        picture = self._by_source.get(source)
        if picture is None:
            picture = self._by_mid.setdefault(source.mid, _Picture(source))
            self._by_source[source] = picture
            picture.meters[source] = RateMeter()
        return picture.seated is not source

    def moves(self, now: float) -> Iterator[tuple[RemoteSource, RemoteSource]]:
        """Who is to give up a substream, and to whom; call it about once a second."""
        for picture in tuple(self._by_mid.values()):
            for source, meter in picture.meters.items():
                meter.sample(source.octets, 0, now)
            seated, best = picture.seated, picture.best(now)
            if best is not seated:
                picture.seated, picture.moved_at = best, now
                yield seated, best

    def forget(self, source: RemoteSource) -> RemoteSource | None:
        """A layer is gone; who gets the substream that it was on, if there is somebody."""
        picture = self._by_source.pop(source)
        del picture.meters[source]
        if not picture.meters:
            self._by_mid = {mid: p for mid, p in self._by_mid.items() if p is not picture}
            return None
        if picture.seated is not source:
            return None
        rates = {other: meter.bit_rate_bps for other, meter in picture.meters.items()}
        picture.seated = max(rates, key=rates.__getitem__)
        return picture.seated
