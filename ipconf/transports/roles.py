"""Who of the two ends is the DTLS server (RFC 8842 section 5). Sans-IO."""


def answer_role(offered: str, preference: str) -> str:
    """Our DTLS role against an offer's: the server, unless the offer is one (RFC 8842 section 5).

    Servers connect to every peer we know of; as a client we would have to like the certificate's
    key type. `preference` ("auto", "client", "server") counts only where the offer leaves it open.
    """
    if offered == "server":
        return "client"
    if offered == "client":
        return "server"
    return "server" if preference == "auto" else preference


def offer_role(answered: str) -> str:
    """Our DTLS role after the answer to our offer."""
    return "client" if answered == "server" else "server"
