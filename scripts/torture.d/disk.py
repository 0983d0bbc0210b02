"""Drills of the disk: full, read-only, gone, slow; and of the ledger: locked, damaged."""
import os, random, shutil, sqlite3, threading, time
import check, lab
from scene import Scene


class Filler:
    """another process's file that takes the last byte of a disk, again and again, until it is told to give it back"""
    def __init__(self, folder):
        self.path, self.on, self.gone = f'{folder}/filler', False, False
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while not self.gone:
            if self.on:
                try:
                    with open(self.path, 'ab', buffering=0) as f:
                        for size in (1 << 20, 1 << 12, 1):
                            while self.on:
                                f.write(b'\xff' * size)
                except OSError:
                    pass
            time.sleep(0.02)

    def fill(self):
        self.on = True
        until = time.time() + 5
        folder = os.path.dirname(self.path)
        while os.statvfs(folder).f_bavail and time.time() < until:
            time.sleep(0.005)
        return time.time()

    def free(self):
        self.on = False
        time.sleep(0.05)
        now = time.time()
        os.path.exists(self.path) and os.unlink(self.path)
        return now


def tmpfs(inside, name, mb):
    folder = f'{inside}/{name}'
    os.makedirs(folder, exist_ok=True)
    lab.run('mount', '-t', 'tmpfs', '-o', f'size={mb}m', name, folder)
    return folder


def troubled(status, part=None):
    return not status.get('running') or not status['disk']['writing'] or \
        any(t['until'] is None and part in (None, t['part']) for t in status['troubles'])


def until(rec, wanted, seconds):
    """seconds until status is so; None if it never is"""
    begin = time.time()
    while time.time() < begin + seconds:
        if wanted(rec.status()):
            return time.time() - begin
        time.sleep(0.1)
    return None


def well(status):
    return status.get('running') and not troubled(status)


def disk(o):
    only = os.environ.get('TORTURE_ONLY')
    drills = [fill, fill_and_kill, overflow, read_only, one_bad, removed, moved, unmounted, ledger_locked, ledger_visited, ledger_garbage]
    return max(d(o) for d in drills if not only or d.__name__ in only.split(','))


