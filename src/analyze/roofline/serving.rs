//! Models of what engines serve: attention over a paged cache, experts, products in groups.

use super::models::{Call, Cost, result_bytes, sum};
use super::shapes::{Tensor, product};
use crate::analyze::iteration_names::{AttentionSums, Batch};

/// What attention works on in one iteration, over all its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Served {
    /// Pairs of a query with a key.
    pairs: u64,
    /// Of these, those that a causal mask hides: query i of n sees all keys before the n and i + 1 of them.
    hidden: u64,
    /// Keys.
    keys: u64,
}

impl Served {
    /// Of one side of a batch; `None` where its annotation does not say.
    fn side(requests: Option<u64>, tokens: Option<u64>, sums: AttentionSums) -> Option<Self> {
        let AttentionSums { sk: Some(keys), sqsq: Some(square), sqsk: Some(pairs) } = sums else {
            return requests.filter(|&n| n == 0).map(|_| Self::default());
        };
        let hidden = square.saturating_sub(tokens.unwrap_or(square)) / 2;
        Some(Self { pairs, hidden: hidden.min(pairs), keys })
    }

    fn of(batch: &Batch) -> Option<Self> {
        let a = Self::side(batch.context_requests, batch.context_tokens, batch.context_sums)?;
        let (requests, tokens) = (batch.generation_requests, batch.generation_tokens);
        let b = Self::side(requests, tokens, batch.generation_sums)?;
        Some(Self {
            pairs: a.pairs.saturating_add(b.pairs),
            hidden: a.hidden.saturating_add(b.hidden),
            keys: a.keys.saturating_add(b.keys),
        })
    }
}

/// Whether the annotation of a batch gives the sums that attention over a paged cache follows from.
pub(super) fn has_sums(batch: &Batch) -> bool {
    Served::of(batch).is_some_and(|served| served.pairs > 0)
}

/// Elements of a token's row: all dimensions but the first.
fn row(tensor: &Tensor) -> Option<u64> {
    Some(product(tensor.dims.split_first()?.1))
}

impl Call<'_> {
    /// Attention of tokens by heads by size, or tokens by both together, over keys and values of a cache.
    pub(super) fn paged_attention(&self, batch: &Batch) -> Option<Cost> {
        let served = Served::of(batch)?;
        let (q, k, v) = (self.tensor("q")?, self.tensor("k")?, self.tensor("v")?);
        let (written_row, sizes) = match (q.dims.as_slice(), v.dims.as_slice()) {
            (&[_, heads, size], &[_, _, value_size]) => {
                let written = heads.saturating_mul(value_size);
                (written, heads.saturating_mul(size).saturating_add(written))
            }
            (&[_, both], &[_, _]) => (both, both.saturating_mul(2)),
            _ => return None,
        };
        let flops = |pairs: u64| Some(product(&[2, sizes, pairs]));
        let tokens = q.dims[0];
        let written = q.dtype.map(|dtype| product(&[tokens, written_row, dtype.bytes()]));
        let cached = row(k)?.saturating_add(row(v)?);
        let read = k.dtype.map(|dtype| product(&[served.keys, cached, dtype.bytes()]));
        Some(Cost {
            flops: flops(served.pairs),
            work_flops: flops(served.pairs - served.hidden),
            bytes: sum([q.bytes(), read, written]),
            dtype: q.dtype,
            ..Cost::default()
        })
    }

    /// A product of which rows, columns or factors lie in groups: each row meets one group's matrix.
    pub(super) fn grouped_gemm(&self) -> Option<Cost> {
        let (a, b) = (self.tensor("a")?, self.tensor("b")?);
        let (batch, rows, inner, columns) = match (a.dims.as_slice(), b.dims.as_slice()) {
            (&[groups, m, k], &[_, _, n]) => (groups, m, k, n),
            (&[m, k], &[_, _, n]) => (1, m, k, n),
            (&[_, m, k], &[_, n]) => (1, m, k, n),
            // Groups of the inner dimension: a product for each, of the sizes that an argument on the device tells.
            _ => return None,
        };
        let flops = product(&[2, batch, rows, inner, columns]);
        let written = a.dtype.map(|dtype| product(&[batch, rows, columns, result_bytes(dtype)]));
        let bytes = sum([a.bytes(), b.bytes(), written]);
        Some(Cost::of(flops, bytes, a.dtype))
    }

    /// Tokens that each go through some of the experts, of two products each.
    pub(super) fn experts(&self) -> Option<Cost> {
        let (x, index) = (self.tensor("x")?, self.tensor("index")?);
        let (w1, w2) = (self.tensor("w1")?, self.tensor("w2")?);
        let (&[_, hidden], &[tokens, of_each]) = (x.dims.as_slice(), index.dims.as_slice()) else {
            return None;
        };
        let &[experts, _, inner] = w1.dims.as_slice() else { return None };
        // Weights that are packed have other sizes than they stand for.
        if inner != hidden || w2.dims.get(1) != Some(&hidden) {
            return None;
        }
        let rows = tokens.saturating_mul(of_each);
        let flops = product(&[2, rows, row(w1)?.saturating_add(row(w2)?)]);
        let met = experts.min(rows);
        let weights = |w: &Tensor| Some(product(&[met, row(w)?, w.dtype?.bytes()]));
        let bytes = sum([x.bytes(), x.bytes(), index.bytes(), weights(w1), weights(w2)]);
        Some(Cost::of(flops, bytes, x.dtype))
    }
}
