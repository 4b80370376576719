//! Runs the Rust examples of docs/examples: each succeeds, and its data is there after kill -9. `tests/clients` runs
//! those in Python and Node.

use crate::harness::{Client, Server};
use std::error::Error;

#[path = "../../docs/examples/rust/cart.rs"]
mod cart;
#[path = "../../docs/examples/rust/feed.rs"]
mod feed;
#[path = "../../docs/examples/rust/leaderboard.rs"]
mod leaderboard;
#[path = "../../docs/examples/rust/progress.rs"]
mod progress;
#[path = "../../docs/examples/rust/sessions.rs"]
mod sessions;

/// All items of all tables with their types, and all keys with their values.
fn everything(client: &mut Client) -> Vec<String> {
    let mut out = Vec::new();
    for table in client.run("TABLE.LIST").items()[1].items() {
        let page = client.call(&["ITEM.SCAN", &table.text(), "FORMAT", "DDB"]).items();
        assert!(page[7].is_null(), "one page holds the table");
        let mut items: Vec<String> = page[1].items().iter().map(ToString::to_string).collect();
        items.sort();
        out.push(format!("{table}: {items:?}"));
    }
    let mut keys = client.run("KEYS *").items();
    keys.sort_by_key(ToString::to_string);
    for key in keys {
        out.push(format!("{key}: {}", client.call(&["GET", &key.text()])));
    }
    out
}

/// Runs an example in RESP2, kills the server, compares the data, and runs the example again in RESP3 on that data.
fn play(example: impl Fn(&str) -> Result<(), Box<dyn Error>>) {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    example(&format!("redis://{}", server.address())).unwrap();
    let before = everything(&mut server.client_with(2));
    assert!(!before.is_empty());
    server.crash();
    assert_eq!(everything(&mut server.client_with(2)), before);
    example(&format!("redis://{}/?protocol=resp3", server.address())).unwrap();
}

#[test]
fn shopping_cart() {
    play(cart::run);
}

#[test]
fn game_leaderboard() {
    play(leaderboard::run);
}

#[test]
fn device_feed() {
    play(|url| feed::run(url, 20_000, 10));
}

#[test]
fn user_progress() {
    play(progress::run);
}

#[test]
fn session_table() {
    play(sessions::run);
}
