//! Two sides of a change: which is faster, by how much, why, and whether it is real.
//!
//! The unit is the iteration ([`crate::analyze::units`]). Iterations of equal stage, rank, phase and size are compared; what
//! comes of other iterations is told apart. Every difference has an interval, and every account of it sums to it.

mod apportion;
mod baseline;
mod decompose;
mod estimate;
mod gate;
mod kernels;
mod machine;
mod names;
mod random;
mod rows;
mod runs;
mod sample;
mod setup;
mod student;

pub use baseline::{is_baseline, read as read_baseline, written as written_baseline};
pub use gate::Gate;
pub use rows::{
    BucketRow, CauseRow, CautionRow, ClassRow, CountRow, DifferenceRow, GateRow, KernelChange,
    KernelChangeRow, LaneRow, PathChangeRow, TrendRow, Verdict,
};
pub use sample::Run;

use serde::Serialize;

use self::decompose::Totals;
use self::estimate::{Estimate, Statistic, level_for, of_statistic, of_total};
use self::machine::{Doubt, Machine};
use self::sample::Lane;
use crate::analyze::units::Side;

/// What a comparison is to honour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Warm-up is not cut.
    pub keeps_warmup: bool,
    /// Kernels that differ in their tiles alone are the same.
    pub merges_tiles: bool,
    /// What may not become slower.
    pub gates: Vec<Gate>,
}

/// What a comparison found; the machine output of `diff`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// What it comes to, over all lanes and gates.
    pub verdict: Verdict,
    /// Which annotations are the iterations of the lane that decides.
    pub unit: String,
    /// Iterations of A in it.
    pub n_a: u64,
    /// Iterations of B in it.
    pub n_b: u64,
    /// The lane that decides; `None` where nothing can be compared.
    pub total: Option<LaneRow>,
    /// What explains its difference, by the account that says more; these sum to it.
    pub causes: Vec<CauseRow>,
    /// The same by the other account, which sums to it too.
    pub other_causes: Vec<CauseRow>,
    /// What differs in how the sides are set up.
    pub differences: Vec<DifferenceRow>,
    /// Every gate in every lane.
    pub gates: Vec<GateRow>,
    /// Every stage and rank.
    pub lanes: Vec<LaneRow>,
    /// Every kind of iteration.
    pub buckets: Vec<BucketRow>,
    /// The classes of time of both accounts.
    pub classes: Vec<ClassRow>,
    /// What the critical path of an iteration is in; empty where that is not known of all iterations of both sides.
    pub paths: Vec<PathChangeRow>,
    /// How often things happen in an iteration.
    pub counts: Vec<CountRow>,
    /// Kernels that only one side runs.
    pub kernel_changes: Vec<KernelChangeRow>,
    /// Every row of both accounts of every lane.
    pub accounts: Vec<CauseRow>,
    /// Each run of several.
    pub trend: Vec<TrendRow>,
    /// What is to be read with care.
    pub cautions: Vec<CautionRow>,
}

/// Compares two sides of one run or several each.
pub fn compare(a: &[Run], b: &[Run], options: &Options) -> Comparison {
    let (mut lanes, cautions) = sample::lanes([a, b], options);
    let mut out = Comparison {
        differences: setup::differences([a, b], &lanes),
        cautions: cautions.into_iter().map(|text| CautionRow { text }).collect(),
        ..Comparison::default()
    };
    let are_other_models = setup::are_other_models([a, b]);
    if are_other_models {
        lanes.clear();
        out.caution(
            "A and B run different models: of the shapes of their weights none is in both; an iteration of one is not the work of one of the other, and nothing is compared"
                .to_owned(),
        );
    }
    let is_same = a.iter().map(|run| &run.inputs).eq(b.iter().map(|run| &run.inputs));
    let comparable: Vec<(usize, &Lane)> =
        lanes.iter().enumerate().filter(|(_, lane)| lane.matched().next().is_some()).collect();
    let level = level_for(comparable.len());
    for &(number, lane) in &comparable {
        out.add_lane(number, lane, options, (level, is_same));
    }
    for (_, lane) in lanes.iter().enumerate().filter(|(_, lane)| lane.matched().next().is_none()) {
        out.caution(format!(
            "{}: no kind of iteration is in both A and B, so that nothing can be compared",
            lane.label
        ));
    }
    if lanes.is_empty() && !are_other_models {
        out.caution("no stage and rank of A can be compared with one of B".to_owned());
    }
    out.note_runs([a, b]);
    out.decide();
    out
}

