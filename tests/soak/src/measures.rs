//! The resources that this process holds, as Linux tells them.

/// The resources of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measures {
    /// Resident memory.
    pub(crate) kilobytes: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
}

impl Measures {
    /// Zeros where the system does not tell.
    pub(crate) fn of_this_process() -> Measures {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
        Measures { kilobytes: field("VmRSS:"), threads: field("Threads:"), descriptors }
    }

    pub(crate) fn words(self) -> String {
        format!("{} {} {}", self.kilobytes, self.threads, self.descriptors)
    }

    pub(crate) fn parse(words: &str) -> Option<Measures> {
        let mut numbers = words.split(' ').map_while(|word| word.parse().ok());
        Some(Measures { kilobytes: numbers.next()?, threads: numbers.next()?, descriptors: numbers.next()? })
    }
}

impl std::fmt::Display for Measures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Measures { kilobytes, threads, descriptors } = self;
        write!(f, "{:.1} MB, {threads} threads, {descriptors} descriptors", *kilobytes as f64 / 1024.0)
    }
}
