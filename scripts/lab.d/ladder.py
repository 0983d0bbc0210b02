"""SIPp as the phone system: the scenario file of one call, and the process that plays it."""
import os
import re
import subprocess

from net import IP
from scenarios import BYE, REFRESH

HERE = os.path.dirname(os.path.abspath(__file__))


def block(name):
    return re.compile(rf'  <!-- block {name}:.*?-->\n(.*?)  <!-- end {name} -->\n', re.S)


def repeated(text, transport, rest):
    """a request once over TCP; over UDP four times, after RFC 3261's waits"""
    waits = [0.5, 1, 2] if transport == 'udp' else []
    waits.append(rest - sum(waits))
    out = ''
    for i, wait in enumerate(waits):
        after = 'bye' if i + 1 == len(waits) else f'try{i + 1}'
        out += text.replace('@TRY@', f'try{i}').replace('@NEXT@', after).replace('@WAIT@', str(round(1000 * wait)))
    return out


def fill_in(scenario, path, lasts, refresh, bye):
    text = open(f'{HERE}/{scenario.kind}.xml', encoding='ascii').read()
    first, rest = (REFRESH, lasts - REFRESH) if refresh else (lasts, 0)
    text = block('refresh').sub(lambda m: repeated(m[1], scenario.transport, rest) if refresh else '', text)
    text = block('refreshed').sub(lambda m: m[1] if refresh else '', text)
    text = block('bye').sub(lambda m: m[1] if bye else '', text)
    if scenario.back:                       # the answer comes when the primary goes on, not at once
        rest = lasts - scenario.back
    for mark, seconds in (('FIRST', first), ('REST', rest)):
        text = text.replace(f'@{mark}@', str(round(1000 * seconds)))
    with open(path, 'w', encoding='ascii') as out:
        out.write(text)


def start(net, folder, scenario, number, ports, lasts=BYE):
    """plays call number 0 or 1; `ports` are those that RTP leaves from"""
    base = f'{folder}/call{number}'
    first = number == 0
    fill_in(scenario, f'{base}.xml', lasts, scenario.refresh and first, scenario.bye or not first)
    refci = 46515600 + 100 * number
    if scenario.kind == 'bib':
        rows = [f'nearend;{refci};{refci - 1}', f'farend;{refci};{refci - 1}']
    else:
        rows = [f'{ports[0]};{ports[1]}']
    with open(f'{base}.csv', 'w', encoding='ascii') as out:
        out.write('\n'.join(['SEQUENTIAL', *rows, '']))
    command = ['sipp', f'{IP["primary"]}:5060', '-sf', f'{base}.xml', '-inf', f'{base}.csv', '-i', IP['pbx'],
               '-p', str(5060 + 2 * number), '-m', str(len(rows)), '-l', str(len(rows)),
               '-r', '200',                                             # the second leg 5 ms after the first
               '-t', 'u1' if scenario.transport == 'udp' else 't1',     # one socket, one connection for all
               # A connection that is closed ends no call: a phone system dials again, twice here.
               '-reconnect_close', 'false', '-max_reconnect', '2', '-reconnect_sleep', '300',
               '-default_behaviors', 'none', '-cid_str', f'call{number}-%u-%p@%s', '-timeout', '40s', '-nostdin',
               '-trace_err', '-error_file', f'{base}.err', '-trace_msg', '-message_file', f'{base}.sip']
    with open(f'{base}.out', 'wb') as out:
        return subprocess.Popen(net.inside('pbx') + command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder,
                                env=dict(os.environ, TERM='dumb'))
