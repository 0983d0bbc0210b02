"""Keeps free memory warm.

A virtual machine may give memory that it does not use back to its host (free page reporting, a balloon), and then the first
touch of each page costs more than writing to it. A run that fills gigabytes of files in memory would measure that, and not
the recorder. This holds what is free, and gives it up piece by piece as others need it: a host of one's own is like that.
"""
import mmap, os, subprocess, sys, time

PIECE = 64 << 20                            # bytes
FREE = 700_000_000                          # bytes that are left free: what is used within some 5 ms, and to spare


def free():
    with open('/proc/meminfo') as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith('MemFree'))


def take():
    piece = mmap.mmap(-1, PIECE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    piece.madvise(mmap.MADV_HUGEPAGE)
    for page in range(0, PIECE, mmap.PAGESIZE):
        piece[page] = 1
    return piece


def hold():
    parent, held = os.getppid(), []
    while os.getppid() == parent:
        left = free()
        if left > FREE + 3 * PIECE:
            held.append(take())
        elif left < FREE and held:
            held.pop().close()
        else:
            time.sleep(0.003)


class Warm:
    """while it is entered, memory that is given to others is warm"""

    def __enter__(self):
        self.holder = subprocess.Popen([sys.executable, __file__])
        self.settle()
        return self

    def settle(self):
        """waits until what was freed is held"""
        for _ in range(600):
            time.sleep(0.1)
            if free() < FREE + 4 * PIECE:
                return

    def __exit__(self, *_):
        self.holder.kill()
        self.holder.wait()


if __name__ == '__main__':
    hold()
