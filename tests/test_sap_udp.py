"""SAP over real sockets, on the loopback interface alone."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from ipaddress import ip_address

import pytest
from ffmpeg_peer import free_ports
from peers import LOCALHOST, eventually, scenario

from ipconf.directory import (
    Directory,
    DirectoryEntry,
    News,
    SapNews,
    SapPort,
    SapSettings,
    SapStore,
)
from ipconf.errors import ClosedError, ConfigurationError, NotSupportedError, TransportError
from ipconf.sdp import ConferenceDescription

FAST = SapSettings(min_interval_s=0.05, bandwidth_bps=1e6, min_lifetime_s=0.2)


def tea() -> ConferenceDescription:
    """A conference that begins now and stays on this machine."""
    return ConferenceDescription.new(
        "Tea", now=time.time(), host=LOCALHOST, group="239.255.7.7", ttl=0
    )


class Listener:
    """A port that notes what is new."""

    def __init__(self, number: int) -> None:
        self.news: asyncio.Queue[tuple[News, str]] = asyncio.Queue()
        self.port = SapPort(LOCALHOST, on_news=self.note, port=number)

    def note(self, news: SapNews) -> None:
        self.news.put_nowait((news.what, news.conference.description.name))


@scenario()
async def test_two_on_one_machine() -> None:
    number = free_ports()
    listener = Listener(number)
    async with listener.port as heard:
        async with SapPort(LOCALHOST, settings=FAST, port=number) as port:
            port.announce(tea(), ttl=0)
            assert await listener.news.get() == (News.HEARD, "Tea")
            await eventually(lambda: heard.listener.counts.repeated >= 3)
            port.announce(port.announcer.descriptions[0].replace(name="Coffee"), ttl=0)
            assert await listener.news.get() == (News.CHANGED, "Coffee")
            port.withdraw(port.announcer.descriptions[0].origin.identity)
            assert await listener.news.get() == (News.DELETED, "Coffee")
            port.announce(tea(), ttl=0)
            assert await listener.news.get() == (News.HEARD, "Tea")
            (known,) = heard.listener.conferences
            assert (known.sender, str(known.group)) == (LOCALHOST, "239.255.255.255")
            assert port.unsent == 0
            assert port.listener.counts.packets <= 1, "our own deletion, and nothing else"
        assert await listener.news.get() == (News.DELETED, "Tea")
    with pytest.raises(ClosedError):
        port.announce(tea(), ttl=0)


@scenario()
async def test_what_is_no_longer_heard_is_forgotten() -> None:
    number = free_ports()
    listener = Listener(number)
    listener.port.settings = FAST
    async with listener.port, SapPort(LOCALHOST, port=number) as port:
        port.announce(tea(), ttl=0)
        assert await listener.news.get() == (News.HEARD, "Tea")
        assert (await listener.news.get())[0] is News.EXPIRED


@scenario()
async def test_only_groups_are_listened_to() -> None:
    """What is sent to the machine's own address, not to the group, does not come in."""

    number = free_ports()
    listener = Listener(number)
    async with listener.port as heard:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger, suppress(OSError):
            stranger.sendto(b"x" * 100, (LOCALHOST, number))
        async with SapPort(LOCALHOST, port=number) as port:
            port.announce(tea(), ttl=0)
            assert await listener.news.get() == (News.HEARD, "Tea")
        assert heard.listener.counts.unreadable == 0


@scenario()
async def test_what_an_application_raises_is_told_to_the_loop() -> None:
    told: asyncio.Queue[object] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.put_nowait(context["exception"]))

    def fail(news: SapNews) -> None:
        raise RuntimeError("a mistake")

    number = free_ports()
    async with (
        SapPort(LOCALHOST, on_news=fail, port=number) as heard,
        SapPort(LOCALHOST, port=number) as port,
    ):
        port.announce(tea(), ttl=0)
        assert str(await told.get()) == "a mistake"
        assert len(heard.listener.conferences) == 1


@scenario()
async def test_a_directory_of_what_is_announced() -> None:
    number = free_ports()
    async with (
        SapPort(LOCALHOST, port=number) as here,
        SapPort(LOCALHOST, port=number) as there,
    ):
        ours, theirs = Directory(SapStore(here)), Directory(SapStore(there))
        entry = DirectoryEntry.conference(tea())
        ours.add(entry)
        await eventually(lambda: theirs.find("t*"))
        assert theirs.find() == (entry,) == ours.find()
        assert theirs.get("Tea") == entry
        later = entry.replace(description=tea().replace(information="at five"))
        ours.modify(later)
        await eventually(lambda: theirs.get("Tea") != entry)
        assert theirs.get("Tea") == later
        ours.delete("Tea")
        await eventually(lambda: not theirs.find())
        with pytest.raises(NotSupportedError):
            ours.add(DirectoryEntry.person("Ann", "sip:ann@example.com"))


@scenario()
async def test_interfaces_that_are_none() -> None:
    with pytest.raises(ConfigurationError, match="'lo' is no IP address"):
        SapPort("lo")
    with pytest.raises(ConfigurationError, match="not all groups are"):
        SapPort(LOCALHOST, groups=[ip_address("ff02::2:7ffe")])
    with pytest.raises(TransportError, match=r"SAP cannot use 192\.0\.2\.1"):
        async with SapPort("192.0.2.1"):
            raise AssertionError("that is nobody's address")
