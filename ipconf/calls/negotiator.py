"""The transports of a call and what its ends agree on, from descriptions to connected bearers.

    offering:   open transports ─> write offer ···(answer)···> agree ─> connect
    answering:  (offer)···> agree ─> open transports ─> write answer ─> connect

One `Negotiator` makes one set of transports. A far end that comes back with new ICE credentials
gets a new negotiator, because aiortc's ICE cannot be restarted.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from aiortc.sdp import MediaDescription, SessionDescription

from ..errors import InvalidStateError, NegotiationError
from ..model import CallSettings
from ..transports.base import PlainLine, WebRtcLine
from ..transports.bundling import bundle_of, transport_line
from ..transports.content import contents_of
from ..transports.description import MediaLine, write_description
from ..transports.inbound import LineMemory
from ..transports.line_keys import cryptos_of, keys_of_answer, keys_of_offer
from ..transports.negotiation import (
    Agreed,
    Refused,
    agree_on_answer,
    agree_on_offer,
)
from ..transports.reading import read_candidate, read_description
from ..transports.roles import offer_role
from ..transports.simulcast import simulcasts_of
from .agreement import SessionTerms
from .bearers import Bearer, Bearers, TransportFactory
from .lines import Formats, OurLines
from .sections import slides_answered

WEBRTC_RTCP_INTERVAL_S = 1.0
PLAIN_RTCP_INTERVAL_S = 5.0
MAX_EARLY_CANDIDATES = 100
"""Trickled candidates kept until the description they belong to has come."""


class Negotiator:
    """Offers or answers, and connects, one set of transports for the media of a call."""

    def __init__(
        self,
        formats: Formats,
        settings: CallSettings,
        make: TransportFactory,
        cname: str,
        further: int = 0,
        memory: LineMemory | None = None,
    ) -> None:
        """`further` is how many capture streams of video there are besides the first; `memory`,
        what SRTP has known of the lines so far.
        """
        self._lines = OurLines(formats, settings, cname, further)
        self._further = further
        self._settings = settings
        self._webrtc = settings.transport == "webrtc"
        self._bundles = settings.bundle and self._webrtc
        self._bearers = Bearers(settings, make, memory)
        self._offered: list[Bearer] = []
        self._early_candidates: list[tuple[str, str | None]] = []
        self._session_id = secrets.randbits(62)
        self.unusable_candidates = 0
        """Trickled candidates that made no sense, or came too early and too many."""
        self.reduced_size = False
        """Whether the far end takes RTCP feedback without a report (a=rtcp-rsize, RFC 5506)."""
        self.refused: list[Refused] = []
        """The m-lines that are not part of the call."""
        self.ssrcs = self._lines.ssrcs
        """Our SSRC of each section by its mid, as the descriptions name it."""
        self.repair_ssrcs = self._lines.repair_ssrcs
        """Our retransmission SSRCs, likewise."""

    @property
    def bearers(self) -> list[Bearer]:
        """The transports that carry something; empty before the agreement."""
        return self._bearers.carrying

    @property
    def slides(self) -> list[int]:
        """The m-lines, by index, of the further capture streams, in their order."""
        return self._lines.slides

    @property
    def session_id(self) -> str:
        """The session id of our descriptions (o=)."""
        return str(self._session_id)

    @property
    def awaits_answer(self) -> bool:
        """Whether an offer of ours is open."""
        return bool(self._offered) and not self.bearers

    def yields_to(self, offer: str) -> bool:
        """Whether our open offer gives way to the far end's: the higher session id wins."""
        theirs = session_id_of(offer)
        return theirs is not None and int(theirs) > self._session_id

    # -- offering

    async def offer(self) -> str:
        """Open transports and write an offer with a line for each medium."""
        role = self._settings.dtls_role
        lines: list[tuple[MediaLine, WebRtcLine | PlainLine]] = []
        for index in range(len(self._lines.offered)):
            if not self._offered or not self._bundles:
                self._offered.append(await self._bearers.open())
            line = self._lines.offer(index)
            lines.append((line, self._offered[-1].describe(role)))
        bundles = [self._lines.mids] if self._bundles else []
        return write_description(
            lines, bundles, session_id=self._session_id, reduced_size=self._webrtc
        )

    def accept_answer(self, text: str) -> None:
        """Read the answer; then `bearers` and `refused` say what was agreed."""
        if not self._offered or self.bearers:
            raise InvalidStateError("there is no open offer that this could be the answer to")
        answer, contents = self._read(text)
        indices = range(len(self._lines.mids))
        if not self._bundles:
            answer.group.clear()  # aiortc, for one, names a bundle that was not offered
        lines = agree_on_answer(
            answer,
            self._lines.formats,
            self._lines.mids,
            webrtc=self._webrtc,
            video_sections=self._settings.video_sections,
            contents=contents,
            keys=keys_of_answer(cryptos_of(text), [self._bearer_of(i).keys for i in indices]),
        )
        for line in lines:
            if isinstance(line, Refused):
                self.refused.append(line)
                continue
            bearer = self._bearer_of(line.index)
            if bearer.lines and bearer.remote is not line.transport:
                reason = "the far end does not bundle; offer it a transport each (bundle=False)"
                self.refused.append(Refused(line.index, line.medium, reason))
                continue
            taken = bearer.take(line)
            if isinstance(taken, Refused):
                self.refused.append(taken)
                continue
            remote_dtls = line.transport.dtls
            bearer.role = offer_role(remote_dtls.role if remote_dtls else "")
        self._check_agreed()

    def _bearer_of(self, index: int) -> Bearer:
        """What we have offered for that line."""
        return self._offered[min(index, len(self._offered) - 1)]

    # -- answering

    async def answer(self, text: str) -> str:
        """Read an offer, open the transports that it needs, and write the answer."""
        offer, contents = self._read(text)
        lines = agree_on_offer(
            offer,
            self._lines.formats,
            webrtc=self._webrtc,
            video_sections=self._settings.video_sections,
            contents=contents,
            simulcasts=simulcasts_of(text, self._settings.video_layers),
            keys=keys_of_offer(cryptos_of(text), required=self._settings.srtp == "sdes"),
        )
        for index, line in enumerate(lines):
            if isinstance(line, Agreed):
                bearer = self._bearers.to(line.transport) or await self._bearers.open(line)
                lines[index] = bearer.take(line)
        self.refused += [line for line in lines if isinstance(line, Refused)]
        self._check_agreed()
        agreed = [line for line in lines if isinstance(line, Agreed)]
        self._lines.slides = slides_answered(agreed, self._further)
        written: list[tuple[MediaLine, WebRtcLine | PlainLine] | MediaDescription] = []
        riding: dict[Bearer, set[str]] = {}
        for line in lines:
            media = offer.media[line.index]
            own = self._lines.answer(line, media)
            ride = self._bearers.to(transport_line(offer, media, offer=True))
            if own is None or ride is None:
                written.append(media)
                continue
            written.append((own, ride.describe(ride.role)))
            riding.setdefault(ride, set()).add(media.rtp.muxId)
        bundles = [bundle_of(offer, mids) for mids in riding.values()]
        return write_description(
            written, bundles, session_id=self._session_id, reduced_size=self.reduced_size
        )

    # -- both

    def _read(self, text: str) -> tuple[SessionDescription, list[str]]:
        self.reduced_size = "\na=rtcp-rsize" in text
        description = read_description(text)  # first, since it limits what is read
        return description, contents_of(text)

    def _check_agreed(self) -> None:
        if not self.bearers:
            reasons = "; ".join(
                f"{line.medium.value if line.medium else 'other'}: {line.reason}"
                for line in self.refused
            )
            raise NegotiationError(f"nothing in the far end's description can be used: {reasons}")

    def terms(self, carrier: Bearer) -> SessionTerms:
        """What holds for the RTP session on each of `bearers`."""
        settings, webrtc = self._settings, self._webrtc
        default_interval_s = WEBRTC_RTCP_INTERVAL_S if webrtc else PLAIN_RTCP_INTERVAL_S
        return SessionTerms(
            bandwidth_bps=settings.session_bandwidth_bps,
            min_interval_s=settings.rtcp_min_interval_s or default_interval_s,
            unicast=True,
            one_person=webrtc,
            single_chunk_sdes=webrtc,  # plain aiortc, which needs it, speaks nothing else
            reduced_size=self.reduced_size,
            max_sources=settings.max_people,
        )

    def impair(self, percent: float, seed: int) -> None:
        """Lose that share of the datagrams of every transport from now on; 0 heals them."""
        self._bearers.impair(percent, seed)

    async def connect(self, connected: Callable[[Bearer], None]) -> None:
        """Connect every bearer, telling of each as it is ready; the others are closed.

        Raises the first TransportError when a bearer fails.
        """
        await self._bearers.close_unused()
        for candidate, mid in self._early_candidates:
            await self.add_candidate(candidate, mid)
        await self._bearers.connect(connected, offered=bool(self._offered))

    async def add_candidate(self, text: str, mid: str | None) -> None:
        """Take a trickled candidate for the line `mid`, or for all; "" says that was the last.

        One that makes no sense is counted and left out, since others may do.
        """
        if not self.bearers:
            if len(self._early_candidates) < MAX_EARLY_CANDIDATES:
                self._early_candidates.append((text, mid))
            else:
                self.unusable_candidates += 1
            return
        try:
            candidate = read_candidate(text) if text else None
        except NegotiationError:
            self.unusable_candidates += 1
            return
        for bearer in self.bearers:
            if mid is None or mid == bearer.mid:
                await bearer.transport.add_remote_candidate(candidate)

    async def close(self, *, silently: bool = False) -> None:
        """Close every transport that was opened, or abandon them without a word."""
        await self._bearers.close(silently=silently)


def session_id_of(sdp: str) -> str | None:
    """The session id of a description (o=, RFC 8866 section 5.2), None where there is none."""
    origin = re.search(r"^o=\S+ (\d{1,40}) ", sdp, re.MULTILINE)
    return origin.group(1) if origin else None
