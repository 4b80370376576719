//! Starts, kills and restarts a server in a folder of its own.

use super::{Client, Fault, Value};
use std::fs::{self, File};
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a start, a stop or the death of a process may take.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The binary of this crate.
    Itemory,
    /// A real redis-server, which is the referee.
    Redis,
    /// A server that the test did not start.
    External,
}

pub(crate) struct Server {
    kind: Kind,
    child: Option<Child>,
    address: SocketAddr,
    flags: Vec<String>,
    folder: Option<TempDir>,
    /// The data folder; inside `folder` unless a test chose its own.
    data: PathBuf,
    /// A configuration file, which is passed before all flags.
    file: Option<String>,
    /// Variables of the process's environment.
    variables: Vec<(String, String)>,
    /// The umask of the process, if it differs from that of the tests.
    umask: Option<&'static str>,
}

/// A free port that the system gives to no other process for a minute. A connection that this side closed first lingers
/// on the port. That keeps the system from choosing the port, but not a server from listening on it.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    drop(listener.accept().unwrap());
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the other side has closed");
    address.port()
}

impl Server {
    /// Starts the `itemory` binary with these flags on a port of its own, and waits until it answers.
    pub(crate) fn start(flags: &[&str]) -> Server {
        Self::launch(Kind::Itemory, flags, None)
    }

    /// Starts a real redis-server as the referee.
    pub(crate) fn referee(flags: &[&str]) -> Server {
        Self::launch(Kind::Redis, flags, None)
    }

    /// Starts `itemory` on a data folder that the test owns.
    pub(crate) fn start_in(data: &Path, flags: &[&str]) -> Server {
        Self::launch(Kind::Itemory, flags, Some(data))
    }

    /// The same, but returns the output of a process that ended instead of serving.
    pub(crate) fn try_start_in(data: &Path, flags: &[&str]) -> Result<Server, String> {
        let mut server = Self::prepare(Kind::Itemory, flags, Some(data));
        match server.try_up() {
            Ok(()) => Ok(server),
            Err(_) => Err(server.log()),
        }
    }

    /// Starts `itemory` with a configuration file.
    pub(crate) fn start_with_file(path: &str, flags: &[&str]) -> Server {
        Self::launch_with_file(Kind::Itemory, path, flags)
    }

    /// Starts the referee with a configuration file.
    pub(crate) fn referee_with_file(path: &str, flags: &[&str]) -> Server {
        Self::launch_with_file(Kind::Redis, path, flags)
    }

    fn launch_with_file(kind: Kind, path: &str, flags: &[&str]) -> Server {
        let mut server = Self::prepare(kind, flags, None);
        server.file = Some(path.to_owned());
        server.up();
        server
    }

    /// Represents a server that is already running.
    pub(crate) fn external(address: SocketAddr) -> Server {
        Server {
            kind: Kind::External,
            child: None,
            address,
            flags: Vec::new(),
            folder: None,
            data: PathBuf::new(),
            file: None,
            variables: Vec::new(),
            umask: None,
        }
    }

    /// Starts `itemory` with a configuration file and this umask.
    pub(crate) fn start_with_umask(umask: &'static str, path: &str, flags: &[&str]) -> Server {
        let mut server = Self::prepare(Kind::Itemory, flags, None);
        server.umask = Some(umask);
        server.file = Some(path.to_owned());
        server.up();
        server
    }

    fn launch(kind: Kind, flags: &[&str], data: Option<&Path>) -> Server {
        let mut server = Self::prepare(kind, flags, data);
        server.up();
        server
    }

    fn prepare(kind: Kind, flags: &[&str], data: Option<&Path>) -> Server {
        let folder = tempfile::Builder::new().prefix("itemory-test-").tempdir().unwrap();
        let data = data.map_or_else(|| folder.path().join("data"), Path::to_path_buf);
        fs::create_dir_all(&data).unwrap();
        Server {
            kind,
            child: None,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            flags: flags.iter().map(ToString::to_string).collect(),
            folder: Some(folder),
            data,
            file: None,
            variables: Vec::new(),
            umask: None,
        }
    }

