//! Who is at the far end of a Cisco Built-in Bridge: CUCM tells of a new one by UPDATE, in both dialogs.

use super::dialog::{Dialog, Heard};
use super::offer::Side;
use crate::time::CaptureTime;
use crate::wire::bib::Bib;
use crate::wire::sip_name::NameAddr;

/// The far end, since some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarEnd {
    /// Since when.
    pub at: CaptureTime,
    /// Its number.
    pub address: Option<String>,
    /// Its device: a phone, a trunk, a conference bridge.
    pub device: Option<String>,
    /// Its call reference.
    pub refci: Option<String>,
}

/// Far ends of one dialog that are told apart; a call that is passed on more often is no call.
const FAR_ENDS: usize = 256;

impl Dialog {
    /// Takes the far end of a request by which CUCM begins or updates a dialog.
    pub(super) fn note_far_end(&mut self, heard: &Heard<'_>, side: Side) {
        let m = heard.message;
        let tells = m.status().is_none() && matches!(m.method(), b"INVITE" | b"UPDATE");
        if self.bib.is_none() || !tells || side != Side::Caller {
            return;
        }
        let Some(b) = Bib::parse(&NameAddr::parse(m.header("from").unwrap_or_default())) else { return };
        // The leg, and so the call, is that of the INVITE.
        let own = self.bib.clone().map(|own| Bib { far_refci: b.far_refci.clone(), ..own });
        if let Some(own) = own {
            self.refer_bridge(&own, heard.at);
        }
        let last = self.far_ends.last();
        // What a message leaves out has not changed.
        let or = |new: Option<String>, old: Option<&Option<String>>| new.or_else(|| old.cloned().flatten());
        let new = FarEnd {
            at: heard.at,
            address: or(b.far_address, last.map(|l| &l.address)),
            device: or(b.far_device, last.map(|l| &l.device)),
            refci: or(b.far_refci, last.map(|l| &l.refci)),
        };
        let same = |l: &FarEnd| FarEnd { at: new.at, ..l.clone() } == new;
        if !last.is_some_and(same) && self.far_ends.len() < FAR_ENDS {
            self.far_ends.push(new);
        }
    }
}
