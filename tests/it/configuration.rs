//! Tests the configuration against hostile and mistaken users.

use crate::harness::{Server, Value, on_both};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Texts that end lines, close quotes, and begin comments and other options.
const HOSTILE: [&[u8]; 8] = [
    b"x\nenable-debug-command yes\nlogfile /any/path\n",
    b"-x\nenable-debug-command\tyes\r\nlogfile\t/any/path",
    b"\" \nenable-debug-command yes\n\"",
    b"it's",
    b"\\",
    b"# x",
    b"\0\x07\x08\x7f",
    "\u{e9}\u{2028}".as_bytes(),
];

#[test]
fn what_is_no_address_is_not_listened_on() {
    on_both(&[], |server| {
        let mut client = server.client();
        for wrong in [
            "127.0.0.1 -x\nenable-debug-command\tyes\nlogfile\t/any/path",
            "127.0.0.1 -no.such.host.invalid",
            "127.0.0.1 -it's",
            "127.0.0.1 -\u{e9}",
            "127.0.0.1 ",
            " 127.0.0.1",
        ] {
            let reply = client.call(&["CONFIG", "SET", "bind", wrong]);
            assert!(reply.text().ends_with("'bind') - Failed to bind to specified addresses."), "{reply}");
            assert_eq!(client.run("CONFIG GET bind").items()[1].text(), "127.0.0.1", "{wrong}");
        }
        assert!(client.call(&["CONFIG", "SET", "bind", "127.0.0.1 -198.51.100.77"]).is_ok());
    });
}

/// Every option is set to every text. The values that it accepts are what the next start reads, and no other option
/// changes.
#[test]
fn a_value_reaches_no_other_option_through_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.conf");
    fs::write(&file, "# A comment stays.\n").unwrap();
    let mut server = Server::start_with_file(file.to_str().unwrap(), &[]);
    for value in HOSTILE {
        let mut client = server.client();
        let names: Vec<Vec<u8>> =
            client.run("CONFIG GET *").items().iter().step_by(2).map(|name| name.bytes().unwrap()).collect();
        let taken = names
            .iter()
            // The tests' own client sends no password.
            .filter(|name| *name != b"requirepass")
            .filter(|name| client.call(&[b"CONFIG".as_slice(), b"SET", name.as_slice(), value]).is_ok())
            .count();
        assert!(taken > 0, "{value:?} is no value for any option");
        let before = options(&client.run("CONFIG GET *"));
        assert!(client.run("CONFIG REWRITE").is_ok());
        server.crash();
        assert_eq!(
            options(&server.client().run("CONFIG GET *")),
            before,
            "{}",
            fs::read_to_string(&file).unwrap()
        );
    }
}

/// Names and values, without the port, which each start of a test chooses.
fn options(reply: &Value) -> Vec<(String, Vec<u8>)> {
    let items = reply.items();
    let pairs = items.chunks(2).map(|pair| (pair[0].text(), pair[1].bytes().unwrap()));
    pairs.filter(|(name, _)| name != "port").collect()
}

/// Whether a server serves the unix socket.
fn is_served(path: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(path) else { return false };
    let mut reply = [0; 7];
    stream.write_all(b"PING\r\n").and_then(|()| stream.read_exact(&mut reply)).is_ok()
        && reply == *b"+PONG\r\n"
}

#[test]
fn a_second_start_touches_nothing_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, pid) = (folder.path().join("s"), folder.path().join("pid"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (socket_flags, pid_flags) =
        (["--unixsocket".to_owned(), text(&socket)], ["--pidfile".to_owned(), text(&pid)]);
    let flags: Vec<&str> = socket_flags.iter().chain(&pid_flags).map(String::as_str).collect();
    let mut server = Server::start(&flags);
    let states =
        |paths: [&Path; 2]| paths.map(|path| fs::symlink_metadata(path).map(|found| found.ino()).ok());
    let before = states([&socket, &pid]);
    let as_before = |what: &str| {
        assert!(is_served(&socket), "{what}");
        assert_eq!(states([&socket, &pid]), before, "{what}");
        assert_eq!(fs::read_to_string(&pid).unwrap(), format!("{}\n", server.pid()), "{what}");
    };
    let other = folder.path().join("other");
    let other = other.as_path();
    let port = server.address().port().to_string();
    let same_port = ["--port", port.as_str()];
    for (what, data, flags) in [
        ("the same options", server.data(), [&flags[..], &same_port].concat()),
        ("another port", server.data(), flags.clone()),
        ("another folder", other, flags.clone()),
        ("only the port is the same", other, [&flags[2..], &same_port].concat()),
    ] {
        let said = Server::try_start_in(data, &flags).err();
        assert!(said.is_some(), "{what}: it started");
        as_before(what);
    }
    // The second server shares only the pid file's name with the first: both serve.
    let mut second = Server::try_start_in(other, &flags[2..]).unwrap_or_else(|said| panic!("{said}"));
    assert!(second.log().contains("pidfile"), "{}", second.log());
    assert!(second.stop().success());
    as_before("another server ended");

    server.crash();
    assert!(is_served(&socket), "a killed server's socket is taken over");
    assert_eq!(fs::read_to_string(&pid).unwrap(), format!("{}\n", server.pid()));
    assert!(server.stop().success());
    assert_eq!(states([&socket, &pid]), [None, None], "one's own are removed");

    fs::write(&socket, "precious").unwrap();
    assert!(Server::try_start_in(other, &flags).err().unwrap().contains("unix socket"));
    assert_eq!(fs::read(&socket).unwrap(), b"precious");
}

/// All paths below a folder.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    for index in 0..found.len() {
        if found[index].is_dir() {
            found.extend(tree(&found[index].clone()));
        }
    }
    found
}

#[test]
fn what_the_server_writes_is_for_its_own_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, data, socket, pid, log) =
        (path("a.conf"), path("new/data"), path("s"), path("pid"), path("log"));
    fs::write(&file, "# nothing yet\n").unwrap();
    let flags = ["--dir", &data, "--unixsocket", &socket, "--pidfile", &pid, "--logfile", &log];
    let more = ["--log-segment-size", "16kb", "--appendfsync", "always"];
    let server = Server::start_with_umask("0", &file, &[&flags[..], &more].concat());
    let mut client = server.client();
    for n in 0..20 {
        assert!(client.run(&format!("SET k{n} {}", "x".repeat(3000))).is_ok());
    }
    assert!(client.run("SAVE").is_ok());
    assert!(client.run("CONFIG SET requirepass secret").is_ok());
    assert!(client.run("CONFIG REWRITE").is_ok());
    let found = tree(folder.path());
    let names: Vec<String> =
        found.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    for what in ["a.conf", "new", "data", "s", "pid", "log", "LOCK", "MANIFEST", "segment-", "checkpoint-"] {
        assert!(names.iter().any(|name| name.starts_with(what)), "there is no {what} among {names:?}");
    }
    for path in found {
        let mode = fs::symlink_metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o077, 0, "{} has {:o}", path.display(), mode & 0o777);
    }
}
