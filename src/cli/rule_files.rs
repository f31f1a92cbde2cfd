//! Files with rules that a user puts before the built-in ones: what is a wait, which kernels communicate.

use std::path::Path;

use super::run::Hinted;
use crate::analyze::comm_rules::{CommRules, DEFAULT_COMM_RULES};
use crate::analyze::roofline::{DEFAULT_OP_MODELS, OpModels};
use crate::analyze::wait_rules::{DEFAULT_RULES, RuleError, WaitRules};
use crate::files;

/// Rules that a file can extend.
pub(super) struct RuleFile<R> {
    /// What the rules are called.
    name: &'static str,
    /// The option that prints them.
    printing: &'static str,
    /// Text of the built-in ones.
    default: &'static str,
    parse: fn(&str) -> Result<R, RuleError>,
}

/// Rules of what is a wait.
pub(super) const WAIT_RULES: RuleFile<WaitRules> = RuleFile {
    name: "wait rules",
    printing: "--print-wait-rules",
    default: DEFAULT_RULES,
    parse: WaitRules::with_defaults,
};

/// Rules of which kernels communicate or copy.
pub(super) const COMM_RULES: RuleFile<CommRules> = RuleFile {
    name: "communication rules",
    printing: "--print-comm-rules",
    default: DEFAULT_COMM_RULES,
    parse: CommRules::with_defaults,
};

/// Models of what operators compute and move.
pub(super) const OP_MODELS: RuleFile<OpModels> = RuleFile {
    name: "operator models",
    printing: "--print-op-models",
    default: DEFAULT_OP_MODELS,
    parse: OpModels::with_defaults,
};

impl<R> RuleFile<R> {
    /// Their text, and the rules: those of a file first, then the built-in ones.
    pub(super) fn of(&self, path: Option<&Path>) -> anyhow::Result<(String, R)> {
        files::protect(path);
        let own = path.map(std::fs::read_to_string).transpose();
        let named = path.map(|path| path.display().to_string()).unwrap_or_default();
        let own = own.map_err(|error| Hinted {
            what: format!("cannot read the {} {named}: {error}", self.name),
            hint: "give a text file with one rule a line".to_owned(),
        })?;
        let own = own.unwrap_or_default();
        let rules = (self.parse)(&own).map_err(|error| Hinted {
            what: format!("{named}, line {}: {}", error.line, error.what),
            hint: format!(
                "`omni-trace analyze {}` shows the form and the built-in rules",
                self.printing
            ),
        })?;
        let end = if own.is_empty() || own.ends_with('\n') { "" } else { "\n" };
        Ok((format!("{own}{end}{}", self.default), rules))
    }
}
