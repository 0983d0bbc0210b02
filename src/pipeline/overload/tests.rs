use super::*;
use proptest::prelude::*;

fn t(ms: i64) -> CaptureTime {
    CaptureTime(1_700_000_000_000_000_000 + ms * 1_000_000)
}

fn queue(fill: f64, recorded: usize) -> Signs {
    Signs { queue: fill, recorded, ..Signs::default() }
}

#[test]
fn new_calls_first_and_with_hysteresis() {
    let mut g = Governor::new(0);
    assert_eq!(g.look(t(0), &queue(0.49, 100)), Order::Nothing);
    assert_eq!(g.look(t(40), &queue(0.5, 100)), Order::Refuse(100));
    assert_eq!(g.overload().map(|o| (o.sign, o.since)), Some((Sign::Queue, t(40))));
    assert_eq!(g.look(t(80), &queue(0.3, 100)), Order::Refuse(100));
    assert_eq!(g.look(t(120), &queue(0.24, 100)), Order::Admit);
    assert_eq!(g.look(t(160), &queue(0.4, 100)), Order::Nothing);
    assert_eq!(g.overload(), None);
}

#[test]
fn what_gets_emptier_costs_no_call() {
    let mut g = Governor::new(0);
    for (ms, fill) in [(0, 0.9), (40, 0.85), (80, 0.8), (120, 0.76)] {
        assert_eq!(g.look(t(ms), &queue(fill, 100)), Order::Refuse(100), "a stall that is over");
    }
    assert_eq!(g.look(t(160), &queue(0.875, 100)), Order::Refuse(50));
    assert_eq!(g.look(t(200), &queue(0.875, 50)), Order::Refuse(50), "it stands, and so do they");
    assert_eq!(g.look(t(240), &queue(1.0, 50)), Order::Refuse(25), "half of them at most");
    assert_eq!(g.look(t(280), &queue(1.0, 1)), Order::Refuse(1), "never the last");
}

#[test]
fn the_kernel_drops_once_and_again() {
    let mut g = Governor::new(0);
    let drops = |dropped| Signs { dropped, recorded: 80, ..Signs::default() };
    assert_eq!(g.look(t(0), &drops(7)), Order::Nothing, "a pause of the machine");
    assert_eq!(g.overload(), None);
    assert_eq!(g.look(t(40), &drops(0)), Order::Nothing);
    assert_eq!(g.look(t(1_000), &drops(9)), Order::Refuse(80), "and again: no new calls");
    assert_eq!(g.overload().map(|o| o.sign), Some(Sign::KernelDrops));
    assert_eq!(g.look(t(2_000), &drops(9)), Order::Refuse(70), "and again");
    assert_eq!(g.look(t(5_000), &drops(9)), Order::Refuse(80), "not in a row");
    assert_eq!(g.look(t(9_999), &drops(0)), Order::Refuse(80));
    assert_eq!(g.look(t(10_001), &drops(0)), Order::Admit);
    // The clock is set back: it is over sooner or later.
    assert_eq!(g.look(t(20_000), &drops(1)), Order::Nothing);
    assert_eq!(g.look(t(21_000), &drops(1)), Order::Refuse(80));
    assert_eq!(g.look(t(10_000), &drops(0)), Order::Admit);
}

#[test]
fn bounds_are_told() {
    let mut g = Governor::new(100);
    let up = |recorded| Signs { recorded, ..Signs::default() };
    assert_eq!(g.look(t(0), &up(99)), Order::Nothing);
    assert!(g.overload().is_none());
    for recorded in [100, 99, 95] {
        assert_eq!(g.look(t(40), &up(recorded)), Order::Nothing);
        assert_eq!(g.overload().map(|o| o.sign), Some(Sign::MaxCalls));
    }
    g.look(t(80), &up(94));
    assert!(g.overload().is_none());
    g.look(t(120), &Signs { turned_away: 1, ..up(50) });
    assert_eq!(g.overload().map(|o| o.sign), Some(Sign::Dialogs));
    g.look(t(9_000), &up(50));
    assert!(g.overload().is_none());
}

#[test]
fn a_backlog_and_a_clock_that_differs() {
    let mut b = Backlog::new(256, t(0));
    b.rate(1_000_000, 214_000_000, 1.0);
    // A card whose clock is a second behind, and a tap that keeps up.
    b.taken(t(1_000), t(0), true);
    assert!(b.fill(t(1_020)) < 0.05);
    b.taken(t(1_400), t(900), false);
    let fill = b.fill(t(1_400));
    assert!((0.3..0.5).contains(&fill), "{fill}");
}

proptest! {
    /// A disk of any speed, and any number of calls of 100 packets a second that all began before: a queue is never full, and
    /// where the disk takes the packets of some calls, about as many are left.
    #[test]
    fn a_queue_never_overflows(calls in 4usize..5_000, share in 0.0f64..1.0, seconds in 1.0f64..60.0) {
        let mut g = Governor::new(0);
        // Room for so many seconds of all calls.
        let (room, mut queued, mut recorded) = (calls as f64 * 100.0 * seconds, 0.0, calls);
        for tick in 0..10_000 {
            queued += recorded as f64 * 4.0;
            queued -= f64::min(queued, calls as f64 * share * 4.0);
            prop_assert!(queued < room || recorded <= 1, "{queued} of {room} with {recorded} calls");
            if let Order::Refuse(keep) = g.look(t(tick * 40), &queue(queued / room, recorded)) {
                prop_assert!(keep <= recorded && keep * 2 + 1 >= recorded);
                recorded = keep;
            }
        }
        let fits = (calls as f64 * share) as usize;
        prop_assert!(recorded + 2 >= fits, "{recorded} are left where {fits} could be");
    }
}
