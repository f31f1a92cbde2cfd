//! Torch's own text of its profiler table, byte for byte (`_build_table` of `torch/autograd/profiler_util.py`).
//!
//! For `diff` against a `profiler_out_*.txt` and nothing else: it cuts long names, it shows annotation rows as a share
//! of a total that does not hold them, and it prints negative times in microseconds, as torch does.

use crate::table::torch::{TorchRow, TorchSort, TorchTable};

/// The arguments of torch's `table()`, with its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TorchTableOptions {
    /// `sort_by`; `None` keeps the order of the rows.
    pub sort_by: Option<TorchSort>,
    /// `row_limit`; `None` for all rows (torch: -1).
    pub row_limit: Option<usize>,
    /// `max_name_column_width`; `None` for no limit.
    pub max_name_width: Option<usize>,
    /// `max_shapes_column_width`; `None` for no limit.
    pub max_shapes_width: Option<usize>,
    /// `max_src_column_width`; `None` for no limit.
    pub max_source_width: Option<usize>,
}

impl Default for TorchTableOptions {
    fn default() -> Self {
        Self {
            sort_by: None,
            row_limit: Some(100),
            max_name_width: Some(55),
            max_shapes_width: Some(80),
            max_source_width: Some(75),
        }
    }
}

const COLUMN_WIDTH: usize = 12;

/// Columns of device times: own, share of it, total, average.
const DEVICE_TIMES: u64 = 4;

/// Which columns there are, and how wide.
struct Columns {
    device_time: bool,
    memory: bool,
    device_memory: bool,
    name_width: usize,
    shapes_width: Option<usize>,
    source_width: Option<usize>,
    n_numbers: usize,
}

/// The sums that shares are of, in microseconds, added in the order of the rows as torch does.
struct Totals {
    self_cpu_us: f64,
    self_device_us: f64,
}

/// The text of `table()`; empty where there are no rows.
pub fn torch_table(table: &TorchTable, options: &TorchTableOptions) -> String {
    if table.rows.is_empty() {
        return String::new();
    }
    let rows = sorted(table, options);
    let columns = Columns::new(table, options);
    let totals = Totals {
        self_cpu_us: rows.iter().fold(0.0, |sum, row| sum + row.times.self_cpu_us),
        self_device_us: rows
            .iter()
            .filter(|row| row.is_device_activity)
            .fold(0.0, |sum, row| sum + row.times.self_device_us),
    };
    let mut text = String::new();
    let rule = columns.rule();
    text.push_str(&rule);
    columns.push_line(&mut text, &columns.titles(&table.device_label));
    text.push_str(&rule);
    for row in rows.iter().take(options.row_limit.unwrap_or(usize::MAX)) {
        columns.push_row(&mut text, row, &totals, options);
    }
    text.push_str(&rule);
    text.push_str(&format!("Self CPU time total: {}\n", time_text(totals.self_cpu_us)));
    if columns.device_time {
        let device = &table.device_label;
        let total = time_text(totals.self_device_us);
        text.push_str(&format!("Self {device} time total: {total}\n"));
    }
    text
}

/// How many of the cells that [`torch_table`] prints say 0 of a device time that the trace does not tell.
pub fn unrecorded_cells(table: &TorchTable, options: &TorchTableOptions) -> u64 {
    let shown = sorted(table, options).into_iter().take(options.row_limit.unwrap_or(usize::MAX));
    let n_rows = shown.filter(|row| row.lacks_device_time).count() as u64;
    if Columns::new(table, options).device_time { n_rows * DEVICE_TIMES } else { 0 }
}

/// The rows in the order of the table.
fn sorted<'a>(table: &'a TorchTable, options: &TorchTableOptions) -> Vec<&'a TorchRow> {
    let mut rows: Vec<&TorchRow> = table.rows.iter().collect();
    if let Some(sort) = options.sort_by {
        rows.sort_by(|a, b| sort.compare(b, a));
    }
    rows
}

