"""When our announcements are sent, and what they are: sans-IO (RFC 2974 sections 3 and 5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from random import Random

from ..errors import ConfigurationError, NoItemError
from ..sdp import ConferenceDescription, write_description
from ..sdp.writing import origin_line
from .bandwidth import SapSettings, base_interval
from .sap_wire import SapPacket, hash_of, write_packet
from .scopes import Group, announcement_group

SPREAD = (2 / 3, 4 / 3)
"""Intervals are random by a third either way."""
SessionKey = tuple[str, int, str, str, str]
"""What all editions of one description have in common (`Origin.identity`)."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A datagram, the group that it goes to, and the routers it may pass."""

    datagram: bytes
    group: Group
    ttl: int


class _Announcement:
    """One conference of ours."""

    def __init__(
        self, description: ConferenceDescription, packet: SapPacket, outgoing: Outgoing
    ) -> None:
        self.description = description
        self.outgoing = outgoing
        self.packet = packet
        self.until: float | None = None
        self.sent_at = 0.0
        self.factor = 1.0
        """What the interval is multiplied with until the next announcement."""
        self.due_at = 0.0

    def deletion(self) -> Outgoing:
        """What withdraws it: the same source and hash, and the origin alone."""
        payload = f"{origin_line(self.description.origin)}\r\n".encode()
        packet = replace(self.packet, payload=payload, is_deletion=True)
        return replace(self.outgoing, datagram=write_packet(packet))


class SapAnnouncer:
    """Repeats announcements as often as the bandwidth of each group allows.

    `heard` tells how many conferences others announce in a group, which a `SapListener` knows.
    The first announcement goes out at once, so that who has just been told of a conference finds
    it. An interval that is over is computed anew, with what has been heard meanwhile, and goes on
    if it has become longer (section 3.1).
    """

    def __init__(
        self,
        source: str | Group,
        settings: SapSettings,
        random: Random,
        heard: Callable[[Group], int] = lambda group: 0,
    ) -> None:
        self.source = ip_address(source)
        """The originating source of our packets."""
        self.settings = settings
        self._random = random
        self._heard = heard
        self._announced: dict[SessionKey, _Announcement] = {}
        self._per_group: Counter[Group] = Counter()

    @property
    def descriptions(self) -> tuple[ConferenceDescription, ...]:
        """What is announced."""
        return tuple(a.description for a in self._announced.values())

    def announce(
        self,
        description: ConferenceDescription,
        now: float,
        *,
        ttl: int,
        group: Group | None = None,
        until: float | None = None,
    ) -> list[Outgoing]:
        """Begin to announce a conference, or a new edition of it; what is to be sent now.

        Without a group it is the one of the scope of the description's first address. `until` is
        when it ends by itself; then listeners forget it by themselves, too.
        """
        payload = write_description(description).encode()
        if len(payload) > self.settings.max_entry_bytes:
            raise ConfigurationError(
                f"the description has {len(payload)} bytes, and {self.settings.max_entry_bytes} "
                "can be announced: leave something out"
            )
        where = group or announcement_group(next(iter(description.groups), str(self.source)))
        if where.version != self.source.version:
            raise ConfigurationError(
                f"{where} cannot be sent to from {self.source}: the one is IPv{where.version}, the "
                f"other IPv{self.source.version}"
            )
        packet = SapPacket(self.source, hash_of(payload), payload)
        key = description.origin.identity
        before = self._announced.get(key)
        added = _Announcement(
            description,
            packet,
            Outgoing(write_packet(packet, compress=self.settings.compress), where, ttl),
        )
        added.until = until
        if before is not None:
            self._drop(key)
        self._announced[key] = added
        self._per_group[where] += 1
        self._sent(added, now)
        if before is None or before.outgoing.group == where:
            return [added.outgoing]
        return [before.deletion(), added.outgoing]

    def withdraw(self, key: SessionKey) -> list[Outgoing]:
        """Announce a conference no longer; NoItemError if it is not. What is to be sent now."""
        if key not in self._announced:
            raise NoItemError("that conference is not announced here")
        return [self._drop(key).deletion()]

    def withdraw_all(self) -> list[Outgoing]:
        """Announce nothing any more; what is to be sent now."""
        return [out for key in tuple(self._announced) for out in self.withdraw(key)]

    def is_ours(self, datagram: bytes) -> bool:
        """Whether it is an announcement that we repeat, come back."""
        return any(a.outgoing.datagram == datagram for a in self._announced.values())

    def next_deadline(self) -> float | None:
        """When `handle_timer` is to be called; None if nothing is announced."""
        return min((a.due_at for a in self._announced.values()), default=None)

    def handle_timer(self, now: float) -> list[Outgoing]:
        """What is to be sent now."""
        due = []
        for key, announcement in tuple(self._announced.items()):
            if announcement.due_at > now:
                continue
            if announcement.until is not None and announcement.until <= now:
                self._drop(key)
                continue
            announcement.due_at = announcement.sent_at + self._interval(announcement)
            if announcement.due_at <= now:
                self._sent(announcement, now)
                due.append(announcement.outgoing)
        return due

    def _drop(self, key: SessionKey) -> _Announcement:
        gone = self._announced.pop(key)
        self._per_group[gone.outgoing.group] -= 1
        return gone

    def _sent(self, announcement: _Announcement, now: float) -> None:
        announcement.sent_at = now
        announcement.factor = self._random.uniform(*SPREAD)
        announcement.due_at = now + self._interval(announcement)

    def _interval(self, announcement: _Announcement) -> float:
        group = announcement.outgoing.group
        size = len(announcement.outgoing.datagram)
        count = self._per_group[group] + self._heard(group)
        return announcement.factor * base_interval(count, size, self.settings)