impl Comparison {
    fn caution(&mut self, text: String) {
        self.cautions.push(CautionRow { text });
    }

    fn add_lane(
        &mut self,
        number: usize,
        lane: &Lane,
        options: &Options,
        (level, is_same): (f64, bool),
    ) {
        let totals = Totals::of(lane);
        let rate = of_statistic(lane, None, Statistic::Mean, level, |sample| sample.dur_ns as f64);
        let median =
            of_statistic(lane, None, Statistic::Percentile(50), level, |s| s.dur_ns as f64);
        let mut accounts = decompose::accounts(number, lane, &totals);
        let machine = Machine::of(lane, decompose::larger_account(&accounts));
        decompose::add_intervals(lane, &machine, &mut accounts);
        let doubt = rate.map_or(Doubt::None, |rate| machine.of_durations(lane, None, &rate));
        let judged = |gate: &Gate| gate.judge(number, lane, &machine, (level, is_same));
        let gates: Vec<GateRow> = options.gates.iter().map(judged).collect();
        let verdict = match rate.as_ref() {
            _ if !gates.is_empty() => gate::worst(gates.iter().map(|gate| gate.verdict)),
            _ if is_same => Verdict::NoChangeShown,
            Some(rate) => gate::verdict(rate, doubt),
            None => Verdict::Inconclusive,
        };
        let mut row = lane_row(number, lane, &totals, rate.as_ref(), median.as_ref());
        row.verdict = verdict;
        row.first_account = decompose::first_account(&accounts);
        row.add_machine(lane, &machine, doubt, rate.as_ref());
        self.note_lane(lane, &row);
        for gate in gates.iter().filter(|gate| gate.diff_pct.is_none()) {
            self.caution(format!(
                "{}: A has nothing that the gate {} measures",
                lane.label, gate.gate
            ));
        }
        let is_open = verdict == Verdict::Inconclusive
            || (verdict == Verdict::NoChangeShown && row.leaves_out_zero());
        if matches!(doubt, Doubt::Unknown(_)) && is_open {
            self.caution(format!(
                "{}: too little of the same work is in both to tell slower code from a slower machine, with one run a side; it is taken to be at most twice as slow or fast",
                lane.label
            ));
        }
        self.lanes.push(row);
        self.buckets.extend(decompose::buckets(number, lane, &totals));
        self.classes.extend(decompose::classes(number, lane, &accounts));
        self.paths.extend(decompose::paths(number, lane, &totals));
        self.counts.extend(decompose::counts(number, lane));
        self.kernel_changes.extend(kernels::changes(number, lane, &accounts));
        self.accounts.extend(accounts);
        self.gates.extend(gates);
    }

    /// Adds the trend of some runs, and says which of them are not in it.
    pub fn add_trend(&mut self, runs: &[Run], rows: Vec<TrendRow>) {
        let is_absent = |number: usize| rows.iter().all(|row| row.run != number);
        for (_, run) in runs.iter().enumerate().filter(|(number, _)| is_absent(*number)) {
            self.caution(format!(
                "{}: no kind of iteration is in it and in the first run, so that the trend is without it",
                run.name
            ));
        }
        self.trend = rows;
    }

    /// What the data of a lane do not tell.
    fn note_lane(&mut self, lane: &Lane, row: &LaneRow) {
        let label = &lane.label;
        if row.unit == WINDOW {
            self.caution(format!(
                "{label}: no iterations are annotated; whole windows are compared, and their length is how long the profiler ran"
            ));
        } else if row.n_a.min(row.n_b) == 1 {
            let side = if row.n_a == 1 { "A" } else { "B" };
            self.caution(format!(
                "{label}: {side} holds one whole iteration: nothing tells how iterations vary; record some tens"
            ));
        } else if row.rate_low_ns.is_none() {
            self.caution(format!("{label}: too few iterations are in both to tell how they vary"));
        }
        if !lane.has_device {
            self.caution(format!(
                "{label}: no device activity is recorded in both; only the lead thread is compared"
            ));
        }
    }

