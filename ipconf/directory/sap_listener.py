"""What others announce: sans-IO (RFC 2974 sections 4 and 5)."""

from __future__ import annotations

from ..errors import DescriptionError, WireError
from ..sdp import parse_description
from ..sdp.lines import read_origin
from .bandwidth import RateLimit, SapSettings, lifetime
from .heard import HeardConference, HeardKey, News, Room, SapCounts, SapNews, key_of
from .sap_wire import SDP_TYPE, SapPacket, parse_packet
from .scopes import Group


class SapListener:
    """Keeps what is announced, until it is withdrawn, over, or no longer heard.

    Nothing is authenticated. So changes and deletions count only if they come from the address
    that announced the conference (`foreign` otherwise); whoever can send from that address can
    withdraw it.
    """

    def __init__(self, settings: SapSettings, *, unix_offset_s: float) -> None:
        """`unix_offset_s` added to the times that `receive` gets is `time.time()`."""
        self.settings = settings
        self.counts = SapCounts()
        self._unix_offset_s = unix_offset_s
        self._heard: dict[HeardKey, HeardConference] = {}
        self._known: dict[tuple[str, bytes], HeardKey] = {}
        """Whose announcement it is by sender and datagram: repetitions are not parsed."""
        self._datagrams: dict[HeardKey, bytes] = {}
        self._room = Room()
        self._packets = RateLimit(settings.max_packets_per_s)
        self._parsed = RateLimit(settings.max_parsed_per_s)
        self._deadline: float | None = None

    @property
    def conferences(self) -> tuple[HeardConference, ...]:
        """All that are known, in the order in which they were heard first."""
        return tuple(self._heard.values())

    def used_groups(self) -> frozenset[str]:
        """The multicast addresses of all of them, for an `AddressAllocator`."""
        return frozenset(g for heard in self._heard.values() for g in heard.description.groups)

    def count_in(self, group: Group) -> int:
        """How many are announced in a group."""
        return self._room.by_group[group]

    def receive(self, datagram: bytes, sender: str, group: Group, now: float) -> list[SapNews]:
        """Take a packet that came to `group` from the IP address `sender`. Never raises."""
        self.counts.packets += 1
        if not self._packets.allows(now):
            self.counts.flooded += 1
            return []
        key = self._known.get((sender, datagram))
        if key is not None:
            self.counts.repeated += 1
            known = self._heard[key]
            known.last_heard = now
            known.times_heard += 1
            return []
        if not self._parsed.allows(now):
            self.counts.flooded += 1
            return []
        try:
            packet = parse_packet(datagram)
            if packet.is_encrypted:
                self.counts.encrypted += 1
                return []
            size = max(len(datagram), len(packet.payload))
            if packet.payload_type != SDP_TYPE or size > self.settings.max_entry_bytes:
                raise WireError("no description of a conference, or one that is too long")
            if packet.is_deletion:
                return self._delete(packet, sender)
            description = parse_description(packet.payload.rstrip(b"\0"))
        except (WireError, DescriptionError):
            self.counts.unreadable += 1
            return []
        heard = HeardConference(
            description, sender, packet.source, packet.message_hash, group, size, now, now
        )
        return self._announced(heard, datagram, now)

    def _announced(self, heard: HeardConference, datagram: bytes, now: float) -> list[SapNews]:
        before = self._heard.get(heard.key)
        if before is None:
            if self._end_of(heard) <= now:
                self.counts.stale += 1
                return []
            gone = self._make_room(heard)
            if gone is None:
                self.counts.refused += 1
                return []
            self._keep(heard, datagram)
            return [*gone, SapNews(News.HEARD, heard)]
        if before.sender != heard.sender:
            self.counts.foreign += 1
            return []
        version, known = (c.description.origin.session_version for c in (heard, before))
        if version < known:
            self.counts.stale += 1
            return []
        if self._room.size - before.size + heard.size > self.settings.max_bytes:
            self.counts.refused += 1
            return []
        heard.first_heard, heard.times_heard = before.first_heard, before.times_heard + 1
        self._drop(before)
        self._keep(heard, datagram)
        return [] if heard.description == before.description else [SapNews(News.CHANGED, heard)]

    def _delete(self, packet: SapPacket, sender: str) -> list[SapNews]:
        known = self._meant(packet)
        if known is None:
            self.counts.unknown += 1
            return []
        if known.sender != sender or known.source != packet.source:
            self.counts.foreign += 1
            return []
        self._drop(known)
        return [SapNews(News.DELETED, known)]

    def _meant(self, packet: SapPacket) -> HeardConference | None:
        """What a deletion is about: its payload is an origin line, or the whole description."""
        for line in packet.payload.decode(errors="replace").splitlines():
            if line.startswith("o="):
                try:
                    return self._heard.get(key_of(read_origin(line[2:]), packet.message_hash))
                except ValueError as exc:
                    raise WireError(f"the origin in a deletion is malformed: {exc}") from None
        same = (packet.source, packet.message_hash)
        found = (h for h in self._heard.values() if (h.source, h.message_hash) == same)
        return next(found, None) if packet.message_hash else None

    def _make_room(self, heard: HeardConference) -> list[SapNews] | None:
        """What has to go for it; None if there is no room.

        Who was heard once only, and longest ago, makes room: what is made up is not repeated.
        """
        limits, room = self.settings, self._room
        if room.by_sender[heard.sender] >= limits.max_entries_per_sender:
            return None
        gone = []
        while room.entries >= limits.max_entries or room.size + heard.size > limits.max_bytes:
            once = (h for h in self._heard.values() if h.times_heard == 1)
            oldest = min(once, key=lambda h: h.last_heard, default=None)
            if oldest is None:
                return None
            self._drop(oldest)
            gone.append(SapNews(News.EXPIRED, oldest))
        return gone

    def _keep(self, heard: HeardConference, datagram: bytes) -> None:
        self._heard[heard.key] = heard
        self._known[heard.sender, datagram] = heard.key
        self._datagrams[heard.key] = datagram
        self._room.account(heard, 1)
        end = self._end_of(heard)
        self._deadline = end if self._deadline is None else min(self._deadline, end)

    def _drop(self, heard: HeardConference) -> None:
        del self._heard[heard.key]
        del self._known[heard.sender, self._datagrams.pop(heard.key)]
        self._room.account(heard, -1)

    def _end_of(self, heard: HeardConference) -> float:
        """When it is forgotten, or over."""
        count = self._room.by_group[heard.group]
        expires = heard.last_heard + lifetime(count, heard.size, self.settings)
        ends = heard.description.ends_at
        return expires if ends is None else min(expires, ends - self._unix_offset_s)

    def next_deadline(self) -> float | None:
        """When `handle_timer` is to be called, or earlier than that; None if nothing is known."""
        return self._deadline

    def handle_timer(self, now: float) -> list[SapNews]:
        """Forget what is over or no longer heard."""
        if self._deadline is None or now < self._deadline:
            return []
        news = []
        for heard in tuple(self._heard.values()):
            if self._end_of(heard) <= now:
                ends = heard.description.ends_at
                is_over = ends is not None and ends - self._unix_offset_s <= now
                self._drop(heard)
                news.append(SapNews(News.ENDED if is_over else News.EXPIRED, heard))
        self._deadline = min(map(self._end_of, self._heard.values()), default=None)
        return news
