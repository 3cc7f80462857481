//! The stream of one node task: offer, then what the agent says, until its result is acknowledged.

use super::registry::Stream;
use super::wire::WireError;
use muster_protocol::task::{TaskAccepted, TaskLog, TaskProgress, TaskResult, TaskResultAck};
use muster_protocol::{FrameError, Kind};

/// What an agent says about its task.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskNews {
    /// Its journal holds the task.
    Accepted(TaskAccepted),
    /// How far it is.
    Progress(TaskProgress),
    /// A line of output.
    Log(TaskLog),
    /// The end; to be stored, then acknowledged.
    Result(TaskResult),
}

/// An offered task. Dropped before its result, the task runs on, and its result is asked for by the next offer.
#[derive(Debug)]
pub struct TaskStream(Stream);

impl TaskStream {
    pub(super) fn new(stream: Stream) -> Self {
        Self(stream)
    }

    /// The next word of the agent; none if the stream ended without a result.
    ///
    /// # Errors
    /// [`WireError`].
    pub async fn next(&mut self) -> Result<Option<TaskNews>, WireError> {
        let Some(frame) = self.0.next().await? else { return Ok(None) };
        Ok(Some(match frame.kind {
            Kind::TaskAccepted => TaskNews::Accepted(frame.decode()?),
            Kind::TaskProgress => TaskNews::Progress(frame.decode()?),
            Kind::TaskLog => TaskNews::Log(frame.decode()?),
            Kind::TaskResult => TaskNews::Result(frame.decode()?),
            other => return Err(FrameError::OutOfPlace(other).into()),
        }))
    }

    /// Says that the result is stored; the agent may forget it.
    ///
    /// # Errors
    /// [`WireError`]; the agent then sends the result again at the next offer.
    pub async fn acknowledge(mut self, id: &str) -> Result<(), WireError> {
        self.0.send(Kind::TaskResultAck, &TaskResultAck { id: id.to_owned() }).await?;
        // Fails only if the link is gone; the agent then sends the result again.
        let _ = self.0.send.finish();
        Ok(())
    }

    /// Asks the agent to end the task; it still says how it ended.
    pub fn cancel(&mut self) {
        // Fails only if the stream is already over.
        let _ = self.0.send.reset(0u32.into());
    }
}
