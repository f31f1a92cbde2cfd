//! Counters over the time of kernels, iterations and phases: means, integrals, energy, and clocks that drop.
//!
//! A sample holds until the next one of its series, the last one until the end of the window; before the first one
//! nothing is known. So an integral over a stretch of time is the plain sum of value times time.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::counter_units::{is_clock, unit, watts};
use super::intervals::{Intervals, Span};
use super::iterations::IterationRow;
use super::percent;
use crate::schema::{tables, words};
use crate::store::{Store, StrId};

words! {
    /// What a counter is looked at over.
    CounterScope {
        /// The window.
        Window "window",
        /// Time in which a kernel runs on any device.
        Busy "busy",
        /// The kernels of one name, each on its own.
        Kernel "kernel",
        /// The iterations of a phase.
        Phase "phase",
        /// One iteration.
        Iteration "iteration",
    }
}

tables! {
    /// One series of a counter over some time.
    CounterRow: "counters", "Counters over kernels, phases and iterations", "How far were the devices used, how fast did they run, and what energy did it take?", groups 3, on Use 7, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        counter: String, Text, All, "counter", "name of the counter";
        series: String, Text, All, "series", "series of the counter";
        unit: Option<String>, Text, All, "unit", "what its values are in, as the trace describes it, or as its name tells: in brackets at its end, or by the rules of NVIDIA's metrics";
        group: Option<String>, Text, Request, "group", "what it is about, where the trace describes it: system, memory, compute";
        scope: CounterScope, Text, All, "over", "window, busy (time in which a kernel runs), kernel (those of a name), phase, iteration";
        time_ns: i64, Ns, All, "time", "time for which the counter is known";
        samples: u64, Count, Room, "samples", "samples inside that time";
        mean: Option<f64>, Rate, All, "mean", "mean over that time";
        least: Option<f64>, Rate, Room, "least", "least value in that time";
        most: Option<f64>, Rate, Room, "most", "most in that time";
        integral: f64, Rate, Room, "integral", "value times seconds, over that time";
        joules: Option<f64>, Rate, All, "J", "the integral as energy, of a counter in watts, milliwatts or kilowatts; where no unit is known, of one whose name says that it is power";
        tokens: Option<u64>, Count, Room, "tokens", "tokens of the iterations: context tokens and one for each generating request; none where the annotations do not say";
        joules_per_token: Option<f64>, Rate, All, "J/token", "energy by token";
        low_ns: Option<i64>, Ns, All, "clock low", "of a clock or frequency, the time below nine tenths of the most that was seen in the window";
        low_pct: Option<f64>, Percent, All, "clock low", "of the time for which it is known";
        name: Option<String>, Text, All / Subject, "name", "kernel, phase or iteration";
    }
}

/// Kernels by name that have rows of their own: those with the most time.
const N_KERNELS: usize = 20;

/// A clock is low below this part of the most that was seen.
const LOW: (f64, f64) = (9.0, 10.0);

/// One series as a function of time.
struct Series {
    /// When, the value from then on, and the integral up to then in value times nanoseconds.
    samples: Vec<(i64, f64, f64)>,
    end_ns: i64,
}

impl Series {
    fn of(points: &[(i64, f64)], window: Span) -> Self {
        let mut samples: Vec<(i64, f64, f64)> = Vec::with_capacity(points.len());
        for &(at_ns, value) in points.iter().filter(|(_, value)| value.is_finite()) {
            let before = samples.last().copied();
            let sum = before.map_or(0.0, |(then, value, sum)| sum + value * (at_ns - then) as f64);
            samples.push((at_ns, value, sum));
        }
        let last_ns = samples.last().map_or(window.end_ns, |one| one.0);
        Self { samples, end_ns: window.end_ns.max(last_ns) }
    }

    /// The integral up to an instant.
    fn until(&self, t_ns: i64) -> f64 {
        let after = self.samples.partition_point(|one| one.0 <= t_ns);
        let last = after.checked_sub(1).map(|at| self.samples[at]);
        last.map_or(0.0, |(then, value, sum)| sum + value * (t_ns - then) as f64)
    }

    /// The part of a span for which it is known.
    fn known(&self, span: Span) -> Span {
        let first = self.samples.first().map_or(self.end_ns, |one| one.0);
        span.clip(Span::new(first, self.end_ns))
    }

    /// The values that hold at some time of a span, which is known, with how long they do.
    fn values(&self, span: Span) -> impl Iterator<Item = (f64, i64)> + '_ {
        let first = self.samples.partition_point(|one| one.0 <= span.start_ns).saturating_sub(1);
        let inside = self.samples[first..].iter().enumerate();
        inside.take_while(move |(_, one)| one.0 < span.end_ns).map(move |(at, one)| {
            let next_ns = self.samples.get(first + at + 1).map_or(self.end_ns, |next| next.0);
            (one.1, Span::new(one.0, next_ns).clip(span).len_ns())
        })
    }
}

/// Stretches of time with what they are of.
struct Scope {
    scope: CounterScope,
    name: Option<String>,
    spans: Vec<Span>,
    tokens: Option<u64>,
}