def fill(o, kills=False):
    rounds, rand = o.rounds or 3, random.Random(o.seed)
    inside = os.environ['TORTURE_INSIDE']
    name = 'disk-kill' if kills else 'disk-full'
    # Room for what the calls of all rounds themselves take (2 to 3 MB a round).
    folder = tmpfs(inside, name, 150 + 4 * rounds)
    s = Scene(name, o.calls or 10, long=4, seed=o.seed, data=f'{folder}/data', lengths=(1.5, 6),
              config='ring_mb = 32\nmedia_timeout_s = 12\nsetup_timeout_s = 12\nhold_timeout_s = 12\n')
    v, rec, filler = s.v, s.recorder, Filler(folder)
    rec.start()
    s.send()
    said, worked, rss, blind = [], [], [], []
    for n in range(rounds):
        time.sleep(rand.uniform(1, 3))
        filled = at = filler.fill()
        if kills and rand.random() < .7:
            time.sleep(rand.uniform(0, 3))
            rec.kill()
            rec.start(wait=False)
            if not rec.run['said'].wait(5) or not rec.alive():
                v.hold(False, f'round {n}: no start on a full disk: {rec.log[-2:]}')
                filler.free()
                rec.start()
            at = time.time()
        took = until(rec, troubled, 5)
        v.hold(took is not None and took + (time.time() - at - took) < 2.5, f'round {n}: status said nothing of the full disk within 2.5 s ({took})')
        said.append((took or 5) * 1000)
        end = time.time() + rand.uniform(2, 6)
        while time.time() < end and v.hold(rec.alive(), f'round {n}: the recorder has ended on a full disk: {rec.log[-2:]}'):
            rss.append(rec.proc()[0])
            time.sleep(0.2)
        if kills and rand.random() < .4:
            rec.kill()
            rec.start()
        blind.append((filled, filler.free()))
        took = until(rec, well, 8)
        v.hold(took is not None and took < 3.2, f'round {n}: status did not say within 3 s that it writes again ({took}): {rec.status().get("troubles", [])[:2]}')
        worked.append((took or 8) * 1000)
    time.sleep(1)
    s.hang_up()
    status = rec.status()
    v.say(f'drops at the end: {status.get("drops")}')
    s.settle()
    v.say(f'status tells of the full disk after {check.quantiles(said, " ms")}; of room after {check.quantiles(worked, " ms")}; VmRSS at most {max(rss):.0f} MB')
    v.hold(max(rss) < 300, f'VmRSS {max(rss):.0f} MB')
    wire, book = s.read()
    fills = [(a * 1e9, b * 1e9) for a, b in blind]
    killed = [r['killed'] * 1e9 for r in rec.runs if kills and r['killed']]
    forgot = [(a - check.BEFORE_KILL - 1e9, k) for k in killed for a, b in fills if a - check.BEFORE_KILL - 1e9 <= k <= b + 1e9]

    def lost_by_kill(_, t):
        """what a full disk did not take is in memory, and goes with the process"""
        return any(a <= t <= b for a, b in forgot)
    unnamed = check.unnamed(s.facts, wire, rec.runs, lambda t: lost_by_kill(0, t))
    def excused(ssrc, t):
        return lost_by_kill(ssrc, t) or kills and unnamed(ssrc, t)
    missing = check.packets(wire, book, rec.runs, v, unless=excused)
    for ssrc, times in list(missing.items())[:6]:
        f = next(f for f in s.facts if any(leg['ssrc'] == ssrc for leg in f['legs']))
        t = times[0]
        near = [(k, round((t - r[k] * 1e9) / 1e6)) for r in rec.runs for k in ('exec', 'listening', 'killed') if r[k] and abs(t - r[k] * 1e9) < 15e9]
        v.say(f'0x{ssrc:08x} of {f["call_id"]}: {len(times)} missing to +{round((times[-1] - t) / 1e6)} of {f["packets"]}; against {near}; fills {[(round((t - a) / 1e6), round((t - b) / 1e6)) for a, b in fills]}; '
              f'SIP {[(m[1].decode(), round((m[0] - t) / 1e6)) for m in wire.sip.get(f["call_id"], [])]}; rows {[c["id"] for c in book.by_id.get(f["call_id"], [])]} {book.of.get(ssrc)}')
    v.hold(not missing, f'{sum(map(len, missing.values()))} packets are missing, of {len(missing)} streams, though memory had room: {where(missing, rec, fills)}')
    check.roster(s.facts, wire, book, rec.runs, v) if not kills else v.say(f'{len(s.facts)} calls made, {len(book.calls)} rows')
    check.audio(s.facts, wire, book, rec.runs, v, s.bank)
    rec.verify(v)
    v.failed and v.say(f'log: {rec.problems()}')
    lab.run('umount', '-l', folder)
    return s.end()


def where(missing, rec, spans):
    out = []
    for ssrc, times in list(missing.items())[:3]:
        near = [round((times[0] - a) / 1e6) for a, _ in spans]
        kills = [round((times[0] - r['killed'] * 1e9) / 1e6) for r in rec.runs if r['killed']]
        out.append(f'0x{ssrc:08x} {len(times)}: ms since fills {near}, since ends of runs {kills}')
    return out


def fill_and_kill(o):
    return fill(o, kills=True)


