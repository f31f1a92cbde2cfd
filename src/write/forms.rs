//! What events that are written alike have in common, as text of the output: found once for each template and name of a block, and put
//! into all its events.

use super::edit::Edit;
use super::json_text::{is_plain, put_inner, put_value};
use crate::read::events::{Alike, IdSpace, RawEvent, id_space};

/// What events of one template have in common.
#[derive(Debug, Default)]
pub(super) struct Form {
    text: Vec<u8>,
    /// End of the first members in the text.
    head: usize,
    /// Of the arguments, in order.
    args: Vec<ArgForm>,
}

/// What an argument is.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArgForm {
    start: usize,
    end: usize,
    /// What its value counts in, where it is an id of the file.
    pub(super) space: Option<IdSpace>,
    /// Whether it goes.
    pub(super) is_dropped: bool,
}

impl Form {
    /// The start of an event up to the value of its name, where it has one.
    pub(super) fn head(&self) -> &[u8] {
        &self.text[..self.head]
    }

    /// The arguments, each with its key in quotes and the colon behind.
    pub(super) fn args(&self) -> impl Iterator<Item = (&[u8], ArgForm)> {
        self.args.iter().map(|arg| (&self.text[arg.start..arg.end], *arg))
    }

    /// Makes it that of an event.
    fn fill(&mut self, event: &RawEvent<'_>, edit: Option<&Edit>, is_repaired: bool) {
        let Self { text, head, args } = self;
        text.clear();
        args.clear();
        text.extend_from_slice(b"{\"ph\":");
        put_value(event.ph, is_repaired, text);
        if !event.cat.is_absent() {
            text.extend_from_slice(b",\"cat\":");
            put_value(event.cat, is_repaired, text);
        }
        if !event.name.is_absent() {
            text.extend_from_slice(b",\"name\":");
        }
        *head = text.len();
        for &(key, _) in &event.args {
            let start = text.len();
            text.push(b'"');
            put_inner(key, is_repaired, text);
            text.extend_from_slice(b"\":");
            let is_dropped = edit.is_some_and(|edit| edit.drops_arg(key));
            args.push(ArgForm { start, end: text.len(), space: id_space(key), is_dropped });
        }
    }
}

/// The forms of the templates of a block.
#[derive(Debug, Default)]
pub(super) struct Forms {
    /// By the number of the template.
    known: Vec<Option<Form>>,
    /// Of an event that is like no other.
    own: Form,
}

impl Forms {
    /// The form of an event.
    #[inline]
    pub(super) fn of(
        &mut self,
        event: &RawEvent<'_>,
        edit: Option<&Edit>,
        is_repaired: bool,
    ) -> &Form {
        let Alike { template: Some(number), .. } = event.alike else {
            self.own.fill(event, edit, is_repaired);
            return &self.own;
        };
        place(&mut self.known, number).get_or_insert_with(|| {
            let mut form = Form::default();
            form.fill(event, edit, is_repaired);
            form
        })
    }
}

/// What is known of the names of a block.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Whether a name is copied as it is, by its number.
    is_plain: Vec<Option<bool>>,
}

impl Names {
    /// Appends the name of an event, where it has one.
    #[inline]
    pub(super) fn put(&mut self, event: &RawEvent<'_>, is_repaired: bool, out: &mut Vec<u8>) {
        let is_plain = match event.alike.name {
            Some(number) => {
                *place(&mut self.is_plain, number).get_or_insert_with(|| is_plain(event.name))
            }
            None => false,
        };
        if is_plain {
            out.extend_from_slice(event.name.0);
        } else if !event.name.is_absent() {
            put_value(event.name, is_repaired, out);
        }
    }
}

/// The place of a number, made where there is none.
#[inline]
fn place<T>(places: &mut Vec<Option<T>>, number: u32) -> &mut Option<T> {
    let number = number as usize;
    if places.len() <= number {
        places.resize_with(number + 1, || None);
    }
    &mut places[number]
}

#[cfg(test)]
mod tests {
    use super::{Forms, Names};
    use crate::read::events::{Alike, RawEvent, RawValue};

    #[test]
    fn what_is_known_of_events_is_what_is_found() {
        let (mut forms, mut names) = (Forms::default(), Names::default());
        let event = |template, name, text: &'static str| RawEvent {
            ph: RawValue(b"\"X\""),
            cat: RawValue(b"\"a\tb\""),
            name: RawValue(text.as_bytes()),
            args: vec![(b"correlation", RawValue(b"7")), (b"k\t", RawValue(b"8"))],
            alike: Alike { template, name },
            ..RawEvent::default()
        };
        let plain = event(None, None, "\"n\"");
        for event in
            [event(Some(3), Some(1), "\"n\""), plain.clone(), event(Some(3), Some(1), "\"n\"")]
        {
            let form = forms.of(&event, None, false);
            assert_eq!(form.head(), b"{\"ph\":\"X\",\"cat\":\"a\\u0009b\",\"name\":");
            let args: Vec<_> = form.args().map(|(key, arg)| (key, arg.space.is_some())).collect();
            assert_eq!(args, [(&b"\"correlation\":"[..], true), (b"\"k\\u0009\":", false)]);
            let mut out = Vec::new();
            names.put(&event, false, &mut out);
            assert_eq!(out, b"\"n\"");
        }
        for _ in 0..2 {
            let mut out = Vec::new();
            names.put(&event(None, Some(0), "\"a\tb\""), false, &mut out);
            assert_eq!(out, b"\"a\\u0009b\"");
        }
    }
}
