//! Fuzzes what turns SQL into tables and columns: see `../sql.rs`. The modules of `frame` stand here without polars.
#![no_main]
#![allow(dead_code, reason = "the fuzzer uses a part of them")]

#[path = "../../frame/src/catalog.rs"]
mod catalog;
#[path = "../../frame/src/questions.rs"]
mod questions;
#[path = "../sql.rs"]
mod sql;
#[path = "../../frame/src/statement.rs"]
mod statement;
#[path = "../../frame/src/trouble.rs"]
mod trouble;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sql::sql(bytes));
