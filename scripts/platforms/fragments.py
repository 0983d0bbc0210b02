"""IP fragments."""
import random
import struct

from basic import call, packet, tone
from wire import ethernet, ip_fragments, ip_packet, udp_segment

SIX = ('2001:db8::1', '2001:db8::2')


def _by(c, pieces_of):
    """sends SIP by `pieces_of(segment, ident, source, destination)`: IP packets in the order in which they come"""
    def send(at, s, d, m):
        for i, piece in enumerate(pieces_of(udp_segment(s, d, m), c.next_ident(), s[0], d[0])):
            c.ip(at + i * 1e-5, s[0], d[0], piece)
    return send


def _shuffled(seed, size, each=1):
    def pieces(segment, ident, s, d):
        out = ip_fragments(s, d, 17, segment, ident, size) * each
        random.Random(seed).shuffle(out)
        return out
    return pieces


def fragments_shuffled_and_doubled(c):
    """Pieces in any order, each twice."""
    return {'calls': [call(c, 'shuffled', pad=3000, send=_by(c, _shuffled(1, 512, 2)))]}


def fragments_tiny(c):
    """Pieces of eight bytes, in any order."""
    return {'calls': [call(c, 'tiny', pad=1000, send=_by(c, _shuffled(2, 8)))]}


def fragments_reversed_v6(c):
    """IPv6, the last piece first."""
    def pieces(segment, ident, s, d):
        return ip_fragments(s, d, 17, segment, ident, 1200)[::-1]
    return {'calls': [call(c, 'reversed', *SIX, pad=3000, send=_by(c, pieces))]}


def fragments_behind_options_v6(c):
    """IPv6: hop-by-hop options before the fragment header, destination options behind it, and atomic fragments."""
    options = bytes([1, 4, 0, 0, 0, 0])

    def pieces(segment, ident, s, d):
        whole = bytes([17, 0]) + options + segment      # destination options, in the part that is fragmented
        if len(whole) < 1200:
            return [ip_packet(s, d, 44, struct.pack('>BBHI', 60, 0, 0, ident) + whole)]
        out = []
        for at in range(0, len(whole), 1200):
            piece, more = whole[at:at + 1200], int(at + 1200 < len(whole))
            out.append(ip_packet(s, d, 0, bytes([44, 0]) + options + struct.pack('>BBHI', 60, 0, at | more, ident) + piece))
        return out
    return {'calls': [call(c, 'options', *SIX, pad=3000, send=_by(c, pieces))]}


def fragments_overlapping(c):
    """Pieces that overlap, longer ones that begin where shorter ones did, and one inside another."""
    def pieces(segment, ident, s, d):
        def piece(a, z):
            more = 0x2000 if z < len(segment) else 0
            return ip_packet(s, d, 17, segment[a:z], ident, fragment=a // 8 | more)
        n = len(segment)
        if n < 600:
            return [piece(0, n)]
        return [piece(0, 64), piece(320, 400), piece(0, 400), piece(328, 344), piece(240, 560), piece(552, n), piece(480, 568)]
    return {'calls': [call(c, 'overlapping', pad=1000, send=_by(c, pieces))]}


def fragments_interleaved_with_one_id(c):
    """One IP id for everything: of two senders at once, of two protocols, again for each message, each last piece once more at
    the end, and in between a datagram that lacks its end."""
    def pieces(segment, ident, s, d):
        out = ip_fragments(s, d, 17, segment, 1, 800)
        lost = ip_fragments(s, d, 17, bytes(1200), 1, 800)[:1]
        other = ip_fragments(s, d, 6, bytes(1500), 1, 800)
        if len(out) < 2:
            return out
        return lost + [p for pair in zip(out + out[-1:], (other * 9)[:len(out) + 1]) for p in pair]
    a = call(c, 'one-id-a', pad=2000, send=_by(c, pieces))
    b = call(c, 'one-id-b', a='10.2.0.3', b='10.2.0.2', at=0.000004, pad=2000, ports=(4002, 5002), send=_by(c, pieces))
    b['streams'].reverse()      # alike in time, they come in the order of their sources
    return {'calls': [a, b]}


def fragments_lost(c):
    """The INVITE lacks a piece and is retransmitted; its second copy is whole."""
    turn = iter(range(100))

    def pieces(segment, ident, s, d):
        out = ip_fragments(s, d, 17, segment, ident, 1200)
        return out[:1] + out[2:] if next(turn) == 0 else out
    send = _by(c, pieces)

    def twice(at, s, d, m):
        send(at, s, d, m)
        if m.startswith(b'INVITE'):
            send(at + 0.05, s, d, m)
    return {'calls': [call(c, 'lost-piece', pad=3000, send=twice)]}


def fragments_of_rtp(c):
    """RTP with 60 ms of sound in pieces, both ways, some in reverse, one packet without its end: that one is lost."""
    expected = call(c, 'rtp-pieces', media=False)
    for n in range(20):
        for a, b, ssrc, hz in ((('10.2.0.1', 4000), ('10.2.0.2', 5000), 1, 440), (('10.2.0.2', 5000), ('10.2.0.1', 4000), 2, 1000)):
            rtp = packet(0, n, n * 480, ssrc, tone(hz, n * 480, 480))
            pieces = ip_fragments(a[0], b[0], 17, udp_segment(a, b, rtp), 100 + n, 256)
            if ssrc == 2 and n == 9:
                pieces = pieces[:1]
            for i, p in enumerate(pieces[::-1] if n % 3 == 0 else pieces):
                c.ip(0.12 + n * 0.06 + i * 1e-6, a[0], b[0], p)
    expected['streams'] = [{'party': 'caller', 'packets': 20, 'lost': 0, 'duplicates': 0},
                           {'party': 'callee', 'packets': 19, 'lost': 1, 'duplicates': 0}]
    expected['gaps'] = [{'party': 'callee', 'length_s': 0.06}]
    return {'calls': [expected]}


def fragments_inside_a_tunnel(c):
    """Fragments of the inner packets in ERSPAN II, the pieces in reverse."""
    head = struct.pack('>HHIHHI', 0x1000, 0x88be, 1, 0x1000 | 20, 100, 3)
    c.wrap = lambda p, s, d: ethernet(ip_packet('192.0.2.1', '192.0.2.2', 47, head + ethernet(p, s, d)), '192.0.2.1', '192.0.2.2')

    def pieces(segment, ident, s, d):
        return ip_fragments(s, d, 17, segment, ident, 1200)[::-1]
    return {'calls': [call(c, 'inside', pad=3000, send=_by(c, pieces))]}
