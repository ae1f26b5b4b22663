//! The owners of partial files: whether the run that writes a file is alive or was killed. The naming scheme is shared
//! with the npm package, so that each can resume the other's runs.

use crate::hash::Hasher;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

/// A partial file of a run on another machine, or from before a reboot, is not touched until it is older than this.
const FOREIGN_PATIENCE: Duration = Duration::from_secs(60);

/// How often a run signals that it is alive.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// The owner name of files that an interrupted run keeps for the next one.
pub const INTERRUPTED: &str = "interrupted";

/// A unique owner name for one target of this process: the machine, the process, its start time, and a number.
pub fn new_owner() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    let start = start_of(pid).unwrap_or_else(|| "0".to_owned());
    format!("{}-{pid}-{start}-{count}{:04x}", machine(), time & 0xffff)
}

/// Whether a part of a file's name is an owner.
pub fn is_owner(text: &str) -> bool {
    let digits =
        |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let [machine, pid, start, number] = text.split('-').collect::<Vec<_>>()[..] else { return text == INTERRUPTED };
    let (counter, random) = number.split_at_checked(number.len().saturating_sub(4)).unwrap_or(("", ""));
    machine.len() == 8 && hex(machine) && digits(pid, 10) && digits(start, 20) && digits(counter, 10) && hex(random)
}

/// Whether the run with this owner name may still be alive; `idle` is the time since it last wrote.
pub fn is_alive(owner: &str, idle: Duration) -> bool {
    let mut parts = owner.split('-');
    let (whose, pid, start) = (parts.next(), parts.next().and_then(|pid| pid.parse().ok()), parts.next());
    let (Some(pid), true) = (pid, whose == Some(machine())) else {
        return owner != INTERRUPTED && idle < FOREIGN_PATIENCE;
    };
    if !Path::new("/proc/self/stat").exists() {
        return pid == std::process::id() || idle < FOREIGN_PATIENCE;
    }
    // Process ids are reused, but then the start time differs.
    start_of(pid).is_some_and(|now| start == Some("0") || start == Some(&now))
}

/// The start time of a process, in ticks since boot (Linux).
fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The second field is the program's name in parentheses, which may contain anything; the 22nd is the start time.
    stat.get(stat.rfind(')')? + 2..)?.split(' ').nth(19).map(str::to_owned)
}

/// The namespace of process ids: the machine, its boot, and the container.
fn machine() -> &'static str {
    static MACHINE: OnceLock<String> = OnceLock::new();
    MACHINE.get_or_init(|| {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let host = text("/proc/sys/kernel/hostname").trim_end().to_owned();
        let space = fs::read_link("/proc/self/ns/pid").map_or(String::new(), |link| link.display().to_string());
        let parts = [host, text("/proc/sys/kernel/random/boot_id"), space].join("\n");
        hex_sha256(parts.as_bytes()).get(..8).unwrap_or_default().to_owned()
    })
}

/// The form of `name` in the names of its partial files: long names are shortened to a prefix and a hash.
pub fn short_name(name: &OsStr) -> String {
    const LONGEST_NAME: usize = 64;
    const LONGEST_PREFIX: usize = 32;
    let text = name.to_string_lossy();
    if text.len() <= LONGEST_NAME && name.to_str().is_some() {
        return text.into_owned();
    }
    let prefix: String = text
        .chars()
        .scan(0, |length, c| {
            *length += c.len_utf8();
            (*length <= LONGEST_PREFIX).then_some(c)
        })
        .collect();
    format!("{prefix}~{}", hex_sha256(name.as_encoded_bytes()).get(..16).unwrap_or_default())
}

fn hex_sha256(bytes: &[u8]) -> String {
    let mut hasher = Hasher::sha256();
    hasher.update(bytes);
    hasher.hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_alive_while_its_process_is() {
        let owner = new_owner();
        assert!(is_owner(&owner) && is_owner(INTERRUPTED), "{owner}");
        assert!(is_alive(&owner, Duration::from_secs(1000)));
        let [machine, _, start, number] = owner.split('-').collect::<Vec<_>>()[..] else { panic!("{owner}") };
        // A process id that does not exist, and this process with another start time.
        let others =
            [format!("{machine}-4194305-{start}-{number}"), format!("{machine}-{}-1-{number}", std::process::id())];
        for dead in others {
            assert!(is_owner(&dead) && !is_alive(&dead, Duration::from_secs(1000)), "{dead}");
        }
        assert!(!is_alive(INTERRUPTED, Duration::ZERO));
        for other in ["", "a-b-c-d", "0123456z-1-1-0abcd", "01234567-1-1-abcd"] {
            assert!(!is_owner(other), "{other}");
        }
    }

    #[test]
    fn shortened_names_stay_distinct() {
        assert_eq!(short_name(OsStr::new("model.gguf")), "model.gguf");
        let long = ["a".repeat(250), "a".repeat(249)].map(|name| short_name(OsStr::new(&name)));
        assert!(long[0].len() < 64 && long[0] != long[1], "{long:?}");
    }
}
