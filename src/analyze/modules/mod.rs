//! Device and host time by `nn.Module` and by layer, through CUDA graphs too.
//!
//! A kernel that a call inside a module's frame launched belongs to the innermost such frame; one that the backward of an
//! operator launched, to the module of that operator ([`backward`]). A replayed graph has no
//! frames: its kernels are compared, in order, with kernels or launches whose modules are known, of the same input or
//! another one given with it ([`align`]). What rung of that ladder a row stands on, its column `rung` says; what no rung
//! tells stays a row without a module, so that the rows sum to all kernels.

mod align;
mod backward;
mod frames;

use std::collections::{BTreeMap, BTreeSet};

use align::{Known, Place, place_graph};
use frames::{Frames, frames};

use super::base::TimeBase;
use super::devices::ActivityKind;
use super::percent;
use crate::schema::{tables, words};
use crate::store::{LaunchConfig, Store};

words! {
    /// How the module of a kernel is known.
    Rung {
        /// A frame of the module is around the launch.
        Frame "frame",
        /// The launch is in the backward of an operator that a frame of the module is around.
        Backward "backward",
        /// The graph's kernels are, one for one, the launches of a recorded capture.
        Capture "capture",
        /// The graph's kernels are, one for one, kernels that ran eagerly.
        Sequence "sequence",
        /// The best alignment with kernels that ran eagerly has this kernel in the same place, and no equally good one another.
        Alignment "alignment",
        /// No module is known, but the kernels repeat: the layer is the number of the repetition.
        Repetition "repetition",
        /// Nothing tells.
        Nothing "none",
    }
}

tables! {
    /// The time of one module of one input.
    NnModuleRow: "modules", "Time by module", "Which nn.Module does the time of kernels and host belong to?", groups 1, on Use 4, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        layer: Option<u64>, Count, All, "layer", "number of the layer: among the modules of one class within one module, outermost first; of a repetition, its number";
        calls: Option<u64>, Count, All, "calls", "calls of the module; none where its frames are not recorded in this input";
        host_ns: Option<i64>, Ns, All, "host", "sum of its frames, with what is inside them";
        kernels: u64, Count, All, "kernels", "kernels that belong to it and to no module inside it";
        device_ns: i64, Ns, All, "kernel time", "sum of these kernels";
        device_pct: Option<f64>, Percent, All, "share", "of all kernels of the input";
        rung: Rung, Text, All, "known by", "how it is known that these kernels are of the module, or outside of all modules; none where nothing tells";
        module: Option<String>, Text, All / Subject, "module", "the module with those around it, outermost first, as torch numbers them";
    }

    /// The time of one layer of one input.
    LayerRow: "layers", "Time by layer", "How long does each layer take?", groups 1, on Use 3, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        layer: Option<u64>, Count, All, "layer", "number of the layer; none for what is in no layer or not known";
        kernels: u64, Count, All, "kernels", "kernels in it";
        device_ns: i64, Ns, All, "kernel time", "sum of these kernels";
        device_pct: Option<f64>, Percent, All, "share", "of all kernels of the input";
        unattributed_ns: i64, Ns, All, "not known", "of these, kernels whose module and layer nothing tells";
        module: Option<String>, Text, All / Subject, "module", "the layer's module with those around it; none for a repetition and what is in no layer";
    }
}

/// The time of modules and layers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modules {
    /// By input; of an input the longest kernel time first.
    pub modules: Vec<NnModuleRow>,
    /// By input and layer.
    pub layers: Vec<LayerRow>,
}

/// A kernel as the comparison sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Looks<'a> {
    name: &'a str,
    grid: Option<[u32; 3]>,
    block: Option<[u32; 3]>,
}

/// Numbers kernels that look alike the same, over all inputs.
#[derive(Default)]
struct Symbols<'a>(BTreeMap<Looks<'a>, u32>);

