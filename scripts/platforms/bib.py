"""Cisco Built-in Bridge: two dialogs of CUCM to the recorder for each recorded call."""
from trunk import _id
from wire import sdp, sip

CUCM, RECORDER, PHONE = ('10.2.0.30', 5060), ('10.2.0.20', 5060), '10.2.0.10'
TYPED = '\nContent-Type: application/sdp'
WHOLE = 'x-refci={refci};x-nearendclusterid=C1;x-nearenddevice=SEP01;x-nearendaddr=4062;' \
        'x-farendrefci={far_refci};x-farendclusterid=C1;x-farenddevice={far_device};x-farendaddr={far}'


class _Leg:
    """one dialog; `flag` is nearend or farend"""
    def __init__(self, c, call_id, flag, port, params=WHOLE, recorder=RECORDER, send=None, **values):
        self.c, self.call_id, self.flag, self.port, self.params, self.recorder = c, call_id, flag, port, params, recorder
        self.values = {'refci': 49081901, 'far_refci': 49081900, 'far': '8172710497', 'far_device': 'SEP02', **values}
        self.cseq = 101
        self.send = send or c.udp

    def head(self, method, cseq=None, tag=';tag=r', more=''):
        uri = f'sip:4062@{CUCM[0]};x-{self.flag};' + self.params.format(**self.values)
        return f'''Via: SIP/2.0/UDP {CUCM[0]};branch=z9hG4bK{self.call_id}{cseq or self.cseq}{method}
            From: <{uri}>;tag={self.call_id}
            To: <sip:7777@{self.recorder[0]}>{tag}
            Call-ID: {self.call_id}
            CSeq: {cseq or self.cseq} {method}
            User-Agent: Cisco-CUCM12.5{more}'''

    def ask(self, at, method, tag=';tag=r', body='', cseq=None):
        more = TYPED if body else ''
        self.send(at, CUCM, self.recorder, sip(f'{method} sip:7777@{self.recorder[0]} SIP/2.0', self.head(method, cseq, tag, more), body))

    def answer(self, at, method, status='200 OK', body='', cseq=None):
        more = TYPED if body else ''
        self.send(at, self.recorder, CUCM, sip(f'SIP/2.0 {status}', self.head(method, cseq, more=more), body))

    def begin(self, at, dummy=4000, early=False):
        """delayed offer: the recorder's in the 200, the phone's answer in the ACK, with a port that means nothing"""
        phone = sdp(PHONE, (dummy, '0 101', 'a=rtpmap:101 telephone-event/8000', 'a=sendonly'))
        recorder = sdp(self.recorder[0], (self.port, '0 101', 'a=rtpmap:101 telephone-event/8000', 'a=recvonly'))
        self.ask(at, 'INVITE', '', phone if early else '')
        self.answer(at + 0.01, 'INVITE', '100 Trying')
        self.answer(at + 0.05, 'INVITE', body=recorder)
        self.ask(at + 0.06, 'ACK', body='' if early else phone, cseq=self.cseq)
        self.cseq += 1

    def end(self, at):
        self.ask(at, 'BYE')
        self.answer(at + 0.01, 'BYE')
        self.cseq += 1

    def update(self, at, **values):
        self.values.update(values)
        self.ask(at, 'UPDATE')
        self.answer(at + 0.01, 'UPDATE')
        self.cseq += 1


def _pair(c, n, ports, **more):
    return _Leg(c, f'{n}near', 'nearend', ports[0], **more), _Leg(c, f'{n}far', 'farend', ports[1], **more)


def _speak(c, at, seconds, near, far, tones=(440, 1000), ports=(24680, 24684), ssrc=(1, 2)):
    for leg, hz, port, s in zip((near, far), tones, ports, ssrc):
        c.rtp(at, seconds, (PHONE, port), (leg.recorder[0], leg.port), ssrc=s, hz=hz)


def _call(*ids, **more):
    return {'kind': 'bib', 'platform': 'cisco-cucm', 'end': 'bye', 'call_ids': sorted(ids), 'tones': [440, 1000],
            'caller': {'number': '4062'}, 'callee': {'number': '8172710497'}, **more}


