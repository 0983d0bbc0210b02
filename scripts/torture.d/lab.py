"""What a torture test stands on: namespaces of its own, a wire, the recorder under test, a witness, a verdict."""
import ctypes, json, os, shutil, signal, subprocess, sys, tempfile, threading, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGET = os.environ.get('CARGO_TARGET_DIR', f'{ROOT}/target')
BUILT = f'{TARGET}/{os.environ.get("TORTURE_PROFILE", "quick")}'     # which of cargo's profiles was built
SKIPPED = 77


def skip(why):
    print(f'torture: skipped: {why}', file=sys.stderr)
    sys.exit(SKIPPED)


def enter():
    """runs the script again in namespaces of its own (network, mounts, processes): all that is made goes with them"""
    if os.environ.get('TORTURE_INSIDE'):
        return
    if os.geteuid() != 0:
        skip('needs root, for network namespaces')
    for program in ('unshare', 'ip', 'tcpdump'):
        if not shutil.which(program):
            skip(f'{program} is missing (apt install util-linux iproute2 tcpdump)')
    inside = ['unshare', '-n', '-m', '-p', '-f', '--kill-child', '--mount-proc']
    if subprocess.run([*inside, 'true'], capture_output=True).returncode:
        skip('no namespaces here')
    work = tempfile.mkdtemp(prefix='torture.', dir=os.environ.get('TORTURE_TMP', '/tmp'))
    p = subprocess.Popen([*inside, sys.executable, *sys.argv],
                         env={**os.environ, 'TORTURE_INSIDE': work, 'PYTHONDONTWRITEBYTECODE': '1'})
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, lambda *_: p.terminate())
    status = p.wait()
    if os.environ.get('TORTURE_KEEP') and status:
        print(f'torture: kept in {work}', file=sys.stderr)
    else:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(status if status >= 0 else 1)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def run(*command, check=True, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if check and done.returncode:
        raise RuntimeError(f'{" ".join(map(str, command))}: exit {done.returncode}: {done.stderr.strip()}')
    return done


class Verdict:
    """what a test found"""
    def __init__(self, name):
        self.name, self.failed = name, []

    def say(self, text):
        print(f'  {text}', flush=True)

    def hold(self, holds, what):
        if not holds:
            self.failed.append(what)
            print(f'  FAILED: {what}', flush=True)
        return bool(holds)

    def end(self):
        print(f'{self.name}: ok' if not self.failed else f'{self.name}: FAILED: {self.failed[0]}'
              + (f' (and {len(self.failed) - 1} more)' if len(self.failed) > 1 else ''), flush=True)
        return 1 if self.failed else 0


class Wire:
    """a veth pair: what is sent into `a` is heard at `b`"""
    def __init__(self):
        n = os.getpid() % 10000
        self.a, self.b = f'tort{n}a', f'tort{n}b'
        self.make()

    def make(self):
        run('ip', 'link', 'add', self.a, 'type', 'veth', 'peer', 'name', self.b)
        for i in (self.a, self.b):
            open(f'/proc/sys/net/ipv6/conf/{i}/disable_ipv6', 'w').write('1')
            run('ip', 'link', 'set', i, 'up', 'promisc', 'on')

    def remove(self):
        run('ip', 'link', 'del', self.a)

    def count(self, end, what):
        return int(open(f'/sys/class/net/{end}/statistics/{what}').read())


class Witness:
    """tcpdump at the ear's end of the wire"""
    def __init__(self, wire, path, snap=2048, buffer_kib=262144, lazy=False):
        self.path = path
        eager = [] if lazy else ['-U', '--immediate-mode']
        self.p = subprocess.Popen(['tcpdump', '-i', wire.b, '-Q', 'in', '-w', path, '-s', str(snap), '-B', str(buffer_kib), '-n',
                                   '-Z', 'root', '--time-stamp-precision=nano', *eager],
                                  stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.p.stderr.readline()

    def stop(self):
        """how many packets its kernel buffer has dropped"""
        time.sleep(0.5)
        self.p.send_signal(signal.SIGINT)
        said = self.p.stderr.read()
        self.p.wait()
        return sum(int(line.split()[0]) for line in said.splitlines() if 'dropped by kernel' in line)


class Recorder:
    """`earwitness record`, again and again on one data folder"""
    def __init__(self, wire, data, config='', binary=None):
        self.binary = binary or os.environ.get('TORTURE_BIN') or f'{BUILT}/earwitness'
        if not os.path.exists(self.binary):
            skip(f'{self.binary} is missing: cargo build --profile quick --bins --examples')
        self.wire, self.data, self.runs, self.p = wire, data, [], None
        self.config = f'{os.path.dirname(data)}/{os.path.basename(data)}.toml'
        with open(self.config, 'w') as f:
            f.write(config)
        self.log = []

    def start(self, wait=True):
        """a run: when it was executed, when it listened, when it was killed"""
        self.run = {'exec': time.time(), 'listening': None, 'killed': None, 'gone_on_with': None, 'said': threading.Event()}
        self.p = subprocess.Popen([self.binary, 'record', '-i', self.wire.b, '--data', self.data, '--config', self.config],
                                  stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.runs.append(self.run)
        threading.Thread(target=self.listen, args=(self.p, self.run), daemon=True).start()
        if wait and not self.run['said'].wait(20):
            raise RuntimeError('the recorder does not listen within 20 s: ' + ' | '.join(self.log[-3:]))
        return self.run

    def listen(self, p, its_run):
        for line in p.stderr:
            now = time.time()
            self.log.append(line.rstrip())
            if 'listening to' in line and its_run['listening'] is None:
                its_run['listening'] = now
                its_run['gone_on_with'] = int(line.rsplit(';', 1)[1].split()[0])
                its_run['said'].set()
        its_run['said'].set()

    def kill(self):
        self.run['killed'] = time.time()
        self.p.kill()
        self.p.wait()

    def stop(self, seconds=30):
        """SIGTERM; its exit status"""
        self.run['killed'] = time.time()
        self.p.terminate()
        try:
            return self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return 'it did not end'

    def alive(self):
        return self.p.poll() is None

    def ask(self, *words, check=True):
        return run(self.binary, *words, '--data', self.data, check=check)

    def status(self):
        done = self.ask('status', '--json', check=False)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {'running': False, 'why': done.stderr.strip()}

    def calls(self):
        return [json.loads(line) for line in self.ask('calls', '--json').stdout.splitlines()]

    def until_sealed(self, seconds, v, allowed=()):
        """waits until nothing is in the spool"""
        until = time.time() + seconds
        left = self.spooled()
        while set(left) - set(allowed) and time.time() < until and self.alive():
            time.sleep(0.2)
            left = self.spooled()
        left = sorted(set(left) - set(allowed))
        v.hold(not left, f'{len(left)} folders are still in the spool after {seconds} s: {left[:3]}; {self.log[-1:]}')
        if left:
            status = self.status()
            print(f'    status: {status.get("calls")}, troubles {[t for t in status.get("troubles", []) if t["until"] is None]}')
            for name in left[:4]:
                folder = f'{self.data}/spool/{name}'
                print(f'    {name}: {[(f, os.path.getsize(f"{folder}/{f}")) for f in sorted(os.listdir(folder))]}')

    def spooled(self):
        return os.listdir(f'{self.data}/spool') if os.path.isdir(f'{self.data}/spool') else []

    def proc(self):
        """VmRSS in MB, descriptors, threads, CPU seconds, RssAnon in MB"""
        pid = self.p.pid
        with open(f'/proc/{pid}/status') as f:
            s = dict(line.split(':', 1) for line in f)
        with open(f'/proc/{pid}/stat') as f:
            stat = f.read().rsplit(')', 1)[1].split()
        return (int(s['VmRSS'].split()[0]) / 1024, len(os.listdir(f'/proc/{pid}/fd')), int(s['Threads']),
                (int(stat[11]) + int(stat[12])) / os.sysconf('SC_CLK_TCK'), int(s['RssAnon'].split()[0]) / 1024)

    def verify(self, v):
        done = self.ask('verify', check=False)
        v.hold(done.returncode == 0, f'verify: exit {done.returncode}: {(done.stderr + done.stdout).strip()[-300:]}')

    def problems(self, *expected):
        """lines of the log that nobody expected"""
        bad = [l for l in self.log if ('ERROR' in l or 'panick' in l or 'WARN' in l) and not any(e in l for e in expected)]
        return bad
