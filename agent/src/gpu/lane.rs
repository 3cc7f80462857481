//! One GPU, one thread: it alone makes calls about the GPU, so that a call that hangs holds up nobody else.

use super::facts::{self, Facts};
use super::limits::{ANSWER_MAX, DEADLINE, FACTS_EVERY, FIRST_DEADLINE, QUESTIONS_MAX, SAMPLE_EVERY, SLOW_EVERY};
use super::mig;
use super::reading::{Reader, Reading};
use super::shared::{Shared, held};
use super::types::{GpuError, GpuProcess};
use super::watch::spawn_thread;
use muster_protocol::telemetry::GpuSample;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Something to find out about a GPU.
#[derive(Debug)]
pub(super) enum Question {
    /// Read the facts again.
    Facts,
    /// Who is on it.
    Processes {
        /// Only those in this GPU instance.
        gpu_instance: Option<u32>,
    },
    /// Memory in use.
    MemoryUsed {
        /// UUID of the MIG instance that is meant.
        mig: Option<String>,
    },
}

/// What was found out.
#[derive(Debug)]
pub(super) enum Answer {
    Facts,
    Processes(Vec<GpuProcess>),
    MemoryUsed(u64),
}

type Reply = SyncSender<Result<Answer, GpuError>>;

/// A GPU as the other threads see it.
#[derive(Debug)]
pub(super) struct Lane {
    /// NVML index.
    pub(super) index: u32,
    born: Instant,
    /// Ms since `born` when the current work began, plus 1; 0: none is under way.
    busy_since: AtomicU64,
    /// The facts were read, or reading them failed.
    begun: AtomicBool,
    questions: SyncSender<(Question, Reply)>,
    seen: Mutex<Seen>,
}

/// What the lane has seen last.
#[derive(Debug, Default)]
struct Seen {
    facts: Facts,
    error: Option<String>,
    reading: Reading,
}

/// Starts the lane of a GPU.
pub(super) fn spawn(shared: &Arc<Shared>, nvml: &Arc<Nvml>, index: u32) -> Arc<Lane> {
    let (questions, asked) = sync_channel(QUESTIONS_MAX);
    let lane = Arc::new(Lane {
        index,
        born: Instant::now(),
        busy_since: AtomicU64::new(1),
        begun: AtomicBool::new(false),
        questions,
        seen: Mutex::default(),
    });
    let (shared, nvml, own) = (Arc::clone(shared), Arc::clone(nvml), Arc::clone(&lane));
    spawn_thread(&format!("gpu-{index}"), move || own.run(&shared, &nvml, &asked));
    lane
}

impl Lane {
    /// How long the work under way takes already, if that is too long.
    pub(super) fn overdue(&self) -> Option<Duration> {
        let since = self.busy_since.load(Ordering::Acquire).checked_sub(1)?;
        let lasts = self.born.elapsed().saturating_sub(Duration::from_millis(since));
        let deadline = if self.begun.load(Ordering::Acquire) { DEADLINE } else { FIRST_DEADLINE };
        (lasts > deadline).then_some(lasts)
    }

    /// Whether nothing is known of the GPU and it still has time.
    pub(super) fn is_beginning(&self) -> bool {
        !self.begun.load(Ordering::Acquire) && self.overdue().is_none()
    }

    /// UUID and PCI address, empty if never known.
    pub(super) fn names(&self) -> (String, String) {
        let seen = held(&self.seen);
        (seen.facts.gpu.uuid.clone(), seen.facts.gpu.pci_bus_id.clone())
    }

    /// The facts, with what is wrong now.
    pub(super) fn facts(&self) -> Facts {
        let seen = held(&self.seen);
        let mut facts = seen.facts.clone();
        facts.gpu.index = self.index;
        facts.gpu.error = match (self.overdue(), &seen.error) {
            (Some(_), _) => "does not answer".into(),
            (None, Some(error)) => error.clone(),
            (None, None) => String::new(),
        };
        facts
    }

    /// The latest figures, less what is too old.
    pub(super) fn sample(&self) -> Option<GpuSample> {
        if self.overdue().is_some() {
            return None;
        }
        let seen = held(&self.seen);
        seen.reading.sample(&seen.facts.gpu.uuid, Instant::now())
    }

    /// The error for a GPU that does not answer.
    pub(super) fn hung(&self) -> GpuError {
        GpuError::Hung { gpu: self.names().0, waited: ANSWER_MAX }
    }

    /// Asks, and waits for the answer up to [`ANSWER_MAX`].
    pub(super) fn ask(&self, question: Question) -> Result<Answer, GpuError> {
        if self.overdue().is_some() {
            return Err(self.hung());
        }
        let (reply, answer) = sync_channel(1);
        self.questions.try_send((question, reply)).map_err(|_| self.hung())?;
        answer.recv_timeout(ANSWER_MAX).map_err(|_| self.hung())?
    }

