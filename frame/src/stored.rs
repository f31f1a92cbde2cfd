//! Frames as Parquet and Arrow files, with units and meanings in their metadata.
//!
//! The metadata has a member for each column: `omni_trace.column.COLUMN`, a JSON object with `unit` and `meaning`; and
//! `omni_trace.table`, the table's name, where the frame is a table.

use std::io::Write;
use std::sync::Arc;

use polars::prelude::{CompatLevel, DataFrame, PlSmallStr, PolarsResult};
use polars_io::SerWriter as _;
use polars_io::ipc::IpcWriter;
use polars_io::parquet::write::{KeyValueMetadata, ParquetCompression, ParquetWriter};

use crate::catalog::Known;

/// Rows of a row group or record batch: what readers take at once.
const GROUP_ROWS: usize = 1 << 20;

/// What is known of the columns of a frame.
pub(crate) type Meanings = Vec<(String, String)>;

/// What a table's columns mean.
pub(crate) fn meanings(table: &Known, keys: &[&str]) -> Meanings {
    let columns = table.columns.iter().filter(|column| keys.contains(&column.key));
    let mut all = vec![("omni_trace.table".to_owned(), table.name.to_owned())];
    all.extend(columns.map(|column| {
        let about = serde_json::json!({ "unit": column.unit, "meaning": column.doc });
        (format!("omni_trace.column.{}", column.key), about.to_string())
    }));
    all
}

/// Writes a frame as Parquet: texts by dictionary, blocks compressed with Zstandard.
///
/// # Errors
///
/// What the writer says.
pub(crate) fn parquet(
    frame: &mut DataFrame,
    meanings: Meanings,
    to: &mut dyn Write,
) -> PolarsResult<()> {
    let writer = ParquetWriter::new(to)
        .with_compression(ParquetCompression::Zstd(None))
        .with_row_group_size(Some(GROUP_ROWS))
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(meanings)));
    writer.finish(frame).map(drop)
}

/// Writes a frame in Arrow's file format, not compressed and with texts as every reader knows them.
///
/// # Errors
///
/// What the writer says.
pub(crate) fn arrow(
    frame: &mut DataFrame,
    meanings: Meanings,
    to: &mut dyn Write,
) -> PolarsResult<()> {
    let mut writer = IpcWriter::new(to)
        .with_compat_level(CompatLevel::oldest())
        .with_record_batch_size(Some(GROUP_ROWS));
    let text = |text: String| PlSmallStr::from_string(text);
    let metadata = meanings.into_iter().map(|(key, value)| (text(key), text(value)));
    writer.set_custom_schema_metadata(Arc::new(metadata.collect()));
    writer.finish(frame)
}
