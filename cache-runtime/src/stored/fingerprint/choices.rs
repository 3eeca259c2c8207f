//! The choices of a run, and the next run after them.

use super::{Choice, Frame, Kind};

impl Frame {
    /// The index of the run's next choice, with the alternative that [`advance`](Frame::advance) selected.
    pub(super) fn choose(&mut self, fresh: impl FnOnce() -> Kind) -> usize {
        if self.made == self.choices.len() {
            self.choices.push(Choice { kind: fresh(), found: false });
        }
        self.made += 1;
        self.made - 1
    }

    /// Selects the alternatives of the next run. Returns false if no run is left.
    pub(super) fn advance(&mut self, ok: bool) -> bool {
        self.choices.truncate(self.made);
        self.made = 0;
        for choice in &mut self.choices {
            choice.found |= ok;
        }
        while let Some(Choice { kind, found }) = self.choices.last_mut() {
            let moved = match kind {
                Kind::Pick { at, options, each } => {
                    *at += 1;
                    *at < *options && ((*each && self.recording) || !*found)
                }
                Kind::Fields { start, refused, pending, asked, seeded, in_order } => {
                    match pending.take() {
                        Some(slot) if !*found && !refused.contains(&slot) => {
                            refused.push(slot);
                            *start = slot + 1;
                            true
                        }
                        // Only a run by position shows whether the type needs a format with names.
                        _ if !*in_order && (*seeded || !(*found || *asked)) => {
                            *in_order = true;
                            true
                        }
                        _ => false,
                    }
                }
            };
            if moved {
                return true;
            }
            self.choices.pop();
        }
        false
    }
}
