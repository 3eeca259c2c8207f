//! Servers that fail, refuse or hang, and processes that are killed.

mod connections;
mod deadline;
mod kill;
mod outage;
mod permissions;
