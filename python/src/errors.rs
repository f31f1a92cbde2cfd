//! Errors of the program as exceptions of the package.

use omni_trace::cli::{Told, Trouble};
use pyo3::prelude::*;

/// The exception that says what was told.
pub(crate) fn exception(py: Python<'_>, told: Told) -> PyErr {
    let class = match told.trouble {
        Trouble::Usage => "UsageError",
        Trouble::Input => "ReadError",
        Trouble::Lost => "DataLost",
        Trouble::Other => "Error",
    };
    raised(py, class, told.what, told.hint)
}

/// An exception of the package's, by the name of its class.
pub(crate) fn raised(py: Python<'_>, class: &str, what: String, hint: Option<String>) -> PyErr {
    let made = py
        .import("omni_trace._errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1((what, hint)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}
