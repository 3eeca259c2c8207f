//! What the parts of the generated code need of the function: which parameters, and which generic parameters.

use std::collections::HashSet;

use syn::Type;

use super::pieces::Uses;
use super::scope::Scope;
use super::templates::Templates;
use crate::parse::args::Args;
use crate::parse::function::Function;

/// The parameters and generic parameters that each part needs.
pub(crate) struct Needs {
    /// Which parameters the entry's place needs: its key, group and tags.
    pub(crate) key: Uses,
    pub(crate) in_group: Uses,
    /// Which parameters the templates mention.
    pub(crate) in_templates: Uses,
    pub(crate) cache: Uses,
    /// The positions of parameters that are left out of the key because they seem to be unit structs.
    pub(crate) presumed_units: Vec<usize>,
    /// Generic parameters that the entry does not have.
    pub(crate) not_in_entry: HashSet<String>,
    /// Generic parameters that are no part of the name.
    pub(crate) not_in_name: HashSet<String>,
    /// Generic parameters that the function of the group does not have.
    pub(crate) not_in_group: HashSet<String>,
}

impl Needs {
    pub(super) fn new(
        scope: &Scope<'_>,
        templates: &Templates,
        args: &Args,
        function: &Function,
        output: &Type,
    ) -> Needs {
        let key = scope.uses_of(templates.all());
        let in_group = scope.uses_of(templates.group.iter().flatten());
        let cache = scope.uses(&args.cache);
        Needs {
            in_templates: scope.uses_of(templates.all().filter(|piece| templates.is_written(piece, args))),
            presumed_units: presumed_units(scope, templates, args),
            not_in_entry: scope.dropped(function, output, |index| key.params[index] || cache.params[index]),
            not_in_name: scope.dropped(function, output, |index| key.params[index]),
            not_in_group: scope.unmentioned(function, output, |index| in_group.params[index] || cache.params[index]),
            key,
            in_group,
            cache,
        }
    }
}

/// The positions of parameters that seem to be unit structs: they are not in the key, and not skipped.
fn presumed_units(scope: &Scope<'_>, templates: &Templates, args: &Args) -> Vec<usize> {
    let in_key = scope.uses_of(templates.of_key());
    let params = scope.params.iter().enumerate();
    let units = params.filter(|(index, param)| {
        param.names_its_type() && !in_key.params[*index] && !args.skip.iter().any(|name| param.binds(name))
    });
    units.map(|(index, _)| index).collect()
}
