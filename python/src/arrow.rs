//! Typed columns as Arrow arrays, with units and meanings in the metadata.
//!
//! Whole numbers are `int64`, texts and words are dictionaries, lists are lists of texts, and what was not recorded is null.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::vec::IntoIter;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, LargeStringArray,
    PrimitiveArray, RecordBatch, RecordBatchReader, StringArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use omni_trace::{Cells, Column, Dictionary, Kind, Lists, TableInfo, Texts, Values};

use crate::table::Content;

/// The columns of a table.
pub(crate) fn schema_of(info: &TableInfo) -> SchemaRef {
    let fields: Vec<Field> = info.spec.value_columns().map(field_of).collect();
    let about = [
        ("table", info.name.as_str()),
        ("title", info.title),
        ("question", info.spec.question),
        ("omni_trace_version", env!("CARGO_PKG_VERSION")),
    ];
    Arc::new(Schema::new_with_metadata(fields, metadata(about)))
}

fn field_of(column: &Column) -> Field {
    let unit = column.unit.name().unwrap_or_default();
    let about = [("unit", unit), ("meaning", column.doc), ("heading", column.name)];
    let about = about.into_iter().filter(|(_, text)| !text.is_empty());
    // A number that no 64 bits hold is missing also where the definition knows of no missing ones.
    Field::new(column.key, type_of(column.kind), true).with_metadata(metadata(about))
}

fn metadata<'a>(about: impl IntoIterator<Item = (&'a str, &'a str)>) -> HashMap<String, String> {
    about.into_iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect()
}

fn type_of(kind: Kind) -> DataType {
    let words = |key, text| DataType::Dictionary(Box::new(key), Box::new(text));
    match kind {
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Bool => DataType::Boolean,
        Kind::Word(_) => words(DataType::Int8, DataType::Utf8),
        Kind::List => DataType::List(Arc::new(item())),
        Kind::Text | Kind::Sentence | Kind::Rows => words(DataType::Int32, DataType::LargeUtf8),
    }
}

fn item() -> Field {
    Field::new("item", DataType::Utf8, false)
}

/// The rows of a table, a part at a time.
pub(crate) struct Batches {
    info: &'static TableInfo,
    content: Content,
    schema: SchemaRef,
    parts: IntoIter<Range<usize>>,
    /// Dictionaries that columns share, with the arrays made of them.
    known: Vec<(Arc<Dictionary>, ArrayRef)>,
}

impl Batches {
    pub(crate) fn of(info: &'static TableInfo, content: Content) -> Self {
        let parts = content.parts(info).into_iter();
        Self { info, content, schema: schema_of(info), parts, known: Vec::new() }
    }

    fn batch(&mut self, rows: Range<usize>) -> Result<RecordBatch, ArrowError> {
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        for column in self.info.spec.value_columns() {
            let made = self.content.column(self.info, column.key, rows.clone());
            let (values, _) = made.ok_or_else(|| no_column(column.key))?;
            arrays.push(self.array(values)?);
        }
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
    }

    fn array(&mut self, values: Values) -> Result<ArrayRef, ArrowError> {
        Ok(match values {
            Values::Int(cells) => {
                let nulls = nulls(&cells);
                Arc::new(Int64Array::new(cells.into_values().into(), nulls))
            }
            Values::Float(cells) => {
                let nulls = nulls(&cells);
                Arc::new(Float64Array::new(cells.into_values().into(), nulls))
            }
            Values::Bool(cells) => Arc::new(cells.iter().collect::<BooleanArray>()),
            Values::Text(texts) => self.texts(texts)?,
            Values::Word(codes, words) => worded(codes, words)?,
            Values::List(lists) => listed(&lists)?,
            Values::Nested => return Err(no_column("rows of another table")),
        })
    }

    /// Texts by number; the dictionary is that of the column, as it is, and made once where columns share it.
    fn texts(&mut self, texts: Texts) -> Result<ArrayRef, ArrowError> {
        let nulls = nulls(&texts.codes);
        let n = texts.codes.len();
        let codes = Buffer::from_vec(texts.codes.into_values());
        let keys: PrimitiveArray<Int32Type> =
            PrimitiveArray::new(ScalarBuffer::new(codes, 0, n), nulls);
        Ok(Arc::new(DictionaryArray::try_new(keys, self.dictionary(&texts.dictionary))?))
    }

    fn dictionary(&mut self, dictionary: &Arc<Dictionary>) -> ArrayRef {
        if let Some((_, array)) = self.known.iter().find(|(one, _)| Arc::ptr_eq(one, dictionary)) {
            return Arc::clone(array);
        }
        let ends = dictionary.ends().iter().map(|&end| end as i64);
        let offsets: Vec<i64> = std::iter::once(0).chain(ends).collect();
        let text = Buffer::from(dictionary.bytes());
        let array = LargeStringArray::new(OffsetBuffer::new(offsets.into()), text, None);
        let array: ArrayRef = Arc::new(array);
        self.known.push((Arc::clone(dictionary), Arc::clone(&array)));
        array
    }
}

/// What was recorded, as Arrow has it.
fn nulls<T: Copy + Default>(cells: &Cells<T>) -> Option<NullBuffer> {
    let bits = cells.validity()?;
    Some(NullBuffer::new(BooleanBuffer::new(Buffer::from(bits), 0, cells.len())))
}

/// One word of a closed list, by its number.
fn worded(codes: Cells<u8>, words: &'static [&'static str]) -> Result<ArrayRef, ArrowError> {
    let nulls = nulls(&codes);
    let codes: Vec<i8> = codes.into_values().into_iter().map(|code| code as i8).collect();
    let keys: PrimitiveArray<Int8Type> = PrimitiveArray::new(codes.into(), nulls);
    let words: ArrayRef = Arc::new(StringArray::from_iter_values(words));
    Ok(Arc::new(DictionaryArray::try_new(keys, words)?))
}

fn listed(lists: &Lists) -> Result<ArrayRef, ArrowError> {
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(item());
    for row in 0..lists.ends.len() {
        let list = lists.get(row);
        let is_recorded = list.is_some();
        list.into_iter().flatten().for_each(|text| builder.values().append_value(text));
        builder.append(is_recorded);
    }
    Ok(Arc::new(builder.finish()))
}

fn no_column(key: &str) -> ArrowError {
    ArrowError::SchemaError(format!("there is no column {key}"))
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.parts.next()?;
        Some(self.batch(rows))
    }
}

impl RecordBatchReader for Batches {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
