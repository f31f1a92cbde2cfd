//! The machine output of `analyze`, and the tables that people see of it.

use serde::Serialize;

use super::{
    DeviceRow, InputRow, IssueRow, KernelRow, KeyAverageRow, Table, ThreadClassRow, ThreadRow,
    TotalsRow, WaitRow, kernel_table, key_average_table, transfer_table,
};

/// Version of the machine output. Fields are only ever added; a change of meaning raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that `analyze` found: one object whose field names and order other tools rely on.
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

impl AnalyzeReport {
    /// The tables in the order of reading: inputs and their trust first, where the time went, then the details.
    ///
    /// Tables whose subject was not recorded at all are there and empty; `shows_name` filters rows by name.
    pub fn tables(&self, shows_name: impl Fn(&str) -> bool) -> Vec<Table> {
        let threads: Vec<ThreadClassRow<'_>> =
            self.threads.iter().flat_map(ThreadRow::class_rows).collect();
        let waits = self.waits.iter().filter(|row| shows_name(&row.name));
        vec![
            Table::of("inputs", "Inputs", &self.inputs),
            Table::of("devices", "Devices", &self.devices),
            Table::of("threads", "Threads", &threads),
            Table::of("waits", "Waits", waits),
            key_average_table(&self.key_averages, &self.totals, &shows_name),
            kernel_table(&self.kernels, &shows_name),
            transfer_table(&self.kernels, &shows_name),
            Table::of("issues", "Issues", &self.issues),
        ]
    }
}
