//! Each vendor's oddity, each oddity of a mirror: a capture of our own making (`scripts/platforms`), and what must be found
//! in it (`testdata/platforms/NAME.expect.json`, written by hand with the capture).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use serde_json::{Value, json};
use std::path::Path;
use support::sound::Wav;
use support::{array, at_rest, file, replay, testdata, wire};
use tempfile::tempdir;

/// Every tone of the fixtures, Hz.
const TONES: [f64; 6] = [440.0, 620.0, 800.0, 1000.0, 1500.0, 2000.0];

macro_rules! platforms {
    ($($name:ident)*) => {
        $(#[test] fn $name() { platform(stringify!($name)); })*

        #[test]
        fn every_fixture_has_its_test() {
            let named = [$(stringify!($name)),*];
            for entry in std::fs::read_dir(testdata("platforms")).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let stem = name.strip_suffix(".pcap").or(name.strip_suffix(".expect.json")).unwrap();
                assert!(named.contains(&stem), "{name} has no test");
            }
        }
    };
}

// A line each, in the order of the modules in scripts/platforms.
platforms! {
    cisco_pair
    cisco_far_first_tcp
    cisco_same_recorder_port
    cisco_one_port_dummies
    cisco_old_version
    cisco_no_refci
    cisco_two_devices_one_reference
    cisco_hold
    cisco_hold_same_stream_numbers
    cisco_hold_nobye_after
    cisco_conference
    cisco_far_end_changes
    cisco_agents
    plain_call
    trunk_authentication
    trunk_redirect
    trunk_redirect_anew
    trunk_session_id
    trunk_x_cid
    trunk_ucid
    trunk_ucid_consultation
    trunk_legs_without_a_mark
    trunk_relayed_media
    trunk_serial_forking
    trunk_blind_transfer
    trunk_blind_transfer_unmarked
    trunk_attended_transfer
    trunk_refer_outside
    trunk_prack_and_update
    trunk_session_timer
    trunk_cancel_crosses_200
    trunk_200_after_cancel
    trunk_cancelled
    trunk_glare
    trunk_rejected_move
    trunk_late_and_repeated_200
    trunk_info_digits
    trunk_early_dialogs
    trunk_proxy_in_the_middle
    trunk_holds
    trunk_ice_and_bundle
    trunk_moved_contact
    trunk_symmetric_rtp
}

fn platform(name: &str) {
    let expect: Value =
        serde_json::from_slice(&wire::read(&testdata(&format!("platforms/{name}.expect.json")))).unwrap();
    let folder = tempdir().unwrap();
    let ran = replay(folder.path(), &[&testdata(&format!("platforms/{name}.pcap"))]);
    let ran = ran.exit(i32::try_from(expect["exit"].as_i64().unwrap_or(0)).unwrap());
    let (calls, expected) = (ran.calls(), array(&expect["calls"]));
    assert_eq!(calls.len(), expected.len(), "calls: {calls:#?}");
    for (call, e) in calls.iter().zip(expected) {
        let mut e = e.clone();
        let tones = e.as_object_mut().unwrap().remove("tones");
        if let Some(wrong) = differs(call, &e) {
            panic!("{name}: {wrong}\n{call:#}");
        }
        if let Some(t) = tones {
            sounds(folder.path(), call, array(&t));
        }
    }
    at_rest(folder.path());
}

/// Where a value is not as expected; what is not expected is not looked at.
fn differs(value: &Value, expected: &Value) -> Option<String> {
    match (value, expected) {
        (Value::Object(v), Value::Object(e)) => e.iter().find_map(|(k, e)| {
            differs(v.get(k).unwrap_or(&json!("(no such key)")), e).map(|w| format!(".{k}{w}"))
        }),
        (Value::Array(v), Value::Array(e)) if v.len() == e.len() => {
            v.iter().zip(e).enumerate().find_map(|(i, (v, e))| differs(v, e).map(|w| format!("[{i}]{w}")))
        }
        (Value::Number(v), Value::Number(e)) => {
            let near = (v.as_f64().unwrap() - e.as_f64().unwrap()).abs() < 0.0015;
            (!near).then(|| format!(": {v} instead of {e}"))
        }
        (v, e) => (v != e).then(|| format!(": {v} instead of {e}")),
    }
}

/// Each channel has its tone, or tones, and no other.
fn sounds(data: &Path, call: &Value, tones: &[Value]) {
    let wav = Wav::read(&file(data, call, "audio"));
    assert_eq!(wav.channels.len(), tones.len(), "channels");
    for (i, (channel, own)) in wav.channels.iter().zip(tones).enumerate() {
        let own: Vec<f64> = match own {
            Value::Array(several) => several.iter().filter_map(Value::as_f64).collect(),
            one => one.as_f64().into_iter().collect(),
        };
        for hz in TONES {
            let there = strength(channel, hz, f64::from(wav.rate)) > 300.0;
            assert_eq!(there, own.contains(&hz), "channel {i}: {hz} Hz");
        }
    }
}

/// Amplitude of a frequency in the whole channel.
fn strength(samples: &[i16], hz: f64, rate: f64) -> f64 {
    let turn = std::f64::consts::TAU * hz / rate;
    let (mut re, mut im) = (0.0, 0.0);
    for (n, s) in samples.iter().enumerate() {
        let (sin, cos) = (turn * n as f64).sin_cos();
        re += f64::from(*s) * cos;
        im += f64::from(*s) * sin;
    }
    2.0 * f64::hypot(re, im) / samples.len().max(1) as f64
}
