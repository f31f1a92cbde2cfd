//! No output ever replaces an input, and no two outputs have one name.
//!
//! Commands say what they read ([`protect`](crate::files::protect)) and, as soon as they know it, what they will write
//! ([`claim`]), so that a clash ends them before anything is read. Every file that is then created is held against the same
//! list once more.

use std::path::{Path, PathBuf};

use super::args::FigureArgs;
use super::run::Hinted;
use crate::files::input_at;
use crate::read::FileId;

/// A file that a command will write, with the option that says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output<'a> {
    /// The option, for example `--html`.
    pub(super) option: &'static str,
    /// The path; `-` for standard output.
    pub(super) path: &'a Path,
}

impl<'a> Output<'a> {
    /// The output of an option that was given.
    pub(super) fn of(option: &'static str, path: Option<&'a Path>) -> Option<Self> {
        path.map(|path| Self { option, path })
    }

    /// What is written to: standard output where it goes to a file, by its name.
    fn file(&self) -> &Path {
        if self.path == Path::new("-") { Path::new("/dev/stdout") } else { self.path }
    }

    /// The file without links and dots, whether or not it is there already.
    fn resolved(&self) -> PathBuf {
        let file = self.file();
        file.canonicalize().unwrap_or_else(|_| {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize();
            match (folder, file.file_name()) {
                (Ok(folder), Some(name)) => folder.join(name),
                _ => file.to_owned(),
            }
        })
    }
}

/// Checks what a command will write, standard output included, against what it reads, and against itself. Devices, pipes and
/// folders clash with nothing.
///
/// # Errors
///
/// An output that is an input, or two outputs that are one file.
pub(super) fn claim<'a>(
    outputs: impl IntoIterator<Item = Option<Output<'a>>>,
) -> anyhow::Result<()> {
    let mut claimed: Vec<(PathBuf, &str)> = Vec::new();
    let standard = Output { option: "standard output", path: Path::new("-") };
    let named = outputs.into_iter().flatten().filter(|output| output.path != standard.path);
    for output in std::iter::once(standard).chain(named) {
        if let Some(input) = input_at(output.file()) {
            return Err(clash(output, &format!("the input {}", input.display())));
        }
        let is_special = output.file().exists() && FileId::of(output.file()).is_none();
        let resolved = output.resolved();
        if let Some((_, option)) = claimed.iter().find(|(other, _)| *other == resolved) {
            return Err(clash(output, &format!("the file of {option}")));
        }
        if !is_special {
            claimed.push((resolved, output.option));
        }
    }
    Ok(())
}

/// As [`claim`], for the outputs that most commands can have.
///
/// # Errors
///
/// As [`claim`].
pub(super) fn claim_results(
    output: Option<&Path>,
    html: Option<&Path>,
    figures: &FigureArgs,
) -> anyhow::Result<()> {
    claim([
        Output::of("-o", output),
        Output::of("--html", html),
        Output::of("--png", figures.png.as_deref()),
    ])
}

fn clash(output: Output<'_>, other: &str) -> anyhow::Error {
    let what = match output.path {
        path if path == Path::new("-") => format!("{} is {other}", output.option),
        path => format!("{} {} is {other}", output.option, path.display()),
    };
    Hinted { what, hint: "give the output another name; nothing was written".to_owned() }.into()
}
