//! Enums of words as values of columns.

use crate::diag::{IssueKind, Severity};
use crate::model::EventKind;
use crate::model::log::{Gravity, LineKind, Meaning, ProfilerStep, StartupStep};

/// Makes enums with a list of `ALL` and a word for each (`as_str`) values of columns and of the machine output.
macro_rules! words_of {
    ($($name:ident)+) => {$(
        impl $name {
            /// The one of a word.
            pub fn from_name(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.as_str() == word)
            }
        }

        impl $crate::schema::Value for $name {
            const KIND: $crate::schema::Kind = $crate::schema::Kind::Word({
                const WORDS: [&str; $name::ALL.len()] = {
                    let mut words = [""; $name::ALL.len()];
                    let mut at = 0;
                    while at < words.len() {
                        words[at] = $name::ALL[at].as_str();
                        at += 1;
                    }
                    words
                };
                &WORDS
            });

            fn put(&self, to: &mut $crate::schema::Values) {
                if let $crate::schema::Values::Word(values, _) = to {
                    let at = $name::ALL.iter().position(|one| one == self);
                    values.push(at.and_then(|at| u8::try_from(at).ok()));
                }
            }
        }

        impl $crate::schema::Carry for $name {
            fn shape(to: &mut String) {
                *to += "word";
            }

            fn give(&self, to: &mut Vec<i64>, texts: &mut $crate::schema::TextList) {
                to.push(texts.place(self.as_str()));
            }

            fn take(from: &mut $crate::schema::Taken<'_>) -> Option<Self> {
                Self::from_name(&<String as $crate::schema::Carry>::take(from)?)
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )+};
}

pub(crate) use words_of;

words_of!(EventKind Gravity IssueKind LineKind Meaning ProfilerStep Severity StartupStep);
