"""How many files the system lets this process have open: each socket is one."""

from __future__ import annotations

import resource
from contextlib import suppress

WANTED = 16_384
"""Enough for thousands of guests. Many systems grant 1024 at first, and more to who asks."""


def most_files() -> int:
    """How many may be open at the same time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if soft == resource.RLIM_INFINITY else soft


def ask_for_files() -> None:
    """Ask for as many as are WANTED, or as many as there are to be had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # forbidden, as to many services
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
