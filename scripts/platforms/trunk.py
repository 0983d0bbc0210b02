"""Plain SIP trunks: what RFC 3261 and its companions allow, as phones, proxies and gateways do it."""
import hashlib
import struct

from wire import sdp, sip

A, B, C, GATEWAY = '10.3.0.1', '10.3.0.2', '10.3.0.3', '10.3.0.9'
TYPED = '\nContent-Type: application/sdp'
PAIR = [{'party': 'caller', 'packets': 50, 'lost': 0}, {'party': 'callee', 'packets': 50, 'lost': 0}]


def _id(*call_ids):
    """docs/decisions/0004-ids.md"""
    parts = [b'sip'] + sorted(c.encode() for c in call_ids)
    return hashlib.sha256(b''.join(struct.pack('>Q', len(p)) + p for p in parts)).hexdigest()[:16]


def _at(seconds):
    return f'2026-09-21T14:13:{20 + seconds:09.6f}Z'


class _Dialog:
    """a dialog between two hosts; `user`s are who is in From and To"""
    def __init__(self, c, call_id, a=A, b=B, users=('201', '202'), tags=('a', 'b'), more=''):
        self.c, self.call_id, self.hosts, self.users, self.tags, self.more = c, call_id, (a, b), users, tags, more
        self.target = f'{users[1]}@{b}'

    def ask(self, at, method, cseq, body='', by=0, tag=True, more='', kind='application/sdp', to=None, branch=''):
        """by: 0 the caller, 1 the callee"""
        u, t, h = self.users, self.tags, self.hosts
        typed = f'\nContent-Type: {kind}' if body else ''
        to_tag = f';tag={t[1 - by]}' if tag else ''
        self.c.udp(at, (h[by], 5060), ((to or h[1 - by]), 5060), sip(
            f'{method} sip:{self.target if by == 0 else u[0] + "@" + h[0]} SIP/2.0',
            f'''Via: SIP/2.0/UDP {h[by]};branch=z9hG4bK{self.call_id}{branch}{cseq}{by}{method if method != 'CANCEL' else 'INVITE'}
            From: <sip:{u[by]}@{h[by]}>;tag={t[by]}
            To: <sip:{u[1 - by]}@{h[1 - by]}>{to_tag}
            Call-ID: {self.call_id}
            Contact: <sip:{u[by]}@{h[by]}>
            CSeq: {cseq} {method}{self.more}{more}{typed}''', body))

    def answer(self, at, status, method, cseq, body='', by=1, tag=None, more='', source=None):
        """by: who answers"""
        u, t, h = self.users, self.tags, self.hosts
        typed = TYPED if body else ''
        self.c.udp(at, ((source or h[by]), 5060), (h[1 - by], 5060), sip(
            f'SIP/2.0 {status}',
            f'''Via: SIP/2.0/UDP {h[1 - by]};branch=z9hG4bK{self.call_id}{cseq}{1 - by}{method}
            From: <sip:{u[1 - by]}@{h[1 - by]}>;tag={t[1 - by]}
            To: <sip:{u[by]}@{h[by]}>;tag={tag or t[by]}
            Call-ID: {self.call_id}
            Contact: <sip:{u[by]}@{h[by]}>
            CSeq: {cseq} {method}{self.more}{more}{typed}''', body))

    def begin(self, at, ports=(4000, 5000), cseq=1, more='', answer_more='', late=0.1):
        h = self.hosts
        self.ask(at, 'INVITE', cseq, sdp(h[0], ports[0]), tag=False, more=more)
        self.answer(at + 0.02, '180 Ringing', 'INVITE', cseq)
        self.answer(at + late, '200 OK', 'INVITE', cseq, sdp(h[1], ports[1]), more=answer_more)
        self.ask(at + late + 0.01, 'ACK', cseq)

    def end(self, at, cseq=90, by=0):
        self.ask(at, 'BYE', cseq, by=by)
        self.answer(at + 0.01, '200 OK', 'BYE', cseq, by=1 - by)

    def speak(self, at, seconds=1.0, ports=(4000, 5000), tones=(440, 1000), ssrc=(1, 2), **more):
        a, b = (self.hosts[0], ports[0]), (self.hosts[1], ports[1])
        self.c.rtp(at, seconds, a, b, ssrc=ssrc[0], hz=tones[0], **more)
        self.c.rtp(at, seconds, b, a, ssrc=ssrc[1], hz=tones[1], **more)


