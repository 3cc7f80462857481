//! OS images: one is built in, the node's own system.

use muster_protocol::ids::ImageId;
use std::sync::LazyLock;

/// The built-in image `host`. Its id is the same everywhere.
pub(super) static HOST_ID: LazyLock<ImageId> = LazyLock::new(|| ImageId::new(0, [0; 10]));
