//! `muster skus`.

use super::Context;
use crate::{
    api::Client,
    error::{Error, Result},
    output::{self, bytes, items, text, time},
    resolve,
};
use clap::{Args, Subcommand, ValueEnum};
use muster_protocol::money::Currency;
use serde_json::{Map, Value, json};

/// What to do with SKUs.
#[derive(Debug, Subcommand)]
pub enum Skus {
    /// What there is, and how much of it is free. With --operator drafts and retired ones too.
    List,
    /// Make a new one, as a draft (operators).
    Create(Create),
    /// Offer it (operators).
    Activate(Sku),
    /// Offer it no longer; what runs on it runs on (operators).
    Retire(Sku),
    /// Set what an hour of it costs; what runs keeps its price (operators).
    Price(Price),
}

/// A price.
#[derive(Debug, Args)]
pub struct Price {
    /// Id or name.
    sku: String,
    /// In the coordinator's currency, like 2.49; 0 is free of charge.
    amount: String,
    /// From when on, like 2027-01-01T00:00:00Z; now if left out.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Sku {
    /// Id or name.
    sku: String,
}

/// What a SKU is made of.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    /// A share of a node without need of a GPU.
    Cpu,
    /// Whole GPUs.
    Gpu,
    /// A part of a GPU.
    Mig,
    /// A whole node.
    Node,
}

/// The new one.
#[derive(Debug, Args)]
pub struct Create {
    /// Name that people launch by.
    #[arg(long)]
    name: String,
    /// What it is made of.
    #[arg(long)]
    kind: Kind,
    /// Model of GPU, as `muster nodes show` names it.
    #[arg(long, value_name = "MODEL")]
    gpu_model: Option<String>,
    /// How many GPUs.
    #[arg(long, value_name = "N")]
    gpus: Option<u64>,
    /// MIG profile, like 1g.10gb.
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Thousandths of a CPU.
    #[arg(long, value_name = "N")]
    cpu_milli: Option<u64>,
    /// Memory, like 16GiB.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Disk of the home, like 100GiB.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    disk: Option<u64>,
    /// Most processes.
    #[arg(long, value_name = "N")]
    pids: Option<u64>,
    /// Label that a node must have; may be given several times.
    #[arg(long, value_name = "K=V")]
    label: Vec<String>,
    /// What an hour of it costs, in the coordinator's currency, like 2.49.
    #[arg(long, value_name = "AMOUNT")]
    price: Option<String>,
    /// Offer it at once.
    #[arg(long)]
    activate: bool,
}

pub(super) async fn run(context: &Context, command: Skus) -> Result<()> {
    match command {
        Skus::List => list(context).await,
        Skus::Create(args) => create(context, args).await,
        Skus::Activate(args) => act(context, &args.sku, "activate").await,
        Skus::Retire(args) => act(context, &args.sku, "retire").await,
        Skus::Price(args) => price(context, &args).await,
    }
}

async fn list(context: &Context) -> Result<()> {
    let (mut client, path) = match (context.operator, context.user()) {
        (false, Ok(client)) => (client, "/api/v1/skus"),
        (false, Err(error)) => (context.staff().map_err(|_| error)?, "/api/v1/admin/skus"),
        (true, _) => (context.staff()?, "/api/v1/admin/skus"),
    };
    let list = client.list(path, usize::MAX).await?;
    if context.json {
        return output::json(&list);
    }
    let rows = items(&list).iter().map(|sku| {
        let free = match (&sku["free"], &sku["total"]) {
            (Value::Null, _) => "unknown".to_owned(),
            (free, total) => format!("{free} / {total}"),
        };
        vec![
            text(sku, "name"),
            text(sku, "id"),
            text(sku, "kind"),
            text(sku, "gpu_model"),
            text(sku, "gpus"),
            sku["cpu_milli"].as_f64().map_or_else(|| "-".into(), |milli| format!("{}", milli / 1000.0)),
            bytes(&sku["memory_bytes"]),
            bytes(&sku["disk_bytes"]),
            free,
            output::price(&sku["currency"], &sku["price_minor_per_hour"]).unwrap_or_else(|| "-".into()),
            text(sku, if sku["availability"].is_null() { "state" } else { "availability" }),
        ]
    });
    let head = ["name", "id", "kind", "gpu", "gpus", "cpus", "memory", "disk", "free", "price/h", "availability"];
    output::table(&head, rows.collect(), "nothing is offered yet")
}