def _call(*ids, **more):
    return {'kind': 'call', 'call_ids': sorted(ids), 'end': 'bye', 'caller': {'number': '201'}, 'links': [], **more}


def _whole(*ids, **more):
    return _call(*ids, **{'callee': {'number': '202'}, 'streams': PAIR, 'tones': [440, 1000], 'gaps': [], **more})


def _links(*pairs):
    return [{'id': _id(call_id), 'why': why} for call_id, why in pairs]


def trunk_authentication(c):
    """407, then the same INVITE with credentials: one call"""
    d = _Dialog(c, 'auth')
    d.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False)
    d.answer(0.01, '407 Proxy Authentication Required', 'INVITE', 1, tag='x')
    d.ask(0.02, 'ACK', 1)
    d.begin(0.1, cseq=2, more='\nProxy-Authorization: Digest username="201"')
    d.speak(0.25)
    d.end(1.4)
    return {'calls': [_whole('auth', started_at=_at(0), answered_at=_at(0.2))]}


def trunk_redirect(c):
    """302, and the call to where it leads under the same Call-ID: one call"""
    d = _Dialog(c, 'redirect')
    d.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False)
    d.answer(0.01, '302 Moved Temporarily', 'INVITE', 1, tag='x')
    d.ask(0.02, 'ACK', 1)
    d.hosts = (A, C)
    d.begin(0.1, cseq=2)
    d.speak(0.25)
    d.end(1.4)
    return {'calls': [_whole('redirect')]}


def trunk_redirect_anew(c):
    """302 to 203, who is called with another Call-ID: two calls, linked"""
    d = _Dialog(c, 'moved')
    d.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False)
    d.users = ('201', '203')            # its Contact
    d.answer(0.01, '302 Moved Temporarily', 'INVITE', 1, tag='x')
    d.ask(0.02, 'ACK', 1)
    e = _Dialog(c, 'anew', b=C, users=('201', '203'))
    e.begin(0.1)
    e.speak(0.25)
    e.end(1.4)
    return {'calls': [_call('moved', end='rejected', links=_links(('anew', 'redirect'))),
                      _whole('anew', callee={'number': '203'}, links=_links(('moved', 'redirect')))]}


SID, REMOTE, NIL = 'ab30317f1a784dc48ff824d0d3715d86', '47755a9de7794ba387653f2099600ef2', '0' * 32


def _legs(c, *ids, first='', second='', first_answer='', second_answer='', users=('201', '202'), gap=0.01):
    """a call through a B2BUA, both legs on the mirror: A to the gateway, the gateway to B"""
    one, two = _Dialog(c, ids[0], b=GATEWAY), _Dialog(c, ids[1], a=GATEWAY, users=users)
    one.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False, more=first)
    two.ask(gap, 'INVITE', 1, sdp(GATEWAY, 6000), tag=False, more=second)
    two.answer(0.2, '200 OK', 'INVITE', 1, sdp(B, 5000), more=second_answer)
    two.ask(0.21, 'ACK', 1)
    one.answer(0.22, '200 OK', 'INVITE', 1, sdp(GATEWAY, 6002), more=first_answer)
    one.ask(0.23, 'ACK', 1)
    return one, two


def _relayed(c, at, ssrc=(1, 2), passed=(1, 2), seq=(100, 100)):
    """media on both sides of the gateway; the second side comes 1 ms later"""
    for (near, far, hz, s, p) in (((A, 4000), (B, 5000), 440, ssrc[0], passed[0]), ((B, 5000), (A, 4000), 1000, ssrc[1], passed[1])):
        inward, outward = ((GATEWAY, 6002), (GATEWAY, 6000)) if near[0] == A else ((GATEWAY, 6000), (GATEWAY, 6002))
        c.rtp(at, 1.0, near, inward, ssrc=s, hz=hz, seq=seq[0])
        c.rtp(at + 0.001, 1.0, outward, far, ssrc=p, hz=hz, seq=seq[1])


def trunk_session_id(c):
    """RFC 7989: both legs of a B2BUA have the same two halves, each in its own order: one call, everybody once in the sound"""
    half = f'\nSession-ID: {SID};remote={NIL}'
    back = f'\nSession-ID: {REMOTE};remote={SID}'
    one, two = _legs(c, 'sid1', 'sid2', first=half, second=half, first_answer=back, second_answer=back)
    _relayed(c, 0.25, passed=(31, 32))
    two.end(1.4)
    one.end(1.41)
    return {'calls': [_call('sid1', 'sid2', callee={'number': '202'}, tones=[440, 1000], gaps=[])]}


