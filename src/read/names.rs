//! What a trace's path tells about who wrote it: the naming schemes of vLLM, vLLM-Omni, SGLang, ATOM, TensorRT-LLM, Primus,
//! torchtitan, torch and torch_npu.
//!
//! Names are hints: metadata inside the file overrides them (see [`super::Input`]).

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::{Identity, Parallel, Role};

/// The regular expressions of the schemes; compiled once.
struct Patterns {
    stage: Regex,
    stage_rank: Regex,
    rank: Regex,
    worker_rank: Regex,
    rank_dir: Regex,
    coordinate_dir: Regex,
    coordinate: Regex,
    front_end: Regex,
    kineto: Regex,
    by_rank: Regex,
    vllm_worker: Regex,
    ascend_dir: Regex,
    msprof: Regex,
    worker: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let regex = |text: &str| Regex::new(text).expect("the patterns are constant and tested");
    Patterns {
        stage: regex(r"(?:^|_)stage_?(\d+)(?:_rep_(\d+))?(?:_([A-Za-z][A-Za-z0-9]*))?(?:_|$|\.)"),
        stage_rank: regex(r"(?:^|_)stage_?\d+_rank(\d+)(?:_|\.|$)"),
        rank: regex(r"(?:^|[^A-Za-z])rank(?:(\d+)|[-_=](\d+)|\[(\d+)\])(?:[-_.]|$)"),
        worker_rank: regex(r"(?:^|[^A-Za-z])worker[-_]?(\d+)[-_.]|^r(\d+)-\d{4}-"),
        rank_dir: regex(r"^rank[-_=]?(\d+)$"),
        coordinate_dir: regex(r"^(?:(?:pp|dp|tp|ep)\d+_)*tp\d+$"),
        coordinate: regex(r"(?:^|[^A-Za-z0-9])(TP|DP|PP|EP)(?:-(\d+)|(\d{2,}))\b"),
        front_end: regex(r"^(.+)\.async_llm\.\d+\.pt\.trace\.json"),
        kineto: regex(r"\.trace(\..+)?\.json(\.gz|\.zst)?$"),
        by_rank: regex(r"(^|[^A-Za-z])rank[-_=\[]?\d+\]?([-_.].*)?\.json(\.gz|\.zst)?$"),
        vllm_worker: regex(r"(?:^|_)(dp\d+_pp\d+_tp\d+(?:_[a-z]+\d+)*)_rank\d+\."),
        ascend_dir: regex(r"^(.+)_\d+_ascend_pt$"),
        msprof: regex(r"^msprof_\d+\.json(\.gz)?$"),
        worker: regex(r"^(.+?)(?:[-_]rank[-_]?\d+)?\.\d+\.pt\.trace\.json"),
    }
});

/// Whether a file name is one that a profiler gives to a trace.
pub(super) fn is_trace_name(name: &str) -> bool {
    let patterns = &*PATTERNS;
    let is_told =
        [".pftrace", ".pftrace.gz", ".perfetto-trace", ".chrome_trace", ".chrome_trace.gz"]
            .iter()
            .any(|end| name.ends_with(end));
    is_told
        || name == "trace_view.json"
        || patterns.msprof.is_match(name)
        || patterns.kineto.is_match(name)
        || patterns.by_rank.is_match(name)
}

/// Whether a file name could be a trace's, by its extension.
pub(super) fn has_trace_extension(name: &str) -> bool {
    let extensions = [
        ".json",
        ".json.gz",
        ".json.zst",
        ".chrome_trace",
        ".chrome_trace.gz",
        ".pftrace",
        ".pftrace.gz",
        ".perfetto-trace",
    ];
    extensions.iter().any(|extension| name.ends_with(extension))
}

