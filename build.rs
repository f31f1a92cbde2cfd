//! Says what the program is built from, with which features and how: what `--version` shows.
//!
//! A debug build does not ask: it would be built anew after every commit. Set `OMNI_TRACE_COMMIT` to say it all the same, or
//! where there is no repository, as a packager does.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the program is made from.
const SOURCES: [&str; 6] =
    ["src", "Cargo.toml", "Cargo.lock", "build.rs", "proto", "capture/driver"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=OMNI_TRACE_COMMIT");
    println!("cargo:rustc-env=OMNI_TRACE_BUILT_FROM={}", built_from());
    println!("cargo:rustc-env=OMNI_TRACE_READER={:016x}", reader());
    println!("cargo:rustc-env=OMNI_TRACE_FEATURES={}", features().join(", "));
    let [profile, target] = ["PROFILE", "TARGET"].map(|name| env::var(name).unwrap_or_default());
    println!("cargo:rustc-env=OMNI_TRACE_BUILD={profile}, {target}");
}

/// A hash of the sources that make stores of traces: what one reader kept, no other uses.
fn reader() -> u64 {
    let mut files = Vec::new();
    for room in ["src/model", "src/diag", "src/store", "src/read", "proto"] {
        println!("cargo:rerun-if-changed={room}");
        files_in(Path::new(room), &mut files);
    }
    files.sort();
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for file in files {
        // A source that cannot be read does not compile either.
        let text = std::fs::read(&file).unwrap_or_default();
        for byte in file.to_string_lossy().bytes().chain(text) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

fn files_in(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_in(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The features of the package that are on, `default` left out: it is the others.
fn features() -> Vec<String> {
    let names = env::vars().filter_map(|(name, _)| {
        name.strip_prefix("CARGO_FEATURE_").map(|name| name.to_lowercase().replace('_', "-"))
    });
    let mut names: Vec<String> = names.filter(|name| name != "default").collect();
    names.sort();
    names
}

fn built_from() -> String {
    if let Some(commit) = env::var("OMNI_TRACE_COMMIT").ok().filter(|commit| !commit.is_empty()) {
        return commit;
    }
    if env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        return "not recorded in a debug build".to_owned();
    }
    commit().unwrap_or_else(|| "built outside a git checkout".to_owned())
}

/// The commit of the checkout, with `, changed` where sources differ from it. Where it changes, the build script runs again.
fn commit() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let here = env::var("CARGO_MANIFEST_DIR").ok()?;
    // Unpacked somewhere inside another project's checkout, its commit says nothing.
    if Path::new(&top).canonicalize().ok()? != Path::new(&here).canonicalize().ok()? {
        return None;
    }
    let branch = git(&["symbolic-ref", "-q", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let path = git(&["rev-parse", "--git-path", name])?;
        // One that is missing would have the script run at every build.
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    SOURCES.iter().for_each(|source| println!("cargo:rerun-if-changed={source}"));
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let mut status = vec!["status", "--porcelain", "--"];
    status.extend(SOURCES);
    let is_changed = git(&status).is_some_and(|changes| !changes.is_empty());
    Some(if is_changed { format!("{commit}, changed") } else { commit })
}

/// What git says; `None` where there is no git, or it refuses.
fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
