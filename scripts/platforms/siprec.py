"""SIPREC (RFC 7865, RFC 7866) in the dialects of its vendors, and Cisco CUBE's X-Cisco-Recording-Participant. Each capture
is one recording session: the client at 10.2.0.1, the recorder at 10.2.0.9."""
import datetime

from wire import EPOCH, ip_fragments, sdp, sip, udp_segment

SRC, SRS = ('10.2.0.1', 5060), ('10.2.0.9', 5060)
NS = 'urn:ietf:params:xml:ns:recording:1'
RS = 'application/rs-metadata+xml'
TWO = (440, 1000)


def _iso(at, zone='Z'):
    return datetime.datetime.fromtimestamp(EPOCH + at, datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.%f')[:-3] + zone


def _when(at):
    return _iso(at, '000Z')


def _multi(*parts, boundary='foobar', eol='\r\n', close=True, blanks=''):
    """(type, text, *more header lines) each; text may be bytes"""
    out = b''
    for kind, body, *more in parts:
        head = eol.join([f'--{boundary}{blanks}', f'Content-Type: {kind}', *more]) + eol * 2
        body = body if isinstance(body, bytes) else body.replace('\n', eol).encode()
        out += head.encode() + body + eol.encode()
    return out + (f'--{boundary}--{eol}'.encode() if close else b'')


def _xml(people=(), streams=(), sends=(), mode='complete', more='', session='s1', ns=f'xmlns="{NS}"', times=None):
    """RFC 7865: (id, aor, name) of people, (id, label) of streams, (id of participant, ids of streams) of sends"""
    out = f'<?xml version="1.0" encoding="UTF-8"?>\n<recording {ns}>\n<datamode>{mode}</datamode>\n'
    if mode == 'complete':
        out += f'<group group_id="g1"/><session session_id="{session}"><group-ref>g1</group-ref></session>\n'
    for i, aor, name in people:
        name = f'<name xml:lang="en">{name}</name>' if name else ''
        out += f'<participant participant_id="{i}"><nameID aor="{aor}">{name}</nameID></participant>\n'
        out += f'<participantsessionassoc participant_id="{i}" session_id="{session}">{(times or {}).get(i, "")}</participantsessionassoc>\n'
    for i, label in streams:
        out += f'<stream stream_id="{i}" session_id="{session}"><label>{label}</label></stream>\n'
    for i, ids in sends:
        out += f'<participantstreamassoc participant_id="{i}">' + ''.join(f'<send>{s}</send>' for s in ids) + '</participantstreamassoc>\n'
    return out + more + '</recording>\n'


ANN, BOB, CAT = ('pa', 'sip:201@corp.example', 'Ann'), ('pb', 'sip:+15550102@pstn.example', 'Bob'), ('pc', 'sip:203@corp.example', 'Cat')
STREAMS, SENDS = (('sa', '1'), ('sb', '2')), (('pa', ['sa']), ('pb', ['sb']))
PLAIN = _xml((ANN, BOB), STREAMS, SENDS)


def _sdp(*lines, host=SRC[0], way='sendonly'):
    """(port, label) each"""
    return sdp(host, *((port, '0', f'a=label:{label}', *([f'a={way}'] if way else [])) for port, label in lines))


LINES = ((6000, '1'), (6002, '2'))


class _Session:
    """a recording session; messages go over UDP unless `tcp`"""

    def __init__(self, c, name, contact='<sip:src@10.2.0.1>;+sip.src', more='Require: siprec', source='"SRC" <sip:src@10.2.0.1>'):
        self.c, self.name, self.contact, self.more, self.source = c, name, contact, more, source
        self.cseq, self.tag, self.eol, self.fragment, self.carry, self.said = 0, '', '\r\n', 0, None, {}

    def send(self, at, a, b, message):
        if self.carry is not None:
            self.carry(at, a, b, message)
        else:
            self.c.udp(at, a, b, message, fragment=self.fragment)

    def head(self, method, tag):
        return f'''Via: SIP/2.0/UDP 10.2.0.1;branch=z9hG4bK{self.cseq}
            From: {self.source};tag=src
            To: <sip:rec@10.2.0.9>{tag}
            Call-ID: {self.name}
            CSeq: {self.cseq} {method}
            Contact: {self.contact}'''

    def request(self, at, method, body=b'', kind='', more='', cseq=None, tag=None):
        self.cseq += method != 'ACK'
        head = self.head(cseq or method, self.tag if tag is None else tag) + (f'\n{more or self.more}' if more or self.more else '')
        message = sip(f'{method} sip:rec@10.2.0.9 SIP/2.0', head + (f'\nContent-Type: {kind}' if kind else ''), body, self.eol)
        self.send(at, SRC, SRS, message)
        return message

    def reply(self, at, method, body='', status='200 OK'):
        self.tag = ';tag=srs'
        head = self.head(method, self.tag).replace(self.contact, '<sip:rec@10.2.0.9>;+sip.srs')
        kind = '\nContent-Type: application/sdp' if body else ''
        self.send(at, SRS, SRC, sip(f'SIP/2.0 {status}', head + kind, body))

    def offer(self, at, body, kind='multipart/mixed;boundary=foobar', ports=(7000, 7002), labels=('1', '2'), way='recvonly', more=''):
        """INVITE, its answer and ACK; the answer 20 ms after"""
        message = self.request(at, 'INVITE', body, kind, more)
        answer = _sdp(*zip(ports, labels), host=SRS[0], way=way)
        self.reply(at + 0.02, 'INVITE', answer)
        self.request(at + 0.03, 'ACK')
        return message

    def start(self, at=0.0, xml=PLAIN, lines=LINES, **more):
        return self.offer(at, _multi(('application/sdp', _sdp(*lines)), (RS, xml, 'Content-Disposition: recording-session')), **more)

    def update(self, at, xml, method='UPDATE', kind=RS):
        self.request(at, method, xml, kind)
        self.reply(at + 0.02, method)

    def hold(self, at, body):
        """a re-INVITE of SDP alone"""
        self.offer(at, body, 'application/sdp', ports=[7000 + 2 * i for i in range(body.count('m=audio'))], way=None)

    def talk(self, at, seconds, hz=TWO, source=6000, destination=7000, ssrc=0x100):
        for i, f in enumerate(hz):
            said = self.said.get(ssrc + i, 100)
            self.c.rtp(at, seconds, (SRC[0], source + 2 * i), (SRS[0], destination + 2 * i), ssrc=ssrc + i, hz=f,
                       seq=said, stamp=8000 + round(at * 8000))
            self.said[ssrc + i] = said + round(seconds * 50)

    def bye(self, at):
        self.request(at, 'BYE')
        self.reply(at + 0.01, 'BYE')


def _call(name, people, speakers, tones=None, **more):
    return {'kind': 'siprec', 'call_ids': [name], 'end': 'bye', 'participants': people,
            'streams': [{'party': p} for p in speakers], **({'tones': tones} if tones else {}), **more}


def _who(party, number, name=None, **more):
    return {'party': party, 'number': number, 'name': name, **more}


def _ann_bob(name, **more):
    people = [_who('caller', '201', 'Ann', left_at=None), _who('callee', '+15550102', 'Bob', left_at=None)]
    more = {'gaps': [], 'events': [], **more}
    return {'calls': [_call(name, people, ['caller', 'callee'], list(TWO), **more)]}


def _usual(c, name, tail=True, **more):
    """Ann and Bob for half a second"""
    s = _Session(c, name, **more)
    s.start()
    s.talk(0.05, 0.5)
    if tail:
        s.bye(0.6)
    return s


# What the RFCs say.

def rfc7866_two_streams(c):
    """Two m= lines, complete metadata, labels tie the streams to the people."""
    _usual(c, 'two')
    return _ann_bob('two', caller={'uri': 'sip:201@corp.example', 'number': '201', 'name': 'Ann'}, platform=None, direction=None,
                    identifiers={'siprec-session-id': 's1', 'siprec-group-id': 'g1'})


def rfc7865_partial_updates(c):
    """The name of one comes later, a third joins with a stream of her own, one leaves: each in a partial UPDATE."""
    s = _Session(c, 'partial')
    s.start(xml=_xml((ANN, BOB[:2] + ('',)), STREAMS, SENDS))
    s.talk(0.05, 1.0)
    s.update(0.2, _xml((BOB,), mode='partial'))
    join = _xml((CAT,), (('sc', '3'),), (('pc', ['sc']),), 'partial', times={'pc': f'<associate-time>{_iso(0.35)}</associate-time>'})
    s.offer(0.4, _multi(('application/sdp', _sdp(*LINES, (6004, '3'))), (RS, join)), ports=(7000, 7002, 7004), labels='123')
    c.rtp(0.45, 0.6, (SRC[0], 6004), (SRS[0], 7004), ssrc=0x300, hz=2000)
    s.update(0.9, _xml(mode='partial', more=f'<participantsessionassoc participant_id="pb" session_id="s1"><disassociate-time>{_iso(0.8)}'
                                            '</disassociate-time></participantsessionassoc>'))
    s.bye(1.1)
    people = [_who('caller', '201', 'Ann', joined_at=_when(0), left_at=None), _who('callee', '+15550102', 'Bob', left_at=_when(0.8)),
              _who('p3', '203', 'Cat', joined_at=_when(0.35), left_at=None)]
    return {'calls': [_call('partial', people, ['caller', 'callee', 'p3'], [440, 1000, 2000],
                            events=[{'what': 'participant-joined', 'detail': '203'}, {'what': 'participant-left', 'detail': '+15550102'}])]}


def rfc7865_session_replaced(c):
    """A transfer: the session ends and another begins, with new ids for everything; Ann is still Ann."""
    s = _Session(c, 'replaced')
    s.start()
    s.talk(0.05, 0.5)
    again = _xml((('qa', ANN[1], 'Ann'), ('qc', CAT[1], 'Cat')), (('ta', '1'), ('tc', '2')), (('qa', ['ta']), ('qc', ['tc'])), session='s2',
                 more='<session session_id="s1"><reason>SIP;cause=200;text="transferred"</reason>'
                      f'<stop-time>{_iso(0.55)}</stop-time></session>')
    s.start(0.6, again)
    s.talk(0.65, 0.5, (440, 2000), ssrc=0x200)
    s.bye(1.2)
    people = [_who('caller', '201', 'Ann', joined_at=_when(0), left_at=None), _who('callee', '+15550102', 'Bob', left_at=_when(0.6)),
              _who('p3', '203', 'Cat', joined_at=_when(0.6), left_at=None)]
    events = ['participant-joined', 'participant-left', 'session-reason', 'transfer']
    return {'calls': [_call('replaced', people, ['caller', 'callee', 'caller', 'p3'], [440, 1000, 2000], events=[{'what': e} for e in events])]}


def rfc7865_two_sessions(c):
    """A consultation: two sessions in one document. Ann is in both, and leaves none when the second ends."""
    s = _Session(c, 'consult')
    third = '<session session_id="s2"/><participantsessionassoc participant_id="pa" session_id="s2"/>' \
            '<participant participant_id="pc"><nameID aor="sip:203@corp.example"/></participant>' \
            '<participantsessionassoc participant_id="pc" session_id="s2"/>'
    s.start(xml=_xml((ANN, BOB), STREAMS, SENDS, more=third))
    s.talk(0.05, 0.8)
    s.update(0.5, _xml(mode='partial', more=f'<session session_id="s2"><stop-time>{_iso(0.45)}</stop-time></session>'))
    s.bye(0.9)
    people = [_who('caller', '201', 'Ann', left_at=None), _who('callee', '+15550102', 'Bob', left_at=None), _who('p3', '203', left_at=_when(0.45))]
    return {'calls': [_call('consult', people, ['caller', 'callee'], list(TWO), identifiers={'siprec-session-id': 's1 s2'},
                            events=[{'what': 'participant-left', 'detail': '203'}])]}


def rfc7866_pause(c):
    """sendonly, inactive, sendonly: a pause of both, with its events."""
    s = _Session(c, 'pause')
    s.start()
    s.talk(0.05, 0.4)
    s.hold(0.45, _sdp(*LINES, way='inactive'))
    s.hold(1.45, _sdp(*LINES))
    s.talk(1.5, 0.4)
    s.bye(1.95)
    gaps = [{'party': p, 'cause': 'pause', 'length_s': 1.05} for p in ('callee', 'caller')]
    return _ann_bob('pause', gaps=gaps, events=[{'what': 'pause', 'at': _when(0.45)}, {'what': 'resume', 'at': _when(1.45)}])


def rfc7866_one_stream_paused(c):
    """Only Bob's stream is inactive for a while: his gap is a pause, Ann has none."""
    s = _Session(c, 'onepause')
    s.start()
    s.talk(0.05, 0.4)
    both = _sdp(*LINES)
    s.hold(0.45, both[:both.rindex('sendonly')] + 'inactive\n')
    s.talk(0.46, 1.0, (440,), ssrc=0x100)
    s.hold(1.45, both)
    s.talk(1.47, 0.3)
    s.bye(1.8)
    gaps = [{'party': 'callee', 'cause': 'pause', 'start_s': 0.43, 'length_s': 1.02}]
    return _ann_bob('onepause', gaps=gaps, events=[{'what': 'pause', 'at': _when(0.45)}, {'what': 'resume', 'at': _when(1.45)}])


def rfc7866_refresh_changes_nothing(c):
    """A session refresh: a re-INVITE and an UPDATE with the same SDP and the same metadata are no event at all."""
    s = _usual(c, 'refresh', tail=False)
    s.start(0.2)
    s.offer(0.3, _sdp(*LINES), 'application/sdp')
    s.request(0.4, 'UPDATE')
    s.reply(0.41, 'UPDATE')
    s.bye(0.6)
    return _ann_bob('refresh')


def rfc7866_joined_late(c):
    """The capture begins in the session: an UPDATE of metadata alone is the first that is heard."""
    s = _Session(c, 'late')
    s.tag = ';tag=srs'
    s.talk(0.0, 0.5)
    s.update(0.1, PLAIN)
    s.start(0.2)
    s.bye(0.6)
    return {'calls': [{'kind': 'siprec', 'call_ids': ['late'], 'streams': [{'party': 'caller'}, {'party': 'callee'}], 'tones': list(TWO),
                       'participants': [_who('caller', '201', 'Ann'), _who('callee', '+15550102', 'Bob')]}]}


def rfc7866_answer_by_the_client(c):
    """The recorder asks for a snapshot (rs-metadata-request), and the client sends it in an INFO and in a 200 OK."""
    s = _Session(c, 'snapshot')
    s.start(xml=_xml((ANN,), STREAMS, SENDS[:1]))
    s.talk(0.05, 0.5)
    s.send(0.1, SRS, SRC, sip('UPDATE sip:src@10.2.0.1 SIP/2.0', '''From: <sip:rec@10.2.0.9>;tag=srs
        To: <sip:src@10.2.0.1>;tag=src
        Call-ID: snapshot
        CSeq: 7 UPDATE
        Content-Type: application/rs-metadata-request''', '<requestsnapshot xmlns="urn:ietf:params:xml:ns:recording:1"/>'))
    s.send(0.12, SRC, SRS, sip('SIP/2.0 200 OK', f'''From: <sip:rec@10.2.0.9>;tag=srs
        To: <sip:src@10.2.0.1>;tag=src
        Call-ID: snapshot
        CSeq: 7 UPDATE
        Content-Type: {RS}''', _xml((ANN, BOB), STREAMS, SENDS)))
    s.update(0.3, _xml((BOB,), mode='partial'), 'INFO')
    s.bye(0.6)
    return _ann_bob('snapshot', events=[{'what': 'participant-joined', 'detail': '+15550102'}])


# BroadWorks and Webex.

def _broadworks(people, streams, kind, calling, called, send, user='8638254725@bw.example', extra=''):
    """people: (id, aor); streams: (id, label, mode); send: id of the stream of each"""
    out = '<?xml version="1.0" encoding="UTF-8"?>\n<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec">\n<dataMode>complete</dataMode>\n' \
          '<recording id="urn:uuid:r"><requestor>SRC</requestor><type>selective</type></recording>\n' \
          f'<group id="urn:uuid:g" recording="urn:uuid:r"><initiator>{people[0][1]}</initiator></group>\n' \
          '<session id="urn:uuid:s" group="urn:uuid:g"><start-time>2018-06-26T17:48:23+00:00</start-time></session>\n'
    for (i, aor), s in zip(people, send):
        out += f'<participant id="{i}" session="urn:uuid:s">\n<aor>{aor}</aor>\n<send>\n<id>{s}</id>\n</send>\n</participant>\n'
    for i, label, mode in streams:
        out += f'<stream id="{i}" session="urn:uuid:s"><label>{label}</label><mode>{mode}</mode></stream>\n'
    return out + f'''<extensiondata id="urn:uuid:x" parent="urn:uuid:s">
<broadWorksRecordingMetadata xmlns="http://schema.broadsoft.com/broadworksCallRecording" version="3.0">
<extTrackingID>track-1</extTrackingID>
<userID>{user}</userID>
<callID>callhalf-1:0</callID>
<callType><{kind}><callingPartyNumber>{calling}</callingPartyNumber><calledPartyNumber>{called}</calledPartyNumber></{kind}></callType>{extra}
</broadWorksRecordingMetadata></extensiondata></recording_metadata>
'''


BW = 'UniqueBroadWorksBoundary'
BW_KIND = f'multipart/mixed;boundary={BW}'
BW_USER, BW_OTHER, BW_THIRD = ('u', 'sip:8638254725'), ('o', 'sip:+19015783200@bw.example;user=phone'), ('t', '8638254999@bw.example')


def _bw_session(c, name):
    return _Session(c, name, '<sip:10.2.0.1:5060>;src', 'X-BroadWorks-Correlation-Info: corr-1', '"VVX 600"<sip:+12134174466@bw.example;user=phone>')


def _bw_start(s, xml, lines, at=0.0, first='sdp', labels='12', more=''):
    parts = [('application/sdp', _sdp(*lines, way=None)), (RS, xml, 'Content-Disposition:recording-session')]
    if first != 'sdp':
        parts.reverse()
    s.offer(at, _multi(*parts, boundary=BW), BW_KIND, ports=[7000 + 2 * i for i in range(len(lines))], labels=labels, more=more)


def broadworks_mixed_pause(c):
    """`;src` without Require; one mixed stream; a pause is c=0.0.0.0 without a=inactive. A termCall is inbound: the user was called."""
    s = _bw_session(c, 'bwpause')
    xml = _broadworks((BW_USER, BW_OTHER), (('m', '1', 'mixed'),), 'termCall', 'sip:+19015783200@bw.example;user=phone', 'sip:+18638254725@bw.example', 'mm')
    _bw_start(s, xml, ((6000, '1'),))
    s.talk(0.05, 0.4, (440,))
    line = _sdp((6000, '1'), way=None)
    s.hold(0.45, line.replace('c=IN IP4 10.2.0.1', 'c=IN IP4 0.0.0.0'))
    s.hold(1.45, line)
    s.talk(1.5, 0.4, (440,))
    s.bye(1.95)
    people = [_who('caller', '+19015783200'), _who('callee', '8638254725')]
    return {'calls': [_call('bwpause', people, ['mixed'], [440], platform='broadworks', direction='inbound',
                            identifiers={'extTrackingID': 'track-1', 'x-broadworks-correlation-info': 'corr-1', 'callID': 'callhalf-1:0'},
                            gaps=[{'party': 'mixed', 'cause': 'pause', 'length_s': 1.05}], events=[{'what': 'pause'}, {'what': 'resume'}])]}


def broadworks_conference(c):
    """A third joins by a re-INVITE, a fourth's name is an id without a scheme; the second leaves. All in one mixed stream."""
    s = _bw_session(c, 'bwconf')
    of = lambda *p: _broadworks(p, (('m', '1', 'mixed'),), 'origCall', 'sip:8638254725@bw.example', 'sip:+19015783200@bw.example', 'm' * len(p))
    _bw_start(s, of(BW_USER, BW_OTHER), ((6000, '1'),))
    s.talk(0.05, 0.9, (800,))
    _bw_start(s, of(BW_USER, BW_OTHER, BW_THIRD), ((6000, '1'),), 0.3)
    s.update(0.6, of(BW_USER, BW_THIRD))
    s.bye(1.0)
    people = [_who('caller', '8638254725', left_at=None), _who('callee', '+19015783200', left_at=_when(0.6)),
              _who('p3', '8638254999', joined_at=_when(0.3), left_at=None)]
    return {'calls': [_call('bwconf', people, ['mixed'], [800], direction='outbound',
                            events=[{'what': 'participant-joined', 'detail': '8638254999'}, {'what': 'participant-left', 'detail': '+19015783200'}])]}


def webex_metadata_first(c):
    """The metadata before the SDP; the user is an id, the number stands beside it; separate streams; a pause is a=inactive."""
    s = _Session(c, 'webex', '<sip:10.2.0.1:5060;transport=UDP>;src', 'Session-ID: 72fb;remote=0', '"User One"<sip:+12102298545@10.2.0.1;user=phone>')
    people = (('u', 'sip:yztpf@4493.int10.bcld.webex.com'), ('o', 'sip:7722@10.155.7.148;user=phone'))
    xml = _broadworks(people, (('x', '1', 'separate'), ('y', '2', 'separate')), 'origCall', 'sip:+12102298545@10.155.7.148',
                      'sip:7722@10.155.7.148;user=phone', 'xy', 'yztpf@4493.int10.bcld.webex.com')
    _bw_start(s, xml, LINES, first='metadata')
    s.talk(0.05, 0.4)
    s.hold(0.45, _sdp(*LINES, way='inactive').replace('c=IN IP4 10.2.0.1', 'c=IN IP4 0.0.0.0'))
    s.hold(1.45, _sdp(*LINES))
    s.talk(1.5, 0.4)
    s.bye(1.95)
    people = [_who('caller', '+12102298545', 'User One', uri='sip:yztpf@4493.int10.bcld.webex.com'), _who('callee', '7722')]
    return {'calls': [_call('webex', people, ['caller', 'callee'], list(TWO), platform='cisco-webex', direction='outbound',
                            identifiers={'session-id': '72fb;remote=0'}, gaps=[{'cause': 'pause'}] * 2, events=[{'what': 'pause'}, {'what': 'resume'}])]}


# Metaswitch.

def _metaswitch(people, kind, calling, recorded):
    """(id, number) each, all in the stream `m`"""
    out = '<?xml version="1.0" encoding="UTF-8"?>\n<recording id="r" xmlns="urn:ietf:params:xml:ns:recording">\n<datamode>complete</datamode>\n' \
          '<session session_id="s"><start-time>2017-01-23T23:47:50Z</start-time></session>\n'
    for i, number in people:
        out += f'<participant participant_id="{i}"><nameID aor="{number}"><name>{number}</name></nameID></participant>\n' \
               f'<participantsessionassoc participant_id="{i}" session_id="s"><associate-time>2017-01-23T23:47:50Z</associate-time></participantsessionassoc>\n' \
               f'<participantstreamassoc participant_id="{i}"><send>m</send><recv>m</recv></participantstreamassoc>\n'
    return out + f'''<stream stream_id="m" session_id="s"><label>1</label></stream>
<extensiondata><metaswitchRecordingMetadata><callType>{kind}</callType><recordedParty>{recorded}</recordedParty><userName></userName>
<systemName>mammoth</systemName><callingPartyNumber>{calling}</callingPartyNumber></metaswitchRecordingMetadata></extensiondata>
</recording>
'''


def _metaswitch_session(c, name):
    return _Session(c, name, '<sip:7602922410@10.2.0.1>;+sip.src', 'Organization: Metaswitch Networks\n Require: siprec', '<sip:7602922410@10.2.0.1>')


def _metaswitch_start(s, xml, port=6000, at=0.0):
    parts = _multi(('application/sdp', _sdp((port, '1'), way=None)), ('application/rs-metadata', xml, 'Content-Disposition: recording-session'),
                   boundary='metaswitch-boundary')
    s.offer(at, parts, 'multipart/mixed; boundary=metaswitch-boundary', ports=(7000,), labels='1')


def metaswitch_mixed(c):
    """One label, and both on it: mixed. The addresses are bare numbers, with a blank behind. The user was called by the second."""
    s = _metaswitch_session(c, 'meta')
    _metaswitch_start(s, _metaswitch((('1', '7602922412 '), ('2', '7602922410')), 'terminating', '7602922410', '+17602922412'))
    s.talk(0.05, 0.5, (440,))
    s.bye(0.6)
    people = [_who('caller', '7602922410'), _who('callee', '7602922412', uri=None)]
    return {'calls': [_call('meta', people, ['mixed'], [440], platform='metaswitch', direction='inbound', gaps=[], events=[],
                            identifiers={'systemName': 'mammoth', 'recordedParty': '+17602922412'})]}


def metaswitch_transfer(c):
    """A blind transfer: a re-INVITE with a new port and new metadata, new ids for all, and somebody else."""
    s = _metaswitch_session(c, 'metax')
    _metaswitch_start(s, _metaswitch((('1', '7602922411'), ('2', '7602922410')), 'originating', '7602922411', '+17602922411'))
    s.talk(0.05, 0.5, (440,))
    _metaswitch_start(s, _metaswitch((('3', '7602922411'), ('4', '7602922412')), 'originating', '7602922411', '+17602922411'), 6001, 0.6)
    s.talk(0.65, 0.5, (440,), source=6001)
    s.bye(1.2)
    people = [_who('caller', '7602922411', left_at=None), _who('callee', '7602922410', left_at=_when(0.6)), _who('p3', '7602922412', joined_at=_when(0.6))]
    return {'calls': [_call('metax', people, ['mixed', 'mixed'], [440], direction='outbound',
                            events=[{'what': 'participant-joined'}, {'what': 'participant-left'},
                                    {'what': 'transfer', 'detail': '7602922412 in place of 7602922410'}])]}


# Avaya, Oracle, Cisco CUBE.

def avaya_late_party(c):
    """A dummy ASBCE with a stream without an id first; who it is comes in an UPDATE whose body is metadata alone."""
    more = 'Require: siprec\n User-to-User: 00FA080001000758A20EFA;encoding=hex\n P-Asserted-Identity: "H323 User 1" <sip:13035381001@10.2.0.1:5060>'
    s = _Session(c, 'avaya', '"H323 User 1" <sip:10.2.0.1:5060;transport=UDP;+sip.src>', more, '"H323 User 1" <sip:13035381001@10.2.0.1>')
    one, dummy = ('a', 'sip:13035381001@10.64.110.65', ''), ('d', 'sip:ASBCE@asbce.com', '')
    stale = f'<associate-time>{_iso(-3.0e8, "")[:19]}</associate-time>'
    s.start(xml=_xml((one, dummy), (('x', '10'), ('', '20')), (('a', ['x']), ('d', [])), times={'a': stale, 'd': stale}),
            lines=((6000, '10'), (6002, '20')), labels=('10', '20'))
    s.talk(0.05, 0.8)
    real = _xml((one, ('b', 'sip:7204541001@10.64.110.32', '')), (('x', '10'), ('y', '20')), (('a', ['x']), ('b', ['y'])), times={'a': stale, 'b': stale})
    s.request(0.5, 'UPDATE', real, 'application/rs-metadata', s.more + '\n Content-Disposition: recording-session')
    s.reply(0.51, 'UPDATE')
    s.bye(0.9)
    people = [_who('caller', '13035381001', 'H323 User 1', joined_at=_when(0)), _who('callee', '7204541001', joined_at=_when(0.5))]
    return {'calls': [_call('avaya', people, ['caller', 'callee'], list(TWO), platform='avaya-sbce', gaps=[],
                            identifiers={'ucid': '00001000071487015674', 'user-to-user': '00FA080001000758A20EFA;encoding=hex'},
                            events=[{'what': 'participant-joined', 'detail': '7204541001'}])]}


def avaya_party_never_known(c):
    """The dummy is never replaced: the second stream is still of somebody else than the first."""
    s = _Session(c, 'avaya2', '"U" <sip:10.2.0.1:5060;transport=UDP;+sip.src>')
    one, dummy = ('a', 'sip:13035381001@10.64.110.65', ''), ('d', 'sip:ASBCE@asbce.com', '')
    s.start(xml=_xml((one, dummy), (('x', '10'), ('', '20')), (('a', ['x']), ('d', []))), lines=((6000, '10'), (6002, '20')), labels=('10', '20'))
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return {'calls': [_call('avaya2', [_who('caller', '13035381001'), _who('callee', None)], ['caller', 'callee'], list(TWO), events=[])]}


def _oracle():
    def one(i, number, stream, calling, more=''):
        return f'''<participant id="{i}" session="37uk==">
<nameID aor="sip:{number}@192.168.50.102"><name>{number}</name></nameID>
<send>{stream}</send><associate-time>2019-04-08T11:10:33</associate-time>
<extensiondata xmlns:apkt="http://acmepacket.com/siprec/extensiondata"><apkt:callingParty>{calling}</apkt:callingParty>{more}</extensiondata>
</participant>
'''
    header = '<apkt:realm>peer</apkt:realm><apkt:header label="X-IB-MessageID"><value>1000</value></apkt:header>'
    return f'''<?xml version='1.0' encoding='UTF-8'?>
<recording xmlns='urn:ietf:params:xml:ns:recording'>
<datamode>complete</datamode>
<session id="37uk=="><associate-time>2019-04-08T11:10:33</associate-time></session>
{one('p1', '1200', 'x', 'false')}{one('p2', '1000', 'y', 'true', header)}<stream id="x" session="37uk=="><label>16777227</label><mode>separate</mode></stream>
<stream id="y" session="37uk=="><label>16777228</label><mode>separate</mode></stream>
</recording>
'''


def oracle_stray_part(c):
    """A stray part with a foreign boundary, boundary lines with blanks behind; the second is the calling party. Over TCP."""
    s = _Session(c, 'oracle', '<sip:acmeSrc@10.2.0.1:5060;tranport=TCP>;+sip.src', source='<sip:acmeSrc@10.2.0.1:5060>')
    s.carry = lambda at, a, b, m: c.tcp(at, (a[0], 5062 if a == SRC else 5060), (b[0], 5062 if b == SRC else 5060), m)
    lines = ((6000, '16777227'), (6002, '16777228'))
    stray = _multi(('application/sdp', _sdp((6000, '1'))), boundary='metaswitch-boundary', close=False)
    sdp_part = _multi(('application/sdp', _sdp(*lines)), boundary='unique-boundary-1', close=False, blanks='  ')
    rest = _multi((RS, _oracle(), 'Content-Disposition: recording-session'), boundary='unique-boundary-1', blanks=' \t')
    s.offer(0.0, sdp_part + stray + rest, 'multipart/mixed; boundary=unique-boundary-1', labels=('16777227', '16777228'))
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return {'calls': [_call('oracle', [_who('caller', '1000'), _who('callee', '1200')], ['callee', 'caller'], [1000, 440], platform='oracle-sbc', events=[],
                            identifiers={'x-ib-messageid': '1000', 'realm': 'peer'})]}


def _cube(s, at, b, port, hz=None):
    more = f'''User-Agent: Cisco-SIPGateway/IOS-15.5.3.S5
            Cisco-Guid: 1-2-3-4
            X-Cisco-Recording-Participant: sip:2164485925@ccf.org;media-index="0"
            X-Cisco-Recording-Participant: sip:{b}@10.144.106.41;media-index="1"'''
    s.offer(at, sdp(SRC[0], (port, '0', 'a=sendonly'), (port + 2, '0', 'a=sendonly')), 'application/sdp', more=more)


def cube_transfer(c):
    """X-Cisco-Recording-Participant, a line a stream; a transfer is a re-INVITE with new ports and somebody else on the second line."""
    s = _Session(c, 'cube', '<sip:10.2.0.1:5060>', '', '<sip:10.2.0.1>')
    _cube(s, 0.0, '20053', 6000)
    s.talk(0.05, 0.5)
    _cube(s, 0.6, '10012', 6010)
    s.talk(0.65, 0.5, (440, 2000), source=6010, ssrc=0x200)
    s.bye(1.2)
    people = [_who('caller', '2164485925', left_at=None), _who('callee', '20053', left_at=_when(0.6)), _who('p3', '10012', joined_at=_when(0.6))]
    return {'calls': [_call('cube', people, ['caller', 'callee', 'caller', 'p3'], [440, 1000, 2000], platform='cisco-cube',
                            identifiers={'cisco-guid': '1-2-3-4'},
                            events=[{'what': 'participant-joined'}, {'what': 'participant-left'}, {'what': 'transfer', 'detail': '10012 in place of 20053'}])]}


def cube_siprec(c):
    """IOS-XE: uniqueBoundary, c= in each section, blanks around the parts of the XML."""
    s = _Session(c, 'cubexe')
    body = _sdp(*LINES).replace('o=- 1 1', 'o=CiscoSystemsSIP-GW-UserAgent 3000 1045').replace('RTP/AVP 0\n', 'RTP/AVP 0\nc=IN IP4 10.2.0.1\n')
    s.offer(0.0, _multi(('application/sdp', body, 'Content-Disposition: session;handling=required'), (RS, PLAIN.replace('\n', ' \n')),
                        boundary='uniqueBoundary'), 'multipart/mixed;boundary=uniqueBoundary')
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return _ann_bob('cubexe', platform='cisco-cube')
