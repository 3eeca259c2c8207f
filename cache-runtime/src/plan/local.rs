//! Values that a process keeps, decoded.

use std::any::Any;
use std::sync::Arc;

/// A decoded value of any type.
pub(crate) type Decoded = Arc<dyn Any + Send + Sync>;

/// A type whose values a process can keep and hand out.
#[diagnostic::on_unimplemented(
    message = "`local` keeps decoded values, and hands out clones: `{Self}` is not `Clone + Send + Sync + 'static`",
    label = "cannot be kept in the local tier",
    note = "derive `Clone`, or return `Arc<T>`, which costs nothing to clone (with the feature `rc` of serde)",
    note = "or remove `local`"
)]
pub trait Keepable: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<V: Clone + Send + Sync + 'static> Keepable for V {}

/// When a value was stored and until when it is fresh, in milliseconds of the store's clock.
pub(crate) type Times = (u64, u64);

/// How a value is kept, and handed out.
pub struct LocalFns<V> {
    #[cfg_attr(not(feature = "local"), expect(dead_code, reason = "no tier keeps it"))]
    pub(crate) kept: fn(&V, Times) -> Decoded,
    #[cfg_attr(not(feature = "local"), expect(dead_code, reason = "no tier keeps it"))]
    pub(crate) cloned: fn(&(dyn Any + Send + Sync)) -> Option<V>,
}

/// How values of a type are kept.
pub fn local_fns<V: Keepable>() -> LocalFns<V> {
    LocalFns {
        kept: |value, _| Arc::new(value.clone()),
        cloned: |kept: &(dyn Any + Send + Sync)| kept.downcast_ref().cloned(),
    }
}
