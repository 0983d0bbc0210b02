"""SIPREC that is odd in ways no vendor is known for: sent again, sent twice, contradicting itself, hostile."""
import base64

from siprec import (ANN, BOB, CAT, LINES, NS, PLAIN, RS, SENDS, SRC, SRS, STREAMS, TWO, _ann_bob, _call, _cube, _iso, _multi, _sdp, _Session, _usual,
                    _when, _who, _xml)
from wire import sdp, sip

SDP = 'application/sdp'


def siprec_sent_again(c):
    """INVITE and UPDATE are sent three times each, as over UDP without an answer in time: one event."""
    s = _Session(c, 'again')
    first = s.start(xml=_xml((ANN,), STREAMS, SENDS[:1]))
    c.udp(0.035, SRC, SRS, first)
    s.talk(0.05, 0.5)
    update = s.request(0.1, 'UPDATE', PLAIN, RS)
    for at in (0.2, 0.3):
        c.udp(at, SRC, SRS, update)
    s.reply(0.31, 'UPDATE')
    s.bye(0.6)
    return _ann_bob('again', events=[{'what': 'participant-joined', 'at': _when(0.1)}])


def siprec_who_left_is_back(c):
    """Bob is missing from one complete document and back in the next: he is Bob, not another."""
    s = _Session(c, 'back')
    s.start()
    s.talk(0.05, 0.8)
    s.update(0.3, _xml((ANN,), STREAMS, SENDS[:1]))
    s.update(0.5, PLAIN)
    s.bye(0.9)
    return _ann_bob('back', events=[{'what': 'participant-left', 'detail': '+15550102'}, {'what': 'participant-joined', 'detail': '+15550102'}])


def siprec_stream_handed_over(c):
    """Without a word of sessions: Bob's stream ends by its disassociate-time, and Cat sends it from then on, with a new SSRC."""
    s = _Session(c, 'handed')
    s.start()
    s.talk(0.05, 0.5)
    give = f'<participantstreamassoc participant_id="pb"><send>sb</send><disassociate-time>{_iso(0.55)}</disassociate-time></participantstreamassoc>'
    s.update(0.56, _xml((CAT,), (), (('pc', ['sb']),), 'partial', more=give))
    s.talk(0.6, 0.5, (440,), ssrc=0x100)
    c.rtp(0.6, 0.5, (SRC[0], 6002), (SRS[0], 7002), ssrc=0x201, hz=2000)
    s.bye(1.2)
    people = [_who('caller', '201', 'Ann'), _who('callee', '+15550102', 'Bob'), _who('p3', '203', 'Cat')]
    return {'calls': [_call('handed', people, ['caller', 'callee', 'p3'], [440, 1000, 2000], events=[{'what': 'participant-joined'}])]}


def siprec_video_between(c):
    """A video line between the two of sound."""
    s = _Session(c, 'video')
    body = _sdp(*LINES).replace('m=audio 6002', 'm=video 6100 RTP/AVP 97\na=rtpmap:97 H264/90000\na=label:3\na=sendonly\nm=audio 6002')
    s.request(0.0, 'INVITE', _multi((SDP, body), (RS, PLAIN)), 'multipart/mixed;boundary=foobar')
    s.reply(0.02, 'INVITE', _sdp((7000, '1'), (7002, '2'), host=SRS[0]).replace('m=audio 7002', 'm=video 0 RTP/AVP 97\nm=audio 7002'))
    s.request(0.03, 'ACK')
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return _ann_bob('video')


def siprec_one_id_for_two(c):
    """Both participants have the same id: they are two, and neither is lost. Whose stream is whose nobody can tell."""
    s = _Session(c, 'oneid')
    s.start(xml=_xml((('p', *ANN[1:]), ('p', *BOB[1:])), STREAMS, (('p', ['sa']), ('p', ['sb']))))
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return {'calls': [{'kind': 'siprec', 'call_ids': ['oneid'], 'events': [],
                       'participants': [_who('caller', '201', 'Ann', left_at=None), _who('callee', '+15550102', 'Bob', left_at=None)]}]}


def siprec_delayed_offer(c):
    """INVITE with metadata alone, the recorder's offer in its answer, the client's SDP in the ACK."""
    s = _Session(c, 'delayed')
    s.request(0.0, 'INVITE', PLAIN, RS)
    s.reply(0.02, 'INVITE', _sdp((7000, '1'), (7002, '2'), host=SRS[0], way='recvonly'))
    s.request(0.03, 'ACK', _sdp(*LINES), SDP)
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return _ann_bob('delayed')


