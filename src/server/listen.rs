//! The sockets on which the server listens, and which clients it admits.

use super::local::Seat;
use super::worker::{Accepted, Workers};
use crate::command::Server;
use crate::config::{CANNOT_BIND, Refusal, Settings};
use crate::env::{SocketName, listen_unix};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;

const DENIED: &[u8] = b"-DENIED The server is in protected mode: no password is set, so that only clients on this machine are \
served. To serve others, set a password with the option requirepass, or state with the option protected-mode no that the \
network itself keeps strangers away. Both options can be set with CONFIG SET from this machine, in the configuration file \
or as a flag.\r\n";
const FULL: &[u8] = b"-ERR max number of clients reached\r\n";

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    address: SocketAddr,
    /// Whether the machine may lack this address.
    optional: bool,
}

/// The addresses that the options `bind` and `port` name.
fn wanted(settings: &Settings) -> io::Result<Vec<Wanted>> {
    let mut all: Vec<Wanted> = Vec::new();
    if settings.port == 0 {
        return Ok(all);
    }
    for name in &settings.bind {
        let (name, optional) = name.strip_prefix('-').map_or((name.as_str(), false), |name| (name, true));
        let host = match name {
            "*" => "0.0.0.0",
            "::*" => "::",
            name => name,
        };
        // A host name that cannot be resolved is an error, even if it is optional; an optional address may be missing.
        let found = (host, settings.port).to_socket_addrs()?.next();
        let address = found.ok_or(io::ErrorKind::AddrNotAvailable)?;
        if all.iter().all(|other| other.address != address) {
            all.push(Wanted { address, optional });
        }
    }
    Ok(all)
}

fn open_tcp(address: SocketAddr, backlog: u32) -> io::Result<std::net::TcpListener> {
    let domain = if address.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Whether the error says that the machine lacks the address, rather than that another process uses it.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::ENOPROTOOPT)
    )
}

struct Open {
    address: SocketAddr,
    listener: Arc<std::net::TcpListener>,
    /// Tells the task that accepts on this socket to end.
    close: Arc<Notify>,
}

/// The sockets on which the server listens now.
pub(super) struct ListenSockets {
    tcp: Mutex<Vec<Open>>,
    /// Signals that CONFIG SET has opened sockets, on which no task accepts yet.
    changed: Notify,
    unix: Option<Unix>,
}

struct Unix {
    /// Declared first, so the name is removed before the socket is closed.
    _name: SocketName,
    listener: UnixListener,
    path: String,
}

fn in_words(address: SocketAddr, error: &io::Error) -> String {
    format!("Could not create the listening socket {address}: {error}")
}

impl ListenSockets {
    /// Opens all sockets that the configuration names. Must be called inside the runtime that will accept on them.
    pub(super) fn open(settings: &Settings) -> Result<Self, String> {
        let listeners = Self { tcp: Mutex::default(), changed: Notify::new(), unix: open_unix(settings)? };
        let tcp = Self::open_missing(settings, &[])?;
        if tcp.is_empty() && settings.port != 0 && !settings.bind.is_empty() {
            return Err(format!(
                "None of the addresses of the option bind exists: {}",
                settings.bind.join(" ")
            ));
        }
        *listeners.tcp.lock() = tcp;
        Ok(listeners)
    }

    /// Opens those sockets that the configuration names and `have` lacks.
    fn open_missing(settings: &Settings, have: &[SocketAddr]) -> Result<Vec<Open>, String> {
        let wanted = wanted(settings)
            .map_err(|error| format!("Cannot resolve an address of {}: {error}", settings.bind.join(" ")))?;
        let mut opened = Vec::new();
        for Wanted { address, optional } in wanted {
            if have.contains(&address) {
                continue;
            }
            match open_tcp(address, settings.tcp_backlog) {
                Ok(listener) => opened.push(Open {
                    address,
                    listener: Arc::new(listener),
                    close: Arc::new(Notify::new()),
                }),
                Err(error) if optional && is_missing(&error) => {
                    tracing::debug!("{}", in_words(address, &error));
                }
                Err(error) => return Err(in_words(address, &error)),
            }
        }
        Ok(opened)
    }

