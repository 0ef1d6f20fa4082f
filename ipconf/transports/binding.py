"""UDP sockets on ports that are free: one, or a pair of neighbours for RTP and RTCP."""

import errno
import socket

from ..errors import TransportError

PORT_ATTEMPTS = 64
"""Pairs of ports to try before giving up."""
RECEIVE_BUFFER_BYTES = 1 << 20
"""Room in the kernel for a burst of video while the loop is busy."""
_ADVICE = {
    errno.EADDRNOTAVAIL: "give an address that this machine has",
    errno.EACCES: "choose ports above 1023",
}
"""What to do about errors that other ports, or more of them, would not mend."""


def bind_ports(host: str, port_range: tuple[int, int] | None, mux: bool) -> list[socket.socket]:
    """A bound socket for RTP and, without `mux`, another for RTCP.

    RTP has an even port then, and RTCP the next one (RFC 3550 section 11).
    """
    if mux:
        return [bind_udp(host, port_range)]
    bind_udp(host, None).close()  # where that fails the address is at fault, and no port will do
    candidates = range(port_range[0] + port_range[0] % 2, port_range[1], 2) if port_range else None
    for attempt in range(PORT_ATTEMPTS if candidates is None else len(candidates)):
        if candidates is None:
            with bind_udp(host, None) as probe:
                first = probe.getsockname()[1] & ~1
        else:
            first = candidates[attempt]
        try:
            rtp = bind_udp(host, (first, first))
        except TransportError:
            continue
        try:
            return [rtp, bind_udp(host, (first + 1, first + 1))]
        except TransportError:
            rtp.close()
    raise TransportError(
        f"no free pair of UDP ports on {host}; widen port_range or free some ports"
    )


def bind_udp(
    host: str, port_range: tuple[int, int] | None, *, advice: str = "widen port_range"
) -> socket.socket:
    """A non-blocking UDP socket on `host`, on the first free port of the range, or any.

    Where the ports of the range are the problem, `advice` is what to do.
    """
    ports = range(port_range[0], port_range[1] + 1) if port_range else (0,)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    problem: OSError | None = None
    for port in ports:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.bind((host, port))
        except OSError as exc:
            sock.close()
            problem = exc
            if exc.errno == errno.EADDRNOTAVAIL:
                break
            continue
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        return sock
    wanted = "ports {} to {}".format(*port_range) if port_range else "any port"
    code = (problem and problem.errno) or 0
    advice = _ADVICE.get(code, advice if port_range else "free some ports")
    raise TransportError(f"cannot bind {wanted} on {host}: {problem}; {advice}") from problem
