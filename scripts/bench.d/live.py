"""The live half of scripts/bench: calls sent over a veth pair in real time, recorded at its other end."""
import json, os, shutil, signal, subprocess, sys, time
from cost import Started
from truth import right

SENDER, EAR = 'bench-send', 'bench-ear'     # the ends of the pair
FRAME = 214                                 # bytes of a packet of G.711 on the wire
SLOW = 180                                  # seconds that sealing may take after the last call
MARGIN = 0.06                               # --find stops when good and bad are so near

HEAD = (f'{"":14} {"packets":>9} {"kpackets/s":>11} {"user s":>7} {"sys s":>7} {"CPU µs/packet":>14} {"peak MB":>8}'
        f' {"most fds":>9} {"written/sent":>13} {"dropped":>9}')


def enter():
    """runs the script again in a namespace of its own for networks, so that what is made goes with it"""
    if os.environ.get('BENCH_INSIDE'):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit('bench: ended by a signal'))
        return
    if os.geteuid() != 0:
        sys.exit('bench: --live needs root, for a network namespace and raw sockets')
    for program, package in (('unshare', 'util-linux'), ('ip', 'iproute2'), ('sysctl', 'procps')):
        if not shutil.which(program):
            sys.exit(f'bench: {program} is missing: apt-get install {package}')
    p = subprocess.Popen(['unshare', '-n', sys.executable, *sys.argv], env={**os.environ, 'BENCH_INSIDE': '1'})
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, lambda *_: p.terminate())
    sys.exit(p.wait())


def wire():
    """a pair that carries what is sent and nothing else"""
    def must(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f'bench: {" ".join(command)}: {done.stderr.strip()}')
    subprocess.run(['sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1'], capture_output=True)
    must('ip', 'link', 'add', SENDER, 'mtu', '1500', 'type', 'veth', 'peer', 'name', EAR, 'mtu', '1500')
    for end in (SENDER, EAR):
        must('ip', 'link', 'set', end, 'arp', 'off', 'up')
        if shutil.which('ethtool'):         # off by default where this was written
            subprocess.run(['ethtool', '-K', end, 'gro', 'off', 'gso', 'off', 'tso', 'off', 'tx', 'off'], capture_output=True)


