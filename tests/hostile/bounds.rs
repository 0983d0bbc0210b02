//! What a bomb may cost: memory as the kernel counts it for a process of its own, and processor time as a multiple of
//! what ordinary traffic of as many packets takes in the same process. Neither is wall time.

use std::process::Command;

const CHILD: &str = "EARWITNESS_HOSTILE_CHILD";

/// Runs a test in a process of its own, by its full name, and holds the most memory it had to `mib`.
pub(crate) fn alone(name: &str, mib: u64, test: impl FnOnce()) {
    if std::env::var(CHILD).is_ok_and(|n| n == name) {
        test();
        let peak = field("/proc/self/status", "VmHWM:") / 1024;
        println!("{name}: {peak} MiB");
        assert!(peak <= mib, "{peak} MiB at the most, {mib} are allowed");
        return;
    }
    let own = std::env::current_exe().unwrap();
    let out = Command::new(own).args([name, "--exact", "--nocapture"]).env(CHILD, name).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    assert!(said.contains("1 passed"), "no test of the name {name}: {said}");
    said.lines().filter(|l| l.contains(" MiB")).for_each(|l| println!("{l}"));
}

fn field(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Processor time of this process, in hundredths of a second.
pub(crate) fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let behind_name = stat.rsplit_once(") ").unwrap().1;
    let words: Vec<&str> = behind_name.split(' ').collect();
    words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap()
}
