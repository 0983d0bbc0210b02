"""SIPREC as it comes over the wire: bodies with broken boundaries, XML that is none, messages in fragments and segments."""
from siprec import (ANN, BOB, LINES, NS, PLAIN, RS, SENDS, SRC, SRS, STREAMS, _ann_bob, _multi, _sdp, _Session, _usual, _xml)
from wire import ip_fragments, sip, udp_segment

SDP = 'application/sdp'
DISPOSITION = 'Content-Disposition: recording-session'


def _over(c, name, body, kind, **more):
    """a session whose first INVITE has this body"""
    s = _Session(c, name)
    s.offer(0.0, body, kind, **more)
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return _ann_bob(name)


# Bodies.

def multipart_metadata_first(c):
    """Metadata before the SDP, the boundary in quotes with a semicolon in it, a preamble and an epilogue."""
    body = b'This is a preamble.\r\n' + _multi((RS, PLAIN, DISPOSITION), (SDP, _sdp(*LINES)), boundary='a;b:c') + b'and an epilogue\r\n'
    return _over(c, 'mfirst', body, 'multipart/mixed; charset=utf-8; boundary="a;b:c"')


def multipart_foreign_boundary(c):
    """The header names a boundary that is not in the body, and the last one is missing."""
    return _over(c, 'mforeign', _multi((SDP, _sdp(*LINES)), (RS, PLAIN), boundary='mine', close=False), 'multipart/mixed;boundary=theirs')


def multipart_boundary_of_another(c):
    """One boundary begins with the other; parts in a part (multipart/related); folded and compact part headers."""
    inner = _multi((RS, PLAIN), boundary='foobar', close=True)
    body = _multi((SDP + ';\r\n  charset=x', _sdp(*LINES)), ('multipart/related;boundary=foobar', inner), boundary='foo')
    return _over(c, 'mnested', body, 'multipart/mixed;boundary=foo')


def multipart_line_feeds(c):
    """LF where CRLF is meant, in headers and body, blanks behind the boundaries."""
    s = _Session(c, 'mlf')
    s.eol = '\n'
    body = _multi((SDP, _sdp(*LINES)), (RS, PLAIN), eol='\n', blanks=' ')
    s.offer(0.0, body, 'multipart/mixed;boundary=foobar')
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return _ann_bob('mlf')


def multipart_not_declared(c):
    """The Content-Type says application/sdp, the body is multipart; a part has no header at all."""
    body = b'--x\r\nContent-Type: application/sdp\r\n\r\n' + _sdp(*LINES).encode() + b'--x\r\n\r\n' + PLAIN.encode() + b'--x--\r\n'
    return _over(c, 'mundeclared', body, SDP)


def multipart_without_blank_lines(c):
    """No blank line between the headers of a part and its body."""
    body = _multi((SDP, _sdp(*LINES)), (RS, PLAIN)).replace(b'\r\n\r\n', b'\r\n')
    return _over(c, 'mblank', body, 'multipart/mixed;boundary=foobar')


def multipart_of_text_xml(c):
    """The metadata is typed text/xml, and stands twice."""
    return _over(c, 'mxml', _multi((SDP, _sdp(*LINES)), ('text/xml', PLAIN), ('text/xml', PLAIN)), 'multipart/mixed;boundary=foobar')


# Headers.

def headers_folded_and_compact(c):
    """Compact names, folded values, blanks before colons, no blank behind them."""
    body = _multi((SDP, _sdp(*LINES)), (RS, PLAIN), boundary='unique')
    s = _Session(c, 'hfold')
    s.send(0.0, SRC, SRS, b'INVITE sip:rec@10.2.0.9 SIP/2.0\r\nv:SIP/2.0/UDP 10.2.0.1;branch=z9hG4bK1\r\nf :"SRC"\r\n  <sip:src@10.2.0.1>\r\n\t;tag=src\r\n'
           b't:<sip:rec@10.2.0.9>\r\ni\t:\r\n hfold\r\nCSEQ:1  INVITE\r\nm: <sip:src@10.2.0.1>;+sip.src\r\nREQUIRE: siprec\r\nc: multipart/mixed;\r\n'
           b' boundary=\r\n  unique\r\nl: %d\r\n\r\n' % len(body) + body)
    s.cseq = 1
    s.reply(0.02, 'INVITE', _sdp((7000, '1'), (7002, '2'), host=SRS[0], way='recvonly'))
    s.request(0.03, 'ACK')
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return _ann_bob('hfold')


