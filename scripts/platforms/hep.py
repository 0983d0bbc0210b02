"""Calls as capture agents send them (HEP), found in a capture of that."""
import struct

from basic import call
from wire import EPOCH, ethernet, ip_packet, udp_segment

AGENT, COLLECTOR = ('198.51.100.7', 40000), ('198.51.100.9', 9060)


def _chunk(kind, value, vendor=0):
    return struct.pack('>HHH', vendor, kind, len(value) + 6) + value


def _hep3(chunks, length=None):
    body = b''.join(chunks)
    return b'HEP3' + struct.pack('>H', len(body) + 6 if length is None else length) + body


def _agent(c, delay=0.002, told=lambda at: at, extra=lambda n: []):
    """from here on all that is sent goes through an agent; `told`: by its clock; `extra(n)`: more chunks"""
    def give(at, payload):
        c.frame(at + delay, ethernet(ip_packet(AGENT[0], COLLECTOR[0], 17, udp_segment(AGENT, COLLECTOR, payload)), AGENT[0],
                                     COLLECTOR[0]))

    def ip(at, s, d, p):
        six = p[0] >> 4 == 6
        head = 40 if six else (p[0] & 15) * 4
        protocol = p[6] if six else p[9]
        ports, payload = p[head:head + 4], p[head + (8 if protocol == 17 else p[head + 12] >> 4 << 2):]
        if not payload:
            return
        micros = round((EPOCH + told(at)) * 1_000_000)
        kind = 1 if payload[0] < 128 else 5 if 192 <= payload[1] <= 223 else 4
        a, z = (8, 16) if six else (12, 4)
        give(at, _hep3([
            _chunk(1, bytes([10 if six else 2])), _chunk(2, bytes([protocol])), _chunk(5 if six else 3, p[a:a + z]),
            _chunk(6 if six else 4, p[a + z:a + 2 * z]), _chunk(7, ports[:2]), _chunk(8, ports[2:]),
            _chunk(9, struct.pack('>I', micros // 1_000_000)), _chunk(10, struct.pack('>I', micros % 1_000_000)),
            _chunk(11, bytes([kind])), _chunk(12, struct.pack('>I', 2001)), *extra(len(c.frames)), _chunk(15, payload)]))
    c.ip = ip
    return give


def hep3_of_an_agent(c):
    """SIP over UDP and TCP, and RTP, with vendors' chunks, unknown ones, a key and a correlation id; late by 2 to 40 ms, which
    the agent's times make good."""
    def extra(n):
        return [_chunk(14, b'secret'), _chunk(17, b'the-call'), _chunk(0x1b, b'node'), _chunk(3, b'?' * (n % 9), 0x1234), _chunk(0x99, b'')]
    _agent(c, told=lambda at: at, extra=extra)
    frame, n = c.frame, iter(range(10 ** 6))
    c.frame = lambda at, f: frame(at + next(n) * 7 % 20 * 0.002, f)
    one = call(c, 'hep-udp', pad=3000)
    two = call(c, 'hep-tcp', '2001:db8::1', '2001:db8::2', at=2.0, send=lambda at, s, d, m: c.tcp(at, s, d, m, cut=60000))
    for e in (one, two):
        for s in e['streams']:
            s.pop('reordered')
            s['jitter_ms'] = 0.0
    return {'calls': [one, two]}


def hep3_of_a_wrong_clock(c):
    """An agent whose clock is an hour behind, and some of whose times are wild: what is held is in place."""
    turn = iter(range(10 ** 6))
    _agent(c, told=lambda at: at - 3600 + (1e8 if next(turn) % 17 == 5 else 0))
    return {'calls': [call(c, 'hep-clock')]}


def hep3_hostile(c):
    """Lengths that lie, chunks without addresses, compressed payloads, reports in JSON, a datagram cut off: none harms the call
    between them."""
    give = _agent(c)
    address = [_chunk(3, bytes((10, 2, 0, 1))), _chunk(4, bytes((10, 2, 0, 2))), _chunk(7, b'\x13\xc4'), _chunk(8, b'\x13\xc4')]
    sip = b'BYE sip:x SIP/2.0\r\nCall-ID: hep-hostile\r\nCSeq: 9 BYE\r\n\r\n'
    for i, p in enumerate((
            b'HEP3', b'HEP3\0\6', _hep3([_chunk(15, sip)]), _hep3(address), _hep3(address + [_chunk(15, sip)], 9),
            _hep3(address + [struct.pack('>HHH', 0, 15, 3) + sip]), _hep3(address + [struct.pack('>HHH', 0, 15, 0xffff) + sip]),
            _hep3(address + [struct.pack('>HHH', 0, 15, 0)] * 50), _hep3(address + [_chunk(11, b'\1'), _chunk(16, b'x\x9c\1\2\3')]),
            _hep3(address + [_chunk(11, b'\5'), _chunk(15, b'{"sender_information":{}}')]),
            _hep3(address + [_chunk(11, b'\x64'), _chunk(15, b'a log line')]), _hep3([_chunk(3, b''), _chunk(12, b'')] * 300))):
        for at in (0.05, 0.5):
            give(at + i * 0.001, p)
    return {'calls': [call(c, 'hep-hostile')]}


def hep3_in_hep3(c):
    """An agent that hears another agent's HEP."""
    give = _agent(c)
    inner = c.ip

    def ip(at, s, d, p):
        before = len(c.frames)
        inner(at, s, d, p)
        _, _, f = c.frames.pop()
        assert before == len(c.frames)
        payload = f[14 + 28:]
        give(at, _hep3([_chunk(2, b'\x11'), _chunk(3, bytes((198, 51, 100, 7))), _chunk(4, bytes((198, 51, 100, 9))), _chunk(7, b'\x9c\x40'),
                        _chunk(8, struct.pack('>H', 9060)), _chunk(11, b'\1'), _chunk(15, payload)]))
    c.ip = ip
    return {'calls': [call(c, 'hep-twice')]}
