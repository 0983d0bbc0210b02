#!/usr/bin/env python3
"""softphones.py NAME OUT.pcap: Anna calls Ben with baresip, in a way that NAME says; the wire is captured."""
import json, os, subprocess, sys, time
from lab import IPV4, IPV6, Lab

TALK = [('anna', 'Good morning, Ben. Is the recorder running?'),
        ('ben', 'Good morning, Anna. Yes, it hears every word.'),
        ('anna', 'And if the other one stops?'),
        ('ben', 'Then this one carries on.')]

# codec: as baresip names it; steps: (seconds after dialling, who, baresip command, parameter)
CALLS = {
    'basic_pcmu': dict(seconds=9.5),
    'basic_pcma_tcp': dict(codec='PCMA/8000', transport='tcp', seconds=5.5),
    'g722': dict(codec='G722/16000', rate=16000, seconds=6),
    'l16': dict(codec='L16/16000', rate=16000, seconds=4),
    'ipv6': dict(ip=IPV6, seconds=5.5),
    'hold_resume': dict(codec='PCMA/8000', seconds=9, steps=[(3, 'a', 'hold', ''), (5, 'a', 'resume', '')]),
    'dtmf': dict(seconds=6, steps=[(1.0 + 0.6 * i, 'a', 'sndcode', d) for i, d in enumerate('159#0*')]),
    'cancel': dict(answer='manual', seconds=2),
    'reject': dict(answer='manual', seconds=3, steps=[(1.5, 'b', 'hangup', '')]),
    'vlan_loss': dict(seconds=9, wire='--loss 3 --reorder 3 --dup 3 --vlan 42'.split()),
}


class Phone:
    """baresip on a host, told what to do over its control port"""

    def __init__(self, lab, host, user, speech, o):
        self.lab, self.host = lab, host
        home = f'{lab.tmp}/{user}'
        os.makedirs(home)
        ip = o.get('ip', IPV4)[host]
        at, rate = (f'[{ip}]' if ':' in ip else ip), o.get('rate', 8000)
        with open(f'{home}/accounts', 'w') as f:
            f.write(f'"{user.title()}" <sip:{user}@{at}:5060;transport={o.get("transport", "udp")}>;regint=0;ptime=20;'
                    f'audio_codecs={o.get("codec", "PCMU/8000")};answermode={o.get("answer", "auto")}\n')
        open(f'{home}/contacts', 'w').close()
        with open(f'{home}/config', 'w') as f:
            f.write('\n'.join([
                f'sip_listen {at}:5060', f'audio_source aufile,{speech}', 'audio_player aufile,/dev/null',
                'audio_alert aufile,/dev/null', f'ausrc_srate {rate}', f'auplay_srate {rate}', 'ausrc_channels 1',
                'auplay_channels 1', 'audio_buffer 20-160', 'rtp_tos 184', 'rtp_ports 10000-10100', 'rtcp_mux no',
                'ctrl_tcp_listen 127.0.0.1:4444', f'snd_path {home}', 'module_path /usr/lib/baresip/modules',
                'module g711.so', 'module g722.so', 'module l16.so', 'module aufile.so',
                'module_app account.so', 'module_app menu.so', 'module_app ctrl_tcp.so', '']))
        self.log = open(f'{home}/log', 'w+')
        lab.exec(host, 'baresip', '-f', home, '-6' if ':' in ip else '-4', stdout=self.log, stderr=self.log,
                 env={**os.environ, 'HOME': home})

    def do(self, command, parameter=''):
        text = json.dumps(dict(command=command, params=parameter))
        script = 'exec 3<>/dev/tcp/127.0.0.1/4444 && printf %s "$1" >&3 && read -t 1 -n 1 <&3; true'
        subprocess.run(['ip', 'netns', 'exec', self.lab.name(self.host), 'bash', '-c', script, '-',
                        f'{len(text)}:{text},'], check=True)


def main(name, out):
    o = CALLS[name]
    with Lab(wire=o.get('wire')) as lab:
        said = lab.dialogue(TALK, o.get('rate', 8000))
        phones = {'a': Phone(lab, 'a', 'anna', said['anna'], o), 'b': Phone(lab, 'b', 'ben', said['ben'], o)}
        time.sleep(1)
        capture = lab.capture(out)
        ip, begin = o.get('ip', IPV4)['b'], time.monotonic()
        phones['a'].do('dial', f'sip:ben@[{ip}]' if ':' in ip else f'sip:ben@{ip}')
        for at, who, command, parameter in o.get('steps', []) + [(o['seconds'], 'a', 'hangup', '')]:
            time.sleep(max(0, begin + at - time.monotonic()))
            phones[who].do(command, parameter)
        time.sleep(0.7)
        lab.stop(capture)
        if os.environ.get('KEEP_LOGS'):
            for p in phones.values():
                p.log.seek(0)
                sys.stderr.write(p.log.read())


if __name__ == '__main__':
    if len(sys.argv) != 3 or sys.argv[1] not in CALLS:
        sys.exit(f'{__doc__}\nNAME: {" ".join(CALLS)}')
    main(*sys.argv[1:])
