//! Capture agents that send what they hear (HEP): how much each has sent, and by which clock.

use crate::limits::{HEP_AGENTS, HEP_CLOCK};
use crate::time::CaptureTime;
use crate::wire::hep::{Hep, HepError, Kind};
use hashbrown::HashMap;

/// What one agent has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentReport {
    /// Its number.
    pub agent: u32,
    /// Packets of calls: SIP, RTP and RTCP.
    pub packets: u64,
    /// What its clock is behind ours, nanoseconds; 0 when they agree.
    pub behind: i64,
}

#[derive(Default)]
struct Agent {
    packets: u64,
    behind: i64,
    /// What another packet must confirm.
    proposed: Option<i64>,
}

/// All agents.
#[derive(Default)]
pub(super) struct Agents {
    known: HashMap<u32, Agent>,
    /// Datagrams that are no HEP, or make no sense.
    pub(super) bad: u64,
    /// Compressed payloads.
    pub(super) compressed: u64,
    /// Reports, logs and protocols of no interest here.
    pub(super) other: u64,
    /// Packets whose time was not believed: they are dated as they arrived.
    pub(super) redated: u64,
}

impl Agents {
    /// Counts what was read; gives it, and when it was, if it is of a call. `now` is when it arrived.
    pub(super) fn take<'a>(
        &mut self,
        now: CaptureTime,
        read: Result<Hep<'a>, HepError>,
    ) -> Option<(CaptureTime, Hep<'a>)> {
        let Ok(h) = read else {
            self.bad += 1;
            return None;
        };
        match h.kind {
            Kind::Sip | Kind::Rtp | Kind::Rtcp => {}
            Kind::Compressed => {
                self.compressed += 1;
                return None;
            }
            Kind::Other(_) => {
                self.other += 1;
                return None;
            }
        }
        Some((self.date(now, &h), h))
    }

    /// By the agent's clock, as far as that goes with ours. An agent whose clock is wrong by always the same is corrected by
    /// that; a time that is wrong by itself is not believed.
    fn date(&mut self, now: CaptureTime, h: &Hep<'_>) -> CaptureTime {
        let near = |told: CaptureTime, behind: i64| {
            let at = CaptureTime(told.0.saturating_add(behind));
            (at.0.abs_diff(now.0) <= HEP_CLOCK.as_nanos() as u64).then_some(at)
        };
        if self.known.len() >= HEP_AGENTS && !self.known.contains_key(&h.agent) {
            return h.told_at.and_then(|t| near(t, 0)).unwrap_or(now);
        }
        let agent = self.known.entry(h.agent).or_default();
        agent.packets += 1;
        let Some(told) = h.told_at else { return now };
        if let Some(at) = near(told, 0) {
            agent.behind = 0;
            return at;
        }
        if let Some(at) = near(told, agent.behind) {
            return at;
        }
        if let Some((p, at)) = agent.proposed.and_then(|p| Some((p, near(told, p)?))) {
            (agent.behind, agent.proposed) = (p, None);
            return at;
        }
        agent.proposed = Some(now.0.saturating_sub(told.0));
        self.redated += 1;
        now
    }

    /// What each has sent, in order of their numbers.
    pub(super) fn report(&self) -> Vec<AgentReport> {
        let one = |(n, a): (&u32, &Agent)| AgentReport { agent: *n, packets: a.packets, behind: a.behind };
        let mut all: Vec<AgentReport> = self.known.iter().map(one).collect();
        all.sort_by_key(|a| a.agent);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::endpoint::Endpoint;

    fn hep(agent: u32, told: Option<CaptureTime>) -> Result<Hep<'static>, HepError> {
        let end = Endpoint::default();
        Ok(Hep {
            source: end,
            destination: end,
            protocol: 17,
            told_at: told,
            agent,
            kind: Kind::Sip,
            payload: b"",
        })
    }

    #[test]
    fn a_wild_time_harms_nobody_and_a_wrong_clock_is_corrected() {
        let t = |s: f64| CaptureTime((s * 1e9) as i64);
        let mut a = Agents::default();
        let mut at = |agent, now, told: Option<f64>| a.take(t(now), hep(agent, told.map(t))).unwrap().0;
        assert_eq!(at(1, 100.0, Some(99.8)), t(99.8));
        assert_eq!(at(1, 100.1, Some(4e9)), t(100.1), "wild");
        assert_eq!(at(1, 100.2, Some(100.1)), t(100.1));
        assert_eq!(at(1, 100.3, None), t(100.3));
        // An hour behind: the first cannot be told from a wild one.
        assert_eq!(at(2, 5000.0, Some(1400.0)), t(5000.0));
        assert_eq!(at(2, 5000.07, Some(1400.02)), t(5000.02));
        assert_eq!(at(2, 5000.1, Some(9e9)), t(5000.1));
        assert_eq!(at(2, 5000.1, Some(1400.06)), t(5000.06));
        assert_eq!(a.redated, 3);
        assert_eq!(a.report().iter().map(|r| (r.agent, r.packets)).collect::<Vec<_>>(), [(1, 4), (2, 4)]);
        assert!(a.take(t(0.0), Err(HepError::Length)).is_none());
        assert_eq!(a.bad, 1);
    }
}
