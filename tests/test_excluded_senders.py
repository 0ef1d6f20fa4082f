"""Descriptions that exclude senders (a=source-filter: excl), or name an address of our own."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from call_ends import provider
from multicast_lab import (
    HERE,
    OURS,
    OURS_IPV6,
    can_be_alone,
    conference,
    in_namespace,
    members,
    place,
)
from peers import LOCALHOST, eventually, scenario
from transport_lab import Stranger, free_ports, rtp

from ipconf import CallState
from ipconf.errors import NegotiationError
from ipconf.model import LoopbackMode
from ipconf.sdp import Connection
from ipconf.transports.group_sockets import GroupSockets
from ipconf.transports.udp import UdpTransport

SELECTIVE = LoopbackMode.SELECTIVE
SCENES = Path(__file__).with_name("excluded_scenes.py")


@pytest.mark.parametrize("by", ["kernel", "transport"])
@scenario()
async def test_who_is_excluded_is_not_heard(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "transport":
        monkeypatch.setattr(GroupSockets, "_block", lambda *about: None)
    where = place(excluded=(ip_address(LOCALHOST), ip_address("127.0.0.9")))
    open_to_all = place(group=where.group, port=where.port, rtcp_port=where.rtcp_port)
    async with members(where, SELECTIVE) as (one,), members(open_to_all, *[SELECTIVE] * 2) as ends:
        ends[0].transport.send(rtp(1))
        await ends[1].receives(rtp(1))
        dropped = 1 if by == "transport" else 0
        await eventually(lambda: one.transport.counters.foreign == dropped)
        assert one.arrived.empty() and not one.transport.counters.received


@scenario()
async def test_more_than_the_kernel_takes_are_dropped_all_the_same() -> None:
    many = tuple(ip_address(f"127.0.1.{number}") for number in range(1, 60))
    where = place(excluded=(*many, ip_address(LOCALHOST)))
    open_to_all = place(group=where.group, port=where.port, rtcp_port=where.rtcp_port)
    async with members(where, SELECTIVE) as (one,), members(open_to_all, SELECTIVE) as (other,):
        other.transport.send(rtp(1))
        await eventually(lambda: one.transport.counters.foreign == 1)


@pytest.mark.skipif(not can_be_alone(), reason="needs unshare that may make a network namespace")
def test_on_a_network_with_both_versions() -> None:
    assert in_namespace(SCENES, "excluded") == {
        f"239.77.77.1 {OURS}": [],
        "239.77.77.2 10.77.0.9": ["full", "full"],
        f"ff15::77 {OURS_IPV6}": [],
        "ff15::78 fd77::9": ["full", "full"],
    }


# -- an address of this machine


@scenario()
async def test_nobody_sends_to_themselves() -> None:
    transport = UdpTransport(LOCALHOST)
    await transport.open()
    assert transport.local is not None and transport.local_rtcp is not None
    with Stranger() as far:
        for remote in ((transport.local, far.address), (far.address, transport.local_rtcp)):
            with pytest.raises(NegotiationError, match="is this call's own"):
                transport.connect_to(*remote)
        transport.connect_to(far.address, far.address)
    await transport.close()


@scenario()
async def test_a_description_that_names_our_own_ports_is_refused() -> None:
    first = free_ports(2)
    here = conference(connection=Connection(address=LOCALHOST)).edit_media(0, port=first)
    settings = HERE.replace(port_range=(first, first + 1))
    async with provider("Us", settings) as msp:
        call = msp.create_call(description=here)
        with pytest.raises(NegotiationError, match=f"port {first} is this call's own"):
            await call.join()
        assert call.state is CallState.DISCONNECTED
