//! The rows of an input as columns of numbers, and back.

use omni_trace_proto::partial as proto;

use super::container::PartialError;
use crate::schema::{CarriedRow, Taken, TextList};
use crate::table::{AnalyzeReport, TotalsRow, own_tables};

/// The columns of some rows.
fn table<R: CarriedRow>(key: &str, rows: &[R], texts: &mut TextList) -> proto::Table {
    let shapes = R::shapes();
    let mut numbers = vec![Vec::new(); shapes.len()];
    rows.iter().for_each(|row| row.give_columns(&mut numbers, texts));
    let column = |((key, shape), numbers): ((&str, String), Vec<i64>)| proto::Column {
        key: key.to_owned(),
        shape,
        numbers,
    };
    proto::Table {
        key: key.to_owned(),
        n_rows: rows.len() as u64,
        columns: shapes.into_iter().zip(numbers).map(column).collect(),
    }
}

/// The tables of one input that are read.
pub(super) struct Tables<'a> {
    pub(super) tables: &'a [proto::Table],
    pub(super) texts: &'a [String],
    /// Number of the input here.
    pub(super) input: usize,
    /// Version of the program that wrote them.
    pub(super) program: &'a str,
}

impl Tables<'_> {
    /// The rows of a table.
    fn rows<R: CarriedRow>(&self, key: &str) -> Result<Vec<R>, PartialError> {
        let other = || PartialError::OtherTables {
            program: self.program.to_owned(),
            table: key.to_owned(),
        };
        let table = self.tables.iter().find(|table| table.key == key).ok_or_else(other)?;
        let columns = table.columns.iter().map(|column| (column.key.as_str(), &column.shape));
        let shapes = R::shapes();
        if !columns.eq(shapes.iter().map(|(key, shape)| (*key, shape))) {
            return Err(other());
        }
        let mut from: Vec<Taken<'_>> = Vec::with_capacity(shapes.len());
        for column in &table.columns {
            from.push(Taken::new(&column.numbers, self.texts, self.input));
        }
        let damaged = PartialError::Damaged("a table does not hold its rows");
        let mut rows = Vec::new();
        for _ in 0..table.n_rows {
            rows.push(R::take_columns(&mut from).ok_or_else(|| damaged.clone())?);
        }
        if from.iter().all(Taken::is_done) { Ok(rows) } else { Err(damaged) }
    }

    /// The totals.
    pub(super) fn totals(&self) -> Result<TotalsRow, PartialError> {
        let rows = self.rows(TOTALS)?;
        rows.into_iter().next().ok_or(PartialError::Damaged("it has no totals"))
    }

    /// Rows that are summed over inputs.
    pub(super) fn summed<R: CarriedRow>(&self, key: &str) -> Result<Vec<R>, PartialError> {
        self.rows(key)
    }
}

/// Key of the totals.
const TOTALS: &str = "totals";

/// The tables of a report that are of one input alone, each under its key.
macro_rules! carried_tables {
    ($($field:ident)+) => {
        /// The rows that are of an input alone.
        pub(super) fn own_tables(rows: &AnalyzeReport, texts: &mut TextList) -> Vec<proto::Table> {
            vec![$(table(stringify!($field), &rows.$field, texts),)+]
        }

        impl Tables<'_> {
            /// The same, read.
            pub(super) fn own(&self) -> Result<AnalyzeReport, PartialError> {
                Ok(AnalyzeReport {
                    $($field: self.rows(stringify!($field))?,)+
                    ..AnalyzeReport::default()
                })
            }
        }
    };
}

own_tables!(carried_tables);

/// The table of rows that are summed over inputs.
pub(super) fn summed_table<R: CarriedRow>(
    key: &str,
    rows: &[R],
    texts: &mut TextList,
) -> proto::Table {
    table(key, rows, texts)
}

/// The table of the totals.
pub(super) fn totals_table(totals: &TotalsRow, texts: &mut TextList) -> proto::Table {
    table(TOTALS, std::slice::from_ref(totals), texts)
}
