//! Cisco Built-in Bridge: what CUCM says in the From URI of a recording INVITE.
//!
//! `<sip:4062@CUCM;x-nearend;x-refci=82731258;x-nearenddevice=SEP…;x-nearendaddr=4062;x-farendaddr=8172710497>`,
//! with `x-farend` in the dialog of the other leg. Old versions send only some of the parameters.

use super::sip_name::NameAddr;

/// Which side of the recorded phone a dialog carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// The recorded agent's own voice.
    Near,
    /// What the agent hears.
    Far,
}

/// The parameters of one leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bib {
    /// Which leg this dialog is.
    pub leg: Leg,
    /// Call reference of the near end: alike in both legs; empty where an old version leaves it out.
    pub refci: String,
    /// Call reference of the far end.
    pub far_refci: Option<String>,
    /// Cluster of the near end: call references are of one cluster.
    pub near_cluster: Option<String>,
    /// Device name of the near end.
    pub near_device: Option<String>,
    /// Number of the near end.
    pub near_address: Option<String>,
    /// Device name of the far end; a trunk or a bridge at times.
    pub far_device: Option<String>,
    /// Number of the far end.
    pub far_address: Option<String>,
}

impl Bib {
    /// Reads the parameters from a From header; `None` when it is not of a Built-in Bridge.
    #[must_use]
    pub fn parse(from: &NameAddr) -> Option<Self> {
        let has = |n: &str| from.uri_param(n).or_else(|| from.param(n));
        let text = |n: &str| has(n).filter(|v| !v.is_empty()).map(str::to_owned);
        let leg = match (has("x-nearend"), has("x-farend")) {
            (Some(_), _) => Leg::Near,
            (None, Some(_)) => Leg::Far,
            _ => return None,
        };
        let bib = Self {
            leg,
            refci: text("x-refci").unwrap_or_default(),
            far_refci: text("x-farendrefci"),
            near_cluster: text("x-nearendclusterid"),
            near_device: text("x-nearenddevice"),
            near_address: text("x-nearendaddr"),
            far_device: text("x-farenddevice"),
            far_address: text("x-farendaddr"),
        };
        // Something must tell whose recording it is.
        let told = !bib.refci.is_empty() || bib.near_device.is_some() || bib.near_address.is_some();
        told.then_some(bib)
    }

    /// What the dialogs of one recorded call have in common: the reference, else the device, else the number.
    #[must_use]
    pub fn key(&self) -> String {
        match (&self.near_device, &self.near_address) {
            _ if !self.refci.is_empty() => self.refci.clone(),
            (Some(device), _) => format!("device {}", device.to_ascii_lowercase()),
            (None, address) => format!("address {}", address.as_deref().unwrap_or_default()),
        }
    }

    /// May these be dialogs of one recorded call? What both of them tell is alike.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        let differ = |a: &Option<String>, b: &Option<String>| match (a, b) {
            (Some(a), Some(b)) => !a.eq_ignore_ascii_case(b),
            _ => false,
        };
        let by_device = self.near_device.is_some() && other.near_device.is_some();
        self.key() == other.key()
            && !differ(&self.near_device, &other.near_device)
            && !differ(&self.near_cluster, &other.near_cluster)
            && (by_device || !differ(&self.near_address, &other.near_address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cucm_near_end() {
        let f = NameAddr::parse(b"\"Agent\" <sip:4062@c;x-nearend;x-refci=8273;x-nearenddevice=SEP01;x-nearendaddr=4062;x-farendrefci=1;x-farenddevice=T;x-farendaddr=817>;tag=1");
        let b = Bib::parse(&f).unwrap();
        assert_eq!((b.leg, b.refci.as_str(), b.near_device.as_deref()), (Leg::Near, "8273", Some("SEP01")));
        assert_eq!((b.near_address.as_deref(), b.far_address.as_deref()), (Some("4062"), Some("817")));
    }

    #[test]
    fn old_versions_leave_some_out() {
        let of = |text: &str| Bib::parse(&NameAddr::parse(text.as_bytes()));
        let whole = of("<sip:1@c;x-nearend;x-refci=7;x-nearendclusterid=A;x-nearenddevice=SEP1>").unwrap();
        let less = of("<sip:1@c;x-farend;x-refci=7>").unwrap();
        assert!(whole.is_alike(&less) && less.is_alike(&whole));
        let other = of("<sip:1@c;x-farend;x-refci=7;x-nearendclusterid=B;x-nearenddevice=SEP1>").unwrap();
        assert!(!whole.is_alike(&other));
        let bare = of("<sip:1@c;x-farend;x-nearenddevice=SEP1>").unwrap();
        assert!(bare.refci.is_empty() && !bare.is_alike(&whole));
    }

    #[test]
    fn others_are_none() {
        assert_eq!(Bib::parse(&NameAddr::parse(b"<sip:a@b>;tag=1")), None);
        assert_eq!(Bib::parse(&NameAddr::parse(b"<sip:a@b;x-farend>;tag=1")), None);
    }
}