def siprec_numbers_go_on_in_a_pause(c):
    """The client counts packets that it does not send while it is paused: that is a pause, not a loss of the network."""
    s = _Session(c, 'counts')
    s.start()
    s.talk(0.05, 0.4)
    s.hold(0.45, _sdp(*LINES, way='inactive'))
    s.hold(1.45, _sdp(*LINES))
    s.said = {k: v + 50 for k, v in s.said.items()}
    s.talk(1.45, 0.4)
    s.bye(1.95)
    gaps = [{'party': p, 'cause': 'pause', 'length_s': 1.0} for p in ('caller', 'callee')]
    return _ann_bob('counts', gaps=gaps, events=[{'what': 'pause'}, {'what': 'resume'}])


def siprec_paused_by_the_recorder(c):
    """The recorder offers a=inactive, and later a=recvonly; then a pause that lasts to the end."""
    s = _Session(c, 'srs')
    s.start()
    s.talk(0.05, 0.4)
    n = [10]

    def ask(at, way, answer):
        n[0] += 1
        head = f'''From: <sip:rec@10.2.0.9>;tag=srs
            To: <sip:src@10.2.0.1>;tag=src
            Call-ID: srs
            CSeq: {n[0]} INVITE
            Content-Type: application/sdp'''
        s.send(at, SRS, SRC, sip('INVITE sip:src@10.2.0.1 SIP/2.0', head, _sdp((7000, '1'), (7002, '2'), host=SRS[0], way=way)))
        s.send(at + 0.01, SRC, SRS, sip('SIP/2.0 200 OK', head, _sdp(*LINES, way=answer)))
    ask(0.45, 'inactive', 'inactive')
    ask(1.43, 'recvonly', 'sendonly')
    s.talk(1.45, 0.4)
    ask(1.85, 'inactive', 'inactive')
    s.bye(2.85)
    gaps = [{'cause': 'pause', 'start_s': 0.43, 'length_s': 1.0}] * 2 + [{'cause': 'pause', 'start_s': 1.83, 'length_s': 1.0}] * 2
    return _ann_bob('srs', gaps=gaps, events=[{'what': 'pause'}, {'what': 'resume'}, {'what': 'pause'}])


def siprec_in_base64(c):
    """The metadata in base64, the SDP in quoted-printable."""
    text = base64.encodebytes(PLAIN.encode())
    body = _multi((SDP, _sdp(*LINES).replace('=', '=3D'), 'Content-Transfer-Encoding: quoted-printable'), (RS, text, 'Content-Transfer-Encoding: base64'))
    s = _Session(c, 'encoded')
    s.offer(0.0, body, 'multipart/mixed;boundary=foobar')
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return _ann_bob('encoded')


def siprec_hostile_times(c):
    """Dates of the year 9999, of 1601, in other zones, of no form at all: what cannot be is not believed."""
    times = {'pa': '<associate-time>9999-12-31T23:59:59Z</associate-time>', 'pb': '<associate-time>soon</associate-time>'}
    s = _Session(c, 'times')
    s.start(xml=_xml((ANN, BOB), STREAMS, SENDS, times=times))
    s.talk(0.05, 0.5)
    s.update(0.3, _xml((ANN,), (), (), 'partial', times={'pa': '<associate-time>1601-01-01T00:00:00+14:00</associate-time>'}))
    s.bye(0.6)
    out = _ann_bob('times')
    for p in out['calls'][0]['participants']:
        p['joined_at'] = _when(0)
    return out


def siprec_six_hundred_people(c):
    """A document of 600 participants, 40 levels of elements around a name, and one of 12,000 elements, which is refused."""
    crowd = tuple((f'x{i}', f'sip:{1000 + i}@corp.example', '') for i in range(600))
    s = _Session(c, 'crowd')
    s.fragment = 1480
    s.c.cut = 1400
    s.carry = lambda at, a, b, m: c.tcp(at, (a[0], 40000 if a == SRC else 5060), (b[0], 40000 if b == SRC else 5060), m)
    deep = '<v>' * 40 + 'x' + '</v>' * 40
    s.start(0.1, _xml((ANN, BOB), STREAMS, SENDS, more=f'<extensiondata>{deep}</extensiondata>'))
    s.talk(0.15, 0.5)
    many = ''.join(f'<participant participant_id="{i}"/>' for i, _, _ in crowd)
    s.update(0.2, f'<recording xmlns="{NS}"><datamode>partial</datamode>{many}</recording>')
    s.update(0.3, f'<recording xmlns="{NS}"><datamode>complete</datamode>{"<x/>" * 12000}</recording>')
    s.bye(0.7)
    return {'calls': [{'kind': 'siprec', 'call_ids': ['crowd'], 'caller': {'number': '201', 'name': 'Ann'}, 'callee': {'number': '+15550102'},
                       'streams': [{'party': 'caller'}, {'party': 'callee'}]}]}