def overflow(o):
    """full for so long that memory for it comes to its end: that is counted, by call"""
    inside = os.environ['TORTURE_INSIDE']
    folder = tmpfs(inside, 'overflow', 400)
    s = Scene('disk-overflow', 150, long=150, ramp=2, seed=o.seed, data=f'{folder}/data', config='ring_mb = 64\nworkers = 1\nmedia_timeout_s = 6\n', lazy=True)
    v, rec, filler = s.v, s.recorder, Filler(folder)
    rec.start()
    s.send()
    time.sleep(4)
    at, rss = filler.fill(), []
    while time.time() < at + 28:
        rss.append(rec.proc()[0])
        time.sleep(0.5)
        if not v.hold(rec.alive(), 'the recorder has ended'):
            break
    freed = filler.free()
    took = until(rec, well, 8)
    v.hold(took is not None and took < 3.2, f'it does not write again ({took}): {rec.status()}')
    time.sleep(3)
    s.hang_up()
    # What was refused stays so until it hangs up; status is of the last second.
    time.sleep(1.5)
    drops = rec.status()['drops']
    s.settle(40)
    wire, book = s.read()
    missing = check.packets(wire, book, rec.runs, v)
    n = sum(map(len, missing.values()))
    times = [t for ts in missing.values() for t in ts]
    v.say(f'full for {freed - at:.0f} s: {n} packets missing, drops {drops}; VmRSS at most {max(rss):.0f} MB')
    v.hold(n > 0, 'nothing was lost: the drill was too short to show anything')
    v.hold(n == sum(drops.values()), f'{n} packets are missing, and {drops} were counted')
    the_newest(s.facts, book, missing, v)
    v.hold(not times or min(times) > at * 1e9, 'packets are missing outside of the full time')
    noted = sum(any(e['what'] in ('packets-lost', 'refused') for e in c['events']) for c in book.calls)
    hit = len({i for ssrc in missing for i in book.of.get(ssrc, [])})
    v.hold(noted >= hit, f'{hit} calls lost packets, {noted} have an event that says so')
    v.hold(max(rss) < 400, f'VmRSS {max(rss):.0f} MB')
    check.roster(s.facts, wire, book, rec.runs, v)
    check.audio(s.facts, wire, book, rec.runs, v, s.bank)
    rec.verify(v)
    lab.run('umount', '-l', folder)
    return s.end()


def the_newest(facts, book, missing, v):
    """at overload calls are refused, the newest; nothing is missing of the others"""
    def is_refused(fact):
        return any(e['what'] == 'refused' for c in book.by_id.get(fact['call_id'], []) for e in c['events'])
    refused = {leg['ssrc'] for f in facts if is_refused(f) for leg in f['legs']}
    others = {ssrc: ts for ssrc, ts in missing.items() if ssrc not in refused}
    v.say(f'{len(refused) // 2} of {len(facts)} calls were refused')
    v.hold(not others, f'{sum(map(len, others.values()))} packets are missing of {len(others)} streams whose calls were not refused')


def trouble(o, name, begin, end, seconds=6, status_says=True, unless=None, spool_stays=False, lengths=(1.5, 6), **more):
    """something happens to the data folder for a while; nothing is lost by it"""
    inside = os.environ['TORTURE_INSIDE']
    folder = tmpfs(inside, name, 200)
    os.makedirs(f'{folder}/data')
    s = Scene(name, o.calls or 10, long=4, seed=o.seed, data=f'{folder}/data', lengths=lengths, **more)
    v, rec = s.v, s.recorder
    rec.start()
    s.send()
    time.sleep(3)
    at = time.time()
    thing = begin(s)
    if status_says:
        said = until(rec, troubled, 5)
        v.hold(said is not None and said < 2.5, f'status said nothing within 2.5 s ({said})')
        v.say(f'status said so after {said or 0:.1f} s: {[t["what"][:160] for t in rec.status().get("troubles", []) if t["until"] is None]}')
    until(rec, lambda _: False, max(0, at + seconds - time.time()))
    v.hold(rec.alive(), f'the recorder has ended: {rec.log[-2:]}')
    end(s, thing)
    back = time.time()
    if status_says:
        took = until(rec, well, 8)
        v.hold(took is not None and took < 3.2, f'status did not say within 3 s that all is well ({took}): {rec.status().get("troubles", rec.status())}')
    time.sleep(8 if status_says else 3)
    s.hang_up()
    drops = rec.status().get('drops')
    s.settle(30)
    wire, book = s.read()
    missing = check.packets(wire, book, rec.runs, v, unless=unless(s, at, back, thing) if unless else lambda *_: False)
    v.hold(not missing, f'{sum(map(len, missing.values()))} packets are missing, of {len(missing)} streams (drops {drops}): {where(missing, rec, [(at * 1e9, back * 1e9)])}')
    check.roster(s.facts, wire, book, rec.runs, v)
    check.audio(s.facts, wire, book, rec.runs, v, s.bank)
    rec.verify(v)
    v.say(f'log: {[l[l.find(" "):][:200] for l in rec.problems()][:4]}')
    lab.run('umount', '-l', folder)
    return s.end()


