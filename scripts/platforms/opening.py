"""How connections open: SIP over TCP on ports that nobody knows, whose first segments come in odd ways."""
import datetime

from basic import call
from tcp import _Line, _websocket
from wire import EPOCH

CLIENT, SERVER = ('10.2.0.1', 39812), ('10.2.0.2', 7060)


def _pairs(pieces):
    """each two swapped"""
    return [x for i in range(0, len(pieces), 2) for x in pieces[i:i + 2][::-1]]


def _first_two(pieces):
    """the first two swapped"""
    return pieces[1::-1] + pieces[2:]


def _heard(c, name, client, server, line, cut, ahead=0, at=0.0, **how):
    """`basic.call` on other ports, whose INVITE is heard: it has come whole with the last of its segments, which are a
    microsecond apart; `ahead`: bytes that were there before"""
    segments = []

    def send(at, s, d, m):
        s, d = (client, server) if s[0] == client[0] else (server, client)
        if m.startswith(b'INVITE'):
            segments.append(-(-(len(m) - ahead) // cut))
        line(at, s, d, m)
    expected = call(c, name, at=at, send=send, **how)
    began = datetime.datetime.fromtimestamp(EPOCH + at, datetime.timezone.utc)
    began += datetime.timedelta(microseconds=segments[0] - 1)
    return {**expected, 'started_at': began.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}


def _open(c, at, client, server, first, syn=(0,), answer=(0.001,)):
    """a handshake: when the SYN and its answer are seen"""
    for t in syn:
        c.segment(at + t, client, server, first, 0, 2, b'')
    for t in answer:
        c.segment(at + t, server, client, first, first + 1, 18, b'')
    c.segment(at + 0.002, client, server, first + 1, first + 1, 16, b'')


def tcp_first_two_swapped(c):
    """The first two segments of each message have changed places, on port 5080; the mirror shows SYN and answer twice."""
    line = _Line(c, first=4_000_000_000, show=_first_two, opened=False)
    client, server = ('10.2.0.1', 45961), ('10.2.0.2', 5080)
    line.next[client, server] = line.next[server, client] = 4_000_000_001
    _open(c, -0.01, client, server, 4_000_000_000, syn=(0, 0.0001), answer=(0.001, 0.0011))
    return {'calls': [_heard(c, 'swapped', client, server, line, 1400, pad=2000)]}


def tcp_first_segment_last(c):
    """The first segment of each message comes last, behind those in reverse; the SYN is sent again after a second and once
    more by a late copy among the data; every segment has a copy."""
    line = _Line(c, first=70_000, cut=90, show=lambda p: p[:0:-1] + p[:1] + p[::-1], opened=False)
    line.next[CLIENT, SERVER] = line.next[SERVER, CLIENT] = 70_001
    _open(c, -0.01, CLIENT, SERVER, 70_000, syn=(-1, 0, 0.01001), answer=(0.001, 0.0101))
    return {'calls': [_heard(c, 'last', CLIENT, SERVER, line, 90)]}


def tcp_only_the_answer_to_the_syn(c):
    """The mirror has lost the SYN and shows its answer, which tells of both directions; segments of seven bytes, each two
    swapped."""
    line = _Line(c, first=70_000, cut=7, show=_pairs, opened=False)
    line.next[CLIENT, SERVER] = line.next[SERVER, CLIENT] = 70_001
    _open(c, -0.01, CLIENT, SERVER, 70_000, syn=())
    return {'calls': [_heard(c, 'answered', CLIENT, SERVER, line, 7)]}


def tcp_fast_open_among_strangers(c):
    """RFC 7413: the front of the INVITE is in the SYN, which is sent again; before it, a thousand SYNs to ports where nobody
    answers, and connections of HTTP, TLS and telnet, one of them on the ports of the call."""
    client, server = ('10.2.0.1', 39812), ('10.2.0.2', 7060)
    for n in range(1000):
        c.segment(-2 + n * 1e-4, ('10.2.0.9', 1024 + n), ('10.2.0.2', 7060), n * 7919, 0, 2, b'')
    web, tls, shell = (('10.2.0.1', p) for p in (39812, 40001, 40002))
    strangers = _Line(c, first=900, cut=300)
    strangers(-1.5, web, server, b'POST /a HTTP/1.1\r\nHost: pbx\r\nContent-Length: 900\r\n\r\n' + b'OPTIONS ' * 112 + b'1234')
    strangers(-1.4, server, web, b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    c.segment(-1.3, web, server, strangers.next[web, server], strangers.next[server, web], 17, b'')
    c.segment(-1.3, server, web, strangers.next[server, web], strangers.next[web, server] + 1, 17, b'')
    strangers(-1.0, tls, ('10.2.0.2', 443), b'\x16\x03\x01\x02\x00\x01' + bytes(range(256)) * 2)
    for i, key in enumerate(b'INVITE\r\nls\r\n'):
        strangers(-0.9 + i * 0.01, shell, ('10.2.0.2', 23), bytes((key,)))

    line = _Line(c, first=5_000_000, cut=500, opened=False)
    line.next[client, server] = line.next[server, client] = 5_000_001

    def send(at, s, d, m):
        if m.startswith(b'INVITE'):
            for again in (0, 0.001):
                c.segment(at - 0.01 + again, client, server, 5_000_000, 0, 2, m[:40])
            c.segment(at - 0.008, server, client, 5_000_000, 5_000_041, 18, b'')
            line.next[client, server] += 40
            m = m[40:]
        line(at, s, d, m)
    return {'calls': [_heard(c, 'fast', client, server, send, 500, ahead=40, pad=1000)]}


def tcp_ports_used_again_small(c):
    """Ports that are used again, in segments of seven bytes of which the first two are swapped: with a lower initial sequence
    number, with one a little above the last, with the same; then, behind a RST, without a SYN. Copies of each SYN come late."""
    calls, last = [], 0
    for n, first in enumerate((90_000, 2_000, None, 'same', 1_000)):
        first = {None: last + 50, 'same': last}.get(first, first)
        at, joined = n * 3.0, n == 4
        line = _Line(c, first=first, cut=7, show=(lambda p: p) if joined else _first_two, opened=False)
        line.next[CLIENT, SERVER] = line.next[SERVER, CLIENT] = first + 1
        if not joined:
            _open(c, at - 0.01, CLIENT, SERVER, first, syn=(0, 0.0102, 0.5), answer=(0.001, 0.1105, 0.5))
        calls.append(_heard(c, f'again-{n}', CLIENT, SERVER, line, 7, at=at, ports=(4000 + 10 * n, 5000 + 10 * n),
                            ssrc=(2 * n + 1, 2 * n + 2)))
        last = first if n == 2 else line.next[CLIENT, SERVER]
        for s, d in ((CLIENT, SERVER), (SERVER, CLIENT)):
            c.segment(at + 1.3, s, d, line.next[s, d], line.next[d, s], 4 if n == 3 else 17, b'')
    return {'calls': calls}


def websocket_in_seven_bytes(c):
    """The upgrade and the frames, with their headers of eight bytes, in segments of seven bytes, each two swapped, on port 8080."""
    return {'calls': [_heard(c, 'ws-seven', ('10.2.0.1', 33000), ('10.2.0.2', 8080), _websocket(c, cut=7, show=_pairs), 7, ahead=-8)]}
