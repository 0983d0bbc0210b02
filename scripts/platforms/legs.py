"""Several legs of one call on the mirror: which of them are one voice, and what tells that they are one call."""
from wire import sdp
from trunk import A, B, C, GATEWAY, PAIR, _at, _Dialog, _call, _links, _relayed

UCID = '\nUser-to-User: 00FA080001049215812345;encoding=hex'
SAME = {'what': 'same-media'}


def legs_of_a_bridge(c):
    """a bridge calls three phones with one UCID, and all answer: one call, in which all three are heard"""
    for n, hz in enumerate((440, 800, 1000)):
        d = _Dialog(c, f'bridge{n}', a=GATEWAY, b=f'10.3.0.{20 + n}', users=('bridge', f'30{n}'), more=UCID)
        d.begin(0.02 * n, ports=(6000 + 10 * n, 5000))
        d.speak(0.3, ports=(6000 + 10 * n, 5000), ssrc=(1 + 10 * n, 2 + 10 * n), tones=(620, hz))
        d.end(1.6 + 0.05 * n)
    return {'calls': [_call('bridge0', 'bridge1', 'bridge2', caller={'number': 'bridge'}, tones=[620, [440, 800, 1000]],
                            gaps=[], events=[])]}


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
