"""Several legs of one call on the mirror: which of them are one voice, and what tells that they are one call."""
from wire import sdp
from trunk import A, B, C, GATEWAY, PAIR, _at, _Dialog, _call, _links, _relayed

UCID = '\nUser-to-User: 00FA080001049215812345;encoding=hex'
SAME = {'what': 'same-media'}


def legs_of_a_bridge(c):
    """a bridge calls three phones with one UCID, and all answer: one call, in which all three are heard, and what the
    bridge sends to each of them once"""
    for n, hz in enumerate((440, 800, 1000)):
        d = _Dialog(c, f'bridge{n}', a=GATEWAY, b=f'10.3.0.{20 + n}', users=('bridge', f'30{n}'), more=UCID)
        d.begin(0.02 * n, ports=(6000 + 10 * n, 5000))
        d.speak(0.3, ports=(6000 + 10 * n, 5000), ssrc=(1 + 10 * n, 2 + 10 * n), tones=(620, hz))
        d.end(1.6 + 0.05 * n)
    return {'calls': [_call('bridge0', 'bridge1', 'bridge2', caller={'number': 'bridge'}, tones=[620, [440, 800, 1000]],
                            gaps=[], events=[SAME, SAME])]}


def legs_of_a_caller_to_two(c):
    """a caller through a gateway to two phones, both answered, with one UCID; the gateway numbers all streams anew: the caller
    once in the sound, though the first leg lost a packet, and both phones"""
    ports = ((A, GATEWAY, 4000, 6002), (GATEWAY, B, 6000, 5000), (GATEWAY, C, 6010, 5000))
    legs = [_Dialog(c, f'two{n}', a=a, b=b, more=UCID) for n, (a, b, _, _) in enumerate(ports)]
    for n, (d, (_, _, p, q)) in enumerate(zip(legs, ports)):
        d.begin(0.01 * n, ports=(p, q), late=0.3 - 0.02 * n)
        near, far = (d.hosts[0], p), (d.hosts[1], q)
        c.rtp(0.4 + 0.001 * n, 1.0, near, far, ssrc=10 + n, hz=440, skip=(7,) if n == 0 else ())
        if n:
            c.rtp(0.4, 1.0, far, near, ssrc=20 + n, hz=(0, 800, 1000)[n])
        d.end(1.6 - 0.01 * n)
    return {'calls': [_call('two0', 'two1', 'two2', tones=[440, [800, 1000]], events=[SAME, SAME])]}


def legs_of_one_call_id(c):
    """a B2BUA that keeps the Call-ID and numbers its streams anew: everybody once in the sound"""
    one, two = _Dialog(c, 'onecid', b=GATEWAY), _Dialog(c, 'onecid', a=GATEWAY, tags=('g', 'h'))
    one.ask(0.0, 'INVITE', 1, sdp(A, 4000), tag=False)
    two.ask(0.01, 'INVITE', 55, sdp(GATEWAY, 6000), tag=False)
    two.answer(0.2, '200 OK', 'INVITE', 55, sdp(B, 5000))
    two.ask(0.21, 'ACK', 55)
    one.answer(0.22, '200 OK', 'INVITE', 1, sdp(GATEWAY, 6002))
    one.ask(0.23, 'ACK', 1)
    _relayed(c, 0.25, passed=(31, 32), seq=(100, 7000))
    two.end(1.4, cseq=56)
    one.end(1.41, cseq=2)
    return {'calls': [_call('onecid', callee={'number': '202'}, tones=[440, 1000], gaps=[], events=[SAME, SAME])]}


def legs_answers_first(c):
    """a mirror of two interfaces gives what comes from the phones and the gateway's answers 40 ms before the requests: one call,
    as it is in the right order"""
    mark = '\nX-Correlation-ID: 6f0c2f7e-1'
    one, two, three = (_Dialog(c, f'early{n}', a=a, b=b, more=mark)
                       for n, (a, b) in enumerate(((A, GATEWAY), (GATEWAY, B), (GATEWAY, C))))
    one.ask(0.04, 'INVITE', 1, sdp(A, 4000), tag=False)
    two.ask(0.05, 'INVITE', 1, sdp(GATEWAY, 6000), tag=False)
    two.answer(0.055, '486 Busy Here', 'INVITE', 1)
    two.ask(0.1, 'ACK', 1)
    three.answer(0.12, '180 Ringing', 'INVITE', 1)
    three.ask(0.14, 'INVITE', 1, sdp(GATEWAY, 6000), tag=False)
    three.answer(0.2, '200 OK', 'INVITE', 1, sdp(C, 5000))
    one.answer(0.22, '200 OK', 'INVITE', 1, sdp(GATEWAY, 6002))
    three.ask(0.25, 'ACK', 1)
    one.ask(0.27, 'ACK', 1)
    one.speak(0.3, ports=(4000, 6002))
    three.end(1.4)
    one.end(1.41)
    return {'calls': [_call('early0', 'early1', 'early2', tones=[440, 1000], streams=PAIR, answered_at=_at(0.2))]}


