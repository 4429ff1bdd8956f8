//! `--serve`: the page for the room, and who may see it.

use std::net::SocketAddr;

use tokio::runtime::Handle;

use super::{tell, variable};
use crate::live::room::Room;

/// The variable that holds the token.
const TOKEN: &str = "BLACKSTART_SERVE_TOKEN";
/// A token that can be guessed is none.
const SHORTEST: usize = 16;

/// The page could not be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error(
        "a page at {0} is for others to see: set {TOKEN} to a token of {SHORTEST} characters or more, or serve it at 127.0.0.1"
    )]
    Open(SocketAddr),
    #[error(
        "{TOKEN} holds {0} characters, and a token that cannot be guessed has {SHORTEST} or more"
    )]
    Short(usize),
    #[error("could not serve the page at {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
}

/// Opens the page and says where it is.
pub(super) async fn open(address: SocketAddr, threads: &Handle) -> Result<Room, ServeError> {
    let token = variable(TOKEN).filter(|token| !token.is_empty());
    match &token {
        None if !address.ip().is_loopback() => return Err(ServeError::Open(address)),
        Some(token) if token.chars().count() < SHORTEST => {
            return Err(ServeError::Short(token.chars().count()));
        }
        Some(_) | None => {}
    }
    let needs = if token.is_some() { "?token=..." } else { "" };
    let room = Room::open(address, token, threads)
        .await
        .map_err(|source| ServeError::Listen { address, source })?;
    tell(&format!(
        "the page for the room: http://{}/{needs}",
        room.address()
    ));
    Ok(room)
}