def _streams(*packets):
    return [{'party': p, 'packets': n, 'lost': 0} for p, n in packets]


BOTH = _streams(('caller', 50), ('callee', 50))


def cisco_pair(c):
    """near end first, over UDP, delayed offer, dummy ports in the ACK: the recorder's port in the 200 tells the legs apart"""
    near, far = _pair(c, 'p', (20000, 20002))
    near.begin(0.0)
    far.begin(0.005)
    _speak(c, 0.2, 1.0, near, far)
    near.end(1.3)
    far.end(1.305)
    return {'calls': [_call('pnear', 'pfar', gaps=[], streams=BOTH, identifiers={'x-refci': '49081901', 'x-farendrefci': '49081900'})]}


def cisco_far_first_tcp(c):
    """the far end's dialog begins first; over one TCP connection; early offer"""
    near, far = _pair(c, 't', (20000, 20002), send=c.tcp)
    far.begin(0.0, early=True, dummy=24684)
    near.begin(0.1, early=True, dummy=24680)
    _speak(c, 0.2, 1.0, near, far)
    far.end(1.3)
    near.end(1.4)
    return {'calls': [_call('tnear', 'tfar', gaps=[], streams=BOTH)]}


def cisco_same_recorder_port(c):
    """a recorder that gives both legs one port: the phone's ports, which the ACKs name, and the SSRC tell them apart"""
    near, far = _pair(c, 's', (20000, 20000))
    near.begin(0.0, dummy=24680)
    far.begin(0.005, dummy=24684)
    _speak(c, 0.2, 1.0, near, far)
    near.end(1.3)
    far.end(1.305)
    return {'calls': [_call('snear', 'sfar', gaps=[], streams=BOTH)]}


def cisco_one_port_dummies(c):
    """one port of the recorder and dummy ports in both ACKs: two streams by source and SSRC, one for each leg"""
    near, far = _pair(c, 'd', (20000, 20000))
    near.begin(0.0)
    far.begin(0.005)
    _speak(c, 0.2, 1.0, near, far)
    near.end(1.3)
    far.end(1.305)
    call = _call('dnear', 'dfar', gaps=[])
    del call['tones']               # which is whose nothing tells
    return {'calls': [call]}


def cisco_old_version(c):
    """an old CUCM: no cluster, no device; one leg says less than the other; the BYE misspells x-farend"""
    near = _Leg(c, 'onear', 'nearend', 20000, 'x-refci={refci};x-nearendaddr=4062;x-farendaddr={far}')
    far = _Leg(c, 'ofar', 'farend', 20002, 'x-refci={refci}')
    near.begin(0.0)
    far.begin(0.005)
    _speak(c, 0.2, 1.0, near, far)
    near.end(1.3)
    far.flag = 'farrend'
    far.end(1.305)
    return {'calls': [_call('onear', 'ofar', gaps=[], streams=BOTH)]}


def cisco_no_refci(c):
    """a version that names the device and no reference"""
    params = 'x-nearenddevice=SEP01;x-nearendaddr=4062;x-farendaddr={far}'
    near, far = _pair(c, 'n', (20000, 20002), params=params)
    near.begin(0.0)
    far.begin(0.005)
    _speak(c, 0.2, 1.0, near, far)
    near.end(1.3)
    far.end(1.305)
    return {'calls': [_call('nnear', 'nfar', gaps=[], streams=BOTH, identifiers={})]}


def cisco_two_devices_one_reference(c):
    """two clusters whose references are alike at the same time: two calls"""
    a = _pair(c, 'a', (20000, 20002))
    b = _pair(c, 'b', (20004, 20006), params=WHOLE.replace('SEP01', 'SEP09').replace('clusterid=C1', 'clusterid=C2'))
    for n, leg in enumerate((a[0], b[0], b[1], a[1])):
        leg.begin(0.002 * n)
    _speak(c, 0.2, 1.0, *a)
    _speak(c, 0.2, 1.0, *b, tones=(620, 800), ports=(24700, 24704), ssrc=(3, 4))
    for leg in (*a, *b):
        leg.end(1.3)
    return {'calls': [_call('anear', 'afar'), _call('bnear', 'bfar', tones=[620, 800])]}


