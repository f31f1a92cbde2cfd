//! Transfers between stages, by edge.
//!
//! The pipeline's `*_mbps` are megabits of 10^6 a second; GB/s here are gigabytes of 10^9 a second. The time called
//! `rx` is the receiver's decode time, not time on the wire.

use std::collections::BTreeMap;

use crate::model::log::{Quantity, Transfer, TransferTotals};

use super::TransferRow;
use super::check::{mbps, sum};
use super::merge::Run;
use super::requests::transfer_ns;
use crate::schema::words;

words! {
    /// Where an edge's figures come from.
    TransferSource {
        /// The summary of the run.
        Summary "summary",
        /// The transfers of its requests.
        Transfers "transfers",
    }
}

/// Sums over the transfers of an edge, as integers and as the pipeline adds them.
#[derive(Clone, Debug, Default)]
pub(super) struct EdgeSums {
    pub(super) samples: i64,
    pub(super) bytes: Option<Quantity>,
    pub(super) tx: Option<Quantity>,
    pub(super) tx_ns: Option<i64>,
    pub(super) rx_samples: i64,
    pub(super) rx_bytes: Option<Quantity>,
    pub(super) rx: Option<Quantity>,
    pub(super) rx_ns: Option<i64>,
    pub(super) in_flight: Option<Quantity>,
    pub(super) in_flight_ns: Option<i64>,
    pub(super) total: Option<Quantity>,
    pub(super) total_ns: Option<i64>,
}

/// The sums of every edge of a run, over its requests in order of appearance.
pub(super) fn sums_of(run: &Run) -> BTreeMap<(u32, u32), EdgeSums> {
    let mut out: BTreeMap<(u32, u32), EdgeSums> = BTreeMap::new();
    for request in &run.order {
        let own = run.transfers.range((request.clone(), 0, 0)..);
        for ((_, from, to), (_, transfer)) in own.take_while(|((r, ..), _)| r == request) {
            out.entry((*from, *to)).or_default().add(transfer);
        }
    }
    out
}

fn plus(a: &mut Option<Quantity>, b: Option<Quantity>) {
    *a = sum([*a, b].into_iter().flatten());
}

fn plus_ns(a: &mut Option<i64>, b: Option<i64>) {
    *a = match (*a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    };
}

impl EdgeSums {
    fn add(&mut self, t: &Transfer) {
        self.samples += i64::from(t.tx.is_some());
        self.rx_samples += i64::from(t.rx.is_some());
        plus(&mut self.bytes, t.bytes);
        plus(&mut self.rx_bytes, t.rx_bytes);
        plus(&mut self.tx, t.tx.map(|d| d.ms));
        plus(&mut self.rx, t.rx.map(|d| d.ms));
        plus(&mut self.in_flight, t.in_flight.map(|d| d.ms));
        plus(&mut self.total, whole_ms(t));
        plus_ns(&mut self.tx_ns, t.tx.map(|d| d.ns));
        plus_ns(&mut self.rx_ns, t.rx.map(|d| d.ns));
        plus_ns(&mut self.in_flight_ns, t.in_flight.map(|d| d.ns));
        plus_ns(&mut self.total_ns, transfer_ns(t));
    }
}

/// The whole of a transfer in the pipeline's order of addition.
pub(super) fn whole_ms(t: &Transfer) -> Option<Quantity> {
    let parts = || sum([t.tx?.ms, t.in_flight?.ms, t.rx?.ms].into_iter());
    t.total.map(|d| d.ms).or_else(parts)
}

/// The edges of a run: from its summary where that has them, completed by the transfers of its requests.
pub(super) fn rows_of(
    index: usize,
    sums: &BTreeMap<(u32, u32), EdgeSums>,
    summary: &[TransferTotals],
) -> Vec<TransferRow> {
    let mut edges: BTreeMap<(u32, u32), TransferRow> = BTreeMap::new();
    for totals in summary {
        let key = (totals.from, totals.to);
        edges.insert(key, from_summary(index, totals, sums.get(&key)));
    }
    for (&(from, to), sums) in sums {
        edges.entry((from, to)).or_insert_with(|| from_sums(index, from, to, sums));
    }
    edges.into_values().collect()
}

