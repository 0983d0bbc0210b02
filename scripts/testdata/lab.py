"""Two hosts and a wire between them, in network namespaces; speech to say over it; a capture of it.

    EWpid-a (10.9.0.1, fd09::1) --- veth --- EWpid-b (10.9.0.2, fd09::2)        Lab()
    EWpid-a --- veth --- EWpid-w (badwire.py) --- veth --- EWpid-b              Lab(wire=[...badwire options])
                            └ span: the mirror port
Everything is gone when the `with` block ends, whatever happened in it. Needs root.
"""
import os, shutil, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
IPV4 = {'a': '10.9.0.1', 'b': '10.9.0.2'}
IPV6 = {'a': 'fd09::1', 'b': 'fd09::2'}


def run(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        sys.exit(f'{" ".join(command)}: {done.stdout.strip()}')
    return done.stdout


class Lab:
    def __init__(self, wire=None):
        self.wire, self.hosts = wire, ('a', 'b', 'w') if wire else ('a', 'b')
        self.children, self.tmp = [], tempfile.mkdtemp(prefix='earwitness-lab.')

    def name(self, host):
        return f'EW{os.getpid()}-{host}'

    def __enter__(self):
        for h in self.hosts:
            run('ip', 'netns', 'add', self.name(h))
            self.ip(h, 'link set lo up')
        if self.wire:
            for h in 'ab':
                self.ip(h, f'link add eth0 type veth peer name to-{h} netns {self.name("w")}')
                self.ip('w', f'link set to-{h} up')
            self.ip('w', 'link add mirror type veth peer name span')
            # The mirror port has no address, and the hosts of the switch say nothing of their own.
            run('ip', 'netns', 'exec', self.name('w'), 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1')
            self.ip('w', 'link set mirror up')
            self.ip('w', 'link set span up')
        else:
            self.ip('a', f'link add eth0 type veth peer name eth0 netns {self.name("b")}')
        for h in 'ab':
            self.ip(h, f'link set eth0 address 02:00:00:00:00:0{h} up')
            self.ip(h, f'addr add {IPV4[h]}/24 dev eth0')
            self.ip(h, f'addr add {IPV6[h]}/64 dev eth0 nodad')
            # A network card finishes checksums; a veth pair must be told to.
            self.exec(h, 'ethtool', '-K', 'eth0', 'tx', 'off', stdout=subprocess.DEVNULL).wait()
        if self.wire:
            self.exec('w', sys.executable, f'{HERE}/badwire.py', 'to-a', 'to-b', 'mirror', *self.wire)
        time.sleep(0.3)
        return self

    def __exit__(self, *_):
        for p in reversed(self.children):
            self.stop(p)
        for h in self.hosts:
            subprocess.run(['ip', 'netns', 'del', self.name(h)], check=False)
        shutil.rmtree(self.tmp, ignore_errors=True)

    def ip(self, host, arguments):
        run('ip', '-n', self.name(host), *arguments.split())

    def exec(self, host, *command, **more):
        """starts a program on a host; it is stopped with the lab"""
        p = subprocess.Popen(['ip', 'netns', 'exec', self.name(host), *command], stdin=subprocess.DEVNULL, **more)
        self.children.append(p)
        return p

    @staticmethod
    def stop(p):
        if p.poll() is None:
            p.terminate()
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()

    def capture(self, path):
        """tcpdump on the wire at host a, or on the mirror port of the bad wire"""
        host, port = ('w', 'span') if self.wire else ('a', 'eth0')
        p = self.exec(host, 'tcpdump', '-i', port, '-U', '--immediate-mode', '-Z', 'root', '-w', path,
                      stderr=subprocess.PIPE, text=True)
        p.stderr.readline()                     # "listening on …"
        time.sleep(0.2)
        return p

    # -- speech ------------------------------------------------------------------------------------------------
    VOICES = {'anna': ['-v', 'en-us+f3', '-p', '55'], 'ben': ['-v', 'en-gb', '-p', '35']}

    def dialogue(self, lines, rate):
        """lines of (who, text), said in turn: {'anna': wav, 'ben': wav}, as long and silent while the other speaks"""
        parts, at = {who: [] for who, _ in lines}, 0.2
        for i, (who, text) in enumerate(lines):
            said = f'{self.tmp}/{i}.wav'
            run('espeak-ng', *self.VOICES[who], '-s', '165', '-w', f'{self.tmp}/raw.wav', text)
            run('sox', '-D', f'{self.tmp}/raw.wav', '-r', str(rate), '-c', '1', '-b', '16', said, 'norm', '-4')
            parts[who].append((at, said))
            at += float(run('soxi', '-D', said)) + 0.15
        out = {}
        for who, said in parts.items():
            out[who] = f'{self.tmp}/{who}.wav'
            pads = []
            for i, (start, wav) in enumerate(said):
                pads.append(f'{self.tmp}/{who}{i}.wav')
                run('sox', '-D', wav, pads[-1], 'pad', f'{start:.3f}', '30')
            mixed = ['-m', *(x for p in pads for x in ('-v', '1', p))] if len(pads) > 1 else pads
            run('sox', '-D', *mixed, out[who], 'trim', '0', f'{at + 20:.3f}')
        return out
