"""The drills."""
import multiprocessing, os, random, shutil, subprocess, sys, time
import check, lab, traffic
from disk import disk, slow, tmpfs, troubled, until, well
from scene import Scene


def run(o):
    os.chdir(os.environ['TORTURE_INSIDE'])
    lab.run('ip', 'link', 'set', 'lo', 'up')
    if o.command == 'quick':
        return quick(o)
    return globals()[o.command](o)


def quick(o):
    """side by side, each in a folder and on a wire of its own: most of them wait most of the time"""
    drills = []
    for words in (['kill', '--rounds', '8', '--calls', '12'], ['two'], ['interface'], ['disk', '--rounds', '1']):
        inside = f'{os.environ["TORTURE_INSIDE"]}/{words[0]}'
        os.makedirs(inside)
        env = {**os.environ, 'TORTURE_INSIDE': inside, 'TORTURE_ONLY': 'fill'}
        drills.append(subprocess.Popen([sys.executable, f'{lab.ROOT}/scripts/torture', *words, '--seed', str(o.seed)], env=env, text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=lab.die_with_parent))
    status = 0
    for p in drills:
        print(p.communicate()[0], end='', flush=True)
        status = max(status, p.returncode)
    return status


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
    named = {f['legs'][n]['ssrc']: f for f in s.facts for n in (0, 1)}
    unnamed = check.unnamed(s.facts, wire, rec.runs)
    lost, gaps, starts = check.figures(wire, book, rec.runs, v, unnamed)
    missing = check.packets(wire, book, rec.runs, v, unless=unnamed)
    for ssrc, times in list(missing.items())[:6]:
        f, t = named[ssrc], times[0]
        near = [(k, round((t - r[k] * 1e9) / 1e6)) for r in rec.runs for k in ('exec', 'listening', 'killed') if r[k] and abs(t - r[k] * 1e9) < 3e9]
        sip = [(m[1].decode(), round((m[0] - t) / 1e6)) for m in wire.sip.get(f['call_id'], [])]
        v.say(f'  0x{ssrc:08x} of {f["call_id"]}: {len(times)} missing; first against (ms): {near}; SIP: {sip}; rows {book.of.get(ssrc)}')
    n = sum(map(len, missing.values()))
    v.hold(n == 0, f'{n} packets are missing that had to be there')
    v.hold(not starts or max(starts) < 1000, f'a start took {max(starts, default=0):.0f} ms')
    heard = have = 0
    for ssrc in (x for x in named if unnamed(x, 0)):
        for seq, (t, _) in wire.rtp.get(ssrc, {}).items():
            heard, have = heard + check.must(t, rec.runs), have + (check.must(t, rec.runs) and seq in book.seen.rtp.get(ssrc, ()))
    v.say(f'of calls whose INVITE fell into a gap: {heard} packets were heard, {heard - have} of these are missing')
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
        # A row without media is that of a BYE: the call's INVITE fell into a gap, its media is a row of its own.
        if len(rows) != 1 or not rows[0]['streams']:
            continue
        c = rows[0]
        times = sorted(t for leg in f['legs'] for t, _ in wire.rtp.get(leg['ssrc'], {}).values())
        runs = s.recorder.runs
        through = [r for r, q in zip(runs, runs[1:]) if r['killed'] and r['listening'] and q['listening'] and times
                   and check.must(times[0], [r]) and times[-1] > q['listening'] * 1e9 + 1e9]
        if through and not any(g['cause'] == 'restart' for g in c['gaps']):
            without.append(f['call_id'])
    s.v.hold(not without, f'{len(without)} calls went through a restart and have no gap of that cause: {without[:3]}')


