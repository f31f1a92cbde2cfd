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
mod subsequence;

use std::collections::{BTreeMap, BTreeSet};

use align::{Known, Place, place_graph};
use foldhash::fast::FixedState;
use frames::{Frames, frames};
use hashbrown::HashMap;
use rayon::prelude::*;

use super::base::TimeBase;
use super::devices::ActivityKind;
use super::percent;
use crate::schema::{tables, words};
use crate::store::{LaunchConfig, Store, StrId};

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

/// Numbers kernels of one input that look alike the same.
struct Symbols<'a> {
    store: &'a Store,
    /// By name and launch configuration, of which several may look alike.
    known: HashMap<(StrId, Option<u32>), u32, FixedState>,
    looks: Vec<Looks<'a>>,
}

impl<'a> Symbols<'a> {
    fn of(&mut self, slice: usize) -> u32 {
        let store = self.store;
        let name = store.slices.name[slice];
        let config = store.device_row(slice).and_then(|row| row.config);
        let next = self.looks.len() as u32;
        let symbol = *self.known.entry((name, config)).or_insert(next);
        if symbol == next {
            let config: Option<&LaunchConfig> =
                config.map(|config| &store.launch_configs[config as usize]);
            self.looks.push(Looks {
                name: store.strings.get(name),
                grid: config.map(|config| config.grid),
                block: config.map(|config| config.block),
            });
        }
        symbol
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

/// What one input tells of itself.
pub struct Seen<'a> {
    /// Its number in rows.
    input: usize,
    frames: Frames,
    /// In the order of the launches, then on the device.
    kernels: Vec<Kernel>,
    /// How its kernels look, by symbol.
    looks: Vec<Looks<'a>>,
}

impl<'a> Seen<'a> {
    /// Of an input with its time base.
    pub fn of(store: &'a Store, base: &TimeBase) -> Self {
        let (frames, (kernels, looks)) =
            rayon::join(|| frames(store, base), || kernels(store, base));
        Self { input: base.input, frames, kernels, looks }
    }

    /// The kernels by what launched them: one, or those of a graph.
    fn groups(&self) -> impl Iterator<Item = &[Kernel]> {
        self.kernels.chunk_by(|a, b| a.call.is_some() && a.call == b.call)
    }

    /// The module that a frame or the backward tells of what launched some kernels.
    fn module_of(&self, group: &[Kernel]) -> Option<u32> {
        self.frames.module_of(group[0].call?)
    }

    /// Whether kernels are those of a graph of which no frame tells the module. A call that launches one kernel is no graph:
    /// only its own frame tells.
    fn is_graph(&self, group: &[Kernel]) -> bool {
        group.len() > 1 && self.module_of(group).is_none()
    }

    /// The looks of its graphs' kernels, once each.
    fn graphs(&self) -> BTreeSet<Vec<u32>> {
        self.groups().filter(|group| self.is_graph(group)).map(symbols).collect()
    }
}

/// The looks of some kernels.
fn symbols(group: &[Kernel]) -> Vec<u32> {
    group.iter().map(|kernel| kernel.symbol).collect()
}

/// Where the kernels of graphs belong, by their looks.
type Placed = BTreeMap<Vec<u32>, Vec<Place>>;

/// Where kernels belong: the module by number, the layer where no module is known.
type Belongs = (Option<u32>, Option<u64>, Rung);

/// Kernels and their time, by the input whose module it is, and where they belong.
type Sums = BTreeMap<(usize, Belongs), (u64, i64)>;

/// Number and path of a layer.
type LayerKey<'a> = (Option<u64>, Option<&'a str>);

/// Modules and layers of all inputs.
pub fn modules(mut seen: Vec<Seen<'_>>) -> Modules {
    number_alike(&mut seen);
    let placed = placed(&seen);
    let of_input = |(number, one): (usize, &Seen<'_>)| {
        let mut own = Modules::default();
        rows(number, (one, &seen), &placed, &mut own);
        own
    };
    let own: Vec<Modules> = seen.par_iter().enumerate().map(of_input).collect();
    let mut all = Modules::default();
    for mut own in own {
        // Where nothing tells of modules, rows of what is not known say nothing.
        if own.modules.iter().any(|row| row.module.is_some() || row.layer.is_some()) {
            all.modules.append(&mut own.modules);
            all.layers.append(&mut own.layers);
        }
    }
    all
}

