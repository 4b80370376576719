//! The life of a server: it opens its sockets, recovers, serves, and ends in order.

use super::cron;
use super::listen::ListenSockets;
use super::logging;
use super::notify::Notifier;
use super::signal::Signals;
use super::thread;
use super::worker::Workers;
use crate::command::{Server, find_functions};
use crate::config::{Changed, Refusal, Settings};
use crate::engine::{EngineError, RecoveryReport};
use crate::env::PidFile;
use crate::lua::LoadTime;
use crate::node::Kill;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Why a server could not start, or did not end in order.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error("{0}")]
    Listen(String),
    /// The data folder could not be read, or the log could not be closed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The system refused something.
    #[error("{what}: {error}")]
    System {
        /// The action that failed.
        what: &'static str,
        /// The system's error.
        error: std::io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> ServerError {
    move |error| ServerError::System { what, error }
}

/// Writes the file with the process id. As in Redis, the server runs even if it cannot be written.
fn write_pid_file(settings: &Settings) -> Option<PidFile> {
    let path = Some(&settings.pidfile).filter(|path| !path.is_empty())?;
    PidFile::write(path.as_ref())
        .inspect_err(|error| tracing::warn!(%error, "the pidfile {path} cannot be written"))
        .ok()
}

/// If reading the data folder takes less than this, no connection is accepted before it is read, so that no client is
/// answered LOADING.
const SOON: Duration = Duration::from_millis(500);

/// Serves until SHUTDOWN or a signal ends the server. Clients are answered LOADING until the data folder has been read.
pub fn run(server: &Arc<Server>) -> Result<(), ServerError> {
    let settings = server.config.snapshot();
    cron::raise_file_limit(server, &settings);
    let notifier = Notifier::new(settings.supervised);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("starting the runtime"))?;
    // The claim comes first: if another server has the data, nothing of that server's may be touched.
    server.engine.claim()?;
    let (listeners, signals) = {
        let _entered = runtime.enter();
        let listeners = ListenSockets::open(&settings).map_err(ServerError::Listen)?;
        (Arc::new(listeners), Signals::take_over().map_err(system("watching for signals"))?)
    };
    let pid_file = write_pid_file(&settings);
    react_to_changes(server, &listeners);
    *server.listening.lock() = listeners.names();
    let workers = Arc::new(Workers::start(server).map_err(system("starting a worker"))?);
    let background = runtime.block_on(async {
        tokio::spawn(signals.watch(Arc::clone(server)));
        tokio::spawn(cron::watch(Arc::clone(server)));
        let (recovered, opens) = oneshot::channel();
        let accept = async {
            let _ = tokio::time::timeout(SOON, opens).await;
            listeners.accept(server, &workers).await;
        };
        tokio::select! {
            () = accept => Ok(Vec::new()),
            outcome = serve(server, &notifier, recovered) => outcome,
        }
    });
    notifier.tell("STOPPING=1");
    // With the runtime goes the task that accepts connections. A recovery that still runs is left behind.
    runtime.shutdown_background();
    drop(listeners);
    let outcome = background.and_then(|threads| end(server, workers, threads));
    drop(pid_file);
    if outcome.is_ok() {
        tracing::info!("Itemory is now ready to exit, bye bye...");
    }
    outcome
}

/// Registers what CONFIG SET must do in the server room.
fn react_to_changes(server: &Arc<Server>, listeners: &Arc<ListenSockets>) {
    let (listeners, weak) = (Arc::downgrade(listeners), Arc::downgrade(server));
    let react = move |changed: &Changed| -> Result<(), Refusal> {
        if changed.names.iter().any(|name| ["port", "bind"].contains(name))
            && let Some(listeners) = listeners.upgrade()
        {
            listeners.change(&changed.new, changed.names.contains(&"bind"))?;
        }
        if changed.names.contains(&"maxclients")
            && let Some(server) = weak.upgrade()
        {
            cron::raise_file_limit(&server, &changed.new);
        }
        if changed.names.contains(&"loglevel") {
            logging::set_level(changed.new.loglevel);
        }
        Ok(())
    };
    let _ = server.reconfigured.set(Box::new(react));
}

/// Recovers, reports it, and waits for the request to end. Returns the background threads.
async fn serve(
    server: &Arc<Server>,
    notifier: &Notifier,
    recovered: oneshot::Sender<()>,
) -> Result<Vec<JoinHandle<()>>, ServerError> {
    let recovering = Arc::clone(server);
    let recovery = thread::run("recovery", move || {
        let report = recovering.engine.recover()?;
        find_functions(&recovering, LoadTime::Any);
        Ok::<_, EngineError>(report)
    });
    let recovery = recovery.map_err(system("starting a thread that reads the data folder"))?;
    let report = tokio::select! {
        report = recovery => match report {
            Ok(report) => report?,
            Err(error) => return Err(system("reading the data folder")(std::io::Error::other(error))),
        },
        () = server.shutdown.requested() => return Ok(Vec::new()),
    };
    let threads = server.engine.start_background()?;
    server.loaded_keys.store(report.keys, Relaxed);
    // Fails if connections are accepted already, which needs no error.
    let _ = recovered.send(());
    say_ready(server, &report);
    notifier.tell("READY=1");
    server.shutdown.requested().await;
    Ok(threads)
}

/// Logs the start: where the server listens and keeps its data, how durable writes are, and what recovery found.
fn say_ready(server: &Server, report: &RecoveryReport) {
    let settings = server.config.snapshot();
    let durability = match (settings.appendonly, settings.save.is_empty()) {
        (true, _) => format!("appendfsync {}", settings.appendfsync.name()),
        (false, false) => "checkpoints at the save points only".to_owned(),
        (false, true) => "nothing is kept on disk".to_owned(),
    };
    if let Some(cut) = &report.cut {
        tracing::warn!("a torn tail was cut off the log: {cut}");
    }
    if let Some(begun) = &report.begun_from {
        tracing::warn!("{begun}");
    }
    if report.gap {
        tracing::warn!(
            "the log had been off, and no checkpoint was finished after it was switched on again: what was written since then \
             is lost"
        );
    }
    for damaged in &report.damaged {
        tracing::warn!("the checkpoint {damaged} is damaged and was passed over");
    }
    let checkpoint = match &report.checkpoint {
        Some((name, bytes)) => format!("checkpoint {name} of {bytes} bytes"),
        None => "no checkpoint".to_owned(),
    };
    tracing::info!(
        "Itemory {} is ready to accept connections on {}; data in {}, {durability}; recovered {} keys from {checkpoint} and \
         {} log records in {} ms{}",
        env!("CARGO_PKG_VERSION"),
        server.listening.lock().join(" and "),
        settings.dir.display(),
        report.keys,
        report.records,
        report.millis,
        if report.closed_in_order || report.tail == 0 {
            ""
        } else {
            " (the former process did not end in order)"
        },
    );
}

/// Lets clients have their last replies, then brings all data to disk.
fn end(server: &Arc<Server>, workers: Arc<Workers>, threads: Vec<JoinHandle<()>>) -> Result<(), ServerError> {
    let clients: Vec<_> = server.clients.lock().values().cloned().collect();
    for client in &clients {
        client.kill(Kill::AfterReply);
    }
    // Commands that wait give up. A command on a thread of its own may still be running; its writes are refused from
    // here on.
    server.engine.stop();
    if let Some(workers) = Arc::into_inner(workers) {
        workers.join();
    }
    for thread in threads {
        let _ = thread.join();
    }
    Ok(server.engine.close()?)
}