def trunk_x_cid(c):
    """the second leg names the first in X-CID; the B2BUA numbers its streams anew: one call, everybody once in the sound"""
    one, two = _legs(c, 'cid1', 'cid2', second='\nX-CID: cid1')
    _relayed(c, 0.25, passed=(31, 32), seq=(100, 7000))
    two.end(1.4)
    one.end(1.41)
    same = {'what': 'same-media'}
    return {'calls': [_call('cid1', 'cid2', callee={'number': '202'}, tones=[440, 1000], gaps=[], events=[same, same])]}


def trunk_ucid(c):
    """Avaya's UCID on both legs while the call is set up: one call"""
    uui = '\nUser-to-User: 00FA080001049215812345;encoding=hex'
    one, two = _legs(c, 'ucid1', 'ucid2', first=uui, second=uui)
    _relayed(c, 0.25, passed=(31, 32))
    two.end(1.4)
    one.end(1.41)
    return {'calls': [_call('ucid1', 'ucid2', callee={'number': '202'}, tones=[440, 1000])]}


def trunk_ucid_consultation(c):
    """a second call with the UCID of one that is answered: not the same call, but linked"""
    uui = '\nUser-to-User: 00FA080001049215812345;encoding=hex'
    one = _Dialog(c, 'first', more=uui)
    one.begin(0.0)
    one.speak(0.2)
    two = _Dialog(c, 'second', a=B, b=C, users=('202', '203'), more=uui)
    two.begin(0.6, ports=(5002, 7000))
    two.speak(0.8, 0.5, ports=(5002, 7000), tones=(620, 800), ssrc=(3, 4))
    one.end(1.4)
    two.end(1.5)
    return {'calls': [_whole('first', links=_links(('second', 'same-session'))),
                      _call('second', caller={'number': '202'}, tones=[620, 800], links=_links(('first', 'same-session')))]}


def trunk_legs_without_a_mark(c):
    """both legs of a B2BUA with nothing but the same numbers, and other media: two calls, linked"""
    one, two = _legs(c, 'bare1', 'bare2')
    _relayed(c, 0.25, passed=(31, 32), seq=(100, 7000))
    two.end(1.4)
    one.end(1.41)
    return {'calls': [_call('bare1', links=_links(('bare2', 'same-session'))), _call('bare2', links=_links(('bare1', 'same-session')))]}


def trunk_relayed_media(c):
    """the same two legs, and the gateway passes each packet on as it is: one call"""
    one, two = _legs(c, 'relay1', 'relay2', users=('+49301', '49302'))
    _relayed(c, 0.25)
    two.end(1.4)
    one.end(1.41)
    same = {'what': 'same-media'}
    return {'calls': [_call('relay1', 'relay2', tones=[440, 1000], gaps=[], events=[same, same])]}


def trunk_serial_forking(c):
    """a B2BUA that tries one phone after another, all with one X-Correlation-ID: one call, answered"""
    mark = '\nX-Correlation-ID: 6f0c2f7e-1'
    one = _Dialog(c, 'hunt', b=GATEWAY, more=mark)
    one.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False)
    two = _Dialog(c, 'hunt-b', a=GATEWAY, more=mark)
    two.ask(0.01, 'INVITE', 1, sdp(GATEWAY, 6000), tag=False)
    two.answer(0.05, '486 Busy Here', 'INVITE', 1)
    two.ask(0.06, 'ACK', 1)
    three = _Dialog(c, 'hunt-c', a=GATEWAY, b=C, more=mark)
    three.begin(0.1, ports=(6000, 5000))
    one.answer(0.22, '200 OK', 'INVITE', 1, sdp(GATEWAY, 6002))
    one.ask(0.23, 'ACK', 1)
    one.speak(0.25, ports=(4000, 6002))
    three.end(1.4)
    one.end(1.41)
    return {'calls': [_call('hunt', 'hunt-b', 'hunt-c', tones=[440, 1000], streams=PAIR, answered_at=_at(0.2))]}


