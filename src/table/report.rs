//! The machine output of `analyze`: one object whose field names and order other tools rely on.

use serde::Serialize;

use super::{
    DeviceRow, InputRow, IssueRow, KernelRow, KeyAverageRow, ThreadRow, TotalsRow, WaitRow,
};

/// Version of the machine output. Fields are only ever added; a change of meaning raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that `analyze` found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AnalyzeReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `analyze`.
    pub command: &'static str,
    /// Inputs, in the order given or found.
    pub inputs: Vec<InputRow>,
    /// Host threads, by input, pid and tid.
    pub threads: Vec<ThreadRow>,
    /// Devices, by input and index.
    pub devices: Vec<DeviceRow>,
    /// The profiler table over all inputs.
    pub key_averages: Vec<KeyAverageRow>,
    /// Its totals.
    pub totals: TotalsRow,
    /// Device activity by name over all inputs, the largest sum first.
    pub kernels: Vec<KernelRow>,
    /// What threads waited in, by input.
    pub waits: Vec<WaitRow>,
    /// What was odd, by input.
    pub issues: Vec<IssueRow>,
}