class Load:
    """N calls that are up together for some seconds"""

    def __init__(self, a, examples, folder, calls, seconds, ramp):
        self.a, self.examples, self.calls, self.seconds, self.ramp = a, examples, calls, seconds, ramp
        self.data, self.copy, self.other, self.out = (os.path.join(folder, n) for n in ('data', 'copy.pcap', 'other', 'sent'))
        self.packets = calls * ((seconds + ramp) * 100 + 7)
        self.rate = calls / 10              # thousand packets a second

    def send(self, *ears):
        """sends it, looking at who listens meanwhile; the sender"""
        # Before all others, as the interrupts of a network card are.
        first = ('chrt', '-f', '10') if shutil.which('chrt') else ()
        s = Started(*first, f'{self.examples}/gen-calls', '--send', SENDER, '--calls', str(self.calls), '--ramp', str(self.ramp),
                    '--seconds', str(self.seconds + self.ramp), '-o', self.out)
        while not s.look():
            for ear in ears:
                if ear.look():
                    s.p.kill()
                    sys.exit(f'bench: {ear.command[0]} ended: {ear.last()}')
            time.sleep(0.1)
        self.kept, self.gave_up = s.status == 0, s.status not in (0, 3)
        if self.gave_up:
            print(f'  the sender gave up: {s.last()}')
            return s
        with open(f'{self.out}.pace.json') as f:
            self.pace = json.load(f)
        return s

    def said(self, s):
        """what the sender did"""
        if self.gave_up:
            return
        p = self.pace
        print(f'    sent by one thread in {s.user + s.system:.1f} CPU s, {(s.user + s.system) / p["sent"] * 1e6:.2f} µs a packet (the'
              f' kernel\'s way to the ring is in it); {p["late"]} packets over 50 ms late, the latest {p["latest_ms"]} ms'
              + ('' if self.kept else ': THE PACE WAS NOT KEPT'))

    def row(self, name, r, dropped):
        print(f'{name:14} {self.packets:9} {self.rate:11.0f} {r.user:7.2f} {r.system:7.2f}'
              f' {(r.user + r.system) / self.packets * 1e6:14.2f} {r.peak:8.1f} {r.descriptors:9}'
              f' {r.wrote / self.packets / FRAME:13.2f} {dropped:>9}', flush=True)

    def beside(self, name, command):
        """another program under the same load"""
        shutil.rmtree(self.other, ignore_errors=True)
        os.mkdir(self.other)
        r = Started(*command)
        time.sleep(1)
        s = self.send(r)
        time.sleep(1)
        r.stop()
        counts = [line.split()[:-3] for line in r.said.decode(errors='replace').replace(',', '\n').splitlines()
                  if 'dropped by kernel' in line]
        self.row(name, r, counts[0][0] if counts else '?')
        self.said(s)
        if os.path.exists(self.copy):
            os.remove(self.copy)
        shutil.rmtree(self.other, ignore_errors=True)

    def status(self):
        done = subprocess.run([self.a.bin, 'status', '--json', '--data', self.data], capture_output=True, text=True)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {}

    def record(self, quiet=False):
        """earwitness under the load; whether nothing was lost and every call is right"""
        shutil.rmtree(self.data, ignore_errors=True)
        r = Started(self.a.bin, 'record', '-i', EAR, '--data', self.data, EARWITNESS_AUDIO=self.a.audio)
        until = time.monotonic() + 20
        while not self.status().get('running') and not r.look() and time.monotonic() < until:
            time.sleep(0.1)
        s = self.send(r)
        ended, status = time.monotonic(), {}
        while time.monotonic() < ended + SLOW and not r.look():
            status = self.status() or status
            if status.get('calls', {}).get('active') == 0 and status['calls']['sealed'] >= self.calls:
                break
            time.sleep(0.5)
        sealing = time.monotonic() - ended
        drops, wrong = status.get('drops', {}), status.get('troubles', [])
        r.stop()
        lost = sum(drops.values()) if drops else -1
        if quiet and (lost or not self.kept):
            fine = heard = listened = 0
        else:
            fine, heard, listened = right(self.a.bin, self.data, f'{self.out}.truth.json', self.a.listen)
        good = lost == 0 and (not self.kept or (fine, heard) == (self.calls, listened))
        if quiet:
            print(f'  {self.calls:6} calls, {self.rate:.0f},000 packets/s for {self.seconds} s:'
                  f' {"nothing lost" if lost == 0 else f"dropped {drops}"}{"" if self.kept else ", PACE NOT KEPT"}; earwitness'
                  f' {(r.user + r.system) / self.packets * 1e6:.2f} CPU µs a packet, sender'
                  f' {(s.user + s.system) / self.packets * 1e6:.2f}', flush=True)
            return good
        self.row('earwitness', r, lost)
        self.said(s)
        print(r.threads_said(self.packets))
        print(f'  dropped: {", ".join(f"{k} {v}" for k, v in drops.items())}; all sealed {sealing:.0f} s after the last packet')
        for t in wrong:
            print(f'  trouble: {t["part"]}: {t["what"]}')
        print(f'  {fine} of {self.calls} calls right, {heard} of {listened} heard sample for sample', flush=True)
        return good

    def room(self, folder):
        need, free = self.packets * FRAME * 2.2, shutil.disk_usage(folder).free
        if need > free:
            sys.exit(f'bench: {self.calls} calls for {self.seconds + self.ramp} s make {need / 1e9:.1f} GB, and {folder} has'
                     f' {free / 1e9:.1f}: --dir, or --seconds')


def bench(a, folder, examples, _warm):
    wire()
    load = Load(a, examples, folder, a.calls, a.seconds, a.ramp)
    load.room(folder)
    ring = os.environ.get('EARWITNESS_RING_MB', '256')
    print(f'{a.calls} calls up for {a.seconds} s after a ramp of {a.ramp} s, {load.packets} packets over veth, in {folder};'
          f' audio = "{a.audio}", ring_mb = {ring}\n{HEAD}', flush=True)
    commands = [('libpcap loop', (f'{examples}/read-pcap', '-i', EAR)),
                ('tcpdump -i -w', ('tcpdump', '-i', EAR, '-B', str(int(ring) << 10), '-n', '-Z', 'root', '-w', load.copy))]
    for also in a.also:
        name, command = also.split('=', 1)
        commands.append((name, tuple(w.format(interface=EAR, out=load.other) for w in command.split())))
    good = True
    for _ in range(a.rounds):
        for name, command in () if a.alone else commands:
            load.beside(name, command)
        good &= load.record()
    if a.find:
        find(a, folder, examples)
    if not good:
        sys.exit('bench: something was lost, or not every call is right')


def find(a, folder, examples):
    """the most calls without a drop: doubled until it fails, then between; the last try a whole one"""
    print('the highest rate with nothing lost and the pace kept:')

    def holds(calls, seconds=10, ramp=5):
        for _ in range(2):                  # a sender that was late once may have been disturbed
            load = Load(a, examples, folder, calls, seconds, ramp)
            load.room(folder)
            lossless = load.record(quiet=True)
            if load.kept or load.gave_up or not lossless:
                break
        return lossless and load.kept
    good, bad = 0, a.calls
    while bad <= 20_000 and holds(bad):
        good, bad = bad, bad * 2
    while good < 20_000 and bad - good > max(50, MARGIN * bad):
        middle = (good + bad) // 2 // 50 * 50 or (good + bad) // 2
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    while good and not holds(good, a.seconds, a.ramp):
        good = int(good * (1 - MARGIN)) // 50 * 50
    print(f'  {good} calls, {good / 10:.0f},000 packets/s for {a.seconds} s: the highest')
