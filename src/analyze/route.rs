//! Which way a copy went, from its name.

/// What a copy's name says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// `HtoD`, `DtoH`, `DtoD`, `PtoP`, `HtoH`, …; `Memset`; `kernel` for a kernel that copies; `unknown` where the name
    /// does not say.
    pub direction: String,
    /// Kind of the source memory (`Pageable`, `Pinned`, `Device`, `Managed`, …).
    pub source: Option<String>,
    /// Kind of the destination memory.
    pub destination: Option<String>,
}

impl Route {
    /// The route of kernels that copy.
    pub(super) fn of_kernel() -> Self {
        Self { direction: "kernel".into(), source: None, destination: None }
    }

    /// Reads a copy's or memset's name.
    ///
    /// Kineto's form, `Memcpy HtoD (Pageable -> Device)`, is taken as written; of the names of other writers
    /// (`MemcpyH2D`, `MEMCPYHtoD`, `CopyHostToDevice`, `zeCommandListAppendMemoryCopy(M2D)`, `[CUDA memcpy
    /// Host-to-Device]`) the two ends are looked for.
    pub fn of_name(name: &str) -> Self {
        let inner = |text: &str| Some(text.split_once('(')?.1.strip_suffix(')')?.trim().to_owned());
        if name.starts_with("Memset") {
            return Self { direction: "Memset".into(), source: None, destination: inner(name) };
        }
        let Some(rest) = name.strip_prefix("Memcpy ") else {
            let direction = ends_in(name).unwrap_or("unknown").to_owned();
            return Self { direction, source: None, destination: None };
        };
        let direction = rest.split(' ').next();
        let kinds = inner(name);
        let kinds = kinds.as_deref().and_then(|kinds| kinds.split_once(" -> "));
        Self {
            direction: direction.unwrap_or("unknown").to_owned(),
            source: kinds.map(|(source, _)| source.to_owned()),
            destination: kinds.map(|(_, destination)| destination.to_owned()),
        }
    }
}

/// The spellings of a direction, in small letters without spaces and dashes, and what it is called.
const DIRECTIONS: [(&[&str], &str); 6] = [
    (&["hosttodevice", "htod", "h2d", "m2d"], "HtoD"),
    (&["devicetohost", "dtoh", "d2h", "d2m"], "DtoH"),
    (&["devicetodevice", "dtod", "d2d"], "DtoD"),
    (&["peertopeer", "ptop", "p2p", "copypeer"], "PtoP"),
    (&["hosttohost", "htoh", "h2h", "m2m"], "HtoH"),
    (&["memset"], "Memset"),
];

/// The direction that a name holds.
fn ends_in(name: &str) -> Option<&'static str> {
    let plain: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let holds = |spellings: &[&str]| spellings.iter().any(|one| plain.contains(one));
    DIRECTIONS.iter().find(|(spellings, _)| holds(spellings)).map(|&(_, direction)| direction)
}

impl std::fmt::Display for Route {
    /// `HtoD Pageable -> Device`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.source, &self.destination) {
            (Some(from), Some(to)) => write!(f, "{} {from} -> {to}", self.direction),
            (None, Some(to)) => write!(f, "{} {to}", self.direction),
            _ => f.write_str(&self.direction),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Route;

    #[test]
    fn directions_of_every_writer() {
        for (name, direction) in [
            ("Memcpy HtoD (Pageable -> Device)", "HtoD"),
            ("zeCommandListAppendMemoryCopy(M2D)", "HtoD"),
            ("zeCommandListAppendMemoryCopy(D2M)", "DtoH"),
            ("CopyHostToDevice", "HtoD"),
            ("CopyDeviceToHost", "DtoH"),
            ("CopyDeviceToDevice", "DtoD"),
            ("[CUDA memcpy Device-to-Host]", "DtoH"),
            ("MEMCPYHtoD", "HtoD"),
            ("MemcpyD2H", "DtoH"),
            ("MEMCPY_ASYNC", "unknown"),
            ("Memset (Device)", "Memset"),
        ] {
            assert_eq!(Route::of_name(name).direction, direction, "{name}");
        }
    }
}
