"""One sent source of pictures that is fed by many, one after the other (RFC 7667 section 3.6.2).

Who receives it sees one camera that never stops: sequence numbers, timestamps and the picture ids
of VP8 go on over every switch, and a switch is made where a key frame begins.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Mapping, Sequence

from ..errors import ConfigurationError, WireError
from .local_source import LocalSource
from .picture_marks import LONG_PICTURE_ID, PictureFormat, PictureMark
from .rtp_wire import MAX_CSRCS, RtpPacket
from .sent_packets import HISTORY_PACKETS

CLOCK_RATE = 90_000
"""Of the timestamps, in Hz; VP8 and H.264 have no other."""
MIN_STEP = CLOCK_RATE // 30
"""Ticks between the last picture of one source and the first of the next, at least."""
MAX_SWALLOWED = 64
"""Packets without payload that are remembered for those that come late."""
KEY_FRAME_SPACING_S = 1.0
"""A source is not asked for key frames more often, whoever wants them: they are large."""
KEY_FRAME_RETRY_S = 0.5
"""A request that brings nothing is repeated once after this, then as often as allowed."""

_pack_picture = struct.Struct("!HH").pack
_pack_picture_and_tl0 = struct.Struct("!HHB").pack
_pack_tl0 = struct.Struct("!HB").pack


class Slot:
    """An SSRC of ours and whose pictures go out under it.

    Feeds are any objects that stand for a source, compared by identity.
    """

    __slots__ = (
        "dropped",
        "mismatched",
        "shown",
        "switches",
        "wanted",
        "_begun_at",
        "_csrcs",
        "_highest",
        "_last_picture",
        "_last_sent",
        "_last_timestamp",
        "_last_tl0",
        "_offset",
        "_payload_type",
        "_payload_types",
        "_picture_offset",
        "_run",
        "_source",
        "_swallowed",
        "_ticks",
        "_tl0_offset",
        "_unfit",
        "_wanted_csrcs",
    )

    def __init__(self, source: LocalSource, payload_types: Mapping[PictureFormat, int]) -> None:
        """`payload_types` go out, by format; `ConfigurationError` for one that was not negotiated.

        Nobody else may send with `source`.
        """
        for payload_type in payload_types.values():
            if payload_type not in source.payload_types:
                raise ConfigurationError(
                    f"section {source.mid!r} has no payload type {payload_type}; "
                    f"negotiated are {sorted(source.payload_types)}"
                )
        self._source = source
        self._payload_types = dict(payload_types)
        self.shown: object | None = None
        """Whose pictures go out."""
        self.wanted: object | None = None
        """Whose pictures are to go out; another one than `shown` until it begins a key frame."""
        self.switches = 0
        self.mismatched = 0
        """Packets of formats the slot does not have."""
        self.dropped = 0
        """Packets that came too late, again, or from before the switch."""
        self._unfit = False  # the wanted feed sends what the slot does not have
        self._csrcs = self._wanted_csrcs = b""
        self._last_timestamp: int | None = None
        self._last_sent = 0.0  # when the picture of that timestamp began
        self._last_picture = self._last_tl0 = -1  # ids sent last; picture ids do not wrap around
        # Of what is shown, set when it begins. Numbers, ticks and ids of ours are the feed's own
        # plus an offset; all numbers are extended, so that they do not wrap around.
        self._run = self._payload_type = 0
        self._begun_at = self._highest = self._offset = 0
        self._ticks = self._picture_offset = self._tl0_offset = 0
        self._swallowed: deque[int] = deque()  # numbers of packets that went out as none

    def show(self, feed: object | None, csrcs: Sequence[int] = (), *, keep: bool = True) -> None:
        """Show another source, from its next key frame on, or nobody (None) at once.

        `csrcs` go out with its packets. The present one goes on until then unless `keep` is False.
        `WireError` when there are too many CSRCs or one does not fit 32 bits.
        """
        packed = _pack_csrcs(csrcs)
        if feed is not self.wanted:
            self._unfit = False
        self.wanted = feed
        self._wanted_csrcs = packed
        if feed is None or (feed is not self.shown and not keep):
            self.shown = None
        elif feed is self.shown:
            self._csrcs = packed

    def forget(self, feed: object) -> None:
        """That source is gone: it is neither shown nor wanted any more."""
        if feed is self.shown:
            self.shown = None
        if feed is self.wanted:
            self.wanted = None

    @property
    def wants_key_frame(self) -> bool:
        """Whether `wanted` has to begin a key frame, and that would help."""
        return self.wanted is not self.shown and self.wanted is not None and not self._unfit

    def forward(
        self, feed: object, packet: RtpPacket, mark: PictureMark, now: float
    ) -> bytes | None:
        """The datagram that this packet becomes; None where it is not for this slot.

        Call it with every packet of `shown` and `wanted` that has a mark, in the order they come.
        """
        if (feed is not self.shown or mark.run != self._run) and not self._switch(
            feed, packet, mark, now
        ):
            return None
        extended = packet.extended
        timestamp = (packet.timestamp + self._ticks) & 0xFFFFFFFF
        if extended == self._highest + 1:
            if not mark.body:
                self._swallow(extended)
                return None
            sequence = (extended + self._offset) & 0xFFFF
            newest = True
        else:
            place = self._place(extended)
            if place is None:
                self.dropped += 1
                return None
            sequence = place & 0xFFFF
            newest = extended > self._highest
        if newest:
            self._highest = extended
            if timestamp != self._last_timestamp:
                self._last_timestamp = timestamp
                self._last_sent = now
        datagram = self._source.forward(
            sequence,
            self._payload_type,
            timestamp,
            self._rewrite(mark, newest) if mark.lead else b"",
            mark.body,
            packet.marker,
            self._csrcs,
            now,
        )
        if datagram is None:
            self.dropped += 1
        return datagram

    def blank(self, now: float) -> bytes | None:
        """A packet without payload or CSRC: nobody is shown; None before anybody was."""
        if self._last_timestamp is None or self.shown is not None:
            return None
        source = self._source
        return source.forward(
            source.sequence, self._payload_type, self._last_timestamp, b"", b"", False, b"", now
        )

    def _rewrite(self, mark: PictureMark, newest: bool) -> bytes:
        """The descriptor of VP8 up to the last id, with ids that go on."""
        tl0 = mark.tl0
        if tl0 >= 0:
            tl0 = (tl0 + self._tl0_offset) & 0xFF
            if newest:
                self._last_tl0 = tl0
        picture = mark.picture_id
        if picture < 0:
            return _pack_tl0(mark.lead, tl0)
        picture += self._picture_offset
        if picture > self._last_picture:
            self._last_picture = picture
        long_id = picture & 0x7FFF | LONG_PICTURE_ID
        if tl0 < 0:
            return _pack_picture(mark.lead, long_id)
        return _pack_picture_and_tl0(mark.lead, long_id, tl0)

    # -- numbers ----------------------------------------------------------------------------

    def _place(self, extended: int) -> int | None:
        """The number of a packet that is not the next one; None for one nobody needs any more."""
        if extended > self._highest:
            return extended + self._offset
        if extended < self._begun_at or self._highest - extended > HISTORY_PACKETS:
            return None
        place = extended + self._offset
        for swallowed in self._swallowed:
            place += swallowed > extended
        return place

    def _swallow(self, extended: int) -> None:
        """Go on as if the packet had never been there."""
        self._highest = extended
        self._offset -= 1
        if len(self._swallowed) == MAX_SWALLOWED:
            self._begun_at = self._swallowed.popleft() + 1  # what is older has no place any more
        self._swallowed.append(extended)

    def _switch(self, feed: object, packet: RtpPacket, mark: PictureMark, now: float) -> bool:
        """Begin with the packet if it may be; it is not of what is shown."""
        if feed is self.shown:
            self.shown = None  # it began anew: what comes needs a key frame before
        if feed is not self.wanted:
            return False
        payload_type = self._payload_types.get(mark.format)
        self._unfit = payload_type is None
        if payload_type is None:
            self.mismatched += 1
            return False
        if not mark.key_frame:
            return False
        self._payload_type = payload_type
        self.shown = feed
        self._run = mark.run
        self._csrcs = self._wanted_csrcs
        self.switches += 1
        self._begun_at = packet.extended
        self._highest = packet.extended - 1
        self._offset = self._source.sequence - packet.extended
        self._swallowed.clear()
        self._ticks = 0
        if self._last_timestamp is not None:
            elapsed = max(round((now - self._last_sent) * CLOCK_RATE), MIN_STEP)
            self._ticks = self._last_timestamp + elapsed - packet.timestamp
        self._picture_offset = self._last_picture + 1 - max(mark.picture_id, 0)
        self._tl0_offset = self._last_tl0 + 1 - max(mark.tl0, 0)
        return True


def _pack_csrcs(csrcs: Sequence[int]) -> bytes:
    if len(csrcs) > MAX_CSRCS:
        raise WireError(f"an RTP packet takes {MAX_CSRCS} CSRCs, not {len(csrcs)}")
    try:
        return b"".join([csrc.to_bytes(4, "big") for csrc in csrcs])
    except OverflowError:
        raise WireError(f"a CSRC has 32 bits: {csrcs}") from None


class KeyFrameRequests:
    """When to ask one source for a key frame, for all who want one of it."""

    __slots__ = ("deadline", "_asked_at", "_due_at", "_retry_s", "_spacing_s", "_unanswered")

    def __init__(
        self, spacing_s: float = KEY_FRAME_SPACING_S, retry_s: float = KEY_FRAME_RETRY_S
    ) -> None:
        self._spacing_s = spacing_s
        self._retry_s = retry_s
        self._asked_at = self._due_at = -math.inf  # last, and not again before
        self._unanswered = False  # no key frame came since
        self.deadline = math.inf
        """When to call `due`; infinity: nobody waits."""

    def ask(self, now: float) -> bool:
        """Somebody needs a key frame; whether to ask the source for one now.

        If not, that is remembered until one comes.
        """
        self.deadline = min(self.deadline, self._due_at)
        return self.due(now)

    def due(self, now: float) -> bool:
        """Whether to ask the source for one now, because somebody still waits."""
        if now < self.deadline:
            return False
        # Asked for the first time: the request may be lost. For the second: it takes its time.
        self._due_at = now + (self._spacing_s if self._unanswered else self._retry_s)
        self._unanswered = True
        self._asked_at = now
        self.deadline = self._due_at
        return True

    def came(self) -> None:
        """A key frame began, for all who waited."""
        self.deadline = math.inf
        if self._unanswered:
            self._unanswered = False
            self._due_at = self._asked_at + self._spacing_s

    def withdraw(self) -> None:
        """Nobody waits any more."""
        self.deadline = math.inf
