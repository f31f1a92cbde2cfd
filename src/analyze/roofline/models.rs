//! Models of operators: what their inputs say of FLOPs and bytes. Models are data, see `op_models.default`.
//!
//! FLOPs are those of `torch.utils.flop_counter.FlopCounterMode` (torch 2.11): two for each multiplication with its addition,
//! of products, convolutions and attention. Bytes are what has to be read and written at least once, whatever caches do.

use super::shapes::{Dtype, Input, Tensor, product};
use crate::analyze::iteration_names::Batch;
use crate::analyze::wait_rules::{RuleError, glob_matches, parse_lines, word};

/// The text of the default models.
pub const DEFAULT_OP_MODELS: &str = include_str!("op_models.default");

/// What one call costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    /// As `FlopCounterMode` counts; `None` where only bytes are modelled.
    pub flops: Option<u64>,
    /// Of these, what has to be computed: without keys that a causal mask hides.
    pub work_flops: Option<u64>,
    /// Read and written at least; `None` where a type is not known. Of a collective its size.
    pub bytes: Option<u64>,
    /// Type of the factors.
    pub dtype: Option<Dtype>,
    /// What goes over the links to other devices, where it is a collective.
    pub transfer: Option<Transfer>,
}

/// Bytes over the links of one device, in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Transfer {
    /// What each rank sends or receives at least.
    pub bus_bytes: f64,
    /// The link's peak in GB/s; `None` where it is not known.
    pub gb_per_s: Option<f64>,
}

impl Transfer {
    /// Both, over the same link.
    fn and(self, other: Self) -> Self {
        Self { bus_bytes: self.bus_bytes + other.bus_bytes, ..self }
    }

    /// Nanoseconds at the peak of the link.
    pub(super) fn ns(self) -> Option<f64> {
        Some(self.bus_bytes / self.gb_per_s?)
    }
}

impl Cost {
    /// Of a product of which nothing is left out.
    pub(super) fn of(flops: u64, bytes: Option<u64>, dtype: Option<Dtype>) -> Self {
        let flops = Some(flops);
        Self { flops, work_flops: flops, bytes, dtype, transfer: None }
    }

    /// The cost of two calls together.
    pub(super) fn and(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
        Self {
            flops: sum(self.flops, other.flops),
            work_flops: sum(self.work_flops, other.work_flops),
            bytes: sum(self.bytes, other.bytes),
            dtype: self.dtype,
            transfer: self.transfer.zip(other.transfer).map(|(own, other)| own.and(other)),
        }
    }
}

/// How the shapes make the cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Gemm,
    Convolution,
    ConvolutionBackward,
    Attention,
    AttentionBackward,
    Elementwise,
    Reduce,
    Copy,
    Gather,
    Arguments,
    GroupedGemm,
    Experts,
    PagedAttention,
    /// No model.
    Nothing,
}

impl Shape {
    const ALL: [(&str, Self); 14] = [
        ("gemm", Self::Gemm),
        ("convolution", Self::Convolution),
        ("convolution_backward", Self::ConvolutionBackward),
        ("attention", Self::Attention),
        ("attention_backward", Self::AttentionBackward),
        ("elementwise", Self::Elementwise),
        ("reduce", Self::Reduce),
        ("copy", Self::Copy),
        ("gather", Self::Gather),
        ("arguments", Self::Arguments),
        ("grouped_gemm", Self::GroupedGemm),
        ("experts", Self::Experts),
        ("paged_attention", Self::PagedAttention),
        ("none", Self::Nothing),
    ];

    /// The inputs that a line has to name.
    fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Gemm | Self::GroupedGemm => &["a", "b"],
            Self::Experts => &["x", "w1", "w2", "index"],
            Self::Convolution => &["x", "w", "stride", "padding", "dilation", "transposed"],
            Self::ConvolutionBackward => &["gradient", "x", "w", "transposed", "mask"],
            Self::Attention | Self::PagedAttention => &["q", "k", "v"],
            Self::AttentionBackward => &["gradient", "q", "k", "v"],
            Self::Copy => &["to", "from"],
            Self::Gather => &["table", "index"],
            Self::Elementwise | Self::Reduce | Self::Arguments | Self::Nothing => &[],
        }
    }
}