fn from_summary(run: usize, totals: &TransferTotals, sums: Option<&EdgeSums>) -> TransferRow {
    let ns = |d: Option<crate::model::log::LogDuration>| d.map(|d| d.ns);
    let (tx, rx, total) = (ns(totals.tx), ns(totals.rx), ns(totals.total));
    let same_samples = totals.samples == totals.total_samples;
    let remainder = || Some(total? - tx? - rx?).filter(|ns| same_samples && *ns >= 0);
    let row = TransferRow {
        run,
        from_stage: totals.from,
        to_stage: totals.to,
        source: TransferSource::Summary,
        samples: totals.samples,
        bytes: totals.bytes,
        tx_ns: tx,
        rx_samples: totals.rx_samples,
        rx_bytes: totals.rx_bytes,
        rx_ns: rx,
        in_flight_ns: sums.and_then(|sums| sums.in_flight_ns).or_else(remainder),
        total_ns: total,
        tx_mbit_per_s: None,
        rx_mbit_per_s: None,
        total_mbit_per_s: None,
        tx_gb_per_s: None,
        rx_gb_per_s: None,
        total_gb_per_s: None,
    };
    let ms = |d: Option<crate::model::log::LogDuration>| d.map(|d| d.ms.value);
    with_rates(row, ms(totals.tx), ms(totals.rx), ms(totals.total))
}

fn from_sums(run: usize, from: u32, to: u32, sums: &EdgeSums) -> TransferRow {
    let row = TransferRow {
        run,
        from_stage: from,
        to_stage: to,
        source: TransferSource::Transfers,
        samples: (sums.samples > 0).then_some(sums.samples),
        bytes: whole(sums.bytes),
        tx_ns: sums.tx_ns,
        rx_samples: (sums.rx_samples > 0).then_some(sums.rx_samples),
        rx_bytes: whole(sums.rx_bytes),
        rx_ns: sums.rx_ns,
        in_flight_ns: sums.in_flight_ns,
        total_ns: sums.total_ns,
        tx_mbit_per_s: None,
        rx_mbit_per_s: None,
        total_mbit_per_s: None,
        tx_gb_per_s: None,
        rx_gb_per_s: None,
        total_gb_per_s: None,
    };
    let ms = |q: Option<Quantity>| q.map(|q| q.value);
    with_rates(row, ms(sums.tx), ms(sums.rx), ms(sums.total))
}

/// Whole bytes: tables give KiB with three decimals, which is half a byte.
#[expect(clippy::cast_possible_truncation, reason = "sizes of transfers are far below 2^53")]
fn whole(bytes: Option<Quantity>) -> Option<i64> {
    bytes.map(|bytes| bytes.value.round() as i64)
}

#[expect(clippy::cast_precision_loss, reason = "sizes of transfers are far below 2^53")]
fn with_rates(
    row: TransferRow,
    tx: Option<f64>,
    rx: Option<f64>,
    total: Option<f64>,
) -> TransferRow {
    let rate = |bytes: Option<i64>, ms: Option<f64>| Some(mbps(bytes? as f64, ms?));
    // One byte a nanosecond is one gigabyte a second.
    let gb = |bytes: Option<i64>, ns: Option<i64>| {
        ns.filter(|ns| *ns > 0).and_then(|ns| Some(bytes? as f64 / ns as f64))
    };
    let received = row.rx_bytes.or(row.bytes);
    TransferRow {
        tx_mbit_per_s: rate(row.bytes, tx),
        rx_mbit_per_s: rate(received, rx),
        total_mbit_per_s: rate(row.bytes, total),
        tx_gb_per_s: gb(row.bytes, row.tx_ns),
        rx_gb_per_s: gb(received, row.rx_ns),
        total_gb_per_s: gb(row.bytes, row.total_ns),
        ..row
    }
}
