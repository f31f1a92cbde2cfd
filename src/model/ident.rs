//! Who wrote a trace: stage, rank, worker.

/// What wrote a trace file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A worker that runs the model.
    #[default]
    Worker,
    /// A front end (`*.async_llm.*`): schedules and talks to clients, runs no kernels.
    FrontEnd,
}

/// Ranks along the dimensions of parallelism, as far as a name tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parallel {
    /// Tensor parallel.
    pub tp: Option<u32>,
    /// Data parallel.
    pub dp: Option<u32>,
    /// Pipeline parallel.
    pub pp: Option<u32>,
    /// Expert parallel.
    pub ep: Option<u32>,
}

impl Parallel {
    /// `TP 0 DP 1`; empty where nothing is known.
    pub fn label(&self) -> String {
        let parts = [("TP", self.tp), ("DP", self.dp), ("PP", self.pp), ("EP", self.ep)];
        let known = parts.iter().filter_map(|(name, rank)| Some(format!("{name} {}", (*rank)?)));
        known.collect::<Vec<_>>().join(" ")
    }
}

/// The identity of one input file, as far as its name and its metadata tell. Unknown parts are `None`, never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Stage index of a multi-stage pipeline.
    pub stage: Option<u32>,
    /// Name or kind of the stage (`llm`, `diffusion`, `thinker`, …).
    pub stage_name: Option<String>,
    /// Replica of the stage.
    pub replica: Option<u32>,
    /// Global rank, from `distributedInfo.rank` where there is one, else from the file name.
    pub rank: Option<u32>,
    /// Rank on its host, where the name tells it apart from the global rank.
    pub local_rank: Option<u32>,
    /// Ranks in the process group, from `distributedInfo.world_size`.
    pub world_size: Option<u32>,
    /// Ranks along the dimensions of parallelism.
    pub parallel: Parallel,
    /// Name of the worker or instance in the file name.
    pub worker: Option<String>,
    /// Worker or front end.
    pub role: Role,
}

impl Identity {
    /// The global rank; where none is known, the local one.
    pub fn any_rank(&self) -> Option<u32> {
        self.rank.or(self.local_rank)
    }

    /// A short label for tables: `stage 1 llm rank 0`, `rank 3`, `TP 0 DP 1` where only these are known, `front end`;
    /// empty when nothing is known.
    pub fn label(&self) -> String {
        let mut parts = Vec::new();
        if let Some(stage) = self.stage {
            parts.push(format!("stage {stage}"));
        }
        if let Some(name) = &self.stage_name {
            parts.push(name.clone());
        }
        if let Some(replica) = self.replica {
            parts.push(format!("replica {replica}"));
        }
        if let Some(rank) = self.any_rank() {
            parts.push(format!("rank {rank}"));
        } else if self.parallel != Parallel::default() {
            parts.push(self.parallel.label());
        }
        if self.role == Role::FrontEnd {
            parts.push("front end".to_owned());
        }
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, Role};

    #[test]
    fn labels_name_what_is_known() {
        let id = Identity {
            stage: Some(1),
            stage_name: Some("llm".into()),
            rank: Some(0),
            ..Identity::default()
        };
        assert_eq!(id.label(), "stage 1 llm rank 0");
        assert_eq!(Identity { role: Role::FrontEnd, ..Identity::default() }.label(), "front end");
        assert_eq!(Identity::default().label(), "");
    }
}
