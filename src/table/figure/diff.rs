//! The figures of `diff`: both sides on one scale, and what explains their difference.

use super::{BarPart, BarRow, BarScale, Bars, Figure, FigureKind, Role, empty};
use crate::analyze::units::Side;
use crate::compare::{CauseRow, LaneRow};
use crate::table::diff::DiffReport;

/// Causes that are drawn.
const N_CAUSES: usize = 12;

/// The figures, in the order of reading.
pub fn diff_figures(report: &DiffReport) -> Vec<Figure> {
    let Some(total) = &report.comparison.total else {
        let because = "nothing of A can be compared with anything of B";
        return vec![empty("iterations", "An iteration of A and of B", "", because)];
    };
    vec![sides(report, total), causes(report, total)]
}

/// What a class is called in a legend, and how it is drawn.
fn look(class: &str) -> (Role, &'static str, bool) {
    match class {
        "kernel" => (Role::Kernel, "kernels", false),
        "comm" => (Role::Comm, "exposed communication", false),
        "copy" => (Role::Copy, "exposed copies", false),
        "idle" => (Role::Unattributed, "idle", true),
        "cpu_op" => (Role::CpuOp, "operators", false),
        "runtime" => (Role::Runtime, "runtime calls", false),
        "module_loading" => (Role::Loading, "loading", false),
        "python" => (Role::Python, "Python", false),
        "ipc_wait" => (Role::IpcWait, "IPC wait", false),
        "gpu_sync" => (Role::GpuSync, "wait for the device", false),
        "other_wait" => (Role::OtherWait, "other wait", false),
        "unattributed" => (Role::Unattributed, "unattributed", true),
        _ => (Role::Other, "other", false),
    }
}

/// Mean iterations of both sides by class, on one scale.
fn sides(report: &DiffReport, total: &LaneRow) -> Figure {
    let own = || report.comparison.accounts.iter().filter(|row| row.lane == total.lane);
    let mut rows = Vec::new();
    for (account, name) in [(Side::Device, "device"), (Side::Lead, "lead thread")] {
        for (side, whole_ns) in [("A", total.a_ns), ("B", total.b_ns)] {
            let mut parts: Vec<BarPart> = Vec::new();
            for row in own().filter(|row| row.account == account && row.class != "mix") {
                let ns = if side == "A" { row.a_ns } else { row.b_ns };
                let (role, name, is_idle) = look(&row.class);
                match parts.iter_mut().find(|part| part.name == name) {
                    Some(part) => part.ns += ns,
                    None => parts.push(BarPart { role, name, ns, is_idle }),
                }
            }
            parts.retain(|part| part.ns > 0);
            if !parts.is_empty() {
                let label = format!("{name}, {side}");
                rows.push(BarRow { label, parts, whole_ns, count: None });
            }
        }
    }
    Figure {
        key: "iterations",
        title: "A mean iteration of A and of B, on one scale".to_owned(),
        subtitle: format!("{}: {} iterations of A, {} of B", total.label, total.n_a, total.n_b),
        kind: FigureKind::Bars(Bars { rows, scale: BarScale::Largest, is_spelled: true }),
        notes: Vec::new(),
    }
}

/// The largest causes: how much longer or shorter.
fn causes(report: &DiffReport, total: &LaneRow) -> Figure {
    const TITLE: &str = "What takes longer or shorter in B, per iteration";
    let rows = &report.comparison.causes;
    if rows.is_empty() {
        return empty("causes", TITLE, &total.label, "no part of an iteration differs");
    }
    let row = |cause: &CauseRow| {
        let (role, name) = match cause.diff_ns > 0 {
            true => (Role::IpcWait, "longer"),
            false => (Role::Kernel, "shorter"),
        };
        let ns = cause.diff_ns.saturating_abs();
        let part = BarPart { is_idle: !cause.is_shown, ..BarPart::new(role, name, ns) };
        let label = format!("{}: {}", cause.class, cause.name);
        BarRow { label, parts: vec![part], whole_ns: total.a_ns, count: None }
    };
    Figure {
        key: "causes",
        title: TITLE.to_owned(),
        subtitle: total.label.clone(),
        kind: FigureKind::Bars(Bars {
            rows: rows.iter().take(N_CAUSES).map(row).collect(),
            scale: BarScale::Largest,
            is_spelled: true,
        }),
        notes: vec!["faint: not shown to be real".to_owned()],
    }
}
