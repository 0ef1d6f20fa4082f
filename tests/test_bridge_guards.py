"""Whose a request is: addresses behind proxies, pages of other sites."""

from __future__ import annotations

import socket
from ipaddress import ip_network

import pytest

from ipconf.bridge.guards import check_origin, client_behind, is_in, is_loopback
from ipconf.bridge.refusals import Refused
from ipconf.bridge.settings import BridgeSettings

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
LAN = BridgeSettings(host="0.0.0.0")
NAMED = BridgeSettings(public_url="https://conf.example.org", origins=("https://www.example.org",))


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("", "10.0.0.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1, 10.0.0.9", "192.0.2.1"),
        ("6.6.6.6,10.0.0.7 , 10.0.0.9", "6.6.6.6"),
        ("10.0.0.8", "10.0.0.8"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.1, what", "10.0.0.1"),
        ("192.0.2.1, what, 10.0.0.9", "10.0.0.9"),
    ],
)
def test_the_last_address_that_no_proxy_of_ours_has_counts(forwarded: str, client: str) -> None:
    assert client_behind("10.0.0.1", forwarded, TRUSTED) == client


def test_addresses_and_what_is_none() -> None:
    assert [is_in(a, TRUSTED) for a in ("10.1.2.3", "::1", "11.0.0.1", "", None, "x")] == [
        True,
        True,
        *[False] * 4,
    ]
    assert [is_loopback(a) for a in ("127.0.0.2", "::1", "192.0.2.1", "", None)] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("settings", "origin", "host"),
    [
        (LAN, None, "anything"),
        (LAN, "http://192.168.1.5:8080", "192.168.1.5:8080"),
        (LAN, "https://192.168.1.5", "192.168.1.5"),
        (LAN, "http://[fd00::1]:8080", "[fd00::1]:8080"),
        (LAN, "http://localhost:8080", "localhost:8080"),
        (LAN, "http://lab-pc:8080", "lab-pc:8080"),
        (LAN, "https://LAB-pc", "lab-PC"),
        (NAMED, "https://conf.example.org", "conf.example.org"),
        (NAMED, "https://conf.example.org", "127.0.0.1:8080"),
        (NAMED, "https://CONF.example.org", "backend:8080"),
        (NAMED, "https://www.example.org", "conf.example.org"),
        (NAMED, "http://127.0.0.1:8080", "127.0.0.1:8080"),
    ],
)
def test_pages_of_ours_may_connect(
    settings: BridgeSettings, origin: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Lab-PC")
    check_origin(origin, host, settings)


@pytest.mark.parametrize(
    ("settings", "origin", "host"),
    [
        (LAN, "https://evil.example", "192.168.1.5:8080"),
        (LAN, "http://192.168.1.6:8080", "192.168.1.5:8080"),
        (LAN, "http://192.168.1.5:8081", "192.168.1.5:8080"),
        (LAN, "https://192.168.1.5:8080", "192.168.1.5"),
        (LAN, "http://rebound.example:8080", "rebound.example:8080"),
        (LAN, "http://lab-pc.rebound.example:8080", "lab-pc.rebound.example:8080"),
        (LAN, "http://lab-pc:8080", "192.168.1.5:8080"),
        (LAN, "null", "192.168.1.5:8080"),
        (LAN, "", "192.168.1.5:8080"),
        (LAN, "http://192.168.1.5:x", "192.168.1.5:x"),
        (LAN, "http://[::1", "localhost:8080"),
        (LAN, "file://", ""),
        (NAMED, "https://example.org", "conf.example.org"),
        (NAMED, "https://conf.example.org.evil.example", "conf.example.org"),
        (NAMED, "http://conf.example.org:81", "conf.example.org"),
    ],
)
def test_pages_of_others_may_not(
    settings: BridgeSettings, origin: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Lab-PC")
    with pytest.raises(Refused) as caught:
        check_origin(origin, host, settings)
    assert (caught.value.status, caught.value.code) == (403, "bad-origin")
