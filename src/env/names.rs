//! Names in the file system by which this process is found: its unix socket and the file with its process id. An
//! existing name counts as another process's until that process is known to be gone. A process removes only its own
//! name.

use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// A name that this process gave to a file. Dropping this value removes the name, unless another process has removed or
/// replaced it. The owner also holds the file open, so that no other file can get its identity.
#[derive(Debug)]
struct OwnName {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl OwnName {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }
}

impl Drop for OwnName {
    fn drop(&mut self) {
        let is_own = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if is_own {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file that is locked as long as this value lives, so that other processes know that its owner runs. The system
/// releases the lock of a killed process.
#[derive(Debug)]
struct LockFile {
    /// It is dropped before the lock.
    _name: OwnName,
    file: File,
}

/// The content of a locked file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// No content: only the lock is used.
    Nothing,
    /// Text that the process writes over the old content.
    Text,
}

impl LockFile {
    /// Locks the file, and creates it if it is missing.
    ///
    /// # Errors
    /// `ResourceBusy` if a running process holds the lock.
    fn take(path: &Path, holds: Holds) -> io::Result<Self> {
        loop {
            // `O_NONBLOCK`, because opening a pipe would otherwise wait for a reader.
            let flags = match holds {
                Holds::Nothing => libc::O_NONBLOCK | libc::O_NOFOLLOW,
                Holds::Text => libc::O_NONBLOCK,
            };
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(false).custom_flags(flags).open(path)?;
            let found = file.metadata()?;
            // The file is removed at the end, so it must not be something else.
            if !found.is_file() || (holds == Holds::Nothing && found.len() > 0) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no such file"));
            }
            file.try_lock().map_err(|error| match error {
                fs::TryLockError::WouldBlock => {
                    io::Error::new(io::ErrorKind::ResourceBusy, "it is that of another process that runs")
                }
                fs::TryLockError::Error(error) => error,
            })?;
            let own = file.metadata()?;
            // The former owner may have removed the file after it was opened here.
            if fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino())) {
                return Ok(Self { _name: OwnName::of(path)?, file });
            }
        }
    }
}

/// The file that holds the process id as long as this value lives.
#[derive(Debug)]
pub struct PidFile {
    _locked: LockFile,
}

impl PidFile {
    /// Writes the file, replacing one that a killed process left behind.
    ///
    /// # Errors
    /// `ResourceBusy` if it belongs to a running process; that file is not changed.
    pub fn write(path: &Path) -> io::Result<Self> {
        let mut locked = LockFile::take(path, Holds::Text)?;
        locked.file.set_len(0)?;
        locked.file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        Ok(Self { _locked: locked })
    }
}

/// The name of a unix socket, as long as this value lives.
#[derive(Debug)]
pub struct SocketName {
    _name: OwnName,
    /// Only the holder of this lock may remove and give the name. It is dropped after the name.
    _lock: LockFile,
}

/// Listens on a unix socket with this name and these permissions; without permissions the umask decides. The socket has
/// its permissions before it listens, so no client can connect earlier. The file with this name and `.lock` behind it
/// stays locked, so that only one of several processes can replace a socket that was left behind.
///
/// # Errors
/// `AddrInUse` if another process listens there. Any other file of that name is an error too, and is not removed.
pub fn listen_unix(
    path: &Path,
    permissions: Option<u32>,
    backlog: u32,
) -> io::Result<(UnixListener, SocketName)> {
    let address = SockAddr::unix(path)?;
    let lock = lock_socket(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_left_behind(path, &address)?;
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    let name = SocketName { _name: OwnName::of(path)?, _lock: lock };
    if let Some(mode) = permissions {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    socket.set_nonblocking(true)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok((socket.into(), name))
}

/// Locks the file that belongs to a socket's name.
fn lock_socket(path: &Path) -> io::Result<LockFile> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    LockFile::take(lock.as_ref(), Holds::Nothing).map_err(|error| {
        let lock = lock.display();
        match error.kind() {
            io::ErrorKind::ResourceBusy => io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("another process has locked {lock}: it listens there, or is about to"),
            ),
            kind => io::Error::new(kind, format!("{lock} cannot be locked: {error}")),
        }
    })
}

/// Removes the socket of a process that was killed.
fn remove_left_behind(path: &Path, address: &SockAddr) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name that is no socket",
        ));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // `WouldBlock`: the listener is too busy to accept, so it is alive.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(unknown_owner(&error)),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
    }
}