def read_only(o):
    def begin(s):
        lab.run('mount', '--bind', s.recorder.data, s.recorder.data)
        lab.run('mount', '-o', 'remount,ro,bind', s.recorder.data)

    def end(s, _):
        lab.run('umount', s.recorder.data)
    return trouble(o, 'read-only', begin, end)


def one_bad(o):
    """a file of one call cannot be written, for ever: the other calls must not be hurt by it"""
    def begin(s):
        bad = sorted(s.recorder.spooled())[:2]
        for f in bad:
            os.rename(f'{s.recorder.data}/spool/{f}/packets.pcap', f'{s.recorder.data}/spool/{f}/media.away')
            os.mkdir(f'{s.recorder.data}/spool/{f}/packets.pcap')
        return bad

    def end(s, bad):
        most = max([p[0] for p in [s.recorder.proc()]])
        s.v.say(f'VmRSS {most:.0f} MB')
        for f in bad:
            os.rmdir(f'{s.recorder.data}/spool/{f}/packets.pcap')
            os.rename(f'{s.recorder.data}/spool/{f}/media.away', f'{s.recorder.data}/spool/{f}/packets.pcap')

    def watch(s):
        """sizes of the other calls' media grow all the time"""
        bad = sorted(s.recorder.spooled())[:2]
        sizes = {f: os.path.getsize(p) for f in s.recorder.spooled() if os.path.isfile(p := f'{s.recorder.data}/spool/{f}/packets.pcap')}
        time.sleep(2.5)
        still = [f for f, n in sizes.items() if os.path.isfile(p := f'{s.recorder.data}/spool/{f}/packets.pcap') and os.path.getsize(p) == n
                 and any(f == g for g in s.recorder.spooled())]
        return still, bad

    def begin_and_watch(s):
        bad = begin(s)
        time.sleep(2)
        still, _ = watch(s)
        s.v.hold(not still, f'{len(still)} other calls are not written while one cannot be')
        return bad
    return trouble(o, 'one-bad', begin_and_watch, end, lengths=(30, 40))


def removed(o):
    """rm -rf of calls in progress: what they said before is gone; the rest is kept, and no other call is hurt"""
    def begin(s):
        gone = sorted(s.recorder.spooled())[:3]
        for f in gone:
            shutil.rmtree(f'{s.recorder.data}/spool/{f}')
        return gone

    def unless(s, at, back, gone):
        return lambda ssrc, t: t < at * 1e9 + 0.3e9
    return trouble(o, 'removed', begin, lambda s, _: None, status_says=False, unless=unless)


def moved(o):
    def begin(s):
        os.rename(s.recorder.data, s.recorder.data + '.away')

    def end(s, _):
        if os.path.exists(s.recorder.data):
            s.v.hold(False, f'it made a data folder of its own: {[f for _, _, fs in os.walk(s.recorder.data) for f in fs][:5]}')
            os.rename(s.recorder.data, s.recorder.data + '.made')
        os.rename(s.recorder.data + '.away', s.recorder.data)
    return trouble(o, 'moved', begin, end)


def unmounted(o):
    """the disk is pulled: the folder it was mounted on is there, and empty"""
    inside = os.environ['TORTURE_INSIDE']

    def begin(s):
        folder = os.path.dirname(s.recorder.data)
        lab.run('mkdir', '-p', f'{inside}/pulled')
        lab.run('mount', '--bind', folder, f'{inside}/pulled')
        lab.run('umount', '-l', folder)
        os.makedirs(s.recorder.data)

    def end(s, _):
        made = [f for _, _, fs in os.walk(s.recorder.data) for f in fs]
        s.v.hold(not made, f'it wrote to the folder below the mount point: {made[:5]}')
        folder = os.path.dirname(s.recorder.data)
        lab.run('mount', '--bind', f'{inside}/pulled', folder)
        lab.run('umount', '-l', f'{inside}/pulled')
    return trouble(o, 'unmounted', begin, end)


