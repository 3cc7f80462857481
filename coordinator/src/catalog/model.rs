//! What a SKU is, what may be in one, and its three states. Pure.

use crate::base::http::FieldError;
use crate::base::words::words;
use muster_protocol::desired::Size;
use muster_protocol::ids::SkuId;
use std::collections::BTreeMap;

words! {
    /// Whether it is sold.
    State {
        /// Not yet; users do not see it.
        Draft = "draft",
        /// Yes.
        Active = "active",
        /// No longer; what runs on it runs on.
        Retired = "retired",
    }
}

words! {
    /// What an allocation of it takes.
    Kind {
        /// One CPU slot.
        Cpu = "cpu",
        /// Whole GPUs.
        Gpu = "gpu",
        /// MIG placements of one profile.
        Mig = "mig",
        /// Every slot of a node.
        Node = "node",
    }
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sku {
    /// Its id.
    pub id: SkuId,
    /// Unique; launches may name it.
    pub name: String,
    /// Whether it is sold.
    pub state: State,
    /// What an allocation takes.
    pub kind: Kind,
    /// Part of NVML's name, in any case; none: any.
    pub gpu_model: Option<String>,
    /// MIG profile.
    pub profile: Option<String>,
    /// GPUs or placements of one allocation; of a `node`: how many GPUs the node has.
    pub gpus: u32,
    /// Limits of its cells.
    pub size: Size,
    /// Labels the node must carry.
    pub labels: BTreeMap<String, String>,
    /// Counts edits.
    pub version: i64,
    /// Since when.
    pub created_ms: i64,
}

/// Most GPUs or placements of one allocation.
pub(super) const GPUS_MAX: u32 = 64;
/// Longest name, characters.
const NAME_MAX: usize = 64;
/// Most labels.
const LABELS_MAX: usize = 16;

fn wrong(field: &str, code: &str, detail: &str) -> FieldError {
    FieldError { field: field.to_owned(), code: code.to_owned(), detail: detail.to_owned() }
}

/// What is wrong with a SKU that someone wants to make; empty if nothing is.
#[must_use]
pub(super) fn check(sku: &Sku) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let name_ok = (1..=NAME_MAX).contains(&sku.name.len())
        && sku.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && sku.name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if !name_ok || sku.name.parse::<SkuId>().is_ok() {
        errors.push(wrong("name", "invalid", "A name has 1 to 64 letters, digits, dots, dashes and underscores."));
    }
    match sku.kind {
        Kind::Cpu if sku.gpus != 0 || sku.gpu_model.is_some() => {
            errors.push(wrong("gpus", "not_for_cpu", "A SKU of kind cpu has no GPUs."));
        }
        Kind::Gpu | Kind::Mig if !(1..=GPUS_MAX).contains(&sku.gpus) => {
            errors.push(wrong("gpus", "out_of_range", "gpus must be 1 to 64."));
        }
        Kind::Node if sku.gpus > GPUS_MAX => errors.push(wrong("gpus", "out_of_range", "gpus must be 0 to 64.")),
        _ => {}
    }
    if (sku.kind == Kind::Mig) != sku.profile.is_some() {
        errors.push(wrong("profile", "invalid", "profile is given for kind mig, and for no other."));
    }
    for (field, text) in [("profile", &sku.profile), ("gpu_model", &sku.gpu_model)] {
        if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > 96 || text.contains(char::is_control)) {
            errors.push(wrong(field, "invalid", "It has 1 to 96 characters on one line."));
        }
    }
    let bounds = [
        ("cpu_milli", sku.size.cpu_milli, 10, 1_024_000),
        ("memory_bytes", sku.size.memory_bytes, 16 << 20, 1 << 50),
        ("disk_bytes", sku.size.disk_bytes, 16 << 20, 1 << 50),
        ("pids", sku.size.pids, 8, 4_000_000),
    ];
    for (field, value, least, most) in bounds {
        if !(least..=most).contains(&value) {
            errors.push(wrong(field, "out_of_range", &format!("{field} must be {least} to {most}.")));
        }
    }
    if sku.labels.len() > LABELS_MAX
        || sku.labels.iter().any(|(key, value)| key.is_empty() || key.len() + value.len() > 256)
    {
        errors.push(wrong("labels", "invalid", "At most 16 labels of together 256 characters each."));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sku(kind: Kind) -> Sku {
        Sku {
            id: SkuId::new(1, [0; 10]),
            name: "h100-1".into(),
            state: State::Draft,
            kind,
            gpu_model: None,
            profile: (kind == Kind::Mig).then(|| "1g.10gb".into()),
            gpus: u32::from(kind != Kind::Cpu),
            size: Size { cpu_milli: 1000, memory_bytes: 1 << 30, disk_bytes: 2 << 30, pids: 512 },
            labels: BTreeMap::new(),
            version: 1,
            created_ms: 0,
        }
    }

    #[test]
    fn good_ones_pass_and_each_fault_has_its_field() {
        for kind in [Kind::Cpu, Kind::Gpu, Kind::Mig, Kind::Node] {
            assert_eq!(check(&sku(kind)), vec![]);
        }
        type Fault = fn(&mut Sku);
        let cases: [(Fault, &str); 7] = [
            (|sku| sku.name = "a b".into(), "name"),
            (|sku| sku.name = SkuId::new(1, [0; 10]).to_string(), "name"),
            (|sku| sku.gpus = 0, "gpus"),
            (|sku| sku.gpus = 65, "gpus"),
            (|sku| sku.profile = Some("1g".into()), "profile"),
            (|sku| sku.size.pids = 0, "pids"),
            (|sku| sku.gpu_model = Some("a\nb".into()), "gpu_model"),
        ];
        for (change, field) in cases {
            let mut one = sku(Kind::Gpu);
            change(&mut one);
            assert_eq!(check(&one).first().map(|error| error.field.clone()).as_deref(), Some(field));
        }
    }
}
