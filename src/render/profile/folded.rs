//! Folded stacks, as `flamegraph.pl` defined them: a line a stack, frames from the outside in with `;` between them, a space,
//! and a whole number, here nanoseconds.

use std::fmt::Write as _;

use crate::schema::written::visible;
use crate::table::profile::Profile;

/// A profile as folded stacks, the lines sorted.
pub fn folded(profile: &Profile) -> String {
    let frames: Vec<String> = profile.frames.iter().map(|name| frame(name)).collect();
    let mut lines: Vec<String> =
        profile.samples.iter().map(|(stack, ns)| line(&frames, stack, *ns)).collect();
    lines.sort_unstable();
    lines.concat()
}

fn line(frames: &[String], stack: &[u32], ns: i64) -> String {
    let mut line = String::new();
    for (i, &at) in stack.iter().enumerate() {
        line.push_str(if i > 0 { ";" } else { "" });
        line.push_str(&frames[at as usize]);
    }
    let _ = writeln!(line, " {ns}");
    line
}

/// A name that ends no frame and no line.
fn frame(name: &str) -> String {
    let name = visible(name).replace(';', ",");
    if name.is_empty() { "(no name)".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::folded;
    use crate::table::profile::Profile;

    #[test]
    fn names_end_no_frame_and_no_line() {
        let frames = ["b", "f(int; char)", "x\ny", ""].map(str::to_owned).to_vec();
        let samples = vec![(vec![0, 1], 5), (vec![0], 2), (vec![0, 2, 3], 1)];
        let profile = Profile { key: "host", title: "host", frames, samples };
        assert_eq!(folded(&profile), "b 2\nb;f(int, char) 5\nb;x\\ny;(no name) 1\n");
    }
}