def siprec_control_characters(c):
    """NULs and other characters that XML does not allow, in a name and between elements."""
    s = _Session(c, 'control')
    s.start(xml=PLAIN.replace('>Ann<', '>A\0n\x07n<').replace('<stream ', '\x01<stream ').encode())
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return _ann_bob('control', events=[{'what': 'metadata-mended'}])


def cube_participant_oddities(c):
    """media-index without quotes, out of range, not a number; a display name; brackets."""
    s = _Session(c, 'cubeodd', '<sip:10.2.0.1:5060>', '', '<sip:10.2.0.1>')
    more = '''X-Cisco-Recording-Participant: "Desk, 1" <sip:2164@ccf.org>;media-index=0
            X-Cisco-Recording-Participant: <sip:20053@10.144.106.41;user=phone>;media-index="1"
            X-Cisco-Recording-Participant: sip:30001@h;media-index="99999999999999999999"
            X-Cisco-Recording-Participant: ;;;=,,,'''
    s.offer(0.0, sdp(SRC[0], (6000, '0', 'a=sendonly'), (6002, '0', 'a=sendonly')), SDP, more=more)
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return {'calls': [{'kind': 'siprec', 'call_ids': ['cubeodd'], 'caller': {'number': '2164', 'name': 'Desk, 1'}, 'callee': {'number': '20053'},
                       'streams': [{'party': 'caller'}, {'party': 'callee'}], 'events': []}]}


def siprec_rtp_before_invite(c):
    """The sound begins 100 ms before the INVITE is heard."""
    s = _Session(c, 'before')
    s.talk(0.0, 0.6)
    s.start(0.1)
    s.bye(0.7)
    return _ann_bob('before')


def siprec_refused_update(c):
    """A re-INVITE that pauses is refused with 488: the session goes on as before."""
    s = _Session(c, 'refused')
    s.start()
    s.talk(0.05, 0.8)
    s.request(0.3, 'INVITE', _sdp(*LINES, way='inactive'), SDP)
    s.reply(0.32, 'INVITE', status='488 Not Acceptable Here')
    s.request(0.33, 'ACK')
    s.bye(0.9)
    return _ann_bob('refused', events=[{'what': 'pause'}, {'what': 'offer-rejected'}, {'what': 'resume'}])


def siprec_same_label_twice(c):
    """Both m= lines bear the label 1: nobody can say who is in which, and both are kept apart from nobody's."""
    s = _Session(c, 'labels')
    s.start(lines=((6000, '1'), (6002, '1')), labels=('1', '1'))
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return {'calls': [{'kind': 'siprec', 'call_ids': ['labels'], 'end': 'bye',
                       'streams': [{'party': 'caller'}, {'party': 'callee'}], 'tones': list(TWO)}]}


def siprec_over_ipv6(c):
    """IPv6, and an INVITE in fragments."""
    a, b = ('2001:db8::1', 5060), ('2001:db8::9', 5060)
    s = _Session(c, 'six')
    s.carry = lambda at, x, y, m: c.udp(at, a if x == SRC else b, b if x == SRC else a, m, fragment=1232)
    body = _multi((SDP, _sdp(*LINES, host=a[0])), (RS, PLAIN))
    s.request(0.0, 'INVITE', body, 'multipart/mixed;boundary=foobar')
    s.reply(0.02, 'INVITE', _sdp((7000, '1'), (7002, '2'), host=b[0], way='recvonly'))
    s.request(0.03, 'ACK')
    for i, hz in enumerate(TWO):
        c.rtp(0.05, 0.5, (a[0], 6000 + 2 * i), (b[0], 7000 + 2 * i), ssrc=1 + i, hz=hz)
    s.bye(0.6)
    return _ann_bob('six')


# A second look: what a sceptic tried.

def siprec_metadata_before_and_after(c):
    """The INVITE has SDP alone; the metadata comes in an INFO of its own, in a multipart body of one part."""
    s = _Session(c, 'info')
    s.offer(0.0, _sdp(*LINES), SDP)
    s.request(0.1, 'INFO', _multi((RS, PLAIN)), 'multipart/mixed;boundary=foobar')
    s.reply(0.12, 'INFO')
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return _ann_bob('info')


