//! The Python package `omni_trace`, as far as it is Rust: inputs read and asked, tables as Arrow, the command line.
//!
//! What options mean, what is read and what is answered is the program's own affair ([`omni_trace::cli::Asked`]); here values
//! go over to Python, and nothing is analyzed. Python's lock is free while anything takes long.

mod arrow;
mod errors;
mod run;
mod table;
mod values;
mod work;

/// The Rust half of the package.
#[pyo3::pymodule]
mod _native {
    use std::ffi::OsString;

    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::run::Run;
    #[pymodule_export]
    use crate::table::Table;

    /// Reads what the words of a command name; `show` is told of progress.
    #[pyfunction]
    #[pyo3(signature = (words, show=None))]
    fn read(py: Python<'_>, words: Vec<OsString>, show: Option<Py<PyAny>>) -> PyResult<Run> {
        Run::read(py, words, show)
    }

    /// Runs the program with the words of its command line, its own name first. Gives the exit code.
    #[pyfunction]
    fn run_line(py: Python<'_>, words: Vec<OsString>) -> u8 {
        py.detach(|| omni_trace::cli::run_line(words))
    }

    /// Every table there is, as (name, key, question's name, title, question, columns).
    #[pyfunction]
    fn schema() -> Vec<crate::values::TableInfo> {
        omni_trace::tables().iter().map(crate::values::TableInfo::of).collect()
    }

    /// The version of the program.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
