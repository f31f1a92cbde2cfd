//! Units of counters: as the trace describes them, else as their names tell.

use crate::store::TraceMeta;

/// The longest text in brackets that is taken for a unit.
const LONGEST: usize = 12;

/// What NVIDIA's metrics count, by the first word behind the unit of the chip (`dram__bytes_read.sum.per_second`).
const QUANTITIES: [(&str, &str); 7] = [
    ("bytes", "B"),
    ("cycles", "cycle"),
    ("inst", "instruction"),
    ("requests", "request"),
    ("sectors", "sector"),
    ("threads", "thread"),
    ("warps", "warp"),
];

/// The unit of a counter; `None` where nothing tells.
pub(super) fn unit(meta: &TraceMeta, counter: &str) -> Option<String> {
    let described = meta.counter_unit(counter).and_then(|known| known.unit.clone());
    described.or_else(|| in_brackets(counter)).or_else(|| of_metric(counter))
}

/// `W` of `GPU Power (W)`.
fn in_brackets(counter: &str) -> Option<String> {
    let name = counter.trim_end();
    let inner = name.strip_suffix(')').and_then(|name| name.rsplit_once('('));
    let (_, unit) =
        inner.or_else(|| name.strip_suffix(']').and_then(|name| name.rsplit_once('[')))?;
    let is_unit = !unit.is_empty() && unit.len() <= LONGEST && !unit.contains(char::is_whitespace);
    is_unit.then(|| unit.to_owned())
}

/// The unit of a metric as CUPTI's PM sampling names it: `UNIT__QUANTITY.ROLLUP.SUBMETRIC`.
fn of_metric(counter: &str) -> Option<String> {
    let (base, rest) = counter.split_once('.')?;
    let (_, quantity) = base.split_once("__")?;
    let parts: Vec<&str> = rest.split('.').collect();
    if parts.iter().any(|part| *part == "pct" || part.starts_with("pct_of_peak")) {
        return Some("%".to_owned());
    }
    let first = quantity.split('_').next()?;
    let (_, unit) = QUANTITIES.iter().find(|(word, _)| *word == first)?;
    match parts.iter().find_map(|part| part.strip_prefix("per_")) {
        None if parts.contains(&"ratio") => None,
        None => Some((*unit).to_owned()),
        Some("second") => Some(format!("{unit}/s")),
        Some(per) if per.starts_with("cycle") => Some(format!("{unit}/cycle")),
        Some(_) => None,
    }
}

/// The watts that one of a power counter is; by its unit where that is known, else by its name.
pub(super) fn watts(counter: &str, unit: Option<&str>) -> Option<f64> {
    match unit {
        Some("W") => return Some(1.0),
        Some("mW") => return Some(1e-3),
        Some("kW") => return Some(1e3),
        Some(_) => return None,
        None => {}
    }
    let name = counter.to_ascii_lowercase();
    let is_milli = name.contains("mw") || name.contains("milliwatt");
    name.contains("power").then_some(if is_milli { 1e-3 } else { 1.0 })
}

/// Whether a counter is a clock or a frequency.
pub(super) fn is_clock(counter: &str, unit: Option<&str>) -> bool {
    let name = counter.to_ascii_lowercase();
    let is_named = name.contains("clock") || name.contains("freq");
    is_named && unit.is_none_or(|unit| unit.ends_with("Hz"))
}

#[cfg(test)]
mod tests {
    use super::{is_clock, unit, watts};
    use crate::store::TraceMeta;

    #[test]
    fn names_tell_units() {
        let of = |name: &str| unit(&TraceMeta::default(), name);
        for (name, expected) in [
            ("GPU Power (W)", Some("W")),
            ("SM Clock [MHz]", Some("MHz")),
            ("sm__throughput.avg.pct_of_peak_sustained_elapsed", Some("%")),
            ("dram__bytes_read.sum.per_second", Some("B/s")),
            ("smsp__inst_executed.avg.per_cycle_active", Some("instruction/cycle")),
            ("sm__cycles_active.avg", Some("cycle")),
            ("sm__warps_active.max.ratio", None),
            ("GPU Power", None),
            ("Memory (all that was seen)", None),
        ] {
            assert_eq!(of(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn power_goes_by_its_unit_first() {
        assert_eq!(watts("board", Some("mW")), Some(1e-3));
        assert_eq!(watts("Power limit", Some("%")), None);
        assert_eq!(
            (watts("GPU Power", None), watts("gpu_power_mw", None)),
            (Some(1.0), Some(1e-3))
        );
        assert!(is_clock("SM Clock", None) && is_clock("SM Clock", Some("MHz")));
        assert!(!is_clock("Clock cycles", Some("cycle")));
    }
}
