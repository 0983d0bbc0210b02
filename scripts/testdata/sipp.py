#!/usr/bin/env python3
"""sipp.py NAME OUT.pcap: SIPp plays NAME_uac.xml against NAME_uas.xml, with speech; the wire is captured."""
import os, sys
from lab import HERE, IPV4, Lab, run

# What is said; each list is one dialogue, told from when its speakers' streams start.
TALK = {
    'delayed_offer': [[('anna', 'Who makes the offer in this call?'), ('ben', 'I do, and you answer in the ACK.')]],
    'frag_invite': [[('anna', 'My offer is longer than a frame.'), ('ben', 'It came in two pieces.')]],
    'early_media': [[('ben', 'Please hold the line. Somebody will be with you soon. Hello, this is Ben.')],
                    [('anna', 'Hello Ben, that was quick.')]],
}


def main(name, out):
    with Lab() as lab:
        said = [lab.dialogue(lines, 8000) for lines in TALK[name]]
        for who, wav in (pair for d in said for pair in d.items()):
            run('sox', '-D', wav, '-t', 'ul', f'{lab.tmp}/{who}.ulaw', 'trim', '0', '6')
        capture = lab.capture(os.path.abspath(out))

        def sipp(host, side, *more):
            log = open(f'{lab.tmp}/{side}.log', 'w')
            return lab.exec(host, 'sipp', '-sf', f'{HERE}/{name}_{side}.xml', '-i', IPV4[host], '-p', '5060', '-m', '1',
                            '-t', 'u1', '-nostdin', '-mi', IPV4[host], *more,
                            cwd=lab.tmp, stdout=log, stderr=log, env={**os.environ, 'TERM': 'dumb'})
        callee = sipp('b', 'uas')
        code = sipp('a', 'uac', f'{IPV4["b"]}:5060').wait(30)
        callee.wait(10)
        lab.stop(capture)
        if code or os.environ.get('KEEP_LOGS'):
            sys.stderr.write(open(f'{lab.tmp}/uac.log').read()[-2000:])
            sys.stderr.write(open(f'{lab.tmp}/uas.log').read()[-2000:])
        return code


if __name__ == '__main__':
    if len(sys.argv) != 3 or sys.argv[1] not in TALK:
        sys.exit(f'{__doc__}\nNAME: {" ".join(TALK)}')
    sys.exit(main(*sys.argv[1:]))
