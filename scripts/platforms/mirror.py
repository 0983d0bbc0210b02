"""What mirrors put around the packets, and what captures do to them."""
import itertools
import struct

from basic import call, pcapng
from wire import EPOCH, ethernet, ip_fragments, ip_packet, mac, udp_segment

OUTER = ('192.0.2.1', '192.0.2.2')


def _turns(c, *wraps):
    """each packet is wrapped by the next of these"""
    turn = itertools.cycle(wraps)
    c.wrap = lambda packet, source, destination: next(turn)(packet, source, destination)


def _over_ip(protocol, head, inner=ethernet, outer=OUTER):
    """a tunnel over IP: `head` in front of what `inner` makes of the packet"""
    return lambda p, s, d: ethernet(ip_packet(*outer, protocol, head + inner(p, s, d)), *outer)


def _over_udp(port, head, inner=ethernet, outer=OUTER):
    def wrap(p, s, d):
        segment = udp_segment((outer[0], 40000), (outer[1], port), head + inner(p, s, d))
        return ethernet(ip_packet(*outer, 17, segment), *outer)
    return wrap


def _bare(p, s, d):
    return p


def _labels(*labels):
    return b''.join(struct.pack('>I', n << 12 | (i == len(labels) - 1) << 8 | 64) for i, n in enumerate(labels))


def _kind(kind, payload, s, d):
    return mac(d) + mac(s) + struct.pack('>H', kind) + payload


def vlan_one_direction(c):
    """802.1Q tags on the packets of one direction only, as when one of two mirrored ports is a trunk."""
    c.wrap = lambda p, s, d: ethernet(p, s, d, ((0x8100, 20),) if s == '10.2.0.1' else ())
    return {'calls': [call(c, 'one-way-tags')]}


def qinq_every_tpid(c):
    """Two tags: 802.1ad, 0x8100 twice, and the TPIDs of older provider bridges; priority bits set."""
    _turns(c, *(lambda p, s, d, t=t: ethernet(p, s, d, ((t, 0xe064), (0x8100, 20))) for t in (0x88a8, 0x8100, 0x9100, 0x9200)))
    return {'calls': [call(c, 'qinq')]}


def mpls_and_pseudowires(c):
    """MPLS labels above IP, and above Ethernet with a control word (zero, and with a sequence number) and without one, where
    the MAC begins like IPv4 or like a control word."""
    def wire(word, front=b''):
        return lambda p, s, d: _kind(0x8847, _labels(16, 1001) + word + front + ethernet(p, s, d)[len(front):], *OUTER)
    _turns(c, lambda p, s, d: _kind(0x8847, _labels(16, 17, 18) + p, s, d), wire(bytes(4)), wire(bytes([0, 0, 1, 7])),
           wire(b'', b'\x44\x00\x00'), wire(b'', b'\x00\x00\x5e'), wire(b'', b'\x60\x00\x00'))
    return {'calls': [call(c, 'mpls')]}


def pppoe_session(c):
    """PPPoE, with the protocol in two bytes and in one."""
    def session(head):
        return lambda p, s, d: _kind(0x8864, struct.pack('>BBHH', 0x11, 0, 7, len(head + p)) + head + p, s, d)
    _turns(c, session(b'\x00\x21'), session(b'\x21'))
    return {'calls': [call(c, 'pppoe')]}


def gre_every_field(c):
    """GRE with checksum, key, sequence number and routing (RFC 1701), around IP and around Ethernet."""
    key, seq, total = struct.pack('>I', 7), struct.pack('>I', 9), bytes(4)
    route = struct.pack('>HBB4s', 0x0800, 0, 4, bytes((192, 0, 2, 9))) + bytes(4)
    heads = [(0, b''), (0x8000, total), (0x2000, key), (0x1000, seq), (0xa000, total + key), (0xb000, total + key + seq),
             (0x4000, total + route), (0xf000, total + key + seq + route)]
    _turns(c, *(_over_ip(47, struct.pack('>HH', f, 0x0800) + o, _bare) for f, o in heads),
           *(_over_ip(47, struct.pack('>HH', f, 0x6558) + o) for f, o in heads))
    return {'calls': [call(c, 'gre')]}


def erspan_every_type(c):
    """ERSPAN I, II, and III with and without the platform subheader."""
    seq = struct.pack('>I', 77)
    two = struct.pack('>HHI', 0x1000 | 20, 100, 3)
    three = struct.pack('>HHIHH', 0x2000 | 20, 100, 123456, 0, 0)
    subheader = struct.pack('>HHIHH', 0x2000 | 20, 100, 123456, 0, 1) + bytes([0x0c, 0, 0, 1, 0, 0, 0, 2])
    _turns(c, _over_ip(47, struct.pack('>HH', 0, 0x88be)), _over_ip(47, struct.pack('>HH', 0x1000, 0x88be) + seq + two),
           _over_ip(47, struct.pack('>HH', 0x1000, 0x22eb) + seq + three),
           _over_ip(47, struct.pack('>HH', 0x1000, 0x22eb) + seq + subheader))
    return {'calls': [call(c, 'erspan')]}


