//! Our typed columns as those of polars. Numbers are handed over without a copy, texts as views into their dictionary.

use std::sync::Arc;

use omni_trace::{Cells, Dictionary, Lists, Texts, Values};
use polars::prelude::{
    BooleanChunked, ChunkTake as _, Column, Float64Chunked, IdxCa, Int64Chunked, IntoColumn as _,
    ListBuilderTrait as _, ListStringChunkedBuilder, NewChunkedArray as _, PlSmallStr,
    StringChunked,
};
use polars_arrow::bitmap::Bitmap;

/// Dictionaries that are texts of polars already: the columns of an input share few.
#[derive(Default)]
pub(crate) struct Dictionaries(Vec<(Arc<Dictionary>, StringChunked)>);

impl Dictionaries {
    fn texts(&mut self, of: &Arc<Dictionary>) -> &StringChunked {
        let known = self.0.iter().position(|(known, _)| Arc::ptr_eq(known, of));
        let at = known.unwrap_or_else(|| {
            self.0.push((
                Arc::clone(of),
                StringChunked::from_iter_values(PlSmallStr::EMPTY, of.iter()),
            ));
            self.0.len() - 1
        });
        &self.0[at].1
    }
}

/// One of our columns as one of polars, under a name.
pub(crate) fn column(name: &str, values: Values, dictionaries: &mut Dictionaries) -> Column {
    let name = PlSmallStr::from_str(name);
    match values {
        Values::Int(cells) => {
            let valid = validity(&cells);
            Int64Chunked::from_vec_validity(name, cells.into_values(), valid).into_column()
        }
        Values::Float(cells) => {
            let valid = validity(&cells);
            Float64Chunked::from_vec_validity(name, cells.into_values(), valid).into_column()
        }
        Values::Bool(cells) => BooleanChunked::from_iter_options(name, cells.iter()).into_column(),
        Values::Text(texts) => text_column(name, &texts, dictionaries),
        Values::Word(cells, words) => {
            let word =
                |code: Option<u8>| code.and_then(|code| words.get(usize::from(code)).copied());
            StringChunked::from_iter_options(name, cells.iter().map(word)).into_column()
        }
        Values::List(lists) => list_column(name, &lists),
        Values::Nested => Int64Chunked::from_vec(name, Vec::new()).into_column(),
    }
}

fn validity<T: Copy + Default>(cells: &Cells<T>) -> Option<Bitmap> {
    cells.validity().map(|bits| Bitmap::from_u8_slice(bits, cells.len()))
}

/// The texts of a column: each row gets the view of its text, and none is copied.
fn text_column(name: PlSmallStr, texts: &Texts, dictionaries: &mut Dictionaries) -> Column {
    let all = dictionaries.texts(&texts.dictionary);
    let valid = validity(&texts.codes);
    let codes = IdxCa::from_vec_validity(PlSmallStr::EMPTY, texts.codes.values().to_vec(), valid);
    // Codes are of this dictionary, so that there is a text for each.
    let mut taken = all.take(&codes).unwrap_or_default();
    taken.rename(name);
    taken.into_column()
}

fn list_column(name: PlSmallStr, lists: &Lists) -> Column {
    let n_rows = lists.ends.len();
    let mut builder = ListStringChunkedBuilder::new(name, n_rows, lists.items.codes.len());
    for row in 0..n_rows {
        match lists.get(row) {
            Some(items) => builder.append_values_iter(items),
            None => builder.append_null(),
        }
    }
    builder.finish().into_column()
}