def legs_of_a_click(c):
    """click to call: the gateway calls A, who answers and hears nothing yet but speaks; then it calls B and passes all on as it
    comes, from the middle of A's stream: two calls, linked"""
    one, two = (_Dialog(c, f'click{n}', a=GATEWAY, b=b, users=u) for n, (b, u) in enumerate(((A, ('click', '201')), (B, ('201', '202')))))
    one.begin(0.0, ports=(6000, 4000))
    two.begin(0.4, ports=(6002, 5000))
    c.rtp(0.2, 1.2, (A, 4000), (GATEWAY, 6000), ssrc=1, hz=440)
    c.rtp(0.601, 0.8, (GATEWAY, 6002), (B, 5000), ssrc=1, hz=440, seq=120, stamp=8000 + 20 * 160)
    c.rtp(0.6, 0.8, (B, 5000), (GATEWAY, 6002), ssrc=2, hz=1000)
    c.rtp(0.601, 0.8, (GATEWAY, 6000), (A, 4000), ssrc=2, hz=1000)
    one.end(1.6)
    two.end(1.61)
    return {'calls': [_call('click0', caller={'number': 'click'}, tones=[1000, 440], links=_links(('click1', 'same-session'))),
                      _call('click1', tones=[440, 1000], links=_links(('click0', 'same-session')))]}


def legs_of_an_echo(c):
    """a load generator calls two echo servers with one file, one after the other, and all streams are numbered alike: two calls,
    not linked"""
    for n, host in enumerate((A, B)):
        d = _Dialog(c, f'reflect{n}', a=GATEWAY, b=host, users=(f'20{1 + n}', f'80{n}'))
        d.begin(0.25 * n, ports=(6000 + 10 * n, 5000))
        near, far = (GATEWAY, 6000 + 10 * n), (host, 5000)
        c.rtp(0.2 + 0.25 * n, 0.6, near, far, ssrc=0xca110000, hz=440)
        c.rtp(0.201 + 0.25 * n, 0.6, far, near, ssrc=0xca110000, hz=440)
        d.end(1.0 + 0.25 * n)
    return {'calls': [_call(f'reflect{n}', caller={'number': f'20{1 + n}'}, tones=[440, 440]) for n in (0, 1)]}


def legs_of_load(c):
    """a load generator plays one file, numbered alike, through a gateway in call after call: each call is its own, not linked"""
    ids = [('load0', 'load0-b'), ('load1', 'load1-b')]
    for n, (near, far) in enumerate(ids):
        one, two = _Dialog(c, near, b=GATEWAY), _Dialog(c, far, a=GATEWAY, users=(f'21{n}', f'90{n}'))
        at, p = 0.4 * n, 10 * n
        one.users = (f'21{n}', f'90{n}')
        one.ask(at, 'INVITE', 1, sdp(A, 4000 + p), tag=False)
        two.ask(at + 0.01, 'INVITE', 1, sdp(GATEWAY, 6000 + p), tag=False)
        two.answer(at + 0.05, '200 OK', 'INVITE', 1, sdp(B, 5000 + p))
        two.ask(at + 0.06, 'ACK', 1)
        one.answer(at + 0.07, '200 OK', 'INVITE', 1, sdp(GATEWAY, 6002 + p))
        one.ask(at + 0.08, 'ACK', 1)
        c.rtp(at + 0.1, 0.6, (A, 4000 + p), (GATEWAY, 6002 + p), ssrc=0xca110000, hz=440)
        c.rtp(at + 0.101, 0.6, (GATEWAY, 6000 + p), (B, 5000 + p), ssrc=0xca110000, hz=440)
        two.end(at + 0.9)
        one.end(at + 0.91)
    return {'calls': [_call(*pair, caller={'number': f'21{n}'}, tones=[440, None]) for n, pair in enumerate(ids)]}
