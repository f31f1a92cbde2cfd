//! PrettyTable blocks to records.
//!
//! Cells are rounded for display; rows of zeros are left out by the writer, so an absent row is not recorded.

use crate::model::log::{Format, Record};

use super::assemble::RawTable;
use super::dictionary::{edge_transfer, overall, request_record, stage_request};
use super::fields::Fields;
use super::value::Value;

/// The class for the census, and the records of a table. `None` where the title is of no known kind.
pub(crate) fn records_of(table: &RawTable) -> Option<(&'static str, Vec<Record>)> {
    let column = |index: usize| -> Vec<(String, Value)> {
        let cell = |cells: &Vec<String>| cells.get(index).and_then(|cell| cell_value(cell));
        table.rows.iter().filter_map(|(name, cells)| Some((name.clone(), cell(cells)?))).collect()
    };
    let request = || table.request.as_deref();
    match table.title.as_str() {
        "Overall Summary" => Some(("overall_table", vec![overall(Fields(&column(0)))])),
        "RequestE2EStats" => {
            let record = request_record(Fields(&column(0)), request()?, Format::Table);
            Some(("request_table", vec![Record::Request(record)]))
        }
        "StageRequestStats" => {
            let request = request()?;
            let columns = table.columns.iter().enumerate();
            let made =
                columns.filter_map(|(i, head)| stage_column(head, column(i), request)).collect();
            Some(("stage_table", made))
        }
        "TransferEdgeStats" => {
            let request = request()?;
            let columns = table.columns.iter().enumerate();
            let made = columns
                .filter_map(|(i, head)| edge_transfer(Fields(&column(i)), head, request))
                .collect();
            Some(("edge_table", made))
        }
        _ => None,
    }
}

/// A column headed `0`, or `0_2` for the stage's second pass.
fn stage_column(head: &str, mut fields: Vec<(String, Value)>, request: &str) -> Option<Record> {
    let (stage, instance) = match head.split_once('_') {
        Some((stage, instance)) => (stage, instance.parse().ok()?),
        None => (head, 1),
    };
    let number = Value::Number { text: stage.to_owned(), rounded: false };
    fields.push(("stage_id".to_owned(), number));
    let mut record = stage_request(Fields(&fields), request, Format::Table)?;
    record.instance = instance;
    Some(Record::StageRequest(Box::new(record)))
}

/// A cell: a number with thousands separators, `avg (n=k)` of a list, or a text. `None` where it is blank.
fn cell_value(cell: &str) -> Option<Value> {
    if cell.is_empty() {
        return None;
    }
    let number = cell.split_once(" (n=").map_or(cell, |(average, _)| average);
    let plain = number.replace(',', "");
    let is_number = plain.parse::<f64>().is_ok();
    Some(if is_number {
        Value::Number { text: plain, rounded: true }
    } else {
        Value::Text(cell.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::{RawTable, records_of};
    use crate::model::log::Record;

    #[test]
    fn columns_are_stages() {
        let table = RawTable {
            title: "StageRequestStats".into(),
            request: Some("r".into()),
            columns: vec!["0".into(), "0_2".into()],
            rows: vec![
                ("stage_gen_time_ms".into(), vec!["3,490.640".into(), "1.5 (n=3)".into()]),
                ("output_unit_type".into(), vec!["image".into(), String::new()]),
            ],
        };
        let (class, made) = records_of(&table).unwrap();
        assert_eq!(class, "stage_table");
        let [Record::StageRequest(a), Record::StageRequest(b)] = &made[..] else { panic!() };
        assert_eq!((a.stage, a.instance, b.stage, b.instance), (0, 1, 0, 2));
        assert_eq!(a.generation.unwrap().ns, 3_490_640_000);
        assert_eq!(b.generation.unwrap().ns, 1_500_000);
        assert_eq!((a.other.len(), b.other.len()), (1, 0));
    }
}