def _contact(c, name, contact, more=''):
    _usual(c, name, contact=contact, more=more)
    return _ann_bob(name)


def contact_inside_brackets(c):
    """+sip.src within the URI, no Require."""
    return _contact(c, 'cinside', '<sip:src@10.2.0.1;+sip.src>')


def contact_without_its_bracket(c):
    """The `>` is missing."""
    return _contact(c, 'cmissing', '<sip:src@10.2.0.1;transport=udp;+sip.src')


def contact_says_only_src(c):
    """`;src` and no Require, as BroadWorks and Webex."""
    return _contact(c, 'csrc', '<sip:src@10.2.0.1>;src')


def ack_and_bye_name_invite(c):
    """ACK and BYE whose CSeq names INVITE, a BYE whose To has no tag; the re-INVITE's ACK counts on its own."""
    s = _Session(c, 'names')
    s.start()
    s.request(0.04, 'ACK', cseq='INVITE')
    s.talk(0.05, 0.5)
    s.cseq += 90
    s.request(0.6, 'BYE', cseq='INVITE', tag='')
    return _ann_bob('names')


def content_length_wrong(c):
    """Content-Length too short in one INVITE, too long in the UPDATE that follows."""
    s = _Session(c, 'length')
    body = _multi((SDP, _sdp(*LINES)), (RS, _xml((ANN,), STREAMS, SENDS[:1])))
    s.offer(0.0, body, 'multipart/mixed;boundary=foobar', more=f'Require: siprec\n Content-Length: {len(body) - 700}')
    s.talk(0.05, 0.5)
    s.request(0.3, 'UPDATE', _xml((BOB,), (), SENDS[1:], 'partial'), RS, 'Content-Length: 9000')
    s.bye(0.6)
    return _ann_bob('length', events=[{'what': 'participant-joined', 'detail': '+15550102'}])


# XML.

def _with(c, name, xml, **more):
    s = _Session(c, name)
    s.start(xml=xml)
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return _ann_bob(name, **more)


def xml_prefixes(c):
    """Every element has a prefix, attributes too; comments between; CDATA and references in names."""
    xml = f'''<?xml version='1.0'?><!-- by hand --><rs:recording xmlns:rs="{NS}" xmlns:v="urn:vendor">
    <rs:datamode>Complete</rs:datamode><rs:session session_id="s1"/><rs:group group_id="g1"/>
    <rs:participant rs:participant_id="pa"><!-- who? --><rs:nameID aor="sip:201@corp.example"><rs:name><![CDATA[Ann]]></rs:name></rs:nameID></rs:participant>
    <rs:participant participant_id="pb"><rs:nameID aor="&#115;ip:+15550102&#64;pstn.example"><rs:name> B&#x6f;b
    </rs:name></rs:nameID></rs:participant>
    <rs:stream stream_id="sa"><rs:label>1</rs:label></rs:stream><rs:stream stream_id="sb"><rs:label> 2 </rs:label></rs:stream>
    <rs:participantstreamassoc participant_id="pa"><rs:send>sa</rs:send></rs:participantstreamassoc>
    <rs:participantstreamassoc participant_id="pb"><rs:send>sb</rs:send></rs:participantstreamassoc>
    <v:ticket>T-1</v:ticket></rs:recording>'''
    return _with(c, 'xprefix', xml, identifiers={'ticket': 'T-1'})


def _umlaut(c, name, xml):
    out = _with(c, name, xml)
    out['calls'][0]['participants'][0]['name'] = 'Änn Müller'
    return out


def xml_latin_1(c):
    """Declared as ISO-8859-1."""
    return _umlaut(c, 'xlatin', PLAIN.replace('Ann', 'Änn Müller').replace('UTF-8', 'ISO-8859-1').encode('latin-1'))


def xml_latin_1_declared_utf_8(c):
    """Declared as UTF-8, and is not."""
    return _umlaut(c, 'xnotutf', PLAIN.replace('Ann', 'Änn Müller').encode('latin-1'))


def xml_byte_order_mark(c):
    """A byte order mark before the declaration, and UTF-8 in the name."""
    return _umlaut(c, 'xbom', PLAIN.replace('Ann', 'Änn Müller').encode('utf-8-sig'))


def xml_utf_16(c):
    """UTF-16 with its mark."""
    return _umlaut(c, 'xwide', PLAIN.replace('Ann', 'Änn Müller').replace('UTF-8', 'UTF-16').encode('utf-16'))