    /// Starts `itemory` with these variables in its environment; `Err` with its output if it ends.
    pub(crate) fn try_start_with(flags: &[&str], variables: &[(&str, &str)]) -> Result<Server, String> {
        let mut server = Self::prepare(Kind::Itemory, flags, None);
        server.variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        match server.try_up() {
            Ok(()) => Ok(server),
            Err(_) => Err(server.log()),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The file to which standard output and standard error are written.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.folder.as_ref().unwrap().path().join("log")
    }

    /// The text that the server has written to standard output and standard error so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn command(&self) -> Command {
        let binary = match self.kind {
            Kind::Itemory => env!("CARGO_BIN_EXE_itemory"),
            _ => "redis-server",
        };
        let mut command = Command::new(if self.umask.is_some() { "sh" } else { binary });
        if let Some(umask) = self.umask {
            command.args(["-c", r#"umask "$0"; exec "$@""#, umask, binary]);
        }
        command.args(&self.file);
        command.args(["--port", &self.address.port().to_string(), "--dir"]).arg(&self.data);
        command.args(["--bind", "127.0.0.1"]);
        if !self.flags.iter().any(|f| f == "--save") {
            command.args(["--save", ""]);
        }
        command.args(&self.flags);
        command.envs(self.variables.iter().cloned());
        command
    }

    fn spawn(&mut self, mut command: Command) {
        let out = File::options().create(true).append(true).open(self.log_path()).unwrap();
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        self.child = Some(command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}")));
    }

    /// Starts the process; `Err` with its exit status if it ended before it served.
    pub(crate) fn try_up(&mut self) -> Result<(), ExitStatus> {
        self.address.set_port(free_port());
        self.spawn(self.command());
        self.comes_up()
    }

    /// As [`Server::try_up`], with a fault that is injected before the process's first call. The fault is returned too,
    /// because it lasts until it is dropped.
    pub(crate) fn try_up_with(
        &mut self,
        inject: impl FnOnce(&Server) -> Fault,
    ) -> (Fault, Result<(), ExitStatus>) {
        self.address.set_port(free_port());
        let server = self.command();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", r#"kill -STOP $$; exec "$0" "$@""#])
            .arg(server.get_program())
            .args(server.get_args());
        self.spawn(shell);
        let pid = self.pid().to_string();
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T ") {
            assert!(Instant::now() < deadline, "the shell does not stop");
            std::thread::sleep(Duration::from_millis(1));
        }
        let fault = inject(self);
        assert!(Command::new("kill").args(["-CONT", &pid]).status().unwrap().success());
        let outcome = self.comes_up();
        (fault, outcome)
    }

    fn comes_up(&mut self) -> Result<(), ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                self.child = None;
                return Err(status);
            }
            if self.answers() {
                return Ok(());
            }
            assert!(Instant::now() < deadline, "the server does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    fn answers(&self) -> bool {
        let Ok(mut client) = Client::connect(self.address) else { return false };
        match client.call(&["PING"]) {
            Value::Simple(b) => b == b"PONG",
            Value::Error(e) => e.starts_with(b"NOAUTH") || e.starts_with(b"MISCONF"),
            _ => false,
        }
    }

    /// Starts the process again on the same data folder, after it was killed or stopped. Tries again if another process
    /// took the port in between.
    pub(crate) fn up(&mut self) {
        for _ in 0..5 {
            let before = self.log().len();
            match self.try_up() {
                Ok(()) => return,
                Err(_) if self.log()[before..].contains("ddress already in use") => {}
                Err(status) => panic!("the server ended with {status}:\n{}", self.log()),
            }
        }
        panic!("no free port:\n{}", self.log());
    }

    /// Kills the process with SIGKILL and waits until it is gone.
    pub(crate) fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            child.wait().unwrap();
        }
    }

    /// Kills the process with SIGKILL and starts it again.
    pub(crate) fn crash(&mut self) {
        self.kill9();
        self.up();
    }

    /// Asks for an orderly stop with SIGTERM and waits for it.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.wait()
    }

    /// The exit status of the process if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().unwrap().try_wait().unwrap()
    }

    /// Asks for an orderly stop with SIGTERM and does not wait.
    pub(crate) fn terminate(&self) {
        Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > deadline {
                drop(child.kill());
                panic!("the server does not stop:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Stops the server in an orderly way and starts it again.
    pub(crate) fn restart(&mut self) {
        assert!(self.stop().success(), "the stop failed:\n{}", self.log());
        self.up();
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address).unwrap_or_else(|e| panic!("{}: {e}\n{}", self.address, self.log()))
    }

    /// The value of the field `name` in INFO.
    pub(crate) fn info(&self, name: &str) -> String {
        let text = self.client().run("INFO everything").text();
        let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':').map(str::to_owned));
        line.unwrap_or_else(|| panic!("INFO has no {name}"))
    }

    /// A client that speaks the given protocol version.
    pub(crate) fn client_with(&self, proto: u8) -> Client {
        let mut client = self.client();
        if proto == 3 {
            let hello = client.run("HELLO 3");
            assert!(!hello.is_error(), "HELLO 3: {hello}");
        }
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() && self.kind == Kind::Itemory {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            // A fault's trace may be longer than the tail.
            for (at, _) in log.match_indices("this is a fault of the program") {
                log[at..].lines().take(40).for_each(|line| eprintln!("{line}"));
            }
            eprintln!("the end of the log of {}:", self.address);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
