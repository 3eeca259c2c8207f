//! The rules of the local tier.

/// The rules of the tier. Each rule can be switched off alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A value is confirmed on the tracked connection before it is admitted. Without: it is admitted as it was read.
    pub confirm: bool,
    /// A push drops the tickets of its key. Without: it only suspends the entry.
    pub overtaken: bool,
    /// An invalidation voids the entry again after its reply. Without: only before it is sent.
    pub void_after: bool,
    /// A void drops the tickets too. Without: it only removes the entry.
    pub void_pending: bool,
    /// A refresh of the process voids the entry after its fill. Without: only an invalidation does.
    pub fill_voids: bool,
    /// A new connection suspends all entries of its node, and drops their tickets. Without: they stay.
    pub generation: bool,
    /// Tracking is turned on again on a new connection. Without: only on the first one.
    pub tracking: bool,
    /// A hit needs a proof of life that is not older than the bound. Without: none.
    pub horizon: bool,
    /// A hit looks at the proof first, and then whether its entry is live. Without: in the other order.
    pub proof_first: bool,
    /// An entry that leaves the map is not live any more, for a hit that has found it there. Without: it stays as it was.
    pub leaving: bool,
    /// The proof is as old as the heartbeat that was sent. Without: as its answer.
    pub probe_sent: bool,
    /// A push without a key suspends all entries of the node. Without: it is ignored.
    pub null: bool,
    /// A push suspends the entry. Without: it only drops tickets.
    pub push: bool,
    /// A push of a stamp suspends all entries under it. Without: it only drops tickets.
    pub tag: bool,
    /// A stamp is confirmed too. Without: it counts as it was read.
    pub tag_confirm: bool,
    /// What a call was told takes the place of earlier offers. Without: they stay.
    pub newest: bool,
    /// A read that shows another value than the entry removes it. Without: it stays.
    pub read_voids: bool,
    /// While an invalidation of the process is undelivered, nothing is served or admitted. Without: the voids decide,
    /// which suffices.
    pub pending: bool,

    /// A suspended entry is confirmed again before it is served. Without: a read that shows its id revives it.
    pub revive: bool,
    /// An offer is refused if a write of the process voided its key, or its tag, since before the read was sent.
    /// Without: it is taken.
    pub offer_epoch: bool,
    /// The same for its tag. Without: only for its key.
    pub tag_epoch: bool,
    /// An offer is compared and taken in one step. Without: a void may come between.
    pub offer_in_one_step: bool,
    /// A read that shows no value removes the entry, and drops its tickets. Without: they stay.
    pub miss_voids: bool,
    /// The keeper looks once more after it has inserted. Without: only before.
    pub second_look: bool,
    /// It looks at the ticket, which everything drops that speaks against the entry. Without: whether a write of the
    /// process has voided the key.
    pub look_at_ticket: bool,
    /// An entry is served only after the second look. Without: from its insertion.
    pub publish_after_look: bool,
    /// A void drops the tickets, and then removes the entry. Without: in the other order.
    pub ticket_first: bool,
    /// A hit needs a proof of life of the node that has the stamp, too. Without: only of the entry's node.
    pub tag_horizon: bool,
    /// A slot that moves suspends its entries. Without: they stay with the node that has confirmed them.
    pub moves: bool,
    /// A heartbeat shows that no slot has moved since the one before. Without: that the node has the slot now.
    pub no_move_between: bool,
    /// One call leaves the tier when an entry is due. Without: all do.
    pub one_at_due: bool,

    /// A write voids the entry before it is sent, too. Without: only after its reply, which suffices.
    pub void_before: bool,
    /// A computed value is offered after it was stored. Without: when the fill is sent, which suffices.
    pub offer_after_fill: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            confirm: true,
            overtaken: true,
            void_after: true,
            void_pending: true,
            fill_voids: true,
            generation: true,
            tracking: true,
            horizon: true,
            proof_first: true,
            leaving: true,
            probe_sent: true,
            null: true,
            push: true,
            tag: true,
            tag_confirm: true,
            newest: true,
            read_voids: true,
            pending: true,
            revive: true,
            offer_epoch: true,
            tag_epoch: true,
            offer_in_one_step: true,
            miss_voids: true,
            second_look: true,
            look_at_ticket: true,
            publish_after_look: true,
            ticket_first: true,
            tag_horizon: true,
            moves: true,
            no_move_between: true,
            one_at_due: true,
            void_before: true,
            offer_after_fill: true,
        }
    }
}
