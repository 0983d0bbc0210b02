use super::*;
use crate::media::sequence::{Packet, order};
use proptest::prelude::*;

/// A stream of 20 ms packets: `at(i)` is when packet i is captured, in ns; `ts(i)` its timestamp.
fn stream(n: i64, at: impl Fn(i64) -> i64, ts: impl Fn(i64) -> i64) -> Vec<Ordered> {
    let p: Vec<Packet> = (0..n)
        .map(|i| Packet {
            at: CaptureTime(at(i)),
            place: 0,
            timestamp: ts(i) as u32,
            sequence: i as u16,
            length: 160,
            payload_type: 0,
            marker: false,
        })
        .collect();
    order(&p, 8000).packets
}

fn noise(i: i64, most: i64) -> i64 {
    (i.wrapping_mul(0x5851_f42d_4c95_7f2d) >> 33).rem_euclid(most)
}

fn samples(p: &[Ordered]) -> Vec<i64> {
    place(&p.iter().collect::<Vec<_>>(), 8000, 8000).iter().map(|x| x.sample(CaptureTime(0), 8000)).collect()
}

#[test]
fn jitter_moves_nothing() {
    let s = samples(&stream(3000, |i| i * 20_000_000 + noise(i, 40_000_000), |i| i * 160));
    let first = s[0];
    assert!((0..=16).contains(&first), "{first}");
    assert!(s.iter().enumerate().all(|(i, x)| *x == first + i as i64 * 160));
}

#[test]
fn an_hour_at_100_ppm_stays_within_ten_milliseconds() {
    for ppm in [100i64, -100] {
        let real = |i: i64| i * 20_000_000 + i * 20 * ppm;
        let s = samples(&stream(180_000, |i| real(i) + noise(i, 5_000_000), |i| i * 160));
        let worst = s.iter().enumerate().map(|(i, x)| (x * 125_000 - real(i as i64)).abs()).max().unwrap();
        assert!(worst < 10_000_000, "{ppm} ppm: {worst} ns");
        assert!(s.windows(2).all(|w| (159..=161).contains(&(w[1] - w[0]))));
    }
}

#[test]
fn silence_suppression_keeps_the_timestamps_and_a_pause_without_them_the_wire() {
    let s = samples(&stream(
        200,
        |i| i * 20_000_000 + if i >= 100 { 5 * NANOS_PER_SEC } else { 0 },
        |i| i * 160 + if i >= 100 { 40_000 } else { 0 },
    ));
    assert_eq!((s[99], s[100]), (99 * 160, 100 * 160 + 40_000));
    let s =
        samples(&stream(200, |i| i * 20_000_000 + if i >= 100 { 5 * NANOS_PER_SEC } else { 0 }, |i| i * 160));
    assert_eq!((s[99], s[100]), (99 * 160, 100 * 160 + 40_000));
}

#[test]
fn a_timestamp_jump_does_not_move_the_sound() {
    let s = samples(&stream(200, |i| i * 20_000_000, |i| i * 160 + if i >= 100 { 80_000_000 } else { 0 }));
    assert!(s.iter().enumerate().all(|(i, x)| *x == i as i64 * 160));
}

#[test]
fn a_capture_clock_set_back_does_not_fold_the_sound_over_itself() {
    let s =
        samples(&stream(200, |i| i * 20_000_000 - if i >= 100 { 2 * NANOS_PER_SEC } else { 0 }, |i| i * 160));
    assert!(s.windows(2).all(|w| w[1] - w[0] == 160));
}

#[test]
fn one_wild_timestamp_of_the_capture_moves_nothing() {
    for wild in [-3600 * NANOS_PER_SEC, -20 * NANOS_PER_SEC, 3600 * NANOS_PER_SEC] {
        let s = samples(&stream(
            400,
            |i| if i == 150 { i * 20_000_000 + wild } else { i * 20_000_000 },
            |i| i * 160,
        ));
        assert!(s.iter().enumerate().all(|(i, x)| *x == i as i64 * 160), "{wild}");
    }
}

/// When packets are captured of which those spoken from `begin` on wait for `stall`, in ns; they come `step` apart.
fn held(i: i64, begin: i64, stall: i64, step: i64) -> i64 {
    let (first, spoken) = (begin / 20_000_000, i * 20_000_000);
    if i < first { spoken } else { spoken.max(begin + stall + (i - first) * step) }
}

