//! What every time account of one input shares, computed once: windows, launches, host threads, device activity.

use super::comm_rules::{CommRules, KernelRoles};
use super::devices::{DeviceActivity, comm_kernels_of, device_activity};
use super::host::{HostThread, ThreadKind, host_threads};
use super::intervals::Span;
use super::launches::Launches;
use super::memory_events::span_of;
use super::names::NameRules;
use super::wait_rules::WaitRules;
use super::window::{WindowConfig, Windows, windows};
use crate::store::{Snapshot, Store};

/// What the time accounts are to honour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeConfig {
    /// The part of the file window to look at.
    pub window: WindowConfig,
    /// What is a wait, and which threads work.
    pub rules: WaitRules,
    /// Which kernels communicate or copy.
    pub comm_rules: CommRules,
}

/// The common ground of the time accounts of one input.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeBase {
    /// Number of the input in rows.
    pub input: usize,
    /// The windows.
    pub windows: Windows,
    /// Which call started which device activity.
    pub launches: Launches,
    /// The host threads, by track.
    pub threads: Vec<HostThread>,
    /// The devices that show activity, by index.
    pub devices: Vec<DeviceActivity>,
    /// The communication kernels of the whole file, ascending by slice, whatever the window.
    pub comm: Vec<u32>,
    /// What kernels do, by name.
    pub kernels: KernelRoles,
}

/// What the accounts of the host share, without those of devices.
#[derive(Debug)]
pub(super) struct HostBase<'a> {
    pub(super) windows: Windows,
    pub(super) launches: Launches,
    pub(super) names: NameRules<'a>,
    pub(super) threads: Vec<HostThread>,
}

impl<'a> HostBase<'a> {
    /// Computes it.
    pub(super) fn new(store: &Store, config: &'a TimeConfig) -> Self {
        let windows = windows(store, config.window);
        let (launches, names) = rayon::join(
            || Launches::new(store),
            || NameRules::new(store, &config.rules, shows_device(store)),
        );
        let threads = host_threads(store, windows.file, &names, &launches);
        Self { windows, launches, names, threads }
    }
}

impl TimeBase {
    /// Computes it. Linear in the events, but for sorting calls and device activity.
    pub fn new(store: &Store, config: &TimeConfig) -> Self {
        Self::of_host(store, config, HostBase::new(store, config))
    }

    /// Computes the rest of it.
    pub(super) fn of_host(store: &Store, config: &TimeConfig, host: HostBase<'_>) -> Self {
        let HostBase { windows, launches, threads, .. } = host;
        let kernels = KernelRoles::new(store, &config.rules, &config.comm_rules);
        let devices = device_activity(store, &windows, &kernels);
        let comm = comm_kernels_of(store, &kernels);
        Self { input: 0, windows, launches, threads, devices, comm, kernels }
    }

    /// The same of an input that has a number.
    #[must_use]
    pub fn numbered(self, input: usize) -> Self {
        Self { input, ..self }
    }

    /// The same with the window of a snapshot, where there is nothing else.
    #[must_use]
    pub fn with_snapshot(
        mut self,
        store: &Store,
        snapshot: Option<&Snapshot>,
        config: &TimeConfig,
    ) -> Self {
        let span = snapshot.and_then(|snapshot| span_of(store, snapshot));
        let span = span.map(|(start_ns, end_ns)| Span::new(start_ns, end_ns));
        self.windows = self.windows.or(span, config.window);
        self
    }

    /// The work threads.
    pub fn work_threads(&self) -> impl Iterator<Item = &HostThread> {
        self.threads.iter().filter(|thread| thread.kind == ThreadKind::Work)
    }

    /// The host thread of a track.
    pub fn thread_of_track(&self, track: usize) -> Option<&HostThread> {
        let found = self.threads.binary_search_by_key(&track, |thread| thread.track).ok()?;
        Some(&self.threads[found])
    }
}

fn shows_device(store: &Store) -> bool {
    store.categories.iter().any(|(_, kind)| kind.is_device_activity())
}