def trunk_blind_transfer(c):
    """REFER to 203 with Referred-By; A calls 203: two calls, linked, and the first has it in its timeline"""
    d = _Dialog(c, 'blind')
    d.begin(0.0)
    d.speak(0.2)
    d.ask(0.9, 'REFER', 5, by=1, more=f'\nRefer-To: <sip:203@{C}>\nReferred-By: <sip:202@{B}>')
    d.answer(0.91, '202 Accepted', 'REFER', 5, by=0)
    e = _Dialog(c, 'blind-new', b=C, users=('201', '203'))
    e.begin(1.0, ports=(4002, 7000), more=f'\nReferred-By: <sip:202@{B}>')
    d.ask(1.15, 'NOTIFY', 6, 'SIP/2.0 200 OK\n', kind='message/sipfrag')
    d.end(1.2, by=1)
    e.speak(1.2, 0.5, ports=(4002, 7000), tones=(620, 800), ssrc=(3, 4))
    e.end(1.9)
    return {'calls': [_whole('blind', links=_links(('blind-new', 'transfer')), events=[{'what': 'transfer'}]),
                      _call('blind-new', callee={'number': '203'}, tones=[620, 800], links=_links(('blind', 'transfer')))]}


def trunk_blind_transfer_unmarked(c):
    """the same by phones that leave out Referred-By"""
    d = _Dialog(c, 'plainrefer')
    d.begin(0.0)
    d.speak(0.2)
    d.ask(1.2, 'REFER', 5, by=1, more=f'\nRefer-To: sip:203@{C}')
    d.answer(1.21, '202 Accepted', 'REFER', 5, by=0)
    e = _Dialog(c, 'plainrefer-new', b=C, users=('201', '203'))
    e.begin(1.3, ports=(4002, 7000))
    d.end(1.4, by=1)
    e.end(1.9)
    return {'calls': [_whole('plainrefer', links=_links(('plainrefer-new', 'transfer'))),
                      _call('plainrefer-new', links=_links(('plainrefer', 'transfer')))]}


def trunk_attended_transfer(c):
    """B calls C, then refers A to C in place of that call: three calls, each linked to what it follows from"""
    d = _Dialog(c, 'att1')
    d.begin(0.0)
    d.speak(0.2, 0.5)
    e = _Dialog(c, 'att2@b', a=B, b=C, users=('202', '203'), tags=('e', 'f'))
    e.begin(0.4, ports=(5002, 7000))
    d.ask(0.8, 'REFER', 5, by=1, more=f'\nRefer-To: <sip:203@{C}?Replaces=att2%40b%3Bto-tag%3Df%3Bfrom-tag%3De>\nReferred-By: <sip:202@{B}>')
    d.answer(0.81, '202 Accepted', 'REFER', 5, by=0)
    f = _Dialog(c, 'att3', b=C, users=('201', '203'))
    f.begin(0.9, ports=(4002, 7002), more=f'\nReplaces: att2@b;to-tag=f;from-tag=e\nReferred-By: <sip:202@{B}>')
    e.end(1.02, by=1)
    d.end(1.1, by=1)
    f.speak(1.1, 0.5, ports=(4002, 7002), tones=(620, 800), ssrc=(3, 4))
    f.end(1.7)
    return {'calls': [_call('att1', links=_links(('att2@b', 'transfer'), ('att3', 'transfer')), events=[{'what': 'transfer'}]),
                      _call('att2@b', caller={'number': '202'}, links=_links(('att1', 'transfer'), ('att3', 'replaces'))),
                      _call('att3', tones=[620, 800], links=_links(('att1', 'transfer'), ('att2@b', 'replaces')), events=[{'what': 'replaces'}])]}


def trunk_refer_outside(c):
    """REFER outside the dialog, which Target-Dialog names: no call of its own, and in the timeline of the one it is about"""
    d = _Dialog(c, 'td')
    d.begin(0.0)
    d.speak(0.2)
    r = _Dialog(c, 'td-refer', a=B, b=A, users=('202', '201'), tags=('r', 's'))
    r.ask(1.2, 'REFER', 1, tag=False, more=f'\nRefer-To: <sip:203@{C}>\nTarget-Dialog: td;local-tag=b;remote-tag=a')
    r.answer(1.21, '202 Accepted', 'REFER', 1)
    e = _Dialog(c, 'td-new', b=C, users=('201', '203'))
    e.begin(1.3, ports=(4002, 7000), more='\nTarget-Dialog: td;local-tag=a;remote-tag=b')
    d.end(1.5)
    e.end(1.9)
    return {'calls': [_whole('td', links=_links(('td-new', 'transfer')), events=[{'what': 'transfer'}]),
                      _call('td-new', links=_links(('td', 'transfer')))]}


