"""SRTP on a plain transport, with keys that descriptions tell (RFC 3711, RFC 4568).

What does not verify is told once for each source, and rarely: anybody can send junk.

Where all members have the same key, an SSRC that two send under would mean that two packets are
encrypted alike, and everybody could tell what is in them (RFC 3711 section 9.1). So nothing is sent
under an SSRC of ours from when somebody else was heard under it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable

from ..engine.rtp_wire import is_rtcp
from ..sdp.keys import Crypto
from .srtp import keyed

MAX_STREAMS = 20_480
"""Sources that libsrtp keeps state of, each a few hundred bytes; more are not opened."""
MIN_FAILURES = 3
"""Packets of a source that do not verify, and none that does between them, before it is told."""
RTCP_FAILURES = 2
"""So many of RTCP, which is rare."""
VERIFIED_S = 10.0
"""For so long a source that did verify is not blamed for what others send in its name."""
MAX_DOUBTED = 64
"""Sources that failed and are remembered; of more, the latest."""
MAX_TOLD = 4
"""Sources that are told of ..."""
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
USED_UP = "our key has been used for as many packets as it is good for: nothing is sent any more"
AGAIN = "authentication succeeds again"

Told = Callable[[int, bool, str], None]
"""Takes an SSRC, whether what it sends verifies, and a sentence on that."""


class _Doubt:
    __slots__ = ("count", "rtcp", "told")

    def __init__(self, rtcp: bool) -> None:
        self.count = 0
        self.rtcp = rtcp
        self.told = False


class Protection:
    """Both directions of SRTP on one transport."""

    __slots__ = (
        "own",
        "shared",
        "tell",
        "_burnt",
        "_doubts",
        "_echo",
        "_heard",
        "_heard_rtcp",
        "_into",
        "_left",
        "_out",
        "_receiving",
        "_sent",
        "_told_at",
    )

    def __init__(self, sending: Crypto, receiving: Crypto, tell: Told, *, shared: bool) -> None:
        self.shared = shared
        """Whether others send with our key as well."""
        self.own: Hashable = None
        """Where our own packets come from when a group brings them back."""
        self.tell = tell
        """Hears of sources that do not verify, and that do again."""
        self._receiving = receiving
        self._out = keyed(sending, outbound=True)
        self._into = keyed(receiving, outbound=False)
        self._echo = keyed(receiving, outbound=False)
        self._left = sending.lifetime
        self._heard: dict[bytes, float] = {}  # by packed SSRC, when it verified last
        self._heard_rtcp: dict[bytes, float] = {}
        self._doubts: dict[bytes, _Doubt] = {}
        self._told_at: deque[float] = deque(maxlen=MAX_TOLD)
        self._sent: dict[bytes, list[int]] = {}  # by SSRC of ours: the first number, and how many
        self._burnt: set[bytes] = set()

    # -- out

    def protect(self, datagram: bytes) -> bytes | None:
        """The datagram to send; None if it must not be sent, or cannot."""
        if self._left <= 0:
            self._used_up(datagram)
            return None
        if self.shared:
            rtcp = is_rtcp(datagram)
            ssrc = datagram[4:8] if rtcp else datagram[8:12]
            if ssrc in self._burnt:
                return None
            if not rtcp:
                self._note_sent(ssrc, datagram[2] << 8 | datagram[3])
        self._left -= 1
        return self._out.protect(datagram)

    def _used_up(self, datagram: bytes) -> None:
        if not self._left:
            self._left = -1  # it is told once
            ssrc = datagram[4:8] if is_rtcp(datagram) else datagram[8:12]
            self.tell(int.from_bytes(ssrc, "big"), False, USED_UP)

    def _note_sent(self, ssrc: bytes, number: int) -> None:
        run = self._sent.setdefault(ssrc, [number, 0])
        offset = number - run[0] & 0xFFFF
        if offset >= run[1]:  # once they begin anew, all numbers are ours
            run[1] = offset + 1

    # -- in

    def open(self, data: bytes, now: float, origin: Hashable) -> bytes | None:
        """What is in a datagram that arrived; None if it does not verify, or came before."""
        if origin == self.own:
            return self._echo.unprotect(data)
        rtcp = is_rtcp(data)
        ssrc, heard = (data[4:8], self._heard_rtcp) if rtcp else (data[8:12], self._heard)
        if ssrc not in heard and len(heard) >= MAX_STREAMS:
            return None
        plain = self._into.unprotect(data)
        if plain is None:
            if self._into.forged:
                self._failed(ssrc, rtcp, heard.get(ssrc), now)
            return None
        heard[ssrc] = now
        if self._doubts:
            self._verified(ssrc, rtcp)
        if ssrc in self._sent and not rtcp and self._is_no_echo(ssrc, data):
            self._burnt.add(ssrc)
        return plain

    def _is_no_echo(self, ssrc: bytes, data: bytes) -> bool:
        # Whether we cannot have sent that; of others the session finds out (RFC 3550 8.2).
        first, count = self._sent[ssrc]
        return (data[2] << 8 | data[3]) - first & 0xFFFF >= count

    # -- doubts

    def _failed(self, ssrc: bytes, rtcp: bool, verified: float | None, now: float) -> None:
        if verified is not None and now - verified < VERIFIED_S:
            return
        doubt = self._doubts.get(ssrc)
        if doubt is None:
            if len(self._doubts) >= MAX_DOUBTED:
                del self._doubts[next(iter(self._doubts))]
            doubt = self._doubts[ssrc] = _Doubt(rtcp)
        if doubt.rtcp and not rtcp:
            doubt.rtcp, doubt.count = False, 0
        doubt.count += 1
        enough = RTCP_FAILURES if doubt.rtcp else MIN_FAILURES
        if doubt.told or doubt.count < enough or not self._may_tell(now):
            return
        doubt.told = True
        text = FAILED
        if doubt.rtcp and ssrc in self._heard:
            text = REPORTS
        elif not doubt.rtcp and ssrc in self._heard_rtcp:
            text += WRAPPED
        self.tell(int.from_bytes(ssrc, "big"), False, text)

    def _may_tell(self, now: float) -> bool:
        told = self._told_at
        if len(told) == MAX_TOLD and now - told[0] < TOLD_PERIOD_S:
            return False
        told.append(now)
        return True

    def _verified(self, ssrc: bytes, rtcp: bool) -> None:
        doubt = self._doubts.get(ssrc)
        if doubt is not None and doubt.rtcp is rtcp:
            del self._doubts[ssrc]
            if doubt.told:
                self.tell(int.from_bytes(ssrc, "big"), True, AGAIN)
