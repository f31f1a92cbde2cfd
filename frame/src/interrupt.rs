//! Ctrl-C at the prompt: the first ends the statement that runs, the second the program.
//!
//! polars looks at a flag of its own inside its loops and unwinds from there, the way by which its Python package is
//! interrupted; where it does not look for long, or traces are being read, the second Ctrl-C helps. Outside of the prompt nothing
//! of this is set up, and an interruption ends the program.

use std::io::{self, Write};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use polars::error::abort::{QueryAborted, catch_polars_abort, register_polars_abort_mechanism};
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use crate::trouble::Trouble;

/// The exit code of a program that Ctrl-C ended, as shells give it.
const INTERRUPTED: i32 = 128 + SIGINT;

/// Whether Ctrl-C was pressed since the last statement was typed.
#[derive(Clone)]
pub(crate) struct Interrupts(Arc<AtomicBool>);

impl Interrupts {
    /// Watches Ctrl-C from now on.
    ///
    /// # Errors
    ///
    /// Signals that cannot be watched.
    pub(crate) fn watch() -> io::Result<Self> {
        let pressed = Arc::new(AtomicBool::new(false));
        // In this order: the first press finds the flag down, and raises it.
        flag::register_conditional_shutdown(SIGINT, INTERRUPTED, Arc::clone(&pressed))?;
        flag::register(SIGINT, Arc::clone(&pressed))?;
        register_polars_abort_mechanism();
        Ok(Self(pressed))
    }

    /// What is pressed from now on is meant for the next statement.
    pub(crate) fn forget(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    fn is_pressed(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Does what may take long, until Ctrl-C.
    ///
    /// What it leaves half done when polars unwinds must not matter.
    ///
    /// # Errors
    ///
    /// What it gives, or that it was interrupted.
    pub(crate) fn until<T>(&self, work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
        // What was pressed before polars catches it is in the flag alone.
        let work = || if self.is_pressed() { Err(interrupted()) } else { work() };
        match catch_polars_abort(AssertUnwindSafe(work)) {
            Ok(_) | Err(QueryAborted::KeyboardInterrupt) if self.is_pressed() => Err(interrupted()),
            Ok(result) => result,
            Err(QueryAborted::KeyboardInterrupt) => Err(interrupted()),
            Err(QueryAborted::OocOutOfDisk) => Err(Trouble::plain("the disk is full")),
        }
    }
}

fn interrupted() -> Trouble {
    Trouble::plain("interrupted; a second Ctrl-C during a statement ends the program")
}

/// A writer that ends with an error after Ctrl-C.
pub(crate) struct Until<'a, W> {
    /// Where it writes to.
    pub(crate) out: W,
    /// What ends it.
    pub(crate) interrupts: &'a Interrupts,
}

impl<W: Write> Write for Until<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.interrupts.is_pressed() {
            // Not of the kind that is tried again.
            return Err(io::Error::other("interrupted"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