def siprec_labels_swapped(c):
    """A re-INVITE gives the labels to the other lines, with new ports: each voice is still its own."""
    s = _Session(c, 'swap')
    s.start()
    s.talk(0.05, 0.4)
    s.offer(0.5, _sdp((6010, '2'), (6012, '1')), SDP, ports=(7010, 7012), labels='21')
    s.talk(0.55, 0.4, (1000, 440), source=6010, destination=7010, ssrc=0x200)
    s.bye(1.0)
    people = [_who('caller', '201', 'Ann'), _who('callee', '+15550102', 'Bob')]
    return {'calls': [_call('swap', people, ['caller', 'callee', 'callee', 'caller'], list(TWO))]}


def siprec_same_number_at_both_ends(c):
    """Both participants have one address, as who calls his own voicemail; new ids in a second document change nothing."""
    s = _Session(c, 'own')
    me = 'sip:201@corp.example'
    s.start(xml=_xml((('pa', me, 'Ann'), ('pb', me, 'Voicemail')), STREAMS, SENDS))
    s.talk(0.05, 0.5)
    s.update(0.3, _xml((('qa', me, 'Ann'), ('qb', me, 'Voicemail')), STREAMS, (('qa', ['sa']), ('qb', ['sb']))))
    s.bye(0.6)
    people = [_who('caller', '201', 'Ann', left_at=None), _who('callee', '201', 'Voicemail', left_at=None)]
    return {'calls': [_call('own', people, ['caller', 'callee'], list(TWO), events=[])]}


def siprec_two_anonymous(c):
    """Anonymous callers have one address and are not one person."""
    s = _Session(c, 'anon')
    nobody = 'sip:anonymous@anonymous.invalid'
    s.start(xml=_xml((ANN, ('p1', nobody, '')), STREAMS, (('pa', ['sa']), ('p1', ['sb']))))
    s.talk(0.05, 0.5)
    s.update(0.3, _xml((ANN, ('p2', nobody, '')), STREAMS, (('pa', ['sa']), ('p2', ['sb']))))
    s.bye(0.6)
    people = [_who('caller', '201', 'Ann'), _who('callee', 'anonymous', left_at=_when(0.3)), _who('p3', 'anonymous', joined_at=_when(0.3), left_at=None)]
    return {'calls': [_call('anon', people, ['caller', 'callee'],
                            events=[{'what': 'participant-joined'}, {'what': 'participant-left'}, {'what': 'transfer'}])]}


def siprec_anonymous_becomes_known(c):
    """The same id, first anonymous and then with an address: one person, who has a name now."""
    s = _Session(c, 'known')
    s.start(xml=_xml((ANN, ('pb', 'sip:anonymous@anonymous.invalid', '')), STREAMS, SENDS))
    s.talk(0.05, 0.5)
    s.update(0.3, _xml((BOB,), mode='partial'))
    s.bye(0.6)
    return _ann_bob('known')


def siprec_only_one_line_flows(c):
    """The recorder refuses the second stream: the first is still Ann's alone."""
    s = _Session(c, 'refuses')
    s.start(ports=(7000, 0))
    s.talk(0.05, 0.5, (440,))
    s.bye(0.6)
    people = [_who('caller', '201', 'Ann'), _who('callee', '+15550102', 'Bob')]
    return {'calls': [_call('refuses', people, ['caller'], [440, None], events=[])]}


def siprec_three_streams_and_a_mix(c):
    """Two streams of one voice each, and a third with both: the third is mixed, and in nobody's channel but its own."""
    s = _Session(c, 'three')
    both = (('pa', ['sa', 'sm']), ('pb', ['sb', 'sm']))
    lines = (*LINES, (6004, '3'))
    s.start(xml=_xml((ANN, BOB), (*STREAMS, ('sm', '3')), both), lines=lines, ports=(7000, 7002, 7004), labels='123')
    s.talk(0.05, 0.5, (440, 1000, 2000))
    s.bye(0.6)
    return {'calls': [_call('three', [_who('caller', '201', 'Ann'), _who('callee', '+15550102', 'Bob')], ['caller', 'callee', 'mixed'], [440, 1000, 2000], events=[])]}


def siprec_session_over_before_bye(c):
    """The client says that the session has ended, and hangs up a while later: who left when is told."""
    s = _Session(c, 'over')
    s.start()
    s.talk(0.05, 0.5)
    s.update(0.6, _xml(mode='partial', more=f'<session session_id="s1"><stop-time>{_iso(0.55)}</stop-time></session>'))
    s.bye(0.9)
    people = [_who('caller', '201', 'Ann', left_at=_when(0.55)), _who('callee', '+15550102', 'Bob', left_at=_when(0.55))]
    return {'calls': [_call('over', people, ['caller', 'callee'], list(TWO), events=[{'what': 'participant-left'}] * 2)]}


