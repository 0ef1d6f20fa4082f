"""Networks and servers that go away and come back, seen from real browsers."""

import asyncio

from browser_lab import BLUE, RED, ROOM, Lab, Visitor, lab, needs_chromium, until
from peers import eventually, scenario

from ipconf import NetworkImpairment

pytestmark = needs_chromium

ANN_HZ, BOB_HZ = 440.0, 700.0
CUT_S = 10.0


async def _pair(place: Lab) -> tuple[Visitor, Visitor]:
    ann, bob = await place.visitor(ANN_HZ, RED), await place.visitor(BOB_HZ, BLUE)
    await ann.join(place.link(), "Ann")
    await bob.join(place.link(), "Bob")
    await ann.connected()
    await bob.connected()
    await ann.hears([BOB_HZ], [ANN_HZ])
    return ann, bob


def _cut(place: Lab, name: str, percent: float) -> None:
    """Let so many of somebody's packets get lost, in both directions."""
    for guest in place.bridge.rooms.rooms[ROOM].guests:
        if guest.name == name:
            guest.call.query(NetworkImpairment).set_loss(percent)


@scenario(180)
async def test_a_restarted_server_finds_everybody_again() -> None:
    async with lab() as place:
        ann, bob = await _pair(place)
        port = place.bridge.port
        await place.stop()
        await ann.sees("#banner-text", "The connection to the server is lost")
        await ann.sees("#state[data-state=lost]", "Reconnecting")
        await place.start(port=port)
        await ann.page.click("#banner-button")
        await ann.connected()
        await bob.connected()
        await ann.misses("#banner")
        await ann.is_told("The connection is back.")
        await ann.hears([BOB_HZ], [ANN_HZ])
        await bob.sees_moving("Ann", RED)
        assert await ann.names() == {"Ann (you)", "Bob"}


@scenario(180)
async def test_media_that_were_cut_for_10_s_come_back_by_themselves() -> None:
    async with lab() as place:
        ann, bob = await _pair(place)
        _cut(place, "Ann", 100)
        await ann.sees("#state[data-state=waiting]")
        await asyncio.sleep(CUT_S)
        _cut(place, "Ann", 0)
        await ann.connected()
        await ann.hears([BOB_HZ], [ANN_HZ])
        await bob.hears([ANN_HZ], [BOB_HZ])
        await bob.sees_moving("Ann", RED)
        assert await bob.names() == {"Ann", "Bob (you)"}, "nobody is there twice"


@scenario(180)
async def test_a_lost_socket_is_resumed_while_the_call_goes_on() -> None:
    async with lab() as place:
        ann, bob = await _pair(place)
        guests = set(place.bridge.rooms.rooms[ROOM].guests)
        await ann.page.evaluate(WATCH_OFFERS)
        await _close_sockets(place, "Ann")
        await ann.is_told("The connection is back.")
        await ann.connected()
        await bob.page.keyboard.press("h")
        await ann.sees(".tile[data-name=Bob] .hand")
        assert set(place.bridge.rooms.rooms[ROOM].guests) == guests
        assert await ann.page.evaluate("window.labConnections") == 0, "the call went on"
        await ann.hears([BOB_HZ], [ANN_HZ])


WATCH_OFFERS = """() => {
  window.labConnections = 0;
  const plain = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (...args) {
    window.labConnections += 1;
    return plain.apply(this, args);
  };
}"""


async def _close_sockets(place: Lab, name: str) -> None:
    """Cut the TCP connection of somebody's socket, without a good-bye."""
    guests = place.bridge.rooms.rooms[ROOM].guests
    guest = next(each for each in guests if each.name == name)
    page = guest.page
    assert page is not None
    page._abort()  # type: ignore[attr-defined]
    await eventually(lambda: guest.page is not page, "the bridge has seen it")


@scenario(180)
async def test_who_is_offline_for_10_s_comes_back_with_sound() -> None:
    async with lab() as place:
        ann, bob = await _pair(place)
        await ann.context.set_offline(True)
        await _close_sockets(place, "Ann")
        _cut(place, "Ann", 100)
        await ann.sees("#state[data-state=lost]")
        await asyncio.sleep(CUT_S)
        await ann.context.set_offline(False)
        _cut(place, "Ann", 0)
        await ann.connected()
        await ann.hears([BOB_HZ], [ANN_HZ])
        await bob.hears([ANN_HZ], [BOB_HZ])

        async def twice() -> bool:
            return await bob.names() == {"Ann", "Bob (you)"}

        await until(twice, lambda: "nobody is there twice")


@scenario(120)
async def test_a_server_that_stops_for_good_is_told_in_words_and_can_be_left() -> None:
    async with lab() as place:
        ann = await place.visitor(ANN_HZ, RED)
        await ann.join(place.link(), "Ann")
        await ann.connected()
        await place.stop()
        await ann.is_told("The connection to the server is lost.")
        await ann.sees("#banner-text", "Trying again")
        await ann.page.keyboard.press("h")
        await ann.is_told("That did not go out")
        await ann.page.click("#leave")
        await ann.sees("#ended-title", "You have left")
