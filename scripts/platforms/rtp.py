"""RTP that is ordinary in the field."""
import math
import struct

import wire
from basic import call, packet, tone

A, B = ('10.2.0.1', 4000), ('10.2.0.2', 5000)
DTMF = '0 101\na=rtpmap:101 telephone-event/8000'


def _speech(c, packets, source=A, destination=B):
    """`packets`: (seconds, RTP packet)"""
    for at, p in packets:
        c.udp(at, source, destination, p)


def _other(c, hz=1000):
    c.rtp(0.12, 1.0, B, A, ssrc=2, hz=hz)


def _told(c, name, caller, **more):
    """a call whose caller's streams are these, beside an ordinary callee"""
    e = call(c, name, media=False, **more)
    _other(c)
    e['streams'] = caller + [{'party': 'callee', 'packets': 50, 'lost': 0}]
    return e


def rtp_ssrc_change(c):
    """The sender changes its SSRC, sequence and timestamps in mid-stream: two streams of one party, and no gap."""
    _speech(c, [(0.12 + n * 0.02, packet(0, (100 if n < 25 else 9000) + n, (0 if n < 25 else 77777) + n * 160, 1 if n < 25 else 9,
                                         tone(440, n * 160, 160))) for n in range(50)])
    e = _told(c, 'ssrc-change', [])
    e['streams'] = [{'party': 'caller', 'packets': 25, 'lost': 0, 'ssrc': '0x00000001'},
                    {'party': 'callee', 'packets': 50, 'lost': 0}, {'party': 'caller', 'packets': 25, 'lost': 0, 'ssrc': '0x00000009'}]
    return {'calls': [e]}


def rtp_numbering_begins_anew(c):
    """Sequence and timestamp jump, with the same SSRC: nothing was lost."""
    _speech(c, [(0.12 + n * 0.02, packet(0, (65500 if n < 25 else 3) + n, (4294967000 if n < 25 else 500) + n * 160, 1,
                                         tone(440, n * 160, 160))) for n in range(50)])
    return {'calls': [_told(c, 'anew', [{'party': 'caller', 'packets': 50, 'lost': 0, 'reordered': 0}])]}


def rtp_timestamp_jump(c):
    """The timestamps alone jump by an hour, forth and back: time goes on as it was captured."""
    _speech(c, [(0.12 + n * 0.02, packet(0, 100 + n, n * 160 + (28800000 if 15 <= n < 35 else 0), 1, tone(440, n * 160, 160)))
                for n in range(50)])
    e = _told(c, 'stamps', [{'party': 'caller', 'packets': 50, 'lost': 0}])
    e['files'] = [{'kind': 'audio', 'duration_s': 1.1}, {'kind': 'packets'}]
    return {'calls': [e]}


def rtp_wraps(c):
    """Sequence numbers and timestamps wrap, with two packets lost across the wrap."""
    _speech(c, [(0.12 + n * 0.02, packet(0, 65511 + n, 4294963296 + n * 160, 1, tone(440, n * 160, 160)))
                for n in range(50) if n not in (24, 25)])
    e = _told(c, 'wraps', [{'party': 'caller', 'packets': 48, 'lost': 2}])
    e['gaps'] = [{'party': 'caller', 'length_s': 0.04}]
    return {'calls': [e]}


def _alaw(sample):
    mask = 0xd5 if sample >= 0 else 0x55
    sample = min(abs(sample) >> 4, 2047)
    exponent = max(sample.bit_length() - 5, 0)
    mantissa = sample >> max(exponent, 1) & 15
    return (exponent << 4 | mantissa) ^ mask


def rtp_payload_type_change(c):
    """µ-law, then A-law, then µ-law again in one stream."""
    out = []
    for n in range(50):
        law = 8 if 15 <= n < 35 else 0
        wave = (int(10000 * math.sin(2 * math.pi * 440 * i / 8000)) for i in range(n * 160, n * 160 + 160))
        sound = bytes(_alaw(s) for s in wave) if law else tone(440, n * 160, 160)
        out.append((0.12 + n * 0.02, packet(law, n, n * 160, 1, sound)))
    _speech(c, out)
    return {'calls': [_told(c, 'types', [{'party': 'caller', 'packets': 50, 'lost': 0}], formats='0 8')]}


def rtp_packet_time_change(c):
    """Packets of 20 ms, then of 30 ms, then of 10 ms."""
    out, at = [], 0
    for n, samples in enumerate([160] * 20 + [240] * 10 + [80] * 20):
        out.append((0.12 + at / 8000, packet(0, n, at, 1, tone(440, at, samples))))
        at += samples
    _speech(c, out)
    return {'calls': [_told(c, 'ptime', [{'party': 'caller', 'packets': 50, 'lost': 0}])]}


def rtp_comfort_noise(c):
    """Voice activity detection: 0.4 s of silence with two packets of comfort noise (PT 13) in it. The numbers go on, nothing was
    lost, and the silence has its length."""
    out, seq = [], 0
    for n in range(50):
        if n < 15 or n >= 35:
            out.append((0.12 + n * 0.02, packet(0, seq, n * 160, 1, tone(440, n * 160, 160), marker=n == 35)))
        elif n in (15, 25):
            out.append((0.12 + n * 0.02, packet(13, seq, n * 160, 1, b'\x40')))
        else:
            continue
        seq += 1
    _speech(c, out)
    e = _told(c, 'noise', [{'party': 'caller', 'packets': 32, 'lost': 0, 'codec': 'PCMU/8000'}], formats='0 13')
    e['files'] = [{'kind': 'audio', 'duration_s': 1.1}, {'kind': 'packets'}]
    return {'calls': [e]}


