//! Pieces of keys, groups and tags, and the parameters of a function that they need.

use proc_macro2::Span;
use syn::Expr;

/// A piece of a key, a group or a tag.
pub(crate) enum Piece {
    Text(String),
    Part(Part),
}

/// An argument in a key, a group or a tag.
pub(crate) struct Part {
    /// The name in messages.
    pub(crate) label: String,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    Receiver(Span),
    Expr(Expr),
    /// A name in a pattern, with the separator in front of it, or a unit struct, which adds nothing.
    PerhapsUnit(Expr),
}

/// The parameters of the function that an expression needs.
pub(crate) struct Uses {
    pub(crate) receiver: bool,
    /// By position.
    pub(crate) params: Vec<bool>,
}
