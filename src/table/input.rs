//! The inputs.

use crate::schema::{short, tables};

/// Longest name of a file in a sentence.
const MAX_FILE_NAME: usize = 28;

tables! {
    /// One input file.
    #[derive(Default)]
    InputRow: "inputs", "Inputs", "What was read?", groups 0, carried whole {
        path: String, Text, All / Subject, "path", "path as given or found; - for standard input";
        stage: Option<u32>, Count, Machines, "stage", "stage of a multi-stage pipeline";
        rank: Option<u32>, Count, Machines, "rank", "rank";
        world_size: Option<u32>, Count, Machines, "ranks", "ranks in the process group";
        pids: Vec<i64>, Text, Machines, "pids", "ids of the host processes in the file";
        bytes: Option<u64>, Bytes, All, "file", "size of the file as stored; none for standard input";
        json_bytes: u64, Bytes, All, "json", "size of the JSON after decompression";
        events: u64, Count, All / Lead, "events", "events of every phase";
        base_time_ns: Option<i64>, Ns, Machines, "base time", "Unix time of timestamp 0";
        window_ns: Option<i64>, Ns, All, "window", "the profiled interval of the file";
        truncated: bool, Text, Machines, "truncated", "whether the file ends early";
        label: String, Text, All, "who", "stage, rank and role, as far as known";
        trust: String, Text, All, "trust", "complete, or what is missing";
        input: usize, Count, All / First, "#", "number of the input in the other tables";
        run: u32, Count, Machines, "run", "number of the run that it is of, from 0";
        tp_rank: Option<u32>, Count, Machines, "TP", "tensor-parallel rank, as far as the name tells";
        dp_rank: Option<u32>, Count, Machines, "DP", "data-parallel rank";
        pp_rank: Option<u32>, Count, Machines, "PP", "pipeline-parallel rank";
        ep_rank: Option<u32>, Count, Machines, "EP", "expert-parallel rank";
        snapshot: Option<String>, Text, Machines, "snapshot", "path of the snapshot of torch's allocator that was read with it, or alone";
    }
}

impl InputRow {
    /// Number and label; number and file name where neither stage nor rank is known.
    pub(super) fn numbered_name(&self) -> String {
        let name = match self.label.as_str() {
            "" => short::fitting(&[self.file_stem()], MAX_FILE_NAME).swap_remove(0),
            label => label.to_owned(),
        };
        format!("#{} {name}", self.input)
    }

    /// The file's name without what the names of all traces end with.
    pub(super) fn file_stem(&self) -> &str {
        let name = self.path.rsplit(['/', '\\']).next().unwrap_or(&self.path);
        let endings = [".gz", ".zst", ".json", ".pftrace", ".trace", ".pt"];
        let stem =
            endings.iter().fold(name, |name, ending| name.strip_suffix(ending).unwrap_or(name));
        if stem.is_empty() { name } else { stem }
    }

    /// The file's name behind its folder's.
    pub(super) fn folder_and_stem(&self) -> String {
        let folder = self.path.rsplit(['/', '\\']).nth(1);
        folder.map_or(String::new(), |folder| format!("{folder}/")) + self.file_stem()
    }
}
