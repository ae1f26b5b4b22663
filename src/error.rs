//! The one error of the crate: what kind of thing went wrong, a stable code, a sentence, and the numbers in it.

use std::fmt;

/// Who or what caused an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The bytes of a file or a serialized structure are not what they should be.
    Format,
    /// The caller passed something that cannot be used.
    Parameter,
    /// The input is beyond a bound that protects the machine (see the constants named `MAX_*`).
    Limit,
    /// Well-formed, but not something this library does.
    Unsupported,
    /// A file cannot be read or written.
    Io,
}

impl Kind {
    /// The name JavaScript sees as `error.kind`.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Format => "Format",
            Kind::Parameter => "Parameter",
            Kind::Limit => "Limit",
            Kind::Unsupported => "Unsupported",
            Kind::Io => "Io",
        }
    }
}

/// A stable name for one way to fail. Programs compare codes; people read messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// The kind every error of this code has.
    pub kind: Kind,
    /// The name JavaScript sees as `error.code`.
    pub name: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])+ $kind:ident $name:ident;)+) => {
        impl Code {
            $($(#[$doc])+ pub const $name: Code = Code { kind: Kind::$kind, name: stringify!($name) };)+
            /// Every code there is.
            pub const ALL: &[Code] = &[$(Code::$name),+];
        }
    };
}

codes! {
    /// A NaN or an infinity where a number is needed; `index` is the first one's.
    Parameter NON_FINITE;
    /// A length does not fit: it is no multiple of what it should be, or two lengths that belong together differ.
    Parameter LENGTH;
    /// A number is outside the range the argument allows.
    Parameter RANGE;
    /// A name (format, preset, option) that is not known.
    Parameter UNKNOWN_NAME;
    /// An argument that is missing, of the wrong type, or contradicts another.
    Parameter ARGUMENT;
    /// The format needs an importance matrix and none was given.
    Parameter NEEDS_IMPORTANCE;
    /// The format cannot hold these weights: a scale leaves the range of its type, or no grid point is near.
    Parameter UNREPRESENTABLE;
    /// Nothing was observed, so there is nothing to compute from.
    Parameter NO_DATA;
    /// Bytes that are not of the format they claim to be.
    Format MALFORMED;
    /// The input ends before it should.
    Format TRUNCATED;
    /// The file does not begin as files of a known container begin.
    Format MAGIC;
    /// A quantized block that no encoder writes: a scale is NaN or infinite.
    Format INVALID_BLOCK;
    /// A count, size or depth is beyond the bound that protects the machine.
    Limit TOO_LARGE;
    /// There is not as much memory as this takes.
    Limit NO_MEMORY;
    /// Known, but not something that can be done.
    Unsupported UNSUPPORTED;
    /// No file of that name.
    Io NOT_FOUND;
    /// The system refuses.
    Io DENIED;
    /// The disk or the quota is full.
    Io NO_SPACE;
    /// The file is no longer what it was.
    Io CHANGED;
    /// Another run is at work on the same file.
    Io BUSY;
    /// Any other failure to read or write.
    Io IO;
}

/// A number or a word that belongs to an error.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// A count, an index, a size, a value.
    Number(f64),
    /// A name.
    Text(String),
}

impl From<usize> for Detail {
    fn from(value: usize) -> Self {
        Detail::Number(value as f64)
    }
}
impl From<u64> for Detail {
    fn from(value: u64) -> Self {
        Detail::Number(value as f64)
    }
}
impl From<u32> for Detail {
    fn from(value: u32) -> Self {
        Detail::Number(value.into())
    }
}
impl From<f64> for Detail {
    fn from(value: f64) -> Self {
        Detail::Number(value)
    }
}
impl From<f32> for Detail {
    fn from(value: f32) -> Self {
        Detail::Number(value.into())
    }
}
impl From<&str> for Detail {
    fn from(value: &str) -> Self {
        Detail::Text(value.to_owned())
    }
}

/// What every fallible function of this crate returns when it fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq)]
struct Inner {
    code: Code,
    message: String,
    details: Vec<(&'static str, Detail)>,
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with its sentence: who did what, and both numbers.
    // Cold, as its neighbours are: errors are made in many places and seldom, and inlined they were a tenth of the engine.
    #[cold]
    #[inline(never)]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { code, message: message.into(), details: Vec::new() }))
    }

    /// The same error with one more detail, for programs.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn with(mut self, name: &'static str, value: impl Into<Detail>) -> Self {
        self.0.details.push((name, value.into()));
        self
    }

    /// The same error, its sentence preceded by where it happened ("tensor 'blk.0.attn_q.weight'").
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The numbers and names in the sentence, for programs.
    pub fn details(&self) -> &[(&'static str, Detail)] {
        &self.0.details
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}
