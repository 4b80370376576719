//! The load client of the peer bench: it loads keys into a server that speaks RESP, sends it one kind of request over
//! many connections, checks every reply, and prints what that cost as one line of JSON.
//!
//! `scripts/bench-peers` starts the servers and runs this client. The measure is the server's processor time per
//! operation, which is stable on a busy machine, where throughput is not. The client has one thread and does little per
//! request, because at depth it has to feed a server that needs a fraction of a microsecond for a request.
//!
//! ```text
//! load list
//! load fill --port P --dataset D [--keys N] [--requests N] [--random] [--value-size B] [--ttl-ms LOW-HIGH] [--seed N]
//! load run  --port P --pid PID --workload W [--pipeline N] [--connections N] [--seconds S] [--warmup S] [--keys N]
//!           [--value-size B] [--rate OPS] [--during COMMAND] [--seed N]
//! ```

// A bench measures real time, as no other part may.
#![allow(clippy::disallowed_methods)]

mod drive;
mod fill;
mod histogram;
mod process;
mod random;
mod reply;
mod subscribers;
mod types;
mod workload;

use std::collections::HashMap;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};

use drive::{Outcome, Plan};
use fill::Fill;
use workload::{Sizes, datasets, workloads};

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<Value, String> {
    match args.next().as_deref() {
        Some("list") => Ok(list()),
        Some("fill") => run_fill(&Flags::parse(args)?),
        Some("run") => run_load(&Flags::parse(args)?),
        _ => {
            Err("usage: load list | fill --port P --dataset D ... | run --port P --pid PID --workload W ..."
                .into())
        }
    }
}

fn list() -> Value {
    let rows = workloads().map(|workload| {
        json!({
            "name": workload.name,
            "dataset": workload.dataset,
            "itemory_only": workload.itemory_only,
        })
    });
    Value::Array(rows.collect())
}

fn run_fill(flags: &Flags) -> Result<Value, String> {
    let name = flags.required::<String>("dataset")?;
    let dataset = datasets()
        .find(|dataset| dataset.name == name)
        .ok_or_else(|| format!("no data set is called `{name}`"))?;
    let keys = flags.keys()?;
    let what = Fill {
        port: flags.required("port")?,
        keys,
        requests: flags.optional("requests", keys)?,
        at_random: flags.values.contains_key("random"),
        seed: flags.optional("seed", 1)?,
    };
    fill::fill(dataset, flags.sizes()?, &what)?;
    Ok(json!({ "dataset": name, "requests": what.requests }))
}

fn run_load(flags: &Flags) -> Result<Value, String> {
    let name = flags.required::<String>("workload")?;
    let workload = workloads()
        .find(|workload| workload.name == name)
        .ok_or_else(|| format!("no workload is called `{name}`"))?;
    let plan = Plan {
        port: flags.required("port")?,
        pid: flags.required("pid")?,
        connections: flags.at_least_one("connections", 50)?,
        pipeline: flags.at_least_one("pipeline", 1)?,
        keys: flags.keys()?,
        warmup: flags.seconds("warmup", 0.3)?,
        measure: flags.seconds("seconds", 2.0)?,
        rate: flags.values.contains_key("rate").then(|| flags.required("rate")).transpose()?,
        during: flags.values.get("during").cloned(),
        seed: flags.optional("seed", 1)?,
    };
    if plan.rate.is_some_and(|rate| !(1.0..=1e8).contains(&rate)) {
        return Err("--rate must be between 1 and 100000000".into());
    }
    let outcome = drive::drive(workload, flags.sizes()?, &plan)?;
    Ok(report(&name, &plan, &outcome))
}

fn report(name: &str, plan: &Plan, outcome: &Outcome) -> Value {
    let micros = |nanos: u64| nanos as f64 / 1000.0;
    let quantile = |share: f64| micros(outcome.latencies.quantile(share));
    let (operations, seconds) = (outcome.operations as f64, outcome.elapsed.as_secs_f64());
    json!({
        "workload": name,
        "pipeline": plan.pipeline,
        "connections": plan.connections,
        "operations": outcome.operations,
        "seconds": seconds,
        "ops_per_second": operations / seconds,
        "server_cpu_us_per_op": micros(outcome.server_cpu_nanos) / operations,
        "client_cpu_us_per_op": micros(outcome.client_cpu_nanos) / operations,
        "server_cores": micros(outcome.server_cpu_nanos) / 1e6 / seconds,
        "client_cores": micros(outcome.client_cpu_nanos) / 1e6 / seconds,
        "p50_us": quantile(0.5),
        "p99_us": quantile(0.99),
        "p999_us": quantile(0.999),
        "max_us": micros(outcome.latencies.max()),
        "resident_kib": outcome.resident_kib,
    })
}

/// The command line after its first word: `--name value` pairs, and `--random` alone.
struct Flags {
    values: HashMap<String, String>,
}

const KNOWN: &[&str] = &[
    "port",
    "pid",
    "dataset",
    "workload",
    "keys",
    "requests",
    "random",
    "value-size",
    "ttl-ms",
    "seed",
    "pipeline",
    "connections",
    "seconds",
    "warmup",
    "rate",
    "during",
];

impl Flags {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Flags, String> {
        let mut values = HashMap::new();
        while let Some(arg) = args.next() {
            let name = arg.strip_prefix("--").filter(|name| KNOWN.contains(name));
            let name = name.ok_or_else(|| format!("`{arg}` is not an option"))?.to_owned();
            let value = if name == "random" { Some(String::new()) } else { args.next() };
            values.insert(name, value.ok_or_else(|| format!("`{arg}` needs a value"))?);
        }
        Ok(Flags { values })
    }

    fn required<T: FromStr>(&self, name: &str) -> Result<T, String> {
        let text = self.values.get(name).ok_or_else(|| format!("--{name} is missing"))?;
        text.parse().map_err(|_| format!("--{name}: `{text}` is not what it takes"))
    }

    fn optional<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        if self.values.contains_key(name) { self.required(name) } else { Ok(default) }
    }

    fn at_least_one(&self, name: &str, default: usize) -> Result<usize, String> {
        match self.optional(name, default)? {
            0 => Err(format!("--{name} must be at least 1")),
            count => Ok(count),
        }
    }

    fn keys(&self) -> Result<u64, String> {
        self.at_least_one("keys", 1_000_000).map(|keys| keys as u64)
    }

    fn seconds(&self, name: &str, default: f64) -> Result<Duration, String> {
        Duration::try_from_secs_f64(self.optional(name, default)?)
            .map_err(|_| format!("--{name} must be a number of seconds"))
    }

    fn sizes(&self) -> Result<Sizes, String> {
        let value = self.at_least_one("value-size", 64)?;
        if value > 1 << 16 {
            return Err("--value-size must be at most 65536".into());
        }
        let range = self.optional("ttl-ms", String::from("60000-60000"))?;
        let ends =
            range.split_once('-').and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
        match ends {
            Some((low, high)) if 0 < low && low <= high => Ok(Sizes { value, ttl_ms: (low, high) }),
            _ => Err("--ttl-ms must be LOW-HIGH".into()),
        }
    }
}
