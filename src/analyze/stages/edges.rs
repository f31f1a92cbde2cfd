//! Transfers between stages, by edge.
//!
//! The pipeline's `*_mbps` are megabits of 10^6 a second; GB/s here are gigabytes of 10^9 a second. The time called
//! `rx` is the receiver's decode time, not time on the wire.

use std::collections::BTreeMap;

use crate::model::log::{Quantity, Transfer, TransferTotals};

use super::check::{mbps, sum};
use super::merge::Run;
use super::requests::transfer_ns;

/// Where an edge's figures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeSource {
    /// The summary of the run.
    Summary,
    /// The transfers of its requests.
    Transfers,
}

impl EdgeSource {
    /// The name in the machine output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Transfers => "transfers",
        }
    }
}

/// One edge.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeRow {
    /// Index of the run.
    pub run: usize,
    /// Sending stage.
    pub from: u32,
    /// Receiving stage.
    pub to: u32,
    /// Where the figures come from.
    pub source: EdgeSource,
    /// Sends.
    pub samples: Option<i64>,
    /// Bytes sent.
    pub bytes: Option<i64>,
    /// Time to send.
    pub tx_ns: Option<i64>,
    /// Receives.
    pub rx_samples: Option<i64>,
    /// Bytes received.
    pub rx_bytes: Option<i64>,
    /// Time to decode.
    pub rx_ns: Option<i64>,
    /// Time on the way.
    pub in_flight_ns: Option<i64>,
    /// Send, in-flight and decode time of the transfers of which all are known.
    pub total_ns: Option<i64>,
    /// `bytes * 8 / tx`, Mbit/s.
    pub tx_mbps: Option<f64>,
    /// `rx_bytes * 8 / rx`, Mbit/s; of `bytes` where the log gives no received bytes.
    pub rx_mbps: Option<f64>,
    /// `bytes * 8 / total`, Mbit/s.
    pub total_mbps: Option<f64>,
    /// `bytes / tx`, GB/s.
    pub tx_gb_per_s: Option<f64>,
    /// `rx_bytes / rx`, GB/s; of `bytes` where the log gives no received bytes.
    pub rx_gb_per_s: Option<f64>,
    /// `bytes / total`, GB/s.
    pub total_gb_per_s: Option<f64>,
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
) -> Vec<EdgeRow> {
    let mut edges: BTreeMap<(u32, u32), EdgeRow> = BTreeMap::new();
    for totals in summary {
        let key = (totals.from, totals.to);
        edges.insert(key, from_summary(index, totals, sums.get(&key)));
    }
    for (&(from, to), sums) in sums {
        edges.entry((from, to)).or_insert_with(|| from_sums(index, from, to, sums));
    }
    edges.into_values().collect()
}

fn from_summary(run: usize, totals: &TransferTotals, sums: Option<&EdgeSums>) -> EdgeRow {
    let ns = |d: Option<crate::model::log::LogDuration>| d.map(|d| d.ns);
    let (tx, rx, total) = (ns(totals.tx), ns(totals.rx), ns(totals.total));
    let same_samples = totals.samples == totals.total_samples;
    let remainder = || Some(total? - tx? - rx?).filter(|ns| same_samples && *ns >= 0);
    let row = EdgeRow {
        run,
        from: totals.from,
        to: totals.to,
        source: EdgeSource::Summary,
        samples: totals.samples,
        bytes: totals.bytes,
        tx_ns: tx,
        rx_samples: totals.rx_samples,
        rx_bytes: totals.rx_bytes,
        rx_ns: rx,
        in_flight_ns: sums.and_then(|sums| sums.in_flight_ns).or_else(remainder),
        total_ns: total,
        tx_mbps: None,
        rx_mbps: None,
        total_mbps: None,
        tx_gb_per_s: None,
        rx_gb_per_s: None,
        total_gb_per_s: None,
    };
    let ms = |d: Option<crate::model::log::LogDuration>| d.map(|d| d.ms.value);
    with_rates(row, ms(totals.tx), ms(totals.rx), ms(totals.total))
}

fn from_sums(run: usize, from: u32, to: u32, sums: &EdgeSums) -> EdgeRow {
    let row = EdgeRow {
        run,
        from,
        to,
        source: EdgeSource::Transfers,
        samples: (sums.samples > 0).then_some(sums.samples),
        bytes: whole(sums.bytes),
        tx_ns: sums.tx_ns,
        rx_samples: (sums.rx_samples > 0).then_some(sums.rx_samples),
        rx_bytes: whole(sums.rx_bytes),
        rx_ns: sums.rx_ns,
        in_flight_ns: sums.in_flight_ns,
        total_ns: sums.total_ns,
        tx_mbps: None,
        rx_mbps: None,
        total_mbps: None,
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
fn with_rates(row: EdgeRow, tx: Option<f64>, rx: Option<f64>, total: Option<f64>) -> EdgeRow {
    let rate = |bytes: Option<i64>, ms: Option<f64>| Some(mbps(bytes? as f64, ms?));
    // One byte a nanosecond is one gigabyte a second.
    let gb = |bytes: Option<i64>, ns: Option<i64>| {
        ns.filter(|ns| *ns > 0).and_then(|ns| Some(bytes? as f64 / ns as f64))
    };
    let received = row.rx_bytes.or(row.bytes);
    EdgeRow {
        tx_mbps: rate(row.bytes, tx),
        rx_mbps: rate(received, rx),
        total_mbps: rate(row.bytes, total),
        tx_gb_per_s: gb(row.bytes, row.tx_ns),
        rx_gb_per_s: gb(received, row.rx_ns),
        total_gb_per_s: gb(row.bytes, row.total_ns),
        ..row
    }
}