impl Columns {
    fn new(table: &TorchTable, options: &TorchTableOptions) -> Self {
        let rows = &table.rows;
        let device_time = rows.iter().any(|row| row.times.self_device_us > 0.0);
        let device_memory = table.has_memory && rows.iter().any(|row| row.self_device_bytes > 0);
        let name_width = limited(longest(rows.iter().map(|row| &row.name)), options.max_name_width);
        let shapes = || rows.iter().filter_map(|row| row.input_shapes.as_ref());
        let has_shapes = shapes().any(|text| text != "[]");
        let frames = || rows.iter().flat_map(|row| &row.stack);
        Self {
            device_time,
            memory: table.has_memory,
            device_memory,
            name_width,
            shapes_width: has_shapes.then(|| limited(longest(shapes()), options.max_shapes_width)),
            source_width: frames()
                .next()
                .is_some()
                .then(|| limited(longest(frames()), options.max_source_width)),
            n_numbers: 6
                + DEVICE_TIMES as usize * usize::from(device_time)
                + 2 * usize::from(table.has_memory)
                + 2 * usize::from(device_memory),
        }
    }

    fn rule(&self) -> String {
        let numbers = std::iter::repeat_n(COLUMN_WIDTH, self.n_numbers);
        let widths = std::iter::once(self.name_width)
            .chain(numbers)
            .chain(self.shapes_width)
            .chain(self.source_width);
        let mut rule: String = widths.map(|width| "-".repeat(width) + "  ").collect();
        rule.push('\n');
        rule
    }

    fn titles(&self, device: &str) -> Vec<String> {
        let mut titles: Vec<String> =
            ["Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg"]
                .map(str::to_owned)
                .to_vec();
        if self.device_time {
            titles.push(format!("Self {device}"));
            titles.push(format!("Self {device} %"));
            titles.push(format!("{device} total"));
            titles.push(format!("{device} time avg"));
        }
        if self.memory {
            titles.push("CPU Mem".to_owned());
            titles.push("Self CPU Mem".to_owned());
        }
        if self.device_memory {
            titles.push(format!("{device} Mem"));
            titles.push(format!("Self {device} Mem"));
        }
        titles.push("# of Calls".to_owned());
        titles.extend(self.shapes_width.map(|_| "Input Shapes".to_owned()));
        titles.extend(self.source_width.map(|_| "Source Location".to_owned()));
        titles
    }

    /// One line of cells; those that are missing at the end are blank.
    fn push_line(&self, text: &mut String, cells: &[String]) {
        let mut cells = cells.iter().map(String::as_str).chain(std::iter::repeat(""));
        let mut next = || cells.next().unwrap_or_default();
        push_right(text, next(), self.name_width);
        for _ in 0..self.n_numbers {
            push_right(text, next(), COLUMN_WIDTH);
        }
        if let Some(width) = self.shapes_width {
            push_right(text, next(), width);
        }
        if let Some(width) = self.source_width {
            text.push_str(&format!("{:<width$}  ", next()));
        }
        text.push('\n');
    }

    fn push_row(
        &self,
        text: &mut String,
        row: &TorchRow,
        totals: &Totals,
        options: &TorchTableOptions,
    ) {
        let mut cells = vec![shortened(&row.name, options.max_name_width)];
        cells.extend(self.numbers(row, totals));
        if let Some(width) = self.shapes_width {
            let shapes = row.input_shapes.as_deref().unwrap_or_default();
            cells.push(shapes.chars().take(width).collect());
        }
        let Some(source_width) = self.source_width else {
            self.push_line(text, &cells);
            return;
        };
        let frame = |frame: &String| end_of_path(frame, source_width);
        cells.push(row.stack.first().map(frame).unwrap_or_default());
        self.push_line(text, &cells);
        for lower in row.stack.iter().skip(1) {
            let mut cells = vec![String::new(); cells.len() - 1];
            cells.push(frame(lower));
            self.push_line(text, &cells);
        }
        self.push_line(text, &[]);
    }

    fn numbers(&self, row: &TorchRow, totals: &Totals) -> Vec<String> {
        let times = &row.times;
        let total_share = if row.is_async {
            "0".to_owned()
        } else {
            share_text(times.cpu_total_us, totals.self_cpu_us)
        };
        let mut cells = vec![
            share_text(times.self_cpu_us, totals.self_cpu_us),
            time_text(times.self_cpu_us),
            total_share,
            time_text(times.cpu_total_us),
            time_text(row.average_us(times.cpu_total_us)),
        ];
        if self.device_time {
            cells.push(time_text(times.self_device_us));
            cells.push(share_text(times.self_device_us, totals.self_device_us));
            cells.push(time_text(times.device_total_us));
            cells.push(time_text(row.average_us(times.device_total_us)));
        }
        if self.memory {
            cells.push(memory_text(row.cpu_bytes));
            cells.push(memory_text(row.self_cpu_bytes));
        }
        if self.device_memory {
            cells.push(memory_text(row.device_bytes));
            cells.push(memory_text(row.self_device_bytes));
        }
        cells.push(row.count.to_string());
        cells
    }
}

