//! Names that come near a wrong one.

/// Most names that are worth saying.
const MOST: usize = 4;

/// Most characters of a name that are compared: longer ones are no name of ours.
const LONGEST: usize = 80;

/// The names that a wrong one may mean, the nearest first: few letters away, or one holding the other.
pub fn near<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wrong = wrong.to_lowercase();
    if wrong.chars().count() > LONGEST {
        return Vec::new();
    }
    let most = 1 + wrong.chars().count() / 4;
    let mut found: Vec<(usize, &str)> = Vec::new();
    for name in known {
        let distance = distance(&wrong, name);
        let holds = wrong.len() > 2 && (name.contains(&wrong) || wrong.contains(name));
        if distance <= most || holds {
            found.push((distance, name));
        }
    }
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(_, name)| name).take(MOST).collect()
}

/// A hint that names them; `None` where nothing is near.
pub fn hint<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = near(wrong, known);
    (!near.is_empty()).then(|| format!("did you mean {}?", near.join(", ")))
}

/// Letters to change, add, leave out or swap with the next (Damerau and Levenshtein, each place once).
pub fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let changed = above[j] + usize::from(a[i] != b[j]);
            row[j + 1] = changed.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, near};

    #[test]
    fn distances_are_those_of_the_definition() {
        assert_eq!(distance("kernel", "kernels"), 1);
        assert_eq!(distance("kernles", "kernels"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("dur", "dur_ns"), 3);
    }

    #[test]
    fn the_nearest_come_first_and_strangers_not_at_all() {
        let known = ["kernels", "kernel_events", "events", "waits"];
        assert_eq!(near("kernles", known), ["kernels"]);
        assert_eq!(near("Events", known), ["events", "kernel_events"]);
        assert!(near("zzzzzz", known).is_empty());
        assert!(near(&"e".repeat(10_000), known).is_empty());
    }
}
