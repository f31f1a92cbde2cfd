//! Statements, run one after the other over the same tables.

use std::collections::{BTreeMap, BTreeSet};

use omni_trace::schema::near;
use polars::prelude::{Column, DataFrame, IntoLazy as _, LazyFrame, PlSmallStr, PolarsError};
use polars::sql::SQLContext;

use crate::catalog::{Catalog, INPUT, Known, Named};
use crate::data::Data;
use crate::functions;
use crate::statement::{HELPERS, Run, Statement};
use crate::trouble::Trouble;
use crate::within::Limit;

/// Where statements are run.
pub struct Session<'a> {
    /// The tables that there are.
    pub catalog: &'a Catalog,
    data: &'a Data,
    context: SQLContext,
    /// What was made of each table so far, and the limits that it was read within.
    made: BTreeMap<&'static str, (Vec<Limit>, DataFrame)>,
    /// Tables that statements made.
    own: BTreeSet<String>,
}

impl<'a> Session<'a> {
    /// Nothing was asked yet.
    pub fn new(catalog: &'a Catalog, data: &'a Data) -> Self {
        Self {
            catalog,
            data,
            context: SQLContext::new(),
            made: BTreeMap::new(),
            own: BTreeSet::new(),
        }
    }

    /// Tables that statements made.
    pub fn own_tables(&self) -> impl Iterator<Item = &str> {
        self.own.iter().map(String::as_str)
    }

    /// Runs a statement and gives its result; `None` where it has none.
    ///
    /// # Errors
    ///
    /// Names of nothing, with the nearest, and what polars refuses.
    pub fn run(&mut self, statement: &Statement) -> Result<Option<DataFrame>, Trouble> {
        match statement {
            Statement::Tables => self.tables().map(Some),
            Statement::Describe(name) => self.described(name).map(Some),
            Statement::Run(run) => self.answer(run),
        }
    }

    fn answer(&mut self, run: &Run) -> Result<Option<DataFrame>, Trouble> {
        for (name, every) in &run.needs.tables {
            if self.own.contains(name) {
                continue;
            }
            let catalog = self.catalog;
            let table = catalog.find(name, self.own.iter().map(String::as_str))?;
            let limits = run.needs.limits_of(name);
            let limits = if self.data.is_limited() { limits } else { &[] };
            self.provide(table, limits, |key| *every || run.needs.has(name, key))?;
        }
        // polars 0.55 takes the only column of `SELECT 1 + count(*) FROM (SELECT max(x) FROM t)` away, and then counts the rows of
        // `t`. Tables hold no columns but those that are touched.
        let run_all = |lazy: LazyFrame| lazy.with_projection_pushdown(false).collect();
        let result = self.context.execute(&run.sql).and_then(run_all);
        let result = result.map_err(|error| self.refused(run, &error))?;
        let Some(made) = &run.makes else { return Ok(Some(result)) };
        self.own.insert(made.clone());
        Ok(None)
    }

    /// Makes what is not there yet of a table's columns: those that are touched, where they are had one by one.
    fn provide(
        &mut self,
        table: &'a Known,
        limits: &[Limit],
        is_touched: impl Fn(&str) -> bool,
    ) -> Result<(), Trouble> {
        // Rows that another statement could do without are missing for this one.
        self.made.retain(|name, (within, _)| *name != table.name || within == limits);
        let made = self.made.get(table.name).map(|(_, made)| made);
        let is_there = |key: &str| made.is_some_and(|made| made.schema().contains(key));
        let is_by_column = self.data.is_by_column(table);
        let wanted = |column: &&Named| !is_by_column || is_touched(column.key);
        let mut keys: Vec<&str> =
            table.columns.iter().filter(wanted).map(|column| column.key).collect();
        if keys.is_empty() {
            // The number of rows is asked for alone.
            keys.extend(
                table
                    .columns
                    .iter()
                    .find(|column| column.key == INPUT)
                    .or(table.columns.first())
                    .map(|c| c.key),
            );
        }
        keys.retain(|key| !is_there(key));
        if keys.is_empty() {
            return Ok(());
        }
        let new = self.data.frame(table, &keys, limits)?;
        let frame = match self.made.remove(table.name) {
            Some((_, made)) => {
                made.hstack(new.columns()).map_err(|error| Trouble::plain(error.to_string()))?
            }
            None => new,
        };
        self.context.register(table.name, frame.clone().lazy());
        self.made.insert(table.name, (limits.to_vec(), frame));
        Ok(())
    }