def xml_nearly(c):
    """An ampersand that is not escaped, a prefix that is not declared: read, and an event says so."""
    xml = PLAIN.replace('>Ann<', '>A & B<').replace('</recording>', '<apkt:realm>r&d</apkt:realm></recording>')
    out = _with(c, 'xnearly', xml, events=[{'what': 'metadata-mended'}])
    out['calls'][0]['participants'][0]['name'] = 'A & B'
    return out


def xml_cut_off(c):
    """The document ends in the middle: what there is of it counts, and an event says so."""
    cut = PLAIN[:PLAIN.index('<send>sb')]
    return _with(c, 'xcut', cut, events=[{'what': 'metadata-mended'}])


def xml_hopeless(c):
    """No XML at all: the call is recorded, two streams of two parties, and an event says that they are not known."""
    s = _Session(c, 'xbad', '<sip:src@10.2.0.1>;src', '', '"Desk 7" <sip:207@10.2.0.1>')
    s.start(xml='{"participants": ["201", "+15550102"]}')
    s.talk(0.05, 0.5)
    s.bye(0.6)
    out = _ann_bob('xbad', events=[{'what': 'metadata-unreadable'}])
    out['calls'][0]['participants'] = [{'party': 'caller', 'number': '207', 'name': 'Desk 7'}, {'party': 'callee', 'number': None}]
    return out


def xml_with_a_dtd(c):
    """A DTD with entities that grow is refused, and nothing else is."""
    bomb = '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">' + ''.join(f'<!ENTITY {y} "&{x};&{x};&{x};&{x};">' for x, y in zip('abcdefg', 'bcdefgh')) + ']>'
    out = _with(c, 'xdtd', PLAIN.replace('<recording', bomb + '<recording', 1).replace('>Ann<', '>&h;<'), events=[{'what': 'metadata-unreadable'}])
    out['calls'][0]['participants'] = [{'party': 'caller', 'name': 'SRC'}, {'party': 'callee', 'number': None}]
    return out


def names_of_every_form(c):
    """A tel: URI with separators, a name-addr in aor, an empty name, aor as a child, names in two languages."""
    more = '''<participant participant_id="pa"><nameID aor="&quot;Ann&quot; &lt;sip:201@corp.example;user=phone&gt;"><name/></nameID></participant>
    <participant participant_id="pb"><nameID><aor>tel:+1-555-0102;phone-context=x</aor></nameID><name xml:lang="en">Bob</name><name xml:lang="de">Robert</name></participant>'''
    return _with(c, 'nforms', _xml((), STREAMS, SENDS, more=more))


def labels_without_streams(c):
    """No stream elements: `send` names the label itself."""
    return _with(c, 'nstreams', _xml((ANN, BOB), (), (('pa', ['1']), ('pb', ['2']))))


def labels_missing_in_sdp(c):
    """No a=label: the streams are those of the metadata in its order."""
    body = _multi((SDP, _sdp(*LINES).replace('a=label:1\n', '').replace('a=label:2\n', '')), (RS, PLAIN))
    s = _Session(c, 'nlabels')
    s.request(0.0, 'INVITE', body, 'multipart/mixed;boundary=foobar')
    s.reply(0.02, 'INVITE', _sdp((7000, '1'), (7002, '2'), host=SRS[0], way='recvonly').replace('a=label:1\n', '').replace('a=label:2\n', ''))
    s.request(0.03, 'ACK')
    s.talk(0.05, 0.5)
    s.bye(0.6)
    return _ann_bob('nlabels')


# Packets.

def siprec_fragments_shuffled_and_doubled(c):
    """Two INVITEs of 2 kB in fragments: out of order, doubled, those of the two sessions interleaved."""
    made = []
    for k, name in enumerate(('frag0', 'frag1')):
        s = _Session(c, name)
        pieces = []
        s.carry = lambda at, a, b, m, k=k: pieces.extend(
            (a, b, p) for p in ip_fragments(a[0], b[0], 17, udp_segment(a, b, m), 700 + k, 512))
        s.request(0.0, 'INVITE', _multi((SDP, _sdp((6000 + 100 * k, '1'), (6002 + 100 * k, '2'))), (RS, PLAIN)), 'multipart/mixed;boundary=foobar')
        s.carry = None
        made.append((s, pieces))
    order = [(k, i) for i in (3, 0, 2, 2, 1) for k in (0, 1)]
    order += [(k, i) for k in (0, 1) for i in range(4, 12)]
    at = 0.0
    for k, i in order:
        if i < len(made[k][1]):
            a, b, piece = made[k][1][i]
            c.ip(at, a[0], b[0], piece)
            at += 1e-5
    for k, (s, _) in enumerate(made):
        s.reply(0.02 + k / 100, 'INVITE', _sdp((7000 + 100 * k, '1'), (7002 + 100 * k, '2'), host=SRS[0], way='recvonly'))
        s.request(0.025 + k / 100, 'ACK')
        s.talk(0.05 + k / 100, 0.5, source=6000 + 100 * k, destination=7000 + 100 * k, ssrc=0x100 + 16 * k)
        s.bye(0.6 + k / 100)
    return {'calls': [_ann_bob(f'frag{k}')['calls'][0] for k in (0, 1)]}


