//! A cluster: three masters, each with a replica. Slots move, and nodes fail.

mod commands;
mod failovers;
mod features;
mod large_values;
mod migrations;
mod rig;
mod shards;
mod stampedes;
mod support;
mod topology;
mod undelivered;