def trunk_prack_and_update(c):
    """a reliable 183 with early media, PRACK, an UPDATE that moves a port before the answer"""
    d = _Dialog(c, 'prack', more='\nSupported: 100rel')
    d.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False)
    d.answer(0.05, '183 Session Progress', 'INVITE', 1, sdp(B, 5000), more='\nRequire: 100rel\nRSeq: 1')
    d.ask(0.06, 'PRACK', 2, more='\nRAck: 1 1 INVITE')
    d.answer(0.07, '200 OK', 'PRACK', 2)
    c.rtp(0.1, 0.3, (B, 5000), (A, 4000), ssrc=2, hz=1000)
    d.ask(0.4, 'UPDATE', 3, sdp(A, 4010))
    d.answer(0.41, '200 OK', 'UPDATE', 3, sdp(B, 5010))
    d.answer(0.5, '200 OK', 'INVITE', 1)
    d.ask(0.51, 'ACK', 1)
    d.speak(0.55, 0.5, ports=(4010, 5010), ssrc=(1, 3))
    d.end(1.3)
    return {'calls': [_call('prack', answered_at=_at(0.5), tones=[440, 1000], events=[], streams=[
        {'party': 'callee', 'packets': 15}, {'party': 'caller', 'packets': 25}, {'party': 'callee', 'packets': 25}])]}


def trunk_session_timer(c):
    """422, a longer interval, then refreshes by UPDATE and by re-INVITE: one call in which nothing happened"""
    d = _Dialog(c, 'timer')
    d.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False, more='\nSession-Expires: 30')
    d.answer(0.01, '422 Session Interval Too Small', 'INVITE', 1, tag='x', more='\nMin-SE: 90')
    d.ask(0.02, 'ACK', 1)
    d.begin(0.1, cseq=2, more='\nSession-Expires: 90')
    d.speak(0.25)
    d.ask(0.5, 'UPDATE', 3)
    d.answer(0.51, '200 OK', 'UPDATE', 3)
    d.ask(0.8, 'INVITE', 7, sdp(B, 5000), by=1)
    d.answer(0.81, '200 OK', 'INVITE', 7, sdp(A, 4000), by=0)
    d.ask(0.82, 'ACK', 7, by=1)
    d.end(1.4)
    return {'calls': [_whole('timer', events=[])]}


def trunk_cancel_crosses_200(c):
    """the 200 is on its way when the caller gives up: it was answered, and ended by the BYE that must follow"""
    d = _Dialog(c, 'cross')
    d.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False)
    d.answer(0.02, '180 Ringing', 'INVITE', 1)
    d.answer(0.5, '200 OK', 'INVITE', 1, sdp(B, 5000))
    d.ask(0.501, 'CANCEL', 1, tag=False)
    d.answer(0.51, '481 Call/Transaction Does Not Exist', 'CANCEL', 1)
    d.ask(0.52, 'ACK', 1)
    d.end(0.53)
    return {'calls': [_call('cross', answered_at=_at(0.5), end='bye', ended_at=_at(0.53), files=[{'kind': 'packets'}])]}


def trunk_200_after_cancel(c):
    """CANCEL first, accepted; the phone was picked up all the same"""
    d = _Dialog(c, 'late')
    d.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False)
    d.ask(0.5, 'CANCEL', 1, tag=False)
    d.answer(0.51, '200 OK', 'CANCEL', 1)
    d.answer(0.52, '200 OK', 'INVITE', 1, sdp(B, 5000))
    d.ask(0.53, 'ACK', 1)
    d.end(0.54)
    return {'calls': [_call('late', answered_at=_at(0.52), end='bye')]}


def trunk_cancelled(c):
    """CANCEL, 487: nobody answered"""
    d = _Dialog(c, 'given-up')
    d.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False)
    d.answer(0.02, '180 Ringing', 'INVITE', 1)
    d.ask(0.5, 'CANCEL', 1, tag=False)
    d.answer(0.51, '200 OK', 'CANCEL', 1)
    d.answer(0.52, '487 Request Terminated', 'INVITE', 1)
    d.ask(0.53, 'ACK', 1)
    return {'calls': [_call('given-up', end='cancelled', answered_at=None, ended_at=_at(0.52))]}