impl<'a> Symbols<'a> {
    fn of(&mut self, store: &'a Store, slice: usize) -> u32 {
        let config: Option<&LaunchConfig> = store
            .device_row(slice)
            .and_then(|row| row.config)
            .map(|config| &store.launch_configs[config as usize]);
        let looks = Looks {
            name: store.strings.get(store.slices.name[slice]),
            grid: config.map(|config| config.grid),
            block: config.map(|config| config.block),
        };
        let next = self.0.len() as u32;
        *self.0.entry(looks).or_insert(next)
    }
}

/// One kernel of an input.
#[derive(Clone, Copy, Debug)]
struct Kernel {
    symbol: u32,
    dur_ns: i64,
    /// The call that launched it.
    call: Option<u32>,
}

/// What is known of one input.
struct Seen {
    frames: Frames,
    /// In the order of the launches, then on the device.
    kernels: Vec<Kernel>,
}

/// Where kernels belong: the module by number, the layer where no module is known.
type Belongs = (Option<u32>, Option<u64>, Rung);

/// Kernels and their time, by the input whose module it is, and where they belong.
type Sums = BTreeMap<(usize, Belongs), (u64, i64)>;

/// Number and path of a layer.
type LayerKey<'a> = (Option<u64>, Option<&'a str>);

/// Modules and layers of all inputs, each with its store and time base.
pub fn modules(inputs: &[(&Store, &TimeBase)]) -> Modules {
    let mut symbols = Symbols::default();
    let seen: Vec<Seen> = inputs
        .iter()
        .map(|(store, base)| Seen {
            frames: frames(store, base),
            kernels: kernels(store, base, &mut symbols),
        })
        .collect();
    let known: Vec<Known> = seen.iter().enumerate().map(|(i, one)| known(i, one)).collect();
    let mut all = Modules::default();
    for (number, one) in seen.iter().enumerate() {
        let mut own = Modules::default();
        rows(inputs[number].1.input, number, (one, &seen), &known, &mut own);
        // Where nothing tells of modules, rows of what is not known say nothing.
        if own.modules.iter().any(|row| row.module.is_some() || row.layer.is_some()) {
            all.modules.append(&mut own.modules);
            all.layers.append(&mut own.layers);
        }
    }
    all
}

/// The kernels in the window, by launch, then begin on the device.
fn kernels<'a>(store: &'a Store, base: &TimeBase, symbols: &mut Symbols<'a>) -> Vec<Kernel> {
    let mut found = Vec::new();
    for device in &base.devices {
        for one in &device.slices {
            if !matches!(
                one.kind,
                ActivityKind::Compute | ActivityKind::Comm | ActivityKind::CopyKernel
            ) {
                continue;
            }
            let slice = one.slice as usize;
            let call = base.launches.call_of(store, slice).map(|call| call as u32);
            let begin_ns = store.slices.ts_ns[slice];
            let launch_ns = call.map_or(begin_ns, |call| store.slices.ts_ns[call as usize]);
            let symbol = symbols.of(store, slice);
            found.push((
                (launch_ns, call, begin_ns),
                Kernel { symbol, dur_ns: one.span.len_ns(), call },
            ));
        }
    }
    found.sort_by_key(|&(order, _)| order);
    found.into_iter().map(|(_, kernel)| kernel).collect()
}

/// What an input tells of modules: kernels in frames, and launches of captured graphs in frames.
fn known(input: usize, seen: &Seen) -> Known {
    let of_call = |call: u32| seen.frames.module_of(call);
    let eager: Vec<(u32, Option<u32>)> =
        seen.kernels.iter().map(|kernel| (kernel.symbol, kernel.call.and_then(of_call))).collect();
    let is_known = eager.iter().any(|(_, module)| module.is_some());
    let eager = if is_known { eager } else { Vec::new() };
    Known { input, eager, captures: seen.frames.captures.clone() }
}

