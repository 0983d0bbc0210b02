//! Every bound of the recorder, with its unit and its reason. Nothing grows past these; reaching one is counted.

pub mod memory;

use std::time::Duration;

/// Largest frame taken from a capture, bytes: libpcap's own maximum snap length.
pub const FRAME_BYTES: usize = 262_144;

/// Nested tunnels that are followed. Mirrors stack two (ERSPAN over VXLAN); more is an attack.
pub const TUNNEL_DEPTH: usize = 6;

/// Datagrams being put together from IP fragments at once. 10,000 calls/s of fragmented INVITEs for 100 ms.
pub const FRAGMENTED_DATAGRAMS: usize = 4_096;

/// Bytes held in unfinished datagrams, in all.
pub const FRAGMENT_BYTES: usize = 32 << 20;

/// Pieces of one datagram: 65,535 bytes in the smallest fragments a link makes (576-byte MTU) is 119.
pub const FRAGMENTS_PER_DATAGRAM: usize = 1_024;

/// How long an unfinished datagram is kept: RFC 8200 says 60 s, hosts use 30.
pub const FRAGMENT_AGE: Duration = Duration::from_secs(30);

/// How long a datagram that is whole is remembered for copies of its pieces: a mirror gives them within microseconds, a
/// detour through the network within milliseconds.
pub const FRAGMENT_COPIES: Duration = Duration::from_millis(100);

/// How long a SIP message is remembered for copies of it. A retransmission comes half a second later (RFC 3261, T1), with
/// the shortest timers that are configured anywhere 100 ms.
pub const SIP_COPIES: Duration = Duration::from_millis(50);

/// SIP messages remembered for that: 50 ms of 100,000 a second.
pub const SIP_REMEMBERED: usize = 5_000;

/// Capture agents (HEP) that are counted one by one, and whose clocks are known.
pub const HEP_AGENTS: usize = 1_024;

/// How far an agent's clock may be from ours for its times to be taken as they are. A well-kept clock is within
/// milliseconds, and the way through the network takes less than a second.
pub const HEP_CLOCK: Duration = Duration::from_secs(1);

/// Buffer of a HEP socket that is asked of the kernel, bytes; it gives what `net.core.rmem_max` allows.
pub const HEP_BUFFER_BYTES: usize = 8 << 20;

/// Largest SIP message, bytes: what fits one IP packet of the spool.
pub const SIP_MESSAGE_BYTES: usize = 65_000;

/// Longest Call-ID, bytes: platforms make up to 200. It is kept with each dialog, and a hundred thousand of the size of a
/// message would be gigabytes.
pub const CALL_ID_BYTES: usize = 1_024;

/// What is kept of a name, a URI, its parameters, or a word of an SDP line, bytes; what is longer is cut, for the same
/// reason.
pub const NAME_BYTES: usize = 1_024;

/// TCP connections (directions) whose signalling is followed at once.
pub const TCP_STREAMS: usize = 16_384;

/// Bytes held for one TCP direction: one message and what arrived out of order behind it.
pub const TCP_STREAM_BYTES: usize = 256 << 10;

/// Bytes held for TCP directions in all.
pub const TCP_BYTES: usize = 64 << 20;

/// TCP directions whose SYN was heard and that have not shown what they carry: a flood of SYNs is 5 MB of them, and takes
/// nothing from those that carry SIP.
pub const TCP_OPENINGS: usize = 16_384;

/// Bytes held of one of them, whose first are missing or do not tell: a first line with a long URI, the HTTP request of a
/// WebSocket with its cookies, or an INVITE in segments the first of which came last.
pub const TCP_OPENING_STREAM_BYTES: usize = 16 << 10;

/// Bytes held of them in all.
pub const TCP_OPENING_BYTES: usize = 8 << 20;

/// How long a hole in a TCP stream is waited for; a retransmission comes within a few hundred milliseconds.
pub const TCP_HOLE_AGE: Duration = Duration::from_secs(1);

/// The same once the receiver has acknowledged what is missing here: then only the mirror's disorder can bring it.
pub const TCP_ACKED_AGE: Duration = Duration::from_millis(200);

/// Dialogs followed at once.
pub const DIALOGS: usize = 100_000;

