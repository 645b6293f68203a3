//! How many workers a model gets where nobody says so: by what a call takes, and by what there is.

use serde::Deserialize;

/// A model that answers one row faster than this has enough with one worker: rows of many requests share its calls.
/// Microseconds.
const QUICK: f64 = 10_000.0;
/// More than so many are asked for by name.
const MOST: usize = 8;

/// What a call with one row takes, as a worker measured it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Cost {
    /// By the clock, microseconds.
    pub wall_us: f64,
    /// Of the processor, all threads together, microseconds.
    pub cpu_us: f64,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    pub cores: usize,
    /// Memory that may still be taken, bytes.
    pub free: u64,
}

impl Machine {
    /// As it is now; no free memory where the system does not say.
    pub fn now() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
        let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        let of_all = kib.unwrap_or(0) * 1024;
        // A container may have less than the machine.
        let number =
            |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok();
        let own = number("memory.max").zip(number("memory.current")).map(|(max, used)| max.saturating_sub(used));
        Self { cores, free: own.map_or(of_all, |own| own.min(of_all)) }
    }
}

/// How many workers a model gets, the first of which holds `resident` bytes. A call that keeps several cores busy by
/// itself leaves room for fewer; half of the free memory stays free.
pub(crate) fn workers(cost: Option<Cost>, resident: u64, machine: Machine) -> usize {
    let Some(cost) = cost.filter(|c| c.wall_us >= QUICK) else { return 1 };
    let busy = (cost.cpu_us / cost.wall_us).round().max(1.0);
    let by_cores = (machine.cores as f64 / busy) as usize;
    let by_memory = machine.free / 2 / resident.max(1);
    let by_memory = usize::try_from(by_memory).unwrap_or(MOST).saturating_add(1);
    by_cores.min(by_memory).clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::{Cost, Machine, workers};

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_slow_model_gets_as_many_as_cores_and_memory_allow() {
        let machine = Machine { cores: 4, free: 16 * GIB };
        let cost = |wall_ms: f64, busy: f64| Some(Cost { wall_us: wall_ms * 1e3, cpu_us: wall_ms * busy * 1e3 });
        assert_eq!(workers(cost(100.0, 1.0), GIB, machine), 4);
        // It is quick, or nothing is known of it.
        assert_eq!((workers(cost(9.9, 1.0), GIB, machine), workers(None, GIB, machine)), (1, 1));
        // A call that has threads of its own; one that waits for somebody.
        assert_eq!((workers(cost(100.0, 1.9), GIB, machine), workers(cost(100.0, 3.8), GIB, machine)), (2, 1));
        assert_eq!(workers(cost(100.0, 0.0), GIB, machine), 4);
        // Memory: half of what is free, beside the first one.
        assert_eq!(workers(cost(100.0, 1.0), 5 * GIB, machine), 2);
        assert_eq!(workers(cost(100.0, 1.0), GIB, Machine { free: GIB, ..machine }), 1);
        assert_eq!(workers(cost(100.0, 1.0), 0, Machine { cores: 64, free: GIB }), 8);
        let here = Machine::now();
        assert!(here.cores > 0 && here.free > 0, "{here:?}");
    }
}
