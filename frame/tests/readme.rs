//! The questions of the README and of docs/query.md have the answers that stand under them. `BLESS=1 cargo test -p omni-trace-frame --test readme`
//! writes these anew.

mod common;

use common::{query, root};

/// How the README asks.
const ASK: &str = "$ omni-trace query ";

/// Words of a command line, in which double quotes hold several together.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(i, part)| match i % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// The README with every answer as it is now, and the number of questions.
fn answered(readme: &str) -> (String, usize) {
    let (mut text, mut n_asked, mut is_answer) = (String::new(), 0, false);
    for line in readme.lines() {
        is_answer &= !line.starts_with('$') && !line.starts_with("```");
        if is_answer {
            continue;
        }
        text.push_str(line);
        text.push('\n');
        if let Some(line) = line.strip_prefix(ASK) {
            let words = words(line);
            text.push_str(
                &query(&words.iter().map(String::as_str).collect::<Vec<_>>()).replace("\r\n", "\n"),
            );
            n_asked += 1;
            is_answer = true;
        }
    }
    (text, n_asked)
}

fn hold(page: &str, n_questions: usize) {
    let path = root().join(page);
    let text = std::fs::read_to_string(&path).expect("the page is there");
    let (actual, n_asked) = answered(&text);
    assert_eq!(n_asked, n_questions, "{page}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).expect("the page is writable");
        return;
    }
    assert_eq!(text, actual, "{page}: BLESS=1 accepts");
}

#[test]
fn the_questions_of_the_pages_have_their_answers() {
    hold("README.md", 3);
    hold("docs/query.md", 9);
}