/// Dialogs of which only requests were heard that are written to the spool at once. What is more is a flood: those wait
/// in memory for an answer, and the oldest give way to new ones.
pub const SETUPS: usize = 1_000;

/// Bytes of requests that wait in memory for an answer, in all.
pub const SETUP_BYTES: usize = 128 << 20;

/// Of those the ones that are written down and finished in one second, unanswered to the end.
pub const SETUPS_FINISHED: usize = 1_000;

/// Dialogs that claim one address; a load generator's port is claimed by a few at a time.
pub const OWNERS_PER_PLACE: usize = 64;

/// Halves of Built-in Bridge calls that wait for the other: 2 s of 10,000 a second.
pub const HALVES_WAITING: usize = 20_000;

/// Dialogs of Built-in Bridges that have ended and wait for their call to be resumed; when there are more, none is waited
/// for. 20,000 recorded calls.
pub const RESUMES_AWAITED: usize = 40_000;

/// Remembered ends of dialogs, so that a retransmitted BYE does not make a call of its own.
pub const TOMBSTONES: usize = 100_000;

/// How long an ended dialog is remembered: a BYE may come long after a call has been given up for its silence.
pub const TOMBSTONE_AGE: Duration = Duration::from_secs(3_600);

/// How long before the answer that names its address the media of a call may begin: the answer is lost and sent again, or
/// the mirror shows it late.
pub const MEDIA_BEFORE_ITS_ANSWER: Duration = Duration::from_secs(2);

/// Flows that began where their leg had media already, of which is remembered when: those that begin at one time, while
/// calls of a restarted recorder begin. 64 bytes each.
pub const SECOND_FLOWS: usize = 64;

/// How long after the end of a dialog its media still belongs to it: what was in flight, and a phone's last
/// buffered packets.
pub const MEDIA_LINGER: Duration = Duration::from_millis(1_200);

/// How long after its BYE a dialog waits for the answer and for retransmissions.
pub const SIGNALLING_LINGER: Duration = Duration::from_secs(5);

/// How long a flow may have been silent when signalling claims its address: what ended before is of another call.
pub const PREBUFFER_SILENCE: Duration = Duration::from_millis(1_500);

/// How long before a BYE the media that it ended may have fallen silent.
pub const BYE_SILENCE: Duration = Duration::from_secs(1);

/// Calls of media alone that are looked at for one message.
pub const CALLS_WEIGHED: usize = 1_024;

/// How long unclaimed media is held for the signalling that may yet name it.
pub const PREBUFFER_AGE: Duration = Duration::from_secs(10);

/// How long sustained RTP is held before it is recorded as a call of media alone, which signalling may still join. What is
/// held is lost when the recorder is killed; signalling comes a moment before or after its media.
pub const SUSTAINED_AGE: Duration = Duration::from_secs(2);

/// Bytes of unclaimed media held in all.
pub const PREBUFFER_BYTES: usize = 64 << 20;

/// How often room is looked for when that much is held.
pub const PREBUFFER_TRIES: Duration = Duration::from_millis(100);

/// Unclaimed flows held at once.
pub const PREBUFFER_FLOWS: usize = 20_000;

/// Flows known to the switchboard at once: four a call (two streams, their RTCP).
pub const FLOWS: usize = 4 * DIALOGS;

/// How long packets of a flow are taken for its leg's without a look at the leg: of ten packets, nine. A leg knows when it
/// had media to within this, a fiftieth of the usual patience.
pub const LEASE: Duration = Duration::from_millis(200);

/// Flows remembered of one leg; a phone makes a few, a fuzzer on an RTP port as many as it sends packets.
pub const FLOWS_PER_LEG: usize = 1_024;

/// Reasons that the tap keeps of one leg for `earwitness explain`, 200 bytes each: a call has six; more are counted.
pub const REASONS_PER_LEG: u32 = 128;

/// Reasons of one topic (streams, what was left out, …) kept of a finished call, 300 bytes each in the record beside it; more
/// are counted.
pub const REASONS_PER_TOPIC: usize = 256;

/// Media descriptions remembered of one dialog; descriptions that repeat an earlier one do not count.
pub const MEDIA_PER_DIALOG: usize = 256;

/// Members kept of one recording session, and their comings and goings on its timeline; a conference has dozens.
pub const MEMBERS_PER_CALL: usize = 512;

