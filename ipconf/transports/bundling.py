"""Which m-lines share a transport (RFC 8843). Sans-IO."""

from aiortc.sdp import MediaDescription, SessionDescription


def transport_line(
    remote: SessionDescription, media: MediaDescription, *, offer: bool
) -> MediaDescription:
    """The line that describes the transport of `media`: the first of its bundle that has one.

    In an offer, lines of a bundle but the first may have port 0 and no transport of their own
    (`bundle-only`); in an answer, port 0 is always a refusal (RFC 8843 section 7).
    """
    group = _group_of(remote, {media.rtp.muxId})
    if offer or media.port != 0:
        for mid in group:
            for line in remote.media:
                if line.rtp.muxId == mid and line.port != 0:
                    return line
    return media


def bundle_of(offer: SessionDescription, mids: set[str]) -> list[str]:
    """These mids in the order of the offer's bundle, or none when it does not bundle them all."""
    return [mid for mid in _group_of(offer, mids) if mid in mids]


def _group_of(remote: SessionDescription, mids: set[str]) -> list[str]:
    for group in remote.group:
        if group.semantic == "BUNDLE" and mids.issubset(group.items):
            return [str(mid) for mid in group.items]
    return []
