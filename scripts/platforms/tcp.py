"""SIP over TCP and over WebSocket, as captures have it."""
import base64
import random
import struct
import zlib

from basic import call


class _Line:
    """connections as the capture shows them: `cut` pieces a message is sent in, `show` what becomes of the segments of one
    message, a list of (sequence, bytes) each"""
    def __init__(self, c, first=1000, cut=1400, show=lambda segments: segments, wrap=lambda s, d, m: m, opened=True):
        self.c, self.first, self.cut, self.show, self.wrap, self.next, self.opened = c, first, cut, show, wrap, {}, opened

    def __call__(self, at, s, d, message):
        if (s, d) not in self.next:
            self.next[s, d] = self.next[d, s] = self.first + 1
            if self.opened:
                self.c.segment(at - 0.003, s, d, self.first, 0, 2, b'')
                self.c.segment(at - 0.002, d, s, self.first, self.first + 1, 18, b'')
                self.c.segment(at - 0.001, s, d, self.first + 1, self.first + 1, 16, b'')
        m = self.wrap(s, d, message)
        pieces = [(self.next[s, d] + i, m[i:i + self.cut]) for i in range(0, len(m), self.cut)]
        self.next[s, d] += len(m)
        for i, (sequence, piece) in enumerate(self.show(pieces)):
            self.c.segment(at + i * 1e-6, s, d, sequence & 0xffffffff, self.next[d, s] & 0xffffffff, 24, piece)


def tcp_seven_bytes(c):
    """Segments of seven bytes, on ports that are none of SIP's."""
    line = _Line(c, cut=7)
    return {'calls': [call(c, 'seven', send=lambda at, s, d, m: line(at, (s[0], 7100), (d[0], 7200), m))]}


def tcp_disorder_and_copies(c):
    """Segments in any order, doubled, and again with other boundaries; the sequence numbers wrap."""
    rng = random.Random(3)

    def show(pieces):
        first, text = pieces[0][0], b''.join(p for _, p in pieces)
        out = [(first + a, text[a:a + rng.randint(1, 300)]) for a in range(0, len(text), 77)] + pieces * 2
        rng.shuffle(out)
        return pieces[:1] + out
    return {'calls': [call(c, 'disorder', pad=1000, send=_Line(c, first=0xfffffe00, cut=150, show=show))]}


def tcp_joined_inside_a_message(c):
    """The capture begins inside a message of another call on the same connection; the next one is understood."""
    line = _Line(c, opened=False)
    line(-0.01, ('10.2.0.1', 5060), ('10.2.0.2', 5060), b'/UDP x\r\nContent-Length: 20\r\n\r\nv=0\r\nm=audio 1 RTP\r\n')
    return {'calls': [call(c, 'joined', send=line)]}


def tcp_hole(c):
    """A segment inside a message of another call never comes: reading resumes at the next message, and no call but that is
    hurt."""
    lost = b'SUBSCRIBE sip:x SIP/2.0\r\nCall-ID: lost\r\nCSeq: 1 SUBSCRIBE\r\nContent-Length: 300\r\n\r\n' + b'x' * 300
    line = _Line(c, cut=100, show=lambda p: p[:2] + p[3:] if b'SUBSCRIBE' in p[0][1] else p)
    line(-0.05, ('10.2.0.1', 5060), ('10.2.0.2', 5060), lost)
    return {'calls': [call(c, 'hole', send=line)]}


def tcp_trunk(c):
    """One connection carries many calls: messages of several in one segment, messages over several segments."""
    held, line = [], _Line(c, cut=2500)

    def send(at, s, d, m):
        held.append((at, s, d, m))
    calls = [call(c, f'trunk-{n:02}', at=n * 0.001, ports=(4000 + n * 2, 5000 + n * 2), ssrc=(n * 2 + 1, n * 2 + 2), send=send,
                  media=n == 0) for n in range(12)]
    for e in calls[1:]:
        e.pop('streams'), e.pop('tones')
    held.sort(key=lambda h: h[0])
    ahead = b'OPTIONS sip:x SIP/2.0\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n'
    while held:
        at, s, d, m = held[0]
        # each INVITE behind another message in one segment, so that the calls begin one after the other
        alike = held[:1] if m.startswith(b'INVITE') else [h for h in held[:7] if h[1] == s and h[0] < at + 0.008]
        held = [h for h in held if h not in alike]
        line(max(h[0] for h in alike), s, d, ahead + b''.join(h[3] for h in alike))
    return {'calls': calls}


def tcp_keep_alives(c):
    """CRLFCRLF and its answer, zero bytes, and TCP keep-alives of one byte below the next sequence number, also inside a
    message."""
    line = _Line(c, cut=200)

    def send(at, s, d, m):
        line(at - 0.004, s, d, b'\r\n\r\n')
        line(at - 0.003, d, s, b'\r\n')
        line(at - 0.002, s, d, b'\0\0')
        c.segment(at - 0.001, s, d, line.next[s, d] - 1, line.next[d, s], 16, b'\0')
        line.show = lambda p: [x for a, b in p for x in ((a, b), (a + len(b) - 1, b'\0'))]
        line(at, s, d, m)
        line.show = lambda p: p
    return {'calls': [call(c, 'keep-alive', pad=400, send=send)]}


