//! The questions of `docs/questions.md`: the command beside each answers it, alone and quickly.

mod program;

use std::time::{Duration, Instant};

use program::{omni_trace, root};

/// Longest time to an answer on the fixtures.
const AT_MOST: Duration = Duration::from_secs(5);

/// Questions that one command must answer.
const AT_LEAST: usize = 39;

/// The question, the command, and a word that the answer shows.
struct Question {
    question: String,
    command: String,
    shows: String,
}

fn questions() -> Vec<Question> {
    let text =
        std::fs::read_to_string(root().join("docs/questions.md")).expect("there are questions");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let command = cells.get(2)?.strip_prefix("`omni-trace ")?.strip_suffix('`')?;
        let [question, shows] = [cells[1], cells[3]].map(str::to_owned);
        Some(Question { question, command: command.to_owned(), shows })
    };
    text.lines().filter_map(row).collect()
}

/// Time of the processors that this test's programs have taken.
fn spent_by_children() -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program stands in brackets and may hold anything; the third field follows it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    let ticks: u32 = fields.skip(13).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    TICK * ticks
}

#[test]
fn each_question_is_answered_by_one_command() {
    let questions = questions();
    assert_eq!(questions.len(), 43);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let mut unanswered = Vec::new();
    for Question { question, command, shows } in &questions {
        let words: Vec<String> = command.split(' ').map(|word| word.replace("OUT", out)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (start, before) = (Instant::now(), spent_by_children());
        let output = omni_trace(&words);
        // On a machine with other work an answer waits for a processor, which is not its doing.
        let took = start.elapsed().min(spent_by_children() - before);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        let is_done = matches!(output.status.code(), Some(0 | 1));
        if !is_done || !said.contains(shows.as_str()) || took > AT_MOST {
            unanswered
                .push(format!("{question} ({took:?}) `{command}` shows no `{shows}`: {said:.300}"));
        }
    }
    assert!(questions.len() - unanswered.len() >= AT_LEAST, "{}", unanswered.join("\n"));
    assert!(unanswered.is_empty(), "{}", unanswered.join("\n"));
}
