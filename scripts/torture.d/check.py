"""Holds what was recorded against what was on the wire."""
import json, os, random, struct, wave
from datetime import datetime, timezone
from traffic import SAMPLES, STEP, pcap_frames, tone

MS = 1_000_000
BEFORE_KILL = 250 * MS                      # what a kill may cost


def decoded():
    """µ-law: low and high byte of each code's sample"""
    low, high = bytearray(256), bytearray(256)
    for code in range(256):
        u = ~code & 0xff
        x = (((u & 15) << 3) + 132 << (u >> 4 & 7)) - 132
        x = (-x if u & 0x80 else x) & 0xffff
        low[code], high[code] = x & 0xff, x >> 8
    return bytes(low), bytes(high)


LOW, HIGH = decoded()


def pcm(payload):
    out = bytearray(2 * len(payload))
    out[0::2], out[1::2] = payload.translate(LOW), payload.translate(HIGH)
    return bytes(out)


class Seen:
    """what a capture holds: {ssrc: {sequence number: (time, payload)}}, copies, and SIP by Call-ID"""
    def __init__(self, payloads=True):
        self.rtp, self.copies, self.sip, self.payloads, self.packets = {}, 0, {}, payloads, 0

    def read(self, path, link):
        for at, f in pcap_frames(path):
            self.take(at, f[link:])
        return self

    def take(self, at, ip):
        if ip[:1] != b'\x45' or ip[9:10] != b'\x11':
            return
        if ip[28] == 0x80:
            ssrc, seq = int.from_bytes(ip[36:40], 'big'), int.from_bytes(ip[30:32], 'big')
            stream = self.rtp.get(ssrc)
            if stream is None:
                stream = self.rtp[ssrc] = {}
            if seq in stream:
                self.copies += 1
            else:
                stream[seq] = (at, ip[40:] if self.payloads else b'')
                self.packets += 1
        else:
            m = ip[28:]
            i = m.find(b'\r\nCall-ID: ')
            if i >= 0:
                self.sip.setdefault(m[i + 11:m.index(b'\r\n', i + 2)].decode(), []).append((at, m[:m.find(b' ')], m[:40]))


def nanos(text):
    """RFC 3339 to ns since 1970"""
    whole, _, part = text.rstrip('Z').partition('.')
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp())
    return seconds * 1_000_000_000 + int(part.ljust(9, '0')[:9] or 0)


def must(t, runs, slack=BEFORE_KILL):
    """must a packet of this time be in a recording? It was heard by a run, and not in its last moments"""
    return any(r['listening'] and r['listening'] * 1e9 <= t <= (r['killed'] or 1e12) * 1e9 - slack for r in runs)


def unnamed(facts, wire, runs, also=lambda t: False):
    """says of a stream whether it is of a call whose INVITE nobody could keep: its media wait in memory for a name"""
    invites = {leg['ssrc']: wire.sip.get(f['call_id'], [(0,)])[0][0] for f in facts for leg in f['legs']}
    return lambda ssrc, _: not must(invites.get(ssrc, 0), runs) or also(invites.get(ssrc, 0))


def quantiles(values, unit=''):
    if not values:
        return 'none'
    v = sorted(values)
    pick = [v[min(len(v) - 1, int(q * len(v)))] for q in (0, .5, .9, 1)]
    return f'min {pick[0]:.1f}, median {pick[1]:.1f}, 90 % {pick[2]:.1f}, max {pick[3]:.1f}{unit} (n={len(v)})'


class Book:
    """the recordings, opened"""
    def __init__(self, recorder, v, exports=10**9):
        self.calls = recorder.calls()
        self.data = recorder.data
        self.by_id, self.twice = {}, []
        for c in self.calls:
            for i in c['call_ids']:
                if i in self.by_id:
                    self.twice.append(i)
                self.by_id.setdefault(i, []).append(c)
        self.seen, self.of, self.doubled = Seen(), {}, 0
        for n, c in enumerate(self.calls):
            files = [f for f in c['files'] if f['kind'] == 'packets']
            if not files:
                v.hold(False, f'call {c["id"]} has no packets file')
                continue
            path = f'{self.data}/{files[0]["path"]}'
            if n < exports:
                path = f'{os.environ["TORTURE_INSIDE"]}/x.pcap'
                done = recorder.ask('export', c['id'], '--to', path, check=False)
                if not v.hold(done.returncode == 0, f'export {c["id"]}: {done.stderr.strip()}'):
                    continue
            mine = Seen().read(path, 0)
            v.hold(whole(path), f'{c["id"]}: its packets file has a torn record')
            self.doubled += mine.copies
            for ssrc, packets in mine.rtp.items():
                self.of.setdefault(ssrc, []).append(c['id'])
                for seq, p in packets.items():
                    stream = self.seen.rtp.setdefault(ssrc, {})
                    self.doubled += seq in stream
                    stream[seq] = p
            for i, messages in mine.sip.items():
                self.seen.sip.setdefault(i, []).extend(messages)