/// The identity that a path tells.
pub(super) fn identity_of(path: &Path) -> Identity {
    let file = name_of(path);
    let dir = path.parent().map(name_of).unwrap_or_default();
    let mut identity = of_file(&file);
    if file.starts_with("trace_rank") || identity.stage.is_none() {
        of_session_dir(&dir, &file, &mut identity);
    }
    if identity.rank.is_none() && identity.parallel == Parallel::default() {
        of_rank_dir(&dir, &mut identity);
    }
    if file == "trace_view.json" {
        of_ascend(path, &mut identity);
    }
    identity
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The number of the last match: of its first group that took part.
fn number(regex: &Regex, text: &str) -> Option<u32> {
    let found = regex.captures_iter(text).last()?;
    found.iter().skip(1).flatten().next()?.as_str().parse().ok()
}

/// The rank that a file's name tells; the rank of a low-rank adapter is none.
fn rank_of(name: &str) -> Option<u32> {
    let plain = name.replace("lora_rank", "lora").replace("lora-rank", "lora");
    number(&PATTERNS.rank, &plain).or_else(|| number(&PATTERNS.worker_rank, name))
}

fn of_file(name: &str) -> Identity {
    let patterns = &*PATTERNS;
    let mut identity = Identity::default();
    if let Some(found) = patterns.front_end.captures(name) {
        identity.role = Role::FrontEnd;
        identity.worker = Some(found[1].to_owned());
        return identity;
    }
    of_stage(name, &mut identity);
    let last = rank_of(name);
    match number(&patterns.stage_rank, name) {
        Some(global) => {
            identity.rank = Some(global);
            identity.local_rank = last;
        }
        None => identity.rank = last,
    }
    identity.worker = patterns
        .vllm_worker
        .captures(name)
        .or_else(|| patterns.worker.captures(name))
        .map(|found| found[1].to_owned());
    identity.parallel = coordinates_of(name);
    identity.rank = identity.rank.or_else(|| rank_of_tensor(identity.parallel));
    identity
}

/// The ranks of `…-TP-0-DP-0-PP-0-EP-0…` and `TP00-DP01` (SGLang), and of `dp0_pp0_tp1_dcp0_ep1` (vLLM). A single `TP16`
/// is taken for a size.
fn coordinates_of(name: &str) -> Parallel {
    let mut parallel = Parallel::default();
    let found: Vec<_> = PATTERNS.coordinate.captures_iter(name).collect();
    let is_told = found.len() > 1 || found.iter().any(|one| one.get(2).is_some());
    for one in found.iter().filter(|_| is_told) {
        let rank = one.get(2).or_else(|| one.get(3)).and_then(|text| text.as_str().parse().ok());
        set_coordinate(&mut parallel, &one[1].to_lowercase(), rank);
    }
    if let Some(worker) = PATTERNS.vllm_worker.captures(name) {
        set_coordinates(&mut parallel, &worker[1]);
    }
    parallel
}

/// Ranks as `dp0_pp0_tp1`.
fn set_coordinates(parallel: &mut Parallel, text: &str) {
    for part in text.split('_') {
        let at = part.find(|c: char| c.is_ascii_digit()).unwrap_or(part.len());
        set_coordinate(parallel, &part[..at], part[at..].parse().ok());
    }
}

fn set_coordinate(parallel: &mut Parallel, dimension: &str, rank: Option<u32>) {
    match dimension {
        "tp" => parallel.tp = rank,
        "dp" => parallel.dp = rank,
        "pp" => parallel.pp = rank,
        "ep" => parallel.ep = rank,
        _ => {}
    }
}

/// The tensor rank, where it is the global one too: in the first data-parallel replica and pipeline stage.
fn rank_of_tensor(parallel: Parallel) -> Option<u32> {
    let is_first = |rank: Option<u32>| rank.unwrap_or(0) == 0;
    parallel.tp.filter(|_| is_first(parallel.dp) && is_first(parallel.pp))
}

fn of_stage(name: &str, identity: &mut Identity) {
    let Some(found) = PATTERNS.stage.captures(name) else { return };
    let part = |i: usize| found.get(i).map(|part| part.as_str());
    identity.stage = part(1).and_then(|text| text.parse().ok());
    identity.replica = part(2).and_then(|text| text.parse().ok());
    identity.stage_name =
        part(3).filter(|kind| !kind.starts_with("rank") && *kind != "rep").map(str::to_owned);
}

/// ATOM: a folder for each rank, `rank_3`, `dp0_tp3` or `pp1_dp0_tp3`.
fn of_rank_dir(dir: &str, identity: &mut Identity) {
    if identity.role == Role::FrontEnd {
        return;
    }
    if PATTERNS.coordinate_dir.is_match(dir) {
        set_coordinates(&mut identity.parallel, dir);
    }
    let rank = number(&PATTERNS.rank_dir, dir);
    identity.rank = rank.or_else(|| rank_of_tensor(identity.parallel));
}

/// vLLM-Omni from 0.20: `<time>_<stage and rank>/trace_rank<local>.json`.
fn of_session_dir(dir: &str, file: &str, identity: &mut Identity) {
    let mut of_dir = Identity::default();
    of_stage(dir, &mut of_dir);
    if of_dir.stage.is_none() {
        return;
    }
    identity.stage = of_dir.stage;
    identity.replica = of_dir.replica;
    identity.stage_name = of_dir.stage_name;
    if file.starts_with("trace_rank")
        && let Some(global) = number(&PATTERNS.stage_rank, dir)
    {
        identity.local_rank = identity.rank;
        identity.rank = Some(global);
    }
}

/// torch_npu: `<worker>_<time>_ascend_pt/ASCEND_PROFILER_OUTPUT/trace_view.json`, the rank in a file beside.
fn of_ascend(path: &Path, identity: &mut Identity) {
    let Some(root) = path.parent().and_then(Path::parent) else { return };
    identity.worker = PATTERNS.ascend_dir.captures(&name_of(root)).map(|found| found[1].to_owned());
    let Ok(entries) = root.read_dir() else { return };
    identity.rank = entries.flatten().find_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.strip_prefix("profiler_info_")?.strip_suffix(".json")?.parse().ok()
    });
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{identity_of, is_trace_name};
    use crate::model::{Identity, Parallel, Role};

    fn label(path: &str) -> (String, Identity) {
        let identity = identity_of(Path::new(path));
        (identity.label(), identity)
    }

    #[test]
    fn every_known_scheme_is_recognized() {
        for name in [
            "1795301995499722604-rank-0.1795302062481657665.pt.trace.json.gz",
            "vm_29563.async_llm.1795303071108960096.pt.trace.json.gz",
            "dp0_pp0_tp1_dcp0_ep1_rank5.1795303071108960096.pt.trace.json",
            "stage0_rank0_1790000000_rank0.json.gz",
            "stage_1_diffusion_1790000000_rank2.json",
            "stage_0_llm_1790000300_rank0.pt.trace.json.gz",
            "trace_rank0.json.gz",
            "trace_view.json",
            "rank-34.Jul_15_10_52_41.1074.pt.trace.v-05cd72fe.json.gz",
            "worker0_step_12.1694128201545.pt.trace.json",
            "msprof_20260606121238.json",
            "matmul.chrome_trace",
            "1700000000.12-TP-0-DP-0-PP-0-EP-0.trace.json.gz",
            "1700000000.12-TP-3-DECODE.trace.json.gz",
            "rank0_trace.json.gz",
            "trace-rank-3.json",
            "trace_rank=6.json",
            "primus-megatron-exp[llama2-70b]-rank[3].1700000000.pt.trace.json.gz",
        ] {
            assert!(is_trace_name(name), "{name}");
        }
        for name in ["stage_0.key_averages.json", "summary.json", "profiler_info_0.json"] {
            assert!(!is_trace_name(name), "{name}");
        }
    }

    #[test]
    fn identities() {
        assert_eq!(
            label("d/stage_1_llm_1790000000_rank2.pt.trace.json.gz").0,
            "stage 1 llm rank 2"
        );
        assert_eq!(label("d/1795301995499722604-rank-3.17.pt.trace.json.gz").0, "rank 3");
        assert_eq!(label("x_dp0_pp0_tp1_dcp0_ep1_rank5.179.pt.trace.json").0, "rank 5");
        let (_, both) = label("d/stage2_rank9_1790000000_rank1.json.gz");
        assert_eq!((both.stage, both.rank, both.local_rank), (Some(2), Some(9), Some(1)));
        let (text, _) =
            label("20261121-233935_stage_0_rep_3_diffusion_1795304375/trace_rank0.json.gz");
        assert_eq!(text, "stage 0 diffusion replica 3 rank 0");
        let (_, session) = label("20261121-233935_stage1_rank4_179/trace_rank0.json.gz");
        assert_eq!((session.stage, session.rank, session.local_rank), (Some(1), Some(4), Some(0)));
        let (_, front) = label("vm_29563.async_llm.1795303071108960096.pt.trace.json.gz");
        assert_eq!((front.role, front.worker.as_deref()), (Role::FrontEnd, Some("vm_29563")));
        assert_eq!(label("plain.json").1, Identity::default());
    }

    #[test]
    fn ranks_of_other_writers() {
        for (path, rank) in [
            ("primus-megatron-exp[llama2-70b]-rank[3].1700.pt.trace.json.gz", Some(3)),
            ("trace_rank=6.json", Some(6)),
            ("trace-rank-12.json", Some(12)),
            ("rank7_trace.json.gz", Some(7)),
            ("iteration_10/rank-2-trace.json", Some(2)),
            ("host_worker5.1700.pt.trace.json", Some(5)),
            ("worker_5.pt.trace.json", Some(5)),
            ("r4-2025-3-14-16-24.1741994674755974383.pt.trace.json.gz", Some(4)),
            ("atom/rank_3/qwen_ts_20260101_010101_003.pt.trace.json.gz", Some(3)),
            ("atom/dp0_tp2/qwen_ts_20260101_010101_003.pt.trace.json.gz", Some(2)),
            ("atom/pp1_dp0_tp2/qwen_ts_20260101_010101_003.pt.trace.json.gz", None),
            ("lora_rank16_trace.json", None),
            ("co-workers5.json", None),
        ] {
            assert_eq!(label(path).1.rank, rank, "{path}");
        }
    }

    #[test]
    fn parallel_coordinates() {
        let of = |path: &str| {
            let (text, identity) = label(path);
            let Parallel { tp, dp, pp, ep } = identity.parallel;
            (identity.rank, [tp, dp, pp, ep], text)
        };
        let some = |ranks: [u32; 4]| ranks.map(Some);
        assert_eq!(
            of("170.1-TP-3-DP-0-PP-0-EP-1.trace.json.gz"),
            (Some(3), some([3, 0, 0, 1]), "rank 3".to_owned())
        );
        assert_eq!(
            of("170.1-TP-0-DP-1-PP-0-EP-0-EXTEND.trace.json.gz"),
            (None, some([0, 1, 0, 0]), "TP 0 DP 1 PP 0 EP 0".to_owned())
        );
        let (rank, parallel, _) = of("170.1-TP-2.trace.json.gz");
        assert_eq!((rank, parallel), (Some(2), [Some(2), None, None, None]));
        let (rank, parallel, _) = of("merged_TP01-DP00.json");
        assert_eq!((rank, parallel), (Some(1), [Some(1), Some(0), None, None]));
        let (rank, parallel, _) = of("x_dp1_pp0_tp1_dcp0_ep5_rank5.179.pt.trace.json");
        assert_eq!((rank, parallel), (Some(5), some([1, 1, 0, 5])));
        assert_eq!(of("Llama-TP16.json"), (None, [None; 4], String::new()));
    }
}
