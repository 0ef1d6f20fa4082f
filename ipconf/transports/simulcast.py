"""Several encodings of a picture on an m-line: a=simulcast and a=rid (RFC 8853, 8851). Sans-IO.

aiortc's grammar passes over both, so they are read from the text and written behind its lines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from aiortc.sdp import grouplines

from ..engine.rtp_wire import REPAIRED_RID_URI, RID_URI

LAYER_EXTENSIONS = frozenset({RID_URI, REPAIRED_RID_URI})
"""Header extensions that tell layers apart, agreed on where there is simulcast (RFC 8852)."""

# Ids are letters and digits (RFC 8852 section 3), as many as fit an element with a one-byte header.
_RID = re.compile(r"a=rid:([A-Za-z0-9]{1,16}) send(?: ([!-~]{1,200}))?\s*")
_RESTRICTION = re.compile(r"[a-z-]{1,32}(?:=[!-:<-~]+)?")
_IDS = "[A-Za-z0-9_~,;-]+"
_SIMULCAST = re.compile(rf"a=simulcast:\s*(?:recv {_IDS} )?send ({_IDS})(?: recv {_IDS})?\s*")


@dataclass(frozen=True, slots=True)
class Layer:
    """One encoding of a picture, as the far end can send it."""

    rid: str
    payload_types: tuple[int, ...] = ()
    """What it may have; () for any of its line."""
    restrictions: tuple[str, ...] = ()
    """The others, as they were written: "max-width=640"."""


@dataclass(frozen=True, slots=True)
class Simulcast:
    """What the far end can send on an m-line at the same time; at most `most` are taken."""

    streams: tuple[tuple[Layer, ...], ...] = ()
    """The alternatives for each, best first."""
    most: int = 1

    def agreed(self, payload_types: Collection[int]) -> tuple[Layer, ...]:
        """The layers that may arrive, one for each stream, in these payload types of the line.

        () where simulcast is not wanted.
        """
        if self.most < 2:
            return ()
        layers: dict[str, Layer] = {}
        for alternatives in self.streams:
            usable = (_within(layer, payload_types) for layer in alternatives)
            layer = next((each for each in usable if each and each.rid not in layers), None)
            if layer is not None:
                layers[layer.rid] = layer
            if len(layers) == self.most:
                break
        return tuple(layers.values())


def simulcasts_of(text: str, most: int) -> list[Simulcast]:
    """What is sent on each m-line of a description that was read; no `streams` where it says none.

    Whether a layer is paused ("~") at first makes no difference: its packets are awaited.
    """
    _, lines = grouplines(text)
    return [Simulcast(tuple(_streams(line)), most) for line in lines]


def layer_lines(layers: Iterable[Layer]) -> str:
    """The lines of an answer that takes these layers; "" for none."""
    layers = tuple(layers)
    if not layers:
        return ""
    lines = [f"a=rid:{layer.rid} recv{_restricted(layer)}\r\n" for layer in layers]
    return "".join(lines) + f"a=simulcast:recv {';'.join(layer.rid for layer in layers)}\r\n"


def _streams(lines: list[str]) -> Iterator[tuple[Layer, ...]]:
    """Of several a=simulcast the first one counts, of several a=rid with one id likewise."""
    described = next((m[1] for line in lines if (m := _SIMULCAST.fullmatch(line))), "")
    if not described:
        return
    layers: dict[str, Layer | None] = {}
    for line in lines:
        if match := _RID.fullmatch(line):
            layers.setdefault(match[1], _layer(match[1], match[2] or ""))
    for stream in described.split(";"):
        rids = (rid.removeprefix("~") for rid in stream.split(","))
        yield tuple(layer for rid in rids if (layer := layers.get(rid)))


def _layer(rid: str, restrictions: str) -> Layer | None:
    """A layer with its restrictions; None where one of them makes no sense."""
    payload_types: tuple[int, ...] = ()
    others = []
    for restriction in filter(None, restrictions.split(";")):
        name, _, value = restriction.partition("=")
        if name == "pt":
            numbers = value.split(",")
            if not all(number.isdecimal() and len(number) <= 3 for number in numbers):
                return None
            payload_types = tuple(map(int, numbers))
        elif _RESTRICTION.fullmatch(restriction):
            others.append(restriction)
        else:
            return None
    return Layer(rid, payload_types, tuple(others))


def _within(layer: Layer, payload_types: Collection[int]) -> Layer | None:
    """What is left of a layer in these payload types (RFC 8851 section 6.2.2); None for nothing."""
    if not layer.payload_types:
        return layer
    usable = tuple(number for number in layer.payload_types if number in payload_types)
    return replace(layer, payload_types=usable) if usable else None


def _restricted(layer: Layer) -> str:
    numbers = ",".join(map(str, layer.payload_types))
    said = ([f"pt={numbers}"] if numbers else []) + list(layer.restrictions)
    return f" {';'.join(said)}" if said else ""
