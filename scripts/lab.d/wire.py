"""A pcap reader of the lab's own: what was on the mirror, told without the program that is tested."""
import re
import struct
from collections import namedtuple

Packet = namedtuple('Packet', 'time source destination protocol payload')
Rtp = namedtuple('Rtp', 'source destination ssrc sequence timestamp payload')
UDP, TCP = 17, 6
RTP_PORTS = range(20000, 20100)         # of the primary
ETHERNET, RAW = 1, 101


def packets(path):
    """whole UDP datagrams and TCP segments; IP fragments are left out (only INVITEs are that long here)"""
    with open(path, 'rb') as f:
        data = f.read()
    magic, = struct.unpack_from('<I', data)
    fraction = {0xA1B2C3D4: 1e6, 0xA1B23C4D: 1e9}[magic]
    link, = struct.unpack_from('<I', data, 20)
    at = 24
    while at + 16 <= len(data):
        seconds, parts, length, _ = struct.unpack_from('<IIII', data, at)
        frame = data[at + 16:at + 16 + length]
        at += 16 + length
        if link == ETHERNET:
            if frame[12:14] != b'\x08\x00':
                continue
            frame = frame[14:]
        elif link != RAW:
            raise ValueError(f'{path}: link type {link}')
        whole, = struct.unpack_from('!H', frame, 2)
        fragment, = struct.unpack_from('!H', frame, 6)
        head = 4 * (frame[0] & 15)
        if frame[9] not in (UDP, TCP) or fragment & 0x3FFF:
            continue
        body = frame[head:whole]
        source, destination = struct.unpack_from('!HH', body)
        skip = 8 if frame[9] == UDP else 4 * (body[12] >> 4)
        ip = ['.'.join(map(str, frame[i:i + 4])) for i in (12, 16)]
        yield Packet(seconds + parts / fraction, (ip[0], source), (ip[1], destination), frame[9], body[skip:])


def rtp(path):
    """(time, Rtp) of all RTP to the primary"""
    for p in packets(path):
        if p.protocol == UDP and p.destination[1] in RTP_PORTS and len(p.payload) > 12 and p.payload[0] >> 6 == 2:
            _, sequence, timestamp, ssrc = struct.unpack_from('!HHII', p.payload)
            yield p.time, Rtp(p.source, p.destination, ssrc, sequence, timestamp, p.payload[12:])


def sip(path):
    """(time, start line, Call-ID, CSeq) of messages that begin a datagram or a segment"""
    for p in packets(path):
        if 5060 not in (p.source[1], p.destination[1]):
            continue
        # Several messages may share a segment; each has its own start line.
        for text in re.split(r'(?m)^(?=SIP/2\.0 |[A-Z]+ sip:)', p.payload.decode('utf-8', 'replace')):
            call, cseq = (re.search(rf'(?im)^{name}: *(.*?)\r?$', text) for name in ('Call-ID', 'CSeq'))
            if call and cseq:
                yield p.time, text.split('\r\n', 1)[0], call.group(1), cseq.group(1)
