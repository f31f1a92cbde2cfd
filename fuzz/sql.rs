//! What is fuzzed of SQL: statements, and names of anybody in them, before polars gets to see either.
//!
//! The fuzzer (`fuzz_targets/sql.rs`) has the modules of `frame` that need no polars; `frame/tests/sql_names.rs` calls the same
//! with what was found once, and with its own seeded changes.

use std::collections::BTreeSet;

use crate::catalog::Catalog;
use crate::questions;
use crate::statement::{Needs, Run, Statement, parse};

/// A text as statements, as the name of a table, as one of a result, and as the value of a ready question.
pub(crate) fn sql(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    statements(text);
    a_table(text);
    a_value(text);
}

/// What goes to polars is SQL of as many statements, and touches nothing that was not seen.
fn statements(text: &str) {
    for statement in parse(text).unwrap_or_default() {
        match statement {
            Statement::Run(run) => stays_what_it_is(&run),
            Statement::Describe(name) => is_known_or_refused(&name),
            Statement::Tables => {}
        }
    }
}

/// Polars reads the text again.
fn stays_what_it_is(run: &Run) {
    let Ok(again) = parse(&run.sql) else { return };
    let [Statement::Run(again)] = again.as_slice() else {
        panic!("one statement became {}: {:?}", again.len(), run.sql)
    };
    assert!(covers(&run.needs, &again.needs), "{:?} touches more than {:?}", run.sql, run.needs);
}

fn covers(needs: &Needs, others: &Needs) -> bool {
    let has = |(table, &every): (&String, &bool)| {
        needs.tables.get(table).is_some_and(|&all| all || !every)
    };
    others.tables.iter().all(has)
}

/// A wrong name is refused with right ones only.
fn is_known_or_refused(name: &str) {
    let catalog = Catalog::new();
    let names: BTreeSet<&str> = catalog.tables.iter().map(|table| table.name).collect();
    match catalog.find(name, []) {
        Ok(table) => assert_eq!(table.name, name),
        Err(trouble) => {
            let hint = trouble.hint.expect("there is always something to do");
            let near = hint.strip_prefix("did you mean ").map(|near| near.trim_end_matches('?'));
            let near = near.into_iter().flat_map(|near| near.split(", "));
            near.for_each(|near| assert!(names.contains(near), "{near:?} is no table"));
        }
    }
}

/// Between quotes any text is a name, as it stands.
fn a_table(text: &str) {
    let name = format!("\"{}\"", text.replace('"', "\"\""));
    let sql = format!("SELECT {name}, max({name}) FROM {name}");
    let is_odd = text.contains("\"\"") || text.contains("\\\"");
    let parsed = match parse(&sql) {
        Ok(parsed) => parsed,
        Err(trouble) => return assert!(is_odd, "{sql:?}: {trouble}"),
    };
    let [Statement::Run(run)] = parsed.as_slice() else { panic!("{sql:?} is {parsed:?}") };
    let tables: Vec<&str> = run.needs.tables.keys().map(String::as_str).collect();
    assert_eq!(tables, [text]);
    assert!(run.needs.has(text, text), "{sql:?} needs {:?}", run.needs);
    let again = parse(&run.sql).unwrap_or_else(|trouble| panic!("{:?}: {trouble}", run.sql));
    let [Statement::Run(again)] = again.as_slice() else { panic!("{:?} is {again:?}", run.sql) };
    assert_eq!(again.needs.tables, run.needs.tables);
    is_known_or_refused(text);
}

/// Whatever is given as the value of a ready question stays a value.
fn a_value(text: &str) {
    let sound = questions::sql("slowest-calls").expect("it is there");
    let asked = questions::sql(&format!("slowest-calls={text}")).expect("it takes a value");
    let runs = [sound, asked]
        .map(|sql| parse(&sql).unwrap_or_else(|trouble| panic!("{sql:?}: {trouble}")));
    let [sound, asked] = &runs;
    match (sound.as_slice(), asked.as_slice()) {
        ([Statement::Run(sound)], [Statement::Run(asked)]) => {
            assert_eq!(sound.needs.tables, asked.needs.tables);
            assert_eq!(sound.functions, asked.functions);
            // What polars gets holds the value as the text that it is.
            let literal = format!("'{}'", text.replace('\'', "''"));
            assert!(asked.sql.contains(&literal), "{:?} has no {literal:?}", asked.sql);
        }
        other => panic!("{other:?}"),
    }
    assert!(
        questions::sql(text).is_ok_and(|sql| parse(&sql).is_ok()) || questions::sql(text).is_err()
    );
}
