#!/usr/bin/env python3
"""Runs scenarios, four at a time, each a process with namespaces of its own. Started by scripts/lab; see there.

  run.py all PREFIX FOLDER BINARY live|replay KEEP [NAME…]      run.py one PREFIX FOLDER BINARY live|replay NAME
"""
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from check import Checks
from drill import Drill
from net import Net, wait_until
from scenarios import table

AT_ONCE = 4
SEEN_WITHIN_S = 20          # a call is in the ledger some 5 s after its BYE
AT_MOST_S = 100             # a scenario that hangs has failed
STOOD_STILL, STILL_S = 3, 0.25      # exit status: it failed, but the phone was late by so much; it is played once more


def one(prefix, folder, binary, mode, name):
    """one scenario; the complaints, and for how many seconds the machine stood still at worst"""
    scenario, live = table()[name], mode == 'live'
    drill = Drill(Net(f'{prefix}-{name}', scenario.mirrored), folder, scenario, live, binary)
    checks = Checks(drill)
    try:
        drill.play()
        if live:
            live_end(drill, checks)
        else:
            time.sleep(1.5)                         # media that come after the BYE
        drill.stop(drill.tcpdump)
        checks.must('0 packets dropped by kernel' in open(f'{folder}/tcpdump.err', encoding='utf-8').read(),
                    'the lab itself: tcpdump lost packets')
    finally:
        drill.close()
    if not live:
        done = checks.earwitness('replay', f'{folder}/mirror.pcap', *drill.config())
        checks.must(done.returncode == 0, f'replay ends with {done.returncode}: {done.stderr.strip()[:200]}')
    wrong = checks.all()
    return wrong, drill.stood_still


def live_end(drill, checks):
    try:
        wait_until('', lambda: len(checks.listed()) >= len(drill.calls) or drill.recorder.poll() is not None, SEEN_WITHIN_S,
                   every=0.5)
    except RuntimeError:
        checks.must(False, f'after {SEEN_WITHIN_S} s {len(checks.listed())} of {len(drill.calls)} calls are in the ledger')
    checks.must(drill.recorder.poll() is None, 'the recorder ended by itself')
    status = drill.stop(drill.recorder)
    checks.must(status == 0, f'after SIGTERM the recorder ends with {status}; see record.err')
    said = open(f'{drill.folder}/record.err', encoding='utf-8').read().splitlines()
    checks.wrong += [f'the recorder said: {line[:200]}' for line in said if ' ERROR ' in line][:3]
    # Invariant 1: passive.
    sent = drill.sent_by_mirror_port()
    checks.must(drill.sent_before == 0 and sent == 0, f'the mirror port sent packets: {drill.sent_before}, then {sent}')


def all_of(prefix, folder, binary, mode, keep, names):
    scenarios, children = table(), []
    stopping = []

    def stop(*_):
        stopping.append(True)
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)   # it cleans up after itself; scripts/lab sweeps once more
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

    def scenario(name):
        if stopping:
            return None
        began, place = time.monotonic(), f'{folder}/{name}'
        for _ in range(2):
            shutil.rmtree(place, ignore_errors=True)
            os.makedirs(place)
            child = subprocess.Popen([sys.executable, __file__, 'one', prefix, place, binary, mode, name],
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
            children.append(child)
            said = child.communicate()[0].strip()
            if stopping:
                return None
            if child.returncode != STOOD_STILL:
                break
            print(f'again          {name:18} {said.splitlines()[-1]}', flush=True)
        good = child.returncode == 0
        print(f'{"ok" if good else "FAILED":6} {time.monotonic() - began:5.1f} s  {name:18} {scenarios[name].about}', flush=True)
        if good and keep != 'keep':
            shutil.rmtree(place)
        elif not good:
            print(''.join(f'         {line}\n' for line in said.splitlines()[-12:]) + f'         files: {place}', flush=True)
        return good
    # The longest first, so that the last ones to end are short.
    names = sorted(names, key=lambda n: (not scenarios[n].second, scenarios[n].bye))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(scenario, names))
    if stopping:
        print('interrupted', flush=True)
        return 130
    passed = results.count(True)
    print(f'{passed} passed, {len(results) - passed} failed')
    return 0 if passed == len(results) else 1


def main(verb, prefix, folder, binary, mode, *rest):
    if verb == 'all':
        return all_of(prefix, folder, binary, mode, rest[0], rest[1:] or list(table()))

    def out(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(130)
    def late(*_):
        raise TimeoutError(f'it hangs: not over after {AT_MOST_S} s')
    signal.signal(signal.SIGTERM, out)              # by way of 'finally'
    signal.signal(signal.SIGALRM, late)
    signal.alarm(AT_MOST_S)
    wrong, stood_still = one(prefix, folder, binary, mode, rest[0])
    if wrong and stood_still > STILL_S:
        wrong.append(f'this machine stood still for {stood_still:.1f} s')
        print('\n'.join(wrong))
        return STOOD_STILL
    print('\n'.join(wrong))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
