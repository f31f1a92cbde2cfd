//! A table, for Python.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_schema::ArrowError;
use arrow_schema::ffi::FFI_ArrowSchema;
use omni_trace::cli::Asked;
use omni_trace::{TableInfo, Values};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList};

use crate::arrow::{Batches, schema_of};
use crate::values;

/// Where the values come from.
#[derive(Clone)]
pub(crate) enum Content {
    /// They are there.
    Made(Arc<omni_trace::Table>),
    /// They are made when they are wanted, column by column, of what was read.
    Recorded(Arc<Asked>),
}

impl Content {
    pub(crate) fn n_rows(&self, info: &'static TableInfo) -> usize {
        match self {
            Self::Made(table) => table.n_rows,
            Self::Recorded(asked) => asked.recorded(info).map_or(0, |source| source.n_rows),
        }
    }

    /// Stretches of rows that are made together.
    pub(crate) fn parts(&self, info: &'static TableInfo) -> Vec<Range<usize>> {
        match self {
            Self::Made(table) => std::iter::once(0..table.n_rows).collect(),
            Self::Recorded(asked) => {
                asked.recorded(info).map_or_else(Vec::new, |source| source.parts())
            }
        }
    }

    /// Some rows of a column, and where they begin in what is given.
    pub(crate) fn column(
        &self,
        info: &'static TableInfo,
        key: &str,
        rows: Range<usize>,
    ) -> Option<(Values, usize)> {
        match self {
            Self::Made(table) => {
                let (_, values) = table.columns().find(|(column, _)| column.key == key)?;
                Some((values.clone(), rows.start))
            }
            Self::Recorded(asked) => Some((asked.recorded(info)?.column(key, rows)?, 0)),
        }
    }
}

/// Typed columns of equal length.
#[pyclass(frozen, module = "omni_trace._native")]
pub(crate) struct Table {
    info: &'static TableInfo,
    content: Content,
    n_rows: usize,
}

impl Table {
    pub(crate) fn of(info: &'static TableInfo, content: Content) -> Self {
        let n_rows = content.n_rows(info);
        Self { info, content, n_rows }
    }
}

#[pymethods]
impl Table {
    /// The definition.
    #[getter]
    fn info(&self) -> values::TableInfo {
        values::TableInfo::of(self.info)
    }

    /// Sentences that belong under the table.
    #[getter]
    fn notes(&self) -> Vec<String> {
        match &self.content {
            Content::Made(table) => table.notes.clone(),
            Content::Recorded(_) => Vec::new(),
        }
    }

    fn __len__(&self) -> usize {
        self.n_rows
    }

    /// Some values of a column.
    fn column<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        first: usize,
        end: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let end = end.min(self.n_rows);
        let rows = first.min(end)..end;
        let n_rows = rows.len();
        let made = py.detach(|| self.content.column(self.info, key, rows));
        let (values, at) = made.ok_or_else(|| PyKeyError::new_err(key.to_owned()))?;
        values::list(py, &values, at..at + n_rows)
    }

    /// The columns as Arrow has them: types, units, meanings.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(schema_of(self.info).as_ref()).map_err(refused)?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// The rows as Arrow has them, made while they are taken. The schema is that of the table, whatever is requested.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // The protocol leaves it to who gives the data whether to cast it; who takes it casts what is not.
        drop(requested_schema);
        let batches = Batches::of(self.info, self.content.clone());
        let stream = FFI_ArrowArrayStream::new(Box::new(batches));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }
}

fn refused(error: ArrowError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
