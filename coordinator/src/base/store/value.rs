//! What can be bound to a statement and read from a row: four variants that mean the same on every engine.
//!
//! Portable subset: ids and JSON are text, times are milliseconds, money and counters are integers, a flag
//! is 0 or 1. Use [`values!`](crate::values) to build a parameter list.

use crate::base::http::Problem;
use muster_protocol::ids;

/// One bound parameter or one column of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// SQL NULL: not known, not measured, not set.
    Null,
    /// A 64-bit integer; also times (ms) and flags (0/1).
    Int(i64),
    /// Text; also ids and JSON.
    Text(String),
    /// Raw bytes, for example a hash.
    Bytes(Vec<u8>),
}

/// Builds `[Value; n]` from anything that converts into [`Value`]: `values![id, "open", now_ms]`.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::base::store::Value::from($value)),*] };
}

macro_rules! from_int {
    ($($ty:ty),*) => { $(
        impl From<$ty> for Value {
            fn from(value: $ty) -> Self {
                Self::Int(i64::from(value))
            }
        }
    )* };
}
from_int!(i64, i32, i16, u32, u16, u8, bool);

impl From<u64> for Value {
    /// Numbers above `i64::MAX` do not occur (bytes, counters); they saturate rather than wrap.
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

/// Text cannot hold the character NUL on PostgreSQL: both engines keep U+FFFD in its place.
fn text(value: String) -> Value {
    Value::Text(if value.contains('\0') { value.replace('\0', "\u{fffd}") } else { value })
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        text(value.clone())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What a column can be read as.
pub trait FromValue: Sized {
    /// Takes the value out of a column. Errors when the type differs from what the schema promises.
    fn from_value(value: &Value) -> Result<Self, Problem>;
}

fn wrong(value: &Value, wanted: &str) -> Problem {
    let found = match value {
        Value::Null => "NULL",
        Value::Int(_) => "an integer",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytes",
    };
    Problem::internal(format!("a column holds {found} where {wanted} was expected"))
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Int(number) => Ok(*number),
            other => Err(wrong(other, "an integer")),
        }
    }
}

macro_rules! read_int {
    ($($ty:ty),*) => { $(
        impl FromValue for $ty {
            fn from_value(value: &Value) -> Result<Self, Problem> {
                Self::try_from(i64::from_value(value)?).map_err(|_| wrong(value, stringify!($ty)))
            }
        }
    )* };
}
read_int!(i32, u8, u16, u32, u64, usize);

impl FromValue for bool {
    fn from_value(value: &Value) -> Result<Self, Problem> {
        Ok(i64::from_value(value)? != 0)
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Text(text) => Ok(text.clone()),
            other => Err(wrong(other, "text")),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Bytes(bytes) => Ok(bytes.clone()),
            other => Err(wrong(other, "bytes")),
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Bytes(bytes) => bytes.as_slice().try_into().map_err(|_| wrong(value, "bytes of a fixed length")),
            other => Err(wrong(other, "bytes")),
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Result<Self, Problem> {
        if *value == Value::Null { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

macro_rules! id_values {
    ($($id:ident),* $(,)?) => { $(
        impl From<ids::$id> for Value {
            fn from(id: ids::$id) -> Self {
                Self::Text(id.to_string())
            }
        }
        impl From<&ids::$id> for Value {
            fn from(id: &ids::$id) -> Self {
                Self::Text(id.to_string())
            }
        }
        impl FromValue for ids::$id {
            fn from_value(value: &Value) -> Result<Self, Problem> {
                String::from_value(value)?.parse().map_err(Problem::internal)
            }
        }
        impl $crate::base::rng::FreshId for ids::$id {
            fn fresh(unix_ms: u64, random: [u8; 10]) -> Self {
                Self::new(unix_ms, random)
            }
        }
    )* };
}
id_values!(
    NodeId,
    SlotId,
    AllocationId,
    OperationId,
    NodeTaskId,
    SessionId,
    WorkspaceId,
    TenantId,
    ProjectId,
    UserId,
    LoginId,
    SshKeyId,
    SkuId,
    ImageId,
    BootstrapTokenId,
    CertificateId,
    EventId,
    CorrelationId,
    EvidenceId,
);

/// One row, already copied out of the engine.
#[derive(Debug, Clone)]
pub struct Row(pub(super) Vec<Value>);

impl Row {
    /// Column `index` (from 0) as `T`; `Option<T>` for a column that may be NULL.
    pub fn get<T: FromValue>(&self, index: usize) -> Result<T, Problem> {
        let value = self.0.get(index).ok_or_else(|| Problem::internal(format!("a row has no column {index}")))?;
        T::from_value(value)
    }

    /// A column holding JSON text, decoded.
    pub fn json<T: serde::de::DeserializeOwned>(&self, index: usize) -> Result<T, Problem> {
        serde_json::from_str(&self.get::<String>(index)?).map_err(Problem::internal)
    }

    /// A column holding a word that `T` parses from, for example a state.
    pub fn parse<T: std::str::FromStr>(&self, index: usize) -> Result<T, Problem> {
        let text = self.get::<String>(index)?;
        text.parse().map_err(|_| Problem::internal(format!("a row holds the unknown word {text:?}")))
    }
}