/// What one dialog may name other calls by.
pub const REFERENCES_PER_DIALOG: usize = 64;

/// What one call may be known to others by.
pub const REFERENCES_PER_CALL: usize = 256;

/// Calls that are told to be linked to one; a number that hundreds share links none of them.
pub const LINKS_PER_CALL: usize = 64;

/// Legs that are put together to one call for what their messages say: a B2BUA that tries phone after phone.
pub const LEGS_PER_CALL: usize = 32;

/// Digits dialled in the signalling of one dialog.
pub const DIGITS_PER_DIALOG: usize = 1_000;

/// Timeline entries of one call.
pub const EVENTS_PER_CALL: usize = 4_096;

/// Primary recorders watched at once.
pub const PRIMARIES: usize = 256;

/// Signs that are told of one loss; each unanswered request is one.
pub const EVIDENCE: usize = 16;

/// Unanswered SIP requests watched of one primary.
pub const REQUESTS_WATCHED: usize = 4_096;

/// Frames that are gathered so that what they need of memory is asked for at once: some times as many as a processor waits for
/// at one time.
pub const FRAMES_AHEAD: usize = 32;

/// The same in bytes: all stay in the processor's nearest cache.
pub const AHEAD_BYTES: usize = 16 << 10;

/// Packets in a hand-over batch, and its bytes: large enough that the channel costs little (37 ns a packet at
/// 64 to 256), small enough for the processor's cache.
pub const BATCH_PACKETS: usize = 512;
/// Bytes in a hand-over batch.
pub const BATCH_BYTES: usize = 128 << 10;

/// Batches under way to one worker.
pub const BATCHES_QUEUED: usize = 64;

/// The same in live recording, where the tap does not wait: a disk that stalls for a second at 1,000,000 packets/s.
pub const BATCHES_QUEUED_LIVE: usize = 2_048;

/// Batches waiting for a spool worker from which on it is behind.
pub const BATCHES_BEHIND: usize = 64;

/// Emptied batches of one worker that are kept to be used again: what a stall has taken is given back.
pub const BATCHES_RECYCLED: usize = 16;

/// Calls waiting to be finished; in a replay the tap waits when they are more.
pub const FINISH_QUEUED: usize = 256;

/// Sealed calls waiting for the ledger.
pub const LEDGER_QUEUED: usize = 1_024;

/// Old calls that are taken out of the ledger in one transaction, which calls that have ended wait for: 20 ms.
pub const PURGED_AT_ONCE: usize = 100;

/// Files that are removed before the ledger looks again for calls that have ended, which wait for it: with the pause, 1,000 a
/// second, which making files beside it does not feel (docs/decisions/0016-long-runs.md).
pub const REMOVED_AT_ONCE: usize = 100;

/// The same while calls wait to be sealed. Not none: a disk that fills up holds recording up more.
pub const REMOVED_WHEN_BEHIND: usize = 10;

/// How long the disk is left alone between two turns of that.
pub const REMOVAL_PAUSE: Duration = Duration::from_millis(100);

/// How often files that cannot be removed are tried again.
pub const REMOVAL_RETRY: Duration = Duration::from_secs(60);

/// How often old calls are looked for.
pub const PURGE_EVERY: Duration = Duration::from_secs(3_600);

/// How long before this host's clock the newest call may have been for the clock to be believed when it says that calls are
/// old, days: one that is wrong by years must not empty the archive.
pub const CLOCK_TRUSTED_DAYS: u32 = 30;

/// Calls in one transaction of the ledger.
pub const LEDGER_BATCH: usize = 512;

/// How long a sealed call waits for others to share its transaction; it is safe on disk meanwhile.
pub const LEDGER_LINGER: Duration = Duration::from_millis(250);

/// Buffer of one spool file before it is appended, bytes.
pub const SPOOL_BUFFER_BYTES: usize = 32 << 10;

/// The largest file that a finisher reads or writes in one piece, bytes, and what it keeps of a call so that it need not be
/// read again: five minutes of two directions of G.711.
pub const FILE_AT_ONCE_BYTES: usize = 8 << 20;

/// How long the kernel gathers packets of an interface into a block before it hands it over, milliseconds.
pub const BLOCK_MS: i32 = 20;