def ledger_locked(o):
    def begin(s):
        db = sqlite3.connect(f'{s.recorder.data}/ledger.sqlite', isolation_level=None)
        until_locked = time.time() + 5
        while True:
            try:
                db.execute('BEGIN EXCLUSIVE')
                return db
            except sqlite3.OperationalError:
                if time.time() > until_locked:
                    raise

    def end(s, db):
        db.execute('ROLLBACK')
        db.close()
    return trouble(o, 'ledger-locked', begin, end, seconds=20, status_says=False, lengths=(1.5, 3))


def ledger_garbage(o):
    """the ledger is overwritten: recording goes on, status says so, and what ended meanwhile stays in the spool"""
    inside = os.environ['TORTURE_INSIDE']
    s = Scene('ledger-garbage', 8, long=2, seed=o.seed, lengths=(1.5, 3))
    v, rec = s.v, s.recorder
    rec.start()
    s.send()
    time.sleep(9)
    sealed = {c['id'] for c in rec.calls()}
    kept = {f['path'] for c in rec.calls() for f in c['files']}
    at = time.time()
    for name in ('ledger.sqlite', 'ledger.sqlite-wal'):
        path = f'{rec.data}/{name}'
        if os.path.exists(path):
            with open(path, 'r+b') as f:
                f.write(os.urandom(max(4096, os.path.getsize(path))))
    said = until(rec, lambda st: troubled(st), 20)
    v.hold(said is not None, 'status says nothing of a damaged ledger within 20 s')
    v.say(f'{len(sealed)} sealed before; status said so after {said or 0:.1f} s: {[(t["part"], t["what"][:200]) for t in rec.status().get("troubles", []) if t["until"] is None]}')
    time.sleep(5)
    v.hold(rec.alive(), f'the recorder has ended: {rec.log[-2:]}')
    s.hang_up()
    time.sleep(9)
    wire = check.Seen().read(s.path, 14)
    seen = check.Seen()
    folders = rec.spooled()
    for f in folders:
        p = f'{rec.data}/spool/{f}/packets.pcap'
        os.path.exists(p) and seen.read(p, 0)
    lasting = [f for f in s.facts if f['times'][-1][0] > at + 1]
    lost = {}
    for f in lasting:
        for leg in f['legs']:
            for seq, (t, _) in wire.rtp.get(leg['ssrc'], {}).items():
                if seq not in seen.rtp.get(leg['ssrc'], ()):
                    lost[f['call_id']] = lost.get(f['call_id'], 0) + 1
    v.hold(not lost, f'of {len(lasting)} calls that ended after the damage {len(lost)} are not whole in the spool: {list(lost.items())[:4]}')
    v.hold(all(os.path.exists(f'{rec.data}/{p}') for p in kept), 'sealed recordings are gone')
    status = rec.stop()
    v.hold(status == 0, f'SIGTERM: exit {status}: {rec.log[-2:]}')
    rec.start()
    v.say(f'a start with the damaged ledger: {rec.log[-3:]}')
    time.sleep(3)
    v.hold(rec.alive() and troubled(rec.status()), 'after a restart status says nothing of the damaged ledger')
    v.hold(len(rec.spooled()) >= len(lasting), f'{len(rec.spooled())} folders in the spool after the restart, {len(lasting)} calls wait there')
    rec.stop()
    s.witness.stop()
    return s.end()


THROTTLE = '/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device'


def throttle(device, rate):
    """what the kernel writes to this device, bytes a second; 0 takes the limit away"""
    number = os.stat(device).st_rdev
    with open(THROTTLE, 'w') as f:
        f.write(f'{os.major(number)}:{os.minor(number)} {rate}')


def slow(o):
    """a disk that takes less than what comes: queues fill, what is lost is counted, memory is bounded, all is well after"""
    if not os.path.exists(THROTTLE):
        lab.skip('no cgroup (v1) that throttles writes to a device')
    inside = os.environ['TORTURE_INSIDE']
    image, folder = f'{inside}/slow.img', f'{inside}/slow'
    lab.run('truncate', '-s', '2G', image)
    lab.run('mkfs.ext4', '-q', image)
    device = lab.run('losetup', '-f', '--show', image, check=False).stdout.strip()
    if not device:
        lab.skip('no loop device')
    os.makedirs(folder)
    try:
        lab.run('mount', '-o', 'sync', device, folder)
        return slow_on(o, device, folder)
    finally:
        throttle(device, 0)
        lab.run('umount', '-l', folder, check=False)
        lab.run('losetup', '-d', device, check=False)


