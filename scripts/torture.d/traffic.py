"""Calls on the wire, in real time: a process of its own that plays what `gen-calls` has made."""
import heapq, json, multiprocessing, os, random, re, socket, struct, time
import lab

STEP = 0.020                                # a packet of each party
SAMPLES = 160


def pcap_frames(path):
    """time in ns and frame of each record of a pcap file, as far as it is whole"""
    with open(path, 'rb') as f:
        data = f.read()
    if len(data) < 24:
        return
    magic, = struct.unpack_from('<I', data)
    scale = {0xa1b2c3d4: 1000, 0xa1b23c4d: 1}[magic]
    at, unpack = 24, struct.Struct('<IIII').unpack_from
    while at + 16 <= len(data):
        s, part, length, _ = unpack(data, at)
        if at + 16 + length > len(data):
            return
        yield s * 1_000_000_000 + part * scale, data[at + 16:at + 16 + length]
        at += 16 + length


class Bank:
    """what gen-calls made: the messages and the sound of some calls, each with its truth"""
    def __init__(self, calls, seconds, seed=1):
        path = f'{os.environ["TORTURE_INSIDE"]}/bank.pcap'
        lab.run(f'{lab.BUILT}/examples/gen-calls', '-o', path, '--calls', calls, '--seconds', seconds, '--ramp', 0,
                '--jitter', 0, '--seed', seed)
        self.truth = [json.loads(line) for line in open(f'{path}.truth.json')]
        by_ssrc = {int(t['ssrc'], 16): n for n, t in enumerate(self.truth)}
        host = {t['source'].split(':')[0]: t['call'] for t in self.truth if t['leg'] == 'caller'}
        host |= {t['destination'].split(':')[0]: t['call'] for t in self.truth if t['leg'] == 'caller'}
        sound, self.messages = [[] for _ in self.truth], [[] for _ in range(calls)]
        for _, f in pcap_frames(path):
            payload = f[42:]
            if payload[:1] == b'\x80':
                sound[by_ssrc[int.from_bytes(payload[8:12])]].append(payload[12:])
            else:
                self.messages[host[socket.inet_ntoa(f[26:30])]].append(payload)
        for n, t in enumerate(self.truth):
            for i in (0, 1, len(sound[n]) // 2, len(sound[n]) - 1):
                assert sound[n][i] == tone(t['step'], i), 'gen-calls does not keep to its truth'
        self.sound = sound
        os.unlink(path)


def ulaw(x):
    sign, m = (0x80 if x < 0 else 0), min(abs(x), 32635) + 132
    e = m.bit_length() - 8
    return ~(sign | e << 4 | m >> (e + 3) & 15) & 0xff


def tone(step, i):
    """the sound of packet i, by the formula of docs/testing.md"""
    from math import pi, sin
    def sample(n):
        x = 12000 * sin(2 * pi * ((n * step & 0xffffffff) >> 20) / 4096)
        return ulaw(int(abs(x) + 0.5) * (1 if x >= 0 else -1))
    return bytes(sample(n) for n in range(SAMPLES * i, SAMPLES * (i + 1)))


def frame_head(source, destination, length):
    """Ethernet, IPv4 and UDP (without a checksum) before so many bytes"""
    (a, p), (b, q) = source, destination
    ip = bytearray(struct.pack('>BBHHHBBH4s4s', 0x45, 0xb8, 28 + length, 0, 0x4000, 63, 17, 0, socket.inet_aton(a), socket.inet_aton(b)))
    total = sum(struct.unpack('>10H', ip))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    ip[10:12] = (~total & 0xffff).to_bytes(2)
    return b'\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0' + bytes(ip) + struct.pack('>HHHH', p, q, 8 + length, 0)


class Call:
    """one call: a call of the bank with a Call-ID, addresses, numbers and a length of its own"""
    def __init__(self, bank, slot, number, seconds, at, rand):
        self.bank, self.slot, self.at, self.seconds = bank, slot, at, seconds
        self.which = number % len(bank.messages)
        old = bank.truth[self.which * 2]
        self.call_id = f'{number}-{rand.getrandbits(48):012x}@torture.invalid'
        host = f'{slot // 250}.{slot % 250 + 1}'
        self.ends = [(f'10.{net}.{host}', 16384 + 2 * rand.randrange(7000)) for net in (1, 129)]
        old_ends = [old['source'], old['destination']]
        swap = [(old['call_id'].encode(), self.call_id.encode())]
        for o, (ip, port) in zip(old_ends, self.ends):
            swap += [(o.split(':')[0].encode() + end, ip.encode() + end) for end in (b':', b'\r', b';', b'>', b' ')]
            swap += [(b'm=audio ' + o.split(':')[1].encode(), b'm=audio %d' % port)]
        tags = re.findall(rb'tag=([0-9a-f]{8})', bank.messages[self.which][3])
        swap += [(t, b'%08x' % rand.getrandbits(32)) for t in tags]
        self.sip = []
        for n, m in enumerate(bank.messages[self.which]):
            for o, new in swap:
                m = m.replace(o, new)
            head, body = m.split(b'\r\n\r\n', 1)
            m = re.sub(rb'Content-Length: \d+', b'Content-Length: %d' % len(body), head) + b'\r\n\r\n' + body
            forth = n in (0, 4, 5)
            a, b = ((self.ends[0][0], 5060), (self.ends[1][0], 5060))
            self.sip.append(frame_head(*((a, b) if forth else (b, a)), len(m)) + m)
        self.legs = []
        for n, party in enumerate(('caller', 'callee')):
            self.legs.append({'party': party, 'ssrc': rand.getrandbits(32), 'seq': rand.getrandbits(16), 'ts': rand.getrandbits(32),
                              'head': frame_head(self.ends[n], self.ends[1 - n], 12 + SAMPLES), 'sound': bank.sound[self.which * 2 + n]})
        # INVITE, 100, 180, 200, ACK; media follow; BYE and its 200
        self.due = [0, 0.003, 0.02, 0.05 + rand.random() * 0.1]
        self.due.append(self.due[-1] + 0.01)
        self.media_at = at + self.due[-1] + 0.01
        self.done, self.index, self.sent, self.times = 0, 0, 0, []
        self.silent = False                 # its media have ended, the BYE never comes

    def step(self, send):
        """sends what is due; when the next is due, or None"""
        if self.done < 5 or self.media_over():
            self.times.append((time.time(), send(self.sip[self.done])))
            self.done += 1
            if self.done < 5:
                return self.at + self.due[self.done]
            return self.media_at if self.done == 5 else self.times[-1][0] + 0.004 if self.done == 6 else None
        i = self.index
        for leg in self.legs:
            rtp = struct.pack('>BBHII', 0x80, 0 if i else 0x80, leg['seq'] + i & 0xffff, leg['ts'] + SAMPLES * i & 0xffffffff, leg['ssrc'])
            self.sent += send(leg['head'] + rtp + leg['sound'][i % len(leg['sound'])])
        self.index += 1
        return self.media_at + self.index * STEP

    def media_over(self):
        return self.index * STEP >= self.seconds

    def facts(self):
        return {'call_id': self.call_id, 'which': self.which, 'times': self.times, 'packets': self.index, 'sent': self.sent,
                'legs': [{k: leg[k] for k in ('party', 'ssrc', 'seq', 'ts')} for leg in self.legs], 'slot': self.slot}


class Sender:
    """keeps so many calls up until it is told to end: `long` of them to the end, the others come and go"""
    def __init__(self, wire, bank, calls, long=0, lengths=(1.5, 12), seed=1, ramp=1.0, pause=0.5, byes=False):
        self.pipe, other = multiprocessing.Pipe()
        self.p = multiprocessing.Process(target=self.play, args=(other, wire.a, bank, calls, long, lengths, seed, ramp, pause, byes), daemon=True)
        self.p.start()
        other.close()
        self.told = []

    def play(self, pipe, name, bank, calls, long, lengths, seed, ramp, pause, byes):
        lab.die_with_parent()
        os.nice(-10)
        rand = random.Random(seed)
        out, number, facts, heap, ending, failed, worst = bind(name), 0, [], [], False, 0, 0.0
        raw = out.send

        def send(frame):
            nonlocal failed
            try:
                raw(frame)
                return 1
            except OSError:
                failed += 1
                return 0

        def begin(slot, at):
            nonlocal number
            seconds = 1e9 if slot < long else rand.uniform(*lengths)
            c = Call(bank, slot, number, seconds, at, rand)
            number += 1
            heapq.heappush(heap, (at, number, c))

        start, look = time.time() + 0.1, 0
        for slot in range(calls):
            begin(slot, start + ramp * slot / calls)
        while heap:
            now = time.time()
            if now >= look:
                look = now + 0.02
                while pipe.poll():
                    word, what = pipe.recv()
                    if word == 'end':
                        ending = True
                        for _, _, c in heap:
                            c.seconds = min(c.seconds, c.index * STEP + rand.random() * what)
                    elif word == 'bind':
                        out.close()
                        out = bind(what)
                        raw = out.send
            due, n, c = heap[0]
            if due > now:
                time.sleep(min(due - now, 0.02))
                continue
            worst = max(worst, now - due) if c.done >= 5 else worst
            if ending and c.done == 0:
                heapq.heappop(heap)
                continue
            following = c.step(send)
            if following is not None:
                heapq.heapreplace(heap, (following, n, c))
                if byes and c.done == 6:
                    pipe.send(('bye', c.times[5][0]))
            else:
                heapq.heappop(heap)
                facts.append(c.facts())
                if not ending:
                    begin(c.slot, now + rand.random() * pause)
        pipe.send(('facts', (facts, failed, worst)))
        pipe.close()

    def wait_for_bye(self, seconds):
        """the time of the next BYE"""
        while self.pipe.poll():
            self.told.append(self.pipe.recv())
        if self.pipe.poll(seconds):
            self.told.append(self.pipe.recv())
            return self.told[-1][1]
        return None

    def bind(self, name):
        self.pipe.send(('bind', name))

    def end(self, spread=0.5):
        """hangs up all calls; what was sent of each, how many could not be sent, how late the latest packet was"""
        self.pipe.send(('end', spread))
        while True:
            word, what = self.pipe.recv()
            if word == 'facts':
                self.p.join()
                return what


def bind(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.bind((name, 0))
    return s