    /// Listens on the addresses of changed settings. Sockets that stay the same are not interrupted. On an error
    /// nothing has changed, and the error has Redis's words; `binds` says whether `bind` was changed rather than
    /// `port`.
    pub(super) fn change(&self, settings: &Settings, binds: bool) -> Result<(), Refusal> {
        let refuse = |reason: &str| {
            tracing::warn!("CONFIG SET cannot listen elsewhere: {reason}");
            let (option, words) = if binds {
                ("bind", CANNOT_BIND)
            } else {
                ("port", "Unable to listen on this port. Check server logs.")
            };
            (option, words.to_owned())
        };
        let wanted = wanted(settings).map_err(|error| refuse(&error.to_string()))?;
        let mut tcp = self.tcp.lock();
        let have: Vec<SocketAddr> = tcp.iter().map(|open| open.address).collect();
        let opened = Self::open_missing(settings, &have).map_err(|reason| refuse(&reason))?;
        tcp.retain(|open| {
            let stays = wanted.iter().any(|wanted| wanted.address == open.address);
            if !stays {
                open.close.notify_one();
            }
            stays
        });
        tcp.extend(opened);
        self.changed.notify_one();
        Ok(())
    }

    /// The addresses as text, for INFO and the log.
    pub(super) fn names(&self) -> Vec<String> {
        let tcp = self.tcp.lock().iter().map(|open| open.address.to_string()).collect::<Vec<_>>();
        tcp.into_iter().chain(self.unix.as_ref().map(|unix| unix.path.clone())).collect()
    }

    /// Accepts connections for ever.
    pub(super) async fn accept(self: &Arc<Self>, server: &Arc<Server>, workers: &Arc<Workers>) {
        let doorkeeper = Doorkeeper { server: Arc::clone(server), workers: Arc::clone(workers) };
        let mut tasks = tokio::task::JoinSet::new();
        if self.unix.is_some() {
            let (listeners, doorkeeper) = (Arc::clone(self), doorkeeper.clone());
            tasks.spawn(async move { listeners.accept_unix(&doorkeeper).await });
        }
        let mut served: Vec<Arc<std::net::TcpListener>> = Vec::new();
        loop {
            let fresh: Vec<(Arc<std::net::TcpListener>, Arc<Notify>)> = {
                let tcp = self.tcp.lock();
                served.retain(|served| tcp.iter().any(|open| Arc::ptr_eq(&open.listener, served)));
                let is_served = |open: &&Open| served.iter().any(|s| Arc::ptr_eq(s, &open.listener));
                tcp.iter()
                    .filter(|open| !is_served(open))
                    .map(|open| (Arc::clone(&open.listener), Arc::clone(&open.close)))
                    .collect()
            };
            for (listener, close) in fresh {
                let opened = listener.try_clone().and_then(TcpListener::from_std);
                served.push(listener);
                let listener = match opened {
                    Ok(listener) => listener,
                    Err(error) => {
                        tracing::error!(%error, "a socket cannot be listened on");
                        continue;
                    }
                };
                let doorkeeper = doorkeeper.clone();
                tasks.spawn(async move {
                    tokio::select! {
                        () = accept_tcp(&listener, &doorkeeper) => {}
                        () = close.notified() => {}
                    }
                });
            }
            *server.listening.lock() = self.names();
            self.changed.notified().await;
        }
    }

    async fn accept_unix(&self, doorkeeper: &Doorkeeper) {
        let Some(Unix { listener, path, .. }) = &self.unix else { return };
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    if let Ok(stream) = stream.into_std() {
                        doorkeeper.admit_unix(stream, path).await;
                    }
                }
                Err(error) => rest_after(&error).await,
            }
        }
    }
}

fn open_unix(settings: &Settings) -> Result<Option<Unix>, String> {
    let path = &settings.unixsocket;
    if path.is_empty() {
        return Ok(None);
    }
    let permissions = Some(settings.unixsocketperm).filter(|permissions| *permissions != 0);
    let opened =
        listen_unix(path.as_ref(), permissions, settings.tcp_backlog).and_then(|(listener, name)| {
            Ok(Unix { _name: name, listener: UnixListener::from_std(listener)?, path: path.clone() })
        });
    match opened {
        Ok(unix) => Ok(Some(unix)),
        Err(error) => Err(format!("Could not create the unix socket {path}: {error}")),
    }
}

async fn accept_tcp(listener: &TcpListener, doorkeeper: &Doorkeeper) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Ok(stream) = stream.into_std() {
                    doorkeeper.admit_tcp(stream, peer).await;
                }
            }
            Err(error) => rest_after(&error).await,
        }
    }
}

