"""SRTP on a plain transport, with keys that descriptions tell (RFC 3711, RFC 4568).

Where all members have the same key, an SSRC that two send under would mean that two packets are
encrypted alike, and everybody could tell what is in them (RFC 3711 section 9.1). So nothing is sent
under an SSRC of ours from when somebody else was heard under it. What we have sent ourselves proves
nothing of the kind, and nobody has said it again: anybody can repeat it, so it is not opened.
"""

from __future__ import annotations

from collections.abc import Hashable

from ..engine.rtp_wire import HEADER_SIZE, is_rtcp
from ..sdp.keys import Crypto
from .doubts import Doubts, Told
from .inbound import Inbound
from .ports import Address
from .srtp import keyed

RTCP_HEADER_SIZE = 8
FAILURE_SLOT_S = 0.1
MAX_FAILURES = 200
"""Packets in a slot that do not verify; then nothing of unknown sources is opened until it ends."""
MAX_OWN_REPORTS = 20_000
"""RTCP of ours, of a day and more, that is known again; of more, the latest."""
MARK_BYTES = 8
"""Of the end of SRTCP: its index and half of its tag, or more of the tag."""

USED_UP = "our key has been used for as many packets as it is good for: nothing is sent any more"


class Protection:
    """Both directions of SRTP on one transport."""

    __slots__ = (
        "own",
        "shared",
        "_burnt",
        "_doubts",
        "_echo",
        "_failures",
        "_into",
        "_left",
        "_out",
        "_own_reports",
        "_sent",
        "_slot_ends",
    )

    def __init__(
        self,
        sending: Crypto,
        receiving: Crypto,
        tell: Told,
        *,
        shared: bool,
        into: Inbound | None = None,
    ) -> None:
        """`into` has opened what was sealed with `receiving` before."""
        self.shared = shared
        """Whether others send with our key as well."""
        self.own: Hashable = None
        """Where our own packets come from when a group brings them back."""
        self._doubts = Doubts(tell)
        self._out = keyed(sending, outbound=True)
        self._into = Inbound(receiving) if into is None else into
        self._echo = keyed(receiving, outbound=False)
        self._left = sending.lifetime
        self._slot_ends, self._failures = 0.0, 0
        self._sent: dict[bytes, list[int]] = {}  # by SSRC of ours: the first number, and how many
        self._own_reports: dict[bytes, None] = {}  # how they end, in their order
        self._burnt: set[bytes] = set()

    # -- out

    def protect(self, datagram: bytes) -> bytes | None:
        """The datagram to send; None if it must not be sent, or cannot."""
        if self._left <= 0:
            self._used_up(datagram)
            return None
        rtcp = self.shared and is_rtcp(datagram)
        if self.shared:
            ssrc = datagram[4:8] if rtcp else datagram[8:12]
            if ssrc in self._burnt:
                return None
            if not rtcp:
                self._note_sent(ssrc, datagram[2] << 8 | datagram[3])
        self._left -= 1
        sealed = self._out.protect(datagram)
        if rtcp and sealed is not None:
            self._note_report(sealed)
        return sealed

    def _used_up(self, datagram: bytes) -> None:
        if not self._left:
            self._left = -1  # it is told once
            ssrc = datagram[4:8] if is_rtcp(datagram) else datagram[8:12]
            self._doubts.tell(int.from_bytes(ssrc, "big"), False, USED_UP)

    def _note_sent(self, ssrc: bytes, number: int) -> None:
        run = self._sent.setdefault(ssrc, [number, 0])
        offset = number - run[0] & 0xFFFF
        if offset >= run[1]:  # once they begin anew, all numbers are ours
            run[1] = offset + 1

    def _note_report(self, sealed: bytes) -> None:
        reports = self._own_reports
        if len(reports) >= MAX_OWN_REPORTS:
            del reports[next(iter(reports))]
        reports[sealed[-MARK_BYTES:]] = None

    # -- in

    def open(self, data: bytes, now: float, origin: Address | None) -> bytes | None:
        """What is in a datagram that arrived; None if it does not verify, or came before.

        Nor is opened what we have sent ourselves, unless it comes from `own`.
        """
        if origin == self.own:
            return self._echo.unprotect(data)
        rtcp = is_rtcp(data)
        if len(data) < (RTCP_HEADER_SIZE if rtcp else HEADER_SIZE):
            return None
        ssrc = data[4:8] if rtcp else data[8:12]
        into = self._into
        known = into.sources.get(ssrc)
        if known is None and self._failures >= MAX_FAILURES and now < self._slot_ends:
            return None
        if self.shared and self._is_ours(data, ssrc, rtcp):
            return None
        plain = into.open(data, ssrc, rtcp, now)
        if plain is None:
            if into.forged:
                if now >= self._slot_ends:
                    self._slot_ends, self._failures = now + FAILURE_SLOT_S, 0
                self._failures += 1
                host = origin[0] if origin else None
                self._doubts.failed(ssrc, rtcp, host, known, now)
            return None
        if self._doubts.by_ssrc:
            self._doubts.verified(ssrc, rtcp)
        if not rtcp and ssrc in self._sent:
            self._burnt.add(ssrc)
        return plain

    def _is_ours(self, data: bytes, ssrc: bytes, rtcp: bool) -> bool:
        # Whether we may have sent that; whose else it may be, their reports tell (RFC 3550 8.2).
        if rtcp:
            return data[-MARK_BYTES:] in self._own_reports
        run = self._sent.get(ssrc)
        return run is not None and (data[2] << 8 | data[3]) - run[0] & 0xFFFF < run[1]
