//! The threads of the PostgreSQL engine: a transaction a closure, run again when another was in its way.

use super::super::Tx;
use super::super::job::{BoxedJob, Job};
use super::super::migrate::StoreError;
use super::super::queue::{Lane, Queue};
use super::{Owner, Role, Trouble};
use crate::base::http::Problem;
use crate::base::limits;
use std::sync::{Arc, PoisonError, RwLock};

/// Writers run beside each other; one that was in others' way too often waits until it is alone.
pub(in super::super) type Crowd = RwLock<()>;

/// A thread's place at the database: its connection, made anew when it is lost.
#[derive(Debug)]
pub(in super::super) struct Seat {
    tx: Tx,
    owner: Arc<Owner>,
    role: Role,
    /// Which of its kind it is: spreads retries, and says which lane it looks at first.
    number: u32,
}

impl Seat {
    /// A seat with a connection of its own.
    pub(in super::super) fn take(owner: &Arc<Owner>, role: Role, number: u32) -> Result<Self, StoreError> {
        Ok(Self::with(owner.connect(role)?, owner, role, number))
    }

    /// A seat with a connection that is there already.
    pub(in super::super) fn with(tx: Tx, owner: &Arc<Owner>, role: Role, number: u32) -> Self {
        Self { tx, owner: owner.clone(), role, number }
    }

    /// Does jobs until the queue is closed and empty. Every lane is the first of some writer, so that none can
    /// be starved by the others.
    pub(in super::super) fn serve(mut self, queue: &Queue<BoxedJob>, crowd: &Crowd) {
        let lanes = [Lane::People, Lane::Agents, Lane::Upkeep];
        let first = self.number as usize % lanes.len();
        let order = [lanes[first], lanes[(first + 1) % 3], lanes[(first + 2) % 3]];
        while let Some(mut job) = queue.take_one(order) {
            let done = self.done(job.as_mut(), crowd);
            job.answer(done);
        }
    }

    fn done(&mut self, job: &mut dyn Job, crowd: &Crowd) -> Result<(), Problem> {
        // As on SQLite, debug builds run each write once for nothing.
        if cfg!(debug_assertions) && self.role == Role::Writer && self.tx.script(self.role.begin()).is_ok() {
            job.run(&mut self.tx);
            self.roll_back();
        }
        let mut tries = 0;
        loop {
            let attempt = match self.role {
                Role::Reader => self.attempt(job),
                Role::Writer if tries < limits::STORE_TRIES_BESIDE => {
                    let _beside = crowd.read().unwrap_or_else(PoisonError::into_inner);
                    self.attempt(job)
                }
                Role::Writer => {
                    let _alone = crowd.write().unwrap_or_else(PoisonError::into_inner);
                    self.attempt(job)
                }
            };
            let (trouble, problem) = match attempt {
                Attempt::Ended(end) => return end,
                Attempt::Troubled(trouble, problem) => (trouble, problem),
            };
            tries += 1;
            if tries == limits::STORE_TRIES {
                return Err(problem);
            }
            match trouble {
                Trouble::Again => std::thread::sleep(limits::STORE_AGAIN * tries * (1 + self.number)),
                Trouble::Lost => self.tx = self.owner.connect(self.role).map_err(|error| error.problem())?,
            }
        }
    }

    /// One transaction.
    fn attempt(&mut self, job: &mut dyn Job) -> Attempt {
        let ran = self.tx.script(self.role.begin()).map(|()| job.run(&mut self.tx));
        match (self.tx.take_trouble(), ran) {
            ((Some((trouble, problem)), _), _) => {
                self.roll_back();
                Attempt::Troubled(trouble, problem)
            }
            ((None, _), Err(problem)) => Attempt::Ended(Err(problem)),
            ((None, _), Ok(false)) => {
                self.roll_back();
                Attempt::Ended(Ok(()))
            }
            ((None, true), Ok(true)) => {
                self.roll_back();
                Attempt::Ended(Err(Problem::internal("a store closure went on after a statement that failed")))
            }
            ((None, false), Ok(true)) => self.commit(),
        }
    }

    fn commit(&mut self) -> Attempt {
        let Err(problem) = self.tx.script("COMMIT") else { return Attempt::Ended(Ok(())) };
        match self.tx.take_trouble().0 {
            Some((Trouble::Again, problem)) => Attempt::Troubled(Trouble::Again, problem),
            Some((Trouble::Lost, problem)) => Attempt::Ended(Err(unsure(&problem))),
            None => Attempt::Ended(Err(problem)),
        }
    }

    /// A connection on which this fails is found to be lost by the next transaction.
    fn roll_back(&mut self) {
        let _ = self.tx.script("ROLLBACK");
        let _ = self.tx.take_trouble();
    }
}

/// How one transaction went.
enum Attempt {
    /// It is over, for better or worse.
    Ended(Result<(), Problem>),
    /// Nothing of it was kept, and it may be tried again.
    Troubled(Trouble, Problem),
}

impl Role {
    fn begin(self) -> &'static str {
        match self {
            Self::Writer => "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE",
            // One snapshot, which is all that a read promises; it stands in no writer's way.
            Self::Reader => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

/// The connection broke while the change was being kept: only the database knows whether it was.
fn unsure(problem: &Problem) -> Problem {
    let detail = "The database was lost while it kept the change: look whether it is there before you repeat it.";
    Problem::unavailable("dependency_unavailable", detail).caused_by(problem.log_text())
}