fn push_right(text: &mut String, cell: &str, width: usize) {
    text.push_str(&format!("{cell:>width$}  "));
}

fn longest<'a>(texts: impl Iterator<Item = &'a String>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0)
}

fn limited(longest: usize, limit: Option<usize>) -> usize {
    (longest + 4).min(limit.unwrap_or(usize::MAX))
}

/// A name cut to the column as torch cuts it: three less than the column is already too long.
fn shortened(name: &str, limit: Option<usize>) -> String {
    match limit.map(|limit| limit.saturating_sub(3)) {
        Some(keep) if name.chars().count() >= keep => {
            name.chars().take(keep).collect::<String>() + "..."
        }
        _ => name.to_owned(),
    }
}

/// The end of a frame that does not fit, after three dots.
fn end_of_path(frame: &str, width: usize) -> String {
    let n_chars = frame.chars().count();
    if n_chars <= width {
        return frame.to_owned();
    }
    let end: String = frame.chars().skip(n_chars - width).collect();
    if width > 3 { "...".to_owned() + &end.chars().skip(3).collect::<String>() } else { end }
}

fn time_text(us: f64) -> String {
    if us >= 1_000_000.0 {
        format!("{:.3}s", us / 1_000_000.0)
    } else if us >= 1_000.0 {
        format!("{:.3}ms", us / 1_000.0)
    } else {
        format!("{us:.3}us")
    }
}

fn share_text(part_us: f64, whole_us: f64) -> String {
    if whole_us == 0.0 {
        return "NaN".to_owned();
    }
    format!("{:.2}%", part_us * 100.0 / whole_us)
}

fn memory_text(bytes: i64) -> String {
    let units = [(1_i64 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    match units.iter().find(|(size, _)| bytes.abs() >= *size) {
        Some(&(size, unit)) => format!("{:.2} {unit}", bytes as f64 / size as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::{TorchTableOptions, end_of_path, memory_text, shortened, time_text, torch_table};
    use crate::table::torch::{TorchRow, TorchTable, TorchTimes};

    #[test]
    fn cells_are_written_as_torch_writes_them() {
        assert_eq!(time_text(999.9994), "999.999us");
        assert_eq!(time_text(1_000.0), "1.000ms");
        assert_eq!(time_text(-9_986.0), "-9986.000us");
        assert_eq!(memory_text(-2_265_088), "-2.16 MB");
        assert_eq!(memory_text(1023), "1023 B");
        assert_eq!(shortened(&"x".repeat(51), Some(55)), "x".repeat(51));
        assert_eq!(shortened(&"x".repeat(52), Some(55)), "x".repeat(52) + "...");
        assert_eq!(end_of_path("abcdefgh", 6), "...fgh");
    }

    #[test]
    fn an_empty_table_is_an_empty_text() {
        assert_eq!(torch_table(&TorchTable::default(), &TorchTableOptions::default()), "");
    }

    #[test]
    fn annotations_on_a_device_are_not_in_its_total() {
        let kernel = TorchRow {
            name: "k".into(),
            count: 1,
            times: TorchTimes {
                self_device_us: 1.0,
                device_total_us: 1.0,
                ..TorchTimes::default()
            },
            is_device_activity: true,
            ..TorchRow::default()
        };
        let span = TorchRow {
            name: "step".into(),
            times: TorchTimes { self_device_us: 30.0, ..TorchTimes::default() },
            is_device_activity: false,
            ..kernel.clone()
        };
        let table =
            TorchTable { rows: vec![span, kernel], device_label: "CUDA".into(), has_memory: false };
        let text = torch_table(&table, &TorchTableOptions::default());
        assert!(text.contains("3000.00%"), "{text}");
        assert!(text.ends_with("Self CPU time total: 0.000us\nSelf CUDA time total: 1.000us\n"));
    }
}
