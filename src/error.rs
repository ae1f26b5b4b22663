//! The error type of the crate: a stable code, a message for people, and the values in it for programs.

use std::fmt;

/// The category of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The bytes of a file or of a serialized structure are invalid.
    Format,
    /// The caller passed an invalid argument.
    Parameter,
    /// The input exceeds a limit that protects the machine (see the constants named `MAX_*`).
    Limit,
    /// Well-formed, but not supported by this library.
    Unsupported,
    /// A file cannot be read or written.
    Io,
}

impl Kind {
    /// The name that JavaScript sees as `error.kind`.
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

/// A stable identifier for one cause of failure. Programs compare codes; people read messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// The category of every error with this code.
    pub kind: Kind,
    /// The name that JavaScript sees as `error.code`.
    pub name: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])+ $kind:ident $name:ident;)+) => {
        impl Code {
            $($(#[$doc])+ pub const $name: Code = Code { kind: Kind::$kind, name: stringify!($name) };)+
            /// All codes.
            pub const ALL: &[Code] = &[$(Code::$name),+];
        }
    };
}

codes! {
    /// A value is NaN or infinite where a finite one is required; `index` is the position of the first.
    Parameter NON_FINITE;
    /// A length is wrong: not a multiple of what it should be, or different from a length it has to match.
    Parameter LENGTH;
    /// A number is outside its allowed range.
    Parameter RANGE;
    /// An unknown name of a format, preset or option.
    Parameter UNKNOWN_NAME;
    /// An argument is missing, has the wrong type, or contradicts another.
    Parameter ARGUMENT;
    /// The format requires an importance matrix and none was given.
    Parameter NEEDS_IMPORTANCE;
    /// The format cannot represent these weights: a scale overflows its type, or no codebook entry is near.
    Parameter UNREPRESENTABLE;
    /// There are no observations to compute from.
    Parameter NO_DATA;
    /// The bytes do not follow their file format.
    Format MALFORMED;
    /// The input ends too early.
    Format TRUNCATED;
    /// The file does not start with the magic bytes of a known container.
    Format MAGIC;
    /// A quantized block that no encoder writes: a scale is NaN or infinite.
    Format INVALID_BLOCK;
    /// A count, size or depth exceeds the limit that protects the machine.
    Limit TOO_LARGE;
    /// Out of memory.
    Limit NO_MEMORY;
    /// Recognized, but not supported.
    Unsupported UNSUPPORTED;
    /// The file does not exist.
    Io NOT_FOUND;
    /// The operating system denied access.
    Io DENIED;
    /// The disk or the storage quota is full.
    Io NO_SPACE;
    /// The file has changed since it was opened.
    Io CHANGED;
    /// Another run is writing the same file.
    Io BUSY;
    /// Any other I/O error.
    Io IO;
}

/// A value attached to an error.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// A count, an index, a size or a value.
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

/// The error of every fallible function of this crate.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq)]
struct Inner {
    code: Code,
    message: String,
    details: Vec<(&'static str, Detail)>,
}

/// `Result` with [`Error`] as the default error type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Creates an error. The message says what is wrong, with the actual and the expected value.
    /// Cold and not inlined: errors are constructed in many places and rarely; inlined, they were a tenth of the wasm
    /// module.
    #[cold]
    #[inline(never)]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { code, message: message.into(), details: Vec::new() }))
    }

    /// Attaches a named value for programs.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn with(mut self, name: &'static str, value: impl Into<Detail>) -> Self {
        self.0.details.push((name, value.into()));
        self
    }

    /// Prefixes the message with where the error occurred ("tensor 'blk.0.attn_q.weight'").
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The named values in the message, for programs.
    pub fn details(&self) -> &[(&'static str, Detail)] {
        &self.0.details
    }

    /// The index of the value that the error is about, if there is one: the detail `index`.
    pub fn index(&self) -> Option<u64> {
        self.details().iter().find_map(|(name, value)| match value {
            Detail::Number(index) if *name == "index" => Some(*index as u64),
            _ => None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}
