//! What the tap must be told of a leg to go on with it.

use super::dialog::Dialog;
use super::record::Carried;
use super::switchboard::FlowKey;
use crate::time::CaptureTime;

/// A leg of an earlier run.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// Its dialog as its signalling left it; `None` for media alone.
    pub dialog: Option<Dialog>,
    /// The flows of its last media.
    pub flows: Vec<FlowKey>,
    /// Its last packet of media.
    pub media_at: Option<CaptureTime>,
    /// Its last packet of any kind.
    pub last_at: CaptureTime,
    /// Its primary was lost meanwhile.
    pub carried: Option<Carried>,
    /// Media alone that is of the call of this dialog (a Call-ID).
    pub joined: Option<String>,
    /// A dialog that is of the call of this other one (a Call-ID).
    pub same: Option<String>,
    /// Its media were refused.
    pub refused: bool,
}