/// The counters of an input; none where it has no samples.
pub fn counters(store: &Store, base: &TimeBase, iterations: &[IterationRow]) -> Vec<CounterRow> {
    if store.counters.is_empty() {
        return Vec::new();
    }
    let window = base.windows.file;
    let mut series: BTreeMap<(&str, &str), Vec<(i64, f64)>> = BTreeMap::new();
    for sample in &store.counters {
        let key = (store.strings.get(sample.name), store.strings.get(sample.series));
        series.entry(key).or_default().push((sample.ts_ns, sample.value));
    }
    let scopes = scopes(store, base, iterations);
    let mut rows = Vec::new();
    for ((counter, name), points) in series {
        let unit = unit(&store.meta, counter);
        let group = store.meta.counter_unit(counter).and_then(|known| known.group.clone());
        let series = Series::of(&points, window);
        let peak = series.samples.iter().map(|one| one.1).fold(f64::MIN, f64::max);
        for scope in &scopes {
            if let Some(row) = row(&series, (counter, unit.as_deref()), scope, peak) {
                let (counter, series) = (counter.to_owned(), name.to_owned());
                let (unit, group) = (unit.clone(), group.clone());
                rows.push(CounterRow { input: base.input, counter, series, unit, group, ..row });
            }
        }
    }
    rows
}

/// What counters are looked at over.
fn scopes(store: &Store, base: &TimeBase, iterations: &[IterationRow]) -> Vec<Scope> {
    let whole = |scope, spans| Scope { scope, name: None, spans, tokens: None };
    let mut kernels: BTreeMap<StrId, Vec<Span>> = BTreeMap::new();
    for row in base.devices.iter().flat_map(|device| &device.slices) {
        if row.kind.is_kernel() {
            kernels.entry(store.slices.name[row.slice as usize]).or_default().push(row.span);
        }
    }
    let busy = Intervals::union_of(kernels.values().flatten().copied().collect());
    let mut scopes = vec![
        whole(CounterScope::Window, vec![base.windows.file]),
        whole(CounterScope::Busy, busy.spans().to_vec()),
    ];
    let mut by_time: Vec<(StrId, Vec<Span>)> = kernels.into_iter().collect();
    by_time.sort_by_key(|(_, spans)| {
        std::cmp::Reverse(spans.iter().map(|span| span.len_ns()).sum::<i64>())
    });
    for (name, spans) in by_time.into_iter().take(N_KERNELS) {
        let name = Some(store.strings.get(name).to_owned());
        scopes.push(Scope { scope: CounterScope::Kernel, name, spans, tokens: None });
    }
    let mut phases: BTreeMap<&str, (Vec<Span>, Option<u64>)> = BTreeMap::new();
    for one in iterations {
        let phase = phases.entry(one.phase.as_str()).or_default();
        phase.0.push(one.span());
        phase.1 = one.tokens().map(|tokens| tokens + phase.1.unwrap_or(0)).or(phase.1);
    }
    scopes.extend(phases.into_iter().map(|(name, (spans, tokens))| Scope {
        scope: CounterScope::Phase,
        name: Some(name.to_owned()),
        spans: Intervals::union_of(spans).spans().to_vec(),
        tokens,
    }));
    scopes.extend(iterations.iter().map(|one| Scope {
        scope: CounterScope::Iteration,
        name: Some(one.name.clone()),
        spans: vec![one.span()],
        tokens: one.tokens(),
    }));
    scopes
}

/// A series over a scope; `None` where it is not known at any time of it. `peak` is the most of the series.
fn row(
    series: &Series,
    (counter, unit): (&str, Option<&str>),
    scope: &Scope,
    peak: f64,
) -> Option<CounterRow> {
    let (mut time_ns, mut integral, mut samples, mut low_ns) = (0, 0.0, 0, 0);
    let (mut least, mut most) = (f64::MAX, f64::MIN);
    for span in scope.spans.iter().map(|&span| series.known(span)) {
        if span.is_empty() {
            continue;
        }
        time_ns += span.len_ns();
        integral += series.until(span.end_ns) - series.until(span.start_ns);
        let before = |t_ns: i64| series.samples.partition_point(|one| one.0 < t_ns) as u64;
        samples += before(span.end_ns) - before(span.start_ns);
        for (value, ns) in series.values(span) {
            (least, most) = (least.min(value), most.max(value));
            low_ns += if value * LOW.1 < peak * LOW.0 { ns } else { 0 };
        }
    }
    if time_ns == 0 {
        return None;
    }
    let integral_s = integral / 1e9;
    let joules = watts(counter, unit).map(|watts| integral_s * watts);
    let low_ns = is_clock(counter, unit).then_some(low_ns);
    Some(CounterRow {
        input: 0,
        counter: String::new(),
        series: String::new(),
        unit: None,
        group: None,
        scope: scope.scope,
        time_ns,
        samples,
        mean: Some(integral / time_ns as f64),
        least: Some(least),
        most: Some(most),
        integral: integral_s,
        joules,
        tokens: scope.tokens,
        joules_per_token: joules.zip(scope.tokens.filter(|&n| n > 0)).map(|(j, n)| j / n as f64),
        low_ns,
        low_pct: low_ns.and_then(|ns| percent(ns, time_ns)),
        name: scope.name.clone(),
    })
}