/// How long a frame of one interface waits for an earlier one of another: as long as a block may take, and to spare.
pub const HOLDBACK: Duration = Duration::from_millis(45);

/// Batches under way from a thread that reads an interface to the tap, 8 MiB; what is more waits in its ring.
pub const READER_BATCHES: usize = 64;

/// How often such a thread that has nothing to read says so.
pub const READER_LOOK: Duration = Duration::from_millis(5);

/// How long frames wait for a thread of the same interface that is not let run.
pub const READER_PATIENCE: Duration = Duration::from_secs(1);

/// Frames taken before the clock is looked at again.
pub const FRAMES_A_TURN: usize = 4_096;

/// How long the command for a change of a primary may take.
pub const COMMAND_PATIENCE: Duration = Duration::from_secs(30);

/// How long a question to a running recorder, and its answer, may take.
pub const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// Changes of primaries that wait for the command.
pub const COMMANDS_QUEUED: usize = 256;

/// A difference of the host's clock from a steady one, between two looks, that is a setting of it, seconds.
pub const CLOCK_STEP_S: f64 = 0.5;

/// How often the tap passes time and hands over what it has gathered.
pub const TICK: Duration = Duration::from_millis(40);

/// Calls up to which media reach the kernel as often as is configured; with more the interval grows in proportion.
pub const CALLS_AT_FULL_PACE: u32 = 1_000;

/// The longest that interval grows.
pub const SLOWEST_FLUSH: Duration = Duration::from_secs(2);

/// Bytes of signalling that wait while the queue to a worker is full: 10,000 calls' worth.
pub const CONTROL_BYTES: usize = 32 << 20;

/// Beginnings and ends of legs that wait while the queue to a worker is full: an hour of 100 calls a second.
pub const CONTROL_ENTRIES: usize = 1 << 20;

/// Finished calls that wait to be sealed in live recording; what is more waits with the workers.
pub const FINISH_QUEUED_LIVE: usize = 4_096;

/// How often a stage that the disk or the ledger has refused tries again.
pub const RETRY: Duration = Duration::from_secs(1);

/// How much less of the processor finishers get than the tap and the spool (nice(2); for a thread, in Linux).
pub const FINISHER_NICE: i32 = 10;

/// Calls that a finisher seals together: two files of each fill the sixteen lanes of a processor's vectors twice.
pub const SEALED_TOGETHER: usize = 16;
/// Bytes of their files in memory from which on no more are waited for, and of buffers that are kept for others.
pub const SEALED_BYTES: usize = 2 * FILE_AT_ONCE_BYTES;

/// Tries that a call gets to be sealed before others are sealed first.
pub const SEAL_TRIES: u32 = 3;

/// Room on the disk that sealing leaves to the calls in progress, bytes.
pub const RESERVE_BYTES: u64 = 256 << 20;

/// How long a clean stop tries to write what a refusing or slow disk has left in memory.
pub const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Events of the node that the ledger keeps: years of a quiet one, and under 20 MB of one whose network flaps.
pub const NODE_EVENTS_KEPT: i64 = 100_000;

/// Events of the node that wait for the ledger while it takes none; the oldest go first, counted.
pub const NODE_EVENTS_WAITING: usize = 4_096;

/// Media in the spool that `calls` reads to tell of the streams of calls in progress, bytes; it lists them without when
/// there is more. 0.3 s of reading (docs/spool.md).
pub const PROGRESS_MEDIA_BYTES: u64 = 256 << 20;

/// How often a trouble that lasts is logged again.
pub const REMIND: Duration = Duration::from_secs(60);

/// Troubles that are over, kept for `status`.
pub const TROUBLES_KEPT: usize = 20;

/// Bytes that a spool worker holds while the disk does not take them: 30 s of 200 G.711 calls.
pub const HELD_BYTES: usize = 64 << 20;

/// The same for one leg, whose file alone may be what takes nothing: six minutes of G.711.
pub const LEG_HELD_BYTES: usize = 8 << 20;

/// Bytes that a spool worker gathers while the disk takes them: full buffers of 6,000 legs. With more, none gets full.
pub const BUFFERED_BYTES: usize = 192 << 20;

/// From this share of a queue, of the memory for a disk that refuses, or of the kernel's ring on, new calls are refused: half
/// a queue is what a stall of half a second costs at 1,000,000 packets/s, and no stall of a healthy disk.
pub const OVERLOAD_BEGINS: f64 = 0.5;