def whole(path):
    """every record is there to its last byte"""
    with open(path, 'rb') as f:
        data = f.read()
    at = 24
    while at + 16 <= len(data):
        at += 16 + struct.unpack_from('<I', data, at + 8)[0]
    return at == len(data)


def figures(wire, book, runs, v, unless=lambda ssrc, t: False):
    """what kills and starts have cost, printed"""
    lost_before, gaps, starts = [], [], []
    times = sorted((p[0], ssrc, seq) for ssrc, s in wire.rtp.items() for seq, p in s.items() if not unless(ssrc, 0))
    recorded = [(t, seq in book.seen.rtp.get(ssrc, ())) for t, ssrc, seq in times]
    for n, r in enumerate(runs):
        if r['listening']:
            starts.append((r['listening'] - r['exec']) * 1000)
        if r['killed'] is None or not r['listening']:
            continue
        kill = r['killed'] * 1e9
        missing = next((t for t, there in recorded if max(r['listening'] * 1e9, kill - 3e9) <= t <= kill and not there), kill)
        lost_before.append((kill - missing) / MS)
        if n + 1 < len(runs):
            again = next((t for t, there in recorded if t > kill and there), None)
            if again:
                gaps.append((again - kill) / MS)
    v.say(f'kill - first missing packet:  {quantiles(lost_before, " ms")}')
    v.say(f'kill - recorded again:        {quantiles(gaps, " ms")}')
    v.say(f'start-up (exec - listening):  {quantiles(starts, " ms")}')
    return lost_before, gaps, starts


def packets(wire, book, runs, v, slack=BEFORE_KILL, unless=lambda ssrc, t: False):
    """every packet that must be is in a recording, once; what is not, by stream"""
    missing, needed = {}, 0
    for ssrc, stream in wire.rtp.items():
        have = book.seen.rtp.get(ssrc, {})
        for seq, (t, _) in stream.items():
            if must(t, runs, slack) and not unless(ssrc, t):
                needed += 1
                if seq not in have:
                    missing.setdefault(ssrc, []).append(t)
    strange = [s for s in book.seen.rtp if s not in wire.rtp]
    v.hold(not strange, f'{len(strange)} recorded streams were never on the wire')
    v.hold(not book.doubled, f'{book.doubled} packets are twice in the recordings')
    n = sum(map(len, missing.values()))
    v.say(f'{wire.packets} RTP packets on the wire, {book.seen.packets or sum(map(len, book.seen.rtp.values()))} recorded, '
          f'{needed} had to be, {n} of these are missing, of {len(missing)} streams')
    return missing


