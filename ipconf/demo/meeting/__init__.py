"""The demo that browsers join: a meeting in which some people talk in turns until it ends."""

MEETING_PARTIES = 3
"""Who talk, if nobody says how many there are to be."""
