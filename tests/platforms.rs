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
    copies_identical
    copies_routed
    copies_in_other_order
    copies_where_one_path_loses
    copies_of_fragments
    copies_over_tcp
    sipp_ssrc_of_two_calls
    retransmissions_and_redundancy
    fragments_shuffled_and_doubled
    fragments_tiny
    fragments_reversed_v6
    fragments_behind_options_v6
    fragments_overlapping
    fragments_interleaved_with_one_id
    fragments_lost
    fragments_of_rtp
    fragments_inside_a_tunnel
    hep3_of_an_agent
    hep3_of_a_wrong_clock
    hep3_hostile
    hep3_in_hep3
    vlan_one_direction
    qinq_every_tpid
    mpls_and_pseudowires
    pppoe_session
    gre_every_field
    erspan_every_type
    vxlan_every_port
    geneve_options
    tzsp_tagged_fields
    ip_in_ip
    gtp_u
    aws_vxlan_truncated
    tunnels_in_tunnels
    tunnel_in_fragments
    trailers_and_checksums
    snap_too_short
    segments_above_the_mtu
    pcapng_of_every_link
    pcapng_big_endian
    pcap_big_endian_nanoseconds_torn
    tcp_fast_open_among_strangers
    tcp_first_segment_last
    tcp_first_two_swapped
    tcp_only_the_answer_to_the_syn
    tcp_ports_used_again_small
    websocket_in_seven_bytes
    plain_call
    avaya_late_party
    avaya_party_never_known
    broadworks_conference
    broadworks_mixed_pause
    cube_siprec
    cube_transfer
    metaswitch_mixed
    metaswitch_transfer
    oracle_stray_part
    rfc7865_partial_updates
    rfc7865_session_replaced
    rfc7865_two_sessions
    rfc7866_answer_by_the_client
    rfc7866_joined_late
    rfc7866_one_stream_paused
    rfc7866_pause
    rfc7866_refresh_changes_nothing
    rfc7866_two_streams
    webex_metadata_first
    ack_and_bye_name_invite
    contact_inside_brackets
    contact_says_only_src
    contact_without_its_bracket
    content_length_wrong
    siprec_fragments_shuffled_and_doubled
    headers_folded_and_compact
    labels_missing_in_sdp
    labels_without_streams
    multipart_boundary_of_another
    multipart_foreign_boundary
    multipart_line_feeds
    multipart_metadata_first
    multipart_not_declared
    multipart_of_text_xml
    multipart_without_blank_lines
    names_of_every_form
    tcp_content_length_wrong
    tcp_joined_in_mid_stream
    tcp_segments_of_seven_bytes
    tcp_two_sessions_in_a_segment
    xml_byte_order_mark
    xml_cut_off
    xml_hopeless
    xml_latin_1
    xml_latin_1_declared_utf_8
    xml_nearly
    xml_prefixes
    xml_utf_16
    xml_with_a_dtd
    cube_participant_oddities
    siprec_control_characters
    siprec_delayed_offer
    siprec_hostile_times
    siprec_in_base64
    siprec_numbers_go_on_in_a_pause
    siprec_one_id_for_two
    siprec_over_ipv6
    siprec_paused_by_the_recorder
    siprec_refused_update
    siprec_rtp_before_invite
    siprec_same_label_twice
    siprec_sent_again
    siprec_six_hundred_people
    siprec_stream_handed_over
    siprec_video_between
    siprec_who_left_is_back
    siprec_anonymous_becomes_known
    siprec_cseq_goes_back
    siprec_labels_swapped
    siprec_begins_paused
    siprec_plain_call_to_a_recorder
    siprec_two_lines_at_one_port
    cube_participants_in_one_line
    siprec_metadata_before_and_after
    siprec_only_one_line_flows
    siprec_same_number_at_both_ends
    siprec_session_over_before_bye
    siprec_three_streams_and_a_mix
    siprec_two_anonymous
    siprec_update_lost
    rtp_ssrc_change
    rtp_numbering_begins_anew
    rtp_timestamp_jump
    rtp_wraps
    rtp_payload_type_change
    rtp_packet_time_change
    rtp_comfort_noise
    rtp_events
    rtp_padding_csrc_extension
    rtp_source_port_change
    rtp_before_its_sdp
    rtp_neighbours_on_its_port
    rtp_two_hosts_of_one_ssrc
    rtp_through_a_clock_step
    tcp_seven_bytes
    tcp_disorder_and_copies
    tcp_joined_inside_a_message
    tcp_hole
    tcp_trunk
    tcp_keep_alives
    tcp_ports_used_again
    websocket_from_its_upgrade
    websocket_in_small_segments
    websocket_joined
    websocket_compressed
    tcp_in_a_segment_of_ipv6
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
    cisco_conference_overlaps
    cisco_far_end_changes
    cisco_agents
    cisco_parameters_in_another_order
    cisco_far_end_late
    cisco_no_refci_next_call
    cisco_hold_bye_lost
    cisco_only_the_end
    cisco_media_before_its_ack
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
    trunk_session_id_first_half
    trunk_one_call_id_for_two_legs
    trunk_echo_server
    trunk_bye_refused
    legs_of_a_bridge
    legs_of_a_caller_to_two
    legs_of_one_call_id
    legs_answers_first
    legs_of_a_click
    legs_of_an_echo
    legs_of_load
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