def cisco_hold(c):
    """hold: both dialogs end by BYE; 7 s later two new ones with the same x-refci and other ports: one call in real time"""
    near, far = _pair(c, 'h1', (20000, 20002))
    near.begin(0.0)
    far.begin(0.005)
    _speak(c, 0.2, 1.0, near, far)
    near.end(1.3)
    far.end(1.305)
    near, far = _pair(c, 'h2', (20004, 20006))
    far.begin(8.305)
    near.begin(8.3)
    _speak(c, 8.5, 1.0, near, far, ports=(24690, 24694), ssrc=(5, 6))
    near.end(9.6)
    far.end(9.605)
    gap = [{'party': p, 'start_s': 1.15, 'length_s': 7.3, 'cause': 'hold'} for p in ('callee', 'caller')]
    return {'calls': [_call('h1near', 'h1far', 'h2near', 'h2far', gaps=gap, duration_s=9.555,
                            streams=_streams(('caller', 50), ('callee', 50), ('caller', 50), ('callee', 50)),
                            events=[{'what': 'hold'}, {'what': 'resume'}])]}


def cisco_hold_same_stream_numbers(c):
    """held twice, for 11 s each; the phone uses its ports, SSRC and numbering again: each stretch is in the sound"""
    gaps, ids, at = [], [], 0.0
    for n, pause in enumerate((11.1, 11.1, 0.0)):
        near, far = _pair(c, f'm{n}', (20000, 20002))
        near.begin(at)
        far.begin(at + 0.005)
        _speak(c, at + 0.2, 0.6, near, far)
        near.end(at + 0.9)
        far.end(at + 0.905)
        ids += [near.call_id, far.call_id]
        if pause:
            gaps += [{'party': p, 'length_s': pause + 0.9 - 0.6, 'cause': 'hold'} for p in ('callee', 'caller')]
        at += 0.9 + pause
    each = (('caller', 30), ('callee', 30))
    return {'calls': [_call(*ids, gaps=gaps, streams=_streams(*each, *each, *each),
                            events=[{'what': w} for w in ('hold', 'resume', 'hold', 'resume')])]}


def cisco_hold_nobye_after(c):
    """held and resumed, and the mirror loses the end: the BYE of the hold is not the end of the call"""
    near, far = _pair(c, 'l1', (20000, 20002))
    near.begin(0.0)
    far.begin(0.005)
    _speak(c, 0.2, 0.5, near, far)
    near.end(1.0)
    far.end(1.005)
    near, far = _pair(c, 'l2', (20004, 20006))
    near.begin(3.0)
    far.begin(3.005)
    _speak(c, 3.2, 1.0, near, far, ssrc=(5, 6))
    return {'calls': [_call('l1near', 'l1far', 'l2near', 'l2far', end='capture-end')]}


def cisco_conference(c):
    """the agent makes a conference: the recording ends and begins anew with a bridge at the far end"""
    near, far = _pair(c, 'c1', (20000, 20002))
    near.begin(0.0)
    far.begin(0.005)
    _speak(c, 0.2, 1.0, near, far)
    near.end(1.3)
    far.end(1.305)
    near, far = _pair(c, 'c2', (20004, 20006), far_refci=49081950, far='b00123456001', far_device='CFB_2')
    near.begin(2.0)
    far.begin(2.005)
    _speak(c, 2.2, 1.0, near, far, ssrc=(5, 6))
    near.end(3.3)
    far.end(3.305)
    return {'calls': [_call('c1near', 'c1far', 'c2near', 'c2far', events=[{'what': 'hold'}, {'what': 'conference'}, {'what': 'resume'}],
                            participants=[{'party': 'caller', 'number': '4062', 'device': 'SEP01', 'left_at': None},
                                          {'party': 'callee', 'number': '8172710497', 'device': 'SEP02'},
                                          {'party': 'p3', 'number': 'b00123456001', 'device': 'CFB_2', 'left_at': None}])]}


