//! Stacks with their time, as viewers of profiles take them: plain data, one profile a question.

use std::collections::BTreeMap;

use crate::analyze::stacks::{FrameKind, StackNode, Stacks};

/// Stacks and how long each was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its name in file names.
    pub key: &'static str,
    /// What its time is, for people.
    pub title: &'static str,
    /// Names of frames.
    pub frames: Vec<String>,
    /// Stacks as numbers of frames, outermost first, each once, with their time.
    pub samples: Vec<(Vec<u32>, i64)>,
}

impl Profile {
    /// Time of all stacks.
    pub fn total_ns(&self) -> i64 {
        self.samples.iter().map(|(_, ns)| ns).sum()
    }
}

/// A way to look at stacks.
struct View {
    key: &'static str,
    title: &'static str,
    ns: fn(&StackNode) -> i64,
    /// Whether frames of a kind are shown.
    shows: fn(FrameKind) -> bool,
}

const VIEWS: [View; 4] = [
    View { key: "host", title: "host self time", ns: |node| node.host_ns, shows: |_| true },
    View { key: "waiting", title: "waiting", ns: |node| node.waiting_ns, shows: |_| true },
    View {
        key: "device_by_python",
        title: "device time by Python stack",
        ns: |node| node.device_ns,
        shows: |kind| kind != FrameKind::Native,
    },
    View {
        key: "device_by_module",
        title: "device time by module",
        ns: |node| node.device_ns,
        shows: |kind| matches!(kind, FrameKind::Module | FrameKind::Device),
    },
];

/// The profiles of some stacks; those without any time are left out.
pub fn profiles(stacks: &Stacks) -> Vec<Profile> {
    VIEWS.iter().map(|view| view.of(stacks)).filter(|profile| !profile.samples.is_empty()).collect()
}

impl View {
    fn of(&self, stacks: &Stacks) -> Profile {
        let mut samples: BTreeMap<Vec<u32>, i64> = BTreeMap::new();
        for node in &stacks.nodes {
            let ns = (self.ns)(node);
            if ns > 0 {
                *samples.entry(self.path(stacks, node)).or_default() += ns;
            }
        }
        // Numbers of frames that are used, in the order of their first use.
        let mut numbers = vec![None; stacks.names.len()];
        let mut frames = Vec::new();
        let mut number = |name: u32| {
            *numbers[name as usize].get_or_insert_with(|| {
                frames.push(stacks.names[name as usize].clone());
                (frames.len() - 1) as u32
            })
        };
        let samples: Vec<(Vec<u32>, i64)> = samples
            .into_iter()
            .map(|(path, ns)| (path.into_iter().map(&mut number).collect(), ns))
            .collect();
        Profile { key: self.key, title: self.title, frames, samples }
    }

    /// The names of the frames of a stack that are shown, outermost first.
    fn path(&self, stacks: &Stacks, node: &StackNode) -> Vec<u32> {
        let mut path = Vec::new();
        let mut at = Some(node);
        while let Some(node) = at {
            if (self.shows)(node.kind) {
                path.push(node.name);
            }
            at = node.parent.map(|parent| &stacks.nodes[parent as usize]);
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::profiles;
    use crate::analyze::stacks::{FrameKind, StackNode, Stacks};

    #[test]
    fn what_is_not_shown_is_not_in_between() {
        let names =
            ["thread", "nn.Module: A", "f.py", "aten::mm", "gemm"].map(str::to_owned).to_vec();
        let kinds = [
            FrameKind::Thread,
            FrameKind::Module,
            FrameKind::Python,
            FrameKind::Native,
            FrameKind::Device,
        ];
        let node = |at: usize| StackNode {
            parent: at.checked_sub(1).map(|parent| parent as u32),
            name: at as u32,
            kind: kinds[at],
            host_ns: [0, 1, 2, 4, 0][at],
            waiting_ns: [0, 0, 2, 0, 0][at],
            device_ns: [0, 0, 0, 0, 9][at],
        };
        let stacks = Stacks { names, nodes: (0..5).map(node).collect() };
        let profiles = profiles(&stacks);
        let seen: Vec<(&str, i64, Vec<String>)> = profiles
            .iter()
            .map(|profile| {
                let (path, _) = profile.samples.last().unwrap();
                (
                    profile.key,
                    profile.total_ns(),
                    path.iter().map(|&frame| profile.frames[frame as usize].clone()).collect(),
                )
            })
            .collect();
        let path = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            seen,
            [
                ("host", 7, path(&["thread", "nn.Module: A", "f.py", "aten::mm"])),
                ("waiting", 2, path(&["thread", "nn.Module: A", "f.py"])),
                ("device_by_python", 9, path(&["thread", "nn.Module: A", "f.py", "gemm"])),
                ("device_by_module", 9, path(&["nn.Module: A", "gemm"])),
            ]
        );
    }
}