def two(o):
    """a second recorder on the folder is refused; a clean stop costs the restart alone"""
    s = Scene('two', 6, long=3, seed=o.seed)
    v, rec = s.v, s.recorder
    rec.start()
    s.send()
    time.sleep(2)
    for n in range(3):
        done = rec.ask('record', '-i', s.wire.b, check=False)
        lines = done.stderr.strip().splitlines()
        v.hold(done.returncode == 1 and len(lines) == 1, f'a second recorder: exit {done.returncode}, {lines}')
    v.say(f'a second recorder is told: {lines}')
    v.hold(rec.alive() and rec.status().get('running'), 'the first one was hurt')
    stops = []
    for n in range(5):
        time.sleep(1.5)
        begin = time.time()
        status = rec.stop()
        v.hold(status == 0, f'SIGTERM: exit {status}')
        stops.append((time.time() - begin) * 1000)
        rec.start()
    time.sleep(2)
    s.hang_up()
    s.settle()
    wire, book = s.read()
    check.figures(wire, book, rec.runs, v)
    v.say(f'a stop takes {check.quantiles(stops, " ms")}')
    missing = check.packets(wire, book, rec.runs, v, slack=60e6)
    v.hold(not missing, f'{sum(map(len, missing.values()))} packets are missing that came before the stop')
    check.roster(s.facts, wire, book, rec.runs, v)
    check.audio(s.facts, wire, book, rec.runs, v, s.bank)
    rec.verify(v)
    return s.end()


def interface(o):
    """link down and up, at both ends; the interface deleted and made again"""
    # As `ip netns exec` does: /sys shows the network namespace that it was mounted in.
    lab.run('mount', '-t', 'sysfs', 'sysfs', '/sys')
    s = Scene('interface', 6, long=3, seed=o.seed)
    v, rec = s.v, s.recorder
    rec.start()
    s.send()
    time.sleep(2)
    holes, backs, seen = [], [], []
    for what in ('down', 'far down', 'deleted'):
        begin = time.time()
        if what == 'deleted':
            s.wire.remove()
        else:
            lab.run('ip', 'link', 'set', s.wire.b if what == 'down' else s.wire.a, 'down')
        told = until(rec, lambda st: troubled(st, 'capture'), 3)
        if what != 'far down':
            v.hold(told is not None, f'{what}: status says nothing within 3 s')
        time.sleep(1)
        v.hold(rec.alive(), f'{what}: the recorder has ended: {rec.log[-2:]}')
        if what == 'deleted':
            s.wire.make()
            s.sender.bind(s.wire.a)
        else:
            lab.run('ip', 'link', 'set', s.wire.b if what == 'down' else s.wire.a, 'up')
        back = time.time()
        s.witness.stop() if s.witness.p.poll() is None else None
        seen.append(s.path)
        s.path = f'{s.inside}/interface-{len(seen)}.pcap'
        s.witness = lab.Witness(s.wire, s.path)
        took = until(rec, well, 5)
        v.hold(took is not None, f'{what}: it is not well again within 5 s: {rec.status().get("troubles", [])[:2]}')
        holes.append((what, begin, back))
        backs.append(f'{what} {took or 5:.1f} s')
        time.sleep(2)
    v.say(f'status said so again after {", ".join(backs)}')
    s.hang_up()
    s.settle()
    s.witness.stop()
    wire = check.Seen()
    for path in [*seen, s.path]:
        wire.read(path, 14)
    book = check.Book(rec, v)
    for what, begin, back in holes:
        first = min((p[0] for st in book.seen.rtp.values() for p in st.values() if p[0] > back * 1e9), default=0)
        v.say(f'{what}: first packet recorded {(first / 1e9 - back) * 1000:.0f} ms after it was there again')
        v.hold(0 < first / 1e9 - back < 1.6, f'{what}: nothing was recorded for {first / 1e9 - back:.1f} s after it was there again')
    missing = check.packets(wire, book, rec.runs, v, unless=lambda _, t: any(a * 1e9 - 30e6 <= t <= b * 1e9 + 1.6e9 for _, a, b in holes))
    near = sorted({(what, round((t - a * 1e9) / 1e6), round((t - b * 1e9) / 1e6)) for ts in missing.values() for t in ts for what, a, b in holes if a - 1 < t / 1e9 < b + 5})
    v.hold(not missing, f'{sum(map(len, missing.values()))} packets are missing; (what, ms after it went, ms after it came): {near[:6]}')
    rows = [len(book.by_id.get(f['call_id'], ())) for f in s.facts if f['times'][0][1] and not any(a <= f['times'][0][0] <= b + 1.6 for _, a, b in holes)]
    v.hold(set(rows) <= {1}, f'calls have so many rows: {rows}')
    long = [book.by_id[f['call_id']][0] for f in s.facts if f['slot'] < 3 and f['call_id'] in book.by_id]
    v.hold(long and all(any('lost' in e['what'] or 'interface' in (e['detail'] or '') for e in c['events']) or any(g['cause'] == 'capture' for g in c['gaps'])
               for c in long), f'the gap is not noted on the calls that were up: {long[0]["events"] if long else ""} {long[0]["gaps"] if long else ""}')
    rec.verify(v)
    return s.end()