/// Waits after a failed accept: its usual cause is a lack of file descriptors, which may pass.
async fn rest_after(error: &io::Error) {
    tracing::warn!(%error, "a connection cannot be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Admits connections and hands them to the workers.
#[derive(Clone)]
struct Doorkeeper {
    server: Arc<Server>,
    workers: Arc<Workers>,
}

impl Doorkeeper {
    /// A seat for one more client. If none is free the client is told so.
    fn seat(&self, settings: &Settings, stream: &mut impl Write) -> Option<Seat> {
        let counts = &self.server.counts;
        // File descriptors are left for the log, because a segment that cannot be opened ends the log.
        let most = (settings.maxclients as usize).min(counts.most_clients.load(Relaxed));
        let seat = Seat::take(&self.server, most);
        if seat.is_none() {
            counts.rejected_connections.fetch_add(1, Relaxed);
            let _ = stream.write(FULL);
        } else {
            counts.connections.fetch_add(1, Relaxed);
        }
        seat
    }

    async fn admit_unix(&self, mut stream: std::os::unix::net::UnixStream, path: &str) {
        let settings = self.server.config.snapshot();
        let Some(seat) = self.seat(&settings, &mut stream) else { return };
        self.workers.hand_over(Accepted::Unix(stream, path.to_owned()), seat).await;
    }

    async fn admit_tcp(&self, mut stream: std::net::TcpStream, peer: SocketAddr) {
        let settings = self.server.config.snapshot();
        let Some(seat) = self.seat(&settings, &mut stream) else { return };
        let is_stranger = !peer.ip().to_canonical().is_loopback();
        if settings.protected_mode && self.server.users.is_open() && is_stranger {
            self.server.counts.rejected_connections.fetch_add(1, Relaxed);
            let _ = stream.write(DENIED);
            return;
        }
        let _ = stream.set_nodelay(true);
        if settings.tcp_keepalive > 0 {
            let seconds = u64::from(settings.tcp_keepalive);
            let keepalive = TcpKeepalive::new()
                .with_time(Duration::from_secs(seconds))
                .with_interval(Duration::from_secs((seconds / 3).max(1)))
                .with_retries(3);
            let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        }
        self.workers.hand_over(Accepted::Tcp(stream), seat).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn settings(bind: &[&str], port: u16) -> Settings {
        Settings { bind: bind.iter().map(ToString::to_string).collect(), port, ..Settings::default() }
    }

    #[test]
    fn addresses_are_read_as_in_redis() {
        let shown = |bind: &[&str]| -> Vec<String> {
            let wanted = wanted(&settings(bind, 7)).unwrap();
            wanted.iter().map(|w| format!("{}{}", if w.optional { "-" } else { "" }, w.address)).collect()
        };
        assert_eq!(shown(&["127.0.0.1", "-::1"]), ["127.0.0.1:7", "-[::1]:7"]);
        assert_eq!(shown(&["*", "-::*"]), ["0.0.0.0:7", "-[::]:7"]);
        assert_eq!(shown(&["127.0.0.1", "127.0.0.1"]), ["127.0.0.1:7"]);
        assert!(shown(&[]).is_empty());
        assert!(wanted(&settings(&["127.0.0.1"], 0)).unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_address_in_use_is_an_error_and_a_missing_one_only_if_it_must_be_there() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = ListenSockets::open(&settings(&["-127.0.0.1"], port)).err().unwrap();
        assert!(error.contains("ddress already in use"), "{error}");
        drop(taken);
        // An address of the range for documentation, which no machine has.
        assert!(ListenSockets::open(&settings(&["127.0.0.1", "198.51.100.77"], port)).is_err());
        let listeners = ListenSockets::open(&settings(&["127.0.0.1", "-198.51.100.77"], port)).unwrap();
        assert_eq!(listeners.names(), [format!("127.0.0.1:{port}")]);
        // A change of the port closes the old socket, and a refused change leaves the socket open.
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = other.local_addr().unwrap().port();
        assert_eq!(listeners.change(&settings(&["127.0.0.1"], taken), false).unwrap_err().0, "port");
        assert_eq!(listeners.names(), [format!("127.0.0.1:{port}")]);
        drop(other);
        listeners.change(&settings(&["127.0.0.1"], taken), false).unwrap();
        assert_eq!(listeners.names(), [format!("127.0.0.1:{taken}")]);
    }

    #[tokio::test]
    async fn the_unix_socket_has_its_permissions_and_goes_with_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let settings =
            Settings { unixsocket: path.display().to_string(), unixsocketperm: 0o600, ..settings(&[], 0) };
        let listeners = ListenSockets::open(&settings).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(listeners);
        assert!(!path.exists());
    }
}
