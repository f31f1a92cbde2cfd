//! The program in a shell: completions, manual pages, and what `--version` says of the build.

mod program;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use program::{omni_trace, root};

/// Standard output of a run that must succeed.
fn text(args: &[&str]) -> String {
    let output = omni_trace(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the program writes UTF-8")
}

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let help = text(&["--help"]);
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty()).then(|| name.to_owned())
    });
    names.collect()
}

/// The long options of a command's whole help: those that stand where options do, not those that its sentences name.
fn options(command: &str) -> BTreeSet<String> {
    let help = text(&["help", command]);
    let is_definition = |line: &&str| line.len() - line.trim_start().len() <= 6;
    let starts = help.lines().filter(is_definition).filter_map(|line| {
        let line = line.trim_start();
        let line = line.split_once(", --").map_or(line.strip_prefix("--"), |(short, rest)| {
            (short.len() == 2 && short.starts_with('-')).then_some(rest)
        })?;
        let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(line.len());
        Some(format!("--{}", &line[..end]))
    });
    starts.collect()
}

#[test]
fn the_version_says_what_was_built() {
    let version = concat!("omni-trace ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(text(&["-V"]), version);
    let long = text(&["--version"]);
    assert!(long.starts_with(version), "{long}");
    let line = |key: &str| long.lines().find_map(|line| line.strip_prefix(key));
    assert!(line("commit: ").is_some_and(|commit| !commit.is_empty()), "{long}");
    assert!(line("features: ").is_some_and(|names| names.contains("program")), "{long}");
    assert!(line("build: ").is_some_and(|build| build.contains(std::env::consts::ARCH)), "{long}");
    assert_eq!(text(&["analyze", "--version"]).lines().count(), long.lines().count());
}

/// Runs git in a folder, as somebody.
fn git(folder: &Path, words: &[&str]) -> String {
    let who = ["-c", "user.name=Test", "-c", "user.email=test@localhost"];
    let output = Command::new("git").args(who).args(words).current_dir(folder).output();
    let output = output.expect("git runs");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("git writes UTF-8").trim().to_owned()
}

/// What the build script says that a folder is built from, and the files on which it depends.
fn built_from(script: &Path, folder: &Path, settings: &[(&str, &str)]) -> (String, Vec<String>) {
    let output = Command::new(script)
        .current_dir(folder)
        .env("CARGO_MANIFEST_DIR", folder)
        .env("PROFILE", "release")
        .env("CARGO_FEATURE_PROGRAM", "1")
        .env("CARGO_FEATURE_DEFAULT", "1")
        .env_remove("OMNI_TRACE_COMMIT")
        .envs(settings.iter().copied())
        .output()
        .expect("the build script runs");
    let text = String::from_utf8(output.stdout).expect("it writes UTF-8");
    assert!(text.contains("cargo:rustc-env=OMNI_TRACE_FEATURES=program\n"), "{text}");
    let of = |key: &str| {
        text.lines().filter_map(|line| line.strip_prefix(key)).map(str::to_owned).collect()
    };
    let said: Vec<String> = of("cargo:rustc-env=OMNI_TRACE_BUILT_FROM=");
    (said.concat(), of("cargo:rerun-if-changed="))
}

#[test]
fn the_build_script_knows_its_commit_and_when_there_is_none() {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let script = place.path().join("script");
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let built = Command::new(rustc)
        .args(["--edition", "2024", "--crate-name", "script", "-o"])
        .arg(&script)
        .arg(root().join("build.rs"))
        .status();
    assert!(built.is_ok_and(|status| status.success()), "the build script compiles alone");
    let folder = place.path().join("checkout");
    fs::create_dir_all(folder.join("src")).expect("the temporary folder is writable");
    let none = "built outside a git checkout";
    assert_eq!(built_from(&script, &folder, &[]).0, none);
    git(place.path(), &["init", "-q"]);
    fs::write(folder.join("src/lib.rs"), "// one").expect("the temporary folder is writable");
    git(place.path(), &["add", "."]);
    git(place.path(), &["commit", "-q", "-m", "another project's"]);
    assert_eq!(built_from(&script, &folder, &[]).0, none, "a folder of another project's checkout");
    git(&folder, &["init", "-q"]);
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "-q", "-m", "one"]);
    let commit = git(&folder, &["rev-parse", "HEAD"]);
    let (said, depends) = built_from(&script, &folder, &[]);
    assert_eq!(said, commit[..12]);
    for path in depends.iter().filter(|path| path.starts_with(".git")) {
        assert!(folder.join(path).exists(), "{path} is missing: every build would start anew");
    }
    assert!(depends.iter().any(|path| path.contains("refs/heads/")), "{depends:?}");
    fs::write(folder.join("src/lib.rs"), "// two").expect("the temporary folder is writable");
    assert_eq!(built_from(&script, &folder, &[]).0, format!("{}, changed", &commit[..12]));
    let (said, depends) = built_from(&script, &folder, &[("PROFILE", "debug")]);
    assert_eq!(said, "not recorded in a debug build");
    assert!(depends.iter().all(|path| !path.contains(".git")), "{depends:?}");
    assert_eq!(built_from(&script, &folder, &[("OMNI_TRACE_COMMIT", "abc")]).0, "abc");
}

