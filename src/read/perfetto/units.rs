//! Units and groups of counters, as their descriptors give them.

use std::collections::BTreeMap;

use omni_trace_proto::perfetto::{
    CounterDescriptor, GpuCounterDescriptor, gpu_counter_descriptor::GpuCounterSpec,
};

use super::annotations::put_string;

/// What `GpuCounterDescriptor.MeasureUnit` numbers, from 1 (`perfetto/common/gpu_counter_descriptor.proto`). 0 is no unit.
const MEASURES: [&str; 40] = [
    "bit",
    "kbit",
    "Mbit",
    "Gbit",
    "Tbit",
    "Pbit",
    "B",
    "kB",
    "MB",
    "GB",
    "TB",
    "PB",
    "Hz",
    "kHz",
    "MHz",
    "GHz",
    "THz",
    "PHz",
    "ns",
    "µs",
    "ms",
    "s",
    "min",
    "h",
    "vertex",
    "pixel",
    "triangle",
    "mW",
    "W",
    "kW",
    "J",
    "V",
    "A",
    "°C",
    "°F",
    "K",
    "%",
    "primitive",
    "fragment",
    "instruction",
];

/// What `GpuCounterDescriptor.GpuCounterGroup` numbers, from 0.
const GROUPS: [&str; 7] =
    ["unclassified", "system", "vertices", "fragments", "primitives", "memory", "compute"];

/// What `CounterDescriptor.Unit` numbers, from 1. 0 is no unit.
const BUILT_IN: [&str; 3] = ["ns", "count", "B"];

/// The units of a trace.
#[derive(Default)]
pub(super) struct Units(BTreeMap<String, Described>);

/// What a descriptor says of a counter.
#[derive(Default)]
struct Described {
    unit: Option<String>,
    group: Option<String>,
}

impl Units {
    /// Takes what a descriptor of a device's counters says.
    pub(super) fn of_device(&mut self, given: &GpuCounterDescriptor) {
        for spec in &given.specs {
            let described = Described { unit: measure(spec), group: group(spec) };
            self.put(spec.name(), described);
        }
    }

    /// Takes what the descriptor of a counter's track says.
    pub(super) fn of_track(&mut self, name: &str, given: &CounterDescriptor) {
        let built_in = || word(&BUILT_IN, given.unit().saturating_sub(1)).map(str::to_owned);
        let named = given.unit_name.clone().filter(|name| !name.is_empty());
        self.put(name, Described { unit: named.or_else(built_in), group: None });
    }

    fn put(&mut self, name: &str, described: Described) {
        let says_something = described.unit.is_some() || described.group.is_some();
        if says_something && !name.is_empty() {
            self.0.insert(name.to_owned(), described);
        }
    }

    /// The top-level member, as JSON; `None` where no unit is known.
    pub(super) fn member(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let mut text = b"{".to_vec();
        for (number, (name, described)) in self.0.iter().enumerate() {
            text.extend_from_slice(if number > 0 { b"," } else { b"" });
            put_string(name, &mut text);
            text.extend_from_slice(b":{");
            let members = [("unit", &described.unit), ("group", &described.group)];
            let known = members.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
            for (number, (key, value)) in known.enumerate() {
                text.extend_from_slice(if number > 0 { b"," } else { b"" });
                put_string(key, &mut text);
                text.push(b':');
                put_string(value, &mut text);
            }
            text.push(b'}');
        }
        text.push(b'}');
        String::from_utf8(text).ok()
    }
}

fn word<'a>(words: &[&'a str], at: i32) -> Option<&'a str> {
    words.get(usize::try_from(at).ok()?).copied()
}

/// `B/s`: the units above the line, then those below it. A unit that is not known leaves the whole unknown.
fn measure(spec: &GpuCounterSpec) -> Option<String> {
    let joined = |numbers: &[i32]| -> Option<String> {
        let real = numbers.iter().filter(|&&number| number != 0);
        let words: Option<Vec<&str>> =
            real.map(|&number| word(&MEASURES, number.checked_sub(1)?)).collect();
        Some(words?.join("·"))
    };
    let (above, below) = (joined(&spec.numerator_units)?, joined(&spec.denominator_units)?);
    match (above.is_empty(), below.is_empty()) {
        (true, true) => None,
        (_, true) => Some(above),
        (true, false) => Some(format!("1/{below}")),
        (false, false) => Some(format!("{above}/{below}")),
    }
}

fn group(spec: &GpuCounterSpec) -> Option<String> {
    let words: Vec<&str> = spec.groups.iter().filter_map(|&number| word(&GROUPS, number)).collect();
    (!words.is_empty()).then(|| words.join(", "))
}