def trunk_glare(c):
    """both hold at once: 491 both ways, the session goes on; then one of them tries again"""
    d = _Dialog(c, 'glare')
    d.begin(0.0)
    d.speak(0.2)
    d.ask(0.5, 'INVITE', 2, sdp(A, (4000, '0', 'a=sendonly')))
    d.ask(0.501, 'INVITE', 8, sdp(B, (5000, '0', 'a=sendonly')), by=1)
    d.answer(0.51, '491 Request Pending', 'INVITE', 2)
    d.answer(0.511, '491 Request Pending', 'INVITE', 8, by=0)
    d.ask(0.52, 'ACK', 2)
    d.ask(0.521, 'ACK', 8, by=1)
    d.ask(0.6, 'INVITE', 3, sdp(A, 4000))
    d.answer(0.61, '200 OK', 'INVITE', 3, sdp(B, 5000))
    d.ask(0.62, 'ACK', 3)
    d.end(1.4)
    return {'calls': [_whole('glare')]}


def trunk_rejected_move(c):
    """a re-INVITE to another port and codec is refused with 488: the session stands as it was, the media too"""
    d = _Dialog(c, 'refused')
    d.begin(0.0)
    d.speak(0.2)
    d.ask(0.5, 'INVITE', 2, sdp(A, (4100, '8')))
    d.answer(0.51, '488 Not Acceptable Here', 'INVITE', 2)
    d.ask(0.52, 'ACK', 2)
    d.end(1.4)
    return {'calls': [_whole('refused')]}


def trunk_late_and_repeated_200(c):
    """the 200 comes after long ringing, and again and again until the ACK gets through"""
    d = _Dialog(c, 'again')
    d.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False)
    d.answer(0.02, '180 Ringing', 'INVITE', 1)
    for at in (170.0, 170.5, 171.5):
        d.answer(at, '200 OK', 'INVITE', 1, sdp(B, 5000))
    d.ask(171.51, 'ACK', 1)
    d.speak(171.6)
    d.end(172.7)
    return {'calls': [_whole('again', answered_at='2026-09-21T14:16:10.000000Z', events=[])]}


def trunk_info_digits(c):
    """digits by INFO in both common forms, one of them sent twice, one also as an RFC 4733 event's neighbour"""
    d = _Dialog(c, 'info')
    d.begin(0.0)
    d.speak(0.1)
    relay = 'application/dtmf-relay'
    d.ask(0.3, 'INFO', 2, 'Signal=5\nDuration=160\n', kind=relay)
    d.ask(0.35, 'INFO', 2, 'Signal=5\nDuration=160\n', kind=relay)
    d.answer(0.36, '200 OK', 'INFO', 2)
    d.ask(0.6, 'INFO', 3, 'Signal=11\nDuration=160\n', kind=relay)
    d.ask(0.9, 'INFO', 9, '7', by=1, kind='application/dtmf')
    d.end(1.4)
    digits = [('caller', 0.2, '5'), ('caller', 0.5, '#'), ('callee', 0.8, '7')]
    return {'calls': [_whole('info', dtmf=[{'party': p, 'at_s': t, 'digit': x} for p, t, x in digits])]}


def trunk_early_dialogs(c):
    """a forked INVITE: two phones send 183 with a tag and a port each, the second answers; the first is cancelled"""
    d = _Dialog(c, 'early')
    d.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False)
    d.answer(0.05, '183 Session Progress', 'INVITE', 1, sdp(B, 5000), tag='b1')
    d.answer(0.06, '183 Session Progress', 'INVITE', 1, sdp(C, 7000), tag='b2', source=C)
    d.answer(0.3, '200 OK', 'INVITE', 1, sdp(C, 7000), tag='b2', source=C)
    d.tags = ('a', 'b2')
    d.hosts = (A, C)
    d.ask(0.31, 'ACK', 1)
    d.speak(0.35, ports=(4000, 7000))
    d.end(1.4)
    return {'calls': [_whole('early', answered_at=_at(0.3))]}


