//! The same calls on servers that nothing is wrong with, at the same moment: what the machine takes for them is not the
//! fault's.

use std::sync::OnceLock;

use test_support::ProxiedServers;

use super::*;

/// A bound has this in addition to the time-outs, to twice the time that the control takes, and to the longest time that
/// a thread of these calls waited for a processor.
const MARGIN: Duration = Duration::from_millis(80);

/// Calls over servers of their own, which are those of all tests of a binary: each test measures when it is alone.
pub(super) struct Control {
    cache: Cache,
    source: Arc<Source>,
    ids: AtomicU64,
    _servers: ProxiedServers,
}

impl Control {
    pub(super) fn get() -> &'static Control {
        static CONTROL: OnceLock<Control> = OnceLock::new();
        CONTROL.get_or_init(|| {
            let servers = crate::started();
            // However busy the machine is, no call of the control runs its body without the server.
            let cache = Cache::builder(servers.url()).unwrap().timeout(PATIENCE).build();
            Control { cache, source: Arc::default(), ids: AtomicU64::new(0), _servers: servers }
        })
    }

    /// Makes the connections that the calls of this rig use.
    pub(super) fn connect(&self, rig: &Rig) {
        self.calls(rig);
    }

    /// How long the slowest of a hundred calls takes: half of them hits, as in [`Rig::burst`].
    fn calls(&self, rig: &Rig) -> Duration {
        let first = self.ids.fetch_add(CALLERS / 2, SeqCst);
        rig.calls_of(&self.cache, &self.source, first..first + CALLERS).elapsed
    }

    /// Runs `work`, and the control meanwhile and at its end.
    pub(super) fn measured(&self, rig: &Rig, work: impl FnOnce() -> Slowest) -> Measured {
        thread::scope(|scope| {
            let meanwhile = scope.spawn(|| self.calls(rig));
            let slowest = work();
            let meanwhile = meanwhile.join().expect("no call panics");
            Measured { slowest, control: meanwhile.max(self.calls(rig)) }
        })
    }
}

/// The time that calls took, and that of the control at the same moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) slowest: Slowest,
    control: Duration,
}

impl Measured {
    /// Returns true if no call lost more than so many time-outs.
    pub(crate) fn lost_at_most(&self, deadlines: u32) -> bool {
        self.slowest.own <= self.control * 2 + TIMEOUT * deadlines + self.slowest.waited + MARGIN
    }
}
