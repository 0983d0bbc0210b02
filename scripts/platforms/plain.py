"""Plain calls, of no vendor."""
from wire import sdp, sip

A, B = ('10.1.0.1', 5060), ('10.1.0.2', 5060)


def plain_call(c):
    """INVITE, 200, ACK, a second of RTP both ways, BYE."""
    def head(n, method, tag=';tag=2'):
        return f'''Via: SIP/2.0/UDP 10.1.0.1;branch=z9hG4bK{n}
            From: "Ann" <sip:201@10.1.0.1>;tag=1
            To: <sip:202@10.1.0.2>{tag}
            Call-ID: plain
            CSeq: {n} {method}'''
    typed = '\nContent-Type: application/sdp'
    c.udp(0.0, A, B, sip('INVITE sip:202@10.1.0.2 SIP/2.0', head(1, 'INVITE', '') + typed, sdp(A[0], 4000)))
    c.udp(0.1, B, A, sip('SIP/2.0 200 OK', head(1, 'INVITE') + typed, sdp(B[0], 5000)))
    c.udp(0.11, A, B, sip('ACK sip:202@10.1.0.2 SIP/2.0', head(1, 'ACK')))
    c.rtp(0.12, 1.0, (A[0], 4000), (B[0], 5000), ssrc=1, hz=440)
    c.rtp(0.12, 1.0, (B[0], 5000), (A[0], 4000), ssrc=2, hz=1000)
    c.udp(1.2, A, B, sip('BYE sip:202@10.1.0.2 SIP/2.0', head(2, 'BYE')))
    c.udp(1.21, B, A, sip('SIP/2.0 200 OK', head(2, 'BYE')))
    return {'calls': [{
        'kind': 'call', 'call_ids': ['plain'], 'end': 'bye', 'caller': {'number': '201', 'name': 'Ann'}, 'gaps': [],
        'streams': [{'party': 'caller', 'packets': 50, 'lost': 0}, {'party': 'callee', 'packets': 50, 'lost': 0}],
        'tones': [440, 1000]}]}