def trunk_proxy_in_the_middle(c):
    """a proxy whose both sides are mirrored: every message twice with one Call-ID, the busy branch too: one call"""
    d = _Dialog(c, 'proxy')
    d.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False, to=GATEWAY)
    near = d.hosts
    for host, tag, status, body in ((B, 'b1', '486 Busy Here', ''), (C, 'b2', '200 OK', sdp(C, 5000))):
        d.hosts, d.tags = (GATEWAY, host), ('a', tag)
        d.ask(0.1 if host == B else 0.3, 'INVITE', 1, sdp(A, 4000), tag=False, branch=tag)
        d.answer(0.2 if host == B else 0.4, status, 'INVITE', 1, body)
    d.hosts = near
    d.answer(0.41, '200 OK', 'INVITE', 1, sdp(C, 5000), source=GATEWAY)
    d.ask(0.42, 'ACK', 1, to=C)
    d.hosts = (A, C)
    d.speak(0.45)
    d.end(1.5)
    return {'calls': [_whole('proxy', answered_at=_at(0.4))]}


def trunk_holds(c):
    """hold in every way there is: sendonly, inactive, 0.0.0.0, and sendonly for the whole session; each is taken back"""
    d = _Dialog(c, 'holds')
    d.begin(0.0)
    d.speak(0.2, 0.6)
    ways = (sdp(A, (4000, '0', 'a=sendonly')), sdp(A, (4000, '0', 'a=inactive')),
            sdp(A, 4000).replace(f'c=IN IP4 {A}', 'c=IN IP4 0.0.0.0'), sdp(A, 4000, session='a=sendonly\n'))
    for n, way in enumerate(ways):
        d.ask(1 + n, 'INVITE', 10 + 2 * n, way)
        d.answer(1.01 + n, '200 OK', 'INVITE', 10 + 2 * n, sdp(B, (5000, '0', 'a=recvonly')))
        d.ask(1.02 + n, 'ACK', 10 + 2 * n)
        d.ask(1.5 + n, 'INVITE', 11 + 2 * n, sdp(A, 4000))
        d.answer(1.51 + n, '200 OK', 'INVITE', 11 + 2 * n, sdp(B, 5000))
        d.ask(1.52 + n, 'ACK', 11 + 2 * n)
    d.speak(4.6, 0.4, ssrc=(3, 4))
    d.end(5.1)
    return {'calls': [_call('holds', tones=[440, 1000], events=[{'what': w, 'at': _at(t + n)} for n in range(4)
                                                                for w, t in (('hold', 1), ('resume', 1.5))])]}


def trunk_ice_and_bundle(c):
    """ICE, rtcp-mux and BUNDLE attributes, STUN and RTCP on the port of the media: they change nothing"""
    ice = ('a=ice-ufrag:8hhY', 'a=ice-pwd:asd88fgpdd777uzjYhagZg', 'a=rtcp-mux', 'a=mid:0',
           'a=candidate:1 1 UDP 2130706431 192.168.7.7 4000 typ host', 'a=candidate:2 1 UDP 1694498815 10.3.0.1 4000 typ srflx')
    d = _Dialog(c, 'ice')
    d.ask(0.0, 'INVITE', 1, sdp(A, (4000, '0', *ice), session='a=group:BUNDLE 0\na=ice-lite\n'), tag=False)
    d.answer(0.1, '200 OK', 'INVITE', 1, sdp(B, (5000, '0', *ice), session='a=group:BUNDLE 0\n'))
    d.ask(0.11, 'ACK', 1)
    stun = bytes.fromhex('000100002112a442') + b'earwitness12'
    report = struct.pack('>BBHIIIIII', 0x80, 200, 6, 1, 0xe0000000, 0, 8000, 50, 8000)
    for at in (0.12, 0.7):
        c.udp(at, (A, 4000), (B, 5000), stun)
        c.udp(at + 0.01, (A, 4000), (B, 5000), report)
    d.speak(0.2)
    d.end(1.4)
    return {'calls': [_whole('ice', events=[])]}


def trunk_moved_contact(c):
    """a re-INVITE with another Contact, and other ports on both sides"""
    d = _Dialog(c, 'moves')
    d.begin(0.0)
    d.speak(0.2, 0.5)
    d.ask(0.8, 'INVITE', 2, sdp('10.3.0.11', 4100), more='\nContact: <sip:201@10.3.0.11:5070>')
    d.answer(0.81, '200 OK', 'INVITE', 2, sdp('10.3.0.12', 5100))
    d.ask(0.82, 'ACK', 2)
    c.rtp(0.85, 0.5, ('10.3.0.11', 4100), ('10.3.0.12', 5100), ssrc=3, hz=440)
    c.rtp(0.85, 0.5, ('10.3.0.12', 5100), ('10.3.0.11', 4100), ssrc=4, hz=1000)
    d.end(1.5)
    each = [{'party': p, 'packets': 25} for p in ('caller', 'callee')]
    return {'calls': [_call('moves', tones=[440, 1000], streams=each + each, events=[])]}


