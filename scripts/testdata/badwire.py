#!/usr/bin/env python3
"""A switch with a bad cable: carries frames between two ports, loses, holds back and doubles RTP, mirrors the rest.

usage: badwire.py PORT_A PORT_B MIRROR [--loss %] [--reorder %] [--dup %] [--vlan ID] [--seed N]
What leaves for either side is copied to MIRROR at the same instant, there with an 802.1Q tag if asked for, so the
mirror hears what the phones hear. (tc netem would do but for the tag; many kernels of virtual machines lack it.)
Only UDP that looks like RTP is harmed: the call itself goes through.
"""
import argparse, heapq, random, select, socket, struct, time


def is_rtp(frame):
    if frame[12:14] != b'\x08\x00' or frame[23] != 17:
        return False
    udp = 14 + (frame[14] & 15) * 4
    return frame[udp + 8] >> 6 == 2 and frame[udp + 9] & 0x7f < 64 and len(frame) > udp + 20


def main():
    p = argparse.ArgumentParser()
    p.add_argument('ports', nargs=3)
    for name in ('loss', 'reorder', 'dup'):
        p.add_argument('--' + name, type=float, default=0)
    p.add_argument('--vlan', type=int, default=0)
    p.add_argument('--seed', type=int, default=1)
    o = p.parse_args()
    chance = random.Random(o.seed)
    sockets = []
    for port in o.ports:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.bind((port, 3))
        sockets.append(s)
    a, b, mirror = sockets
    late = []                                                   # heap of (when, number, socket, frame)
    number = 0

    def send(to, frame):
        to.send(frame)
        tag = struct.pack('>HH', 0x8100, o.vlan) if o.vlan else b''
        mirror.send(frame[:12] + tag + frame[12:])

    while True:
        wait = max(0, late[0][0] - time.monotonic()) if late else None
        for s in select.select([a, b], [], [], wait)[0]:
            frame, where = s.recvfrom(65535)
            if where[2] == socket.PACKET_OUTGOING:
                continue
            to, draw = b if s is a else a, chance.random() * 100
            if not is_rtp(frame) or draw >= o.loss + o.reorder + o.dup:
                send(to, frame)
            elif draw >= o.loss + o.reorder:
                send(to, frame)
                send(to, frame)
            elif draw >= o.loss:
                number += 1
                heapq.heappush(late, (time.monotonic() + chance.uniform(0.025, 0.065), number, to, frame))
        while late and late[0][0] <= time.monotonic():
            _, _, to, frame = heapq.heappop(late)
            send(to, frame)


if __name__ == '__main__':
    main()
