//! Any bytes as a capture file, pcap or pcapng: an end, no more frames than there is room for, each of them inside the file.
#![no_main]

use earwitness_fuzz::capture::file::CaptureFile;
use libfuzzer_sys::fuzz_target;
use std::io::Write;
use std::sync::OnceLock;

static FILE: OnceLock<std::path::PathBuf> = OnceLock::new();

fuzz_target!(|input: &[u8]| {
    let path = FILE.get_or_init(|| earwitness_fuzz::scratch("capture").join("input"));
    let written = std::fs::File::create(path).and_then(|mut f| f.write_all(input));
    written.expect("a folder that can be written to");
    let Ok(mut file) = CaptureFile::open(path) else { return };
    let (mut frames, mut before) = (0, 0);
    while let Some(f) = file.next_frame() {
        frames += 1;
        let place = f.place as usize;
        assert_eq!(Some(f.bytes), input.get(place..place + f.bytes.len()), "bytes that are not there");
        assert!(f.place >= before, "the place of a frame is before that of the last");
        before = f.place;
    }
    assert!(frames <= 1 + input.len() / 12, "{frames} frames of {} bytes", input.len());
    assert!(file.next_frame().is_none());
});
