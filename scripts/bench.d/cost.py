"""A program, and what it costs."""
import ctypes, os, signal, subprocess, sys, time

LARGE_PAGES = 'glibc.malloc.hugetlb=1'      # as the systemd unit has it


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Started:
    """A program that runs, and what it has cost so far."""

    def __init__(self, *command, **environment):
        self.command, self.began = command, time.monotonic()
        self.p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  env={'GLIBC_TUNABLES': LARGE_PAGES, **os.environ, **environment}, preexec_fn=die_with_parent)
        os.set_blocking(self.p.stderr.fileno(), False)
        self.threads, self.wrote, self.descriptors, self.said, self.status = {}, 0, 0, b'', None

    def look(self):
        """seconds on a processor of each thread so far, bytes written, descriptors; True once it has ended. Of a thread that
        ends, what it did since the last look is not seen."""
        if self.status is not None:
            return True
        pid = self.p.pid
        try:
            for task in os.listdir(f'/proc/{pid}/task'):
                with open(f'/proc/{pid}/task/{task}/comm') as name, open(f'/proc/{pid}/task/{task}/schedstat') as stat:
                    self.threads[task] = name.read().strip(), int(stat.read().split()[0]) / 1e9
            with open(f'/proc/{pid}/io') as io:
                self.wrote = int(next(line for line in io if line.startswith('wchar')).split()[1])
            self.descriptors = max(self.descriptors, len(os.listdir(f'/proc/{pid}/fd')))
        except (OSError, StopIteration, IndexError):
            pass
        self.said = (self.said + (self.p.stderr.read() or b''))[-4000:]
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if not ended:
            return False
        self.status = self.p.returncode = os.waitstatus_to_exitcode(status)
        self.said += self.p.stderr.read() or b''
        self.wall, self.user, self.system = time.monotonic() - self.began, used.ru_utime, used.ru_stime
        self.peak = used.ru_maxrss / 1024
        return True

    def end(self, allowed=(0,)):
        """waits for its end"""
        while not self.look():
            time.sleep(0.02)
        if self.status not in allowed:
            sys.exit(f'bench: {self.command[0]} ended with {self.status}: {self.last()}')
        return self

    def stop(self, seconds=60):
        """asks it to end, then makes it"""
        if not self.look():
            self.p.send_signal(signal.SIGTERM)
            until = time.monotonic() + seconds
            while not self.look():
                if time.monotonic() > until:
                    self.p.kill()
                time.sleep(0.02)
        return self

    def last(self):
        return self.said[-400:].decode(errors='replace').strip()

    def by_thread(self):
        """seconds by the names of threads, the numbers behind them left out"""
        out = {}
        for name, seconds in self.threads.values():
            out[name.rstrip('0123456789-')] = out.get(name.rstrip('0123456789-'), 0) + seconds
        return out

    def threads_said(self, packets):
        return '  CPU-seconds per million packets: ' + ', '.join(
            f'{n} {s / packets * 1e6:.2f}' for n, s in sorted(self.by_thread().items(), key=lambda t: -t[1]))


def run(*command, **environment):
    return Started(*command, **environment).end()
