//! Inputs that were read, with what was asked of them.

use std::ffi::OsString;
use std::sync::Arc;

use omni_trace::cli::{Asked, Told};
use omni_trace::read::Progress;
use omni_trace::{Of, TableInfo, tables};
use pyo3::prelude::*;

use crate::errors::{exception, raised};
use crate::table::{Content, Table};
use crate::work::watched;

/// Traces or logs, read, and the options that were given.
#[pyclass(frozen, module = "omni_trace._native")]
pub(crate) struct Run {
    asked: Arc<Asked>,
}

impl Run {
    pub(crate) fn read(
        py: Python<'_>,
        words: Vec<OsString>,
        show: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let progress = Arc::new(Progress::default());
        let counted = Arc::clone(&progress);
        let asked = watched(py, &progress, show.as_ref(), move || Asked::read(words, counted))?;
        match asked {
            Ok(asked) => Ok(Self { asked: Arc::new(asked) }),
            Err(told) => Err(exception(py, told)),
        }
    }

    /// Does something with the inputs, as long as it takes.
    fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Asked) -> Result<T, Told> + Send + 'static,
    ) -> PyResult<T> {
        let asked = Arc::clone(&self.asked);
        let answer = watched(py, &Arc::default(), None, move || work(&asked))?;
        answer.map_err(|told| exception(py, told))
    }
}

#[pymethods]
impl Run {
    /// The command that reads such inputs.
    #[getter]
    fn command(&self) -> &'static str {
        self.asked.command()
    }

    /// Names of the tables that the inputs answer.
    fn names(&self) -> Vec<&'static str> {
        let answered = tables().iter().filter(|info| self.asked.answers(info));
        answered.map(|info| info.name.as_str()).collect()
    }

    /// The table of a name; of events nothing is made before it is wanted.
    fn table(&self, py: Python<'_>, name: &str) -> PyResult<Table> {
        let info = self.find(py, name)?;
        if info.of == Of::Events {
            return Ok(Table::of(info, Content::Recorded(Arc::clone(&self.asked))));
        }
        let table = self.ask(py, move |asked| asked.table(info))?;
        Ok(Table::of(info, Content::Made(Arc::new(table))))
    }

    /// The machine output of the command.
    fn json(&self, py: Python<'_>) -> PyResult<String> {
        self.ask(py, Asked::json)
    }
}

impl Run {
    fn find(&self, py: Python<'_>, name: &str) -> PyResult<&'static TableInfo> {
        let is_meant = |info: &&TableInfo| info.name == name && self.asked.answers(info);
        tables().iter().find(is_meant).ok_or_else(|| {
            let what = format!("`{}` answers no table `{name}`", self.asked.command());
            let known = self.names();
            let near = omni_trace::cli::nearest(name, known.iter().copied());
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "tables() lists them".to_owned(),
            };
            raised(py, "NoSuchTable", what, Some(hint))
        })
    }
}
