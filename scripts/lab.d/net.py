"""The network of one lab: five namespaces round a bridge, and the mirror of chosen ports.

  PREFIX-phones  10.77.0.10 ─┐
  PREFIX-pbx     10.77.0.30 ─┼─ PREFIX-switch (bridge br0) ── mirror of chosen ports ──▶ span0 in PREFIX-standby, no IP
  PREFIX-primary 10.77.0.20 ─┘
"""
import os
import signal
import subprocess
import time

IP = {'phones': '10.77.0.10', 'pbx': '10.77.0.30', 'primary': '10.77.0.20'}
MAC = {'phones': '02:77:00:00:00:10', 'pbx': '02:77:00:00:00:30', 'primary': '02:77:00:00:00:20'}
HOSTS = tuple(IP)
ALL = HOSTS + ('switch', 'standby')
ALIAS = {'stby': 'standby', 'phone': 'phones', 'prim': 'primary', 'sw': 'switch'}


def run(*command, check=True):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f'{" ".join(command)}: {done.stdout.strip()}')
    return done.stdout


class Net:
    def __init__(self, prefix, mirrored=('primary',)):
        self.prefix, self.mirrored = prefix, mirrored

    def name(self, host):
        return f'{self.prefix}-{ALIAS.get(host, host)}'

    def inside(self, host):
        """what to put before a command so that it runs at this host ('ip netns exec' becomes the command: same pid)"""
        return ['ip', 'netns', 'exec', self.name(host)]

    def ip(self, host, *arguments, check=True):
        return run('ip', '-n', self.name(host), *arguments, check=check)

    def at(self, host, *command, check=True):
        return run(*self.inside(host), *command, check=check)

    def up(self):
        for host in ALL:
            run('ip', 'netns', 'add', self.name(host))
            self.ip(host, 'link', 'set', 'lo', 'up')
            # No router solicitations, no MLD: a mirror port that is only brought up must say nothing.
            self.at(host, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1',
                    check=False)                                        # a kernel without IPv6 has no such keys
        self.ip('switch', 'link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0', 'mcast_snooping', '0',
                'forward_delay', '0')
        self.ip('switch', 'link', 'set', 'br0', 'up')
        for host in HOSTS:
            self._plug_in(host)
        for a in HOSTS:                     # static neighbours: RTP goes on when the other host is gone
            for b in HOSTS:
                if a != b:
                    self.ip(a, 'neigh', 'replace', IP[b], 'lladdr', MAC[b], 'dev', 'eth0', 'nud', 'permanent')
        self.ip('switch', 'link', 'add', 'to-span', 'type', 'veth', 'peer', 'name', 'span0', 'netns', self.name('standby'))
        self.ip('switch', 'link', 'set', 'to-span', 'up')
        self.ip('standby', 'link', 'set', 'span0', 'up', 'promisc', 'on')
        for host in self.mirrored:
            self._mirror(f'to-{host}')
        return self

    def _plug_in(self, host):
        self.ip(host, 'link', 'add', 'eth0', 'address', MAC[host], 'type', 'veth', 'peer', 'name', f'to-{host}', 'netns',
                self.name('switch'))
        self.ip('switch', 'link', 'set', f'to-{host}', 'master', 'br0', 'up')
        self.ip(host, 'addr', 'add', f'{IP[host]}/24', 'dev', 'eth0')
        self.ip(host, 'link', 'set', 'eth0', 'up')
        # Whole checksums and real segments, as a network card sends them.
        self.at(host, 'ethtool', '-K', 'eth0', 'tx', 'off', 'gso', 'off', 'tso', 'off', 'gro', 'off', check=False)

    def _mirror(self, port):
        """both directions of a switch port, as 'monitor session 1 source interface … both'"""
        self.at('switch', 'tc', 'qdisc', 'add', 'dev', port, 'clsact')
        for way in ('ingress', 'egress'):
            self.at('switch', 'tc', 'filter', 'add', 'dev', port, way, 'protocol', 'all', 'prio', '1', 'u32', 'match', 'u32',
                    '0', '0', 'action', 'mirred', 'egress', 'mirror', 'dev', 'to-span')

    def unplug(self, host):
        """the host's own end goes down, so the switch port loses its carrier"""
        self.ip(host, 'link', 'set', 'eth0', 'down')

    def down(self):
        """what still runs in the namespaces ends, and they are gone"""
        for host in ALL:
            for pid in run('ip', 'netns', 'pids', self.name(host), check=False).split():
                if pid.isdigit():
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            run('ip', 'netns', 'del', self.name(host), check=False)


def wait_until(what, true, seconds=10.0, every=0.02):
    """polls; an error that says what was waited for"""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f'waited {seconds:g} s in vain: {what}')
        time.sleep(every)