def audio(facts, wire, book, runs, v, bank):
    """the sound of each call: what was recorded is where it must be, all else is silence"""
    heard = legs = 0
    worst, bad = 0, []
    for fact in facts:
        calls = book.by_id.get(fact['call_id'], [])
        if len(calls) != 1:
            continue
        call = calls[0]
        file = next((f for f in call['files'] if f['kind'] == 'audio'), None)
        mine = [leg for leg in fact['legs'] if book.of.get(leg['ssrc']) == [call['id']]]
        if file is None:
            if any(len(book.seen.rtp[leg['ssrc']]) >= 4 for leg in mine):
                bad.append(f'{fact["call_id"]}: no audio')
            continue
        with wave.open(f'{book.data}/{file["path"]}') as w:
            channels, raw = w.getnchannels(), w.readframes(w.getnframes())
        # Sample 0 is the answer, or the first sound when that came earlier.
        sounds = [wire_start(leg, wire) + min(seq - leg['seq'] & 0xffff for seq in book.seen.rtp[leg['ssrc']]) * STEP * 1e9 for leg in mine]
        origin = min([*sounds, *([nanos(call['answered_at'])] if call['answered_at'] else [])], default=0)
        if channels != 2 or call['kind'] != 'call':
            # A part that knows one party, or none: nobody promises who is where.
            continue
        heard += 1
        for n, leg in enumerate(fact['legs']):
            if leg not in mine:
                continue
            sound = bytearray(len(raw) // 2)
            sound[0::2], sound[1::2] = raw[2 * n::4], raw[2 * n + 1::4]
            legs += 1
            off, why = leg_audio(leg, fact, bytes(sound), origin, wire, book, bank)
            worst = max(worst, abs(off or 0), key=abs)
            if why:
                bad.append(f'{fact["call_id"]} {leg["party"]}: {why}')
    v.say(f'audio of {heard} calls, {legs} streams compared; furthest from its place: {worst / 8:.2f} ms')
    v.hold(not bad, f'audio of {len(bad)} streams is wrong: ' + '; '.join(bad[:4]))


def wire_start(leg, wire):
    """when packet 0 was due: no packet comes early, so the fastest of all tells"""
    return min(t - (seq - leg['seq'] & 0xffff) * STEP * 1e9 for seq, (t, _) in wire.rtp[leg['ssrc']].items())


def leg_audio(leg, fact, sound, origin, wire, book, bank):
    on_wire, have = wire.rtp.get(leg['ssrc'], {}), book.seen.rtp.get(leg['ssrc'], {})
    place = {(seq - leg['seq']) & 0xffff: seq for seq in on_wire}
    truth = bank.truth[fact['which'] * 2 + (leg['party'] == 'callee')]
    for i in random.Random(1).sample(sorted(place), min(2, len(place))):
        if i < truth['sent'] and on_wire[place[i]][1] != tone(truth['step'], i):
            return None, f'packet {i} on the wire is not the generator\'s'
    got = sorted(i for i, seq in place.items() if seq in have)
    if len(got) < 4:
        return None, None
    start = wire_start(leg, wire)
    about = round((start - origin) * 8 / MS / 1)            # samples, 8 a ms
    first = got[len(got) // 2]
    wanted = pcm(on_wire[place[first]][1])
    at = next((o for d in range(400) for o in (about + d, about - d)
               if sound[2 * (o + first * SAMPLES):2 * (o + (first + 1) * SAMPLES)] == wanted), None)
    if at is None:
        return None, f'packet {first} is not heard within 50 ms of where it was on the wire'
    off = at - about
    have_it, wrong, noise = set(got), [], []
    for i in range(max(place) + 1):
        a, b = 2 * (at + i * SAMPLES), 2 * (at + (i + 1) * SAMPLES)
        if a < 0:
            continue
        if i in have_it:
            if sound[a:b] != pcm(on_wire[place[i]][1]):
                wrong.append(i)
        elif any(sound[a:b]):
            noise.append(i)
    if wrong or noise:
        return off, f'{len(wrong)} of {len(got)} packets are not where they must be ({wrong[:3]} …{wrong[-1:]}), {len(noise)} missing ones are not silent ({noise[:3]}), offset {off}'
    if any(sound[:max(0, 2 * at)]) or any(sound[2 * (at + (max(place) + 1) * SAMPLES):]):
        return off, 'sound where nobody spoke'
    if abs(off) > 8:
        return off, f'{off / 8:.1f} ms from its place'
    return off, None


def roster(facts, wire, book, runs, v, complete=True):
    """no call missing, no call twice, none active"""
    missing, twice, in_gap, parts = [], [], 0, 0
    known = {f['call_id'] for f in facts}
    for f in facts:
        rows = book.by_id.get(f['call_id'], [])
        invite = wire.sip.get(f['call_id'], [(0, b'', b'')])[0]
        if must(invite[0], runs):
            if not rows:
                missing.append(f['call_id'])
            elif len(rows) > 1:
                twice.append(f['call_id'])
        else:
            in_gap += 1
            parts += len(rows) != 1
    v.hold(not missing, f'{len(missing)} calls are missing: {missing[:3]}')
    v.hold(not twice, f'{len(twice)} calls are there twice: {[(i, [c["id"] for c in book.by_id[i]]) for i in twice[:3]]}')
    # A stream in two recordings is a call in two.
    torn = [s for s, ids in book.of.items() if len(ids) > 1]
    v.hold(not torn, f'{len(torn)} streams are in two recordings: {[(hex(s), book.of[s]) for s in torn[:3]]}')
    strange = [c['id'] for c in book.calls if c['call_ids'] and not set(c['call_ids']) <= known]
    v.hold(not strange, f'calls nobody made: {strange[:3]}')
    active = [c['id'] for c in book.calls if c['state'] != 'completed']
    v.hold(not active, f'{len(active)} calls are active: {active[:3]}')
    alone = sum(c['kind'] == 'media-only' for c in book.calls)
    v.say(f'{len(facts)} calls made, {len(book.calls)} rows, {alone} of them media-only; {in_gap} calls began in a gap, {parts} of these have no row or several')
    ends = {}
    for c in book.calls:
        ends[c['end']] = ends.get(c['end'], 0) + 1
    v.say(f'ends: {ends}')
