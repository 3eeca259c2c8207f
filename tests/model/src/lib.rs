//! A checked model of the protocol between `redis-cached` and Redis.
//!
//! ```
//! use protocol_model::check::check;
//! use protocol_model::protocol::{Property, Protocol, Rules};
//! use protocol_model::scenarios::{ELSEWHERE, INVALIDATOR, READER};
//!
//! // Two calls in different processes, and an invalidation: nothing is ever stale.
//! let model = Protocol::new([READER, ELSEWHERE, INVALIDATOR]);
//! assert!(check(&model, &Property::ALL).violation.is_none());
//!
//! // A fill that does not ask for its token is stored over the invalidation.
//! let rules = Rules { conditional_fill: false, ..Rules::default() };
//! let report = check(&Protocol { rules, ..model }, &Property::ALL);
//! println!("{report}"); // step by step, from the first call to the stale value
//! assert!(report.violation.is_some());
//! ```
//!
//! # Runs
//!
//! | command | what it explores | time |
//! |---|---|---|
//! | `cargo test -p protocol-model` | 50 scenarios with two to four actors, 5.2 million states; the lives of stamps; 23 scenarios of the local tier, 1.1 million states; one broken rule at a time, with traces (`-- --nocapture` prints them) | 35 s |
//! | `cargo run -p protocol-model --release` | the same scenarios, states and depth of each printed | 15 s |
//! | `cargo run -p protocol-model --release -- --tagged` | the 13 of these scenarios that have a tag | 3 s |
//! | `cargo run -p protocol-model --release -- --cluster` | the 12 of these scenarios that are about clusters, 1.3 million states | 4 s |
//! | `cargo run -p protocol-model --release -- --local` | the 23 scenarios of the local tier, and four larger ones, 3.6 million states | 20 s |
//! | `cargo run -p protocol-model --release -- --actors 4` | seven scenarios, 1.2 million states; the number of actors may be two to five | 5 s |
//! | `cargo run -p protocol-model --release -- --actors 5` | the same with five, 42 million states | 3 min, 3.5 GB of memory |
//!
//! # The model
//!
//! The model has one slot, an origin with a version number, and actors in two processes. Each actor acts once, at any
//! time:
//!
//! - a **reader** calls: it reads; returns a hit; joins the flight of its process whose token it has
//!   read, or waits for a lease and reads again; acquires an empty slot; displaces a value of another
//!   version of the type. Then its body runs and reads the origin at some moment between begin and
//!   end, the followers get the result, and a conditional fill stores it.
//! - a **refresher** calls, returns the value that it finds, and then refreshes it in the background,
//!   under a mark in the value's header or in the companion of a hash field.
//! - an **invalidator** changes the origin, invalidates, and returns.
//! - a **clearer** changes the origin, scans, and empties the slot if the scan has returned it. `SCAN`
//!   returns a slot that holds something from its start to its end; a slot that was empty in between it
//!   need not return.
//! - a **writer** writes through: takes the slot, changes the origin, fills or else erases.
//!
//! A request, its effect at the server, and the receipt of the reply are separate steps, and other
//! actors may act between them. A lease may expire while its holder works (a paused process), a value
//! may expire, a reply or a request may be lost or late, a process may die, and a leader may be
//! cancelled, or panic, with or without followers that take over. [`protocol::Mishaps`] limits their
//! numbers. A lease without a holder may always expire.
//!
//! # Calls that stop waiting
//!
//! At the end of `wait`, or after two leases, a call stops waiting for the holders of leases. It shares
//! a body that runs in its process and began after the call did, under a lease or not. If there is none,
//! it runs its own body for the other calls of its process, and stores nothing. It never shares the
//! flight that it has waited for.
//!
//! # Tags
//!
//! In [`scenarios::tagged`] the entry has a tag. Its stamp is absent, or random. Every actor may make a
//! stamp if there is none, an **invalidator of the tag** changes the origin and removes the stamp, and
//! the server may evict it.
//!
//! - A read has two commands, for the slot and for the stamp, and others may come between them. A value
//!   or a lease is a miss if its stamp is not the one that was read, or if there is no stamp, and gives
//!   way to a lease by comparison. Content that an attempt to take the slot finds is judged by the stamp
//!   that was read before; if its stamp is another one, the call reads again.
//! - A call that finds no stamp makes one before it asks for the lease. The lease and the value have
//!   that stamp: the body, or the write, starts when both are acknowledged.
//! - A refresh in the background gives the new value the stamp of the old one.
//! - The stamp of a tag that is made of the value is read, or made, when the body has ended, and such
//!   leases have no stamp. An invalidation promises nothing about values whose stamp was read after it:
//!   the model counts them as values of its version.
//!
//! # Batches
//!
//! In [`scenarios::batches`] there are two slots, and calls for one id or for both, in either order:
//! [`batches`] is a model of its own. A call reads the slots of its ids, takes the empty ones, runs one
//! body for all ids that it owns, and fills their slots. Other commands may come between its own. Only
//! then does it wait for the ids that others own: for results in its own process, and for the end of
//! leases elsewhere. It waits for all of them before it reads again. Each slot is filled if its own
//! lease is valid. A cancelled call gives back all its leases. Two calls that each own an id that the
//! other needs therefore both end, in whatever order they have their ids.
//!
//! # Lives of stamps
//!
//! [`lives`] is a model of its own, with time. Processes fill entries under a tag, remember until when its stamp lives, and
//! extend it only if they do not know that it lives for as long as the entry, while the tag is invalidated and its stamp
//! evicted. A wrong memory makes misses early, and nothing stale.
//!
//! # Clusters
//!
//! In [`scenarios::clusters`] the slot and the stamp are at different nodes, each with a replica.
//!
//! - The slot's content **moves** to another node in one step. A command acts at the node that has the key, so a command
//!   that is redirected is one that is not applied yet, which may take any time in the model anyway.
//! - From some moment on the **replica** of a node gets no more writes, and then it takes over. A planned failover loses
//!   nothing, and is no step. Without such losses all properties hold, as everywhere.
//! - A write that is lost ends the promises that it stood for, and no others: a call may then return values
//!   older than the invalidations that were lost. It returns none older than the last invalidation that the replica
//!   knows, and an invalidation of a tag is lost only with the node of its stamp: what the slot's replica brings back
//!   has an old stamp. All else that a failover loses, such as leases, marks and values, makes nothing stale.
//! - A clear that a failover interrupts promises nothing.
//!
//! # The local tier
//!
//! [`local`] is a model of its own, with time. A process has a tier of decoded values and a tracked connection to each
//! of one or two nodes; requests and messages on it keep their order. There is one entry, which may have a tag, and the
//! tag's stamp may be on the other node.
//!
//! - A call that the tier does not serve reads, or computes and fills. It offers the value, and the keeper makes a
//!   **ticket** and reads the id in the slot again on the tracked connection. This registers the key.
//! - The driver handles a **push** at once: it drops the tickets of the key, and suspends the entry. A reply goes to an
//!   inbox, from which the keeper takes it at any later moment.
//! - The keeper **admits** in three steps: it looks at the ticket, inserts the entry, and looks again. If the ticket is
//!   still there, it takes the ticket and publishes the entry. Calls, writes and pushes go on in between.
//! - A write of the process **voids** before it is sent, and again before it returns, in two steps: it drops the tickets,
//!   and then removes the entry. An offer is refused if its key or its tag was voided since the read was sent. An
//!   invalidation that fails is kept, and a call or the keeper delivers it.
//! - A suspended entry keeps its value. It is served again after a new confirmation.
//! - A **hit** needs proofs of life that are not older than the bound, from the entry's node and from the stamp's. A
//!   heartbeat proves the time at which it was sent.
//! - Another process stores, marks and invalidates; a node loses its data; a connection is lost, and the process learns of
//!   it later; the slot moves, with a push, or without one if the old node deletes it as a slot that it has lost. A
//!   heartbeat tells whether a slot has moved since the one before.
//!
//! A hit is one step, because it counts from the moment at which a call begins. The versions of this model are also the
//! ids of the values, because every body reads a new one.
//!
//! # Properties
//!
//! [`protocol::Property`] lists the properties. Nothing stale is returned or stored; a token has one
//! leader and one accepted fill; bodies run one at a time and, without mishaps, once; if calls of a
//! process stop waiting for a lease, one computes for the others; and from every state all calls can
//! still end, so there is no deadlock. [`local::Property`] lists those of the local tier: nothing from before a write of
//! the process is served after it, nothing is served for longer than the bound after it went from the server, and
//! nothing older is served after something newer.
//!
//! # Each rule is needed
//!
//! With a rule of [`protocol::Rules`], [`batches::Rules`], [`lives::Rules`] or [`local::Rules`] switched off, the checker
//! finds the shortest trace to a violation. All tests are in `tests/each_rule_is_needed`.
//!
//! | rule | test | without it |
//! |---|---|---|
//! | `join_only_what_was_read` | `a_call_joins_only_a_flight_that_its_own_read_saw` | stale return |
//! | `acceptance_is_no_licence` | `an_accepted_fill_is_no_licence_to_share` | stale return |
//! | `no_shared_reads` | `a_read_that_was_already_sent_is_not_shared` | stale return |
//! | `displace_in_one_step` | `what_is_a_miss_is_not_unlinked_first` | two bodies at once |
//! | `displace_by_comparison` | `what_is_a_miss_is_displaced_by_comparison` | two bodies at once |
//! | `conditional_fill` | `a_fill_needs_the_token_in_the_slot` | stale return |
//! | `fresh_tokens` | `every_lease_has_a_token_of_its_own` | stale return |
//! | `body_after_acknowledgement` | `a_body_starts_after_its_lease_is_acknowledged`, `a_write_starts_after_its_lease_is_acknowledged` | stale return |
//! | `no_lease_no_store` | `who_was_not_told_of_the_lease_stores_nothing` | stale return |
//! | `write_takes_the_slot` | `a_write_takes_the_slot_before_it_stores`, `a_plain_set_of_a_value_outlives_its_clean_up` | stale return |
//! | `refused_write_erases` | `a_write_whose_fill_is_refused_erases_the_slot` | stale return |
//! | `clean_up_by_comparison` | `after_a_fill_of_unknown_fate_only_the_own_lease_is_deleted` | two bodies at once |
//! | `mark_in_the_value` | `a_refresh_is_marked_in_the_value_itself` | stale return |
//! | `writes_erase_the_companion` | `whoever_writes_a_field_erases_its_companion` | stale return |
//! | `clear_removes_leases` | `a_clear_removes_leases_too` | stale return |
//! | `refill_needs_a_value` | `a_refresh_is_stored_only_where_there_is_a_value` | stale return |
//! | `hand_over` | `a_cancelled_leader_hands_its_flight_over` | a call that never ends |
//! | `leases_expire` | `leases_expire` | a call that never ends |
//! | `stamp_before_the_body` | `the_stamp_is_read_before_the_body`, `the_stamp_is_read_before_the_write` | stale return |
//! | `body_after_acknowledgement` | `a_body_starts_after_its_stamp_is_acknowledged` | stale return |
//! | `refresh_keeps_the_stamp` | `a_refresh_keeps_the_stamp_of_the_value` | stale return |
//! | `hits_compare_the_stamp` | `a_hit_is_under_the_stamp_that_was_read` | stale return |
//! | `followers_compare_the_stamp` | `a_lease_is_waited_for_under_the_stamp_that_was_read` | stale return |
//! | `absent_is_no_stamp` | `no_stamp_is_no_stamp_like_others` | stale return |
//! | `fresh_stamps` | `every_stamp_is_new` | stale return |
//! | `stamps_are_sent_once` | `a_stamp_is_sent_once` | stale return |
//! | `slot_before_stamp` | `the_slot_is_read_before_the_stamp` | two bodies at once |
//! | `shared_values_are_compared` | `a_value_from_a_flight_is_compared_with_the_stamp_that_it_was_given` | stale return |
//! | `one_computes_for_its_others` | `of_the_calls_that_wait_no_longer_one_computes_for_its_others` | a herd |
//! | `share_what_began_later` | `a_call_that_waits_no_longer_shares_a_body_that_began_later` | stale return |
//! | `one_replaces_the_dead` | `a_dead_leader_is_replaced_by_one` | a herd |
//! | `one_copy` | `a_key_that_moves_is_at_one_node` | stale return |
//! | `promises_end_with_their_writes` | `a_failover_may_lose_an_invalidation` | stale return |
//! | `fill_before_waiting` | `a_batch_stores_what_it_owns_before_it_waits` | a call that never ends |
//! | `each_by_its_lease` | `each_value_of_a_batch_is_stored_by_its_own_lease` | stale return |
//! | `memory_of_the_stamp` | `a_life_is_remembered_for_a_stamp_and_not_for_a_tag` | an early miss |
//! | `stamp_before_life` | `the_stamp_is_read_before_its_life` | an early miss |
//! | `lives_as_long` | `a_stamp_that_lives_may_not_live_long_enough` | an early miss |
//! | `never_shortens` | `an_extension_does_not_shorten_a_life` | an early miss |
//! | `makes_no_stamp` | `an_extension_does_not_bring_a_stamp_back` | stale hit |
//! | `all_are_given_back` | `a_batch_gives_back_all_its_leases` | a call that never ends |
//! | `confirm` | `a_value_is_confirmed_before_it_is_admitted` | a hit beyond the bound, and an older one |
//! | `overtaken` | `a_push_overtakes_what_is_confirmed` | a hit beyond the bound |
//! | `void_after` | `an_invalidation_voids_after_its_reply` | stale hit |
//! | `void_pending` | `a_void_drops_the_tickets` | stale hit |
//! | `fill_voids` | `a_refresh_voids_after_its_fill` | stale hit |
//! | `generation` | `a_new_connection_suspends_the_entries_of_its_node` | a hit beyond the bound |
//! | `tracking` | `tracking_is_turned_on_again` | a hit beyond the bound |
//! | `horizon` | `a_hit_needs_a_proof_of_life` | a hit beyond the bound |
//! | `proof_first` | `a_hit_looks_at_the_proof_first` | a hit beyond the bound |
//! | `leaving` | `an_entry_that_leaves_is_not_served` | a hit beyond the bound |
//! | `probe_sent` | `a_proof_is_as_old_as_its_heartbeat` | a hit beyond the bound |
//! | `null` | `a_push_without_a_key_suspends_all` | a hit beyond the bound |
//! | `push` | `a_push_suspends` | a hit beyond the bound |
//! | `tag` | `a_push_of_a_stamp_suspends_what_is_under_it` | a hit beyond the bound |
//! | `tag_confirm` | `a_stamp_is_confirmed_too` | a hit beyond the bound |
//! | `newest` | `a_later_offer_takes_the_place_of_an_earlier_one` | an older hit |
//! | `read_voids` | `a_read_of_another_value_removes_the_entry` | an older hit |
//! | `miss_voids` | `a_read_that_shows_no_value_removes_the_entry` | an older hit |
//! | `revive` | `a_suspended_entry_is_confirmed_again` | a hit beyond the bound |
//! | `offer_epoch`, `tag_epoch` | `an_offer_is_refused_after_a_void` | stale hit |
//! | `offer_in_one_step` | `an_offer_is_compared_and_taken_in_one_step` | stale hit |
//! | `second_look` | `the_keeper_looks_once_more` | stale hit |
//! | `look_at_ticket` | `the_second_look_is_at_the_ticket` | an older hit, and one beyond the bound |
//! | `publish_after_look` | `an_entry_is_served_after_the_second_look` | stale hit |
//! | `ticket_first` | `a_void_drops_the_tickets_before_it_removes_the_entry` | stale hit |
//! | `tag_horizon` | `a_hit_needs_a_proof_of_the_stamps_node` | a hit beyond the bound |
//! | `moves` | `a_slot_that_moves_suspends_its_entries` | a hit beyond the bound |
//! | `no_move_between` | `a_heartbeat_shows_that_no_slot_has_moved` | a hit beyond the bound |
//! | `one_at_due` | `one_call_leaves_the_tier_when_an_entry_is_due` | a herd |
//! | `pending` and `offer_epoch` | `nothing_is_served_while_an_invalidation_is_undelivered` | stale hit |
//!
//! The two rules about displacement, and the one about cleaning up, protect only single-flight: they
//! forbid erasing leases and values, and erasing never makes anything stale. Their absence leads to a
//! stale value in none of the scenarios.
//!
//! Three rules of the local tier are precautions: `void_before`, `offer_after_fill` and `pending`. All properties hold
//! without them, as `some_precautions_are_not_needed` shows, because a write voids before it returns, a value is
//! confirmed, and an offer is refused after a void. Alone, `pending` would not suffice: what was confirmed before an
//! undelivered invalidation arrives could be admitted after it.
//!
//! # Parts left out, and why that is sound
//!
//! - **Time.** Leases, values and marks expire at any moment, so renewal, every lease length and
//!   every clock are covered. Promises about durations are not checked here.
//! - **The time that a call waits.** In the scenarios with `impatient`, a call that waits may stop at any
//!   moment, and the real bound, two leases or `wait`, is one case of it. In all others it never stops,
//!   so that progress does not depend on it.
//! - **Results that cannot be shared**, and the number of times that a call waits for one.
//! - **Reads that fail.** Such a call computes unstored too.
//! - **Repeated calls.** An actor acts once, at any moment. Two calls of one task are two actors, and
//!   one of them begins after the other.
//! - **Several tags, and several entries under one.** The seal of several stamps changes if one of them
//!   does, and two entries share nothing but the stamp.
//! - **Names.** States that differ only in the numbering of tokens, or in the order of two equal actors,
//!   count as one. Value ids are the tokens of the fills that stored them.
//! - **Waiters that read the same lease again.** Their state would not change.
//!
//! The following is outside of the model, which says nothing about it: a server that is away, undelivered
//! invalidations without a local tier, and the voiding of local flights, which matters only then (here
//! invalidations void no flight, and nothing is stale); a write through whose write fails; writes through with a tag that is made of the value; the deadline inside a field's lease; nested calls,
//! and therefore wait cycles through bodies; ids that the body of a batch omits or adds; large payloads
//! that pass through a temporary key; forced refreshes; the bytes of envelopes, and the causes of a miss
//! other than the version of the type and the stamp. For the local tier it is the fresh lifetime of values, for
//! which no message is needed; confirmations that are repeated after some time; the role of a node, which its
//! heartbeat proves; several keys; and entries of groups, which have no local tier.
//!
//! The model is also small: five actors, and few mishaps. It cannot find a flaw that needs more.
//!
//! # Why the model has its own checker
//!
//! The property that every call can still end is about reachability from every state, and [`check`]
//! checks it with a pass over the finished graph. `stateright`, the usual choice in Rust, checks instead
//! that all paths lead to a condition. Its documentation calls this reliable only without cycles, and
//! calls that wait and read again are cycles. `stateright` also brings forty packages, among them an
//! HTTP server. The checker here has fewer than 200 lines of code, has no dependency, and compares
//! states in full, while `stateright` trusts 64-bit hashes.

pub mod batches;
pub mod check;
pub mod lives;
pub mod local;
pub mod protocol;
pub mod scenarios;
mod words;

pub use words::configuration;