def startup(o):
    """a thousand calls in the spool of a recorder that was killed: it listens within a second, and all go on"""
    calls = o.calls or 1000
    lab_path = f'{os.environ["TORTURE_INSIDE"]}/many.pcap'
    if not shutil.which('tcpreplay'):
        lab.skip('tcpreplay is missing (apt install tcpreplay)')
    v, wire = lab.Verdict('startup'), lab.Wire()
    rec = lab.Recorder(wire, f'{os.environ["TORTURE_INSIDE"]}/startup', 'ring_mb = 256\n')
    lab.run(f'{lab.BUILT}/examples/gen-calls', '-o', lab_path, '--calls', calls, '--seconds', 60, '--ramp', 5)
    rec.start()
    player = subprocess.Popen(['tcpreplay', '-K', '-x', '0.3', '-i', wire.a, lab_path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=lab.die_with_parent)
    until(rec, lambda st: st.get('running') and st['calls']['active'] >= calls, 60)
    time.sleep(20)
    before = rec.status()
    v.say(f'before: {before["calls"]}, {before["packets_per_s"]} packets/s, drops {before["drops"]}, VmRSS {rec.proc()[0]:.0f} MB')
    took = []
    for cold in (False, True, False):
        rec.kill()
        sizes = {f: os.path.getsize(p) for f in rec.spooled() if os.path.exists(p := f'{rec.data}/spool/{f}/packets.pcap')}
        if cold:
            lab.run('sync', '-f', rec.data)
            for f in rec.spooled():
                for name in os.listdir(f'{rec.data}/spool/{f}'):
                    fd = os.open(f'{rec.data}/spool/{f}/{name}', os.O_RDONLY)
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                    os.close(fd)
        rec.start()
        grown = None
        while grown is None and time.time() < rec.run['exec'] + 10:
            if any(os.path.getsize(f'{rec.data}/spool/{f}/packets.pcap') > n for f, n in sizes.items()):
                grown = time.time()
            time.sleep(0.005)
        up, first = rec.run['listening'] - rec.run['exec'], (grown or 1e12) - rec.run['exec']
        took.append(up)
        v.say(f'{"files not in the cache" if cold else "files in the cache"}: {len(sizes)} folders, {sum(sizes.values()) >> 20} MiB; exec - listening {up * 1000:.0f} ms, '
              f'- first packet on the disk again {first * 1000:.0f} ms; gone on with {rec.run["gone_on_with"]}')
        v.hold(up < 1, f'it listens after {up:.2f} s')
        v.hold(first < 1.3, f'the first packet is on the disk after {first:.2f} s')
        v.hold(rec.run['gone_on_with'] == calls, f'{rec.run["gone_on_with"]} of {calls} calls are gone on with')
        time.sleep(3)
        idle = [f for f, n in sizes.items() if os.path.getsize(f'{rec.data}/spool/{f}/packets.pcap') <= n]
        v.hold(not idle, f'{len(idle)} calls do not go on')
        v.hold(len(rec.spooled()) == calls, f'{len(rec.spooled())} folders for {calls} calls')
    v.say(f'after: {rec.status()["calls"]}, drops {rec.status()["drops"]}')
    player.kill()
    player.wait()
    v.hold(rec.stop() == 0, 'SIGTERM')
    wire.remove()
    return v.end()


def flood(o):
    """10,000 INVITEs a second of new Call-IDs, and random datagrams, for 20 s beside five calls"""
    s = Scene('flood', 5, long=5, seed=o.seed, config='ring_mb = 256\nmedia_timeout_s = 6\nsetup_timeout_s = 60\n', lazy=True)
    v, rec = s.v, s.recorder
    rec.start()
    s.send()
    time.sleep(3)
    rss = [rec.proc()[0]]
    begin = time.time()
    p = multiprocessing.Process(target=pour, args=(s.wire.a, 20, 10_000, 5_000), daemon=True)
    p.start()
    while p.is_alive():
        time.sleep(1)
        if not v.hold(rec.alive(), f'the recorder has ended: {rec.log[-2:]}'):
            break
        rss.append(rec.proc()[0])
    p.join()
    v.say(f'flooded for {time.time() - begin:.1f} s')
    time.sleep(3)
    status = rec.status()
    s.hang_up()
    time.sleep(8)
    v.hold(rec.alive(), 'the recorder has ended')
    rss.append(rec.proc()[0])
    v.say(f'calls {status.get("calls")}, drops {status.get("drops")}, remarks {status.get("remarks")}')
    v.say(f'VmRSS {rss[0]:.0f} MB before, at most {max(rss):.0f} MB; {len(rec.spooled())} folders in the spool')
    v.hold(max(rss) < 1500, f'VmRSS {max(rss):.0f} MB')
    dropped = s.witness.stop()
    v.hold(dropped == 0, f'the witness itself lost {dropped} packets')
    wire = check.Seen().read(s.path, 14)
    mine = {leg['ssrc'] for f in s.facts for leg in f['legs']}
    wire.rtp = {k: st for k, st in wire.rtp.items() if k in mine}
    wire.packets = sum(map(len, wire.rtp.values()))
    rows = {i: c for c in rec.calls() for i in c['call_ids']}
    for f in s.facts:
        c = rows.get(f['call_id'])
        if not v.hold(c is not None, f'{f["call_id"]} is not sealed'):
            continue
        got = check.Seen().read(f'{rec.data}/{[x["path"] for x in c["files"] if x["kind"] == "packets"][0]}', 0)
        for leg in f['legs']:
            a, b = len(wire.rtp[leg['ssrc']]), len(got.rtp.get(leg['ssrc'], ()))
            v.hold(a == b, f'{f["call_id"]} {leg["party"]}: {a} packets on the wire, {b} recorded')
    begin = time.time()
    status = rec.stop(60)
    v.hold(status == 0, f'SIGTERM: exit {status}')
    v.say(f'the stop took {time.time() - begin:.1f} s')
    rec.start(wait=False)
    rec.run['said'].wait(60)
    v.say(f'the start after it: {(rec.run["listening"] or 1e12) - rec.run["exec"]:.1f} s, gone on with {rec.run["gone_on_with"]}')
    rec.kill()
    return s.end()


def pour(name, seconds, invites, randoms):
    lab.die_with_parent()
    rand, out = random.Random(5), traffic.bind(name)
    text = ('INVITE sip:9@10.9.9.9 SIP/2.0\r\nVia: SIP/2.0/UDP 10.8.8.8:5060;branch=z9hG4bK%012x\r\nMax-Forwards: 70\r\nFrom: <sip:1@10.8.8.8>;tag=%012x\r\n'
            'To: <sip:9@10.9.9.9>\r\nCall-ID: %012x-flood\r\nCSeq: 1 INVITE\r\nContact: <sip:1@10.8.8.8>\r\nContent-Type: application/sdp\r\nContent-Length: 129\r\n\r\n')
    sdp = 'v=0\r\no=- 1 1 IN IP4 10.8.8.8\r\ns=-\r\nc=IN IP4 10.8.8.8\r\nt=0 0\r\nm=audio %05d RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n'
    sdp += 'a=' + 'x' * (129 - len(sdp % 0) - 4) + '\r\n'
    length = len(text % (0, 0, 0)) + len(sdp % 0)
    head = traffic.frame_head(('10.8.8.8', 5060), ('10.9.9.9', 5060), length)
    heads = [traffic.frame_head((f'10.7.{rand.randrange(256)}.{rand.randrange(256)}', rand.randrange(1024, 65536)),
                                (f'10.6.{rand.randrange(256)}.{rand.randrange(256)}', rand.randrange(1024, 65536)), 172) for _ in range(20000)]
    begin, n, m, failed = time.time(), 0, 0, 0
    while (passed := time.time() - begin) < seconds:
        try:
            while n < passed * invites:
                n += 1
                out.send(head + (text % (n, n, n) + sdp % (20000 + n % 40000)).encode())
            while m < passed * randoms:
                m += 1
                out.send(rand.choice(heads) + rand.randbytes(172))
        except OSError:
            failed += 1
        time.sleep(0.001)
    print(f'  poured {n} INVITEs and {m} random datagrams in {time.time() - begin:.1f} s; {failed} refused by the kernel', flush=True)


def soak(o):
    calls, minutes = o.calls or 200, o.minutes
    s = Scene('soak', calls, seed=o.seed, lengths=o.lengths, ramp=o.lengths[1] / 2, snap=64, lazy=True, bank=traffic.Bank(20, 120, o.seed),
              config='ring_mb = 256\nmedia_timeout_s = 20\n')
    v, rec = s.v, s.recorder
    rec.start()
    s.send()
    begin, rows = time.time(), []
    print('  minute  VmRSS MB  RssAnon  fds  threads  CPU %  active  sealed  ledger MB', flush=True)
    cpu = 0
    while time.time() < begin + minutes * 60:
        time.sleep(5)
        if not v.hold(rec.alive(), f'the recorder has ended: {rec.log[-2:]}'):
            return s.end()
        now, st = (time.time() - begin, *rec.proc()), rec.status()
        rows.append(now)
        if len(rows) % 12 == 0:
            print(f'  {now[0] / 60:6.1f}  {now[1]:8.1f}  {now[5]:7.1f}  {now[2]:3d}  {now[3]:7d}  {(now[4] - cpu) / 60 * 100:5.1f}  '
                  f'{st.get("calls", {}).get("active")}  {st.get("calls", {}).get("sealed"):6d}  {os.path.getsize(f"{rec.data}/ledger.sqlite") / 1e6:.1f}', flush=True)
            cpu = now[4]
    s.hang_up(2)
    time.sleep(1)
    drops = rec.status()['drops']
    rec.until_sealed(40, v)
    v.hold(not any(drops.values()), f'drops: {drops}')
    # SQLite's page caches (6 MiB in all) grow until the ledger is larger than they are: half an hour's first half.
    warm = [(r[0], r[1]) for r in rows if r[0] > minutes * 30]
    slope = fit(warm) * 1800
    v.say(f'VmRSS {warm[0][1]:.1f} MB after the warm-up, {warm[-1][1]:.1f} MB at the end, at most {max(r[1] for r in rows):.1f}; linear fit {slope:+.2f} MB in 30 min')
    v.hold(slope < 5, f'VmRSS grows by {slope:.1f} MB in 30 min')
    fds = [r[2] for r in rows if r[0] > 120]
    v.say(f'descriptors {min(fds)} to {max(fds)}, threads {min(r[3] for r in rows)} to {max(r[3] for r in rows)}, CPU {rows[-1][4] / rows[-1][0] * 100:.1f} % of a core')
    v.hold(fit([(r[0], r[2]) for r in rows if r[0] > 120]) * 1800 < 3, 'descriptors grow')
    v.hold(rec.stop() == 0, 'SIGTERM')
    dropped = s.witness.stop()
    v.hold(dropped == 0, f'the witness itself lost {dropped} packets')
    counts = {}
    with open(s.path, 'rb') as f:
        f.seek(24)
        while head := f.read(16):
            length = int.from_bytes(head[8:12], 'little')
            frame = f.read(length)
            if frame[42:43] == b'\x80':
                counts[frame[50:54]] = counts.get(frame[50:54], 0) + 1
    by_id, wrong, total = {}, [], 0
    for c in rec.calls():
        for i in c['call_ids']:
            by_id.setdefault(i, []).append(c)
    for f in s.facts:
        rows_ = by_id.pop(f['call_id'], [])
        if len(rows_) != 1:
            wrong.append(f'{f["call_id"]}: {len(rows_)} rows')
            continue
        streams = {int(x['ssrc'], 16): x for x in rows_[0]['streams']}
        for leg in f['legs']:
            n = counts.get(leg['ssrc'].to_bytes(4, 'big'), 0)
            total += n
            x = streams.get(leg['ssrc'])
            if x is None or (x['packets'], x['lost'], x['duplicates']) != (n, 0, 0) or n != f['packets']:
                wrong.append(f'{f["call_id"]} {leg["party"]}: wire {n}, sent {f["packets"]}, recorded {x and (x["packets"], x["lost"])}')
        if rows_[0]['end'] != 'bye' or rows_[0]['gaps']:
            wrong.append(f'{f["call_id"]}: end {rows_[0]["end"]}, gaps {rows_[0]["gaps"][:2]}')
    v.say(f'{len(s.facts)} calls, {total} RTP packets compared')
    v.hold(not wrong, f'{len(wrong)} differences: {wrong[:4]}')
    v.hold(not by_id, f'calls nobody made: {list(by_id)[:3]}')
    rec.verify(v)
    bad = rec.problems()
    v.hold(not bad, f'{len(bad)} complaints in the log: {bad[:3]}')
    return s.end()


def fit(points):
    """slope of the straight line through them"""
    n = len(points)
    x, y = sum(p[0] for p in points) / n, sum(p[1] for p in points) / n
    return sum((p[0] - x) * (p[1] - y) for p in points) / (sum((p[0] - x) ** 2 for p in points) or 1)


def away(o):
    """killed, and back only after longer than `media_timeout_s`: calls whose media still flow go on"""
    s = Scene('away', 6, long=3, seed=o.seed)
    v, rec = s.v, s.recorder
    rec.start()
    s.send()
    for seconds in (8, 20):
        time.sleep(3)
        rec.kill()
        time.sleep(seconds)
        rec.start()
        v.say(f'back after {seconds} s: {rec.run["gone_on_with"]} calls gone on with')
    time.sleep(14)
    s.hang_up()
    s.settle()
    wire, book = s.read()
    for f in s.facts:
        if f['slot'] < 3:
            rows = book.by_id.get(f['call_id'], [])
            parts = {i for leg in f['legs'] for i in book.of.get(leg['ssrc'], [])}
            v.hold(len(rows) == 1 and parts == {rows[0]['id']}, f'{f["call_id"]} was up all the time and is in {len(rows)} rows {[(c["id"], c["end"]) for c in rows]}, its packets in {len(parts)}')
    check.roster(s.facts, wire, book, rec.runs, v)
    rec.verify(v)
    return s.end()
