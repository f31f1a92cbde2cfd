//! The README's commands print what the README says.
//!
//! In a `console` block a line that starts with `$ ` is a command and the lines up to the next one are its output.
//! Commands that run this program are run; the others are cargo's and are held against `.ci/run`.
//! `BLESS=1 cargo test --test readme` writes the outputs anew.

mod program;

use program::{omni_trace, root};

/// How the README runs this program from a checkout.
const RUN: &str = "cargo run --release --locked -- ";

/// One command of a console block.
struct Example {
    command: String,
    output: String,
}

/// The README with the output of each of its commands given by `output_of`, and the commands as they stand in it.
fn rewritten(readme: &str, output_of: impl Fn(&str) -> Option<String>) -> (String, Vec<Example>) {
    let mut text = String::new();
    let mut examples: Vec<Example> = Vec::new();
    let mut is_console = false;
    let mut is_replaced = false;
    for line in readme.lines() {
        let is_fence = line.starts_with("```");
        if is_console && !is_fence && !line.starts_with("$ ") {
            if let Some(example) = examples.last_mut() {
                example.output.push_str(line);
                example.output.push('\n');
            }
            if is_replaced {
                continue;
            }
        }
        text.push_str(line);
        text.push('\n');
        if is_fence {
            is_console = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| is_console) {
            let output = output_of(command);
            is_replaced = output.is_some();
            text.push_str(&output.unwrap_or_default());
            examples.push(Example { command: command.to_owned(), output: String::new() });
        }
    }
    (text, examples)
}

/// What the program prints for a command of the README; `None` for a command of another program.
fn run(command: &str) -> Option<String> {
    let args: Vec<&str> = command.strip_prefix(RUN)?.split_whitespace().collect();
    let output = omni_trace(&args);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("the program writes UTF-8"))
}

#[test]
fn the_readme_shows_what_the_program_prints() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("there is a README");
    let (actual, examples) = rewritten(&readme, run);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).expect("the README is writable");
        return;
    }
    let n_run = examples.iter().filter(|example| example.command.starts_with(RUN)).count();
    assert!(n_run >= 1, "the README runs the program at least once");
    for example in &examples {
        if let Some(output) = run(&example.command) {
            assert!(!output.is_empty());
            assert_eq!(example.output, output, "{} (BLESS=1 accepts)", example.command);
        }
    }
}

#[test]
fn the_gate_runs_the_readme_s_test_command() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    let gate = std::fs::read_to_string(root().join(".ci/run")).expect("there is a gate");
    let (_, examples) = rewritten(&readme, |_| None);
    let tests: Vec<&str> = examples
        .iter()
        .map(|example| example.command.as_str())
        .filter(|command| command.starts_with("cargo test"))
        .collect();
    assert_eq!(tests.len(), 1, "the README gives one test command: {tests:?}");
    assert!(gate.lines().any(|line| line == format!("step {}", tests[0])), "{}", tests[0]);
}

#[test]
fn changed_output_is_seen() {
    let readme =
        "a\n```console\n$ cargo run --release --locked -- x\nold\nlines\n$ other\nkept\n```\nb\n";
    let output = |command: &str| command.starts_with(RUN).then(|| "new\n".to_owned());
    let (text, examples) = rewritten(readme, output);
    assert_eq!(
        text,
        "a\n```console\n$ cargo run --release --locked -- x\nnew\n$ other\nkept\n```\nb\n"
    );
    assert_eq!(examples[0].output, "old\nlines\n");
    assert_eq!(examples[1].output, "kept\n");
}