/// Which input is what.
const PLACES: [&str; 23] = [
    "a",
    "b",
    "c",
    "x",
    "w",
    "q",
    "k",
    "v",
    "gradient",
    "stride",
    "padding",
    "dilation",
    "transposed",
    "output_padding",
    "groups",
    "mask",
    "causal",
    "to",
    "from",
    "table",
    "index",
    "w1",
    "w2",
];

/// One model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpModel {
    shape: Shape,
    places: Vec<(&'static str, usize)>,
    /// Of attention: batch×length×heads×size.
    is_bshd: bool,
    pattern: Vec<String>,
}

/// Models in order: the first whose pattern matches decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpModels {
    models: Vec<OpModel>,
}

impl Default for OpModels {
    fn default() -> Self {
        Self::parse(DEFAULT_OP_MODELS).expect("the default models are tested to be valid")
    }
}

impl OpModels {
    /// The models of a text.
    ///
    /// # Errors
    ///
    /// The first line that is no model.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        parse_lines(text, parse_model).map(|models| Self { models })
    }

    /// The default models after those of a text, which therefore come first.
    ///
    /// # Errors
    ///
    /// The first line that is no model.
    pub fn with_defaults(text: &str) -> Result<Self, RuleError> {
        let mut models = Self::parse(text)?.models;
        models.extend(Self::default().models);
        Ok(Self { models })
    }

    /// The model of an operator.
    pub(super) fn find(&self, name: &str) -> Option<&OpModel> {
        let found = self.models.iter().find(|model| glob_matches(&model.pattern, name))?;
        (found.shape != Shape::Nothing).then_some(found)
    }
}

fn parse_model(line: &str) -> Result<OpModel, String> {
    let (pattern, rest) = word(line);
    let (name, mut rest) = word(rest);
    let known = Shape::ALL.iter().find(|(known, _)| *known == name);
    let names = || Shape::ALL.map(|(name, _)| name).join(", ");
    let &(_, shape) =
        known.ok_or_else(|| format!("unknown model `{name}`: expected {}", names()))?;
    let pattern = pattern.split('*').map(str::to_owned).collect();
    let mut model = OpModel { shape, places: Vec::new(), is_bshd: false, pattern };
    while !rest.is_empty() {
        let (one, behind) = word(rest);
        model.read(one)?;
        rest = behind;
    }
    match shape.needs().iter().find(|need| model.place(need).is_none()) {
        Some(need) => Err(format!("model `{name}` needs {need}=INPUT")),
        None => Ok(model),
    }
}

impl OpModel {
    /// Reads `a=0`, `layout=bshd`.
    fn read(&mut self, text: &str) -> Result<(), String> {
        let (key, value) =
            text.split_once('=').ok_or_else(|| format!("`{text}` is not WHAT=INPUT"))?;
        match (key, value) {
            ("layout", "bhsd" | "bshd") => self.is_bshd = value == "bshd",
            ("layout", _) => {
                return Err(format!("unknown layout `{value}`: expected bhsd or bshd"));
            }
            _ => {
                let place = PLACES.iter().find(|place| **place == key);
                let place = place.ok_or_else(|| {
                    format!("unknown input `{key}`: expected {}", PLACES.join(", "))
                })?;
                let input =
                    value.parse().map_err(|_| format!("`{value}` is no number of an input"))?;
                self.places.push((place, input));
            }
        }
        Ok(())
    }

    fn place(&self, what: &str) -> Option<usize> {
        self.places.iter().find(|(place, _)| *place == what).map(|&(_, input)| input)
    }