    fn note_runs(&mut self, sides: [&[Run]; 2]) {
        if self.lanes.is_empty() {
            return;
        }
        match sides.map(<[Run]>::len) {
            [0 | 1, 0 | 1] => self.caution(
                "one run a side: how runs of the same program differ is not known, and only what exceeds a common scale of all work is called a change; --a A1 A2 A3 --b B1 B2 B3, or --against a baseline of several runs, adds it"
                    .to_owned(),
            ),
            [0 | 1, _] => self.note_single("A", "B"),
            [_, 0 | 1] => self.note_single("B", "A"),
            _ => {}
        }
    }

    fn note_single(&mut self, single: &str, several: &str) {
        self.caution(format!(
            "{single} is one run: it is taken to vary as the runs of {several} do"
        ));
    }

    /// Picks the lane that decides: of those with the verdict that counts, the one with the largest relative difference.
    fn decide(&mut self) {
        self.verdict = gate::worst(self.lanes.iter().map(|lane| lane.verdict));
        let own = self.lanes.iter().filter(|lane| lane.verdict == self.verdict);
        let relative = |lane: &&LaneRow| lane.rate_pct.unwrap_or(0.0).abs();
        let decides = own
            .max_by(|a, b| relative(a).total_cmp(&relative(b)).then_with(|| b.lane.cmp(&a.lane)));
        let Some(total) = decides.cloned() else { return };
        let of_lane = |account: Side| -> Vec<CauseRow> {
            let own = self.accounts.iter().filter(|row| row.lane == total.lane);
            let mut rows: Vec<CauseRow> =
                own.filter(|row| row.account == account && row.diff_ns != 0).cloned().collect();
            decompose::sort(&mut rows);
            rows
        };
        let (device, lead) = (of_lane(Side::Device), of_lane(Side::Lead));
        let is_lead_first = total.first_account == Side::Lead;
        (self.causes, self.other_causes) =
            if is_lead_first { (lead, device) } else { (device, lead) };
        (self.n_a, self.n_b) = (total.n_a, total.n_b);
        self.unit.clone_from(&total.unit);
        self.total = Some(total);
    }
}

/// What the unit is called where there are no iterations.
const WINDOW: &str = "window";

fn lane_row(
    number: usize,
    lane: &Lane,
    totals: &Totals,
    rate: Option<&Estimate>,
    median: Option<&Estimate>,
) -> LaneRow {
    let diff_ns = totals.b_ns - totals.a_ns;
    let matched = decompose::matched_share(lane);
    let whole = |ns: f64| decompose::whole(ns * matched);
    let of_rate = rate.and_then(|rate| rate.interval);
    let of_all = if totals.mix_ns == 0 { of_rate } else { of_total(lane) };
    let of_median = median.and_then(|median| median.interval);
    let cut = |side: usize| lane.strata.iter().map(|s| s.sides[side].n_cut).sum();
    let inside = |side: usize| {
        let samples = lane.strata.iter().flat_map(|stratum| stratum.sides[side].samples());
        let sum: i128 = samples.map(|sample| i128::from(sample.annotation_ns)).sum();
        apportion::rounded(apportion::fraction(sum, 1, lane.len(side)))
    };
    let percent = |part: i64, whole: f64| (whole != 0.0).then(|| part as f64 * 100.0 / whole);
    LaneRow {
        lane: number,
        label: lane.label.clone(),
        unit: lane.schemes[0].clone().unwrap_or_else(|| WINDOW.to_owned()),
        n_a: lane.len(0),
        n_b: lane.len(1),
        cut_a: cut(0),
        cut_b: cut(1),
        a_ns: totals.a_ns,
        b_ns: totals.b_ns,
        diff_ns,
        diff_pct: percent(diff_ns, totals.a_ns as f64),
        low_ns: of_all.map(|interval| decompose::whole(interval.low)),
        high_ns: of_all.map(|interval| decompose::whole(interval.high)),
        rate_ns: totals.rate_ns,
        rate_pct: percent(totals.rate_ns, decompose::standard_mean(lane)),
        rate_low_ns: of_rate.map(|interval| whole(interval.low)),
        rate_high_ns: of_rate.map(|interval| whole(interval.high)),
        mix_ns: totals.mix_ns,
        detectable_ns: of_rate.map(|interval| whole(interval.detectable)),
        a_p50_ns: median.map(|median| decompose::whole(median.a)),
        b_p50_ns: median.map(|median| decompose::whole(median.b)),
        p50_diff_ns: median.map(|median| decompose::whole(median.diff())),
        p50_low_ns: of_median.map(|interval| decompose::whole(interval.low)),
        p50_high_ns: of_median.map(|interval| decompose::whole(interval.high)),
        a_inside_ns: inside(0),
        b_inside_ns: inside(1),
        runs_a: lane.n_runs(0),
        runs_b: lane.n_runs(1),
        ..LaneRow::default()
    }
}