/// Places the graphs of all inputs, each once.
fn placed(seen: &[Seen<'_>]) -> Placed {
    let graphs: Vec<BTreeSet<Vec<u32>>> = seen.par_iter().map(Seen::graphs).collect();
    let graphs: BTreeSet<Vec<u32>> = graphs.into_iter().flatten().collect();
    if graphs.is_empty() {
        return Placed::new();
    }
    let known: Vec<Known> = seen.par_iter().enumerate().map(|(i, one)| known(i, one)).collect();
    let place = |symbols: Vec<u32>| {
        let places = place_graph(&symbols, &known);
        (symbols, places)
    };
    graphs.into_par_iter().map(place).collect()
}

/// Gives kernels that look alike one symbol over all inputs.
fn number_alike<'a>(seen: &mut [Seen<'a>]) {
    let mut symbols: BTreeMap<Looks<'a>, u32> = BTreeMap::new();
    let mut number = |looks: &Looks<'a>| {
        let next = symbols.len() as u32;
        *symbols.entry(*looks).or_insert(next)
    };
    let numbers: Vec<Vec<u32>> =
        seen.iter().map(|one| one.looks.iter().map(&mut number).collect()).collect();
    seen.par_iter_mut().zip(numbers).for_each(|(one, numbers)| {
        one.kernels.iter_mut().for_each(|one| one.symbol = numbers[one.symbol as usize]);
    });
}

/// The kernels in the window, by launch, then begin on the device, and how they look.
fn kernels<'a>(store: &'a Store, base: &TimeBase) -> (Vec<Kernel>, Vec<Looks<'a>>) {
    let mut symbols = Symbols { store, known: HashMap::default(), looks: Vec::new() };
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
            let symbol = symbols.of(slice);
            found.push((
                (launch_ns, call, begin_ns),
                Kernel { symbol, dur_ns: one.span.len_ns(), call },
            ));
        }
    }
    found.sort_by_key(|&(order, _)| order);
    (found.into_iter().map(|(_, kernel)| kernel).collect(), symbols.looks)
}

/// What an input tells of modules: kernels in frames, and launches of captured graphs in frames.
fn known(input: usize, seen: &Seen<'_>) -> Known {
    let of_call = |call: u32| seen.frames.module_of(call);
    // A replay says nothing of itself.
    let eager = seen.groups().filter(|group| !seen.is_graph(group)).flatten();
    let eager: Vec<(u32, Option<u32>)> =
        eager.map(|kernel| (kernel.symbol, kernel.call.and_then(of_call))).collect();
    let is_known = eager.iter().any(|(_, module)| module.is_some());
    let eager = if is_known { eager } else { Vec::new() };
    Known::new(input, eager, seen.frames.captures.clone())
}

/// The rows of one input.
fn rows(
    number: usize,
    (seen, all_seen): (&Seen<'_>, &[Seen<'_>]),
    placed: &Placed,
    to: &mut Modules,
) {
    let mut sums = Sums::new();
    let mut add = |place: Place, kernels: &[Kernel]| {
        let key = (place.input, (place.module, place.layer, place.rung));
        let (count, sum_ns) = sums.entry(key).or_default();
        *count += kernels.len() as u64;
        *sum_ns += kernels.iter().map(|kernel| kernel.dur_ns).sum::<i64>();
    };
    for group in seen.groups() {
        if seen.is_graph(group) {
            let places = &placed[&symbols(group)];
            group.chunks(1).zip(places).for_each(|(kernel, place)| add(*place, kernel));
            continue;
        }
        let module = seen.module_of(group);
        let is_backward = group[0].call.is_some_and(|call| seen.frames.is_backward(call));
        let rung = match module {
            Some(_) if is_backward => Rung::Backward,
            Some(_) => Rung::Frame,
            None => Rung::Nothing,
        };
        add(Place { input: number, module, layer: None, rung }, group);
    }
    let whole_ns: i64 = seen.kernels.iter().map(|kernel| kernel.dur_ns).sum();
    add_modules(number, (seen, all_seen), (&sums, whole_ns), to);
    add_layers(seen.input, all_seen, (&sums, whole_ns), to);
}

fn add_modules(
    number: usize,
    (seen, all_seen): (&Seen<'_>, &[Seen<'_>]),
    (sums, whole_ns): (&Sums, i64),
    to: &mut Modules,
) {
    let input = seen.input;
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

fn add_layers(
    input: usize,
    all_seen: &[Seen<'_>],
    (sums, whole_ns): (&Sums, i64),
    to: &mut Modules,
) {
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
