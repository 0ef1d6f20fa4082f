"""SAP with FFmpeg, and over IPv6, each in a network namespace of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from multicast_lab import OURS_IPV6, can_be_alone, in_namespace
from sap_lab import GROUP, PORT

pytestmark = pytest.mark.skipif(
    not can_be_alone() or shutil.which("ffmpeg") is None,
    reason="needs ffmpeg, and unshare that may make a network namespace",
)


SCENES = Path(__file__).with_name("sap_lab.py")


def test_an_announcement_of_ffmpeg_is_found_and_its_deletion_seen() -> None:
    tone = {
        "name": "A tone",
        "groups": [GROUP],
        "ttl": 1,
        "port": PORT,
        "formats": ["PCMU"],
    }
    seen = in_namespace(SCENES, "ffmpeg_announces")
    assert seen == [{"what": "heard", **tone}, {"what": "deleted", **tone}]


def test_ffmpeg_finds_what_we_announce_and_plays_it() -> None:
    found = in_namespace(SCENES, "ffmpeg_listens")
    assert found["codecs"] == ["pcm_mulaw"]
    assert found["packets"] == 20


def test_announcements_over_ipv6() -> None:
    where = f"by {OURS_IPV6} in ff05::2:7ffe"
    assert in_namespace(SCENES, "two_of_us_over_ipv6") == [f"heard {where}", f"deleted {where}"]
