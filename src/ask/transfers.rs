//! The report of copies and collectives.

use super::inputs;
use crate::align::Together;
use crate::analyze::base::TimeBase;
use crate::analyze::collectives::{CollectiveInput, collectives};
use crate::analyze::copies::{CopiesConfig, copies};
use crate::read::Input;
use crate::table::{BandwidthReport, InputRow};

/// What is known of the transfers of some inputs with their time bases.
pub fn bandwidth_report(
    config: &CopiesConfig,
    inputs: &[Input],
    bases: &[&TimeBase],
    together: &Together,
) -> BandwidthReport {
    let mut report = BandwidthReport::new();
    for (number, (input, base)) in inputs.iter().zip(bases).enumerate() {
        let copies = copies(&input.store, base, config);
        let mut diag = input.diag.clone();
        copies.report_above_peak(&mut diag);
        let row = inputs::input(number, input, &diag, &base.windows);
        report.inputs.push(InputRow { run: together.runs[number], ..row });
        report.add_copies(copies);
        report.issues.extend(inputs::issues(number, &diag));
    }
    let all: Vec<CollectiveInput<'_>> = inputs
        .iter()
        .zip(bases)
        .map(|(input, base)| CollectiveInput {
            store: &input.store,
            base,
            stage: input.identity.stage,
            rank: input.identity.rank,
        })
        .collect();
    report.add_collectives(collectives(&all, &together.matched, config.peaks));
    report
}