def siprec_update_lost(c):
    """Half of the fragments of the UPDATE are lost: the call goes on with what was known."""
    s = _Session(c, 'lost')
    s.start()
    s.talk(0.05, 0.5)
    from wire import ip_fragments, udp_segment
    keep = []
    s.carry = lambda at, a, b, m: keep.extend((at, a, b, p) for p in ip_fragments(a[0], b[0], 17, udp_segment(a, b, m), 99, 512)[::2])
    s.request(0.3, 'UPDATE', _xml((ANN, CAT), STREAMS, SENDS), RS)
    for at, a, b, piece in keep:
        c.ip(at, a[0], b[0], piece)
    s.carry = None
    s.bye(0.6)
    return _ann_bob('lost')


def siprec_cseq_goes_back(c):
    """A CSeq that does not grow, as a client that lost its count sends it, with news in the metadata all the same."""
    s = _Session(c, 'cseq')
    s.start(xml=_xml((ANN,), STREAMS, SENDS[:1]))
    s.talk(0.05, 0.5)
    s.cseq = 0
    s.update(0.3, PLAIN, 'INFO')
    s.bye(0.6)
    return _ann_bob('cseq', events=[{'what': 'participant-joined', 'detail': '+15550102'}])


def siprec_begins_paused(c):
    """Recording on demand: the session begins with a=inactive, and sound comes a second later."""
    s = _Session(c, 'demand')
    s.offer(0.0, _multi((SDP, _sdp(*LINES, way='inactive')), (RS, PLAIN)), 'multipart/mixed;boundary=foobar', way='inactive')
    s.offer(1.0, _sdp(*LINES), SDP)
    s.talk(1.05, 0.5)
    s.bye(1.6)
    gaps = [{'party': p, 'cause': 'pause', 'start_s': 0.0, 'length_s': 1.03} for p in ('callee', 'caller')]
    return _ann_bob('demand', gaps=gaps, events=[{'what': 'pause', 'at': _when(0.0)}, {'what': 'resume', 'at': _when(1.02)}])


def siprec_plain_call_to_a_recorder(c):
    """A plain call that a recorder answers with +sip.srs in its Contact is still a plain call."""
    s = _Session(c, 'plainrec', '<sip:201@10.2.0.1>', '', '"Ann" <sip:201@10.2.0.1>')
    s.offer(0.0, _sdp((6000, '1'), way='sendrecv'), SDP, ports=(7000,), labels='1', way='sendrecv')
    s.talk(0.05, 0.5, (440,))
    s.bye(0.6)
    return {'calls': [{'kind': 'call', 'call_ids': ['plainrec'], 'caller': {'number': '201', 'name': 'Ann'}, 'callee': {'number': 'rec'},
                       'streams': [{'party': 'caller'}]}]}


def siprec_two_lines_at_one_port(c):
    """A recorder that takes both lines at one port: the client's ports, which its offer names, tell them apart."""
    s = _Session(c, 'oneport')
    s.request(0.0, 'INVITE', _multi(('application/sdp', _sdp(*LINES)), (RS, PLAIN)), 'multipart/mixed;boundary=foobar')
    s.reply(0.02, 'INVITE', _sdp((7000, '1'), (7000, '2'), host=SRS[0], way='recvonly'))
    s.request(0.03, 'ACK')
    for n, hz in enumerate(TWO):
        c.rtp(0.05, 0.5, (SRC[0], 6000 + 2 * n), (SRS[0], 7000), ssrc=0x100 + n, hz=hz)
    s.bye(0.6)
    return _ann_bob('oneport')


def cube_participants_in_one_line(c):
    """Both participants in one header with a comma, the second line's first; each has a video line besides (media-index "0 2")."""
    who = 'X-Cisco-Recording-Participant: sip:+15550102@10.2.0.1;media-index="1 3", "Ann" <sip:201@10.2.0.1>;media-index="0 2"'
    s = _Session(c, 'cubelist', more=f'{who}\nUser-Agent: Cisco-SIPGateway/IOS-16.6.1')
    s.offer(0.0, _sdp(*LINES), SDP)
    s.talk(0.05, 0.5)
    s.bye(0.6)
    people = [_who('caller', '+15550102'), _who('callee', '201', 'Ann')]
    return {'calls': [_call('cubelist', people, ['callee', 'caller'], [1000, 440], platform='cisco-cube')]}
