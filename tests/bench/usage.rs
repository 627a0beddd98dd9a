//! What a process takes, by the system's own count.

/// CPU seconds (user and system), and memory now and at most, in MB.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
    pub(crate) peak: f64,
}

pub(crate) fn used(pid: &str) -> Used {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields.get(11..13).unwrap().iter().map(|t| t.parse::<f64>().unwrap()).sum();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let figure = |name: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1_024.0 / 1e6
    };
    Used { cpu: ticks / 100.0, memory: figure("VmRSS:"), peak: figure("VmHWM:") }
}
