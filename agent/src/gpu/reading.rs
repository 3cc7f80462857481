//! Figures of one GPU: which calls are made, which answers are kept, how old they may get.

use super::limits::{FRESH, SLOW_EVERY};
use muster_protocol::telemetry::GpuSample;
use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::error::NvmlError;
use std::time::Instant;

/// Cheap figures, read each second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fast {
    utilization: Option<u32>,
    memory_utilization: Option<u32>,
    memory_used: Option<u64>,
    memory_total: Option<u64>,
    temperature: Option<u32>,
    power: Option<u32>,
    sm_clock: Option<u32>,
    memory_clock: Option<u32>,
    throttle: Option<u64>,
}

/// Figures that cost more or change slowly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Slow {
    ecc_corrected: Option<u64>,
    ecc_uncorrected: Option<u64>,
    processes: Option<u32>,
    fan: Option<u32>,
}

/// The last figures with their times.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    pub(super) fast: Option<(Instant, Fast)>,
    pub(super) slow: Option<(Instant, Slow)>,
}

impl Reading {
    /// What is fresh enough to be said at `now`; none if nothing is.
    pub(super) fn sample(&self, uuid: &str, now: Instant) -> Option<GpuSample> {
        let (at, fast) = self.fast.as_ref()?;
        if uuid.is_empty() || now.duration_since(*at) > FRESH {
            return None;
        }
        let slow = self.slow.as_ref().filter(|(at, _)| now.duration_since(*at) <= FRESH * SLOW_EVERY as u32);
        let slow = slow.map(|(_, slow)| slow.clone()).unwrap_or_default();
        Some(GpuSample {
            uuid: uuid.to_owned(),
            utilization_percent: fast.utilization,
            memory_used_bytes: fast.memory_used,
            memory_total_bytes: fast.memory_total,
            temperature_c: fast.temperature,
            power_mw: fast.power,
            sm_clock_mhz: fast.sm_clock,
            memory_clock_mhz: fast.memory_clock,
            throttle_reasons: fast.throttle,
            ecc_uncorrected: slow.ecc_uncorrected,
            ecc_corrected: slow.ecc_corrected,
            memory_utilization_percent: fast.memory_utilization,
            processes: slow.processes,
            fan_percent: slow.fan,
        })
    }
}

/// A figure, as a bit in the set of those that the GPU does not have.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
enum Figure {
    Utilization = 1,
    Memory = 1 << 1,
    Temperature = 1 << 2,
    Power = 1 << 3,
    SmClock = 1 << 4,
    MemoryClock = 1 << 5,
    Throttle = 1 << 6,
    EccCorrected = 1 << 7,
    EccUncorrected = 1 << 8,
    Processes = 1 << 9,
    Fan = 1 << 10,
}

/// Makes the calls, and does not repeat those that the GPU has said it does not support.
#[derive(Debug, Default)]
pub(super) struct Reader {
    unsupported: u32,
    /// Set when NVML says that the GPU itself is gone.
    lost: Option<NvmlError>,
}

impl Reader {
    /// Tries everything again: what a GPU supports changes with its MIG mode.
    pub(super) fn forget_unsupported(&mut self) {
        self.unsupported = 0;
    }

    /// Reads the cheap figures.
    ///
    /// # Errors
    /// The GPU is lost or wants a reset. Any other failed call is an absent figure.
    pub(super) fn fast(&mut self, device: &Device<'_>) -> Result<Fast, NvmlError> {
        let rates = self.read(Figure::Utilization, || device.utilization_rates());
        let memory = self.read(Figure::Memory, || device.memory_info());
        let fast = Fast {
            utilization: rates.as_ref().map(|rates| rates.gpu),
            memory_utilization: rates.map(|rates| rates.memory),
            memory_used: memory.as_ref().map(|memory| memory.used),
            memory_total: memory.map(|memory| memory.total),
            temperature: self.read(Figure::Temperature, || device.temperature(TemperatureSensor::Gpu)),
            power: self.read(Figure::Power, || device.power_usage()),
            sm_clock: self.read(Figure::SmClock, || device.clock_info(Clock::SM)),
            memory_clock: self.read(Figure::MemoryClock, || device.clock_info(Clock::Memory)),
            throttle: self.read(Figure::Throttle, || device.current_throttle_reasons()).map(|bits| bits.bits()),
        };
        self.lost.take().map_or(Ok(fast), Err)
    }

    /// Reads the slow figures.
    pub(super) fn slow(&mut self, device: &Device<'_>) -> Slow {
        let ecc = |kind| device.total_ecc_errors(kind, EccCounter::Volatile);
        Slow {
            ecc_corrected: self.read(Figure::EccCorrected, || ecc(MemoryError::Corrected)),
            ecc_uncorrected: self.read(Figure::EccUncorrected, || ecc(MemoryError::Uncorrected)),
            processes: self.read(Figure::Processes, || device.running_compute_processes_count()),
            fan: self.read(Figure::Fan, || device.fan_speed(0)),
        }
    }

    fn read<T>(&mut self, figure: Figure, call: impl FnOnce() -> Result<T, NvmlError>) -> Option<T> {
        if self.unsupported & figure as u32 != 0 || self.lost.is_some() {
            return None;
        }
        match call() {
            Ok(value) => Some(value),
            Err(NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_)) => {
                self.unsupported |= figure as u32;
                None
            }
            Err(error @ (NvmlError::GpuLost | NvmlError::ResetRequired)) => {
                self.lost = Some(error);
                None
            }
            Err(error) => {
                tracing::debug!(?figure, %error, "a figure was not measured");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn reading(at: Instant) -> Reading {
        let fast = Fast { power: Some(70_000), ..Fast::default() };
        let slow = Slow { processes: Some(2), ..Slow::default() };
        Reading { fast: Some((at, fast)), slow: Some((at, slow)) }
    }

    #[test]
    fn what_was_not_measured_is_absent() {
        let now = Instant::now();
        let sample = reading(now).sample("GPU-a", now).expect("fresh");
        assert_eq!((sample.power_mw, sample.utilization_percent, sample.fan_percent), (Some(70_000), None, None));
    }

    #[test]
    fn old_figures_are_withdrawn() {
        let at = Instant::now();
        let later = |ms| at + Duration::from_millis(ms);
        assert!(reading(at).sample("GPU-a", later(2_400)).is_some());
        assert!(reading(at).sample("GPU-a", later(2_600)).is_none());
        let mut kept = reading(at);
        kept.fast = kept.fast.map(|(_, fast)| (later(20_000), fast));
        let sample = kept.sample("GPU-a", later(20_000)).expect("fresh");
        assert_eq!((sample.power_mw, sample.processes), (Some(70_000), None));
    }

    #[test]
    fn unsupported_calls_are_not_repeated_until_they_may_be() {
        let mut reader = Reader::default();
        let mut calls = 0;
        for _ in 0..3 {
            let none = reader.read::<u32>(Figure::Fan, || {
                calls += 1;
                Err(NvmlError::NotSupported)
            });
            assert_eq!(none, None);
        }
        assert_eq!(calls, 1);
        reader.forget_unsupported();
        assert_eq!(reader.read(Figure::Fan, || Ok(40)), Some(40));
    }

    #[test]
    fn a_lost_gpu_is_asked_nothing_more() {
        let mut reader = Reader::default();
        assert_eq!(reader.read::<u32>(Figure::Power, || Err(NvmlError::GpuLost)), None);
        assert_eq!(reader.read(Figure::Fan, || Ok(1)), None);
        assert!(matches!(reader.lost.take(), Some(NvmlError::GpuLost)));
    }
}
