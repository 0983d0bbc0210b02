#!/usr/bin/env python3
"""A phone that is recorded: two RTP streams of G.711 µ-law, 50 packets a second each, a tone in each.

usage: phone.py IP DESTINATION SOURCE_PORT:DESTINATION_PORT:SSRC:HERTZ…    then a line on stdin: how many seconds

Not SIPp's rtp_stream, because RTP must go on whatever becomes of the signalling: SIPp ends a call's media when its TCP
connection is closed, gives streams of several calls the same numbers, and cannot send two streams of one dialog.
Here every packet has its own number and is sent no matter what ICMP says. Prints how many were sent of each stream, and
by how many milliseconds it was late at worst: a machine that stands still proves nothing.
"""
import math
import socket
import struct
import sys
import time

RATE, SAMPLES, EVERY = 8000, 160, 0.02
PEAK = 8000


def ulaw(sample):
    """ITU-T G.711 µ-law code of a 16-bit sample"""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


class Stream:
    def __init__(self, ip, destination, text):
        source, port, ssrc, hertz = text.split(':')
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ip, int(source)))
        self.to, self.ssrc = (destination, int(port)), int(ssrc, 0)
        # One second holds whole periods of any whole number of hertz, so it can be sent again and again.
        tone = bytes(ulaw(round(PEAK * math.sin(2 * math.pi * int(hertz) * n / RATE))) for n in range(RATE))
        self.payloads = [tone[i:i + SAMPLES] for i in range(0, RATE, SAMPLES)]
        self.sent = 0

    def send(self):
        n = self.sent
        first = 0x80 if n == 0 else 0
        # Sequence numbers wrap after some packets: a recorder must not mind.
        head = struct.pack('!BBHII', 0x80, first, (65500 + n) & 0xFFFF, (4294960000 + n * SAMPLES) & 0xFFFFFFFF, self.ssrc)
        self.socket.sendto(head + self.payloads[n % len(self.payloads)], self.to)
        self.sent += 1


streams = [Stream(sys.argv[1], sys.argv[2], text) for text in sys.argv[3:]]
print('ready', flush=True)
seconds = float(sys.stdin.readline())
start, late = time.monotonic(), 0.0
for i in range(round(seconds / EVERY)):
    time.sleep(max(0.0, start + i * EVERY - time.monotonic()))
    late = max(late, time.monotonic() - start - i * EVERY)
    for stream in streams:
        stream.send()
print(*(stream.sent for stream in streams), round(1000 * late), flush=True)
