//! The rooms import one way: a table of what each room may import, and a scan of every `crate::` path.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may import, in reading order. `main.rs` and `lib.rs` may import any.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("diag", &["model"]),
    ("store", &["model", "diag"]),
    ("read", &["store", "diag", "model"]),
    ("align", &["store", "diag", "model"]),
    ("schema", &["diag", "model"]),
    ("analyze", &["align", "schema", "store", "diag", "model"]),
    ("recorded", &["analyze", "schema", "store", "model"]),
    ("compare", &["analyze", "schema", "model"]),
    ("causal", &["analyze", "align", "schema", "store", "model"]),
    ("table", &["causal", "compare", "analyze", "schema", "model"]),
    ("files", &["read"]),
    ("write", &["read", "store", "diag", "model"]),
    (
        "ask",
        &[
            "table", "causal", "recorded", "analyze", "schema", "align", "read", "store", "diag",
            "model",
        ],
    ),
    ("render", &["table", "schema", "model"]),
    (
        "cli",
        &[
            "render", "ask", "files", "write", "table", "causal", "compare", "analyze", "schema",
            "align", "read", "store", "diag", "model",
        ],
    ),
];

/// Rooms named by the `crate::` paths of a source text, whatever the form: `crate::a::B`, `crate::{a, b::C}`.
fn imported_rooms(source: &str) -> BTreeSet<String> {
    let code = without_comments_and_strings(source);
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let is_path_start =
            !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        if !is_path_start {
            continue;
        }
        let rest = code[at + "crate::".len()..].trim_start();
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(group_heads(group)),
            None => rooms.extend(identifier(rest)),
        }
    }
    rooms
}

/// The first identifier of every entry of a brace group, without its braces' inner groups.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut at_entry = true;
    for (i, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_entry = true,
            c if at_entry && (c.is_alphanumeric() || c == '_') => {
                heads.extend(identifier(&group[i..]));
                at_entry = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The code with line comments and string literals blanked: docs may name any room.
fn without_comments_and_strings(source: &str) -> String {
    let mut out = String::new();
    for line in source.lines() {
        let mut is_string = false;
        let mut previous = ' ';
        let mut characters = line.chars().peekable();
        while let Some(c) = characters.next() {
            let is_comment = c == '/' && characters.peek() == Some(&'/');
            if is_comment && !is_string {
                break;
            }
            if c == '"' && previous != '\\' && previous != '\'' {
                is_string = !is_string;
            }
            if !is_string {
                out.push(c);
            }
            previous = if previous == '\\' { ' ' } else { c };
        }
        out.push('\n');
    }
    out
}

/// What is wrong with the imports of one file of a room.
fn violations(room: &str, source: &str, all_rooms: &BTreeSet<String>) -> Vec<String> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == room) else {
        return vec![format!("room `{room}` is not in the table of this test")];
    };
    imported_rooms(source)
        .into_iter()
        .filter(|name| all_rooms.contains(name) && name != room)
        .filter(|name| !allowed.contains(&name.as_str()))
        .map(|name| format!("`{room}` may not import `{name}`"))
        .collect()
}

fn rust_files(folder: &Path, out: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("the source folder is readable");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the source is readable").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The room of a file: the first folder under `src`, or the file's own stem for a room of one file.
fn room_of(path: &Path, src: &Path) -> Option<String> {
    let inner = path.strip_prefix(src).ok()?;
    let first = Path::new(inner.components().next()?.as_os_str());
    let stem = first.file_stem()?.to_str()?;
    (!["main", "lib"].contains(&stem)).then(|| stem.to_owned())
}

#[test]
fn rooms_import_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let all: BTreeSet<String> = files.iter().filter_map(|file| room_of(file, &src)).collect();
    assert!(all.contains("store") && all.contains("cli"), "the scan found no rooms: {all:?}");
    let mut wrong = Vec::new();
    for file in &files {
        let Some(room) = room_of(file, &src) else { continue };
        let source = std::fs::read_to_string(file).unwrap();
        let found = violations(&room, &source, &all);
        wrong.extend(found.into_iter().map(|what| format!("{}: {what}", file.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_cli_prints_and_only_files_makes_outputs() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    for file in files {
        let Some(room) = room_of(&file, &src).filter(|room| room != "cli") else { continue };
        let code = without_comments_and_strings(&std::fs::read_to_string(&file).unwrap());
        let prints = ["println!", "print!", "eprintln!", "eprint!"].as_slice();
        let writes = ["process::exit", "File::create"].as_slice();
        for word in prints.iter().chain(writes.iter().filter(|_| room != "files")) {
            assert!(!code.contains(word), "{}: {word} outside cli", file.display());
        }
    }
}

#[test]
fn every_arrow_points_up() {
    for (i, (room, allowed)) in ALLOWED.iter().enumerate() {
        let above: Vec<&str> = ALLOWED[..i].iter().map(|(name, _)| *name).collect();
        for name in *allowed {
            assert!(above.contains(name), "`{room}` -> `{name}` points down the list");
        }
    }
}

#[test]
fn the_checker_sees_wrong_imports() {
    let all: BTreeSet<String> = ALLOWED.iter().map(|(name, _)| (*name).to_owned()).collect();
    let wrong = [
        "use crate::render::text;",
        "use crate::{model::EventKind, render::{text, csv}};",
        "fn f() { let t = crate::render::text::table(x); }",
        "use crate::{\n    model,\n    render,\n};",
        "let s = \"a // b\"; use crate::render::csv;",
        "pub(crate) use crate::render as r;",
    ];
    for source in wrong {
        assert_eq!(
            violations("analyze", source, &all),
            ["`analyze` may not import `render`"],
            "{source}"
        );
    }
    let right = [
        "use crate::store::Store;",
        "use crate::{model::EventKind, store::{Store, StrId}};",
        "//! See `crate::render`.",
        "let s = \"crate::render\";",
        "use othercrate::render::text;",
        "pub(crate) fn f() {}",
    ];
    for source in right {
        assert!(violations("analyze", source, &all).is_empty(), "{source}");
    }
    assert_eq!(
        violations("kitchen", "", &all),
        ["room `kitchen` is not in the table of this test"]
    );
}
