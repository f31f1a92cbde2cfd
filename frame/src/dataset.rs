//! Tables that `export` wrote, asked in place of the traces: Parquet files in folders by input, stage and rank.
//!
//! Of a table that a statement touches, the columns that it touches are read, side by side from all files but those whose folders
//! say that no row of theirs counts. What a folder's name says (`input=3`, `stage=0`, `rank=7`) stands in its rows. Knows no trace,
//! and computes nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use omni_trace::schema::written::grouped;
use polars::prelude::{Column, DataFrame, DataType, PlSmallStr, Scalar};
use polars_io::SerReader as _;
use polars_io::parquet::read::ParquetReader;
use rayon::prelude::*;

use crate::catalog::{Catalog, INPUT, Known, Named, RANK, STAGE};
use crate::data::unmade;
use crate::trouble::Trouble;
use crate::within::Limit;

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
    seen: Seen,
}

/// What was read, and what there was to read of the tables that were asked.
#[derive(Debug, Default)]
struct Seen {
    n_read: AtomicU64,
    n_files: AtomicU64,
    /// As they lie in the files: compressed.
    read_bytes: AtomicU64,
    bytes: AtomicU64,
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

    /// Its files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.values().flatten().map(|part| part.path.as_path())
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
    pub(crate) fn frame(
        &self,
        table: &Known,
        keys: &[&str],
        limits: &[Limit],
    ) -> Result<DataFrame, Trouble> {
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
        let mut counting: Vec<&Part> = parts.iter().filter(|part| part.counts(limits)).collect();
        // One has the columns for an answer without rows; the statement itself leaves them out.
        counting.extend(parts.first().filter(|_| counting.is_empty()));
        self.seen.n_files.fetch_add(parts.len() as u64, Ordering::Relaxed);
        self.seen.bytes.fetch_add(parts.iter().map(Part::bytes).sum(), Ordering::Relaxed);
        let frame = |part: &&Part| part.frame(table, keys, &self.seen);
        let read: Vec<DataFrame> = counting.par_iter().map(frame).collect::<Result<_, _>>()?;
        let mut read = read.into_iter();
        let mut whole = read.next().unwrap_or_default();
        for part in read {
            whole.vstack_mut_owned(part).map_err(unmade)?;
        }
        Ok(whole)
    }

    /// `read 2 of 128 files, 14,210 of 8,123,456 bytes`
    pub(crate) fn told(&self) -> String {
        let n = |of: &AtomicU64| grouped(of.load(Ordering::Relaxed));
        let Seen { n_read, n_files, read_bytes, bytes } = &self.seen;
        format!(
            "read {} of {} files, {} of {} bytes",
            n(n_read),
            n(n_files),
            n(read_bytes),
            n(bytes)
        )
    }
}

impl Part {
    /// Whether a row of it may count.
    fn counts(&self, limits: &[Limit]) -> bool {
        let allows =
            |limit: &Limit| self.told(&limit.column).is_none_or(|value| limit.allows(value));
        limits.iter().all(allows)
    }

    /// Its size; what cannot be asked for is said when it is read.
    fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |of| of.len())
    }

    fn frame(&self, table: &Known, keys: &[&str], seen: &Seen) -> Result<DataFrame, Trouble> {
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
        let of = reader.get_metadata().map_err(|error| unread(error.to_string()))?;
        let columns = of.row_groups.iter().flat_map(|group| group.parquet_columns());
        let is_read = |path: &[PlSmallStr]| {
            path.first().is_some_and(|root| stored.iter().any(|key| key == root.as_str()))
        };
        let sizes = columns
            .filter(|column| is_read(&column.descriptor().path_in_schema))
            .map(|column| column.compressed_size().unsigned_abs());
        seen.read_bytes.fetch_add(sizes.sum(), Ordering::Relaxed);
        seen.n_read.fetch_add(1, Ordering::Relaxed);
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
