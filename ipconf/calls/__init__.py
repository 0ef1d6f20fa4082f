"""What a call is made of, from its provider's messages to media on its transports.

    signalling -> negotiator (offers and answers) -> connection (what is in use, and its end)
                       bearers: the transports of an offer or answer
    media: a session on each transport that is connected -> channel -> the streams

`ipconf.call` holds what applications see of it.
"""
