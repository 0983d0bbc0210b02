"""One scenario, played: network, witness, recorder, calls and the fault, each at its time. Makes the files of its folder:

  mirror.pcap      what was on span0, by tcpdump            record.err   what the recorder said
  data/            the recorder's data folder               call0.*      SIPp's scenario, messages and errors
"""
import json
import os
import signal
import subprocess
import sys
import time

import ladder
from net import IP, wait_until
from scenarios import BACK, BYE, LOST, SECOND, SECOND_LASTS, TAIL, TONES

HERE = os.path.dirname(os.path.abspath(__file__))


class Drill:
    def __init__(self, net, folder, scenario, live, binary):
        self.net, self.folder, self.scenario, self.live, self.binary = net, folder, scenario, live, binary
        self.running = []
        self.primary = self.recorder = self.tcpdump = None
        self.calls, self.lost_at = [], None
        self.stood_still = 0.0          # seconds that the phone was late with a packet at worst: this machine, not ours

    def open(self, name, host, *command, **more):
        """starts a command at a host; what it complains about goes to NAME.err"""
        with open(f'{self.folder}/{name}.err', 'ab') as err:
            p = subprocess.Popen(self.net.inside(host) + list(command), stderr=err, **more)
        self.running.append(p)
        return p

    def python(self, name, host, script, *arguments):
        p = self.open(name, host, sys.executable, f'{HERE}/{script}', *arguments, stdin=subprocess.PIPE,
                      stdout=subprocess.PIPE, text=True)
        if p.stdout.readline() != 'ready\n':
            raise RuntimeError(f'{script} does not start; see {name}.err')
        return p

    # The listening side.
    def listeners(self):
        """packet sockets of the standby that are bound and running (R=1): one more tells that a capture has begun"""
        rows = [line.split() for line in self.net.at('standby', 'cat', '/proc/net/packet').splitlines()]
        running = rows[0].index('R')
        return sum(row[running] == '1' for row in rows[1:])

    def sent_by_mirror_port(self):
        link, = json.loads(self.net.ip('standby', '-s', '-j', 'link', 'show', 'span0'))
        return link['stats64']['tx']['packets']

    def listen(self):
        before = self.listeners()
        self.tcpdump = self.open('tcpdump', 'standby', 'tcpdump', '-i', 'span0', '-s', '0', '-B', '16384', '-U',
                                 '--immediate-mode', '-Z', 'root', '-w', f'{self.folder}/mirror.pcap')
        wait_until('tcpdump listens', lambda: self.listeners() > before)
        self.sent_before = self.sent_by_mirror_port()
        if self.live:
            before = self.listeners()
            self.recorder = self.open('record', 'standby', self.binary, 'record', '-i', 'span0', '--data',
                                      f'{self.folder}/data', *self.config(), stdout=subprocess.DEVNULL)
            wait_until('the recorder listens', lambda: self.listeners() > before or self.recorder.poll() is not None)
            if self.recorder.poll() is not None:
                raise RuntimeError(f'the recorder ended with status {self.recorder.returncode}; see record.err')

    def expected(self):
        """is the first call carried? None: a capture that ends with the call does not tell"""
        return None if self.scenario.overdue and not self.live else self.scenario.carried

    def config(self):
        path = f'{self.folder}/earwitness.toml'
        with open(path, 'w', encoding='ascii') as out:
            # Several recorders at once on a small machine: rings of the default 256 MB would press it for memory.
            out.write(f'ring_mb = 16\n{self.scenario.config}')
            # What the operator's command is told, a line a change.
            told = 'cat; echo' if self.live else 'true'
            out.write(f'on_primary_change = ["sh", "-c", "({told}) >> {self.folder}/told.jsonl"]\n')
        return ['--config', path]

    # The talking side.
    def start_primary(self):
        self.primary = self.python('primary', 'primary', 'primary.py', IP['primary'])

    def call(self, lasts):
        """one recorded call: SIPp sets it up, then its RTP begins. Two dialogs for a Built-in Bridge pair."""
        number, bib = len(self.calls), self.scenario.kind == 'bib'
        host = 'phones' if bib else 'pbx'           # a Built-in Bridge is in the phone; a SIPREC client sends by itself
        ports = [24680 + 100 * number, 24684 + 100 * number]
        streams = [f'{port}:{20000 + 2 * i}:{0x1A000000 + 256 * number + i}:{TONES[number][i]}'
                   for i, port in enumerate(ports)]
        phone = self.python(f'phone{number}', host, 'phone.py', IP[host], IP['primary'], *streams)
        self.running.append(ladder.start(self.net, self.folder, self.scenario, number, ports, lasts))
        self.calls.append(dict(phone=phone, sipp=self.running[-1], ports=ports, host=host))
        for _ in range(2 if bib else 1):
            if not self.primary.stdout.readline().startswith('up '):
                raise RuntimeError(f'call {number} is not up; see call{number}.err')
        phone.stdin.write(f'{lasts + TAIL}\n')
        phone.stdin.flush()
        return time.monotonic()

    def play(self):
        self.net.up()
        self.start_primary()
        self.listen()
        s = self.scenario
        start = self.call(BYE)

        def at(seconds):
            time.sleep(max(0.0, start + seconds - time.monotonic()))
        if s.fault:
            at(LOST)
            self.lost_at = time.time()
            if s.fault == 'unplug':
                self.net.unplug('primary')
            else:
                self.primary.send_signal(signal.SIGSTOP if s.fault == 'hang' else signal.SIGKILL)
        if s.back:
            at(s.back)
            self.primary.send_signal(signal.SIGCONT)
        if s.second:
            at(BACK)
            self.start_primary()
            at(SECOND)
            self.call(SECOND_LASTS)
        for call in self.calls:
            *call['sent'], late = [int(n) for n in call['phone'].communicate(timeout=60)[0].split()]
            self.stood_still = max(self.stood_still, late / 1000)
            call['sipp'].wait(timeout=30)

    def stop(self, process, how=signal.SIGTERM):
        process.send_signal(how)
        return process.wait(timeout=20)

    def close(self):
        """on every way out; a stopped process is ended by SIGKILL too"""
        for p in self.running:
            if p.poll() is None:
                p.kill()
                p.wait()
        self.net.down()
