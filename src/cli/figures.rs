//! `--png`: where figures go, and what is said of those that are empty.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rayon::prelude::*;

use super::args::FigureArgs;
use super::output::Target;
use super::run::{Hinted, say};
use crate::files::write_together;
use crate::render::figure::{PngOptions, png, png_of_all};
use crate::table::figure::Figure;

/// Endings of pictures of other kinds: nobody means a directory by them.
fn is_picture(ending: &std::ffi::OsStr) -> bool {
    let others = ["jpg", "jpeg", "svg", "pdf", "gif", "webp", "html"];
    others.iter().any(|other| ending.eq_ignore_ascii_case(other))
}

/// Where figures go, and in which colours.
#[derive(Debug)]
pub(super) struct FigurePlan {
    place: Place,
    options: PngOptions,
}

/// A file of all figures, or a directory with one each.
#[derive(Debug)]
enum Place {
    File(PathBuf),
    Directory(PathBuf),
}

impl FigurePlan {
    /// The plan of the arguments; `None` where no figure is wanted. What ends in `.png` is a file, unless it is a
    /// directory already.
    ///
    /// # Errors
    ///
    /// A path that can be neither.
    pub(super) fn of(args: &FigureArgs) -> anyhow::Result<Option<Self>> {
        let Some(path) = &args.png else { return Ok(None) };
        let is_named_png = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("png"));
        let place = if is_named_png && !path.is_dir() {
            Place::File(path.clone())
        } else {
            let is_other_file = path.extension().is_some_and(is_picture) && !path.is_dir();
            if is_other_file || path.exists() && !path.is_dir() {
                let what = format!("--png {}: neither a .png file nor a directory", path.display());
                let hint = "name a file that ends in .png, or a directory for one file a figure";
                return Err(Hinted { what, hint: hint.to_owned() }.into());
            }
            Place::Directory(path.clone())
        };
        let theme = args.png_theme;
        Ok(Some(Self { place, options: PngOptions { theme, ..PngOptions::default() } }))
    }

    /// Writes the figures, and says which are empty.
    pub(super) fn write(&self, figures: &[Figure], is_quiet: bool) -> anyhow::Result<()> {
        let (empty, drawn): (Vec<&Figure>, Vec<&Figure>) =
            figures.iter().partition(|figure| figure.empty_because().is_some());
        if !is_quiet {
            for figure in &empty {
                let because = figure.empty_because().unwrap_or_default();
                say(&format!("note: no figure `{}`: {because}", figure.key));
            }
        }
        match &self.place {
            // A file was asked for: where nothing can be drawn it says why.
            Place::File(path) => {
                let shown = if drawn.is_empty() { empty } else { drawn };
                let shown: Vec<Figure> = shown.into_iter().cloned().collect();
                written(path, &png_of_all(&shown, &self.options)?)
            }
            Place::Directory(path) => {
                let files = files(&drawn, &self.options)?;
                write_together(path, &files)
                    .with_context(|| format!("cannot write figures to {}", path.display()))
            }
        }
    }
}

/// Figures as files of a folder, on white; without those that are empty.
pub(super) fn files_of(figures: &[Figure]) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let drawn: Vec<&Figure> =
        figures.iter().filter(|figure| figure.empty_because().is_none()).collect();
    files(&drawn, &PngOptions::default())
}

fn files(drawn: &[&Figure], options: &PngOptions) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let file = |figure: &&Figure| Ok((format!("{}.png", figure.key), png(figure, options)?));
    drawn.par_iter().map(file).collect()
}

fn written(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    Target::File(path.to_owned()).write(bytes)
}
