"""A description as text, in the order that RFC 8866 section 5 demands, with CR LF."""

from collections.abc import Iterable, Iterator

from .description import ConferenceDescription
from .fields import Bandwidth, Connection, Origin
from .media import Described, Media
from .times import Repeat, Timing

UNITS = (("d", 86_400), ("h", 3_600), ("m", 60))
"""Letters that stand for so many seconds (RFC 8866 section 5.10)."""


def write_description(description: ConferenceDescription) -> str:
    """The text; `parse_description` makes the same description of it again."""
    return "".join(f"{line}\r\n" for line in _lines(description))


def origin_line(origin: Origin) -> str:
    """The o= line; alone it is what withdraws an announcement (RFC 2974 section 6)."""
    numbers = f"{origin.session_id} {origin.session_version}"
    place = f"{origin.network} {origin.address_type} {origin.address}"
    return f"o={origin.username} {numbers} {place}"


def _lines(description: ConferenceDescription) -> Iterator[str]:
    yield "v=0"
    yield origin_line(description.origin)
    yield f"s={description.name}"
    yield from _optional("i", description.information)
    yield from _optional("u", description.uri)
    yield from (f"e={email}" for email in description.emails)
    yield from (f"p={phone}" for phone in description.phones)
    if description.connection is not None:
        yield _connection(description.connection)
    yield from map(_bandwidth, description.bandwidths)
    for timing in description.times:
        yield from _timing(timing)
    yield from _common(description)
    for media in description.media:
        yield from _media(media)


def _media(media: Media) -> Iterator[str]:
    count = f"/{media.port_count}" if media.port_count > 1 else ""
    formats = " ".join(media.formats)
    yield f"m={media.medium} {media.port}{count} {media.protocol} {formats}"
    yield from _optional("i", media.title)
    yield from map(_connection, media.connections)
    yield from map(_bandwidth, media.bandwidths)
    yield from _common(media)


def _common(part: Described) -> Iterator[str]:
    """Key, attributes, and what is unknown."""
    if part.key is not None:
        yield f"k={part.key.method}" + ("" if part.key.value is None else f":{part.key.value}")
    for attribute in part.attributes:
        value = "" if attribute.value is None else f":{attribute.value}"
        yield f"a={attribute.name}{value}"
    yield from (f"{line.type}={line.value}" for line in part.further)


def _optional(letter: str, value: str | None) -> Iterable[str]:
    return () if value is None else (f"{letter}={value}",)


def _connection(connection: Connection) -> str:
    parts = [connection.address]
    if connection.ttl is not None:
        parts.append(str(connection.ttl))
    if connection.count > 1:
        parts.append(str(connection.count))
    return f"c={connection.network} {connection.address_type} {'/'.join(parts)}"


def _bandwidth(bandwidth: Bandwidth) -> str:
    return f"b={bandwidth.modifier}:{bandwidth.value}"


def _timing(timing: Timing) -> Iterator[str]:
    yield f"t={timing.start} {timing.stop}"
    yield from map(_repeat, timing.repeats)
    if timing.adjustments:
        pairs = (f"{a.time} {_span(a.shift)}" for a in timing.adjustments)
        yield f"z={' '.join(pairs)}"


def _repeat(repeat: Repeat) -> str:
    spans = (repeat.interval, repeat.duration, *repeat.offsets)
    return f"r={' '.join(map(_span, spans))}"


def _span(seconds: int) -> str:
    """A length of time in the largest unit that it is a multiple of."""
    for letter, unit in UNITS:
        if seconds and seconds % unit == 0:
            return f"{seconds // unit}{letter}"
    return str(seconds)
