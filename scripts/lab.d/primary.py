#!/usr/bin/env python3
"""The primary recorder: answers recording calls over UDP and TCP and takes their RTP.

usage: primary.py IP            prints "ready", and "up CALL-ID" for each ACK

Not SIPp, because a recorder that is well has every port it names bound: a closed one answers RTP with ICMP, which is
the very sign of a dead recorder. SIPp binds one media port for all its calls, and has no second m= line.

An INVITE without a description gets an offer in the 200 OK (Built-in Bridge), one with a description an answer with
all its m= lines (SIPREC). RTP ports count from 20000, so a restarted primary takes the ports of the one before it.
What belongs to no dialog it knows gets 481. Killed, it leaves nothing; stopped, its sockets
stay and take all packets.
"""
import re
import selectors
import socket
import sys

ADDRESS, SIP_PORT = sys.argv[1], 5060
selector = selectors.DefaultSelector()
dialogs = {}                        # Call-ID -> ports of its m= lines
bound = {}                          # port -> its sockets, RTP and RTCP
next_port = 20000


def bind(kind, port):
    s = socket.socket(socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((ADDRESS, port))
    s.setblocking(False)
    return s


def take_port():
    global next_port
    port = next_port
    next_port += 2
    bound[port] = [bind(socket.SOCK_DGRAM, p) for p in (port, port + 1)]
    for s in bound[port]:
        selector.register(s, selectors.EVENT_READ, swallow)
    return port


def hang_up(call):
    """the ports are closed at once, and the last RTP meets ICMP: a healthy recorder does that too"""
    for s in (s for port in dialogs[call] for s in bound.pop(port, ())):
        selector.unregister(s)
        s.close()


def swallow(s):
    s.recvfrom(4096)


def header(text, name):
    found = re.search(rf'(?im)^{name}\s*:\s*(.*?)\r?$', text)
    return found.group(1) if found else ''


def description(ports, labels):
    lines = ['v=0', f'o=recorder 1 1 IN IP4 {ADDRESS}', 's=-', f'c=IN IP4 {ADDRESS}', 't=0 0']
    for port, label in zip(ports, labels):
        lines += [f'm=audio {port} RTP/AVP 0', 'a=rtpmap:0 PCMU/8000', 'a=recvonly']
        lines += [f'a=label:{label}'] if label else []
    return lines


def reply(text, code, tag=True, body=()):
    body = ''.join(line + '\r\n' for line in body)
    to = header(text, 'To')
    if tag and 'tag=' not in to:
        to += ';tag=primary'
    lines = [f'SIP/2.0 {code}'] + [f'Via: {v.strip()}' for v in re.findall(r'(?im)^Via:(.*?)\r?$', text)]
    lines += [f'From: {header(text, "From")}', f'To: {to}', f'Call-ID: {header(text, "Call-ID")}',
              f'CSeq: {header(text, "CSeq")}', f'Contact: <sip:recorder@{ADDRESS}:{SIP_PORT}>;+sip.srs']
    lines += ['Content-Type: application/sdp'] if body else []
    return ('\r\n'.join([*lines, f'Content-Length: {len(body)}', '', '']) + body).encode()


def answers(text):
    """what to send back for one message"""
    method, call = text.split(' ', 1)[0], header(text, 'Call-ID')
    if method == 'ACK':
        if call in dialogs:
            print('up', call, flush=True)
        return []
    if method == 'INVITE' and 'tag=' not in header(text, 'To'):
        labels = re.findall(r'(?m)^a=label:(\S+)', text) or ['']
        if call not in dialogs:
            dialogs[call] = [take_port() for _ in labels]
        return [reply(text, '100 Trying', tag=False), reply(text, '200 OK', body=description(dialogs[call], labels))]
    if call not in dialogs:
        return [reply(text, '481 Call/Transaction Does Not Exist')]
    if method == 'BYE':
        hang_up(call)
    return [reply(text, '200 OK')]


def datagram(s):
    data, peer = s.recvfrom(65535)
    for answer in answers(data.decode('utf-8', 'replace')):
        s.sendto(answer, peer)


class Connection:
    def __init__(self):
        self.held = b''

    def __call__(self, s):
        data = s.recv(65536)
        if not data:
            selector.unregister(s)
            s.close()
            return
        self.held += data
        while (end := self.held.find(b'\r\n\r\n') + 4) > 3:
            end += int(header(self.held[:end].decode('utf-8', 'replace'), 'Content-Length') or 0)
            if len(self.held) < end:
                return
            text, self.held = self.held[:end].decode('utf-8', 'replace'), self.held[end:]
            for answer in answers(text):
                s.sendall(answer)           # small, on a connection that is read: it never blocks


def accept(s):
    connection, _ = s.accept()
    connection.setblocking(False)
    selector.register(connection, selectors.EVENT_READ, Connection())


selector.register(bind(socket.SOCK_DGRAM, SIP_PORT), selectors.EVENT_READ, datagram)
listening = bind(socket.SOCK_STREAM, SIP_PORT)
listening.listen()
selector.register(listening, selectors.EVENT_READ, accept)
print('ready', flush=True)
while True:
    for key, _ in selector.select():
        try:
            key.data(key.fileobj)
        except OSError as e:                # a connection that was reset
            print('primary:', e, file=sys.stderr)
            if isinstance(key.data, Connection):
                selector.unregister(key.fileobj)
                key.fileobj.close()
