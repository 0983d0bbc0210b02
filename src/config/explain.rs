//! Every key explained, as TOML that can be loaded again.

use super::{Config, Environment, NAME_TOKENS};
use std::fmt::Write as _;

/// Each key, and the failure it answers.
const WHY: [(&str, &str); 21] = [
    (
        "data",
        "Where recordings, ledger and spool are, so that every command finds the same. --data goes before it.\n\
         A relative path begins in the working folder.",
    ),
    (
        "interfaces",
        "The interfaces that get the mirrored packets; -i goes before it. One named here that is not there yet, or\n\
         went away, is waited for: a recorder that gave up at boot would be found out when a call is missing.",
    ),
    (
        "hep",
        "Where no mirror reaches, an agent on the phone system can send what it hears (HEP, docs/hep.md). Addresses to\n\
         listen on, [\"10.0.0.9:9060\"]; --hep goes before it. Anybody who can reach them can make calls up.",
    ),
    (
        "capture_filter",
        "What else is on the mirror costs the time to look at it. A BPF expression (man pcap-filter) lets the kernel\n\
         drop it; empty is everything. Fragments and packets with VLAN tags always pass: a plain expression would\n\
         drop them, and with them calls.",
    ),
    (
        "ring_mb",
        "While nothing reads (the machine is busy, the disk stalls) packets wait in the kernel's ring; beyond it they\n\
         are lost. Megabytes for each interface, 1 to 2047.",
    ),
    (
        "capture_threads",
        "One thread reads all interfaces. When the kernel drops packets and processors are idle, so many threads can\n\
         read each interface for it (PACKET_FANOUT), 1 to 16. They share ring_mb, and cost more in all.",
    ),
    (
        "flush_ms",
        "What the recorder still holds itself is lost when it is killed. Media is given to the kernel at least every\n\
         so many milliseconds (10 to 2000) while up to 1,000 calls are up; with 10,000 it is every 2 s.",
    ),
    (
        "sync_s",
        "What only the kernel holds is lost when the power goes. Media is on the disk after so many seconds, 1 to 60.",
    ),
    (
        "primaries",
        "Who answers a recording INVITE is watched from then on. A primary that is lost before it has answered one\n\
         is only missed when it stands here: [\"10.0.0.5:5060\", \"[2001:db8::5]:5060\"].",
    ),
    (
        "on_primary_change",
        "A lost primary that nobody hears of stays lost. This command, with these arguments, is run once when a\n\
         primary is lost and once when it is back: [\"/usr/local/bin/tell\", \"--urgent\"]. Empty: none.",
    ),
    (
        "media_timeout_s",
        "A BYE may never be seen (lost by the mirror, or the phone lost its power). An answered call that\n\
         has had no media for so many seconds has ended, at its last packet.",
    ),
    (
        "hold_timeout_s",
        "A call on hold is silent and goes on, and so may one whose media take a way that is not mirrored.\n\
         Such a call has ended after so many seconds without a packet.",
    ),
    (
        "setup_timeout_s",
        "An INVITE whose final answer never comes would stay forever. It is given up after so many seconds;\n\
         more than the longest time a phone rings.",
    ),
    (
        "resume_timeout_s",
        "Cisco's Built-in Bridge ends a recording when its call is held, and begins another when it goes on. Live, what\n\
         goes on within so many seconds (0 to 3600) is one recording with the hold in it, and sealed so much later;\n\
         what goes on after that is a recording of its own, linked to the first. A replay waits for hold_timeout_s.",
    ),
    (
        "recording_name",
        "Where under recordings/ the files of a call go, without the extension, so that neither a folder of\n\
         a million files nor two files of one name come about. It holds {id}, which no two calls share.\n\
         Tokens: ",
    ),
    (
        "audio",
        "A disk that is full or slow keeps calls waiting. \"g711\" writes the sound of G.711 calls in G.711's code words\n\
         (RIFF/WAVE formats 6 and 7), half as much as \"pcm\", which is 16-bit linear and played by everything.",
    ),
    (
        "keep_days",
        "Without an end to it the disk is full one day. The recorder removes calls that ended so many days ago, their\n\
         rows and their files, a little at a time (docs/ledger.md). 0: it keeps them for ever.",
    ),
    ("workers", "Threads that write packets and seal recordings, when those fall behind. 0: one a core."),
    (
        "max_calls",
        "A host that is given more calls than it can take refuses the newest when it is behind (docs/deploy.md).\n\
         Where it is known what it can take, or other work on it must go on, so many calls are recorded at once, and\n\
         newer ones are refused from the start. 0: as many as it can, up to 25,000.",
    ),
    ("log", "How much is logged to stderr when something is looked for: error, warn, info or debug."),
    ("log_json", "Log lines are read by a program that splits them wrongly: true makes each a JSON object."),
];

impl Config {
    /// The configuration as TOML that says of each key what it is for, and that can be loaded again.
    #[must_use]
    pub fn explain(&self) -> String {
        self.explain_in(&Environment::default())
    }

    /// The same, with a remark at what comes from this environment.
    #[must_use]
    pub fn explain_in(&self, environment: &Environment) -> String {
        let values = toml::Table::try_from(self).unwrap_or_default();
        let mut text = String::from(
            "# The effective configuration of earwitness. A flag goes before the environment (EARWITNESS_ and the key in\n\
             # capitals; a list with commas), the environment before the file, the file before the default.\n",
        );
        for (key, why) in WHY {
            let mut why = why.replace('\n', "\n# ");
            if key == "recording_name" {
                why.push_str(&NAME_TOKENS.map(|t| format!("{{{t}}}")).join(" "));
            }
            let Some(value) = values.get(key) else { continue };
            let from = environment.variable_of(key).map(|v| format!(" # from the environment: {v}"));
            writeln!(text, "\n# {why}\n{key} = {value}{}", from.unwrap_or_default()).unwrap_or_default();
        }
        text
    }
}