    /// The word of the model.
    pub(super) fn name(&self) -> &'static str {
        Shape::ALL.iter().find(|(_, shape)| *shape == self.shape).map_or("none", |&(name, _)| name)
    }

    /// Whether the cost follows from what the iteration serves, not from the inputs alone.
    pub(super) fn is_of_batch(&self) -> bool {
        self.shape == Shape::PagedAttention
    }

    /// The cost of a call in an iteration that serves `batch`; `None` where the two do not tell.
    pub(super) fn cost(&self, inputs: &[Input], batch: Option<&Batch>) -> Option<Cost> {
        let call = Call { model: self, inputs };
        match self.shape {
            Shape::Gemm => call.gemm(),
            Shape::Convolution => call.convolution(),
            Shape::ConvolutionBackward => call.convolution_backward(),
            Shape::Attention => call.attention(),
            Shape::AttentionBackward => call.attention_backward(),
            Shape::Elementwise => call.elementwise(),
            Shape::Reduce | Shape::Arguments => call.every_tensor_once(),
            Shape::Copy => call.copy(),
            Shape::Gather => call.gather(),
            Shape::GroupedGemm => call.grouped_gemm(),
            Shape::Experts => call.experts(),
            Shape::PagedAttention => call.paged_attention(batch?),
            Shape::Nothing => None,
        }
    }
}

/// A call with its model.
pub(super) struct Call<'a> {
    model: &'a OpModel,
    inputs: &'a [Input],
}

/// A call to attention: sizes and types.
struct Attention {
    batch: u64,
    heads: u64,
    queries: u64,
    keys: u64,
    size: u64,
    value_size: u64,
}

impl Attention {
    /// Query and key pairs; with a causal mask query i sees keys 0 to i.
    fn pairs(&self, is_causal: bool) -> u64 {
        if !is_causal {
            return self.queries.saturating_mul(self.keys);
        }
        let square = self.queries.min(self.keys);
        let triangle = (square.saturating_mul(square.saturating_add(1))) / 2;
        let below = self.queries.saturating_sub(square).saturating_mul(self.keys);
        triangle.saturating_add(below)
    }

    /// FLOPs of products over the sizes of queries and of values, so many of each.
    fn flops(&self, of_queries: u64, of_values: u64, pairs: u64) -> u64 {
        let sizes = of_queries
            .saturating_mul(self.size)
            .saturating_add(of_values.saturating_mul(self.value_size));
        product(&[2, self.batch, self.heads, pairs, sizes])
    }
}

/// Bytes of an element of what a product writes: half precision for what narrower factors make.
pub(super) fn result_bytes(dtype: Dtype) -> u64 {
    match dtype {
        Dtype::Fp8 => 2,
        Dtype::Int8 => 4,
        other => other.bytes(),
    }
}

pub(super) fn sum(parts: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    parts.into_iter().try_fold(0_u64, |sum, part| Some(sum.saturating_add(part?)))
}

