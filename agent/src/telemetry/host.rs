//! The machine's own figures, from files of /proc that stay open.

use crate::host::{disk, meminfo};
use muster_protocol::telemetry::HostSample;
use std::{
    fs::File,
    io::{Read, Seek},
    path::{Path, PathBuf},
    time::Instant,
};

/// Clock ticks of /proc/stat in a second: fixed by the kernel's interface.
const TICKS: u64 = 100;

/// Reads the machine's figures again and again.
#[derive(Debug)]
pub struct HostSampler {
    stat: Option<File>,
    memory: Option<File>,
    load: Option<File>,
    homes: PathBuf,
    text: String,
    last: Option<(Instant, u64)>,
}

impl HostSampler {
    /// Homes lie on the file system of `homes`.
    #[must_use]
    pub fn new(homes: &Path) -> Self {
        Self {
            stat: File::open("/proc/stat").ok(),
            memory: File::open("/proc/meminfo").ok(),
            load: File::open("/proc/loadavg").ok(),
            homes: homes.to_owned(),
            text: String::new(),
            last: None,
        }
    }

    /// The figures now. CPU use is since the last call, absent at the first.
    pub fn sample(&mut self) -> HostSample {
        let busy = again(self.stat.as_mut(), &mut self.text).and_then(busy_ticks);
        let now = Instant::now();
        let cpu_milli = busy.zip(self.last).and_then(|(busy, (then, before))| {
            let passed_ms = u64::try_from(now.duration_since(then).as_millis()).ok().filter(|ms| *ms > 0)?;
            Some(busy.saturating_sub(before) * (1_000_000 / TICKS) / passed_ms)
        });
        self.last = busy.map(|busy| (now, busy));
        let memory_used_bytes = again(self.memory.as_mut(), &mut self.text)
            .and_then(|text| Some(meminfo(text, "MemTotal")?.saturating_sub(meminfo(text, "MemAvailable")?)));
        let load1_milli = again(self.load.as_mut(), &mut self.text)
            .and_then(|text| text.split(' ').next()?.parse::<f64>().ok())
            .map(|load| (load * 1000.0) as u64);
        HostSample {
            cpu_milli,
            memory_used_bytes,
            load1_milli,
            disk_free_bytes: disk(&self.homes).map(|disk| disk.free),
        }
    }
}

fn again<'a>(file: Option<&mut File>, text: &'a mut String) -> Option<&'a str> {
    let file = file?;
    text.clear();
    file.rewind().ok()?;
    file.read_to_string(text).ok()?;
    Some(text)
}

/// Ticks that all CPUs together were not idle.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    (ticks.len() >= 8).then(|| ticks[..3].iter().sum::<u64>() + ticks[5..8].iter().sum::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_waiting_are_not_busy() {
        assert_eq!(busy_ticks("cpu  1 2 3 100 100 4 5 6 7 8\ncpu0 9"), Some(21));
        assert_eq!(busy_ticks("cpu  1 2"), None);
    }

    #[test]
    fn this_machine_can_be_measured() {
        let mut sampler = HostSampler::new(Path::new("/"));
        assert_eq!(sampler.sample().cpu_milli, None, "one look gives no rate");
        std::thread::sleep(std::time::Duration::from_millis(30));
        let sample = sampler.sample();
        assert!(sample.cpu_milli.is_some() && sample.memory_used_bytes.is_some() && sample.disk_free_bytes.is_some());
    }
}
