//! The choices of a run, and the next run after them.

use super::{Choice, Frame, Kind};

impl Frame {
    /// The choice at hand, as the last move left it.
    pub(super) fn choose(&mut self, fresh: impl FnOnce() -> Kind) -> usize {
        if self.made == self.choices.len() {
            self.choices.push(Choice { kind: fresh(), found: false });
        }
        self.made += 1;
        self.made - 1
    }

    /// Moves on to the next run, if there is one.
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
                        // Only by position it shows whether a format without names will do.
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