/// From here on calls in progress are, the newest first.
pub const OVERLOAD_SHEDS: f64 = 0.75;

/// Below this the overload is over.
pub const OVERLOAD_OVER: f64 = 0.25;

/// How long after the kernel dropped packets the overload is not over.
pub const OVERLOAD_CALM: Duration = Duration::from_secs(5);

/// Of the calls in progress one in so many is refused for each second in a row in which the kernel drops packets.
pub const OVERLOAD_SHARE: usize = 8;

/// Streams told apart in one leg and reported in one call; what is more is counted as an event. Phones make a few,
/// fuzzers millions.
pub const STREAMS_PER_CALL: usize = 1_024;

/// Parts of a capture file that could not be read, told one by one; more are counted.
pub const TROUBLES: usize = 20;

/// Packets a stream must have to be reported when no signalling promised its payload type: random datagrams on
/// an RTP port make "streams" of one or two.
pub const STREAM_PROBATION: u64 = 4;

/// Longest silence that audio is written for, seconds; a clock step makes larger ones. What is cut is an event.
pub const AUDIO_SECONDS: f64 = 24.0 * 3600.0;

/// How far behind the last packet of a call its sound may begin, seconds: who sends ahead of time sends so much. Timestamps
/// made at random would make a day of three seconds.
pub const SOUND_AHEAD_S: f64 = 30.0;

/// Bytes of samples in one WAV file: RIFF counts in 32 bits.
pub const WAV_BYTES: u64 = 0xffff_0000;

/// Packets that the doctor remembers to know their copies by; a place is used again when it is needed. At 300,000
/// packets/s these are 50 ms, longer than any copy takes.
pub const COPIES_REMEMBERED: usize = 16_384;

/// Ways that packets take which the doctor counts one by one; those beyond are counted together.
pub const PATHS_COUNTED: usize = 512;

/// RTP streams that the doctor follows at once; a tenth of a very large site's tell as much as all.
pub const DOCTOR_STREAMS: usize = 16_384;

/// Addresses of media, hosts in conversation, SIP transactions and calls that the doctor follows, of each.
pub const DOCTOR_ENTRIES: usize = 16_384;

/// TCP connections whose acknowledgements the doctor follows.
pub const DOCTOR_CONNECTIONS: usize = 4_096;

/// Holes of one TCP direction that wait for a late segment.
pub const DOCTOR_HOLES: usize = 16;

/// Examples (hosts, streams, calls, paths) that a finding names; the others are counted.
pub const EXAMPLES: usize = 5;

/// Frames a second up to which the doctor of a live recorder listens all the time: at 0.4 µs a frame, 0.2 % of one
/// processor.
pub const DOCTOR_ALL: u64 = 5_000;

/// Of how many seconds the doctor of a live recorder listens to one when there are more frames. A frame costs it 360 ns and
/// the tap 80 (both measured), so that this adds 4: a twentieth.
pub const DOCTOR_SHARE: u32 = 90;

/// How long it then listens at a time: RTCP reports come every 5 s, unanswered requests are repeated within 4.
pub const DOCTOR_WINDOW: Duration = Duration::from_secs(6);

/// How long the doctor of a live recorder gathers before it counts anew (two windows when it samples): a finding is over
/// when such a round is without it.
pub const DOCTOR_ROUND: Duration = Duration::from_secs(120);

/// How often the doctor of a live recorder judges what it has heard: a millisecond of the tap's time.
pub const DOCTOR_LOOK: Duration = Duration::from_secs(5);

/// Bytes of memory that the dialogs of all calls may take together, with what is kept of them elsewhere on the tap. A usual one
/// takes 5 kB, so that 100,000 of them have room; with a few that describe all they can there would be none. At the bound new
/// dialogs are refused.
pub const DIALOGS_BYTES: usize = 1 << 30;

/// What one dialog may take in any case; with more of it, at the bound of all, it is only followed to its end.
pub const DIALOG_FAIR_BYTES: usize = 10 << 10;

/// Calls that are recorded at once where the configuration has no `max_calls`: twice and a half what the recorder is measured
/// with. Each has buffers in its spool worker.
pub const CALLS_RECORDED: usize = 25_000;
