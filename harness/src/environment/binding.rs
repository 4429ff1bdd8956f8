//! What reaches a target.

use std::fmt;

/// What reaches a target: the word under its name in an environment file, and in what is captured of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Binding {
    /// The lab.
    Lab,
    /// A container engine.
    Docker,
    /// The API of a Kubernetes cluster.
    Kubernetes,
    /// The APIs of AWS.
    Aws,
    /// Programs of the user's own.
    Command,
    /// Azure Resource Manager.
    Azure,
}

impl Binding {
    /// All there are, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::Lab,
        Self::Docker,
        Self::Kubernetes,
        Self::Aws,
        Self::Command,
        Self::Azure,
    ];

    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::Docker => "docker",
            Self::Kubernetes => "kubernetes",
            Self::Aws => "aws",
            Self::Command => "command",
            Self::Azure => "azure",
        }
    }

    /// The binding of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|binding| binding.as_str() == name)
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
