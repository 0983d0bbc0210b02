"""Calls in the ledger held against what the generator knows of them."""
import json, math, random, struct, subprocess

PACKET = 160                                # samples
SEARCH = 400                                # samples either side of where a stream should start: 50 ms


def code(linear):
    """G.711 µ-law of a linear sample"""
    sign, magnitude = 0x80 if linear < 0 else 0, min(abs(linear), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 15) & 0xff


def linear(c):
    c = ~c & 0xff
    magnitude = ((c & 15) << 3) + 132 << (c >> 4 & 7)
    return magnitude - 132 if not c & 0x80 else 132 - magnitude


TABLE = bytes(code(round(12000 * math.sin(2 * math.pi * k / 4096))) for k in range(4096))
LINEAR = [linear(c) for c in range(256)]


def channels(path):
    """the channels of a WAV file as linear samples"""
    with open(path, 'rb') as f:
        b = f.read()
    form, count = struct.unpack('<HH', b[20:24])
    if form == 7:
        return [[LINEAR[w] for w in b[58 + c::count]] for c in range(count)]
    samples = struct.unpack(f'<{(len(b) - 44) // 2}h', b[44:])
    return [samples[c::count] for c in range(count)]


def is_heard(leg, samples, about):
    tone = [LINEAR[TABLE[(n * leg['step'] & 0xffffffff) >> 20]] for n in range(leg['sent'] * PACKET)]
    starts = (about + d for d in sorted(range(-SEARCH, SEARCH), key=abs) if about + d >= 0)
    return any(list(samples[s:s + 64]) == tone[:64] and list(samples[s:s + len(tone)]) == tone for s in starts)


def micros(text):
    from datetime import datetime, timezone
    whole, _, rest = text.rstrip('Z').partition('.')
    return int(datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp()) * 1_000_000 + int((rest + '000000')[:6])


def right(binary, data, truth, listen):
    """calls that are as they were sent; and of how many each sample was compared and right"""
    legs = {}
    with open(truth) as f:
        for line in f:
            leg = json.loads(line)
            legs.setdefault(leg['call_id'], {})[leg['ssrc']] = leg
    chosen = set(random.Random(1).sample(sorted(legs), min(listen, len(legs))))
    fine = heard = 0
    listed = subprocess.run([binary, 'calls', '--json', '--data', data], stdout=subprocess.PIPE, check=True).stdout
    for call in map(json.loads, listed.splitlines()):
        want = legs.pop(call['call_ids'][0], None)
        got = {s['ssrc']: s for s in call['streams']}
        same = want and got.keys() == want.keys() and call['end'] == 'bye' and all(
            (got[k]['party'], got[k]['packets'], got[k]['lost']) == (w['leg'], w['packets'], 0) for k, w in want.items())
        fine += bool(same)
        if same and call['call_ids'][0] in chosen:
            sound = channels(f"{data}/{next(f['path'] for f in call['files'] if f['kind'] == 'audio')}")
            zero = micros(call['answered_at'])
            heard += all(is_heard(w, sound[i], round((w['first_us'] - zero) * 8 / 1000))
                         for i, party in enumerate(('caller', 'callee')) for w in want.values() if w['leg'] == party)
    return fine, heard, len(chosen)
