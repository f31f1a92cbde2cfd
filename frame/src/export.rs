//! `omni-trace export`: the tables as files for other tools, in folders by stage and rank.
//!
//! `DIR/stage=…/rank=…/TABLE.parquet` is what DuckDB, polars, pandas and Spark take for a partitioned data set: stage and rank
//! come from the folders. What a trace does not say is `unknown`, and a table that is of no single input lies at the top.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use omni_trace::Of;
use omni_trace::files::AtomicFile;
use polars::prelude::{DataFrame, IdxCa, PlSmallStr};

use crate::args::{ExportArgs, Store};
use crate::catalog::{Catalog, INPUT, Known, RANK, STAGE};
use crate::cli::{as_io, say, unwritten};
use crate::data::Data;
use crate::stored::{self, Meanings};
use crate::trouble::Trouble;

/// The table that takes longer than all others together, and so is written where it is named.
const FINDINGS: &str = "findings";

/// Runs the command.
pub(crate) fn run(args: &ExportArgs) -> Result<(), Trouble> {
    let catalog = Catalog::new();
    let tables = wanted(&catalog, &args.table)?;
    let mut paths = args.paths.clone();
    if paths.is_empty() {
        paths.push(PathBuf::from("."));
    }
    let data = args.read.data(paths, &args.part)?;
    data.protect();
    let folder = &args.output;
    fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    let mut n_files = 0;
    for table in tables {
        n_files += one(args, &data, table)?;
    }
    if !args.read.quiet {
        say(&format!("{n_files} files in {}", folder.display()));
    }
    Ok(())
}

fn wanted<'a>(catalog: &'a Catalog, names: &[String]) -> Result<Vec<&'a Known>, Trouble> {
    if names.is_empty() {
        // Logs are read where one of their tables is asked for.
        let is_default = |table: &&Known| table.of != Of::Stages && table.name != FINDINGS;
        return Ok(catalog.tables.iter().filter(is_default).collect());
    }
    names.iter().map(|name| catalog.find(name, [])).collect()
}

/// Writes one table; gives the number of files.
fn one(args: &ExportArgs, data: &Data, table: &Known) -> Result<usize, Trouble> {
    let keys: Vec<&str> =
        table.columns.iter().filter(|column| !column.is_added).map(|column| column.key).collect();
    let frame = data.frame(table, &keys, &[])?;
    let is_asked = args.table.iter().any(|name| name == table.name);
    if frame.height() == 0 && !is_asked {
        return Ok(0);
    }
    let mut n_files = 0;
    for (folder, mut part) in parts(data, table, frame)? {
        let folder = args.output.join(folder);
        fs::create_dir_all(&folder).map_err(|error| unwritten(&folder, &error))?;
        // In a partitioned data set the folders say what these columns would.
        let kept: Vec<&str> =
            keys.iter().copied().filter(|&key| part.schema().contains(key)).collect();
        for format in &args.format {
            write(*format, &folder, table, &mut part, stored::meanings(table, &kept))?;
            n_files += 1;
        }
    }
    Ok(n_files)
}

/// The rows of a table by the folder that they belong to.
fn parts(
    data: &Data,
    table: &Known,
    frame: DataFrame,
) -> Result<BTreeMap<PathBuf, DataFrame>, Trouble> {
    let Ok(inputs) = frame.column(INPUT).and_then(|column| column.i64().cloned()) else {
        return Ok(BTreeMap::from([(PathBuf::new(), frame)]));
    };
    if table.of == Of::Stages {
        return Ok(BTreeMap::from([(PathBuf::new(), frame)]));
    }
    let folders: Vec<PathBuf> = data
        .traces()?
        .inputs()
        .iter()
        .map(|input| folder(input.identity.stage, input.identity.rank))
        .collect();
    let mut rows: BTreeMap<&Path, Vec<u32>> = BTreeMap::new();
    for (row, input) in inputs.iter().enumerate() {
        let input = input.and_then(|input| usize::try_from(input).ok());
        if let Some(folder) = input.and_then(|input| folders.get(input)) {
            rows.entry(folder).or_default().push(row as u32);
        }
    }
    let mut parts = BTreeMap::new();
    for (folder, rows) in rows {
        let rows = IdxCa::from_vec(PlSmallStr::EMPTY, rows);
        let part = frame.take(&rows).map_err(|error| Trouble::plain(error.to_string()))?;
        parts.insert(folder.to_owned(), part.drop_many([STAGE, RANK]));
    }
    Ok(parts)
}

fn folder(stage: Option<u32>, rank: Option<u32>) -> PathBuf {
    let word = |number: Option<u32>| {
        number.map_or_else(|| "unknown".to_owned(), |number| number.to_string())
    };
    PathBuf::from(format!("{STAGE}={}", word(stage))).join(format!("{RANK}={}", word(rank)))
}

fn write(
    format: Store,
    folder: &Path,
    table: &Known,
    part: &mut DataFrame,
    meanings: Meanings,
) -> Result<(), Trouble> {
    let ending = match format {
        Store::Parquet => "parquet",
        Store::Arrow => "arrow",
    };
    let path = folder.join(format!("{}.{ending}", table.name));
    let mut file = AtomicFile::create(&path).map_err(|error| unwritten(&path, &error))?;
    let written = match format {
        Store::Parquet => stored::parquet(part, meanings, &mut file),
        Store::Arrow => stored::arrow(part, meanings, &mut file),
    };
    written
        .map_err(as_io)
        .and_then(|()| file.finish())
        .map(drop)
        .map_err(|error| unwritten(&path, &error))
}
