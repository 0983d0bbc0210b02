"""What is tried: the table of scenarios, and the clock of each. Seconds count from the first RTP of the first call."""
from dataclasses import dataclass, replace

LOST = 2.0                  # the primary is lost
REFRESH = 2.6               # UPDATE, where nothing else would tell that it is lost
BYE = 6.6                   # more than 4 s of RTP after the loss
TAIL = 0.2                  # the phone sends a little longer; a healthy primary has closed the port by then
BACK = LOST + 2.5           # restarted; the kernel's ICMP (a burst, then one a second) has shown the loss by then
SECOND = 5.0                # the second call begins, on the same RTP ports
SECOND_LASTS = 4.0

# Tones of the two parties: left and right of the recording. The second call of a scenario has others.
TONES = ((440, 1000), (620, 1500))


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    kind: str               # bib | siprec
    transport: str          # udp | tcp
    fault: str = ''         # kill | hang | unplug | restart; '' is well
    refresh: bool = False   # a request in mid-call
    back: float = 0         # hang: when it goes on again
    bye: bool = True
    mirrored: tuple = ('primary',)
    config: str = ''
    carried: bool = False  # expected of the first call
    overdue: bool = False   # what shows it is time that passes after the BYE
    shown: float = LOST     # when the mirror first shows that the primary is lost
    quick: bool = False

    @property
    def second(self):
        return self.fault == 'restart'


FAULTS = (
    ('well', 'the primary is well', dict(carried=False)),
    ('kill', 'SIGKILL of the primary in mid-call', dict(fault='kill', carried=True)),
    ('hang', 'SIGSTOP: it takes all packets and answers none', dict(fault='hang', refresh=True, carried=True)),
    ('unplug', 'its link goes down; the ports of phones and PBX are mirrored',
     dict(fault='unplug', refresh=True, carried=True, mirrored=('phones', 'pbx'))),
    ('restart', 'killed and restarted, a second call on the same RTP ports', dict(fault='restart', carried=True)),
)
SHORT = 'media_timeout_s = 3\n'


def table():
    out = []
    for kind in ('bib', 'siprec'):
        for transport in ('udp', 'tcp'):
            for fault, about, more in FAULTS:
                s = Scenario(f'{kind}-{fault}-{transport}', about, kind, transport, **more)
                if transport == 'tcp' and s.fault in ('kill', 'unplug', 'restart'):
                    # The connection died with the primary, a new one is refused, or all stands behind the UPDATE that
                    # nobody acknowledges: perhaps no BYE is on the mirror.
                    s = replace(s, config=SHORT)
                if transport == 'tcp' and s.fault == 'hang':
                    # The kernel of a stopped process goes on acknowledging: nothing but the answers is missing, those to the
                    # UPDATE and to the BYE. A capture that ends before they are overdue cannot tell.
                    s = replace(s, overdue=True)
                out.append(s)
        out.append(Scenario(f'{kind}-nobye-udp', 'killed, and no BYE ever comes: media silence ends the call', kind, 'udp',
                            'kill', bye=False, config=SHORT, carried=True))
        out.append(Scenario(f'{kind}-silent-udp', 'unplugged, and nothing but the BYE without answer tells', kind, 'udp', 'unplug',
                            mirrored=('phones', 'pbx'), shown=BYE, carried=True))
    out.append(Scenario('bib-refresh-udp', 'well, with an UPDATE in mid-call that is answered', 'bib', 'udp', refresh=True,
                        carried=False))
    out.append(Scenario('bib-hangcont-udp', 'SIGSTOP, and SIGCONT before the BYE, which is answered', 'bib', 'udp', 'hang',
                        refresh=True, back=6.2, carried=True))
    quick = ('bib-well-tcp', 'bib-kill-udp', 'bib-hang-udp', 'bib-restart-udp', 'bib-nobye-udp', 'siprec-well-udp', 'siprec-kill-tcp',
             'siprec-unplug-udp')
    return {s.name: replace(s, quick=s.name in quick) for s in out}
