//! Telling systemd how the server is: datagrams to the socket that `NOTIFY_SOCKET` names.

use crate::config::Supervised;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The way to the service manager, if there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Notifier {
    socket: Option<OsString>,
}

impl Notifier {
    /// The notifier that `supervised` asks for.
    pub(super) fn new(supervised: Supervised) -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty());
        match supervised {
            Supervised::Systemd | Supervised::Auto => Self { socket },
            Supervised::Upstart | Supervised::No => Self::default(),
        }
    }

    /// Tells systemd a state, such as `READY=1`. A failure is only logged, because the server can run without it.
    pub(super) fn tell(&self, state: &str) {
        if let Err(error) = self.send(state) {
            tracing::warn!(%error, "the service manager cannot be told {state}");
        }
    }

    fn send(&self, state: &str) -> io::Result<()> {
        let Some(path) = &self.socket else { return Ok(()) };
        let socket = UnixDatagram::unbound()?;
        // A leading at-sign stands for the abstract namespace.
        match path.as_bytes() {
            [b'@', name @ ..] => {
                socket.send_to_addr(state.as_bytes(), &SocketAddr::from_abstract_name(name)?)?;
            }
            _ => {
                socket.send_to(state.as_bytes(), path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reaches_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier { socket: Some(path.into()) };
        notifier.send("READY=1").unwrap();
        let mut buf = [0; 64];
        let n = manager.recv(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"READY=1");
    }

    #[test]
    fn an_abstract_socket_is_found() {
        let name = format!("itemory-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        Notifier { socket: Some(format!("@{name}").into()) }.send("STOPPING=1").unwrap();
        let mut buf = [0; 64];
        let n = manager.recv(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"STOPPING=1");
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        Notifier::default().send("READY=1").unwrap();
    }
}