impl<'a> Call<'a> {
    fn input(&self, what: &str) -> Option<&'a Input> {
        self.inputs.get(self.model.place(what)?)
    }

    pub(super) fn tensor(&self, what: &str) -> Option<&'a Tensor> {
        self.input(what)?.tensors.first()
    }

    /// A flag as written; `false` where it is not.
    fn flag(&self, what: &str) -> bool {
        self.input(what).and_then(|input| input.concrete.as_deref()) == Some("True")
    }

    /// A list of numbers as written, or one number: `[2, 2]`.
    fn numbers(&self, what: &str) -> Option<Vec<u64>> {
        let text = self.input(what)?.concrete.as_deref()?;
        let inner = text.trim_start_matches('[').trim_end_matches(']');
        inner.split(',').map(str::trim).filter(|n| !n.is_empty()).map(|n| n.parse().ok()).collect()
    }

    fn every(&self) -> impl Iterator<Item = &'a Tensor> {
        self.inputs.iter().flat_map(|input| &input.tensors)
    }

    fn of_bytes(&self, bytes: Option<u64>) -> Option<Cost> {
        let first = self.every().next()?;
        Some(Cost { bytes, dtype: first.dtype, ..Cost::default() })
    }

    fn gemm(&self) -> Option<Cost> {
        let (a, b) = (self.tensor("a")?, self.tensor("b")?);
        let (&k, left) = a.dims.split_last()?;
        let rows = product(left);
        let columns = match (b.dims.as_slice(), self.model.place("transposed")) {
            ([_], _) => 1,
            ([.., n, _], Some(1)) => *n,
            ([.., n], _) => *n,
            _ => return None,
        };
        let flops = product(&[2, rows, k, columns]);
        let dtype = a.dtype;
        let written = dtype.map(|dtype| product(&[rows, columns, result_bytes(dtype)]));
        let c = self.tensor("c").map_or(Some(0), Tensor::bytes);
        let bytes = sum([a.bytes(), b.bytes(), c, written]);
        Some(Cost::of(flops, bytes, dtype))
    }

    fn copy(&self) -> Option<Cost> {
        let (to, from) = (self.tensor("to")?, self.tensor("from")?);
        self.of_bytes(sum([to.bytes(), from.bytes()]))
    }

    fn gather(&self) -> Option<Cost> {
        let (table, index) = (self.tensor("table")?, self.tensor("index")?);
        let (_, row) = table.dims.split_first()?;
        let moved =
            table.dtype.map(|dtype| product(&[2, index.elements(), product(row), dtype.bytes()]));
        self.of_bytes(sum([moved, index.bytes()]))
    }

    fn every_tensor_once(&self) -> Option<Cost> {
        self.of_bytes(sum(self.every().map(Tensor::bytes)))
    }

    fn elementwise(&self) -> Option<Cost> {
        let read = sum(self.every().map(Tensor::bytes));
        let largest = self.every().max_by_key(|tensor| tensor.elements())?;
        let written =
            largest.dtype.map(|dtype| broadcast(self.every()).saturating_mul(dtype.bytes()));
        self.of_bytes(sum([read, written]))
    }

    fn attention_sizes(&self) -> Option<Attention> {
        let (q, k, v) = (self.tensor("q")?, self.tensor("k")?, self.tensor("v")?);
        let &[batch, first, second, size] = q.dims.as_slice() else { return None };
        let length =
            |tensor: &Tensor| tensor.dims.get(if self.model.is_bshd { 1 } else { 2 }).copied();
        let (heads, queries) = if self.model.is_bshd { (second, first) } else { (first, second) };
        let value_size = *v.dims.last()?;
        Some(Attention { batch, heads, queries, keys: length(k)?, size, value_size })
    }

    fn attention(&self) -> Option<Cost> {
        let sizes = self.attention_sizes()?;
        let flops = |is_causal| Some(sizes.flops(1, 1, sizes.pairs(is_causal)));
        let q = self.tensor("q")?;
        let (batch, heads) = (sizes.batch, sizes.heads);
        let written = q
            .dtype
            .map(|dtype| product(&[batch, heads, sizes.queries, sizes.value_size, dtype.bytes()]));
        let read = ["q", "k", "v"].map(|what| self.tensor(what).and_then(Tensor::bytes));
        let bytes = sum(read.into_iter().chain([written]));
        Some(Cost {
            flops: flops(false),
            work_flops: flops(self.flag("causal")),
            bytes,
            dtype: q.dtype,
            ..Cost::default()
        })
    }

    fn attention_backward(&self) -> Option<Cost> {
        let sizes = self.attention_sizes()?;
        let flops = |is_causal| Some(sizes.flops(3, 2, sizes.pairs(is_causal)));
        // Reads the gradient, q, k, v, and writes the gradients of q, k, v.
        let tensors = ["gradient", "q", "q", "k", "k", "v", "v"];
        let bytes = sum(tensors.map(|what| self.tensor(what).and_then(Tensor::bytes)));
        let dtype = self.tensor("q")?.dtype;
        Some(Cost {
            flops: flops(false),
            work_flops: flops(self.flag("causal")),
            bytes,
            dtype,
            ..Cost::default()
        })
    }

    fn convolution(&self) -> Option<Cost> {
        let (x, w) = (self.tensor("x")?, self.tensor("w")?);
        let is_transposed = self.flag("transposed");
        let out = self.convolved(&x.dims, &w.dims)?;
        let over = if is_transposed { &x.dims } else { &out };
        let flops = convolution_flops(&x.dims, &w.dims, over)?;
        let written = x.dtype.map(|dtype| product(&out).saturating_mul(dtype.bytes()));
        let bytes = sum([x.bytes(), w.bytes(), written]);
        Some(Cost::of(flops, bytes, x.dtype))
    }

    /// The shape of a convolution's result.
    fn convolved(&self, x: &[u64], w: &[u64]) -> Option<Vec<u64>> {
        let (stride, padding) = (self.numbers("stride")?, self.numbers("padding")?);
        let dilation = self.numbers("dilation")?;
        let at = |list: &[u64], i: usize| list.get(i).or(list.first()).copied();
        let is_transposed = self.flag("transposed");
        let outside = self.numbers("output_padding").unwrap_or_default();
        let groups = self.numbers("groups").and_then(|n| n.first().copied()).unwrap_or(1);
        let channels = if is_transposed { w.get(1)?.saturating_mul(groups) } else { *w.first()? };
        let mut out = vec![*x.first()?, channels];
        for (i, (&size, &filter)) in x.get(2..)?.iter().zip(w.get(2..)?).enumerate() {
            let (stride, padding) = (at(&stride, i)?, at(&padding, i)?);
            let reach = at(&dilation, i)?.checked_mul(filter.checked_sub(1)?)?;
            out.push(if is_transposed {
                let grown = size.checked_sub(1)?.checked_mul(stride)?.checked_add(reach)?;
                let grown = grown.checked_add(1)?.checked_add(at(&outside, i).unwrap_or(0))?;
                grown.checked_sub(padding.checked_mul(2)?)?
            } else {
                let room = size
                    .checked_add(padding.checked_mul(2)?)?
                    .checked_sub(reach.checked_add(1)?)?;
                room.checked_div(stride)?.checked_add(1)?
            });
        }
        Some(out)
    }

    fn convolution_backward(&self) -> Option<Cost> {
        let (gradient, x, w) = (self.tensor("gradient")?, self.tensor("x")?, self.tensor("w")?);
        let is_transposed = self.flag("transposed");
        let mask = self.input("mask")?.concrete.as_deref()?;
        let mut wanted = mask.trim_matches(['[', ']']).split(',').map(|one| one.trim() == "True");
        let mut flops = 0_u64;
        if wanted.next()? {
            // Of the input: the convolution the other way.
            let over = if is_transposed { &x.dims } else { &gradient.dims };
            flops = flops.saturating_add(convolution_flops(&gradient.dims, &w.dims, over)?);
        }
        if wanted.next()? {
            // Of the weights: input and gradient convolve with each other, channels and batch exchanged.
            let turned = |dims: &[u64]| {
                let mut dims = dims.to_vec();
                if dims.len() > 1 {
                    dims.swap(0, 1);
                }
                dims
            };
            let (x, gradient) = (turned(&x.dims), turned(&gradient.dims));
            let (x, filter) = if is_transposed { (gradient, x) } else { (x, gradient) };
            flops = flops.saturating_add(convolution_flops(&x, &filter, &turned(&w.dims))?);
        }
        let bytes = sum([gradient, x, x, w, w].map(Tensor::bytes));
        Some(Cost::of(flops, bytes, x.dtype))
    }
}

/// FLOPs of a convolution whose filter stands at every place of `over`.
fn convolution_flops(x: &[u64], w: &[u64], over: &[u64]) -> Option<u64> {
    Some(product(&[2, *x.first()?, product(over.get(2..)?), product(w)]))
}

/// Elements of the common shape of tensors.
fn broadcast<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> u64 {
    let mut common: Vec<u64> = Vec::new();
    for tensor in tensors {
        for (i, &dim) in tensor.dims.iter().rev().enumerate() {
            match common.get_mut(i) {
                Some(size) => *size = if *size == 1 { dim } else { *size },
                None => common.push(dim),
            }
        }
    }
    product(&common)
}