def _trunk(c):
    """carries messages in one TCP connection of the client"""
    ends = {SRC: (SRC[0], 40000), SRS: SRS}
    return lambda at, a, b, m: c.tcp(at, ends[a], ends[b], m, cut=c.cut)


def tcp_segments_of_seven_bytes(c):
    """One message over hundreds of segments."""
    s = _Session(c, 'seven')
    c.cut = 7
    s.carry = _trunk(c)
    s.start(0.1)
    s.talk(0.15, 0.5)
    s.bye(0.7)
    return _ann_bob('seven')


def tcp_two_sessions_in_a_segment(c):
    """Two INVITEs with metadata in one segment of a trunk, their answers in another."""
    held, made = [], []
    c.cut = 9000
    trunk = _trunk(c)

    def flush(at):
        for side in (SRC, SRS):
            mine = b''.join(m for a, m in held if a == side)
            if mine:
                trunk(at if side == SRC else at + 0.005, side, SRS if side == SRC else SRC, mine)
        held.clear()
    for k in (0, 1):
        s = _Session(c, f'seg{k}')
        s.carry = lambda at, a, b, m: held.append((a, m))
        made.append(s)
        s.request(0.0, 'INVITE', _multi((SDP, _sdp((6000 + 100 * k, '1'), (6002 + 100 * k, '2'))), (RS, PLAIN)), 'multipart/mixed;boundary=foobar')
    flush(0.1)
    for k, s in enumerate(made):
        s.reply(0.0, 'INVITE', _sdp((7000 + 100 * k, '1'), (7002 + 100 * k, '2'), host=SRS[0], way='recvonly'))
        s.request(0.0, 'ACK')
    flush(0.12)
    for k, s in enumerate(made):
        s.talk(0.15 + k / 100, 0.5, source=6000 + 100 * k, destination=7000 + 100 * k, ssrc=0x100 + 16 * k)
        s.request(0.0, 'BYE')
        s.reply(0.0, 'BYE')
    flush(0.7)
    return {'calls': [_ann_bob(f'seg{k}')['calls'][0] for k in (1, 0)]}      # they began at once: in order of their ids


def tcp_joined_in_mid_stream(c):
    """The capture begins in the middle of the metadata of another session's INVITE."""
    s, other = _Session(c, 'mid'), _Session(c, 'before')
    c.cut = 600
    trunk = _trunk(c)
    sent = []
    other.carry = lambda at, a, b, m: sent.append(m)
    other.request(0.0, 'INVITE', _multi((SDP, _sdp(*LINES)), (RS, PLAIN)), 'multipart/mixed;boundary=foobar')
    c.tcps[(SRC[0], 40000), SRS], c.tcps[SRS, (SRC[0], 40000)] = 1_000_000, 2_000_000      # no handshake is seen
    trunk(0.0, SRC, SRS, sent[0][1100:])
    s.carry = trunk
    s.start(0.1)
    s.talk(0.15, 0.5)
    s.bye(0.7)
    return _ann_bob('mid')


def tcp_content_length_wrong(c):
    """Over TCP the length is 30 too short: what is cut off the metadata is mended, and the bytes behind disturb nothing."""
    s = _Session(c, 'tlen')
    c.cut = 1400
    s.carry = _trunk(c)
    body = _multi((SDP, _sdp(*LINES)), (RS, PLAIN))
    s.offer(0.1, body, 'multipart/mixed;boundary=foobar', more=f'Require: siprec\n Content-Length: {len(body) - 30}')
    s.talk(0.15, 0.5)
    s.bye(0.7)
    return _ann_bob('tlen', events=[{'what': 'metadata-mended'}])
