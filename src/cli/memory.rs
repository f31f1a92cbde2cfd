//! `--max-memory`: a run that needs more ends with an error that says so, and not by the system's hand without one.
//!
//! A thread of its own looks at how much memory the process holds, many times a second. Beyond the limit it removes what is
//! unfinished, as an interruption does, and ends the program: at whatever step the memory was needed. It must not decide
//! anything else: no result depends on it.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::run::{Hinted, say};
use crate::model::limits::MEMORY_SHARE_PCT;

/// Time between two looks. The fastest that memory was seen to grow is some MB in it.
const EVERY: Duration = Duration::from_millis(5);

/// The exit code of an error.
const FAILED: i32 = 2;

/// An amount of memory: bytes, or a number with `K`, `M`, `G` or `T` (of 1024), `iB` or `B` behind it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoryArg(u64);

impl FromStr for MemoryArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write a size, as 512M or 8G".to_owned();
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..end].parse().map_err(|_| wrong())?;
        let unit = text[end..].trim().to_ascii_lowercase();
        let power = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit) {
            "" => 0,
            "k" => 1,
            "m" => 2,
            "g" => 3,
            "t" => 4,
            _ => return Err(wrong()),
        };
        number.checked_mul(1 << (10 * power)).map(Self).ok_or_else(wrong)
    }
}

/// Ends the program, from now on, where it holds more memory than was allowed, or else than a share of what there is.
///
/// # Errors
///
/// A limit was asked for on a system that does not say what a process holds.
pub(super) fn watch(asked: Option<MemoryArg>) -> anyhow::Result<()> {
    let limit = match asked {
        Some(MemoryArg(limit)) if held().is_some() => Some((limit, Why::Asked)),
        Some(_) => {
            let what = "this system does not say how much memory a process holds".to_owned();
            let hint = "leave --max-memory out".to_owned();
            return Err(Hinted { what, hint }.into());
        }
        None => there_is().map(|bytes| (bytes / 100 * MEMORY_SHARE_PCT, Why::Share)),
    };
    if let Some((limit, why)) = limit {
        // Where no thread can start, the system decides.
        let _ = std::thread::Builder::new().name("memory".to_owned()).spawn(move || {
            while held().is_none_or(|bytes| bytes <= limit) {
                std::thread::sleep(EVERY);
            }
            end(limit, why);
        });
    }
    Ok(())
}

/// Why a limit is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Asked,
    Share,
}

fn end(limit: u64, why: Why) -> ! {
    // Held until the end: no file takes its name any more.
    let unfinished = crate::files::unfinished();
    unfinished.remove();
    let most = match limit >> 20 {
        0 => format!("{limit} bytes"),
        mib => format!("{mib} MiB"),
    };
    let reason = match why {
        Why::Asked => "which is what --max-memory allows".to_owned(),
        Why::Share => format!("{MEMORY_SHARE_PCT} % of what there was when the run began"),
    };
    say(&format!("error: this needs more than {most} of memory, {reason}"));
    say(
        "hint: allow more with --max-memory, or ask for less: fewer inputs, a --window, some --table",
    );
    std::process::exit(FAILED);
}

/// Bytes of memory that the process holds; `None` where the system does not say.
fn held() -> Option<u64> {
    value_of(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Bytes of memory that can be had: what the machine has free, or less where a control group allows less.
fn there_is() -> Option<u64> {
    let free = value_of(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    Some(group_limit().map_or(free, |limit| limit.min(free)))
}

/// The value of a line `Key:  123 kB`, in bytes.
fn value_of(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The least that the control groups of this process allow, of either version.
fn group_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let root = Path::new("/sys/fs/cgroup");
    let limits = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (root, name) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let own = root.join(path.trim_start_matches('/'));
        let groups = own.ancestors().take_while(|group| group.starts_with(&root));
        groups.filter_map(|group| limit_in(&group.join(name))).min()
    });
    limits.min()
}

fn limit_in(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{MemoryArg, value_of};

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in
            [("700", 700), ("2K", 2048), ("512M", 512 << 20), ("8GiB", 8 << 30), ("1 tb", 1 << 40)]
        {
            assert_eq!(text.parse(), Ok(MemoryArg(bytes)), "{text}");
        }
        for text in ["", "M", "1.5G", "-1", "3X", "99999999999999T"] {
            assert!(text.parse::<MemoryArg>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_system_says_what_is_held() {
        let text = "Name:\tx\nVmRSS:\t    1820 kB\nThreads:\t1\n";
        assert_eq!(value_of(text, "VmRSS:"), Some(1820 * 1024));
        assert_eq!(value_of(text, "VmHWM:"), None);
    }
}
