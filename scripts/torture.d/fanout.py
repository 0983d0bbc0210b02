"""capture_threads: what several threads hear is what one hears, to the byte and in the same order."""
import json, os, subprocess, time
import lab

COUNTS = (1, 2, 4)
CONFIG = 'ring_mb = 256\nmedia_timeout_s = 6\nlog = "info"\n'


def run(o):
    v, inside, wire = lab.Verdict('fanout'), os.environ['TORTURE_INSIDE'], lab.Wire()
    same(v, inside, wire, o.calls or 200)
    joined(v, inside, wire, o.calls or 200)
    wire.remove()
    return v.end()


def recorder(inside, wire, name, threads):
    return lab.Recorder(wire, f'{inside}/{name}', f'{CONFIG}capture_threads = {threads}\n')


def sender(inside, wire, calls, seconds):
    # Before all others: in time also on a busy machine.
    return subprocess.Popen(['chrt', '-f', '10', f'{lab.BUILT}/examples/gen-calls', '--send', wire.a, '--calls', str(calls), '--seconds', str(seconds),
                             '--ramp', '2', '-o', f'{inside}/sent'], stderr=subprocess.PIPE, preexec_fn=lab.die_with_parent)


def frames(r):
    c = r.status()['capture'][0]
    return c['packets'], c['kernel_drops']


def same(v, inside, wire, calls):
    """recorders with one thread, two and four on the same wire at the same time"""
    ears = [recorder(inside, wire, f'same-{n}', n) for n in COUNTS]
    for r in ears:
        r.start()
    v.hold(sender(inside, wire, calls, 5).wait() == 0, 'the sender was late')
    for r in ears:
        r.until_sealed(30, v)
    time.sleep(1.2)                         # status is of the last second
    figures = [frames(r) for r in ears]
    for r in ears:
        v.hold(r.stop() == 0, 'SIGTERM')
    v.say(f'{calls} calls heard with {", ".join(map(str, COUNTS))} threads: {figures[0][0]} frames')
    v.hold(all(f == (figures[0][0], 0) for f in figures), f'frames and drops differ: {figures}')
    ids = [c['id'] for c in ears[0].calls()]
    v.hold(len(ids) == calls, f'{len(ids)} of {calls} calls')
    for r, n in list(zip(ears, COUNTS))[1:]:
        v.hold(r.calls() == ears[0].calls(), f'{n} threads: other rows in the ledger')
        v.hold(hashes(r.data) == hashes(ears[0].data), f'{n} threads: other files (sound, packets in their order, records)')
        for i in ids[:5]:
            v.hold(r.ask('show', i).stdout == ears[0].ask('show', i).stdout, f'{n} threads: another ladder of {i}')


def hashes(data):
    listed = lab.run('find', '.', '-type', 'f', '-exec', 'sha256sum', '{}', '+', cwd=f'{data}/recordings').stdout
    return sorted(listed.splitlines())


def joined(v, inside, wire, calls):
    """started while packets come: none twice, none missing; then the interface goes away for good, and comes again"""
    one, four = (recorder(inside, wire, f'joined-{n}', n) for n in (1, 4))
    one.start()
    s = sender(inside, wire, calls, 8)
    time.sleep(5)
    four.start()                            # the rings open one after the other under the load
    v.hold(s.wait() == 0, 'the sender was late')
    for r in (one, four):
        r.until_sealed(30, v)
    have = streams(one, four)
    v.hold(have[0].keys() == have[1].keys() and len(have[0]) == 2 * calls, f'streams: {[len(h) for h in have]}')
    v.say(f'joined under load: {sum(s["packets"] for s in have[1].values())} of {sum(s["packets"] for s in have[0].values())} packets,'
          f' {sum(s["duplicates"] for s in have[1].values())} twice, {sum(s["lost"] for s in have[1].values())} missing')
    v.hold(all((s['lost'], s['duplicates']) == (0, 0) for h in have for s in h.values()), 'packets are missing, or taken twice')
    # All it heard are these packets, the BYEs and their responses.
    time.sleep(1.2)
    heard, packets = frames(four)[0], sum(s['packets'] for s in have[1].values())
    v.hold(heard == packets + 2 * calls, f'{heard} frames for {packets} packets and {2 * calls} messages')
    wire.remove()
    time.sleep(1)
    wire.make()
    time.sleep(2)                           # waited for every second
    v.hold(sender(inside, wire, calls, 3).wait() == 0, 'the sender was late')
    for r in (one, four):
        r.until_sealed(30, v)
        what = [e['what'] for e in map(json.loads, r.ask('events', '--json').stdout.splitlines())]
        v.hold((what.count('interface-gone'), what.count('interface-back')) == (1, 1), f'events: {what}')
        v.hold(r.stop() == 0, 'SIGTERM')
        v.hold(not [line for line in r.log if 'panick' in line], 'a thread died')
    v.hold(len(one.calls()) == 2 * calls, f'{len(one.calls())} calls before and after the interface was away')
    # Of what it joined late it does not know the signalling, and so has other ids.
    later = [[c['id'] for c in r.calls()[-calls:]] for r in (one, four)]
    v.hold(later[0] == later[1], 'other calls after the interface was away')
    have = streams(one, four)
    v.hold(all((s['lost'], s['duplicates']) == (0, 0) for h in have for s in h.values()), 'packets are missing, or taken twice')


def streams(*recorders):
    """by who sends them; of the same calls sent again, the later"""
    return [{(s['ssrc'], s['source']): s for c in r.calls() for s in c['streams']} for r in recorders]