/// The rows of one input.
fn rows(
    input: usize,
    number: usize,
    (seen, all_seen): (&Seen, &[Seen]),
    known: &[Known],
    to: &mut Modules,
) {
    let mut sums = Sums::new();
    let graphs = seen.kernels.chunk_by(|a, b| a.call.is_some() && a.call == b.call);
    let mut placed: BTreeMap<Vec<u32>, Vec<Place>> = BTreeMap::new();
    for group in graphs {
        let own = group[0].call.and_then(|call| seen.frames.module_of(call));
        let symbols: Vec<u32> = group.iter().map(|kernel| kernel.symbol).collect();
        // A call that launches one kernel is no graph: only its own frame tells.
        let places = match own {
            None if group.len() > 1 => placed
                .entry(symbols)
                .or_insert_with_key(|symbols| place_graph(symbols, known))
                .clone(),
            own => {
                let is_backward = group[0].call.is_some_and(|call| seen.frames.is_backward(call));
                let rung = match own {
                    Some(_) if is_backward => Rung::Backward,
                    Some(_) => Rung::Frame,
                    None => Rung::Nothing,
                };
                vec![Place { input: number, module: own, layer: None, rung }; group.len()]
            }
        };
        for (kernel, place) in group.iter().zip(places) {
            let key = (place.input, (place.module, place.layer, place.rung));
            let (count, sum_ns) = sums.entry(key).or_default();
            *count += 1;
            *sum_ns += kernel.dur_ns;
        }
    }
    let whole_ns: i64 = seen.kernels.iter().map(|kernel| kernel.dur_ns).sum();
    add_modules(input, number, (seen, all_seen), (&sums, whole_ns), to);
    add_layers(input, all_seen, (&sums, whole_ns), to);
}

fn add_modules(
    input: usize,
    number: usize,
    (seen, all_seen): (&Seen, &[Seen]),
    (sums, whole_ns): (&Sums, i64),
    to: &mut Modules,
) {
    let mut rows: Vec<NnModuleRow> = Vec::new();
    let mut shown: BTreeSet<u32> = BTreeSet::new();
    for (&(of, (module, layer, rung)), &(kernels, device_ns)) in sums {
        let known = module.map(|module| &all_seen[of].frames.modules[module as usize]);
        let own = module.filter(|_| of == number);
        // Calls and host time stand once, in the first row of a module.
        let own = own
            .filter(|&module| shown.insert(module))
            .map(|module| &seen.frames.modules[module as usize]);
        rows.push(NnModuleRow {
            input,
            layer: known.map_or(layer, |known| known.layer),
            calls: own.map(|own| own.calls),
            host_ns: own.map(|own| own.host_ns),
            kernels,
            device_ns,
            device_pct: percent(device_ns, whole_ns),
            rung,
            module: known.map(|known| known.path.clone()),
        });
    }
    for (i, own) in (0_u32..).zip(&seen.frames.modules) {
        if !shown.contains(&i) {
            rows.push(NnModuleRow {
                input,
                layer: own.layer,
                calls: Some(own.calls),
                host_ns: Some(own.host_ns),
                kernels: 0,
                device_ns: 0,
                device_pct: percent(0, whole_ns),
                rung: Rung::Frame,
                module: Some(own.path.clone()),
            });
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse((row.device_ns, row.host_ns)));
    to.modules.extend(rows);
}

fn add_layers(input: usize, all_seen: &[Seen], (sums, whole_ns): (&Sums, i64), to: &mut Modules) {
    let mut layers: BTreeMap<LayerKey<'_>, (u64, i64, i64)> = BTreeMap::new();
    for (&(of, (module, layer, rung)), &(kernels, device_ns)) in sums {
        let known = module.map(|module| &all_seen[of].frames.modules[module as usize]);
        let key: LayerKey<'_> = match known {
            Some(known) => (known.layer, known.layer_path()),
            None => (layer, None),
        };
        let sum = layers.entry(key).or_default();
        sum.0 += kernels;
        sum.1 += device_ns;
        sum.2 += if rung == Rung::Nothing { device_ns } else { 0 };
    }
    // Without any layer the table says nothing.
    if layers.keys().all(|(layer, _)| layer.is_none()) {
        return;
    }
    to.layers.extend(layers.into_iter().map(|((layer, path), sum)| LayerRow {
        input,
        layer,
        kernels: sum.0,
        device_ns: sum.1,
        device_pct: percent(sum.1, whole_ns),
        unattributed_ns: sum.2,
        module: path.map(str::to_owned),
    }));
}
