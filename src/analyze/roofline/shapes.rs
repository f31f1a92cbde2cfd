//! The recorded inputs of an operator call: `Input Dims`, `Input type`, `Input Strides`, `Concrete Inputs`.
//!
//! Texts are the JSON as written. What does not parse is as if it were not recorded.

use serde_json::Value;

use crate::store::{Shapes, Store};

/// One input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Input {
    /// The tensors of it: one, or those of a list; none for what is no tensor.
    pub tensors: Vec<Tensor>,
    /// The value as written, for what is no tensor: `1`, `True`, `[2, 2]`.
    pub concrete: Option<String>,
}

/// A tensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tensor {
    /// Its size by dimension.
    pub dims: Vec<u64>,
    /// The steps between elements by dimension, where recorded.
    pub strides: Vec<i64>,
    /// Type of the elements.
    pub dtype: Option<Dtype>,
}

impl Tensor {
    /// Elements; saturates.
    pub(super) fn elements(&self) -> u64 {
        product(&self.dims)
    }

    /// Bytes that lie in memory: a dimension that repeats (stride 0) lies there once. `None` where the type is not known.
    pub(super) fn bytes(&self) -> Option<u64> {
        let repeats = |i: usize| self.strides.get(i) == Some(&0);
        let dims = self.dims.iter().enumerate().filter(|&(i, _)| !repeats(i));
        let elements = dims.fold(1_u64, |product, (_, &dim)| product.saturating_mul(dim));
        Some(elements.saturating_mul(self.dtype?.bytes()))
    }
}

/// The product of sizes; saturates.
pub(super) fn product(sizes: &[u64]) -> u64 {
    sizes.iter().fold(1_u64, |product, &size| product.saturating_mul(size))
}

crate::schema::words! {
    /// The type of elements, as far as rates depend on it.
    Dtype {
        /// `double`.
        Fp64 "fp64",
        /// `float`, by other than the matrix units of 19 bits.
        Fp32 "fp32",
        /// `float`, with factors of 19 bits.
        Tf32 "tf32",
        /// `c10::BFloat16`.
        Bf16 "bf16",
        /// `c10::Half`.
        Fp16 "fp16",
        /// `c10::Float8_e4m3fn` and its kin.
        Fp8 "fp8",
        /// `signed char`, `unsigned char`.
        Int8 "int8",
        /// `short`.
        Int16 "int16",
        /// `int`.
        Int32 "int32",
        /// `long`.
        Int64 "int64",
        /// `bool`.
        Bool "bool",
        /// `c10::complex<float>`.
        Complex64 "complex64",
        /// `c10::complex<double>`.
        Complex128 "complex128",
    }
}

impl Dtype {
    /// The type that torch writes so.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "double" => Self::Fp64,
            "float" => Self::Fp32,
            "c10::BFloat16" => Self::Bf16,
            "c10::Half" => Self::Fp16,
            "signed char" | "unsigned char" => Self::Int8,
            "short" | "short int" | "unsigned short" => Self::Int16,
            "int" | "unsigned int" => Self::Int32,
            "long" | "long int" | "unsigned long" => Self::Int64,
            "bool" => Self::Bool,
            "c10::complex<float>" => Self::Complex64,
            "c10::complex<double>" => Self::Complex128,
            _ if text.starts_with("c10::Float8_") => Self::Fp8,
            _ => return None,
        })
    }

    /// The type that c10 names so, as collectives have it.
    pub(super) fn of_scalar(name: &str) -> Option<Self> {
        Some(match name {
            "Double" => Self::Fp64,
            "Float" => Self::Fp32,
            "BFloat16" => Self::Bf16,
            "Half" => Self::Fp16,
            "Char" | "Byte" => Self::Int8,
            "Short" | "UInt16" => Self::Int16,
            "Int" | "UInt32" => Self::Int32,
            "Long" | "UInt64" => Self::Int64,
            "Bool" => Self::Bool,
            "ComplexFloat" => Self::Complex64,
            "ComplexDouble" => Self::Complex128,
            _ if name.starts_with("Float8_") => Self::Fp8,
            _ => return None,
        })
    }

    /// Bytes of an element.
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::Fp8 | Self::Int8 | Self::Bool => 1,
            Self::Bf16 | Self::Fp16 | Self::Int16 => 2,
            Self::Fp32 | Self::Tf32 | Self::Int32 => 4,
            Self::Fp64 | Self::Int64 | Self::Complex64 => 8,
            Self::Complex128 => 16,
        }
    }
}

/// The inputs of a call in order; none where nothing is recorded.
pub(super) fn inputs(store: &Store, shapes: &Shapes) -> Vec<Input> {
    let array = |text| match text {
        Some(id) => serde_json::from_str::<Vec<Value>>(store.strings.get(id)).unwrap_or_default(),
        None => Vec::new(),
    };
    let (dims, types) = (array(shapes.dims), array(shapes.types));
    let (strides, concrete) = (array(shapes.strides), array(shapes.concrete));
    let count = dims.len().max(types.len());
    (0..count).map(|i| input([&dims, &types, &strides, &concrete].map(|all| all.get(i)))).collect()
}

fn input([dims, kind, strides, concrete]: [Option<&Value>; 4]) -> Input {
    let kind = kind.and_then(Value::as_str).unwrap_or_default();
    let concrete = concrete.and_then(Value::as_str).filter(|text| !text.is_empty());
    let dtype = Dtype::parse(kind);
    let tensors = match (kind, dims.and_then(Value::as_array)) {
        ("TensorList" | "GenericList" | "OptionalTensorList", Some(all)) => all
            .iter()
            .filter_map(Value::as_array)
            .filter_map(|dims| tensor(dims, None, None))
            .collect(),
        ("", Some(dims)) if dims.is_empty() => Vec::new(),
        ("" | "Scalar" | "ScalarList", _) => Vec::new(),
        (_, Some(dims)) => {
            let strides = strides.and_then(Value::as_array).map(Vec::as_slice);
            tensor(dims, strides, dtype).into_iter().collect()
        }
        _ => Vec::new(),
    };
    Input { tensors, concrete: concrete.map(str::to_owned) }
}

fn tensor(dims: &[Value], strides: Option<&[Value]>, dtype: Option<Dtype>) -> Option<Tensor> {
    let dims: Option<Vec<u64>> = dims.iter().map(Value::as_u64).collect();
    let strides = strides.unwrap_or_default().iter().map(Value::as_i64).collect::<Option<_>>();
    Some(Tensor { dims: dims?, strides: strides.unwrap_or_default(), dtype })
}
