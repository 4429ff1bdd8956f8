//! Labs in processes of their own: found by what `lab up --token-file` wrote, and found again by what a journal says.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::LabProvider;
use crate::{
    environment::Binding,
    journal::{Access, Liveness, Owner},
    provider::{Attached, Bindings, ProviderError, Reached},
};

/// What is needed to reach a lab, as a file that nobody but its owner can read.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TokenFile {
    /// Where the admin API listens.
    pub address: SocketAddr,
    /// The bearer token that it asks for.
    pub token: String,
    /// The lab's process, so that one that is gone is known from one that cannot be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Box<Owner>>,
}

impl std::fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenFile")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A lab could not be used.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The file with its token cannot be used.
    #[error("could not read `{path}`, which `blackstart lab up --token-file` writes")]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The HTTP client could not be set up.
    #[error("the client of the lab's admin API could not be set up")]
    Client(#[source] reqwest::Error),
    /// It does not answer as a lab does.
    #[error("could not use the lab at {address}")]
    Lab {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: ProviderError,
    },
    /// Another lab is there, and what became of the one that is meant is not known.
    #[error("another lab is at {address} now")]
    OtherLab {
        /// Where.
        address: SocketAddr,
    },
    /// Another lab's token is in the file.
    #[error("the token for the lab at {address} is gone: `{path}` is now that of the lab at {now}")]
    OtherToken {
        /// Where the lab listened.
        address: SocketAddr,
        /// The file.
        path: PathBuf,
        /// Where the lab listens that the file is of now.
        now: SocketAddr,
    },
}

impl TokenFile {
    /// Writes the file so that it is there whole or not at all, readable for its owner only.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        let written = serde_json::to_vec(self)
            .map_err(io::Error::from)
            .and_then(|bytes| file.write_all(&bytes))
            .and_then(|()| std::fs::rename(&beside, path));
        if written.is_err() {
            drop(std::fs::remove_file(&beside));
        }
        written
    }

    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read or is not such a file.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }
}

/// Finds the lab whose token is in a file.
///
/// # Errors
/// If the file cannot be read, or no lab answers that knows the token.
pub async fn find(token_file: &Path) -> Result<Attached, AttachError> {
    let unreadable = |source| AttachError::TokenFile {
        path: token_file.to_owned(),
        source,
    };
    // A journal may be read from anywhere.
    let token_file = std::path::absolute(token_file).map_err(unreadable)?;
    let TokenFile {
        address,
        token,
        process,
    } = TokenFile::read(&token_file).map_err(unreadable)?;
    let provider = LabProvider::new(address, &token).map_err(AttachError::Client)?;
    let description = provider
        .describe()
        .await
        .map_err(|source| AttachError::Lab { address, source })?;
    let access = Access::Lab {
        address,
        id: description.id.clone(),
        token_file,
        process,
    };
    Ok(Attached {
        bindings: Bindings::default().with(Binding::Lab, Arc::new(provider)),
        description: Some(description),
        access: vec![access],
    })
}

/// Reaches the lab that a journal is about.
///
/// # Errors
/// If it cannot be reached, and is not known to be gone either.
pub(crate) async fn reach(access: &Access) -> Result<Reached, AttachError> {
    let Access::Lab {
        address,
        id,
        token_file,
        process,
    } = access
    else {
        let words = "the lab was in the harness's own process and ended with it".to_owned();
        return Ok(Reached::Gone(words));
    };
    let address = *address;
    // That nobody answers is no proof: it may be asked from a container, or over a network that is down.
    let liveness = process.as_ref().map(|process| process.liveness());
    if liveness == Some(Liveness::Gone) {
        let words = format!("the lab at {address} has ended: its process is gone");
        return Ok(Reached::Gone(words));
    }
    let found = TokenFile::read(token_file).map_err(|source| AttachError::TokenFile {
        path: token_file.clone(),
        source,
    })?;
    if found.address != address {
        return Err(AttachError::OtherToken {
            address,
            path: token_file.clone(),
            now: found.address,
        });
    }
    let provider = LabProvider::new(address, &found.token).map_err(AttachError::Client)?;
    let description = provider
        .describe()
        .await
        .map_err(|source| AttachError::Lab { address, source })?;
    if description.id == *id {
        Ok(Reached::Here(Arc::new(provider)))
    } else {
        Err(AttachError::OtherLab { address })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_token_is_readable_for_its_owner_only_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab.json");
        let file = TokenFile {
            address: "127.0.0.1:4000".parse().unwrap(),
            token: "secret".into(),
            process: None,
        };
        file.write(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = TokenFile::read(&path).unwrap();
        assert_eq!(
            (read.address, read.token.as_str()),
            (file.address, "secret")
        );
        assert!(!format!("{read:?}").contains("secret"));
        file.write(&path).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_file_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab.json");
        std::fs::write(&path, "{}").unwrap();
        let error = find(&path).await.unwrap_err();
        assert!(error.to_string().contains("lab.json"), "{error}");
    }
}