def tcp_ports_used_again(c):
    """The same ports again with a lower initial sequence number: with its SYN, and joined without one after an RST; a RST that
    is far outside the window, inside a message, ends nothing."""
    def send(line):
        def of(at, s, d, m):
            half = len(m) // 2
            line(at - 0.0005, s, d, m[:half])
            c.segment(at - 0.0003, s, d, line.next[s, d] + 0x10000000, 0, 4, b'')
            line(at, s, d, m[half:])
        return of
    one = call(c, 'first', send=send(_Line(c, first=90000)))
    two = call(c, 'second', at=3.0, send=_Line(c, first=2000))
    c.segment(5.0, ('10.2.0.1', 5060), ('10.2.0.2', 5060), 100000, 0, 4, b'')
    c.segment(5.0, ('10.2.0.2', 5060), ('10.2.0.1', 5060), 100000, 0, 4, b'')
    three = call(c, 'third', at=8.0, send=_Line(c, first=1000, opened=False))
    return {'calls': [one, two, three]}


def _frame(payload, masked, opcode=1, fin=True, long=0):
    """an RFC 6455 frame; `long`: 2 or 8 bytes of length at least"""
    n = len(payload)
    head = bytes([opcode | fin << 7])
    bit = 128 if masked else 0
    if n > 65535 or long == 8:
        head += bytes([127 | bit]) + struct.pack('>Q', n)
    elif n > 125 or long == 2:
        head += bytes([126 | bit]) + struct.pack('>H', n)
    else:
        head += bytes([n | bit])
    if masked:
        key = b'\x11\xa2\x33\xc4'
        return head + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))
    return head + payload


def _handshake(extensions=''):
    key = base64.b64encode(b'0123456789abcdef').decode()
    ask = (f'GET /ws HTTP/1.1\r\nHost: pbx.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n'
           f'Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n')
    answer = (f'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
              f'Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: sip\r\n{extensions}\r\n')
    return ask.encode(), answer.encode()


def _websocket(c, cut=1400, upgrade=True, extensions='', sort=0, show=lambda segments: segments):
    line = _Line(c, cut=cut, show=show, opened=upgrade)
    client, server = ('10.2.0.1', 33000), ('10.2.0.2', 8080)
    turn = {'n': sort}
    if upgrade:
        ask, answer = _handshake(extensions)
        line(-0.05, client, server, ask)
        line(-0.04, server, client, answer)

    def send(at, s, d, m):
        s, d = (client, server) if s[0] == client[0] else (server, client)
        masked, n = s == client, turn['n']
        turn['n'] += 1
        if n % 4 == 0:          # whole, text
            data = _frame(m, masked)
        elif n % 4 == 1:        # binary, in three pieces, with a ping between
            third = len(m) // 3
            data = (_frame(m[:third], masked, 2, False) + _frame(b'alive?', masked, 9) + _frame(m[third:2 * third], masked, 0, False)
                    + _frame(m[2 * third:], masked, 0, True, 8))
        elif n % 4 == 2:        # a pong and a keep-alive before it, a long length
            data = _frame(b'', masked, 10) + _frame(b'\r\n\r\n', masked) + _frame(m, masked, 1, True, 8)
        else:
            data = _frame(m, masked, 2) + _frame(b'', masked, 9)
        line(at, s, d, data)
    return send


def websocket_from_its_upgrade(c):
    """RFC 7118: text and binary frames, masked by the client, in pieces, with pings between and every form of length."""
    return {'calls': [call(c, 'ws', pad=300, send=_websocket(c))]}


def websocket_in_small_segments(c):
    """The same in segments of 60 bytes."""
    return {'calls': [call(c, 'ws-small', send=_websocket(c, cut=60))]}


def websocket_joined(c):
    """The capture begins when the connection is up: frames alone tell what it is."""
    return {'calls': [call(c, 'ws-joined', send=_websocket(c, upgrade=False))]}


def websocket_compressed(c):
    """permessage-deflate was negotiated: what is compressed is not read; the media is a call of its own."""
    def squeezed(at, s, d, m):
        pack = zlib.compressobj(9, zlib.DEFLATED, -15)
        data = (pack.compress(m) + pack.flush(zlib.Z_SYNC_FLUSH))[:-4]
        frame = _frame(data, s[0] == '10.2.0.1', 1)
        out(at, s, d, bytes([frame[0] | 0x40]) + frame[1:])
    first = _Line(c)
    client, server = ('10.2.0.1', 33000), ('10.2.0.2', 8080)
    ask, answer = _handshake('Sec-WebSocket-Extensions: permessage-deflate\r\n')

    def out(at, s, d, data):
        s, d = (client, server) if s[0] == client[0] else (server, client)
        first(at, s, d, data)
    first(-0.05, client, server, ask)
    first(-0.04, server, client, answer)
    call(c, 'ws-deflate', send=squeezed)
    return {'calls': [{'kind': 'media-only', 'call_ids': [], 'streams': [{'packets': 50, 'lost': 0}, {'packets': 50, 'lost': 0}]}]}


def tcp_in_a_segment_of_ipv6(c):
    """IPv6, messages over several segments."""
    return {'calls': [call(c, 'tcp-six', '2001:db8::1', '2001:db8::2', pad=2000, send=_Line(c, cut=1000))]}
