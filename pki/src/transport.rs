//! QUIC settings of both sides, from the limits of the protocol.

use crate::PkiError;
use muster_protocol::limits::{
    AGENT_BIDI_STREAMS, CONNECTION_WINDOW, COORDINATOR_BIDI_STREAMS, COORDINATOR_UNI_STREAMS, SESSION_CREDIT,
    STREAM_WINDOW,
};
use quinn::{EndpointConfig, IdleTimeout, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use std::{sync::Arc, time::Duration};

/// A link without any packet for so long is gone.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Period of the agent's keep-alives: also how soon it meets the stateless reset of a restarted coordinator.
pub const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// Bytes one side may have sent and not seen acknowledged on a link: every session at its full credit.
const SEND_WINDOW: u64 = SESSION_CREDIT * AGENT_BIDI_STREAMS as u64;

const _: () = assert!(KEEP_ALIVE.as_secs() * 3 < IDLE_TIMEOUT.as_secs(), "three lost keep-alives do not end a link");

fn common() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(IdleTimeout::try_from(IDLE_TIMEOUT).ok())
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0);
    config
}

/// The coordinator's side: few streams, since permitted streams cost memory here for every node.
#[must_use]
pub fn coordinator() -> TransportConfig {
    let mut config = common();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(COORDINATOR_BIDI_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(COORDINATOR_UNI_STREAMS));
    config
}

/// The agent's side: many streams for sessions, and the keep-alives.
#[must_use]
pub fn agent() -> TransportConfig {
    let mut config = common();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(AGENT_BIDI_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .keep_alive_interval(Some(KEEP_ALIVE));
    config
}

/// Keys of the coordinator's endpoint. Both must outlive a restart: only then does an agent learn of it at
/// its next keep-alive, and not after the idle timeout.
#[derive(Clone)]
pub struct EndpointKeys {
    reset: [u8; 64],
    connection_ids: u64,
}

impl std::fmt::Debug for EndpointKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointKeys").finish_non_exhaustive()
    }
}

impl EndpointKeys {
    /// Length of [`EndpointKeys::to_bytes`].
    pub const LEN: usize = 72;

    /// New ones from the system's randomness.
    ///
    /// # Errors
    /// [`PkiError::Crypto`] if the system has none.
    pub fn generate() -> Result<Self, PkiError> {
        let mut bytes = [0u8; Self::LEN];
        SystemRandom::new().fill(&mut bytes).map_err(PkiError::crypto)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// As [`EndpointKeys::to_bytes`] wrote them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let (mut reset, mut ids) = ([0u8; 64], [0u8; 8]);
        reset.copy_from_slice(&bytes[..64]);
        ids.copy_from_slice(&bytes[64..]);
        Self { reset, connection_ids: u64::from_be_bytes(ids) }
    }

    /// Secret: for [`crate::files`] only.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0u8; Self::LEN];
        bytes[..64].copy_from_slice(&self.reset);
        bytes[64..].copy_from_slice(&self.connection_ids.to_be_bytes());
        bytes
    }

    /// An endpoint's configuration with these keys.
    #[must_use]
    pub fn endpoint_config(&self) -> EndpointConfig {
        let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &self.reset)));
        let key = self.connection_ids;
        config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
        config
    }
}
