//! Names of files and times in them, in the spelling that vLLM's tools and ours recognize.
//!
//! Pure functions.

/// The name of a trace: stage, kind, start, process, rank and time, so that no two are ever equal.
pub fn trace_name(
    stage: u32,
    kind: &str,
    rank: u32,
    pid: u32,
    capture_unix_s: u64,
    window_unix_ns: u64,
) -> String {
    format!(
        "stage_{stage}_{kind}_{capture_unix_s}_pid{pid}_rank{rank}.{window_unix_ns}.pt.trace.json.gz"
    )
}

/// The directory of a capture made at this time: `omni-trace-20261121-231750-omni`.
pub fn capture_dir(unix_s: u64, pipeline: &str) -> String {
    let t = civil(unix_s);
    format!(
        "omni-trace-{:04}{:02}{:02}-{:02}{:02}{:02}-{pipeline}",
        t.year, t.month, t.day, t.hour, t.minute, t.second
    )
}

/// The name of the diffusion statistics of a process.
pub fn diffusion_stats_name(unix_s: u64, pid: u32) -> String {
    let t = civil(unix_s);
    format!(
        "omni_diffusion_{:04}{:02}{:02}_{:02}{:02}{:02}_00_pid{pid}.jsonl",
        t.year, t.month, t.day, t.hour, t.minute, t.second
    )
}

/// A time as Python's logging writes it: `2025-12-16 01:24:23,021`. UTC.
pub fn log_time(unix_ns: u64) -> String {
    let t = civil(unix_ns / 1_000_000_000);
    let ms = unix_ns / 1_000_000 % 1000;
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02},{ms:03}",
        t.year, t.month, t.day, t.hour, t.minute, t.second
    )
}

struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

/// Calendar date and time of a Unix time. Days are counted in years that begin on 1 March, where leap days come last.
fn civil(unix_s: u64) -> Civil {
    let (days, second_of_day) = (unix_s / 86_400, unix_s % 86_400);
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    Civil {
        year: era * 400 + year_of_era + u64::from(month <= 2),
        month,
        day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
        hour: second_of_day / 3600,
        minute: second_of_day / 60 % 60,
        second: second_of_day % 60,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        assert_eq!(log_time(0), "1970-01-01 00:00:00,000");
        assert_eq!(log_time(951_782_399_999_000_000), "2000-02-28 23:59:59,999");
        assert_eq!(log_time(951_782_400_000_000_000), "2000-02-29 00:00:00,000");
        assert_eq!(log_time(1_795_303_070_000_000_000), "2026-11-21 23:17:50,000");
        assert_eq!(log_time(4_102_444_800_000_000_000), "2100-01-01 00:00:00,000");
    }

    #[test]
    fn names_carry_stage_rank_pid_and_time() {
        let name = trace_name(1, "llm", 0, 77, 1_795_303_070, 1_795_303_072_316_031_936);
        assert_eq!(name, "stage_1_llm_1795303070_pid77_rank0.1795303072316031936.pt.trace.json.gz");
        assert_eq!(capture_dir(1_795_303_070, "omni"), "omni-trace-20261121-231750-omni");
        assert_eq!(
            diffusion_stats_name(1_795_303_070, 5),
            "omni_diffusion_20261121_231750_00_pid5.jsonl"
        );
    }
}
