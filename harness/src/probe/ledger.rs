//! Reading numbered writes back: which of those that were acknowledged are there, and in which order.

use std::time::Duration;

use super::http::HttpProbe;

/// As much of a ledger is read. Some hundred thousand writes fit.
const LIMIT: usize = 16 * 1024 * 1024;

/// A request that shows what was written, and how a write is found in its answer.
#[derive(Debug)]
pub struct Ledger {
    /// The request, on a connection of its own.
    pub request: HttpProbe,
    /// What stands before the number of a write.
    pub marker: String,
}

impl Ledger {
    /// The numbers of all writes in the order in which the service shows them.
    ///
    /// # Errors
    /// If the service did not answer within `limit`, or with another status than expected, in words.
    pub async fn read(&self, limit: Duration) -> Result<Vec<u64>, String> {
        let body = self.request.fetch(limit, LIMIT).await?;
        Ok(numbers(&body, self.marker.as_bytes()))
    }
}

/// The whole numbers that follow a marker, in their order.
fn numbers(body: &[u8], marker: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    let mut rest = body;
    while let Some(at) = rest
        .windows(marker.len().max(1))
        .position(|window| window == marker)
    {
        rest = &rest[at + marker.len()..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&rest[..digits]).ok();
        found.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_behind_the_marker_are_found_in_their_order() {
        for (body, found) in [
            ("<li>Drill run-a-2</li><li>Drill run-a-1</li>", vec![2, 1]),
            ("run-a-10 run-a-10 run-b-3", vec![10, 10]),
            ("run-a- run-a-x run-a-99999999999999999999999", vec![]),
            ("", vec![]),
            ("run-a", vec![]),
        ] {
            assert_eq!(numbers(body.as_bytes(), b"run-a-"), found, "{body}");
        }
    }
}
