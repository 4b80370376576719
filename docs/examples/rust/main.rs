//! The use cases of docs/examples with the redis crate:
//!
//! ```text
//! cargo run --example uses -- cart [redis://127.0.0.1:6379]
//! ```
//!
//! runs one of `cart`, `leaderboard`, `feed`, `progress`, `sessions`; `feed` takes `--readings N --devices N`, too. Without an
//! address, that in the variable ITEMORY_URL is used. What is not as it should be ends the program with an error.

mod cart;
mod feed;
mod leaderboard;
mod progress;
mod sessions;

use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args: Vec<String> = env::args().skip(1).collect();
    let readings = take_option(&mut args, "--readings", 5_000_000)?;
    let devices = take_option(&mut args, "--devices", 100)?;
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    let url = args
        .next()
        .or_else(|| env::var("ITEMORY_URL").ok())
        .unwrap_or_else(|| "redis://127.0.0.1:6379".into());
    match name.as_str() {
        "cart" => cart::run(&url),
        "leaderboard" => leaderboard::run(&url),
        "feed" => feed::run(&url, readings, devices),
        "progress" => progress::run(&url),
        "sessions" => sessions::run(&url),
        _ => Err("say which: cart, leaderboard, feed, progress or sessions".into()),
    }
}

/// Takes `name N` out of the arguments.
fn take_option(args: &mut Vec<String>, name: &str, default: usize) -> Result<usize, Box<dyn Error>> {
    let Some(at) = args.iter().position(|arg| arg == name) else { return Ok(default) };
    let number = args.get(at + 1).ok_or("an option needs a number")?.parse()?;
    args.drain(at..at + 2);
    Ok(number)
}
