"""Sources that do not verify: told once for each, and rarely, as anybody can send junk. Sans-IO."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable
from math import inf

from .inbound import Source

MIN_FAILURES = 3
"""Packets of a source that do not verify, and none that does between them, before it is told."""
RTCP_FAILURES = 2
"""So many of RTCP, which is rare."""
VERIFIED_S = 10.0
"""For so long a source that did verify is not blamed for what others send in its name."""
MAX_DOUBTED = 64
"""Sources that failed and are remembered; of more, not those of the host that most are of."""
MAX_TOLD = 4
"""Sources that are told of, and one more of a host of which none is ..."""
TOLD_PERIOD_S = 60.0
"""... within so long."""

FAILED = "authentication fails: wrong key or unknown rollover counter"
WRAPPED = (
    "; its RTCP verifies, so the key is right, and its sequence numbers began anew before we came: "
    "it cannot be decrypted until it comes back under another SSRC"
)
REPORTS = (
    "authentication of its RTCP fails, though its media verify: it has no name here, and when it "
    "leaves is found out late"
)
AGAIN = "authentication succeeds again"

Told = Callable[[int, bool, str], None]
"""Takes an SSRC, whether what it sends verifies, and a sentence on that."""


class _Doubt:
    __slots__ = ("count", "host", "rtcp", "told")

    def __init__(self, rtcp: bool, host: Hashable) -> None:
        self.count = 0
        self.rtcp = rtcp
        self.host = host
        self.told = False


class Doubts:
    """Whose packets failed, and who of them was told of."""

    __slots__ = ("by_ssrc", "tell", "_told")

    def __init__(self, tell: Told) -> None:
        self.tell = tell
        self.by_ssrc: dict[bytes, _Doubt] = {}
        self._told: deque[tuple[float, Hashable]] = deque()  # when, and of which host

    def failed(
        self, ssrc: bytes, rtcp: bool, host: Hashable, known: Source | None, now: float
    ) -> None:
        """A packet that came from `host` does not verify; `known` is who has that SSRC."""
        if known is not None and now - (known.reports if rtcp else known.media) < VERIFIED_S:
            return
        doubt = self.by_ssrc.get(ssrc)
        if doubt is None:
            if len(self.by_ssrc) >= MAX_DOUBTED:
                self._make_room()
            doubt = self.by_ssrc[ssrc] = _Doubt(rtcp, host)
        if doubt.rtcp and not rtcp:
            doubt.rtcp, doubt.count = False, 0
        doubt.count += 1
        enough = RTCP_FAILURES if doubt.rtcp else MIN_FAILURES
        if doubt.told or doubt.count < enough or not self._may_tell(host, now):
            return
        doubt.told = True
        text = FAILED
        if known is not None and doubt.rtcp and known.media > -inf:
            text = REPORTS
        elif known is not None and not doubt.rtcp and known.reports > -inf:
            text += WRAPPED
        self.tell(int.from_bytes(ssrc, "big"), False, text)

    def verified(self, ssrc: bytes, rtcp: bool) -> None:
        """A packet did."""
        doubt = self.by_ssrc.get(ssrc)
        if doubt is not None and doubt.rtcp is rtcp:
            del self.by_ssrc[ssrc]
            if doubt.told:
                self.tell(int.from_bytes(ssrc, "big"), True, AGAIN)

    def _make_room(self) -> None:
        # Of the host with most, half of them, of which least came: one with many made-up SSRCs
        # pushes out its own, not a member.
        doubts = self.by_ssrc
        ((crowd, _),) = Counter([doubt.host for doubt in doubts.values()]).most_common(1)
        theirs = [ssrc for ssrc, doubt in doubts.items() if doubt.host == crowd]
        theirs.sort(key=lambda ssrc: doubts[ssrc].count)
        for ssrc in theirs[: 1 + len(theirs) // 2]:
            del doubts[ssrc]

    def _may_tell(self, host: Hashable, now: float) -> bool:
        told = self._told
        while told and now - told[0][0] >= TOLD_PERIOD_S:
            told.popleft()
        of_host = any(host == other for _, other in told)
        if len(told) >= (MAX_TOLD if of_host else MAX_TOLD + 1):
            return False
        told.append((now, host))
        return True
