//! The templates of an attribute: the text of the key, the group and the tags.

use super::pieces::Piece;
use super::scope::Scope;
use super::web;
use crate::errors::Errors;
use crate::parse::args::Args;
use crate::parse::template::Of;

/// The pieces of the attribute's templates.
pub(super) struct Templates {
    /// All arguments, if there is no template.
    pub(super) key: Vec<Piece>,
    pub(super) group: Option<Vec<Piece>>,
    pub(super) tags: Vec<Vec<Piece>>,
}

impl Templates {
    /// All of them are parsed before one that is wrong ends this, so that all errors are reported.
    pub(super) fn new(scope: &Scope<'_>, args: &Args, errors: &Errors) -> Option<Templates> {
        let key = match &args.key {
            Some(literal) => scope.template(literal, Of::Key, args, errors),
            None => Some(scope.all(&args.skip)),
        };
        let key = key.map(|pieces| pieces.into_iter().chain(web::pieces(args, scope.params)).collect());
        let group = args.group.as_ref().map(|literal| scope.template(literal, Of::Group, args, errors));
        let tags = args.tags.templates.iter().map(|literal| scope.template(literal, Of::Tag, args, errors));
        let tags: Vec<_> = tags.collect();
        let group = match group {
            Some(group) => Some(group?),
            None => None,
        };
        Some(Templates { key: key?, group, tags: tags.into_iter().collect::<Option<_>>()? })
    }

    /// The pieces that tell entries apart.
    pub(super) fn of_key(&self) -> impl Iterator<Item = &Piece> {
        self.key.iter().chain(self.group.iter().flatten())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Piece> {
        self.of_key().chain(self.tags.iter().flatten())
    }

    /// Returns `true` if the user wrote the template of a piece.
    pub(super) fn is_written(&self, piece: &Piece, args: &Args) -> bool {
        args.key.is_some() || !self.key.iter().any(|of_key| std::ptr::eq(of_key, piece))
    }
}
