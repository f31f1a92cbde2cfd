//! The command line for driving servers and programs, as typed. Parsing only.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::launch::Inject;

/// Capture a profiler trace: of a built-in or your own pipeline (--pipeline), of a running vLLM or vLLM-Omni server
/// (--server), or of a program that uses vLLM (-- CMD).
#[derive(Debug, Parser)]
#[command(name = "omni-trace capture", max_term_width = 110)]
pub struct DriveCli {
    /// Run a pipeline under the profiler: omni, diffusion, or a .toml file. All further flags are those of
    /// omni-trace-capture; see --pipeline omni --help.
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub pipeline: Option<String>,

    /// Address of a running server, such as http://127.0.0.1:8000.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,

    /// Stages to record, of a vLLM-Omni server.
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    pub stages: Vec<u32>,

    /// Record N iterations of each worker.
    #[arg(long, value_name = "N")]
    pub max_iters: Option<u64>,

    /// Skip N iterations first.
    #[arg(long, value_name = "N")]
    pub delay_iters: Option<u64>,

    /// Prefix of the traces' names, where the server takes one.
    #[arg(long, value_name = "NAME")]
    pub prefix: Option<String>,

    /// Without a command: profile the server for this long (10s, 500ms, 2m).
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Longest that starting may take: a server answers when every worker has started.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    pub start_timeout: Duration,

    /// Longest that stopping may take; big traces need minutes.
    #[arg(long, value_name = "TIME", default_value = "60m", value_parser = parse_duration)]
    pub stop_timeout: Duration,

    /// Where the traces appear: the server's directory, or the one that a program is told to use.
    #[arg(long, value_name = "DIR")]
    pub trace_dir: Option<PathBuf>,

    /// Longest that traces may take to appear and to be complete.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub trace_timeout: Duration,

    /// Wait for at least N traces.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub expect: usize,

    /// Further profiler settings for a program, as vLLM's --profiler-config takes them.
    #[arg(long, value_name = "JSON")]
    pub profiler_config: Option<String>,

    /// Whether --profiler-config is added to the program's arguments.
    #[arg(long, value_enum, default_value = "auto")]
    pub inject: Inject,

    /// The workload for the server, or the program to profile.
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// `10s`, `500ms`, `2m`, `1h`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("unknown unit '{unit}': expected ms, s, m or h")),
    };
    let number: f64 = number.trim().parse().map_err(|_| format!("'{text}' is no time"))?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("3"), Ok(Duration::from_secs(3)));
        assert!(parse_duration("x").is_err() && parse_duration("-1s").is_err());
        assert!(parse_duration("3d").is_err());
    }

    #[test]
    fn the_command_comes_after_two_dashes() {
        let line =
            ["x", "--server", "h:1", "--stages", "1,2", "--", "python", "a.py", "--stages", "9"];
        let cli = DriveCli::try_parse_from(line).unwrap();
        assert_eq!(cli.stages, [1, 2]);
        assert_eq!(cli.command, ["python", "a.py", "--stages", "9"]);
    }
}
