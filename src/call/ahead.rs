//! What is known of the flows of frames that come next is brought near.

use super::listener::Listener;
use super::switchboard::FlowKey;
use crate::limits::FRAMES_AHEAD;
use crate::wire::frame::LinkType;
use crate::wire::glance;
use smallvec::SmallVec;

impl Listener {
    /// These frames come next. Says nothing and changes nothing: it only makes them cheaper.
    pub fn expect<'a>(&self, frames: impl Iterator<Item = (LinkType, &'a [u8])>) {
        let flow = |(link, bytes)| {
            let (source, destination, ssrc) = glance::flow(link, bytes)?;
            Some(FlowKey { source, destination, ssrc })
        };
        let flows: SmallVec<[FlowKey; FRAMES_AHEAD]> = frames.filter_map(flow).collect();
        self.roster.switchboard.expect(&flows);
    }
}
