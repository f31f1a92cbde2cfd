//! Enums whose variants have a word each.

/// Defines enums whose variants have a word each: the enum, the list of all in the order of every output, and the words.
macro_rules! named {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)+ }
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them, in the order of every output.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant,)+];

            /// The word in every output.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    )+};
}

pub(crate) use named;