def trunk_symmetric_rtp(c):
    """a phone behind NAT announces its private address; its media comes from, and goes to, the public one"""
    d = _Dialog(c, 'nat')
    d.ask(0.0, 'INVITE', 1, sdp('192.168.7.7', 4000), tag=False)
    d.answer(0.1, '200 OK', 'INVITE', 1, sdp(B, 5000))
    d.ask(0.11, 'ACK', 1)
    c.rtp(0.2, 1.0, (A, 41234), (B, 5000), ssrc=1, hz=440)
    c.rtp(0.22, 1.0, (B, 5000), (A, 41234), ssrc=2, hz=1000)
    d.end(1.4)
    return {'calls': [_whole('nat')]}


def trunk_session_id_first_half(c):
    """three legs of two B2BUAs, and a phone that knows no Session-ID: the caller's half alone is on all of them"""
    half = f'\nSession-ID: {SID};remote={NIL}'
    legs = [(_Dialog(c, f'half{n}', a=a, b=b), ports) for n, (a, b, ports) in enumerate((
        (A, GATEWAY, (4000, 6002)), (GATEWAY, C, (6000, 6004)), (C, B, (6006, 5000))))]
    for n, (d, ports) in enumerate(legs):
        d.begin(0.005 * n, ports, more=half, late=0.2 - 0.01 * n)
        d.speak(0.25 + 0.001 * n, ports=ports, ssrc=(1 + 10 * n, 2 + 10 * n))
        d.end(1.4 + 0.01 * n)
    return {'calls': [_call('half0', 'half1', 'half2', callee={'number': '202'}, tones=[440, 1000], gaps=[])]}


def trunk_one_call_id_for_two_legs(c):
    """a B2BUA that keeps the Call-ID, with tags and numbers of its own on the second leg: who speaks stays clear"""
    one, two = _Dialog(c, 'kept', b=GATEWAY), _Dialog(c, 'kept', a=GATEWAY, tags=('g', 'h'))
    one.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False)
    two.ask(0.01, 'INVITE', 55, sdp(GATEWAY, 6000), tag=False)
    two.answer(0.2, '200 OK', 'INVITE', 55, sdp(B, 5000))
    two.ask(0.21, 'ACK', 55)
    one.answer(0.22, '200 OK', 'INVITE', 1, sdp(GATEWAY, 6002))
    one.ask(0.23, 'ACK', 1)
    _relayed(c, 0.25)
    two.end(1.4, cseq=56)
    one.end(1.41, cseq=2)
    both = [{'party': p, 'packets': 50} for p in ('caller', 'callee')]
    return {'calls': [_call('kept', callee={'number': '202'}, tones=[440, 1000], streams=both + both)]}


def trunk_echo_server(c):
    """two callers play one file to a server that sends back what it gets (SIPp): two calls, though all streams are alike"""
    for n, host in enumerate((A, C)):
        d = _Dialog(c, f'echo{n}', a=host, users=(f'20{1 + n}', '800'))
        d.begin(0.05 * n, ports=(4000, 5000 + 10 * n))
        near, far = (host, 4000), (B, 5000 + 10 * n)
        c.rtp(0.3 + 0.05 * n, 1.0, near, far, ssrc=0xca110000, hz=440)
        c.rtp(0.301 + 0.05 * n, 1.0, far, near, ssrc=0xca110000, hz=440)
        d.end(1.5)
    return {'calls': [_call(f'echo{n}', caller={'number': f'20{1 + n}'}, callee={'number': '800'}, streams=PAIR) for n in (0, 1)]}


def trunk_bye_refused(c):
    """a BYE that lacks credentials is refused with 407 and not sent again; the call goes on until another one is taken"""
    d = _Dialog(c, 'stays')
    d.begin(0.0)
    d.speak(0.2, 3.0)
    d.ask(0.6, 'BYE', 9)
    d.answer(0.61, '407 Proxy Authentication Required', 'BYE', 9)
    d.end(3.3, cseq=10)
    each = [{'party': p, 'packets': 150, 'lost': 0} for p in ('caller', 'callee')]
    return {'calls': [_whole('stays', streams=each, ended_at=_at(3.3))]}
