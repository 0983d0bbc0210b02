"""The drills."""
import os, random, sys, time
import check, lab, traffic


def run(o):
    os.chdir(os.environ['TORTURE_INSIDE'])
    lab.run('ip', 'link', 'set', 'lo', 'up')
    if o.command == 'quick':
        o.rounds = 8
        results = [kill(o)]
        return max(results)
    return globals()[o.command](o)


CONFIG = 'ring_mb = 32\nmedia_timeout_s = 6\nsetup_timeout_s = 8\nlog = "info"\n'


class Scene:
    """wire, witness, recorder and sender of one drill"""
    def __init__(self, name, calls, bank_seconds=60, config=CONFIG, data=None, snap=2048, lazy=False, bank=None, **traffic_):
        self.v = lab.Verdict(name)
        self.inside = os.environ['TORTURE_INSIDE']
        self.name = name
        self.wire = lab.Wire()
        self.bank = bank or traffic.Bank(min(calls, 20), bank_seconds, traffic_.get('seed', 1))
        self.path = f'{self.inside}/{name}.pcap'
        self.witness = lab.Witness(self.wire, self.path, snap=snap, lazy=lazy)
        self.recorder = lab.Recorder(self.wire, data or f'{self.inside}/{name}', config)
        self.calls, self.traffic = calls, traffic_
        self.sender = None

    def send(self):
        self.sender = traffic.Sender(self.wire, self.bank, self.calls, **self.traffic)

    def hang_up(self, spread=0.5):
        self.facts, failed, late = self.sender.end(spread)
        self.v.say(f'the sender was at most {late * 1000:.0f} ms late; {failed} packets could not be sent')

    def read(self, exports=10**9):
        """ends the witness; what was on the wire, what was recorded"""
        dropped = self.witness.stop()
        self.v.hold(dropped == 0, f'the witness itself lost {dropped} packets: the test proves nothing')
        return check.Seen().read(self.path, 14), check.Book(self.recorder, self.v, exports)

    def settle(self, seconds=25):
        """SIGTERM, a last start until all is sealed, SIGTERM"""
        status = self.recorder.stop()
        self.v.hold(status == 0, f'SIGTERM: exit {status}: {self.recorder.log[-2:]}')
        self.recorder.start()
        self.recorder.until_sealed(seconds, self.v)
        status = self.recorder.stop()
        self.v.hold(status == 0, f'SIGTERM: exit {status}: {self.recorder.log[-2:]}')

    def end(self):
        self.wire.remove()
        return self.v.end()


def kill(o):
    rounds, rand = o.rounds or 100, random.Random(o.seed)
    s = Scene('kill', o.calls or 20, long=(o.calls or 20) // 3, seed=o.seed, byes=True)
    v, rec = s.v, s.recorder
    rec.start()
    s.send()
    time.sleep(2)
    kinds = {}
    for n in range(rounds):
        kind = rand.choices(('any', 'bye', 'sealing', 'start'), (55, 15, 15, 15))[0]
        kinds[kind] = kinds.get(kind, 0) + 1
        if kind == 'any':
            time.sleep(rand.uniform(0.05, 4))
        elif kind == 'bye':
            s.sender.wait_for_bye(8)
            time.sleep(rand.uniform(0, 0.01))
        elif kind == 'sealing':
            sealing(rec.data, rand)
        rec.kill()
        rec.start(wait=False)
        if kind == 'start':
            time.sleep(rand.uniform(0, 0.06))
        elif not rec.run['said'].wait(20):
            v.hold(False, 'it did not start within 20 s')
        while s.sender.pipe.poll():
            s.sender.pipe.recv()
    rec.run['said'].wait(20)
    time.sleep(2)
    s.hang_up()
    time.sleep(1)
    s.settle()
    v.say(f'{rounds} kills: {kinds}')
    finish_kills(s, o)
    return s.end()


def sealing(data, rand):
    """waits until a recording is being made"""
    until = time.time() + 10
    recordings = f'{data}/recordings'
    def parts():
        for folder, _, files in os.walk(recordings):
            if any(f.endswith('.part') for f in files):
                return True
        return False
    while time.time() < until and not parts():
        time.sleep(0.001)
    time.sleep(rand.uniform(0, 0.3) if rand.random() < .5 else rand.uniform(0, 0.01))


def finish_kills(s, o):
    v, rec = s.v, s.recorder
    wire, book = s.read()
    lost, gaps, starts = check.figures(wire, book, rec.runs, v)
    named = {f['legs'][n]['ssrc']: f for f in s.facts for n in (0, 1)}
    def unnamed(ssrc, t):
        """media of a call whose INVITE nobody could keep"""
        f = named.get(ssrc)
        invite = wire.sip.get(f['call_id'], [(0,)])[0][0] if f else 0
        return not check.must(invite, rec.runs)
    missing = check.packets(wire, book, rec.runs, v, unless=unnamed)
    for ssrc, times in list(missing.items())[:6]:
        f, t = named[ssrc], times[0]
        near = [(k, round((t - r[k] * 1e9) / 1e6)) for r in rec.runs for k in ('exec', 'listening', 'killed') if r[k] and abs(t - r[k] * 1e9) < 3e9]
        sip = [(m[1].decode(), round((m[0] - t) / 1e6)) for m in wire.sip.get(f['call_id'], [])]
        v.say(f'  0x{ssrc:08x} of {f["call_id"]}: {len(times)} missing; first against (ms): {near}; SIP: {sip}; rows {book.of.get(ssrc)}')
    n = sum(map(len, missing.values()))
    v.hold(n == 0, f'{n} packets are missing that had to be there')
    v.hold(not starts or max(starts) < 1000, f'a start took {max(starts, default=0):.0f} ms')
    n = sum(1 for ssrc in named if not check.must(wire.sip.get(named[ssrc]['call_id'], [(0,)])[0][0], rec.runs)
            for t, _ in wire.rtp.get(ssrc, {}).values() if check.must(t, rec.runs)
            and True)
    have = sum(1 for ssrc in named if not check.must(wire.sip.get(named[ssrc]['call_id'], [(0,)])[0][0], rec.runs)
               for seq, (t, _) in wire.rtp.get(ssrc, {}).items() if check.must(t, rec.runs) and seq in book.seen.rtp.get(ssrc, ()))
    v.say(f'of calls whose INVITE fell into a gap: {n} packets were heard, {have} recorded')
    check.roster(s.facts, wire, book, rec.runs, v)
    check.audio(s.facts, wire, book, rec.runs, v, s.bank)
    rec.verify(v)
    bad = rec.problems('primary')
    v.hold(not bad, f'{len(bad)} complaints in the log: {bad[:3]}')
    if o.causes:
        causes(s, book, wire)


def causes(s, book, wire):
    """each call that went on through a restart has a gap of that cause"""
    without = []
    for f in s.facts:
        rows = book.by_id.get(f['call_id'], [])
        if len(rows) != 1:
            continue
        c = rows[0]
        times = sorted(t for leg in f['legs'] for t, _ in wire.rtp.get(leg['ssrc'], {}).values())
        runs = s.recorder.runs
        through = [r for r, q in zip(runs, runs[1:]) if r['killed'] and r['listening'] and q['listening'] and times
                   and check.must(times[0], [r]) and times[-1] > q['listening'] * 1e9 + 1e9]
        if through and not any(g['cause'] == 'restart' for g in c['gaps']):
            without.append(f['call_id'])
    s.v.hold(not without, f'{len(without)} calls went through a restart and have no gap of that cause: {without[:3]}')
