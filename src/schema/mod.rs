//! What a table is: one definition gives the row that an analysis answers in, and its columns with key, unit, kind and
//! meaning, from which every format follows.
//!
//! A definition ([`tables!`](define)) has one line a field. The row serializes itself as the machine output, in the
//! order of its fields and with the rows that stand inside it; [`Table`] holds the same rows by column, typed also where
//! there are none: CSV and what is to come (SQL, Parquet) read it. Views for people are made from it in `table`.
//! Nothing here formats a number, and nothing here sees an event.

mod carry;
mod cells;
mod define;
mod id;
pub mod near;
mod pointer;
pub mod short;
mod source;
mod table;
mod texts;
mod value;
mod words;
pub mod written;

pub(crate) use carry::carried;
pub use carry::{CarriedRow, Carry, Taken, TextList};
pub use cells::Cells;
pub(crate) use define::{tables, words};
pub use id::IdCell;
pub use pointer::Pointer;
pub(crate) use pointer::pointer;
pub use source::{Columnar, Source};
pub use table::{Row, Table};
pub use texts::{Coded, Lists, Texts};
pub use value::{Value, Values};
pub(crate) use words::words_of;

/// What the numbers of a column count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Words, or a number that is a name; nothing is counted.
    Text,
    /// Words that read as a sentence.
    Prose,
    /// A plain number.
    Count,
    /// Nanoseconds.
    Ns,
    /// Bytes.
    Bytes,
    /// Percent of a whole that the column's meaning names.
    Percent,
    /// A rate or another number with a fraction, in the unit that the column's key names.
    Rate,
}

impl Unit {
    /// The name in the listing of tables; `None` where nothing is counted.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Text | Self::Prose => None,
            Self::Count => Some("count"),
            Self::Ns => Some("ns"),
            Self::Bytes => Some("bytes"),
            Self::Percent => Some("percent"),
            Self::Rate => Some("rate"),
        }
    }
}

/// What is stored, whatever it counts. The definition decides it, not the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number of 64 bits.
    Int,
    /// A number with a fraction.
    Float,
    /// Yes or no.
    Bool,
    /// Words.
    Text,
    /// One word of a closed list.
    Word(&'static [&'static str]),
    /// Several texts.
    List,
    /// Words, names and figures that make a sentence; read as in text.
    Sentence,
    /// Rows of another table, which stand inside in the machine output and are a table of their own elsewhere.
    Rows,
}

impl Kind {
    /// The name in the listing of tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "integer",
            Self::Float => "float",
            Self::Bool => "boolean",
            Self::Text | Self::Sentence => "text",
            Self::Word(_) => "word",
            Self::List => "list",
            Self::Rows => "rows",
        }
    }

    /// The words of a closed list; none for other kinds.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Word(words) => words,
            _ => &[],
        }
    }
}

/// Who sees a column where nothing else is asked for. CSV and the machine output always have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Everyone.
    All,
    /// Text always, the page on request: it goes first where there is no room.
    Room,
    /// Nobody but who asks: text says that it is there, the page shows it on request.
    Request,
    /// Machines only.
    Machines,
}

/// Where a column stands in views for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Before all others.
    First,
    /// Before the others, behind those.
    Lead,
    /// Where it was defined.
    Defined,
    /// Behind the others.
    End,
    /// Behind those.
    Late,
    /// Last in text, where long names cost nothing; first on the page, as what the row is about.
    Subject,
    /// Last, with what room is left.
    Last,
}

/// One column: everything that any format needs to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading for people.
    pub name: &'static str,
    /// Key in CSV and JSON; the unit comes last.
    pub key: &'static str,
    /// What its numbers count.
    pub unit: Unit,
    /// What is stored.
    pub kind: Kind,
    /// Whether a value may be missing.
    pub is_nullable: bool,
    /// Who sees it.
    pub seen: Seen,
    /// Where it stands for people.
    pub place: Place,
    /// Whether values add up over inputs, so that rows which differ by nothing else can be said at once.
    pub is_summed: bool,
    /// What it means, in one sentence.
    pub doc: &'static str,
}

impl Column {
    /// A column that everyone sees, of a kind that goes with its unit; for views that are no table of their own.
    pub const fn new(name: &'static str, key: &'static str, unit: Unit, doc: &'static str) -> Self {
        let kind = match unit {
            Unit::Text | Unit::Prose => Kind::Text,
            Unit::Percent | Unit::Rate => Kind::Float,
            Unit::Count | Unit::Ns | Unit::Bytes => Kind::Int,
        };
        let (seen, place) = (Seen::All, Place::Defined);
        Self { name, key, unit, kind, is_nullable: true, seen, place, is_summed: false, doc }
    }

    /// Whether cells are aligned to the right: everything but words is.
    pub fn is_right_aligned(&self) -> bool {
        !matches!(self.unit, Unit::Text | Unit::Prose)
    }
}

/// When a table is shown where none was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Also without rows: that there are none is news.
    Always,
    /// Where it has rows.
    Rows,
    /// Where it has rows; folded at first on a page.
    Folded,
    /// To who asks for it; folded at first on a page.
    Request,
}

/// What a section of a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Where the time went.
    Breakdown,
    /// Iterations.
    Iterations,
    /// The profiler table.
    Profiler,
    /// Device activity by name.
    Kernels,
    /// How well the devices were used.
    Use,
    /// The critical path.
    Path,
    /// Waits, and who was busy meanwhile.
    Waits,
    /// Copies.
    Copies,
    /// Collectives.
    Collectives,
    /// Stages and requests.
    Stages,
    /// How far the figures can be trusted.
    Trust,
}

/// Where a page shows a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnPage {
    /// The section.
    pub topic: Topic,
    /// Its place among the tables of the section.
    pub place: u8,
}

/// Where the rows of a table stand in the machine output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside {
    /// The table in whose rows they stand; a row leaves out what that row says.
    pub table: &'static str,
    /// The member that holds them.
    pub member: &'static str,
}

impl Spec {
    /// The columns that a [`Table`] has, in the order of CSV: not those that hold rows of another table or sentences.
    pub fn value_columns(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().filter(|column| !matches!(column.kind, Kind::Rows | Kind::Sentence))
    }

    /// Whether a column holds sentences, whose figures are exact in the machine output alone.
    pub fn has_sentences(&self) -> bool {
        self.columns.iter().any(|column| column.kind == Kind::Sentence)
    }
}

/// The definition of a table.
#[derive(Debug, PartialEq, Eq)]
pub struct Spec {
    /// Key, as `--table` takes it.
    pub key: &'static str,
    /// Title for people.
    pub title: &'static str,
    /// The question that it answers.
    pub question: &'static str,
    /// Leading columns that name what a row belongs to.
    pub n_groups: usize,
    /// When it is shown.
    pub shown: Shown,
    /// Where a page shows it; only who asks for it sees others.
    pub page: Option<OnPage>,
    /// Where its rows stand in the machine output, if not in a list of their own.
    pub inside: Option<Inside>,
    /// The columns, in the order of the machine output; of those of [`Kind::Rows`] each is a table of its own.
    pub columns: &'static [Column],
}
