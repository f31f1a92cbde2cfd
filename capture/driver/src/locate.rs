//! Finds `omni-trace-capture` and the libtorch that it needs, or says how to get them.
//!
//! Looks at files and variables only; the caller runs the program.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Names the program directly.
pub const PROGRAM_VAR: &str = "OMNI_TRACE_CAPTURE";
/// Names the folder of libtorch: the one that holds `lib/`.
pub const LIBTORCH_VAR: &str = "OMNI_TRACE_LIBTORCH";
/// The program's name.
pub const PROGRAM: &str = "omni-trace-capture";
/// The libtorch that it is built against.
pub const LIBTORCH_VERSION: &str = "2.11.0";

/// The program and the search path for its libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The program.
    pub program: PathBuf,
    /// The value for `LD_LIBRARY_PATH`; `None` leaves it as it is.
    pub library_path: Option<OsString>,
}

/// What is missing, and the one command that brings it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The program is nowhere.
    #[error(
        "running pipelines needs the program {PROGRAM}, which is not beside this one, not on PATH and not named by {PROGRAM_VAR}\nbuild it in a checkout of omni-trace: capture/install-libtorch.sh && LIBTORCH={0}/torch cargo build --release -p {PROGRAM}"
    )]
    Program(String),
    /// The variable names something that is no file.
    #[error("{PROGRAM_VAR}={0}: no such file")]
    Named(String),
    /// libtorch is nowhere.
    #[error(
        "{PROGRAM} needs libtorch {LIBTORCH_VERSION}, which is not in {0} and not named by {LIBTORCH_VAR}\nrun capture/install-libtorch.sh, or with PyTorch {LIBTORCH_VERSION} at hand: export {LIBTORCH_VAR}=$(python3 -c 'import torch; print(torch.__path__[0])')"
    )]
    Libtorch(String),
    /// libtorch is there and does not fit the program.
    #[error(
        "{0} did not start: the line above is the loader's. It needs libtorch {LIBTORCH_VERSION} exactly, whole; what was found is of \
         another version or damaged\nrun capture/install-libtorch.sh, and unset {LIBTORCH_VAR} and LD_LIBRARY_PATH, which are looked at first"
    )]
    Unfit(String),
}

/// Where `install-libtorch.sh` puts libtorch.
pub fn default_libtorch() -> PathBuf {
    let cache = match env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache"),
    };
    cache.join("omni-trace").join(format!("libtorch-{LIBTORCH_VERSION}"))
}

/// A program on `PATH`, or the path itself when it has a slash.
pub fn on_path(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Finds both. `var` reads the environment.
pub fn locate(var: impl Fn(&str) -> Option<OsString>) -> Result<Located, Missing> {
    let install = default_libtorch();
    let beside = env::current_exe().ok().map(|exe| exe.with_file_name(PROGRAM));
    let program = match var(PROGRAM_VAR) {
        Some(named) => {
            let path = PathBuf::from(&named);
            if !path.is_file() {
                return Err(Missing::Named(named.to_string_lossy().into_owned()));
            }
            path
        }
        None => beside
            .filter(|path| path.is_file())
            .or_else(|| on_path(PROGRAM))
            .ok_or_else(|| Missing::Program(install.display().to_string()))?,
    };
    let given = var("LD_LIBRARY_PATH");
    if given.as_deref().is_some_and(|path| env::split_paths(path).any(|dir| has_libtorch(&dir))) {
        return Ok(Located { program, library_path: None });
    }
    let lib = match var(LIBTORCH_VAR) {
        Some(root) => PathBuf::from(root).join("lib"),
        None => install.join("torch/lib"),
    };
    if !has_libtorch(&lib) {
        let wanted = lib.parent().unwrap_or(&lib).display().to_string();
        return Err(Missing::Libtorch(wanted));
    }
    Ok(Located { program, library_path: Some(prepend(&lib, given.as_deref())) })
}

fn has_libtorch(dir: &Path) -> bool {
    dir.join("libtorch_cpu.so").is_file()
}

fn prepend(dir: &Path, rest: Option<&OsStr>) -> OsString {
    let mut path = dir.as_os_str().to_owned();
    if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
        path.push(":");
        path.push(rest);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_named_and_says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("prog");
        std::fs::write(&program, "").unwrap();
        let root = dir.path().join("torch");
        let with = |name: &str| match name {
            PROGRAM_VAR => Some(program.clone().into_os_string()),
            LIBTORCH_VAR => Some(root.clone().into_os_string()),
            "LD_LIBRARY_PATH" => Some("/x".into()),
            _ => None,
        };
        let missing = locate(with).unwrap_err();
        assert!(matches!(&missing, Missing::Libtorch(_)));
        assert!(missing.to_string().contains("install-libtorch.sh"));
        std::fs::create_dir_all(root.join("lib")).unwrap();
        std::fs::write(root.join("lib/libtorch_cpu.so"), "").unwrap();
        let located = locate(with).unwrap();
        assert_eq!(located.program, program);
        let expected = format!("{}/lib:/x", root.display());
        assert_eq!(located.library_path, Some(expected.into()));
        let wrong = locate(|name| (name == PROGRAM_VAR).then(|| "/no/such".into()));
        assert_eq!(wrong, Err(Missing::Named("/no/such".into())));
    }
}
