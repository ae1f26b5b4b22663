//! Setters of options, so that callers outside the crate can build them in one expression although more fields may be
//! added later.

/// Defines a method that sets a field and returns the struct: `setter!(with_pure, pure: bool)`. The argument has the type
/// of the field, or for `into T` converts to it; for `some T` it is the value of an `Option<T>`.
macro_rules! setter {
    ($setter:ident, $field:ident: some into $type:ty) => {
        setter!(@ $setter, $field, impl Into<$type>, Some($field.into()));
    };
    ($setter:ident, $field:ident: some $type:ty) => {
        setter!(@ $setter, $field, $type, Some($field));
    };
    ($setter:ident, $field:ident: into $type:ty) => {
        setter!(@ $setter, $field, impl Into<$type>, $field.into());
    };
    ($setter:ident, $field:ident: $type:ty) => {
        setter!(@ $setter, $field, $type, $field);
    };
    (@ $setter:ident, $field:ident, $argument:ty, $value:expr) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
        #[must_use]
        pub fn $setter(mut self, $field: $argument) -> Self {
            self.$field = $value;
            self
        }
    };
}
pub(crate) use setter;