#[test]
fn what_was_held_up_and_comes_in_a_burst_is_no_jump() {
    for ms in [350, 1000, 3000] {
        let (stall, packets) = (ms * 1_000_000, ms / 20);
        // In the middle, at the beginning, as the last that is heard, and when the last of it is not heard.
        for (n, begin, steps) in
            [(500, 100, 3), (500, 0, 3), (100 + packets, 100, 2), (100 + packets * 3 / 4, 100, 1)]
        {
            for step in [0, 500_000, 8_000_000].into_iter().take(steps) {
                let s = samples(&stream(n, |i| held(i, begin * 20_000_000, stall, step), |i| i * 160));
                let right = s.iter().enumerate().all(|(i, x)| *x == i as i64 * 160);
                assert!(right, "{ms} {n} {begin} {step}: {s:?}");
            }
        }
    }
}

#[test]
fn a_burst_that_is_held_up_once_more_is_no_jump() {
    let again =
        |i| held(i, 2 * NANOS_PER_SEC, NANOS_PER_SEC, 0).max(held(i, 2_700_000_000, NANOS_PER_SEC, 0));
    let s = samples(&stream(300, again, |i| i * 160));
    assert!(s.iter().enumerate().all(|(i, x)| *x == i as i64 * 160));
}

#[test]
fn a_jump_behind_a_burst_or_with_a_burst_is_a_jump() {
    // Held up for a second, and 0, 5 or 40 packets before all is there the timestamps stand still for 5 s.
    for short in [0, 5, 40] {
        let jump = 150 - short;
        let at = |i| {
            if i < jump {
                held(i, 2 * NANOS_PER_SEC, NANOS_PER_SEC, 0)
            } else {
                i * 20_000_000 + 5 * NANOS_PER_SEC
            }
        };
        let s = samples(&stream(300, at, |i| i * 160));
        let right = |i: i64| i * 160 + if i < jump { 0 } else { 40_000 };
        assert!((0..).zip(&s).all(|(i, x)| *x == right(i)), "{short}");
    }
    // Timestamps stand still for 5 s, and the first half second of what is spoken then comes at once.
    let at = |i| {
        if i < 100 { i * 20_000_000 } else { held(i, 2 * NANOS_PER_SEC, 500_000_000, 0) + 5 * NANOS_PER_SEC }
    };
    let s = samples(&stream(300, at, |i| i * 160));
    assert_eq!((s[99], s[100], s[299]), (99 * 160, 100 * 160 + 40_000, 299 * 160 + 40_000));
}

#[test]
fn a_pause_without_timestamps_at_the_end_is_a_jump() {
    for packets in [3, 8, 20] {
        let at = |i| i * 20_000_000 + if i >= 100 { 5 * NANOS_PER_SEC } else { 0 } + noise(i, 30_000_000);
        let s = samples(&stream(100 + packets, at, |i| i * 160));
        assert!(s[100] - s[99] >= 160 + 40_000 - 240, "{packets}: {}", s[100] - s[99]);
    }
}

proptest! {
    /// Wherever and for how long packets are held up, no sound is moved by more than the jitter.
    #[test]
    fn stalls_move_no_sound(stalls in proptest::collection::vec((0i64..1200, 1i64..6_000), 0..4),
                            step in 0i64..3_000_000, jitter in 1i64..40_000_000, n in 60i64..1000) {
        let late = |i: i64| {
            let held = stalls.iter().map(|s| held(i, s.0 * 20_000_000, s.1 * 1_000_000, step) - i * 20_000_000);
            held.max().unwrap_or(0).max(noise(i, jitter))
        };
        // What never comes in time tells nothing of the time, and of what comes last nobody knows whether it goes on so.
        prop_assume!((0..n).filter(|i| late(*i) < jitter).count() as i64 > n / 2 && late(n - 1) < LATE_AT_MOST_NS - FALL_NS);
        let at = |i: i64| i * 20_000_000 + late(i);
        let s = samples(&stream(n, at, |i| i * 160));
        let most = jitter / 125_000 + 1;
        prop_assert!((0..).zip(&s).all(|(i, x)| (x - i * 160).abs() <= most), "{:?}", s);
    }
}

#[test]
fn a_burst_of_late_packets_is_no_jump() {
    let s = samples(&stream(
        200,
        |i| {
            if (100..105).contains(&i) { 105 * 20_000_000 + 200_000_000 } else { i * 20_000_000 }
        },
        |i| i * 160,
    ));
    assert!(s.iter().enumerate().all(|(i, x)| *x == i as i64 * 160));
}