async fn create(context: &Context, args: Create) -> Result<()> {
    let mut client = context.staff()?;
    let kind = match args.kind {
        Kind::Cpu => "cpu",
        Kind::Gpu => "gpu",
        Kind::Mig => "mig",
        Kind::Node => "node",
    };
    let mut body = Map::new();
    body.insert("name".into(), json!(args.name));
    body.insert("kind".into(), json!(kind));
    let numbers = [
        ("gpus", args.gpus),
        ("cpu_milli", args.cpu_milli),
        ("memory_bytes", args.memory),
        ("disk_bytes", args.disk),
        ("pids", args.pids),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            body.insert(name.into(), value.into());
        }
    }
    for (name, value) in [("gpu_model", args.gpu_model), ("profile", args.profile)] {
        if let Some(value) = value {
            body.insert(name.into(), value.into());
        }
    }
    if !args.label.is_empty() {
        body.insert("labels".into(), super::tokens::pairs(&args.label, "--label")?);
    }
    let mut sku = client.post("/api/v1/admin/skus", &Value::Object(body)).await?;
    if let Some(amount) = &args.price {
        // Before it is offered, so that nobody takes it without a price.
        set_price(&mut client, &sku, amount, None).await?;
        sku = client.get(&format!("/api/v1/admin/skus/{}", text(&sku, "id"))).await?;
    }
    if args.activate {
        sku = client.post(&format!("/api/v1/admin/skus/{}/activate", text(&sku, "id")), &json!({})).await?;
    }
    if context.json {
        return output::json(&sku);
    }
    eprintln!("{} is {}", text(&sku, "name"), text(&sku, "state"));
    output::line(&text(&sku, "id"))
}

async fn act(context: &Context, wanted: &str, verb: &str) -> Result<()> {
    let mut client = context.staff()?;
    let id = resolve::named(&mut client, "SKU", "ku", "/api/v1/admin/skus", wanted).await?;
    let sku = client.post(&format!("/api/v1/admin/skus/{id}/{verb}"), &json!({})).await?;
    if context.json {
        return output::json(&sku);
    }
    eprintln!("{} is {}", text(&sku, "name"), text(&sku, "state"));
    Ok(())
}

async fn price(context: &Context, args: &Price) -> Result<()> {
    let mut client = context.staff()?;
    let id = resolve::named(&mut client, "SKU", "ku", "/api/v1/admin/skus", &args.sku).await?;
    let sku = client.get(&format!("/api/v1/admin/skus/{id}")).await?;
    let set = set_price(&mut client, &sku, &args.amount, args.from.as_deref()).await?;
    if context.json {
        return output::json(&set);
    }
    let costs = output::price(&set["currency"], &set["price_minor_per_hour"]).unwrap_or_else(|| "-".into());
    let from = if args.from.is_some() { format!(" from {} on", time(&set, "effective_at")) } else { String::new() };
    eprintln!("{} costs {costs} an hour{from}; what runs keeps its price", text(&sku, "name"));
    Ok(())
}

/// Sets the price of a SKU that has just been read.
async fn set_price(client: &mut Client, sku: &Value, amount: &str, from: Option<&str>) -> Result<Value> {
    let code = text(sku, "currency");
    let currency = code.parse::<Currency>().map_err(|error| Error::client(format!("{code}: {error}")))?;
    let minor = currency.read(amount).map_err(Error::client)?;
    let path = format!("/api/v1/admin/skus/{}/prices", text(sku, "id"));
    let version = sku["version"].as_i64().unwrap_or_default();
    client.post_at(&path, version, &json!({"price_minor_per_hour": minor, "effective_at": from})).await
}

/// Bytes from a number with an optional binary unit.
pub(super) fn size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("{text}: not a size like 16GiB"))?;
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        unit => return Err(format!("{text}: unknown unit {unit}")),
    };
    number.checked_mul(1 << shift).ok_or_else(|| Error::client(format!("{text}: too large")).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("1024"), Ok(1024));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("1t"), Ok(1 << 40));
        for bad in ["", "GiB", "1.5g", "3xb", "99999999999999t"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