def cisco_conference_overlaps(c):
    """the same, but the new dialogs begin before the old ones are ended, and those end between the two INVITEs: one call, which
    was not held"""
    near, far = _pair(c, 'v1', (20000, 20002))
    near.begin(0.0)
    far.begin(0.005)
    _speak(c, 0.2, 0.8, near, far)
    bridged, bridge = _pair(c, 'v2', (20004, 20006), far_refci=49081950, far='b00123456001', far_device='CFB_2')
    bridged.begin(1.1)
    near.end(1.12)
    bridge.begin(1.125)
    far.end(1.2)
    _speak(c, 1.3, 0.8, bridged, bridge, ssrc=(5, 6))
    bridged.end(2.3)
    bridge.end(2.305)
    return {'calls': [_call('v1near', 'v1far', 'v2near', 'v2far', events=[{'what': 'conference'}], gaps=[], links=[],
                            participants=[{'party': 'caller', 'number': '4062', 'device': 'SEP01', 'left_at': None},
                                          {'party': 'callee', 'number': '8172710497', 'device': 'SEP02'},
                                          {'party': 'p3', 'number': 'b00123456001', 'device': 'CFB_2', 'left_at': None}])]}


def cisco_far_end_changes(c):
    """UPDATE in both dialogs with a new far end: it joins, the old one leaves; the streams go on"""
    near, far = _pair(c, 'u', (20000, 20002))
    near.begin(0.0)
    far.begin(0.005)
    _speak(c, 0.2, 1.0, near, far)
    near.update(0.7, far='5551212', far_refci=49081999, far_device='SEP77')
    far.update(0.705, far='5551212', far_refci=49081999, far_device='SEP77')
    near.end(1.3)
    far.end(1.305)
    return {'calls': [_call('unear', 'ufar', gaps=[], streams=BOTH, events=[{'what': 'transfer'}], participants=[
        {'party': 'caller', 'number': '4062', 'joined_at': None, 'left_at': None},
        {'party': 'callee', 'number': '8172710497', 'left_at': '2026-09-21T14:13:20.700000Z'},
        {'party': 'p3', 'number': '5551212', 'device': 'SEP77', 'joined_at': '2026-09-21T14:13:20.700000Z', 'left_at': None}])]}


def cisco_agents(c):
    """two recorded agents talk to each other: two recordings, their references the other way round, linked"""
    one = _pair(c, 'x', (20000, 20002), far='4063', far_device='SEP02')
    params = WHOLE.replace('SEP01', 'SEP02').replace('nearendaddr=4062', 'nearendaddr=4063')
    two = _pair(c, 'y', (20004, 20006), params=params, refci=49081900, far_refci=49081901, far='4062', far_device='SEP01')
    for n, leg in enumerate((*one, *two)):
        leg.begin(0.002 * n)
    _speak(c, 0.2, 1.0, *one)
    _speak(c, 0.2, 1.0, *two, tones=(1000, 440), ports=(24700, 24704), ssrc=(3, 4))
    for leg in (*one, *two):
        leg.end(1.3)
    return {'calls': [_call('xnear', 'xfar', callee={'number': '4063'}, links=[{'id': _id('ynear', 'yfar'), 'why': 'agents'}]),
                      _call('ynear', 'yfar', caller={'number': '4063'}, callee={'number': '4062'}, tones=[1000, 440],
                            links=[{'id': _id('xnear', 'xfar'), 'why': 'agents'}])]}


def cisco_parameters_in_another_order(c):
    """x-nearend is the last of the parameters, and the far end's stand outside the brackets"""
    class Other(_Leg):
        def head(self, *a, **more):
            text = super().head(*a, **more).replace(f';x-{self.flag};', ';').replace('>;tag=', f';x-{self.flag}>;tag=', 1)
            return text if self.flag == 'nearend' else text.replace(f'{CUCM[0]};', f'{CUCM[0]}>;', 1).replace('x-farend>', 'x-farend')
    near, far = Other(c, 'pnear', 'nearend', 20000), Other(c, 'pfar', 'farend', 20002)
    near.begin(0.0)
    far.begin(0.005)
    _speak(c, 0.2, 1.0, near, far)
    near.end(1.3)
    far.end(1.305)
    return {'calls': [_call('pnear', 'pfar', gaps=[], streams=BOTH)]}


