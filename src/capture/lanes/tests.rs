use super::*;
use crossbeam_channel::bounded;

/// A reader without a thread.
struct Feed {
    to: Sender<Said>,
    empty: Receiver<Frames>,
    shown: Arc<Shown>,
}

impl Feed {
    fn frames(&self, frames: &[(i64, &[u8])]) {
        let mut batch = Frames::default();
        for (at, bytes) in frames {
            batch.push(CaptureTime(*at), bytes);
        }
        let last = batch.ends.last().map(|f| f.0.0);
        self.to.send(Said::Frames(batch)).unwrap();
        self.seen(last.unwrap());
    }

    fn seen(&self, at: i64) {
        self.shown.seen.store(at, Ordering::Release);
    }
}

fn lanes(n: usize, joined_at: i64) -> (Lanes, Vec<Feed>) {
    let one = |_| {
        let ((to, full), (emptied, empty)) = (bounded(64), bounded(64));
        let shown = Arc::new(Shown::default());
        (Lane::new(full, emptied, shown.clone()), Feed { to, empty, shown })
    };
    let (lanes, feeds) = (0..n).map(one).unzip();
    (Lanes::new(lanes, CaptureTime(joined_at)), feeds)
}

/// All that there is at this time.
fn all(l: &mut Lanes, now: i64) -> Vec<(i64, Vec<u8>)> {
    let mut out = Vec::new();
    while let Got::Frame(at, bytes) = l.take(CaptureTime(now)) {
        out.push((at.0, bytes.to_vec()));
    }
    out
}

fn times(l: &mut Lanes, now: i64) -> Vec<i64> {
    all(l, now).into_iter().map(|f| f.0).collect()
}

#[test]
fn in_order_and_nothing_before_what_may_be_earlier() {
    let (mut l, f) = lanes(2, 0);
    f[0].frames(&[(10, b"a"), (30, b"c"), (50, b"e")]);
    assert!(times(&mut l, 100).is_empty(), "the other may have an earlier one");
    assert!(l.waiting());
    f[1].seen(20);
    assert_eq!(times(&mut l, 100), [10]);
    f[1].frames(&[(20, b"b"), (40, b"d")]);
    assert_eq!(times(&mut l, 100), [20, 30, 40], "50 may not be the next");
    f[1].seen(60);
    assert_eq!(all(&mut l, 100), [(50, b"e".to_vec())]);
    assert!(!l.waiting());
    assert!(matches!(l.take(CaptureTime(100)), Got::Nothing));
    assert_eq!((f[0].empty.len(), f[1].empty.len()), (1, 1), "batches go back");
    assert!(f[0].empty.recv().unwrap().ends.is_empty());
}

#[test]
fn a_reader_that_is_not_let_run_is_waited_for_a_while() {
    let (mut l, f) = lanes(3, 0);
    let late = READER_PATIENCE.as_nanos() as i64;
    f[0].frames(&[(10, b"a"), (20, b"b")]);
    f[1].seen(1_000);
    assert!(times(&mut l, 9 + late).is_empty());
    assert_eq!(times(&mut l, 10 + late), [10]);
    // The host's clock is set back: what is ahead of it is not held.
    assert_eq!(times(&mut l, 5), [20]);
}

#[test]
fn what_rings_had_before_they_joined_is_taken_once() {
    let (mut l, f) = lanes(3, 100);
    f[0].frames(&[(10, b"a"), (20, b"b"), (20, b"c"), (150, b"x")]);
    f[1].frames(&[(20, b"b"), (20, b"c"), (90, b"d"), (150, b"x")]);
    f[2].frames(&[(20, b"other"), (90, b"d"), (200, b"z")]);
    f.iter().for_each(|f| f.seen(250));
    let mut got = all(&mut l, 300);
    let b = |s: &[u8]| s.to_vec();
    // Within one nanosecond no order is known.
    got[1..4].sort();
    let before = [(10, b(b"a")), (20, b(b"b")), (20, b(b"c")), (20, b(b"other")), (90, b(b"d"))];
    assert_eq!(got[..5], before);
    // Afterwards the same at the same time is not the same frame.
    assert_eq!(got[5..], [(150, b(b"x")), (150, b(b"x")), (200, b(b"z"))]);
}

#[test]
fn one_that_is_gone_is_told_behind_what_the_others_have() {
    let (mut l, mut f) = lanes(2, 0);
    f[0].frames(&[(10, b"a"), (20, b"b")]);
    f[1].frames(&[(15, b"c")]);
    let gone = f.remove(1);
    gone.to.send(Said::Gone("went down".into())).unwrap();
    drop(gone);
    assert_eq!(times(&mut l, 100), [10, 15, 20]);
    assert!(matches!(l.take(CaptureTime(100)), Got::Gone(why) if why == "went down"));
    // A reader that died says nothing.
    drop(f);
    let (mut l, f) = lanes(2, 0);
    f[0].frames(&[(10, b"a")]);
    drop(f);
    assert_eq!(times(&mut l, 100), [10]);
    assert!(matches!(l.take(CaptureTime(100)), Got::Gone(why) if why.contains("ended")));
}

#[test]
fn drops_of_all_since_the_last_time() {
    let (mut l, f) = lanes(2, 0);
    f[0].shown.kernel.fetch_add(3, Ordering::Relaxed);
    f[1].shown.kernel.fetch_add(4, Ordering::Relaxed);
    f[0].shown.interface.fetch_add(2, Ordering::Relaxed);
    assert_eq!(l.dropped(), Dropped { kernel: 7, interface: 2 });
    f[1].shown.kernel.fetch_add(1, Ordering::Relaxed);
    assert_eq!(l.dropped(), Dropped { kernel: 1, interface: 0 });
}

/// Whatever the batches and whoever comes when: the frames of one ring, in its order.
#[test]
fn as_from_one_ring() {
    let mut random = 7u64;
    let mut next = |n: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % n
    };
    for _ in 0..200 {
        let (mut l, f) = lanes(3, 0);
        let mut sent: Vec<Vec<(i64, Vec<u8>)>> = vec![Vec::new(); 3];
        let (mut want, mut got) = (Vec::new(), Vec::new());
        for at in 1..=60 {
            let frame = (at * 10, vec![at as u8; 1 + next(40) as usize]);
            want.push(frame.clone());
            sent[next(3) as usize].push(frame);
            let who = next(3) as usize;
            if next(4) == 0 && !sent[who].is_empty() {
                let frames = std::mem::take(&mut sent[who]);
                f[who].frames(&frames.iter().map(|(at, b)| (*at, b.as_slice())).collect::<Vec<_>>());
                if next(2) == 0 {
                    f[who].seen(at * 10);
                }
            }
            got.extend(all(&mut l, 600));
        }
        for (f, s) in f.iter().zip(&sent) {
            if !s.is_empty() {
                f.frames(&s.iter().map(|(at, b)| (*at, b.as_slice())).collect::<Vec<_>>());
            }
            f.seen(1_000);
        }
        got.extend(all(&mut l, 600));
        assert_eq!(got, want);
    }
}
