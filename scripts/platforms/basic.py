"""A plain call and its RTP, for the modules that are about what happens to its packets on their way."""
import math
import struct

from wire import sdp, sip, ulaw

SPEECH = (440, 1000)


def call(c, name, a='10.2.0.1', b='10.2.0.2', at=0.0, ports=(4000, 5000), ssrc=(1, 2), seconds=1.0, send=None, media=True,
         hz=SPEECH, hang_up=1.2, pad=0, formats='0'):
    """INVITE, 200, ACK, a second of RTP both ways from 0.12 s on, BYE; gives what is expected. `send(at, from, to, message)`
    instead of UDP; `pad`: bytes of a header that makes the INVITE large"""
    send = send or c.udp
    x, y = (a, 5060), (b, 5060)
    host = [f'[{h}]' if ':' in h else h for h in (a, b)]

    def head(n, method, tag=';tag=2'):
        return f'''Via: SIP/2.0/UDP {host[0]};branch=z9hG4bK{n}{name}
            From: "Ann" <sip:201@{host[0]}>;tag=1
            To: <sip:202@{host[1]}>{tag}
            Call-ID: {name}
            CSeq: {n} {method}'''
    typed = '\nContent-Type: application/sdp'
    large = f'\nX-Large: {"0123456789" * (pad // 10)}' if pad else ''
    send(at, x, y, sip(f'INVITE sip:202@{host[1]} SIP/2.0', head(1, 'INVITE', '') + large + typed, sdp(a, (ports[0], formats))))
    send(at + 0.1, y, x, sip('SIP/2.0 200 OK', head(1, 'INVITE') + typed, sdp(b, (ports[1], formats))))
    send(at + 0.11, x, y, sip(f'ACK sip:202@{host[1]} SIP/2.0', head(1, 'ACK')))
    if media:
        c.rtp(at + 0.12, seconds, (a, ports[0]), (b, ports[1]), ssrc=ssrc[0], hz=hz[0])
        c.rtp(at + 0.12, seconds, (b, ports[1]), (a, ports[0]), ssrc=ssrc[1], hz=hz[1])
    send(at + hang_up, x, y, sip(f'BYE sip:202@{host[1]} SIP/2.0', head(2, 'BYE')))
    send(at + hang_up + 0.01, y, x, sip('SIP/2.0 200 OK', head(2, 'BYE')))
    n = round(seconds * 50)
    whole = {'packets': n, 'lost': 0, 'duplicates': 0, 'reordered': 0}
    return {'kind': 'call', 'call_ids': [name], 'end': 'bye', 'caller': {'number': '201', 'name': 'Ann'}, 'gaps': [],
            'streams': [{'party': 'caller', **whole}, {'party': 'callee', **whole}], 'tones': list(hz)}


def tone(hz, first, samples, silent=False):
    return bytes(ulaw(0 if silent else int(10000 * math.sin(2 * math.pi * hz * i / 8000))) for i in range(first, first + samples))


def packet(pt, seq, stamp, ssrc, payload, marker=False, csrc=(), extension=None, padding=0):
    """an RTP packet; `extension`: (profile, words); `padding`: bytes"""
    first = 0x80 | (0x20 if padding else 0) | (0x10 if extension else 0) | len(csrc)
    head = struct.pack('>BBHII', first, pt | marker << 7, seq & 0xffff, stamp & 0xffffffff, ssrc)
    head += b''.join(struct.pack('>I', x) for x in csrc)
    if extension:
        head += struct.pack('>HH', extension[0], len(extension[1]) // 4) + extension[1]
    return head + payload + (bytes(padding - 1) + bytes([padding]) if padding else b'')


def pcapng(path, interfaces, frames, big_endian=False):
    """`interfaces`: (link type, if_tsresol) each; `frames`: (nanoseconds, interface, bytes)"""
    o = '>' if big_endian else '<'

    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack(o + 'II', kind, len(body) + 12) + body + struct.pack(o + 'I', len(body) + 12)
    with open(path, 'wb') as out:
        out.write(block(0x0a0d0d0a, struct.pack(o + 'IHHq', 0x1a2b3c4d, 1, 0, -1)))
        for link, resolution in interfaces:
            out.write(block(1, struct.pack(o + 'HHIHHB3xHH', link, 0, 0, 9, 1, resolution, 0, 0)))
        for nanos, interface, frame in frames:
            r = interfaces[interface][1]
            ticks = (nanos * 2 ** (r & 127) if r & 128 else nanos * 10 ** r) // 10 ** 9
            head = struct.pack(o + 'IIIII', interface, ticks >> 32, ticks & 0xffffffff, len(frame), len(frame))
            out.write(block(6, head + frame + bytes(-len(frame) % 4)))