def cisco_far_end_late(c):
    """the far end's dialog begins three seconds after the near end's, as after a failed try: one call"""
    near, far = _pair(c, 'late', (20000, 20002))
    near.begin(0.0)
    far.begin(3.0)
    c.rtp(0.2, 4.0, (PHONE, 24680), (RECORDER[0], 20000), ssrc=1, hz=440)
    c.rtp(3.2, 1.0, (PHONE, 24684), (RECORDER[0], 20002), ssrc=2, hz=1000)
    near.end(4.3)
    far.end(4.305)
    return {'calls': [_call('latenear', 'latefar', links=[], streams=_streams(('caller', 200), ('callee', 50)), events=[])]}


def cisco_no_refci_next_call(c):
    """a version that names no reference: the phone's next call, with somebody else, is another call and no resumption"""
    calls = []
    for n, (number, at) in enumerate((('8172710497', 0.0), ('5551212', 2.0))):
        near, far = _pair(c, f'n{n}', (20000, 20002), params='x-nearenddevice=SEP01;x-nearendaddr=4062;x-farendaddr={far}', far=number)
        near.begin(at)
        far.begin(at + 0.005)
        _speak(c, at + 0.2, 0.6, near, far, ssrc=(1 + 2 * n, 2 + 2 * n))
        near.end(at + 1.0)
        far.end(at + 1.005)
        calls.append(_call(near.call_id, far.call_id, callee={'number': number}, gaps=[], events=[],
                           streams=_streams(('caller', 30), ('callee', 30))))
    return {'calls': calls}


def cisco_hold_bye_lost(c):
    """a hold of which the far end's BYE is lost: the near end's, and two new dialogs, tell it"""
    near, far = _pair(c, 'b1', (20000, 20002))
    near.begin(0.0)
    far.begin(0.005)
    _speak(c, 0.2, 0.6, near, far)
    near.end(1.0)
    near, far = _pair(c, 'b2', (20004, 20006))
    near.begin(3.0)
    far.begin(3.005)
    _speak(c, 3.2, 0.6, near, far, ssrc=(5, 6))
    near.end(4.0)
    far.end(4.005)
    gap = [{'party': p, 'start_s': 0.75, 'length_s': 2.4, 'cause': 'hold'} for p in ('callee', 'caller')]
    return {'calls': [_call('b1near', 'b1far', 'b2near', 'b2far', gaps=gap, events=[{'what': 'hold'}, {'what': 'resume'}])]}


def cisco_only_the_end(c):
    """the capture begins in the call: both BYEs, 5 ms apart, are no hold"""
    near, far = _pair(c, 'e', (20000, 20002))
    near.ask(0.0, 'BYE')
    near.answer(0.01, 'BYE')
    # Of another interface, which is behind.
    far.answer(0.005, 'BYE')
    far.ask(0.006, 'BYE')
    return {'calls': [{'kind': 'bib', 'call_ids': ['efar', 'enear'], 'end': 'bye', 'events': [{'what': 'late-join'}]}]}


def cisco_media_before_its_ack(c):
    """a restarted recorder gives a new call the ports of one that still sends there; its media overtakes the ACK"""
    one, two = _pair(c, 'o', (20000, 20002)), _pair(c, 'w', (20000, 20002), refci=77, far_refci=76, far='4006')
    for leg in one:
        leg.begin(0.0)
    _speak(c, 0.2, 2.2, *one)
    for leg in two:
        leg.begin(1.0)
    _speak(c, 1.055, 1.2, *two, tones=(620, 800), ports=(24690, 24694), ssrc=(3, 4))
    for leg in two:
        leg.end(2.3)
    for leg in one:
        leg.end(2.5)
    # What came before nobody could tell from a new stream of the old call.
    stray = _streams(('caller', 110), ('callee', 110), ('caller', 1), ('callee', 1))
    return {'calls': [_call('onear', 'ofar', streams=stray), _call('wnear', 'wfar', callee={'number': '4006'}, tones=[620, 800],
                                                                   streams=_streams(('caller', 59), ('callee', 59)))]}
