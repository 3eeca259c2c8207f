//! The input of the macro: the arguments of the attribute, and the function under it.

pub(crate) mod args;
mod argument;
mod closures;
mod duration;
mod environment;
pub(crate) mod function;
mod lifetimes;
mod rivals;
pub(crate) mod suggest;
pub(crate) mod template;
mod values;
pub(crate) mod web;
