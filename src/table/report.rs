//! The machine output of `analyze`, and the tables that people see of it.

use serde::Serialize;

use super::{
    DeviceRow, InputRow, IssueRow, KernelRow, KeyAverageRow, Table, ThreadRow, TotalsRow, WaitRow,
    idle_table, kernel_table, key_average_table, thread_table, transfer_table,
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
        let waits = self.waits.iter().filter(|row| shows_name(&row.name));
        vec![
            Table::of("inputs", "Inputs", &self.inputs),
            or_note(Table::of("devices", "Devices", &self.devices), NO_DEVICE),
            or_note(idle_table(&self.devices), NO_IDLE),
            thread_table(&self.threads),
            Table::of("waits", "Waits", waits),
            key_average_table(&self.key_averages, &self.totals, &shows_name),
            kernel_table(&self.kernels, &shows_name),
            transfer_table(&self.kernels, &shows_name),
            Table::of("issues", "Issues", &self.issues),
        ]
    }
}

/// What stands where a table about devices is empty.
const NO_DEVICE: &str = "no device activity was recorded";

/// What stands where no device was idle or none was seen.
const NO_IDLE: &str = "no idle time was seen";

fn or_note(table: Table, note: &str) -> Table {
    if table.rows.is_empty() { table.with_note(note) } else { table }
}