    fn run(&self, shared: &Shared, nvml: &Nvml, asked: &Receiver<(Question, Reply)>) {
        let mut reader = Reader::default();
        let mut device = None;
        let mut next = Instant::now();
        let mut turn = 0;
        while !shared.is_stopped() {
            match asked.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok((question, reply)) => self.work(|| {
                    let answer = self.answer(device.as_ref(), &question);
                    // Whoever asked may have stopped waiting.
                    let _ = reply.send(answer);
                }),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    self.work(|| self.turn(nvml, &mut device, &mut reader, turn));
                    turn += 1;
                    next = (next + SAMPLE_EVERY).max(Instant::now());
                    if turn == 1 || turn % FACTS_EVERY == 0 {
                        shared.kick();
                    }
                }
            }
        }
    }

    /// Marks the time that the driver has.
    fn work<T>(&self, body: impl FnOnce() -> T) -> T {
        let since = self.born.elapsed().as_millis() as u64;
        self.busy_since.store(since + 1, Ordering::Release);
        let done = body();
        self.busy_since.store(0, Ordering::Release);
        done
    }

    /// One second's work.
    fn turn<'a>(&self, nvml: &'a Nvml, device: &mut Option<Device<'a>>, reader: &mut Reader, turn: u64) {
        let done = self.measure(nvml, device, reader, turn);
        self.begun.store(true, Ordering::Release);
        let mut seen = held(&self.seen);
        if let Err(error) = done {
            seen.reading = Reading::default();
            seen.error = Some(error.to_string());
            // A GPU that was lost may come back under another handle.
            *device = None;
        } else {
            seen.error = None;
        }
    }

    fn measure<'a>(
        &self,
        nvml: &'a Nvml,
        device: &mut Option<Device<'a>>,
        reader: &mut Reader,
        turn: u64,
    ) -> Result<(), NvmlError> {
        let fresh = device.is_none();
        let device = match device {
            Some(device) => device,
            None => device.insert(nvml.device_by_index(self.index)?),
        };
        if fresh || turn.is_multiple_of(FACTS_EVERY) {
            self.read_facts(device)?;
            reader.forget_unsupported();
        }
        let fast = reader.fast(device)?;
        // The costly calls of different GPUs fall into different seconds.
        let slow = (fresh || (turn + u64::from(self.index)).is_multiple_of(SLOW_EVERY)).then(|| reader.slow(device));
        let mut seen = held(&self.seen);
        seen.reading.fast = Some((Instant::now(), fast));
        if let Some(slow) = slow {
            seen.reading.slow = Some((Instant::now(), slow));
        }
        Ok(())
    }

    fn read_facts(&self, device: &Device<'_>) -> Result<(), NvmlError> {
        let facts = facts::read(device)?;
        held(&self.seen).facts = facts;
        Ok(())
    }

    fn answer(&self, device: Option<&Device<'_>>, question: &Question) -> Result<Answer, GpuError> {
        let gpu = self.names().0;
        let nvml = |error: NvmlError| GpuError::Nvml { gpu: gpu.clone(), reason: error.to_string() };
        let device = device.ok_or_else(|| {
            let reason = held(&self.seen).error.clone().unwrap_or_else(|| "is not known yet".into());
            GpuError::Nvml { gpu: gpu.clone(), reason }
        })?;
        match question {
            Question::Facts => self.read_facts(device).map(|()| Answer::Facts).map_err(nvml),
            Question::Processes { gpu_instance } => {
                processes(device, *gpu_instance).map(Answer::Processes).map_err(nvml)
            }
            Question::MemoryUsed { mig: None } => {
                device.memory_info().map(|memory| Answer::MemoryUsed(memory.used)).map_err(nvml)
            }
            Question::MemoryUsed { mig: Some(uuid) } => {
                let instance = mig::device(device, uuid).map_err(nvml)?;
                let instance = instance.ok_or_else(|| GpuError::NotFound(uuid.clone()))?;
                instance.memory_info().map(|memory| Answer::MemoryUsed(memory.used)).map_err(nvml)
            }
        }
    }
}

/// Compute and graphics processes, each pid once.
fn processes(device: &Device<'_>, gpu_instance: Option<u32>) -> Result<Vec<GpuProcess>, NvmlError> {
    let mut found = device.running_compute_processes()?;
    // Not every product lists graphics; compute is what a release has to see.
    found.extend(device.running_graphics_processes().unwrap_or_default());
    found.retain(|process| gpu_instance.is_none() || process.gpu_instance_id == gpu_instance);
    found.sort_by_key(|process| (process.pid, process.gpu_instance_id));
    found.dedup_by_key(|process| (process.pid, process.gpu_instance_id));
    let listed = found.into_iter().map(|process| GpuProcess {
        pid: process.pid,
        memory_bytes: match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        },
        gpu_instance: process.gpu_instance_id,
    });
    Ok(listed.collect())
}