/// The error if a connection attempt does not show whether another process listens.
fn unknown_owner(error: &io::Error) -> io::Error {
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied => "this process may not connect to it",
        _ => "a connection to it fails",
    };
    let text = format!(
        "there is a socket of that name already, and whether it is in use is unknown: {why} ({error})"
    );
    io::Error::new(error.kind(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_socket_takes_the_name_of_one_that_was_left_behind_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        // A listener of the standard library leaves its name.
        drop(UnixListener::bind(&path).unwrap());
        let (listener, name) = listen_unix(&path, Some(0o706), 1).unwrap();
        assert_eq!(mode(&path), 0o706);

        let in_use = listen_unix(&path, Some(0o777), 1).unwrap_err();
        assert_eq!(in_use.kind(), io::ErrorKind::AddrInUse);
        // The listener does not accept, so its queue fills up.
        let waiting: Vec<_> = std::iter::from_fn(|| {
            let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            client.connect(&SockAddr::unix(&path).unwrap()).ok().map(|()| client)
        })
        .collect();
        assert!(!waiting.is_empty());
        let in_use = listen_unix(&path, Some(0o777), 1).unwrap_err();
        assert_eq!((in_use.kind(), mode(&path)), (io::ErrorKind::AddrInUse, 0o706));
        drop((name, listener));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "precious").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&file, &link] {
            assert_eq!(listen_unix(path, None, 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(path).unwrap(), b"precious");
        }
    }

    /// After one process has found a socket that was left behind, another one may put its own there before the first
    /// removes it.
    #[test]
    fn of_several_who_find_a_socket_that_was_left_behind_one_gets_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, lock) = (folder.path().join("s"), folder.path().join("s.lock"));
        drop(UnixListener::bind(&path).unwrap());
        let left = fs::symlink_metadata(&path).unwrap().ino();
        let locked = File::create(&lock).unwrap();
        locked.lock().unwrap();
        let in_use = listen_unix(&path, None, 1).unwrap_err();
        assert_eq!(in_use.kind(), io::ErrorKind::AddrInUse);
        assert!(in_use.to_string().contains(&*lock.display().to_string()), "{in_use}");
        assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), left);
        // The lock of a process that was killed is given back, and its file stays.
        drop(locked);
        assert!(lock.exists());
        for _ in 0..20 {
            let all: Vec<_> = std::thread::scope(|scope| {
                let one = || listen_unix(&path, None, 1);
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(all.iter().filter(|listening| listening.is_ok()).count(), 1, "{all:?}");
            std::os::unix::net::UnixStream::connect(&path).unwrap();
            drop(all);
            drop(UnixListener::bind(&path).unwrap());
        }
    }

    #[test]
    fn who_may_not_look_whether_a_socket_is_in_use_is_told_so() {
        let denied = unknown_owner(&io::Error::from_raw_os_error(libc::EACCES));
        assert_eq!(denied.kind(), io::ErrorKind::PermissionDenied);
        let text = denied.to_string();
        assert!(text.contains("this process may not connect to it (Permission denied"), "{text}");
        let other = unknown_owner(&io::Error::from_raw_os_error(libc::EPROTOTYPE)).to_string();
        assert!(other.contains("a connection to it fails (Protocol wrong type"), "{other}");
    }

    #[test]
    fn a_name_that_somebody_took_over_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, pid) = (folder.path().join("s"), folder.path().join("pid"));
        let listening = listen_unix(&socket, None, 1).unwrap();
        let written = PidFile::write(&pid).unwrap();
        for path in [&socket, &pid] {
            fs::remove_file(path).unwrap();
            fs::write(path, "another's").unwrap();
        }
        drop((listening, written));
        for path in [&socket, &pid] {
            assert_eq!(fs::read(path).unwrap(), b"another's");
        }
    }

    #[test]
    fn the_file_with_the_process_id_is_that_of_a_process_that_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        fs::write(&path, "99999999 was left behind\n").unwrap();
        let written = PidFile::write(&path).unwrap();
        let text = || fs::read_to_string(&path).unwrap();
        assert_eq!(text(), format!("{}\n", std::process::id()));
        assert_eq!(PidFile::write(&path).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(text(), format!("{}\n", std::process::id()));
        drop(written);
        assert!(!path.exists());
    }

    #[test]
    fn only_an_empty_file_is_taken_for_a_sockets_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (path, lock) = (folder.path().join("s"), folder.path().join("s.lock"));
        let refused = || listen_unix(&path, None, 1).unwrap_err().to_string();
        fs::write(&lock, "somebody's").unwrap();
        assert!(refused().contains("s.lock cannot be locked"), "{}", refused());
        assert_eq!(fs::read(&lock).unwrap(), b"somebody's");
        fs::remove_file(&lock).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &lock).unwrap();
        assert!(refused().contains("s.lock cannot be locked"), "{}", refused());
        assert!(!folder.path().join("elsewhere").exists());
        fs::remove_file(&lock).unwrap();
        let fifo = std::ffi::CString::new(lock.as_os_str().as_encoded_bytes()).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        // Without `O_NONBLOCK`, opening a pipe for writing waits for a reader.
        assert!(refused().contains("s.lock cannot be locked"), "{}", refused());
        fs::remove_file(&lock).unwrap();
        drop(listen_unix(&path, None, 1).unwrap());
        assert!(!lock.exists());
    }
}
