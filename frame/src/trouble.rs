//! What went wrong, and what to do about it.

/// An error with a hint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what}")]
pub struct Trouble {
    /// What failed.
    pub what: String,
    /// What to do; `None` where nobody knows.
    pub hint: Option<String>,
}

impl Trouble {
    /// An error, and what to do.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: Some(hint.into()) }
    }

    /// An error that speaks for itself.
    pub fn plain(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }
}
