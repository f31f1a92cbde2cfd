//! Tables that `export` wrote, asked in place of the traces: Parquet files in folders by input, stage and rank.
//!
//! Of a table that a statement touches, the columns that it touches are read, side by side from all files. What a folder's name
//! says (`input=3`, `stage=0`, `rank=7`) stands in its rows. Knows no trace, and computes nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use polars::prelude::{Column, DataFrame, DataType, PlSmallStr, Scalar};
use polars_io::SerReader as _;
use polars_io::parquet::read::ParquetReader;
use rayon::prelude::*;

use crate::catalog::{Catalog, INPUT, Known, Named, RANK, STAGE};
use crate::data::unmade;
use crate::trouble::Trouble;

/// What folders tell of their rows, in the order in which files are read.
const TOLD: [&str; 3] = [INPUT, STAGE, RANK];
/// The ending of its files.
const ENDING: &str = "parquet";
/// How deep its folders lie: one for each thing that is told, and one to have them all in.
const DEPTH: usize = 4;

/// A data set.
#[derive(Debug, Default)]
pub(crate) struct DataSet {
    files: BTreeMap<String, Vec<Part>>,
}

/// One file of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    /// What its folders tell of [`TOLD`]; `None` in it is `unknown`.
    told: [Option<Option<i64>>; 3],
    path: PathBuf,
}

impl DataSet {
    /// The data set at some paths; `None` where one of them is no folder of one.
    pub(crate) fn at(paths: &[PathBuf], catalog: &Catalog) -> Option<Self> {
        let mut found = Self::default();
        for path in paths {
            if !is_one(path, catalog) {
                return None;
            }
            // What cannot be listed holds nothing; a table that is missing is said when it is asked for.
            let _ = found.add(path, [None; 3], DEPTH);
        }
        found.files.values_mut().for_each(|parts| parts.sort());
        (!found.files.is_empty()).then_some(found)
    }

    fn add(
        &mut self,
        folder: &Path,
        told: [Option<Option<i64>>; 3],
        deeper: usize,
    ) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if let Some((at, value)) = partition(name) {
                let mut told = told;
                told[at] = Some(value);
                if deeper > 0 {
                    self.add(&path, told, deeper - 1)?;
                }
            } else if let Some(table) = table_of(&path) {
                self.files.entry(table.to_owned()).or_default().push(Part { told, path });
            }
        }
        Ok(())
    }

    /// Some columns of a table.
    ///
    /// # Errors
    ///
    /// A table that is not in it, or that cannot be put together from its parts; a file that cannot be read.
    pub(crate) fn frame(&self, table: &Known, keys: &[&str]) -> Result<DataFrame, Trouble> {
        let parts = self.files.get(table.name).ok_or_else(|| missing(table))?;
        let is_of_all = table.column(INPUT).is_none();
        if is_of_all && parts.len() > 1 {
            let what = format!(
                "`{}` is of all inputs together, and this data set has it of {} apart",
                table.name,
                parts.len()
            );
            let hint =
                "ask a table of events, or the traces themselves; `omni-trace reduce` joins ranks";
            return Err(Trouble::new(what, hint));
        }
        let read: Vec<DataFrame> =
            parts.par_iter().map(|part| part.frame(table, keys)).collect::<Result<_, _>>()?;
        let mut read = read.into_iter();
        let mut whole = read.next().unwrap_or_default();
        for part in read {
            whole.vstack_mut_owned(part).map_err(unmade)?;
        }
        Ok(whole)
    }
}

impl Part {
    fn frame(&self, table: &Known, keys: &[&str]) -> Result<DataFrame, Trouble> {
        let unread = |what: String| {
            Trouble::new(
                format!("{}: {what}", self.path.display()),
                "write the data set again with `omni-trace export`",
            )
        };
        let file = File::open(&self.path).map_err(|error| unread(error.to_string()))?;
        let mut reader = ParquetReader::new(file);
        let schema = reader.schema().map_err(|error| unread(error.to_string()))?;
        let n_rows = reader.num_rows().map_err(|error| unread(error.to_string()))?;
        let stored: Vec<String> = keys
            .iter()
            .filter(|key| self.told(key).is_none() && schema.contains(key))
            .map(|&key| key.to_owned())
            .collect();
        let mut frame = DataFrame::default();
        if !stored.is_empty() {
            let reader = reader.with_columns(Some(stored));
            frame = reader.finish().map_err(|error| unread(error.to_string()))?;
        }
        let columns = keys.iter().map(|&key| match (self.told(key), frame.column(key)) {
            (Some(value), _) => filled(key, value, n_rows),
            (None, Ok(column)) => column.clone(),
            (None, Err(_)) => unrecorded(table.column(key), key, n_rows),
        });
        DataFrame::new(n_rows, columns.collect()).map_err(unmade)
    }

    /// What the folders say of a column.
    fn told(&self, key: &str) -> Option<Option<i64>> {
        self.told[TOLD.iter().position(|told| *told == key)?]
    }
}

/// A table that is not there.
fn missing(table: &Known) -> Trouble {
    let what = format!(
        "the data set has no table `{}`: it had no rows, or was not among those that were written",
        table.name
    );
    Trouble::new(
        what,
        format!(
            "`omni-trace export PATH… -o DIR --table {}` writes it, also without rows",
            table.name
        ),
    )
}

/// A column of one number, or of none where the folder says `unknown`.
fn filled(key: &str, value: Option<i64>, n_rows: usize) -> Column {
    let scalar = value.map_or(Scalar::null(DataType::Int64), Scalar::from);
    Column::new_scalar(PlSmallStr::from_str(key), scalar, n_rows)
}

/// A column that an earlier version did not write.
fn unrecorded(column: Option<&Named>, key: &str, n_rows: usize) -> Column {
    let text = DataType::String;
    let kind = match column.map(|column| column.kind) {
        Some("integer") => DataType::Int64,
        Some("float") => DataType::Float64,
        Some("boolean") => DataType::Boolean,
        Some("list") => DataType::List(Box::new(text)),
        _ => text,
    };
    Column::full_null(PlSmallStr::from_str(key), n_rows, &kind)
}

/// Whether a folder is one of a data set: a table or a partition lies in it.
fn is_one(folder: &Path, catalog: &Catalog) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.filter_map(Result::ok).any(|entry| {
        let path = entry.path();
        let is_table = table_of(&path).is_some_and(|table| catalog.table(table).is_some());
        let name = entry.file_name();
        is_table || path.is_dir() && name.to_str().and_then(partition).is_some()
    })
}

/// The number of what a folder's name tells, and its value.
fn partition(name: &str) -> Option<(usize, Option<i64>)> {
    let (key, value) = name.split_once('=')?;
    let at = TOLD.iter().position(|told| *told == key)?;
    match value {
        "unknown" => Some((at, None)),
        number => Some((at, Some(number.parse().ok()?))),
    }
}

/// The table that a file holds.
fn table_of(path: &Path) -> Option<&str> {
    let is_stored = path.extension().is_some_and(|ending| ending == ENDING);
    path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_stored)
}
