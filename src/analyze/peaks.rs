//! What a device and its links can do at most: a small table of datasheet figures, and the user's own.
//!
//! A device that is not in the table has no peak, and no share of one is shown.

use std::sync::LazyLock;

/// Which link a transfer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Between host and device, one direction.
    Host,
    /// Between devices of one host (NVLink, Infinity Fabric), one direction, all links of a device together.
    Peer,
    /// The device's own memory, reads and writes together.
    Memory,
}

impl Link {
    /// The link of a copy's direction (`HtoD`, …); `None` where it crosses none.
    pub fn of_direction(direction: &str) -> Option<Self> {
        match direction {
            "HtoD" | "DtoH" => Some(Self::Host),
            "PtoP" => Some(Self::Peer),
            "DtoD" | "Memset" => Some(Self::Memory),
            _ => None,
        }
    }

    /// How often a direction's bytes cross its link: a copy within a device reads and writes.
    pub fn crossings(direction: &str) -> u64 {
        if direction == "DtoD" { 2 } else { 1 }
    }
}

/// Datasheet peaks of one device model.
struct Model {
    /// Part of the marketing name that tells the model.
    name: &'static str,
    /// GB/s (10^9 bytes) of the host link, the peer links, the memory; TFLOP/s of FP64, FP32, TF32, 16 bits, FP8, INT8.
    peaks: [Option<f64>; 9],
    /// How the devices of one host are linked; `None` where the name does not tell.
    peers: Option<Peers>,
}

/// How the devices of one host reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peers {
    /// Each reaches any other with all its links, through switches.
    All,
    /// Each of eight has links of its own to each of the others.
    Mesh8,
    /// Over the host link.
    Host,
}

/// The devices of `devices.default`, which says what the figures are and where they are from.
static MODELS: LazyLock<Vec<Model>> = LazyLock::new(|| {
    let lines = include_str!("devices.default").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(model).collect()
});

fn model(line: &'static str) -> Model {
    let mut fields = line.split('|').map(str::trim);
    let name = fields.next().unwrap_or_default();
    let mut peaks = [None; 9];
    for (peak, field) in peaks.iter_mut().zip(&mut fields) {
        *peak = field.parse().ok();
    }
    let peers = match fields.next() {
        Some("all") => Some(Peers::All),
        Some("mesh8") => Some(Peers::Mesh8),
        Some("host") => Some(Peers::Host),
        _ => None,
    };
    Model { name, peaks, peers }
}

/// The first model whose name a device's name contains as words of its own.
fn model_of(device: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| holds_words(device, model.name))
}

/// Which units multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arithmetic {
    /// `double`.
    Fp64,
    /// `float`.
    Fp32,
    /// `float` with factors of 19 bits.
    Tf32,
    /// `bfloat16` and `half`.
    Half,
    /// Floats of 8 bits.
    Fp8,
    /// Integers of 8 bits.
    Int8,
}

/// The peak of a device's products in TFLOP/s (10^12), dense; `None` where it is not known.
pub fn peak_tflop_per_s(device: Option<&str>, arithmetic: Arithmetic) -> Option<f64> {
    model_of(device?)?.peaks[3 + arithmetic as usize]
}

/// Peaks as the user gives them; they count before the table.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeakOverrides {
    /// GB/s of one direction of the host link.
    pub host: Option<f64>,
    /// GB/s of one direction of the peer links.
    pub peer: Option<f64>,
    /// GB/s of the device's memory.
    pub memory: Option<f64>,
}

impl PeakOverrides {
    /// Reads `host=63,peer=450,memory=3350`, in GB/s, in any order and number.
    ///
    /// # Errors
    ///
    /// The part that is not understood, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut peaks = Self::default();
        for part in text.split(',') {
            let (link, value) =
                part.split_once('=').ok_or_else(|| format!("`{part}` is not LINK=GB_PER_S"))?;
            let value: f64 = value
                .trim()
                .parse()
                .ok()
                .filter(|v: &f64| v.is_finite() && *v > 0.0)
                .ok_or_else(|| format!("`{value}` is not a positive number of GB/s"))?;
            match link.trim() {
                "host" => peaks.host = Some(value),
                "peer" => peaks.peer = Some(value),
                "memory" => peaks.memory = Some(value),
                other => return Err(format!("`{other}` is no link: host, peer or memory")),
            }
        }
        Ok(peaks)
    }

    fn of(self, link: Link) -> Option<f64> {
        match link {
            Link::Host => self.host,
            Link::Peer => self.peer,
            Link::Memory => self.memory,
        }
    }
}

/// Whether a text holds words that no letter or digit goes on before or behind: an RTX A1000 is no A100.
fn holds_words(text: &str, words: &str) -> bool {
    let is_end = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(words).any(|(at, _)| {
        is_end(text[..at].chars().next_back()) && is_end(text[at + words.len()..].chars().next())
    })
}