def vxlan_every_port(c):
    """VXLAN on its own port and on Linux's first, and VXLAN-GPE around Ethernet and around IP."""
    plain, ether, ip4 = (struct.pack('>BBBBI', f, 0, 0, n, 5000 << 8) for f, n in ((8, 0), (12, 3), (12, 1)))
    _turns(c, _over_udp(4789, plain), _over_udp(8472, plain), _over_udp(4790, plain), _over_udp(4790, ether),
           _over_udp(4790, ip4, _bare))
    return {'calls': [call(c, 'vxlan')]}


def geneve_options(c):
    """Geneve around Ethernet and around IP, with options, one of them critical."""
    options = struct.pack('>HBB4s', 0x0102, 0x80, 1, b'abcd') + struct.pack('>HBB8s', 0x0103, 1, 2, b'12345678')
    _turns(c, _over_udp(6081, struct.pack('>BBHI', 0, 0, 0x6558, 7 << 8)),
           _over_udp(6081, struct.pack('>BBHI', len(options) // 4, 0x40, 0x6558, 7 << 8) + options),
           _over_udp(6081, struct.pack('>BBHI', len(options) // 4, 0x40, 0x0800, 7 << 8) + options, _bare))
    return {'calls': [call(c, 'geneve')]}


def tzsp_tagged_fields(c):
    """TZSP (MikroTik): bare, with padding and with tagged fields; a keep-alive between."""
    _turns(c, _over_udp(37008, bytes([1, 0, 0, 1, 1])), _over_udp(37008, bytes([1, 0, 0, 1, 0, 0, 10, 1, 99, 41, 2, 5, 220, 1])))
    alive = udp_segment((OUTER[0], 40000), (OUTER[1], 37008), bytes([1, 4, 0, 0, 1]))
    c.frame(0.05, ethernet(ip_packet(*OUTER, 17, alive), *OUTER))
    return {'calls': [call(c, 'tzsp')]}


def ip_in_ip(c):
    """IPv4 in IPv4 and in IPv6, and IPv6 in IPv4."""
    six = ('2001:db8::a', '2001:db8::b')
    c.wrap = lambda p, s, d: _over_ip(41, b'', _bare)(p, s, d)
    calls = [call(c, 'six-in-four', *six)]
    _turns(c, _over_ip(4, b'', _bare), _over_ip(4, b'', _bare, six))
    return {'calls': calls + [call(c, 'four-in-ip', at=2.0)]}


def gtp_u(c):
    """GTP-U, plain and with a sequence number and an extension header."""
    _turns(c, lambda p, s, d: _over_udp(2152, struct.pack('>BBHI', 0x30, 255, len(p), 5), _bare)(p, s, d),
           lambda p, s, d: _over_udp(2152, struct.pack('>BBHIHBB', 0x36, 255, len(p) + 8, 5, 1, 0, 0x85) + bytes([1, 0, 9, 0]),
                                     _bare)(p, s, d))
    return {'calls': [call(c, 'gtp')]}


def aws_vxlan_truncated(c):
    """AWS traffic mirroring with a packet length: the packets inside the tunnel are cut off, those around it are whole."""
    head = struct.pack('>BBBBI', 8, 0, 0, 0, 77 << 8)
    c.wrap = _over_udp(4789, head, lambda p, s, d: ethernet(p, s, d)[:190])
    expected = call(c, 'aws', send=lambda at, s, d, m: c.tcp(at, s, d, m, cut=130))
    expected.pop('tones')       # a sound with a hole in each packet has others
    return {'exit': 3, 'calls': [expected]}


def tunnels_in_tunnels(c):
    """ERSPAN II in VXLAN behind two tags, the outermost over IPv6; the packets inside are tagged as well."""
    six = ('2001:db8::a', '2001:db8::b')
    erspan = struct.pack('>HHIHHI', 0x1000, 0x88be, 1, 0x1000 | 20, 100, 3)

    def wrap(p, s, d):
        inner = _over_ip(47, erspan, lambda p, s, d: ethernet(p, s, d, ((0x8100, 20),)))(p, s, d)
        segment = udp_segment((six[0], 40000), (six[1], 4789), struct.pack('>BBBBI', 8, 0, 0, 0, 5000 << 8) + inner)
        return ethernet(ip_packet(*six, 17, segment), *six, ((0x88a8, 1), (0x8100, 2)))
    c.wrap = wrap
    return {'calls': [call(c, 'nested')]}


def tunnel_in_fragments(c):
    """VXLAN whose outer packets are fragmented, the pieces of the large ones in reverse; the INVITE inside is in fragments of
    its own."""
    def ip(at, s, d, packet):
        inner = struct.pack('>BBBBI', 8, 0, 0, 0, 5000 << 8) + ethernet(packet, s, d)
        segment = udp_segment((OUTER[0], 40000), (OUTER[1], 4789), inner)
        pieces = ip_fragments(*OUTER, 17, segment, c.next_ident(), 176)
        for i, piece in enumerate(reversed(pieces)):
            c.frame(at + i * 1e-7, ethernet(piece, *OUTER))
    c.ip = ip
    return {'calls': [call(c, 'pieces', pad=3000, send=lambda at, s, d, m: c.udp(at, s, d, m, fragment=1400))]}


def trailers_and_checksums(c):
    """Ethernet trailers, the frame check sequence kept at the end, and checksums that are wrong everywhere."""
    def wrap(p, s, d):
        p = p[:10] + b'\xba\xad' + p[12:]
        at = 20 + (6 if p[9] == 17 else 16)
        p = p[:at] + b'\xde\xad' + p[at + 2:]
        return ethernet(p, s, d) + b'SIP/2.0 trailer\r\n' + b'\x12\x34\x56\x78'
    c.wrap = wrap
    calls = [call(c, 'trailers')]
    return {'calls': calls + [call(c, 'trailers-tcp', at=2.0, ports=(4002, 5002), send=c.tcp)]}


def snap_too_short(c):
    """A snap length that cuts the sound of each packet short: what is there is recorded, and said to be cut."""
    c.snap = 200
    expected = call(c, 'snapped', send=lambda at, s, d, m: c.tcp(at, s, d, m, cut=140))
    expected.pop('tones')
    return {'exit': 3, 'calls': [expected]}


def segments_above_the_mtu(c):
    """Segmentation offload: a SIP message of 3 kB in one TCP segment, and one whose IP length is 0, as large sends leave it."""
    turn = itertools.count()

    def wrap(p, s, d):
        if len(p) > 1500 and next(turn) % 2 == 0:
            p = p[:2] + b'\0\0' + p[4:]
        return ethernet(p, s, d)
    c.wrap = wrap
    calls = [call(c, f'offload-{n}', at=n * 2.0, pad=3000, ports=(4000 + n * 2, 5000 + n * 2),
                  send=lambda at, s, d, m: c.tcp(at, s, d, m, cut=60000)) for n in range(2)]
    return {'calls': calls}


def pcapng_of_every_link(c):
    """pcapng with interfaces of several link types and clocks: Ethernet, SLL, SLL2, null, loop, raw, PPP."""
    frames = []
    kinds = [lambda p: (b'\x02' * 6 + b'\x04' * 6 + b'\x08\x00' + p), lambda p: struct.pack('>HHH8sH', 0, 1, 6, bytes(8), 0x0800) + p,
             lambda p: struct.pack('>HHIHBB8s', 0x0800, 0, 1, 1, 0, 6, bytes(8)) + p, lambda p: struct.pack('<I', 2) + p,
             lambda p: struct.pack('>I', 2) + p, lambda p: p, lambda p: b'\xff\x03\x00\x21' + p, lambda p: p]
    interfaces = [(1, 6), (113, 9), (276, 6), (0, 0x80 | 20), (108, 9), (101, 6), (9, 9), (228, 7)]
    turn = itertools.count()

    def ip(at, s, d, packet):
        n = next(turn) % len(kinds)
        frames.append((round((EPOCH + at) * 10 ** 9), n, kinds[n](packet)))
    c.ip = ip
    expected = call(c, 'every-link')
    c.write = lambda path: pcapng(path, interfaces, sorted(frames, key=lambda f: f[0]))
    return {'calls': [expected]}


def pcapng_big_endian(c):
    """pcapng of the other byte order, nanoseconds."""
    expected = call(c, 'big-endian')
    c.write = lambda path: pcapng(path, [(1, 9)], [(round((EPOCH + at) * 10 ** 9), 0, f) for at, _, f in sorted(c.frames)], True)
    return {'calls': [expected]}


def pcap_big_endian_nanoseconds_torn(c):
    """The classic format of the other byte order with nanoseconds, cut off in the middle of the last record."""
    expected = call(c, 'torn')
    c.udp(1.3, ('10.2.0.1', 5060), ('10.2.0.2', 5060), b'OPTIONS sip:x SIP/2.0\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\n\r\n')

    def write(path):
        with open(path, 'wb') as out:
            text = struct.pack('>IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 65535, 1)
            for at, _, f in sorted(c.frames):
                nanos = round((EPOCH + at) * 10 ** 9)
                text += struct.pack('>IIII', nanos // 10 ** 9, nanos % 10 ** 9, len(f), len(f)) + f
            out.write(text[:-20])
    c.write = write
    return {'exit': 3, 'calls': [expected]}
