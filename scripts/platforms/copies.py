"""Packets that a mirror gives twice, and what only looks like it."""
import struct

from basic import call, packet, tone
from wire import checksum, ethernet


def _twice(expected, n=50):
    for s in expected['streams']:
        s.update(duplicates=n, jitter_ms=0.0)
    return expected


def _copied(c, copy, delay=20e-6):
    """each packet a second time: `copy(packet, number, source, destination)` makes the frame; None: not this one"""
    plain = c.ip

    def ip(at, s, d, p):
        plain(at, s, d, p)
        frame = copy(p, len(c.frames), s, d)
        if frame:
            c.frame(at + delay, frame)
    c.ip = ip


def _routed(p, n):
    """what a router makes of a packet, and a firewall that draws its own IP ids"""
    p = p[:4] + struct.pack('>H', 40000 + n & 0xffff) + p[6:8] + bytes([p[8] - 1]) + p[9:10] + b'\0\0' + p[12:]
    return p[:10] + struct.pack('>H', checksum(p[:20])) + p[12:]


def copies_identical(c):
    """Both ports are mirrored: each packet twice, 20 µs apart."""
    _copied(c, lambda p, n, s, d: ethernet(p, s, d))
    return {'calls': [_twice(call(c, 'twice'))]}


def copies_routed(c):
    """Each packet again behind a routed hop: other MACs, TTL, IP id and checksum, and in another VLAN."""
    _copied(c, lambda p, n, s, d: b'\x06' * 6 + b'\x08' * 6 + b'\x81\0\0\x14\x08\0' + _routed(p, n), 90e-6)
    return {'calls': [_twice(call(c, 'routed'))]}


def copies_in_other_order(c):
    """The copies come 25 ms late, behind the packet after them: nothing is reordered by that."""
    _copied(c, lambda p, n, s, d: ethernet(p, s, d) if p[9] == 17 and len(p) == 200 else None, 0.025)
    return {'calls': [_twice(call(c, 'late-copies'))]}


def copies_where_one_path_loses(c):
    """Two paths, each loses other packets: nothing is lost."""
    kept = {'n': 0}

    def ip(at, s, d, p):
        kept['n'] += 1
        n = kept['n']
        first, second = ethernet(p, s, d), ethernet(_routed(p, n), s, d)
        if len(p) != 200 or n % 5 != 0:
            c.frame(at, first)
        if len(p) != 200 or n % 5 == 0 or n % 5 == 1:
            c.frame(at + 50e-6, second)
    c.ip = ip
    expected = call(c, 'two-paths')
    for s in expected['streams']:
        s.pop('duplicates')
    return {'calls': [expected]}


def copies_of_fragments(c):
    """Each fragment twice at once, and in the next message the whole set a second time."""
    turn = {'n': 0}
    plain = c.ip

    def ip(at, s, d, p):
        plain(at, s, d, p)
        if struct.unpack('>H', p[6:8])[0] & 0x3fff:
            c.frame(at + (1e-6 if p[4:6] == b'\0\1' else 100e-6), ethernet(p, s, d))
            turn['n'] += 1
    c.ip = ip
    return {'calls': [call(c, 'fragment-copies', pad=2500, send=lambda at, s, d, m: c.udp(at, s, d, m, fragment=1200))]}


def copies_over_tcp(c):
    """Every TCP segment twice, its SYN too; copies of the SYN come behind the first data."""
    plain = c.ip

    def ip(at, s, d, p):
        plain(at, s, d, p)
        if p[9] == 6:
            c.frame(at + (0.004 if p[33] & 2 else 30e-6), ethernet(_routed(p, 1), s, d))
    c.ip = ip
    return {'calls': [call(c, 'tcp-copies', send=c.tcp)]}


def sipp_ssrc_of_two_calls(c):
    """SIPp gives every stream the SSRC 0xCA110000: two calls between the same hosts at once, one SSRC in all."""
    one = call(c, 'sipp-1', ssrc=(0xca110000, 0xca110000))
    two = call(c, 'sipp-2', at=0.3, ssrc=(0xca110000, 0xca110000), ports=(4010, 5010), hz=(620, 1500))
    return {'calls': [one, two]}


def retransmissions_and_redundancy(c):
    """A sender that sends each RTP packet again 10 ms later, with its own IP id, over a call whose INVITE and 200 are
    retransmitted after half a second."""
    sent = []

    def send(at, s, d, m):
        c.udp(at, s, d, m)
        if b'CSeq: 1 INVITE' in m:
            sent.append((at + 0.5, s, d, m))
    expected = call(c, 'again', send=send, media=False)
    for at, s, d, m in sent:
        c.udp(at, s, d, m)
    for n in range(50):
        for delay in (0, 0.01):
            for a, b, ssrc, hz in ((('10.2.0.1', 4000), ('10.2.0.2', 5000), 1, 440), (('10.2.0.2', 5000), ('10.2.0.1', 4000), 2, 1000)):
                c.udp(0.12 + n * 0.02 + delay, a, b, packet(0, n, n * 160, ssrc, tone(hz, n * 160, 160)))
    return {'calls': [_twice(expected)]}