/// The peak of a device's link in GB/s; `None` where it is not known.
pub fn peak_gb_per_s(overrides: PeakOverrides, device: Option<&str>, link: Link) -> Option<f64> {
    if let Some(given) = overrides.of(link) {
        return Some(given);
    }
    model_of(device?)?.peaks[match link {
        Link::Host => 0,
        Link::Peer => 1,
        Link::Memory => 2,
    }]
}

/// The link over which a device reaches `n_ranks - 1` others of its host, and its peak in one direction, in GB/s; `None`
/// where it is not known how they are linked. What the user gives of peers counts first, for devices of any kind.
pub fn group_peak(
    overrides: PeakOverrides,
    device: Option<&str>,
    n_ranks: u32,
) -> Option<(Link, f64)> {
    if let Some(given) = overrides.peer {
        return Some((Link::Peer, given));
    }
    let peak = |link| Some((link, peak_gb_per_s(overrides, device, link)?));
    match model_of(device?)?.peers? {
        Peers::All => peak(Link::Peer),
        Peers::Host => peak(Link::Host),
        Peers::Mesh8 => {
            let (link, all) = peak(Link::Peer)?;
            let used = n_ranks.saturating_sub(1).min(7);
            (used > 0).then_some((link, all * f64::from(used) / 7.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Arithmetic, Link, MODELS, PeakOverrides, group_peak, peak_gb_per_s, peak_tflop_per_s,
    };

    #[test]
    fn a_group_uses_the_links_that_its_devices_have() {
        let none = PeakOverrides::default();
        let peak = |name, n| group_peak(none, Some(name), n);
        assert_eq!(peak("NVIDIA H100 80GB HBM3", 2), Some((Link::Peer, 450.0)));
        assert_eq!(peak("AMD Instinct MI300X", 8), Some((Link::Peer, 448.0)));
        assert_eq!(peak("AMD Instinct MI300X", 2), Some((Link::Peer, 64.0)));
        assert_eq!(peak("NVIDIA L4", 2), Some((Link::Host, 31.5)));
        for unknown in ["NVIDIA H100 PCIe", "NVIDIA H200 NVL", "NVIDIA A100-PCIE-40GB", "no device"]
        {
            assert_eq!(peak(unknown, 2), None, "{unknown}");
        }
        let given = PeakOverrides { peer: Some(200.0), ..none };
        assert_eq!(group_peak(given, Some("NVIDIA H100 PCIe"), 2), Some((Link::Peer, 200.0)));
    }

    #[test]
    fn the_longest_known_name_is_found_first() {
        let none = PeakOverrides::default();
        let peak = |name, link| peak_gb_per_s(none, Some(name), link);
        assert_eq!(peak("NVIDIA H100 80GB HBM3", Link::Peer), Some(450.0));
        assert_eq!(peak("NVIDIA H100 PCIe", Link::Memory), Some(2000.0));
        assert_eq!(peak("NVIDIA A10G", Link::Peer), None);
        assert_eq!(peak("NVIDIA A10G", Link::Memory), Some(600.0));
        assert_eq!(peak("NVIDIA GH200 480GB", Link::Host), Some(450.0));
        assert_eq!(peak("NVIDIA A100-SXM4-80GB", Link::Memory), Some(2039.0));
        for other in ["NVIDIA RTX A1000", "NVIDIA L40", "NVIDIA T400"] {
            assert_eq!(peak(other, Link::Memory), None, "{other}");
        }
        assert_eq!(peak("NVIDIA GeForce GTX 1080", Link::Host), None);
        assert_eq!(peak_gb_per_s(none, None, Link::Host), None);
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        for model in MODELS.iter() {
            assert!(
                model.peaks[2].is_some() && model.peaks[4].or(model.peaks[6]).is_some(),
                "{}",
                model.name
            );
        }
        let peak = |name, arithmetic| peak_tflop_per_s(Some(name), arithmetic);
        assert_eq!(peak("NVIDIA H100 80GB HBM3", Arithmetic::Half), Some(989.4));
        assert_eq!(peak("NVIDIA A100-SXM4-80GB", Arithmetic::Fp8), None);
        assert_eq!(peak("AMD Instinct MI300X", Arithmetic::Int8), Some(2614.9));
        assert_eq!(peak_tflop_per_s(None, Arithmetic::Fp64), None);
    }

    #[test]
    fn overrides_count_first_and_bad_ones_are_named() {
        let peaks = PeakOverrides::parse("host=50, peer=200.5").unwrap();
        assert_eq!(peak_gb_per_s(peaks, None, Link::Peer), Some(200.5));
        assert_eq!(peak_gb_per_s(peaks, None, Link::Memory), None);
        assert!(PeakOverrides::parse("host").unwrap_err().contains("`host`"));
        assert!(PeakOverrides::parse("pcie=3").unwrap_err().contains("`pcie`"));
        assert!(PeakOverrides::parse("host=-1").unwrap_err().contains("`-1`"));
    }
}
