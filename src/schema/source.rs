//! Where tables come from: made when somebody wants to see them, as a whole or column by column.

use std::ops::Range;
use std::sync::OnceLock;

use super::{OnPage, Row, Shown, Spec, Table, Values};

/// Rows at most in one part.
const PART_ROWS: usize = 1 << 20;

/// What gives the columns of a table one by one, without ever having rows.
pub trait Columnar: Send + Sync {
    /// Number of rows.
    fn n_rows(&self) -> usize;

    /// Adds some rows of one column of the definition.
    fn put(&self, column: usize, rows: Range<usize>, to: &mut Values);
}

/// How a table is made.
enum Origin<'a> {
    /// All at once, and kept.
    Whole(Box<dyn Fn() -> Table + Send + Sync + 'a>, OnceLock<Table>),
    /// One column after the other, of one input after the other.
    Columns(Vec<Box<dyn Columnar + 'a>>),
}

/// A table that is made when somebody wants to see it.
pub struct Source<'a> {
    /// Its key.
    pub key: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Its definition.
    pub spec: &'static Spec,
    /// When it is shown where none was chosen.
    pub shown: Shown,
    /// Where a page shows it.
    pub page: Option<OnPage>,
    /// Number of rows.
    pub n_rows: usize,
    origin: Origin<'a>,
}

impl<'a> Source<'a> {
    /// The table of some rows.
    pub fn of<R: Row>(rows: &'a [R]) -> Self {
        Self::some(rows.iter().collect())
    }

    /// The table of some rows of several.
    pub fn some<R: Row>(rows: Vec<&'a R>) -> Self {
        let n_rows = rows.len();
        let make = Box::new(move || Table::of(rows.iter().copied()));
        Self::new(R::SPEC, n_rows, Origin::Whole(make, OnceLock::new()))
    }

    /// A table that is there.
    pub fn made(table: Table) -> Self {
        let (key, title) = (table.key, table.title);
        let own = Self::new(table.spec, table.n_rows, Origin::Columns(Vec::new()));
        let make = Box::new(move || table.clone());
        Self { key, title, origin: Origin::Whole(make, OnceLock::new()), ..own }
    }

    /// The table whose columns some inputs give, one below the other.
    pub fn columnar(spec: &'static Spec, of: Vec<Box<dyn Columnar + 'a>>) -> Self {
        let n_rows = of.iter().map(|one| one.n_rows()).sum();
        Self::new(spec, n_rows, Origin::Columns(of))
    }

    fn new(spec: &'static Spec, n_rows: usize, origin: Origin<'a>) -> Self {
        let Spec { key, title, shown, page, .. } = *spec;
        Self { key, title, spec, shown, page, n_rows, origin }
    }

    /// The same, shown at other times than its definition says.
    #[must_use]
    pub fn shown(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }

    /// The same, on no page.
    #[must_use]
    pub fn off_page(self) -> Self {
        Self { page: None, ..self }
    }

    /// What is made of the table before anyone sees it: another name, sentences under it.
    #[must_use]
    pub fn with(self, change: impl Fn(Table) -> Table + Send + Sync + 'a) -> Self {
        let Self { key, title, spec, shown, page, n_rows, origin } = self;
        let make = Box::new(move || change(origin.make(spec, n_rows)));
        let origin = Origin::Whole(make, OnceLock::new());
        Self { key, title, spec, shown, page, n_rows, origin }
    }

    /// The same rows under another name.
    #[must_use]
    pub fn named(self, key: &'static str, title: &'static str) -> Self {
        Self { key, title, ..self.with(move |table| table.named(key, title)) }
    }

    /// Makes it.
    pub fn table(&self) -> Table {
        self.origin.make(self.spec, self.n_rows)
    }

    /// Stretches of rows to ask for one after the other, none of more than 2²⁰ rows: of columns that come from events one
    /// or more an input, within which texts need not be copied.
    pub fn parts(&self) -> Vec<Range<usize>> {
        let lengths = match &self.origin {
            Origin::Whole(..) => vec![self.n_rows],
            Origin::Columns(of) => of.iter().map(|one| one.n_rows()).collect(),
        };
        let mut parts = Vec::new();
        let mut first = 0;
        for n_rows in lengths {
            let end = first + n_rows;
            parts.extend((first..end).step_by(PART_ROWS).map(|at| at..end.min(at + PART_ROWS)));
            first = end;
        }
        parts
    }

    /// One column of some rows; of columns that come from events, that column alone is made. `None` where there is no such
    /// column.
    pub fn column(&self, key: &str, rows: Range<usize>) -> Option<Values> {
        match &self.origin {
            Origin::Whole(make, made) => made.get_or_init(make).column(key, rows),
            Origin::Columns(of) => {
                let at = self.spec.columns.iter().position(|column| column.key == key)?;
                Some(joined(of, self.spec, at, rows))
            }
        }
    }
}

impl Origin<'_> {
    fn make(&self, spec: &'static Spec, n_rows: usize) -> Table {
        match self {
            Self::Whole(make, made) => made.get().cloned().unwrap_or_else(make),
            Self::Columns(of) => {
                let columns = 0..spec.columns.len();
                let values = columns.map(|at| joined(of, spec, at, 0..n_rows)).collect();
                Table::of_columns(spec, n_rows, values)
            }
        }
    }
}

/// Some rows of one column of the inputs one below the other.
fn joined(
    of: &[Box<dyn Columnar + '_>],
    spec: &'static Spec,
    column: usize,
    rows: Range<usize>,
) -> Values {
    let mut values = Values::of(spec.columns[column].kind);
    let mut first = 0;
    for one in of {
        let end = first + one.n_rows();
        let own = rows.start.clamp(first, end) - first..rows.end.clamp(first, end) - first;
        one.put(column, own, &mut values);
        first = end;
    }
    values
}
