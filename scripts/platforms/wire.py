"""Captures written by hand: SIP messages, RTP with a tone, and what a mirror does to them. Standard library only, and the
same bytes each time.

    with Capture() as c:
        c.udp(0.0, A, B, sip('INVITE sip:b@x SIP/2.0', headers, body))
        c.rtp(0.5, 1.0, (A[0], 4000), (B[0], 5000), ssrc=1, hz=440)
        c.write('name.pcap')

Times are seconds from EPOCH; packets are written in order of time. An address is (host, port); hosts are IPv4 or IPv6.
"""
import ipaddress
import math
import struct

EPOCH = 1_790_000_000           # 2026-09-21T14:13:20Z
MACS = {}                       # a MAC a host, in order of appearance


def mac(host):
    MACS.setdefault(host, len(MACS) + 1)
    return bytes((2, 0, 0, 0, MACS[host] >> 8, MACS[host] & 255))


def checksum(data):
    total = sum(struct.unpack(f'>{len(data + data[:len(data) % 2]) // 2}H', data + b'\0' * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def sip(start, headers, body='', eol='\r\n'):
    """a SIP message; `headers` is text, a header a line; Content-Length is added unless it is there"""
    lines = [start] + [line.strip() for line in headers.strip().splitlines()]
    body = body.replace('\n', '\r\n').encode() if isinstance(body, str) else body
    if not any(line.lower().startswith(('content-length', 'l:')) for line in lines):
        lines.append(f'Content-Length: {len(body)}')
    return (eol.join(lines) + eol * 2).encode() + body


def sdp(host, *media, session=''):
    """`media`: (port, formats, *attribute lines) each, formats as '0 101'; a lone port is PCMU"""
    family = 'IP6' if ':' in host else 'IP4'
    out = f'v=0\no=- 1 1 IN {family} {host}\ns=-\nc=IN {family} {host}\nt=0 0\n{session}'
    for m in media:
        port, formats, *lines = m if isinstance(m, tuple) else (m, '0')
        out += f'm=audio {port} RTP/AVP {formats}\n' + ''.join(f'{line}\n' for line in lines)
    return out


def ulaw(sample):
    sign, sample = (0x80, -sample) if sample < 0 else (0, sample)
    sample = min(sample, 32635) + 132
    exponent = max(sample.bit_length() - 8, 0)
    return ~(sign | exponent << 4 | sample >> exponent + 3 & 15) & 255


def udp_segment(source, destination, payload):
    length = 8 + len(payload)
    head = struct.pack('>HHHH', source[1], destination[1], length, 0)
    return head[:6] + struct.pack('>H', checksum(pseudo(source, destination, 17, length) + head + payload) or 0xffff) + payload


def tcp_segment(source, destination, sequence, ack, flags, payload):
    head = struct.pack('>HHIIBBHHH', source[1], destination[1], sequence & 0xffffffff, ack & 0xffffffff, 80, flags, 65535, 0, 0)
    total = checksum(pseudo(source, destination, 6, len(head + payload)) + head + payload)
    return head[:16] + struct.pack('>H', total) + head[18:] + payload


def pseudo(source, destination, protocol, length):
    a, b = (ipaddress.ip_address(e[0]).packed for e in (source, destination))
    return a + b + struct.pack('>IHH', length, 0, protocol) if len(a) == 16 else a + b + struct.pack('>HH', protocol, length)


def ip_packet(source, destination, protocol, payload, ident=0, ttl=64, fragment=0):
    """`fragment`: the word of flags and offset of IPv4; the same of a fragment header of IPv6 is `ip_fragments`'"""
    a, b = ipaddress.ip_address(source).packed, ipaddress.ip_address(destination).packed
    if len(a) == 16:
        return struct.pack('>IHBB', 0x60000000, len(payload), protocol, ttl) + a + b + payload
    head = struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(payload), ident, fragment, ttl, protocol, 0) + a + b
    return head[:10] + struct.pack('>H', checksum(head)) + head[12:] + payload


def ip_fragments(source, destination, protocol, payload, ident, size):
    """pieces of `size` bytes of payload (a multiple of 8)"""
    out = []
    for at in range(0, len(payload), size):
        piece, more = payload[at:at + size], int(at + size < len(payload))
        if ':' in source:
            piece = struct.pack('>BBHI', protocol, 0, at | more, ident) + piece
            out.append(ip_packet(source, destination, 44, piece))
        else:
            out.append(ip_packet(source, destination, protocol, piece, ident, fragment=at // 8 | more << 13))
    return out


class Capture:
    def __init__(self, link=1, snap=262144):
        self.link, self.snap, self.frames, self.ident, self.tcps = link, snap, [], 0, {}
        self.wrap = lambda packet, source, destination: ethernet(packet, source, destination)

    def frame(self, at, frame):
        self.frames.append((at, len(self.frames), frame))

    def ip(self, at, source, destination, packet):
        """an IP packet between two hosts, as the mirror wraps it: `self.wrap(packet, source, destination)`"""
        self.frame(at, self.wrap(packet, source, destination))

    def next_ident(self):
        self.ident = self.ident % 65535 + 1
        return self.ident

    def udp(self, at, source, destination, payload, fragment=0, ttl=64):
        """`fragment`: pieces of that many bytes"""
        segment = udp_segment(source, destination, payload)
        if fragment:
            pieces = ip_fragments(source[0], destination[0], 17, segment, self.next_ident(), fragment)
        else:
            pieces = [ip_packet(source[0], destination[0], 17, segment, self.next_ident(), ttl)]
        for i, piece in enumerate(pieces):
            self.ip(at + i * 2e-6, source[0], destination[0], piece)

    def tcp(self, at, source, destination, payload, cut=1400):
        """data of a connection, which is opened at need; `cut`: bytes a segment"""
        if (source, destination) not in self.tcps:
            self.tcps[source, destination], self.tcps[destination, source] = 1001, 5001
            for n, (a, b, s, k, f) in enumerate(((source, destination, 1000, 0, 2), (destination, source, 5000, 1001, 18),
                                                 (source, destination, 1001, 5001, 16))):
                self.segment(at - 0.003 + n * 0.001, a, b, s, k, f, b'')
        for i in range(0, len(payload), cut):
            piece = payload[i:i + cut]
            self.segment(at + i * 1e-6, source, destination, self.tcps[source, destination],
                         self.tcps[destination, source], 24, piece)
            self.tcps[source, destination] += len(piece)

    def segment(self, at, source, destination, sequence, ack, flags, payload):
        segment = tcp_segment(source, destination, sequence, ack, flags, payload)
        self.ip(at, source[0], destination[0], ip_packet(source[0], destination[0], 6, segment, self.next_ident()))

    def rtp(self, at, seconds, source, destination, ssrc, hz, pt=0, seq=100, stamp=8000, skip=()):
        """G.711 µ-law (pt 0), 20 ms a packet; packets whose number is in `skip` are lost"""
        for n in range(round(seconds * 50)):
            if n not in skip:
                samples = (10000 * math.sin(2 * math.pi * hz * (n * 160 + i) / 8000) for i in range(160))
                head = struct.pack('>BBHII', 128, pt, seq + n & 0xffff, stamp + n * 160 & 0xffffffff, ssrc)
                self.udp(at + n * 0.02, source, destination, head + bytes(ulaw(int(s)) for s in samples))

    def write(self, path):
        with open(path, 'wb') as out:
            out.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, self.snap, self.link))
            for at, _, frame in sorted(self.frames):
                micros = round((EPOCH + at) * 1_000_000)
                kept = frame[:self.snap]
                out.write(struct.pack('<IIII', micros // 1_000_000, micros % 1_000_000, len(kept), len(frame)) + kept)


def ethernet(packet, source, destination, tags=()):
    """`tags`: (TPID, VLAN) each, the outermost first"""
    kind = 0x86dd if packet[0] >> 4 == 6 else 0x0800
    tagged = b''.join(struct.pack('>HH', *t) for t in tags)
    return mac(destination) + mac(source) + tagged + struct.pack('>H', kind) + packet
