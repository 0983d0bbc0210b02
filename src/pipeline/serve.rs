//! The threads that look after a live recorder: one makes sure that the spool is on the disk, one answers `status`, one
//! runs the command for a change of a primary.

use super::board::Part;
use super::shared::{Shared, locked};
use super::{deadline, pause};
use crate::limits::{COMMAND_PATIENCE, STATUS_PATIENCE};
use crossbeam_channel::Receiver;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The socket that a running recorder answers `status` on, in the data folder.
const SOCKET: &str = "status.sock";

/// The number of this part's thread among those that write the spool.
const SYNC: usize = usize::MAX;

/// How often a thread looks whether the recorder stops.
const LOOK: Duration = Duration::from_millis(100);

/// Syncs the disk of the data folder every so often, as long as the recorder runs, and looks how much room it has.
pub(super) fn keep_synced(data: &Path, every: Duration, shared: &Shared) {
    let mut due = deadline(every);
    while !shared.stopping() {
        // Here, because a disk that hangs must not hold up who reads packets.
        *locked(&shared.room) = super::room(data);
        pause(LOOK);
        if deadline(Duration::ZERO) >= due {
            // A write that the disk failed to take later is told here, and nowhere else.
            if super::sync_disk(data) {
                shared.well(Part::Spool, SYNC);
            } else {
                let path = data.display();
                let what = format!(
                    "cannot sync the disk of {path}: what was written in the last seconds may be lost; see the kernel's log (dmesg)"
                );
                shared.wrong(Part::Spool, SYNC, &what);
            }
            due = deadline(every);
        }
    }
}

/// A path for a socket may only have 108 bytes; that of a folder's descriptor is short.
fn socket_path(data: &Path) -> io::Result<(File, PathBuf)> {
    let folder = File::open(data)?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd());
    Ok((folder, path.into()))
}

/// Begins to answer `status`.
///
/// # Errors
/// When the socket cannot be made in the data folder.
pub(super) fn listen(data: &Path) -> io::Result<UnixListener> {
    let (_folder, path) = socket_path(data)?;
    // Whoever made it is dead: we have the lock.
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    // Who may read the recordings (the group of the service) may ask: to connect is to write, which a usual umask
    // takes from the group. Where that cannot be, the user alone may.
    let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o660));
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Answers `status` until the recorder stops.
pub(super) fn answer(listener: &UnixListener, data: &Path, shared: &Shared) {
    let look = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
    while !shared.stopping() {
        let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&look));
        if locked(&shared.status).is_empty() {
            // Nothing is published yet: who asks waits a moment.
            pause(LOOK / 10);
            continue;
        }
        while let Ok((mut client, _)) = listener.accept() {
            let status = locked(&shared.status).clone();
            let _ = client.set_write_timeout(Some(STATUS_PATIENCE));
            let _ = client.write_all(status.as_bytes());
        }
    }
    let _ = fs::remove_file(data.join(SOCKET));
}

/// What the recorder of a data folder says of itself: JSON; `None` when none runs.
///
/// # Errors
/// When one runs, or may run, and does not answer.
pub fn ask(data: &Path) -> io::Result<Option<String>> {
    let (_folder, path) = socket_path(data)?;
    let mut stream = match UnixStream::connect(path) {
        Ok(s) => s,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    stream.set_read_timeout(Some(STATUS_PATIENCE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Runs the operator's command for each change of a primary, one after the other; what is told of it is its standard
/// input, a JSON object.
pub(super) fn run_commands(command: &[String], changes: &Receiver<String>, shared: &Arc<Shared>) {
    for change in changes {
        if let Err(e) = run_command(command, &change, shared) {
            tracing::error!("cannot run on_primary_change {command:?}: {e}");
        }
    }
}

fn run_command(command: &[String], change: &str, shared: &Shared) -> io::Result<()> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let mut child =
        Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read it is none the worse.
        let _ = stdin.write_all(change.as_bytes());
    }
    let until = deadline(COMMAND_PATIENCE);
    while child.try_wait()?.is_none() {
        if deadline(Duration::ZERO) > until || shared.stopping() {
            return give_up(&mut child);
        }
        pause(LOOK);
    }
    let status = child.wait()?;
    if !status.success() {
        tracing::error!("on_primary_change {command:?} ended with {status}");
    }
    Ok(())
}

fn give_up(child: &mut Child) -> io::Result<()> {
    child.kill()?;
    child.wait()?;
    Err(io::Error::other(format!("it did not end within {COMMAND_PATIENCE:?}")))
}