def rtp_events(c):
    """RFC 4733: two digits, all packets of one share its timestamp, three ends each, the voice goes on behind; the first digit's
    first packet is lost."""
    out, seq = [], 0
    for n in range(50):
        if n in range(10, 16) or n in range(30, 36):
            first, digit = (10, 5) if n < 20 else (30, 11)
            k = n - first
            repeats = 3 if k == 5 else 1
            for r in range(repeats):
                p = packet(101, seq, first * 160, 1, struct.pack('>BBH', digit, 0x80 if k == 5 else 0, (k + 1) * 160), marker=k == 0)
                if not (n == 10):
                    out.append((0.12 + n * 0.02 + r * 0.0001, p))
                seq += 1
        else:
            out.append((0.12 + n * 0.02, packet(0, seq, n * 160, 1, tone(440, n * 160, 160))))
            seq += 1
    _speech(c, out)
    e = _told(c, 'digits', [{'party': 'caller', 'packets': 53, 'lost': 1, 'duplicates': 0}], formats=DTMF)
    e['dtmf'] = [{'party': 'caller', 'digit': '5'}, {'party': 'caller', 'digit': '#'}]
    e['gaps'] = [{'party': 'caller', 'length_s': 0.02}]
    return {'calls': [e]}


def rtp_padding_csrc_extension(c):
    """Padding, contributing sources, a header extension, and all of them."""
    extension = (0xbede, b'\x10\x55\0\0\x22\x01\x02\x03')
    kinds = [{}, {'padding': 4}, {'padding': 200}, {'csrc': (7, 8)}, {'extension': extension}, {'extension': (0x1234, b'')},
             {'padding': 12, 'csrc': tuple(range(15)), 'extension': extension}]
    _speech(c, [(0.12 + n * 0.02, packet(0, n, n * 160, 1, tone(440, n * 160, 160), **kinds[n % 7])) for n in range(50)])
    return {'calls': [_told(c, 'padding', [{'party': 'caller', 'packets': 50, 'lost': 0}])]}


def rtp_source_port_change(c):
    """The sender's port changes in mid-stream, as behind a NAT: two rows of one party, no gap in the sound."""
    for n in range(50):
        c.udp(0.12 + n * 0.02, (A[0], 4000 if n < 25 else 61234), B, packet(0, n, n * 160, 1, tone(440, n * 160, 160)))
    e = _told(c, 'moved', [])
    e['streams'] = [{'party': 'caller', 'packets': 25, 'lost': 0, 'source': '10.2.0.1:4000'},
                    {'party': 'callee', 'packets': 50, 'lost': 0},
                    {'party': 'caller', 'packets': 25, 'lost': 0, 'source': '10.2.0.1:61234'}]
    return {'calls': [e]}


def rtp_before_its_sdp(c):
    """Media comes before the messages that name it, and goes on behind the BYE for half a second: all of it is of the call."""
    e = call(c, 'early', at=0.4, media=False, hang_up=0.6)
    c.rtp(0.0, 1.2, A, B, ssrc=1, hz=440)
    c.rtp(0.0, 1.2, B, A, ssrc=2, hz=1000)
    e['streams'] = [{'party': p, 'packets': 60, 'lost': 0} for p in ('caller', 'callee')]
    return {'calls': [e]}


def rtp_neighbours_on_its_port(c):
    """STUN, DTLS, ZRTP and RTCP on the ports of RTP are none of it."""
    stun = struct.pack('>HHI12s', 1, 0, 0x2112a442, b'x' * 12)
    dtls = bytes([22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3])
    zrtp = struct.pack('>BBH4sI', 0x10, 0, 1, b'ZRTP', 1) + b'\x50\x5a\0\3Hello   ' + bytes(4)
    rtcp = struct.pack('>BBHI', 0x80, 200, 6, 1) + bytes(20) + struct.pack('>BBHI', 0x81, 202, 2, 1) + b'\1\2ab'
    turn = struct.pack('>HH', 0x4001, 8) + b'channel!'
    for i, p in enumerate((stun, dtls, zrtp, rtcp, turn, b'', b'\0', b'\r\n')):
        for at in (0.13, 0.5, 0.9):
            c.udp(at + i * 0.001, A, B, p)
            c.udp(at + i * 0.001, B, A, p)
    return {'calls': [call(c, 'neighbours')]}


def rtp_two_hosts_of_one_ssrc(c):
    """Both directions use one SSRC and one series of numbers."""
    return {'calls': [call(c, 'alike', ssrc=(7, 7))]}


def rtp_through_a_clock_step(c):
    """The clock of the capturing host is set back by 5 s in mid-call: nothing is lost, and the sound has its length."""
    frame = c.frame
    order = []

    def held(at, f):
        order.append((at, len(order), f))
    c.frame = held
    e = call(c, 'stepped')
    c.frame = frame

    def write(path):
        with open(path, 'wb') as out:
            out.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
            for at, _, f in sorted(order):
                micros = round((wire.EPOCH + at - (5 if at > 0.6 else 0)) * 1_000_000)
                out.write(struct.pack('<IIII', micros // 1_000_000, micros % 1_000_000, len(f), len(f)) + f)
    c.write = write
    return {'calls': [e]}