impl LaneRow {
    /// Whether the interval of the rate leaves out zero.
    pub fn leaves_out_zero(&self) -> bool {
        self.rate_low_ns.is_some_and(|ns| ns > 0) || self.rate_high_ns.is_some_and(|ns| ns < 0)
    }

    /// Adds what the machine explains, with one run a side.
    fn add_machine(
        &mut self,
        lane: &Lane,
        machine: &Machine,
        doubt: Doubt,
        rate: Option<&Estimate>,
    ) {
        if self.verdict == Verdict::Inconclusive {
            self.runs_needed = rate.and_then(|rate| runs::needed(lane, rate, doubt, 0.0));
        }
        let (Some(excess), Some(scale)) = (doubt.excess(), machine.first()) else { return };
        let whole = |ns: f64| Some(decompose::whole(ns * decompose::matched_share(lane)));
        self.common_pct = Some((scale.factor - 1.0) * 100.0);
        self.common_spread_pct = Some(scale.spread * 100.0);
        self.common_names = scale.n_names as u64;
        self.excess_ns = whole(excess.diff);
        self.excess_low_ns = whole(excess.low);
        self.excess_high_ns = whole(excess.high);
    }
}

/// Each of several runs against the first, lane by lane.
pub fn trend(runs: &[Run], options: &Options) -> Vec<TrendRow> {
    let mut rows = Vec::new();
    let Some(first) = runs.first() else { return rows };
    for (number, run) in runs.iter().enumerate() {
        let (lanes, _) =
            sample::lanes([std::slice::from_ref(first), std::slice::from_ref(run)], options);
        for (lane_number, lane) in
            lanes.iter().enumerate().filter(|(_, lane)| lane.matched().next().is_some())
        {
            let totals = Totals::of(lane);
            let rate = of_statistic(lane, None, Statistic::Mean, level_for(1), |s| s.dur_ns as f64);
            let row = lane_row(lane_number, lane, &totals, rate.as_ref(), None);
            let mut durations: Vec<i64> =
                lane.strata.iter().flat_map(|s| s.sides[1].samples()).map(|s| s.dur_ns).collect();
            durations.sort_unstable();
            let is_first = number == 0;
            rows.push(TrendRow {
                lane: lane_number,
                run: number,
                n: row.n_b,
                mean_ns: row.b_ns,
                p50_ns: crate::analyze::quantiles::nearest_rank(&durations, 50).unwrap_or(0),
                rate_ns: (!is_first).then_some(row.rate_ns),
                rate_pct: row.rate_pct.filter(|_| !is_first),
                low_ns: row.rate_low_ns.filter(|_| !is_first),
                high_ns: row.rate_high_ns.filter(|_| !is_first),
                name: run.name.clone(),
            });
        }
    }
    rows.sort_by_key(|row| (row.lane, row.run));
    rows
}