    /// The tables that there are.
    fn tables(&self) -> Result<DataFrame, Trouble> {
        let tables = &self.catalog.tables;
        let own = self.own_tables().map(|name| (name, "made here"));
        let all: Vec<(&str, &str)> =
            tables.iter().map(|table| (table.name, table.question)).chain(own).collect();
        frame_of_texts(&[
            ("table", all.iter().map(|one| Some(one.0)).collect()),
            ("answers", all.iter().map(|one| Some(one.1)).collect()),
        ])
    }

    /// The columns of a table.
    fn described(&self, name: &str) -> Result<DataFrame, Trouble> {
        let columns = &self.catalog.find(name, self.own_tables())?.columns;
        let texts = |text: fn(&Named) -> Option<&str>| columns.iter().map(text).collect();
        frame_of_texts(&[
            ("column", texts(|column| Some(column.key))),
            ("unit", texts(|column| column.unit)),
            ("kind", texts(|column| Some(column.kind))),
            ("meaning", texts(|column| Some(&column.doc))),
        ])
    }

    /// What polars refused, with the nearest right names.
    fn refused(&self, run: &Run, error: &PolarsError) -> Trouble {
        let message = root(error);
        let helpers = HELPERS.iter().map(|helper| helper.name);
        let is_helper = |name: &str| HELPERS.iter().any(|one| one.name.eq_ignore_ascii_case(name));
        let is_unknown = |name: &&String| !functions::is_known(name) && !is_helper(name);
        let unknown = run.functions.iter().find(is_unknown);
        if let Some(name) = unknown {
            let hint = near::hint(name, functions::KNOWN.iter().copied().chain(helpers));
            return Trouble { what: format!("there is no function `{name}`"), hint };
        }
        if let Some(name) = missing_column(&message) {
            let columns = run.needs.tables.keys().filter_map(|table| self.catalog.table(table));
            let columns: Vec<&str> =
                columns.flat_map(|table| &table.columns).map(|column| column.key).collect();
            if !columns.contains(&name) {
                let hint = near::hint(name, columns)
                    .unwrap_or_else(|| "DESCRIBE TABLE lists the columns of a table".to_owned());
                return Trouble::new(format!("there is no column `{name}`"), hint);
            }
        }
        Trouble::plain(message)
    }
}

/// The error below what it happened in.
fn root(error: &PolarsError) -> String {
    match error {
        PolarsError::Context { error, .. } | PolarsError::ExprContext { error, .. } => root(error),
        PolarsError::ColumnNotFound(message) | PolarsError::SchemaFieldNotFound(message) => {
            format!("not found: {message}")
        }
        PolarsError::SQLInterface(message) | PolarsError::SQLSyntax(message) => message.to_string(),
        other => other.to_string(),
    }
}

/// The name of a column that an error says is missing.
fn missing_column(message: &str) -> Option<&str> {
    let quoted = message.split(['"', '\'']).nth(1);
    match message.strip_prefix("not found: ") {
        Some(rest) => quoted.or(rest.split_whitespace().next()),
        None if message.contains("column") => quoted,
        None => None,
    }
}

/// A frame of texts.
fn frame_of_texts(columns: &[(&str, Vec<Option<&str>>)]) -> Result<DataFrame, Trouble> {
    let height = columns.first().map_or(0, |(_, texts)| texts.len());
    let column = |(name, texts): &(&str, Vec<Option<&str>>)| {
        Column::new(PlSmallStr::from_str(name), texts.as_slice())
    };
    DataFrame::new(height, columns.iter().map(column).collect())
        .map_err(|error| Trouble::plain(error.to_string()))
}