/// What a bash with the completions offers for the last of some words.
fn offered(script: &str, words: &[&str]) -> BTreeSet<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let last = words.len() - 1;
    let function = script.split(" -F ").nth(1).and_then(|rest| rest.split(' ').next());
    let function = function.expect("the script says which function completes");
    let run = format!(
        "{script}\nCOMP_WORDS=({}); COMP_CWORD={last}\n\
        {function} omni-trace '{}' '{}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words[last],
        words[last - 1],
    );
    let output = Command::new("bash").args(["--norc", "-c", &run]).output().expect("bash runs");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_values_and_tables() {
    let script = text(&["completions", "bash"]);
    let all = offered(&script, &["omni-trace", ""]);
    for command in commands() {
        assert!(all.contains(&command), "{command}: {all:?}");
        let options_offered = offered(&script, &["omni-trace", &command, "--"]);
        let missing: Vec<_> = options(&command).difference(&options_offered).cloned().collect();
        assert!(missing.is_empty(), "{command}: {missing:?} not in {options_offered:?}");
    }
    let tables = offered(&script, &["omni-trace", "analyze", "--table", "ker"]);
    assert_eq!(tables, BTreeSet::from(["kernel_classes", "kernels"].map(str::to_owned)));
    let formats = offered(&script, &["omni-trace", "analyze", "--format", ""]);
    assert!(formats.contains("json") && formats.contains("csv"), "{formats:?}");
    assert!(offered(&script, &["omni-trace", "capture", "--ser"]).contains("--server"));
}

#[test]
fn other_shells_take_their_completions() {
    for shell in ["zsh", "fish"] {
        let script = text(&["completions", shell]);
        for word in ["bandwidth", "exclude-ipc-wait", "key_averages", "server"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        if Command::new(shell).arg("--version").output().is_err() {
            println!("skipped: there is no {shell} here to read its completions");
            continue;
        }
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        fs::write(file.path(), script).expect("the temporary file is writable");
        let output =
            Command::new(shell).arg("-n").arg(file.path()).output().expect("it ran before");
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
    }
    let output = omni_trace(&["completions", "tcsh"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn every_command_has_a_manual_page_with_all_its_options() {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = place.path().join("share/man1");
    text(&["man", "-o", folder.to_str().expect("temporary paths are UTF-8")]);
    let page = |name: &str| fs::read_to_string(folder.join(name)).expect("the page is there");
    let program = page("omni-trace.1");
    assert_eq!(program, text(&["man"]));
    for command in commands() {
        let page = page(&format!("omni-trace-{command}.1"));
        assert!(page.contains(&format!(".TH omni-trace-{command} 1")), "{page}");
        for option in options(&command) {
            let written = option.replace('-', "\\-");
            assert!(page.contains(&written), "{command}: {option} is not in its page");
        }
        let written = command.replace('-', "\\-");
        assert!(program.contains(&format!("omni\\-trace\\-{written}(1)")), "{command}");
    }
    assert_eq!(fs::read_dir(&folder).map(Iterator::count).ok(), Some(commands().len() + 1));
    if Command::new("groff").arg("--version").output().is_ok() {
        read_by_groff(&folder);
    } else {
        println!("skipped: there is no groff here to lay out the pages");
    }
    let file = place.path().join("file");
    fs::write(&file, "").expect("the temporary folder is writable");
    let output = omni_trace(&["man", "-o", file.to_str().expect("temporary paths are UTF-8")]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.starts_with("error: cannot write the pages to "), "{error}");
    assert!(error.contains("\nhint: "), "{error}");
}

/// Has groff lay out every page of a folder, with all its warnings.
fn read_by_groff(folder: &Path) {
    for page in fs::read_dir(folder).expect("the folder is there") {
        let page = page.expect("it can be listed").path();
        let output =
            Command::new("groff").args(["-Kutf8", "-man", "-ww", "-Tutf8"]).arg(&page).output();
        let output = output.expect("it ran before");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaints.is_empty(), "{page:?}: {complaints}");
    }
}
