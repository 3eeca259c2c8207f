//! A cluster: three masters, each with a replica.

mod support;