def slow_on(o, device, folder):
    s = Scene('slow', o.calls or 150, long=140, ramp=2, seed=o.seed, data=f'{folder}/data', lengths=(3, 12), lazy=True, config='ring_mb = 64\nmedia_timeout_s = 20\n')
    v, rec = s.v, s.recorder
    rec.start()
    s.send()
    time.sleep(5)
    v.say(f'before: drops {rec.status()["drops"]}')
    throttle(device, 100_000)
    at, rss, first = time.time(), [], None
    while time.time() < at + 60 and v.hold(rec.alive(), 'the recorder has ended'):
        rss.append(rec.proc()[0])
        drops = rec.status().get('drops', {})
        first = first or (time.time() - at if any(drops.values()) else None)
        time.sleep(1)
    v.say(f'100 kB/s for {time.time() - at:.0f} s: drops {drops}, the first after {first and round(first)} s; troubles {[t["what"][:150] for t in rec.status().get("troubles", []) if t["until"] is None]}')
    v.hold(first is not None, 'nothing was lost: the disk was not slow enough to show anything')
    status = rec.status()
    v.hold(first is None or troubled(status), 'packets are lost to a slow disk, and status has no trouble')
    throttle(device, 0)
    freed = time.time()
    before = None
    while time.time() < freed + 30:
        drops = rec.status().get('drops')
        # Those that were refused stay so to their end.
        lost = drops and drops['queue'] + drops['disk']
        if lost == before:
            break
        before = lost
        time.sleep(2)
    v.say(f'no more losses {time.time() - freed - 2:.0f} s after the disk was fast again; VmRSS at most {max(rss):.0f} MB')
    # The queues to two workers are 512 MiB, what those hold 128, the ring 64.
    v.hold(max(rss) < 750, f'VmRSS {max(rss):.0f} MB')
    time.sleep(3)
    s.hang_up()
    time.sleep(1.5)
    drops = rec.status()['drops']
    s.settle(60)
    wire, book = s.read()
    missing = check.packets(wire, book, rec.runs, v)
    n, counted = sum(map(len, missing.values())), sum(drops.values())
    v.hold(n == counted, f'{n} packets are missing, and {drops} were counted')
    the_newest(s.facts, book, missing, v)
    check.roster(s.facts, wire, book, rec.runs, v)
    check.audio(s.facts, wire, book, rec.runs, v, s.bank)
    rec.verify(v)
    return s.end()


def ledger_visited(o):
    """another program reads the ledger with SQLite's own library, as a backup does, while calls are sealed; then a kill"""
    s = Scene('ledger-visited', 8, seed=o.seed, lengths=(1, 2))
    v, rec = s.v, s.recorder
    rec.start()
    s.send()
    visits, wals = 0, set()
    for n in range(3):
        end = time.time() + 9
        while time.time() < end:
            time.sleep(0.3)
            if os.path.exists(f'{rec.data}/ledger.sqlite'):
                try:
                    db = sqlite3.connect(f'{rec.data}/ledger.sqlite')
                    db.execute('SELECT count(*) FROM calls').fetchone()
                    db.close()
                    visits += 1
                except sqlite3.Error as e:
                    v.hold(False, f'a visitor is told: {e}') if 'no such table' not in str(e) else None
                if os.path.exists(f'{rec.data}/ledger.sqlite-wal'):
                    wals.add(os.stat(f'{rec.data}/ledger.sqlite-wal').st_ino)
        rec.kill()
        rec.start()
    s.hang_up()
    s.settle()
    held = s.recorder
    v.say(f'{visits} visits; the WAL has been {len(wals)} different files')
    wire, book = s.read()
    missing = check.packets(wire, book, rec.runs, v, unless=check.unnamed(s.facts, wire, rec.runs))
    v.hold(not missing, f'{sum(map(len, missing.values()))} packets are missing')
    check.roster(s.facts, wire, book, rec.runs, v)
    rec.verify(v)
    v.hold(not rec.problems(), f'{len(held.problems())} complaints: {rec.problems()[:3]}')
    return s.end()
