//! Shared strings and lists. A model can have a million tensors, and most have the same shape and the same reasons.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::Arc;

/// An immutable value; a clone is another reference to it, not a copy.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shared<T: ?Sized>(Arc<T>);

/// A shared string.
pub type Name = Shared<str>;

/// The shape of a tensor.
pub type Shape = Shared<[u64]>;

impl Name {
    /// The string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

// Allows lookup in sets and maps by the value itself.
impl<T: ?Sized> std::borrow::Borrow<T> for Shared<T> {
    fn borrow(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: ?Sized, U: Into<Arc<T>>> From<U> for Shared<T> {
    fn from(value: U) -> Self {
        Shared(value.into())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl<U: ?Sized + AsRef<[u64]>> PartialEq<U> for Shape {
    fn eq(&self, other: &U) -> bool {
        *self.0 == *other.as_ref()
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(deserializer)?.into())
    }
}

/// Deduplicates values: equal values share one allocation.
#[derive(Debug)]
pub(crate) struct Interner<T: ?Sized> {
    known: HashSet<Shared<T>>,
    last: Option<Shared<T>>,
}

impl<T: ?Sized> Default for Interner<T> {
    fn default() -> Self {
        Interner { known: HashSet::new(), last: None }
    }
}

impl<T: ?Sized + Eq + Hash> Interner<T> {
    /// A reference to the value equal to `value`.
    pub fn intern(&mut self, value: &T) -> Shared<T>
    where
        for<'a> Arc<T>: From<&'a T>,
    {
        if let Some(last) = self.last.as_ref().filter(|last| ***last == *value) {
            return last.clone();
        }
        let found = match self.known.get(value) {
            Some(known) => known.clone(),
            None => {
                let new = Shared(Arc::from(value));
                self.known.insert(new.clone());
                new
            }
        };
        self.last = Some(found.clone());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_stores_equal_values_once() {
        let mut interner = Interner::<[u64]>::default();
        let shapes = [&[32, 2][..], &[64], &[32, 2], &[32, 2]].map(|shape| interner.intern(shape));
        assert_eq!(shapes[0], [32, 2]);
        assert!(Arc::ptr_eq(&shapes[0].0, &shapes[2].0) && Arc::ptr_eq(&shapes[0].0, &shapes[3].0));
        assert_eq!(interner.known.len(), 2);
    }

    #[test]
    fn a_name_compares_with_strings() {
        let name = Name::from("blk.0");
        assert!(name == "blk.0" && name == *"blk.0" && name.clone() == name);
        assert_eq!(format!("{name} {name:?}"), "blk.0 \"blk.0\"");
    }
}
