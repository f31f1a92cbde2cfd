//! What the links of a device can do at most: a small table of datasheet figures, and the user's own.
//!
//! A device that is not in the table has no peak, and no share of one is shown.

/// Which link a transfer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    /// The name in tables and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Peer => "peer",
            Self::Memory => "memory",
        }
    }
}

/// Datasheet peaks of one device model, in GB/s (10^9 bytes).
struct Model {
    /// Part of the marketing name that tells the model.
    name: &'static str,
    /// One direction of the host link: the link's raw rate less its line code (PCIe 3.0 x16 15.75, 4.0 31.5, 5.0 63).
    host: f64,
    /// One direction of all peer links together: half of the datasheet's bidirectional figure. 0 where there are none.
    peer: f64,
    /// Memory.
    memory: f64,
}

/// From the vendors' datasheets: NVIDIA H100, H200, A100, A30, A10, L4, L40S, V100, T4, B200 Tensor Core GPU datasheets,
/// GH200, and AMD Instinct MI210, MI250X, MI300X, MI325X data sheets. The first name that a device's name contains as words
/// of its own counts. The host link of a GH200 is NVLink-C2C.
const MODELS: [Model; 22] = [
    Model { name: "GH200 144G", host: 450.0, peer: 450.0, memory: 4900.0 },
    Model { name: "GH200", host: 450.0, peer: 450.0, memory: 4000.0 },
    Model { name: "B200", host: 63.0, peer: 900.0, memory: 8000.0 },
    Model { name: "H200", host: 63.0, peer: 450.0, memory: 4800.0 },
    Model { name: "H100 PCIe", host: 63.0, peer: 300.0, memory: 2000.0 },
    Model { name: "H100 NVL", host: 63.0, peer: 300.0, memory: 3900.0 },
    Model { name: "H100", host: 63.0, peer: 450.0, memory: 3350.0 },
    Model { name: "H800", host: 63.0, peer: 200.0, memory: 3350.0 },
    Model { name: "A100-SXM4-80GB", host: 31.5, peer: 300.0, memory: 2039.0 },
    Model { name: "A100 80GB PCIe", host: 31.5, peer: 300.0, memory: 1935.0 },
    Model { name: "A100", host: 31.5, peer: 300.0, memory: 1555.0 },
    Model { name: "A30", host: 31.5, peer: 100.0, memory: 933.0 },
    Model { name: "A10", host: 31.5, peer: 0.0, memory: 600.0 },
    Model { name: "A10G", host: 31.5, peer: 0.0, memory: 600.0 },
    Model { name: "L40S", host: 31.5, peer: 0.0, memory: 864.0 },
    Model { name: "NVIDIA L4", host: 31.5, peer: 0.0, memory: 300.0 },
    Model { name: "V100-SXM2", host: 15.75, peer: 150.0, memory: 900.0 },
    Model { name: "T4", host: 15.75, peer: 0.0, memory: 300.0 },
    Model { name: "MI325X", host: 63.0, peer: 448.0, memory: 6000.0 },
    Model { name: "MI300X", host: 63.0, peer: 448.0, memory: 5300.0 },
    Model { name: "MI250X", host: 31.5, peer: 400.0, memory: 3276.0 },
    Model { name: "MI210", host: 31.5, peer: 150.0, memory: 1638.0 },
];

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
    let device = device?;
    let model = MODELS.iter().find(|model| holds_words(device, model.name))?;
    let peak = match link {
        Link::Host => model.host,
        Link::Peer => model.peer,
        Link::Memory => model.memory,
    };
    (peak > 0.0).then_some(peak)
}

#[cfg(test)]
mod tests {
    use super::{Link, PeakOverrides, peak_gb_per_s};

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
        for other in ["NVIDIA RTX A1000", "NVIDIA GB200", "NVIDIA L40", "NVIDIA T400"] {
            assert_eq!(peak(other, Link::Memory), None, "{other}");
        }
        assert_eq!(peak("NVIDIA GeForce GTX 1080", Link::Host), None);
        assert_eq!(peak_gb_per_s(none, None, Link::Host), None);
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
