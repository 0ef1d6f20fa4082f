"""Whole calls of a provider whose calls share a port, with one whose calls do not."""

from __future__ import annotations

import pytest
from call_ends import Ends, EventLog, provider
from peers import PLAIN, eventually, open_sockets, scenario, together, webrtc
from senses import ALICE, AUDIO, BOB

from ipconf import CallSettings, CallState, LoopbackTsp
from ipconf.errors import NegotiationError
from ipconf.events import CallStateChanged
from ipconf.load.run import Task
from ipconf.tsp_data import Connect

TRANSPORTS = {
    "bundled": webrtc(),
    "apart": webrtc(bundle=False),
    "plain": PLAIN.replace(rtcp_mux=True),
}


@pytest.mark.parametrize("hub_offers", [True, False])
@pytest.mark.parametrize("settings", TRANSPORTS.values(), ids=TRANSPORTS)
@scenario()
async def test_calls_go_on_and_are_renewed_side_by_side(
    settings: CallSettings, hub_offers: bool
) -> None:
    async with (
        provider("Hub", settings.replace(shared_port=0)) as hub,
        provider("Far", settings) as far,
        LoopbackTsp(hub, far) as tsp,
    ):
        before = open_sockets()
        pairs = [tsp.pair(), tsp.pair()]
        ends = []
        for near, other in pairs:
            ends.append((Ends(near, 440, ALICE), Ends(other, 880, BOB)))
            offerer, answerer = (near, other) if hub_offers else (other, near)
            offerer.receive_tsp_data(Connect())
            await together(offerer.wait_connected(), answerer.wait_connected())
        transports = 1 if settings.bundle and settings.transport == "webrtc" else 2
        assert open_sockets() == before + 1 + transports * len(pairs)
        for one, another in ends:
            await together(one.gets(880, BOB), another.gets(440, ALICE))
        near, other = pairs[0]
        for offerer in (near, other):
            logs = [EventLog(call) for call in (near, other)]
            offerer.receive_tsp_data(Connect())
            for log in logs:
                await log.until(CallStateChanged, lambda e: e.state is CallState.CONNECTED)
        await together(ends[0][0].gets(880, BOB), ends[1][0].gets(880, BOB))
        await other.disconnect()
        await eventually(lambda: near.state is CallState.DISCONNECTED)
        await together(ends[1][0].gets(880, BOB), ends[1][1].gets(440, ALICE))
        await pairs[1][0].disconnect()
        await eventually(lambda: open_sockets() == before)


@pytest.mark.parametrize("settings", [TRANSPORTS["plain"], TRANSPORTS["bundled"]])
@scenario()
async def test_two_that_share_have_one_call_with_each_other(settings: CallSettings) -> None:
    shared = settings.replace(shared_port=0)
    async with (
        provider("Hub", shared) as hub,
        provider("Other hub", shared) as far,
        LoopbackTsp(hub, far) as tsp,
    ):
        first, second = tsp.pair({AUDIO}), tsp.pair({AUDIO})
        await tsp.connect(pair=first)
        alice, bob = Ends(first[0], 440), Ends(first[1], 880)
        await together(alice.gets(880), bob.gets(440))
        with pytest.raises(NegotiationError, match="another call's on the shared port"):
            await tsp.connect(pair=second)
        await together(alice.gets(880), bob.gets(440))


def test_a_load_has_the_hub_share_and_nobody_else() -> None:
    task = Task(4, 2, shared_port=True)
    assert CallSettings(**task.hub_settings).shared_port == 0
    assert CallSettings(**task.settings).shared_port is None
