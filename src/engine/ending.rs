//! The orderly end: first writes stop, then what must be kept is brought to disk, and only then the server ends.

use super::durability::{DurabilityState, Event, LogState, Phase};
use super::{Engine, EngineError};
use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

/// How long an end waits before it looks again whether a reload is over.
const LOOK: Duration = Duration::from_millis(5);

impl Engine {
    /// Stops writes for good and brings to disk what the end would lose. `save` asks for a checkpoint or forbids it. If
    /// it is `None`, a checkpoint is written if nothing is logged and there are save points, or if the log is
    /// incomplete. With `force`, an error is only logged and the end goes on. [`Engine::close`] finally says whether
    /// everything is on disk.
    ///
    /// Commands that write wait meanwhile, and go on if the end is refused. Blocks for as long as a checkpoint takes.
    ///
    /// # Errors
    /// Why the end is refused: something would be lost that a user expects to be kept. The state is then as before.
    pub fn end(self: &Arc<Self>, save: Option<bool>, force: bool) -> Result<(), EngineError> {
        let _one = self.ending.lock();
        let state = loop {
            match self.step(Event::EndBegun, None) {
                Ok(state) => break state,
                Err(state) if state.phase() == Phase::Reloading => {
                    if self.emptied.load(Acquire) {
                        // The reload has brought everything to disk already. Its reading gives up.
                        self.stop();
                        return Ok(());
                    }
                    std::thread::sleep(LOOK);
                }
                // Memory holds nothing sound, or an end has begun already.
                Err(_) => return Ok(()),
            }
        };
        let mut begun = Begun(Some(self));
        match self.bring_to_disk(state, save) {
            Err(error) if !force => return Err(error),
            Err(error) => tracing::warn!(%error, "the end was forced"),
            Ok(()) => {}
        }
        begun.0 = None;
        Ok(())
    }

    fn bring_to_disk(&self, state: DurabilityState, save: Option<bool>) -> Result<(), EngineError> {
        let wanted = match (state.log(), save) {
            (LogState::Stranded, _) => return Err(self.failure().into()),
            (LogState::Incomplete, Some(false)) => return Err(EngineError::Gap),
            (_, Some(save)) => save,
            (LogState::Incomplete, None) => true,
            (LogState::Off, None) => self.place.is_some() && !self.settings().save.is_empty(),
            (LogState::Complete | LogState::Failed, None) => false,
        };
        // A running checkpoint gives up. The one that may follow shows all of its writes too.
        let _alone = self.works.exclude();
        if !wanted {
            return Ok(());
        }
        loop {
            match self.claim_save_alone() {
                // A reload that was refused still has its claim, and gives it back soon.
                Err(EngineError::Busy) => std::thread::sleep(LOOK),
                claimed => return self.run_save(&claimed?),
            }
        }
    }
}

/// An end that has begun. If it is dropped with the engine in it, also by a panic, the end is given up.
struct Begun<'a>(Option<&'a Arc<Engine>>);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(engine) = self.0
            && let Ok(state) = engine.step(Event::EndGivenUp, None)
        {
            engine.take_back_if_needed(state);
        }
    }
}
