"""What must be so of a scenario's recordings. Truth is the mirror as tcpdump kept it and what the lab did, never earwitness."""
import json
import os
import subprocess
from collections import Counter
from datetime import datetime

import sound
import wire
from net import IP
from scenarios import LOST, TONES

LINGER_S = 1.2              # media that still comes so long after the end of a call belong to it
PRIMARY = f'{IP["primary"]}:5060'


def seconds(rfc3339):
    return datetime.fromisoformat(rfc3339.replace('Z', '+00:00')).timestamp()


class Truth:
    """one call, as the mirror had it"""

    def __init__(self, drill, number, messages, media):
        call, s = drill.calls[number], drill.scenario
        self.number, self.tones = number, TONES[number]
        self.prefix = f'call{number}-'
        mine = [m for m in messages if m[2].startswith(self.prefix)]
        self.call_ids = sorted({m[2] for m in mine})
        self.dialogs = 2 if s.kind == 'bib' else 1
        self.answered = min(m[0] for m in mine if m[1].startswith('SIP/2.0 200') and m[3].endswith('INVITE'))
        byes = [m[0] for m in mine if m[1].startswith('BYE')]
        sources = {(IP[call['host']], port) for port in call['ports']}
        self.media = [(at, p) for at, p in media if p.source in sources]
        self.sent = call['sent']
        # A replay of the mirror ends too early for the time-out.
        self.end = ('bye',) if byes else ('media-timeout',) if drill.live else ('media-timeout', 'capture-end')
        self.ended = min(byes) if byes else max(at for at, _ in self.media)
        self.carried = drill.expected() if number == 0 else False
        self.lost_at = drill.lost_at and drill.lost_at + s.shown - LOST


class Checks:
    def __init__(self, drill):
        self.drill, self.folder, self.binary = drill, drill.folder, drill.binary
        self.data, self.wrong = f'{drill.folder}/data', []

    def must(self, true, what):
        if not true:
            self.wrong.append(what)
        return bool(true)

    def earwitness(self, *arguments):
        return subprocess.run([self.binary, *arguments, '--data', self.data], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)

    def listed(self):
        """calls of the ledger that are over; none while there is no ledger yet"""
        done = self.earwitness('calls', '--json')
        calls = [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []
        return [c for c in calls if c['state'] == 'completed']

    def all(self):
        pcap = f'{self.folder}/mirror.pcap'
        messages, media = list(wire.sip(pcap)), list(wire.rtp(pcap))
        truths = [Truth(self.drill, n, messages, media) for n in range(len(self.drill.calls))]
        calls = self.listed()
        self.must(len(calls) == len(truths), f'{len(calls)} calls instead of {len(truths)}')
        for truth in truths:
            mine = [c for c in calls if any(i.startswith(truth.prefix) for i in c['call_ids'])]
            if self.must(len(mine) == 1, f'call {truth.number}: {len(mine)} recordings instead of one'):
                self.one(truth, mine[0])
        if self.drill.live:
            self.told()
        done = self.earwitness('verify')
        self.must(done.returncode == 0, f'verify ends with {done.returncode}: {done.stderr.strip()[:200]}')
        return self.wrong

    def told(self):
        """the operator is told once of each change, by the command and in the ledger"""
        expected = self.drill.expected()
        if expected is None:
            return
        path = f'{self.folder}/told.jsonl'
        lines = open(path, encoding='utf-8').read().split('\n') if os.path.exists(path) else []
        by_command = [(t['what'], t['primary']) for t in map(json.loads, filter(None, lines))]
        events = [json.loads(line) for line in self.earwitness('events', '--json').stdout.splitlines()]
        in_ledger = [(e['what'], e['subject']) for e in events if e['what'].startswith('primary-')]
        losses = [('primary-lost', PRIMARY)] if expected else []
        for name, told in (('command', by_command), ('ledger', in_ledger)):
            self.must([t for t in told if t[0] == 'primary-lost'] == losses, f'told by the {name}: {told}')
        self.must(by_command == in_ledger, f'the command was told {by_command}, the ledger {in_ledger}')

    def one(self, truth, call):
        def must(true, what):
            return self.must(true, f'call {truth.number}: {what}')
        kind = self.drill.scenario.kind
        must(call['kind'] == kind, f'kind {call["kind"]}')
        must(len(truth.call_ids) == truth.dialogs, f'the lab itself: {len(truth.call_ids)} dialogs on the mirror')
        must(sorted(call['call_ids']) == truth.call_ids, f'call_ids {call["call_ids"]}, on the mirror {truth.call_ids}')
        must(call['end'] in truth.end, f'end {call["end"]} instead of {truth.end[0]}')
        length = truth.ended - truth.answered
        must(abs((call['duration_s'] or 0) - length) <= 0.3, f'duration {call["duration_s"]} instead of {length:.3f}')
        must(abs(seconds(call['ended_at']) - truth.ended) <= 0.3, f'ended_at {call["ended_at"]}')
        self.carried(truth, call, must)
        self.packets(truth, call, must)
        wav = f'{self.folder}/call{truth.number}.wav'
        done = self.earwitness('export', call['id'], '--to', wav)
        if must(done.returncode == 0, f'export of the sound: {done.stderr.strip()[:200]}'):
            first = min(at for at, _ in truth.media) - truth.answered
            for complaint in sound.complaints(wav, truth.tones, max(first, 0), length):
                must(False, complaint)

    def carried(self, truth, call, must):
        carried = call['carried']
        if truth.carried is None:
            return
        if not truth.carried:
            must(carried is None, f'carried though the primary was well: {carried}')
        elif must(carried, 'not carried'):
            must(carried['primary'] == PRIMARY, f'carried: primary {carried["primary"]}')
            late = seconds(carried['lost_at']) - truth.lost_at
            must(abs(late) <= 2, f'carried: lost_at {late:+.3f} s from the truth')

    def packets(self, truth, call, must):
        heard = Counter(p for at, p in truth.media if at <= truth.ended + LINGER_S)
        must(len(truth.media) >= sum(truth.sent) and len({p for _, p in truth.media}) == sum(truth.sent),
             f'the lab itself: {sum(truth.sent)} packets sent, {len({p for _, p in truth.media})} on the mirror')
        path = f'{self.folder}/call{truth.number}.pcap'
        done = self.earwitness('export', call['id'], '--to', path)
        if not must(done.returncode == 0, f'export of the packets: {done.stderr.strip()[:200]}'):
            return
        kept = Counter(p for _, p in wire.rtp(path))
        lacking, strange = heard.keys() - kept.keys(), kept.keys() - {p for _, p in truth.media}
        must(not lacking, f'{len(lacking)} of {len(heard)} packets are not in the recording')
        must(not strange, f'{len(strange)} packets in the recording are of no stream of this call')
        # A flooded switch shows packets twice: copies may be kept or not, but are counted, and none may be made.
        more = sum((kept - Counter(p for _, p in truth.media)).values())
        must(not more, f'{more} packets more than were on the mirror')
        streams, copies = call['streams'], heard.total() - len(heard)
        must(sum(s['duplicates'] for s in streams) == copies, f'duplicates: {[s["duplicates"] for s in streams]} of {copies}')
        must(len(streams) == 2, f'{len(streams)} streams instead of 2')
        must(sum(s['lost'] for s in streams) == 0, f'lost: {[s["lost"] for s in streams]}')
        must(sorted(s['packets'] for s in streams) == sorted(Counter(p.ssrc for p in heard).values()),
             f'streams of {[s["packets"] for s in streams]} packets')
